"""Published figures of GPU memory with their conditions, beside which `stellwerk fit` is put.

A figure counts what its authors counted: `allocated` tensors only (torch.cuda.max_memory_allocated), `device`
what nvidia-smi shows, `states` weights, gradients and optimizer, or one term. GB are decimal, GiB binary. No
constant of the program was chosen for a row; `miss` says why a row is further off than 15 %.
"""

from msgspec import Struct

from stellwerk.catalog.models import model
from stellwerk.engine.advice.fit.config import read_shape
from stellwerk.engine.advice.fit.estimate import AROUND, Estimate, estimate_memory
from stellwerk.engine.advice.fit.plan import Plan

GB, GIB = 10**9, 1 << 30
LITGPT = "Lightning-AI/litgpt, config_hub/finetune/README.md"
LITGPT_TABLES = "Lightning-AI/litgpt, tutorials/resource-tables.md"
TORCHTUNE = "pytorch/torchtune, README.md of 2024-09"
QWEN = "QwenLM/Qwen, README.md"
QWEN25 = "QwenLM/Qwen2.5, docs/source/benchmark/speed_benchmark.rst"
VLLM = "vllm-project/vllm, issue 12330"
LLAMA31 = "huggingface/blog, llama31.md"
SPHERON = "spheron.network/blog/gpu-vram-requirements-fine-tune-llm-2026"
GIGAGPU = "gigagpu.com/fine-tune-llama-3-8b-lora-gpu-guide"
LLAMA_CPP = "huggingface.co/dranger003/c4ai-command-r-v01-iMat.GGUF/discussions/6"


class Published(Struct, frozen=True, kw_only=True):
    """One figure: `gb` in `unit` bytes, of `scope`."""

    model: str
    plan: Plan
    scope: str
    gb: str
    source: str
    unit: int = GB
    measured: bool = True
    miss: str = ""

    @property
    def nbytes(self) -> int:
        """The published figure in bytes."""
        whole, _, part = self.gb.partition(".")
        return int(whole + part) * self.unit // 10 ** len(part)

    @property
    def estimate(self) -> int:
        """The same thing as `stellwerk fit` counts it, in bytes."""
        return in_scope(self.scope, self.whole)

    @property
    def whole(self) -> Estimate:
        """The whole estimate."""
        found = model(self.model)
        assert found is not None
        return estimate_memory(self.model, read_shape(found.config, self.model), self.plan)

    @property
    def upper_end(self) -> int:
        """What `stellwerk fit` says it is at most, in bytes."""
        found = self.whole
        counted = [each for each in found.terms if self.scope == "device" or each.name not in AROUND]
        named = {"states": ("weights", "gradients", "optimizer"), "device": (), "allocated": ()}
        names = named.get(self.scope, (self.scope,))
        return sum(each.high for each in counted if not names or each.name in names)

    @property
    def error_permille(self) -> int:
        """Thousandths above (+) or below (-) the published figure, rounded half away from zero."""
        off = (self.estimate - self.nbytes) * 2000
        return (abs(off) // self.nbytes + 1) // 2 * (1 if off > 0 else -1)

    @property
    def conditions(self) -> str:
        """The options of `stellwerk fit` that say the same as the source."""
        plan = self.plan
        words = [f"--task {plan.task} --seq {plan.seq} --batch {plan.batch} --gpus {plan.gpus}"]
        words += [f"--strategy {plan.strategy}"] if plan.strategy else []
        words += [f"--dtype {plan.dtype}"] if plan.dtype else []
        words += [f"--rank {plan.rank} --targets {plan.targets}"] if "lora" in plan.task else []
        words += [f"--optimizer {plan.optimizer}"] if plan.trains and plan.optimizer != "adamw" else []
        words += [] if plan.checkpointing else ["--no-checkpointing"]
        words += [f"--loss-chunks {plan.loss_chunks}"] if plan.loss_chunks > 1 else []
        return " ".join(words)


def in_scope(scope: str, found: Estimate) -> int:
    """Bytes of the part of an estimate that a source counted."""
    if scope == "device":
        return found.total
    if scope == "allocated":
        return found.allocated
    return found.of("weights", "gradients", "optimizer") if scope == "states" else found.of(scope)


def _litgpt(name: str, gb: str, batch: int, dtype: str = "", miss: str = "") -> Published:
    """bf16-true, rank 32 on q and v, sequences of 512, no checkpointing on one GPU."""
    task = "qlora" if dtype else "lora"
    plan = Plan(
        task=task,
        seq=512,
        batch=batch,
        dtype=dtype,
        rank=32,
        targets="qv",
        optimizer="adamw-16bit",
        checkpointing=False,
    )
    return Published(model=name, plan=plan, scope="allocated", gb=gb, source=LITGPT, miss=miss)


def _tables(name: str, gb: str, batch: int, dtype: str = "", miss: str = "") -> Published:
    """bf16-true, rank 8 on q and v, the longest example has 1304 tokens, no checkpointing on one GPU."""
    task = "qlora" if dtype else "lora"
    plan = Plan(
        task=task,
        seq=1304,
        batch=batch,
        dtype=dtype,
        rank=8,
        targets="qv",
        optimizer="adamw-16bit",
        checkpointing=False,
    )
    return Published(model=name, plan=plan, scope="allocated", gb=gb, source=LITGPT_TABLES, miss=miss)


def _reads(name: str, gb: str, dtype: str = "", miss: str = "") -> Published:
    plan = Plan(task="inference", seq=100, dtype=dtype)
    return Published(model=name, plan=plan, scope="allocated", gb=gb, source=LITGPT_TABLES, miss=miss)


def _torchtune(name: str, gib: str, plan: Plan, miss: str = "") -> Published:
    """bf16, batch 2, packed to 2048, rank 8, the loss in 8 chunks."""
    return Published(model=name, plan=plan, scope="allocated", gb=gib, unit=GIB, source=TORCHTUNE, miss=miss)


def _qwen(name: str, gb: str, plan: Plan, miss: str = "") -> Published:
    return Published(model=name, plan=plan, scope="device", gb=gb, source=QWEN, miss=miss)


def _qwen_lora(seq: int) -> Plan:
    return Plan(task="lora", seq=seq, rank=64)


def _qwen_qlora(seq: int) -> Plan:
    return Plan(task="qlora", seq=seq, rank=64, dtype="int4")


def _qwen25(name: str, gib: str, read: int, dtype: str = "", miss: str = "") -> Published:
    """`read` tokens of input, 2048 written."""
    plan = Plan(task="inference", seq=read + 2048, dtype=dtype)
    return Published(model=name, plan=plan, scope="allocated", gb=gib, unit=GIB, source=QWEN25, miss=miss)


def _web(name: str, gb: str, source: str, plan: Plan, miss: str = "") -> Published:
    return Published(model=name, plan=plan, scope="device", gb=gb, source=source, measured=False, miss=miss)


def _spheron(name: str, gb: str, task: str, miss: str = "") -> Published:
    optimizer = "adamw-no-copy" if task == "full" else "adamw"
    plan = Plan(task=task, seq=512, rank=64 if task == "lora" else 16, optimizer=optimizer)  # type: ignore[arg-type]
    return _web(name, gb, SPHERON, plan, miss)


NF4 = "LitGPT with bitsandbytes keeps 3 to 5 GB more than packed weights explain; the cause is not known"
COMPILED = "the source uses torch.compile, which may keep fewer activations; that is not modelled"
ROUNDED = "rounded, without conditions; smaller than the terms that are certain allow"
SEVEN = "one figure for 7B and 8B; it is 12 bytes a parameter of 7B"
INT4 = "neither sequence length nor framework is stated"
_T = {"seq": 2048, "batch": 2, "rank": 8, "optimizer": "adamw-16bit", "loss_chunks": 8}
PUBLISHED: tuple[Published, ...] = (
    _litgpt("llama-3-8b", "19.73", 1),
    _litgpt("llama-2-7b", "19.77", 2),
    _litgpt("mistral-7b", "20.66", 2),
    _litgpt("llama-3-8b", "17.41", 2, "nf4", NF4),
    _litgpt("llama-2-7b", "13.68", 2, "nf4", NF4),
    _litgpt("mistral-7b", "14.29", 2, "nf4", NF4),
    _tables("llama-2-7b", "21.30", 1),
    _tables("llama-2-7b", "29.07", 2),
    _tables("llama-2-13b", "38.12", 1),
    _tables("llama-2-7b", "13.84", 1, "nf4", NF4),
    _tables("llama-2-13b", "22.55", 1, "nf4", NF4),
    _reads("llama-2-7b", "13.52"),
    _reads("llama-2-13b", "26.21"),
    _reads("llama-2-7b", "4.26", "nf4"),
    _reads("llama-2-13b", "7.72", "nf4"),
    _reads("llama-2-70b", "37.21", "nf4"),
    _torchtune("llama-3.1-8b", "16.2", Plan(task="lora", **_T)),  # type: ignore[arg-type]
    _torchtune("llama-3.1-8b", "30.3", Plan(task="lora", checkpointing=False, **_T), COMPILED),  # type: ignore[arg-type]
    _torchtune("llama-3.1-8b", "7.4", Plan(task="qlora", **_T)),  # type: ignore[arg-type]
    _torchtune("llama-3.1-70b", "27.6", Plan(task="lora", gpus=8, strategy="fsdp", **_T)),  # type: ignore[arg-type]
    _qwen("qwen-7b", "20.4", _qwen_lora(512)),
    _qwen("qwen-7b", "23.8", _qwen_lora(2048)),
    _qwen("qwen-7b", "36.6", _qwen_lora(8192)),
    _qwen("qwen-14b", "37.4", _qwen_lora(2048)),
    _qwen("qwen-14b", "55.2", _qwen_lora(8192)),
    _qwen("qwen-7b", "11.5", _qwen_qlora(512)),
    _qwen("qwen-7b", "13.9", _qwen_qlora(2048)),
    _qwen("qwen-7b", "23.5", _qwen_qlora(8192)),
    _qwen("qwen-14b", "19.9", _qwen_qlora(2048)),
    _qwen("qwen-7b", "74.0", Plan(task="full", seq=512, gpus=2, strategy="zero3")),
    _qwen("qwen-7b", "16.99", Plan(task="inference", seq=2048)),
    _qwen("qwen-7b", "8.21", Plan(task="inference", seq=2048, dtype="int4")),
    _qwen("qwen-14b", "30.15", Plan(task="inference", seq=2048)),
    _qwen("qwen-14b", "13.01", Plan(task="inference", seq=2048, dtype="int4")),
    _qwen25("qwen2.5-7b", "16.91", 14336),
    _qwen25("qwen2.5-7b", "19.97", 30720),
    _qwen25("qwen2.5-14b", "28.08", 1),
    _qwen25("qwen2.5-14b", "36.85", 30720),
    _qwen25("qwen2.5-14b", "9.94", 1, "int4"),
    Published(model="llama-3-8b", plan=Plan(seq=8192), scope="weights", gb="14.9595", unit=GIB, source=VLLM),
    Published(model="llama-3-8b", plan=Plan(seq=8192), scope="kv cache", gb="1.00", unit=GIB, source=VLLM),
    Published(
        model="llama-3-70b", plan=Plan(seq=2048), scope="kv cache", gb="0.625", unit=GIB, source=LLAMA_CPP
    ),
    Published(
        model="mixtral-8x7b", plan=Plan(seq=2048), scope="kv cache", gb="0.25", unit=GIB, source=LLAMA_CPP
    ),
    Published(
        model="llama-3.1-70b", plan=Plan(seq=128000), scope="kv cache", gb="39.06", unit=GIB, source=LLAMA31
    ),
    _web("llama-3.1-8b", "60", LLAMA31, Plan(task="full", seq=512, optimizer="adamw-16bit"), ROUNDED),
    _web("llama-3.1-8b", "16", LLAMA31, Plan(task="lora", seq=512), ROUNDED),
    _web("llama-3.1-8b", "6", LLAMA31, Plan(task="qlora", seq=512), ROUNDED),
    _web("llama-3.1-70b", "160", LLAMA31, Plan(task="lora", seq=512)),
    _web("llama-3.1-70b", "48", LLAMA31, Plan(task="qlora", seq=512)),
    Published(
        model="llama-65b",
        plan=Plan(task="full", optimizer="adamw-no-copy"),
        scope="states",
        gb="780",
        source="QLoRA, arXiv:2305.14314, section 1",
        measured=False,
    ),
    _spheron("llama-3-8b", "88", "full", SEVEN),
    _spheron("llama-3-8b", "20", "lora"),
    _spheron("llama-3-8b", "8", "qlora"),
    _spheron("qwen2.5-14b", "174", "full"),
    _spheron("qwen2.5-14b", "35", "lora"),
    _spheron("qwen2.5-32b", "394", "full"),
    _spheron("qwen2.5-32b", "76", "lora"),
    _spheron("llama-3-70b", "860", "full"),
    _spheron("llama-3-70b", "159", "lora"),
    _spheron("llama-3-70b", "52", "qlora"),
    _web("llama-3-8b", "65", GIGAGPU, Plan(task="full", seq=512, optimizer="adamw-16bit", dtype="float16")),
    _web("llama-3-8b", "22", GIGAGPU, Plan(task="lora", seq=512, dtype="float16")),
    _web("llama-3-8b", "10", GIGAGPU, Plan(task="qlora", seq=512, dtype="int4"), INT4),
)

"""Terms of a model's memory on one GPU: bytes, formula, source, and how far each may be off.

Letters: P parameters, s sequence, b batch, L layers, h hidden, i intermediate (of the experts a token meets),
q and kv widths of query and key, a heads, v vocabulary, e bytes of a computed number, N GPUs.
"""

from collections.abc import Iterator

from msgspec import Struct

from stellwerk.engine.advice.fit.plan import (
    DIVIDED,
    SHARDED,
    TARGETS,
    Plan,
    compute_bytes,
    weight_precision,
)
from stellwerk.engine.advice.fit.shape import (
    FULL_PRECISION,
    ModelShape,
    embedding_parameters,
    linear_parameters,
    matrices,
    parameters,
    small_parameters,
)

MIB = 1 << 20
ZERO = "ZeRO, arXiv:1910.02054, section 3.1"
RECOMPUTATION = "Korthikanti et al., arXiv:2205.05198, section 4, for FlashAttention, arXiv:2205.14135"
LORA = "LoRA, arXiv:2106.09685, section 4.1"
QLORA = "QLoRA, arXiv:2305.14314, section 3"
KV = "vLLM, arXiv:2309.06180, section 3"
ASSUMED = "an assumption, see docs/reference/fit.md"
# CUDA's context with loaded kernels, and NCCL's buffers: assumptions, with what was seen elsewhere as range.
CUDA_BYTES, CUDA_LOW, CUDA_HIGH = 768 * MIB, 256 * MIB, 1536 * MIB
NCCL_BYTES, NCCL_LOW, NCCL_HIGH = 1024 * MIB, 256 * MIB, 2560 * MIB
FRAGMENTATION_PERCENT, FRAGMENTATION_MOST_PERCENT = 5, 15


class Term(Struct, frozen=True, kw_only=True):
    """Bytes on each GPU, as estimated, at least and at most."""

    name: str
    nbytes: int
    low: int
    high: int
    formula: str
    source: str


class _Basis(Struct, frozen=True):
    """A model and a plan that fit one another."""

    shape: ModelShape
    plan: Plan

    @property
    def element(self) -> int:
        return compute_bytes(self.shape, self.plan)

    @property
    def packed(self) -> bool:
        return weight_precision(self.shape, self.plan).name not in FULL_PRECISION

    @property
    def tensor_parallel(self) -> int:
        return self.plan.gpus if self.plan.divided_as == "tp" else 1

    def term(self, name: str, nbytes: int, error: tuple[int, int], words: tuple[str, str]) -> Term:
        """`error` is percent below and above; what the strategy divides is divided by N, rounded up."""
        formula, source = words
        if name in DIVIDED[self.plan.divided_as] and self.plan.gpus > 1:
            nbytes, formula = -(-nbytes // self.plan.gpus), f"({formula}) / N"
        low, high = nbytes * (100 - error[0]) // 100, -(-nbytes * (100 + error[1]) // 100)
        return Term(name=name, nbytes=nbytes, low=low, high=high, formula=formula, source=source)


def terms(shape: ModelShape, plan: Plan) -> tuple[Term, ...]:
    """All terms that are not 0, in a fixed order; the plan was checked."""
    basis = _Basis(shape, plan)
    allocated = [term for term in (*_states(basis), *_working_set(basis)) if term.nbytes]
    return (*allocated, *_around(plan, allocated))


def weight_bytes(shape: ModelShape, plan: Plan) -> int:
    """All weights: matrices of the blocks as they are packed, the rest as it is computed with."""
    rest = embedding_parameters(shape) + small_parameters(shape)
    return weight_precision(shape, plan).nbytes(linear_parameters(shape)) + rest * compute_bytes(shape, plan)


def adapter_parameters(shape: ModelShape, plan: Plan) -> int:
    """LoRA's A (inputs x rank) and B (rank x outputs) beside each target of each block and expert."""
    if plan.task not in ("lora", "qlora"):
        return 0
    targets = [each for each in matrices(shape) if each.name in TARGETS[plan.targets]]
    return shape.layers * sum((each.inputs + each.outputs) * each.copies for each in targets) * plan.rank


def _states(basis: _Basis) -> Iterator[Term]:
    """Weights, and for training what the optimizer needs: 16 bytes a parameter for mixed AdamW."""
    shape, plan = basis.shape, basis.plan
    packed = weight_precision(shape, plan)
    formula = f"P e, e = {basis.element}"
    if packed.group > 1 or packed.bits < 16:
        formula = f"{packed.bits}/{packed.group} bits of matrices + {basis.element} bytes of the rest"
    source = QLORA if packed.name == "nf4" else ZERO
    yield basis.term("weights", weight_bytes(shape, plan), (0, 15 if basis.packed else 3), (formula, source))
    if not plan.trains:
        return
    adapters = adapter_parameters(shape, plan)
    # PEFT keeps adapters in 32 bits under autocast; pure 16-bit training does not.
    width = basis.element if plan.task == "full" or plan.optimizer == "adamw-16bit" else 4
    words = "P = r x (inputs + outputs) of each target", LORA
    yield basis.term("adapters", adapters * width, (0, 0), words)
    trained = parameters(shape) if plan.task == "full" else adapters
    yield basis.term("gradients", trained * width, (0, 20), (f"{width} x P trained", ZERO))
    master = 0 if width == 4 else 4
    states = {"adamw": 8 + master, "adamw-no-copy": 8, "adamw-16bit": 2 * width, "adamw-8bit": 2}
    state = states[plan.optimizer]
    yield basis.term("optimizer", trained * state, (0, 10), (f"{state} x P trained ({plan.optimizer})", ZERO))
    if plan.divided_as in SHARDED and plan.gpus > 1:
        block = weight_precision(shape, plan).nbytes(linear_parameters(shape) // shape.layers)
        words = "2 blocks: one computes, one arrives", "PyTorch FSDP, arXiv:2304.11277, section 3"
        yield basis.term("gathered", 2 * block, (50, 100), words)


def _working_set(basis: _Basis) -> Iterator[Term]:
    """Activations, logits, KV cache."""
    shape, plan, e = basis.shape, basis.plan, basis.element
    if plan.trains:
        yield _training_activations(basis)
        if shape.kind.decoder:
            logits = -(-plan.batch * plan.seq // plan.loss_chunks) * shape.vocab * (e + 8)
            words = "s b v (e + 4 + 4) / chunks", "transformers: logits, their 32-bit copy, its gradient"
            yield basis.term("logits", logits, (60, 40), words)
        return
    yield _inference_activations(basis)
    if shape.kind.decoder:
        words = "b v (e + 4)", "logits of each sequence's last token, and their 32-bit copy"
        yield basis.term("logits", plan.batch * shape.vocab * (e + 4), (50, 100), words)
        tokens = plan.batch * min(plan.seq, shape.window or plan.seq)
        copies = basis.tensor_parallel * -(-shape.kv_heads // basis.tensor_parallel)
        cache = 2 * shape.layers * copies * shape.head_dim * tokens * e
        yield basis.term("kv cache", cache, (0, 5), ("2 L kv s b e", KV))


def _training_activations(basis: _Basis) -> Term:
    """What the backward pass reads. Tensor parallelism divides inside attention and MLP only."""
    shape, plan, e = basis.shape, basis.plan, basis.element
    tokens = plan.batch * plan.seq
    width = shape.intermediate * shape.experts_per_token * (4 if shape.kind.gated else 2)
    inside = -(-(2 * shape.q + 2 * shape.kv + width) // basis.tensor_parallel)
    block = tokens * (e * (4 * shape.hidden + inside) + 4 * shape.heads)
    mlp = "4 i" if shape.kind.gated else "2 i"
    if plan.checkpointing:
        nbytes = shape.layers * tokens * shape.hidden * e + block
        formula = f"s b (L h e + e (4 h + 2 q + 2 kv + {mlp}) + 4 a)"
    else:
        nbytes, formula = shape.layers * block, f"L s b (e (4 h + 2 q + 2 kv + {mlp}) + 4 a)"
    # Measured: LitGPT with packed weights keeps up to twice what this formula says (docs/reference/fit.md).
    return basis.term("activations", nbytes, (30, 100 if basis.packed else 40), (formula, RECOMPUTATION))


def _inference_activations(basis: _Basis) -> Term:
    """One block's tensors while a sequence is read; an encoder reads its whole batch at once."""
    shape, plan = basis.shape, basis.plan
    tokens = plan.seq * (1 if shape.kind.decoder else plan.batch)
    width = shape.intermediate * shape.experts_per_token * (3 if shape.kind.gated else 2)
    inside = -(-(shape.q + 2 * shape.kv + width) // basis.tensor_parallel)
    mlp = "3 i" if shape.kind.gated else "2 i"
    words = (
        f"s e (4 h + q + 2 kv + {mlp})",
        "the block's tensors, nothing kept; a server that reads in parts needs less",
    )
    return basis.term("activations", tokens * basis.element * (4 * shape.hidden + inside), (80, 50), words)


def _around(plan: Plan, allocated: list[Term]) -> Iterator[Term]:
    """What the model does not ask for, and the GPU holds nevertheless."""
    inside = sum(term.nbytes for term in allocated)
    most = sum(term.high for term in allocated)
    yield Term(
        name="fragmentation",
        nbytes=inside * FRAGMENTATION_PERCENT // 100,
        low=0,
        high=most * FRAGMENTATION_MOST_PERCENT // 100,
        formula=f"{FRAGMENTATION_PERCENT} % of the above, 0 to {FRAGMENTATION_MOST_PERCENT} %",
        source=ASSUMED,
    )
    yield Term(
        name="cuda context",
        nbytes=CUDA_BYTES,
        low=CUDA_LOW,
        high=CUDA_HIGH,
        formula="768 MiB, 256 to 1536 MiB",
        source=ASSUMED,
    )
    if plan.gpus > 1:
        yield Term(
            name="nccl",
            nbytes=NCCL_BYTES,
            low=NCCL_LOW,
            high=NCCL_HIGH,
            formula="1024 MiB, 256 to 2560 MiB",
            source=ASSUMED,
        )

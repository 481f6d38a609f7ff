"""What is to be run: the task with its sizes and its way to divide the model over GPUs."""

from typing import Literal

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.advice.fit.shape import FULL_PRECISION, PRECISIONS, ModelShape, Quantization

Task = Literal["inference", "full", "lora", "qlora"]
TASKS: tuple[Task, ...] = ("inference", "full", "lora", "qlora")
# What each strategy divides by the number of GPUs; the rest is there on each. ZeRO: Rajbhandari et al. 2019,
# section 5 (stages os, os+g, os+g+p); FSDP's FULL_SHARD is stage 3. TP: Megatron-LM, Shoeybi et al. 2019.
DIVIDED: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "ddp": frozenset(),
    "zero1": frozenset({"optimizer"}),
    "zero2": frozenset({"optimizer", "gradients"}),
    "zero3": frozenset({"optimizer", "gradients", "weights", "adapters"}),
    "fsdp": frozenset({"optimizer", "gradients", "weights", "adapters"}),
    "tp": frozenset({"optimizer", "gradients", "weights", "adapters", "kv cache", "logits"}),
}
STRATEGIES = tuple(DIVIDED)
SHARDED = frozenset({"zero3", "fsdp"})
# Bytes of optimizer states per trained parameter beside weight and gradient, where these have 16 bits.
# adamw keeps a 32-bit copy of 16-bit weights and two 32-bit moments; no-copy the moments only.
OPTIMIZERS = ("adamw", "adamw-no-copy", "adamw-16bit", "adamw-8bit")
TARGETS: dict[str, frozenset[str]] = {
    "all": frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    "attention": frozenset({"q_proj", "k_proj", "v_proj", "o_proj"}),
    "qv": frozenset({"q_proj", "v_proj"}),
}
MOST_SEQ, MOST_BATCH, MOST_GPUS, MOST_RANK = 1 << 24, 1 << 20, 1 << 16, 1 << 14


class Plan(Struct, frozen=True, kw_only=True):
    """`batch`: sequences at once, per GPU where GPUs share nothing but weights' parts, else over all (tp).

    `strategy` "" takes the usual one: none on one GPU, tp for inference, zero3 for training. `dtype` "" takes
    the model's own (qlora: nf4). `loss_chunks`: the loss is computed in so many parts.
    """

    task: Task = "inference"
    seq: int = 2048
    batch: int = 1
    gpus: int = 1
    strategy: str = ""
    dtype: str = ""
    rank: int = 16
    targets: str = "all"
    optimizer: str = "adamw"
    checkpointing: bool = True
    loss_chunks: int = 1

    @property
    def divided_as(self) -> str:
        """The strategy, the usual one if none was asked for."""
        if self.strategy:
            return self.strategy
        if self.gpus == 1:
            return "none"
        return "tp" if self.task == "inference" else "zero3"

    @property
    def trains(self) -> bool:
        """Whether there are gradients."""
        return self.task != "inference"


def weight_precision(shape: ModelShape, plan: Plan) -> Quantization:
    """How the blocks' matrices are stored."""
    if plan.dtype:
        return PRECISIONS[plan.dtype]
    if plan.task == "qlora":
        return shape.quantization or PRECISIONS["nf4"]
    return shape.quantization or PRECISIONS[shape.dtype]


def compute_bytes(shape: ModelShape, plan: Plan) -> int:
    """Bytes of a number where it is computed with: of activations, KV cache, embeddings, unpacked weights."""
    dtype = plan.dtype if plan.dtype in FULL_PRECISION else shape.dtype
    # A packed model computes in 16 bits, whatever its config states for the unpacked one.
    return 4 if dtype == "float32" and weight_precision(shape, plan).bits == 32 else 2


def check_plan(shape: ModelShape, plan: Plan) -> None:
    """Raises InvalidInput for a plan that nobody can run, naming the option."""
    _check_sizes(plan)
    _check_words(plan)
    if plan.gpus > 1 and plan.divided_as == "none":
        raise InvalidInput(
            "--strategy none uses one GPU, not {gpus}",
            fix="leave --strategy away, or use one of: {known}",
            gpus=plan.gpus,
            known=", ".join(STRATEGIES[1:]),
        )
    if plan.divided_as == "tp" and shape.heads % plan.gpus:
        raise InvalidInput(
            "tensor parallelism cannot divide {heads} attention heads by {gpus} GPUs",
            fix="use a number of GPUs that divides {heads}, or another --strategy",
            heads=shape.heads,
            gpus=plan.gpus,
        )
    if plan.task == "inference" and plan.divided_as.startswith(("zero", "fsdp")):
        raise InvalidInput(
            "--strategy {strategy} divides what training needs; inference has none of it",
            fix="use --strategy tp, or ddp for copies",
            strategy=plan.divided_as,
        )
    if plan.task in ("full", "lora") and weight_precision(shape, plan).name not in FULL_PRECISION:
        raise InvalidInput(
            "--task {task} cannot train weights in {dtype}",
            fix="use --task qlora, or --dtype bfloat16",
            task=plan.task,
            dtype=weight_precision(shape, plan).name,
        )
    if plan.seq > shape.context and shape.kind.learned_positions:
        raise InvalidInput(
            "--seq {seq} is more than the model has positions: {context}",
            fix="use --seq {context} or less",
            seq=plan.seq,
            context=shape.context,
        )


def _check_sizes(plan: Plan) -> None:
    sizes = [
        ("--seq", plan.seq, MOST_SEQ),
        ("--batch", plan.batch, MOST_BATCH),
        ("--gpus", plan.gpus, MOST_GPUS),
        ("--rank", plan.rank, MOST_RANK),
        ("--loss-chunks", plan.loss_chunks, MOST_SEQ),
    ]
    for option, value, most in sizes:
        if not 1 <= value <= most:
            raise InvalidInput(
                "{option} is {value}, not from 1 to {most}",
                fix="give {option} a number in that range",
                option=option,
                value=value,
                most=most,
            )


def _check_words(plan: Plan) -> None:
    words = [
        ("--task", plan.task, TASKS),
        ("--strategy", plan.strategy or "none", STRATEGIES),
        ("--dtype", plan.dtype or "nf4", tuple(PRECISIONS)),
        ("--targets", plan.targets, tuple(TARGETS)),
        ("--optimizer", plan.optimizer, OPTIMIZERS),
    ]
    for option, value, known in words:
        if value not in known:
            raise InvalidInput(
                "{option} {value} is not known",
                fix="use one of: {known}",
                option=option,
                value=value[:80],
                known=", ".join(known),
            )

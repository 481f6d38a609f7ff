"""Which GPU models hold the estimate, which MIG profile would do, and when not to share."""

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.catalog.gpus import GpuModel
from stellwerk.catalog.mig import MigProfile, mig_model
from stellwerk.engine.advice.fit.estimate import Estimate, estimate_memory
from stellwerk.engine.advice.fit.shape import ModelShape
from stellwerk.engine.decision import Reason

GPU_COUNTS = tuple(1 << power for power in range(11))
# Our rule, not a measurement: fine-tuning of more parameters than this is not put on a part of a GPU's SMs.
MOST_TRAINED_IN_SLICE = 20_000_000_000
GB = 10**9


class Card(Struct, frozen=True, kw_only=True):
    """One GPU model. `fits`: yes (also at the upper end of the error bar), tight (as estimated only), no.

    `least_gpus`: the smallest power of two up to 1024 with which it fits at the upper end; None: none does.
    `mig_profile`: the smallest slice, less than the GPU, that holds the upper end; "" for none.
    """

    gpu: str
    memory_bytes: int
    fits: str
    least_gpus: int | None
    mig_profile: str = ""
    mig_bytes: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """`sharing`: mig (a slice will do), or whole (do not share), with the reasons for it."""

    cards: tuple[Card, ...]
    sharing: str
    reasons: tuple[Reason, ...]

    @property
    def fits(self) -> bool:
        """Whether one of the GPU models holds it, at least as estimated."""
        return any(card.fits != "no" for card in self.cards)


def judge(estimate: Estimate, shape: ModelShape, gpus: tuple[GpuModel, ...]) -> Verdict:
    """The verdict over these GPU models (one or more), largest memory last; ties by id."""
    wanted = _least_by_need(estimate, shape)
    ordered = sorted(gpus, key=lambda gpu: (gpu.memory_bytes, gpu.id))
    cards = tuple(_card(estimate, gpu, wanted) for gpu in ordered)
    reasons = _reasons(estimate, cards)
    return Verdict(cards=cards, sharing="whole" if reasons else "mig", reasons=reasons)


def _least_by_need(estimate: Estimate, shape: ModelShape) -> list[tuple[int, int]]:
    """(GPUs, bytes at the upper end on each), with the strategy that was asked for or the usual one."""
    plan = estimate.plan
    alone = plan.strategy in ("", "none")
    found: list[tuple[int, int]] = []
    for count in GPU_COUNTS:
        strategy = "" if alone or count == 1 else plan.strategy
        tried = replace(plan, gpus=count, strategy=strategy)
        if tried.divided_as == "tp" and shape.heads % count:
            continue
        found.append((count, estimate_memory(estimate.model, shape, tried).high))
    return found


def _card(estimate: Estimate, gpu: GpuModel, wanted: list[tuple[int, int]]) -> Card:
    memory = gpu.memory_bytes
    fits = "yes" if estimate.high <= memory else "tight" if estimate.total <= memory else "no"
    slice_ = _slice(estimate, gpu)
    return Card(
        gpu=gpu.id,
        memory_bytes=memory,
        fits=fits,
        least_gpus=next((count for count, need in wanted if need <= memory), None),
        mig_profile="" if slice_ is None else slice_.name,
        mig_bytes=0 if slice_ is None else slice_.memory_bytes or 0,
    )


def _slices(gpu: GpuModel) -> list[MigProfile]:
    """Profiles smaller than the GPU whose memory is known, without those with media or graphics engines."""
    table = mig_model(gpu.id)
    if table is None:
        return []
    return [
        profile
        for profile in table.profiles
        if profile.memory_bytes is not None
        and profile.compute_slices < table.compute_slices
        and not any(mark in profile.name for mark in ("+", "-"))
    ]


def _slice(estimate: Estimate, gpu: GpuModel) -> MigProfile | None:
    holding = [each for each in _slices(gpu) if (each.memory_bytes or 0) >= estimate.high]
    return min(holding, key=lambda each: (each.memory_bytes, each.compute_slices, each.name), default=None)


def _reasons(estimate: Estimate, cards: tuple[Card, ...]) -> tuple[Reason, ...]:
    """Why not to share; none: a MIG slice holds it, memory and faults apart from the neighbors'."""
    plan = estimate.plan
    found: list[Reason] = []
    if plan.gpus > 1 and not (plan.task == "inference" and estimate.strategy == "ddp"):
        # NVIDIA's MIG User Guide, "Application Considerations": no GPU-to-GPU P2P, neither PCIe nor NVLink.
        found.append(Reason("nvlink", NVLINK, {"gpus": plan.gpus}))
    if not any(card.mig_profile for card in cards):
        found.append(Reason("memory", MEMORY, {"need": -(-estimate.high // GB)}))
    if plan.task == "full":
        found.append(Reason("full", FULL))
    elif plan.trains and estimate.parameters > MOST_TRAINED_IN_SLICE:
        values = {"billions": estimate.parameters // GB, "most": MOST_TRAINED_IN_SLICE // GB}
        found.append(Reason("large", LARGE, values))
    return tuple(found)


NVLINK = "{gpus} GPUs exchange data in every step, and a MIG slice reaches no other GPU over NVLink or PCIe"
MEMORY = "it needs up to {need} GB on each GPU, more than any MIG slice of the GPU models asked about"
FULL = "full fine-tuning keeps all SMs busy for its whole time: a part of a GPU only makes it longer"
LARGE = "it trains {billions} billion parameters; above {most} billion a part of the SMs takes too long"

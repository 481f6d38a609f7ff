"""The verdict on a workload: whole GPUs, a MIG profile, an MPS share, time-slicing, another GPU, or nothing.

Never a share without evidence: what is not measured forbids. The ways are tried from the safest: MIG
separates memory, compute and bandwidth in hardware; MPS limits memory and threads; time-slicing nothing.
"""

from collections.abc import Iterator

from msgspec import Struct

from stellwerk.engine.advice.classify import Kind, classify
from stellwerk.engine.advice.other_model import smaller_model
from stellwerk.engine.advice.profile import COARSE, Profile
from stellwerk.engine.advice.rules import Margins, missing, must_be_whole, must_not_share, partial_profiles
from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.need import GpuFacts
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE

OTHER_MODEL, NOT_ENOUGH_DATA = "other-model", "not-enough-data"
SHARES = (MIG, MPS, TIME_SLICING)
CHOICES = (WHOLE, *SHARES, OTHER_MODEL, NOT_ENOUGH_DATA)
HALF_MILLI = 500
SHARED_BANDWIDTH_MILLI = 400  # Two tenants of 40 % leave a fifth for what both do at once.
MOST_REPLICAS = 4
COARSE_METRIC = "{metric} of {percent} % says only that something ran: measure DCGM_FI_PROF_SM_ACTIVE"
NO_PROFILE = "no MIG profile below the whole GPU has {compute} % of compute and {bandwidth} % of bandwidth"
TOO_MUCH_FOR_MPS = "too much for an MPS share: {compute} % of compute, {bandwidth} % of bandwidth"
FITS = "peak memory fills {memory} % of its share; {metric} p95 {compute} % of a GPU"
SLICED_MEAN_MILLI = 250


class Share(Struct, frozen=True, kw_only=True):
    """A part of a GPU: its method, its limits, and `held_milli`, the part that the tenant pays for."""

    method: str
    memory_bytes: int
    compute_milli: int
    held_milli: int
    profile: str = ""
    replicas: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """`reasons` say why, `risks` what may go wrong; `refused` why the ways before the chosen one do not do.

    `share` is set where the choice is a share, `other_model` where it is another GPU. Head-room: percent
    of the share that the measured peak memory and p95 compute leave; None where nothing is shared.
    """

    workload: str
    choice: str
    kind: Kind
    reasons: tuple[Reason, ...]
    refused: tuple[Reason, ...] = ()
    risks: tuple[Reason, ...] = ()
    risk: str = "none"
    share: Share | None = None
    other_model: str = ""
    memory_headroom_percent: int | None = None
    compute_headroom_percent: int | None = None


def advise(profile: Profile, facts: GpuFacts | None, margins: Margins | None = None) -> Verdict:
    """The verdict on one workload on GPUs of the model that `facts` describe (None: model unknown)."""
    margins = margins or Margins()
    kind = classify(profile)
    if whole := tuple(must_be_whole(profile)):
        return Verdict(workload=profile.name, choice=WHOLE, kind=kind, reasons=whole)
    gaps = tuple(missing(profile, _told(kind), facts))
    if gaps or facts is None:
        return Verdict(workload=profile.name, choice=NOT_ENOUGH_DATA, kind=kind, reasons=gaps)
    if against := tuple(must_not_share(profile, facts, margins)):
        return _exclusive(profile, kind, against, margins)
    return _shared(profile, kind, facts, margins)


def _told(kind: Kind) -> str:
    """The kind where its owner said it: what behavior suggests loosens no rule."""
    return kind.kind if kind.by in ("label", "owner") else "unknown"


BY_CAPACITY = frozenset({"MemoryAboveSlice", "IsolationNeedsMig", "LatencyNeedsMig"})


def _exclusive(profile: Profile, kind: Kind, against: tuple[Reason, ...], margins: Margins) -> Verdict:
    """A GPU of its own; a smaller model where only its size or the lack of MIG speaks against sharing."""
    if all(reason.code in BY_CAPACITY for reason in against):
        found = smaller_model(profile, margins)
        if found is not None:
            model, why = found
            return Verdict(
                workload=profile.name,
                choice=OTHER_MODEL,
                kind=kind,
                reasons=(why, *against),
                risk="medium",
                risks=(Reason("OtherSpeed", "its speed on the other model is computed, not measured"),),
                other_model=model,
            )
    return Verdict(workload=profile.name, choice=WHOLE, kind=kind, reasons=against)


def _shared(profile: Profile, kind: Kind, facts: GpuFacts, margins: Margins) -> Verdict:
    refused: list[Reason] = []
    for way in (_mig, _sliced, _mps):
        found = way(profile, _told(kind), facts, margins)
        if isinstance(found, Share):
            return _verdict_of(profile, kind, found, tuple(refused))
        refused.append(found)
    assert profile.compute is not None, "missing() was asked before"
    if profile.compute_metric in COARSE and margins.on(_compute(profile, _told(kind))) > HALF_MILLI:
        values: dict[str, str | int] = {
            "metric": profile.compute_metric,
            "percent": _compute(profile, _told(kind)) // 10,
        }
        reasons = (Reason("CoarseMetric", COARSE_METRIC, values),)
        return Verdict(workload=profile.name, choice=NOT_ENOUGH_DATA, kind=kind, reasons=reasons)
    return Verdict(workload=profile.name, choice=WHOLE, kind=kind, reasons=tuple(refused))


def _mig(profile: Profile, kind: str, facts: GpuFacts, margins: Margins) -> Share | Reason:
    """The smallest instance for peak memory, p95 compute (p99 with a latency objective) and bandwidth."""
    assert profile.memory is not None and profile.compute is not None, "missing() was asked before"
    if facts.mig is None:
        return Reason("NoMig", "{model} has no MIG", {"model": facts.model})
    compute = margins.on(_compute(profile, kind))
    memory, bandwidth = margins.on(profile.memory.most), margins.on(_bandwidth(profile, kind, 1))
    for each in partial_profiles(facts):
        if (
            each.memory_bytes >= memory
            and each.compute_slices * 1000 >= compute * facts.mig.compute_slices
            and each.size * 1000 >= bandwidth * facts.mig.memory_slices
        ):
            return Share(
                method=MIG,
                memory_bytes=each.memory_bytes,
                compute_milli=each.compute_slices * 1000 // facts.mig.compute_slices,
                held_milli=each.size * 1000 // facts.mig.memory_slices,
                profile=each.name,
            )
    values: dict[str, str | int] = {"compute": compute // 10, "bandwidth": bandwidth // 10}
    return Reason("NoProfile", NO_PROFILE, values)


def _sliced(profile: Profile, kind: str, facts: GpuFacts, margins: Margins) -> Share | Reason:
    """A replica of a time-sliced GPU: for notebooks only, which wait for people most of the time."""
    assert profile.memory is not None and profile.compute is not None, "missing() was asked before"
    if kind != "notebook" or profile.latency_ms is not None or profile.isolated:
        return Reason("NotSliced", "time-slicing bounds neither memory nor waiting: for notebooks only")
    memory = margins.on(profile.memory.most)
    replicas = min(MOST_REPLICAS, facts.memory_bytes // memory)
    if replicas < 2 or profile.compute.mean > SLICED_MEAN_MILLI or profile.compute.mean * replicas > 800:
        values: dict[str, str | int] = {"percent": profile.compute.mean // 10}
        return Reason("TooBusy", "too large or too busy for time-slicing: {percent} % on average", values)
    return Share(
        method=TIME_SLICING,
        memory_bytes=facts.memory_bytes // replicas,
        compute_milli=1000 // replicas,
        held_milli=1000 // replicas,
        replicas=replicas,
    )


def _mps(profile: Profile, kind: str, facts: GpuFacts, margins: Margins) -> Share | Reason:
    """An MPS share with pinned memory limit and active thread percentage; at most half of a GPU."""
    assert profile.memory is not None and profile.compute is not None, "missing() was asked before"
    if profile.latency_ms is not None or profile.isolated:
        return Reason("NotSeparated", "MPS separates neither faults nor latency of its clients")
    memory, compute = margins.on(profile.memory.most), margins.on(_compute(profile, kind))
    bandwidth = margins.on(_bandwidth(profile, kind, 2))
    if memory * 2 > facts.memory_bytes or compute > HALF_MILLI or bandwidth > SHARED_BANDWIDTH_MILLI:
        values: dict[str, str | int] = {"compute": compute // 10, "bandwidth": bandwidth // 10}
        return Reason("TooMuchForMps", TOO_MUCH_FOR_MPS, values)
    return Share(
        method=MPS,
        memory_bytes=memory,
        compute_milli=max(10, compute),
        held_milli=max(1, (memory * 1000 // facts.memory_bytes + compute) // 2),
    )


def _compute(profile: Profile, kind: str) -> int:
    """p95 (p99 with a latency objective), or what half an hour takes: a full hour a day is not in p95.

    A notebook's owner sees his own long runs take longer; nobody else waits.
    """
    assert profile.compute is not None, "missing() was asked before"
    often = profile.compute.p95 if profile.latency_ms is None else profile.compute.p99
    return often if kind == "notebook" else max(often, profile.pattern.sustained_compute)


def _bandwidth(profile: Profile, kind: str, factor: int) -> int:
    """p95 of DRAM active, or what half an hour takes; where not measured, an upper bound from what was.

    Without a kernel there is no traffic, so UTIL and GR_ENGINE bound it. SM active does not, since few SMs
    can draw much of the bandwidth: `factor` times it, where a neighbor would feel it.
    """
    assert profile.compute is not None, "missing() was asked before"
    if profile.bandwidth is not None:
        sustained = 0 if kind == "notebook" else profile.pattern.sustained_bandwidth
        return max(profile.bandwidth.p95, sustained)
    coarse = profile.compute_metric in COARSE
    compute = _compute(profile, kind)
    return compute if coarse else min(1000, factor * compute)


def _verdict_of(profile: Profile, kind: Kind, share: Share, refused: tuple[Reason, ...]) -> Verdict:
    assert profile.memory is not None and profile.compute is not None, "missing() was asked before"
    values: dict[str, str | int] = {
        "memory": (profile.memory.most >> 20) * 100 // (share.memory_bytes >> 20),
        "compute": profile.compute.p95 // 10,
        "metric": profile.compute_metric,
    }
    free = share.memory_bytes - profile.memory.most
    spare = share.compute_milli - profile.compute.p95
    return Verdict(
        workload=profile.name,
        choice=share.method,
        kind=kind,
        reasons=(Reason("Fits", FITS, values),),
        refused=refused,
        risks=tuple(_risks(profile, share)),
        risk={MIG: "low", MPS: "medium"}.get(share.method, "high"),
        share=share,
        memory_headroom_percent=free * 100 // share.memory_bytes,
        compute_headroom_percent=max(0, spare * 100 // share.compute_milli),
    )


def _risks(profile: Profile, share: Share) -> Iterator[Reason]:
    assert profile.compute is not None, "missing() was asked before"
    if profile.compute.most > share.compute_milli:
        values: dict[str, str | int] = {"percent": profile.compute.most // 10}
        yield Reason("Bursts", "bursts up to {percent} % of a GPU will take longer", values)
    if profile.bandwidth is None:
        yield Reason("NoBandwidth", "memory bandwidth (DCGM_FI_PROF_DRAM_ACTIVE) was not measured")
    if profile.compute_metric in COARSE:
        coarse = {"metric": profile.compute_metric}
        yield Reason("Coarse", "{metric} is an upper bound: a smaller share may do", coarse)
    if share.method == MPS:
        yield Reason("MpsFaults", "a fatal fault of one MPS client ends all clients of the GPU")
    if share.method == TIME_SLICING:
        yield Reason("NoMemoryLimit", "no limit on memory: one replica can take what others need")

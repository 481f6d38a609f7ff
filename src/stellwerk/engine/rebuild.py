"""Rebuild jobs from measured use: what ran, when, on how many GPUs, and what it took of them.

A pod is a job from its start to its completion where kube-state-metrics tells them, else from its first
sample to one interval after its last: then all pods together hold, on average, what they held, for one that
is shorter than an interval is seen with the chance of its length, and counts as one interval when it is. A
pod that no scrape saw is a job if kube-state-metrics tells its GPUs, start and end, not its use.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import NS_PER_S, Demand, Job, LeftOut, demand_of
from stellwerk.engine.stays import HeldStay, stays_of, unknown_in_holes_ms
from stellwerk.engine.usage import FB_USED, GR_ENGINE, SM_ACTIVE, UTIL, PodUse, Samples, Usage

NS_PER_MS = 1_000_000
MIB = 1024 * 1024
MS_PER_MIN = 60_000
LENGTH_GUESSED = (
    "{count} of {all} pods have no start or no end in kube-state-metrics: "
    "they count from the first sample to one interval after the last."
)
NO_REQUESTS = (
    "No request for a GPU is known (kube_pod_container_resource_requests): "
    "pods that no scrape saw are not among the jobs."
)
NOT_SCRAPED = "{count} pods were in no scrape: their GPUs, start and end are those of kube-state-metrics."
IN_HOLE = "{count} pods began or ended in a hole, nobody knows when: half of it is taken to be theirs."
HOLES_UNKNOWN = "Holes leave {minutes} GPU-minutes unknown: so much more or less may have been held."
DAY_NS = 86_400 * NS_PER_S
# What counts as compute, best first, and how many milli-GPU one of its milli-units is (as a fraction).
COMPUTE = ((SM_ACTIVE, 1, 1), (GR_ENGINE, 1, 1), (UTIL, 1, 100))


class Rebuilt(Struct, frozen=True, kw_only=True):
    """The jobs, and the GPU-time (milliseconds) that pods were measured to hold."""

    demand: Demand
    held_gpu_ms: int


class Judged(Struct, frozen=True):
    """What advice says of a pod: its kind, and the way of sharing ("": none)."""

    kind: str = "unknown"
    advised: str = ""


def demand_from_usage(name: str, usage: Usage, judged: Sequence[Judged]) -> Rebuilt:
    """Jobs of a usage; times count from its first sample. Pods without a device are left out and counted.

    `judged` is one for each of the usage's pods: a service ends by the clock, a batch by its work.
    """
    start_ns = usage.start_ms * NS_PER_MS
    period_ns = max(1, (usage.end_ms - usage.start_ms) * NS_PER_MS)
    told = {id(pod): one for pod, one in zip(usage.pods, judged, strict=True)}
    stays = stays_of(usage)
    jobs = [_job(stay, usage.start_ms, name, told[id(stay.pod)]) for name, stay in _named(stays)]
    demand = demand_of(name, start_ns, period_ns, jobs)
    without = len(usage.pods) - len(stays)
    left_out = (LeftOut(without, "pods held no GPU in any sample"),) if without else ()
    held = sum((stay.end_ms - stay.start_ms) * stay.gpus for stay in stays)
    noted = Demand(
        name=demand.name,
        start_ns=start_ns,
        period_ns=period_ns,
        jobs=demand.jobs,
        left_out=left_out,
        notes=tuple(_notes(usage, stays)),
    )
    return Rebuilt(demand=noted, held_gpu_ms=held)


def _named(stays: Sequence[HeldStay]) -> Iterable[tuple[str, HeldStay]]:
    """A job's name is its pod's; a pod that came back under the same name is told apart by its start."""
    seen: set[str] = set()
    for stay in sorted(stays, key=lambda stay: (stay.start_ms, stay.pod.name, stay.pod.container)):
        pod = stay.pod
        name = pod.name if pod.name not in seen else f"{pod.name}@{stay.start_ms}"
        seen.add(name)
        yield name, stay


def _job(stay: HeldStay, start_ms: int, name: str, judged: Judged) -> Job:
    pod, devices = stay.pod, stay.gpus
    memory = pod.series.get(FB_USED)
    compute = _compute_milli(pod)
    return Job(
        name=name,
        team=pod.team or pod.namespace,
        kind=judged.kind,
        advised=judged.advised,
        arrival_ns=(stay.start_ms - start_ms) * NS_PER_MS,
        duration_ns=(stay.end_ms - stay.start_ms) * NS_PER_MS,
        gpus=devices,
        memory_bytes=None if memory is None or devices > 1 else _peak(memory) * MIB // 1000,
        compute_milli=None if compute is None or devices > 1 else _percentile(compute, 95),
        used_milli=None if compute is None else _mean(compute),
        whole=devices > 1,
    )


def _compute_milli(pod: PodUse) -> list[int] | None:
    """The pod's compute in thousandths of a GPU, by the best metric that is there; at most a whole GPU."""
    for metric, numerator, denominator in COMPUTE:
        found = pod.series.get(metric)
        if found is not None and len(found.values_milli):
            return [min(1000, -(-value * numerator // denominator)) for value in found.values_milli]
    return None


def _peak(samples: Samples) -> int:
    return max(samples.values_milli, default=0)


def _percentile(values: list[int], percent: int) -> int:
    """Nearest rank."""
    return sorted(values)[-(-percent * len(values) // 100) - 1]


def _mean(values: list[int]) -> int:
    return sum(values) // len(values)


def _notes(usage: Usage, stays: Sequence[HeldStay]) -> Iterable[str]:
    yield from _doubts(usage, stays)
    yield "A pod is taken to have waited for nothing: measured use does not tell how long it did."
    for warning in usage.warnings:
        yield str(warning)


def _doubts(usage: Usage, stays: Sequence[HeldStay]) -> Iterable[str]:
    """How the held time rests on guesses, each with its size."""
    guessed = sum(not (stay.pod.start_told and stay.pod.end_told) for stay in stays)
    if guessed:
        yield str(Reason("LengthGuessed", LENGTH_GUESSED, {"count": guessed, "all": len(stays)}))
    if not any(pod.resources for pod in usage.pods):
        yield NO_REQUESTS
    if unseen := sum(not stay.pod.devices for stay in stays):
        yield str(Reason("NotScraped", NOT_SCRAPED, {"count": unseen}))
    if halved := sum(stay.in_hole for stay in stays):
        yield str(Reason("InHole", IN_HOLE, {"count": halved}))
    if unknown := unknown_in_holes_ms(usage, stays):
        yield str(Reason("HolesUnknown", HOLES_UNKNOWN, {"minutes": -(-unknown // MS_PER_MIN)}))

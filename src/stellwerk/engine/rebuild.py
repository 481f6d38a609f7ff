"""Rebuild jobs from measured use: what ran, when, on how many GPUs, and what it took of them.

A pod is a job from its first sample to one interval after its last; a hole in the samples that it spans does
not end it. What started and ended between two scrapes was never seen, and is not there.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from stellwerk.engine.demand import NS_PER_S, Demand, Job, LeftOut, demand_of
from stellwerk.engine.usage import FB_USED, GR_ENGINE, SM_ACTIVE, UTIL, PodUse, Samples, Usage

NS_PER_MS = 1_000_000
MIB = 1024 * 1024
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
    with_gpu = [pod for pod in usage.pods if pod.devices and pod.end_ms > pod.start_ms]
    jobs = [_job(pod, usage.start_ms, name, told[id(pod)]) for name, pod in _named(with_gpu)]
    demand = demand_of(name, start_ns, period_ns, jobs)
    without = len(usage.pods) - len(with_gpu)
    left_out = (LeftOut(without, "pods held no GPU in any sample"),) if without else ()
    held = sum((pod.end_ms - pod.start_ms) * len(pod.devices) for pod in with_gpu)
    noted = Demand(
        name=demand.name,
        start_ns=start_ns,
        period_ns=period_ns,
        jobs=demand.jobs,
        left_out=left_out,
        notes=tuple(_notes(usage)),
    )
    return Rebuilt(demand=noted, held_gpu_ms=held)


def _named(pods: Sequence[PodUse]) -> Iterable[tuple[str, PodUse]]:
    """A job's name is its pod's; a pod that came back under the same name is told apart by its start."""
    seen: set[str] = set()
    for pod in sorted(pods, key=lambda pod: (pod.start_ms, pod.name, pod.container)):
        name = pod.name if pod.name not in seen else f"{pod.name}@{pod.start_ms}"
        seen.add(name)
        yield name, pod


def _job(pod: PodUse, start_ms: int, name: str, judged: Judged) -> Job:
    memory = pod.series.get(FB_USED)
    compute = _compute_milli(pod)
    devices = len(pod.devices)
    return Job(
        name=name,
        team=pod.team or pod.namespace,
        kind=judged.kind,
        advised=judged.advised,
        arrival_ns=(pod.start_ms - start_ms) * NS_PER_MS,
        duration_ns=(pod.end_ms - pod.start_ms) * NS_PER_MS,
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


def _notes(usage: Usage) -> Iterable[str]:
    yield "Jobs are rebuilt from samples: what began and ended between two scrapes is not among them."
    yield "A pod is taken to have waited for nothing: measured use does not tell how long it did."
    for warning in usage.warnings:
        yield str(warning)

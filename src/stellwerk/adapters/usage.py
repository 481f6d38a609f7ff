"""Measured use of running pods, one row a pod and minute: what sharing by measured need would have done.

Columns: pod, minute (from 0), duty_pct (share of the minute in which the GPU was busy, 0 to 100), mem_mib
(GPU memory in use): the form of Alibaba's GenTD26 extract. A reading that is missing is left empty. One whole
GPU per pod is assumed.

The plan knows the first `plan_minutes` only: a pod's need is its peak memory and the 95th percentile (nearest
rank) of its compute there. It is judged on the rest: the replay begins where the plan ends.
"""

from collections.abc import Iterator

from msgspec import Struct, structs

from stellwerk.adapters.files import MIB
from stellwerk.adapters.rows import Cell, Table, decimal_number, place, read_table, whole_number
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_S, Demand, Job, LeftOut, demand_of

USAGE_COLUMNS = ("pod", "minute", "duty_pct", "mem_mib")
PLAN_MINUTES = 720
_NS_PER_MINUTE = 60 * NS_PER_S
_MINUTE_LIMIT = 366 * 24 * 60
_MEMORY_LIMIT_MIB = 1 << 20  # 1 TiB: more than any GPU has.
_SCALE = 10**18  # Readings are kept as whole numbers of 1e-18: sums are exact in any order.

NOT_JUDGED = "pods have no sample after the minutes that were planned on"

PLANNED = "Needs are planned on the first {plan} minutes and judged on the {judged} minutes after them."
NEEDS = "A pod's need is its peak GPU memory and the 95th percentile of its GPU's duty cycle while planning."
UNKNOWN_NEEDS = "{count} pods have no reading to plan on: their need is unknown, so they get whole GPUs."
ONE_GPU = "Each pod is taken to hold one GPU; the table does not name its model."
NO_TEAM = "The table names no teams: all pods count as one."
NO_CALENDAR = "The table has no calendar: the first judged minute is shown as 1970-01-01 00:00."
CACHED = "Memory in use may be more than memory needed, since allocators keep what they freed."


class _Half:
    """A pod's samples in one part of the time, as whole numbers of 1e-18 percent and MiB."""

    __slots__ = ("duties", "peak")

    def __init__(self) -> None:
        self.duties: list[int] = []
        self.peak: int | None = None


class _Pod:
    """A pod's samples: planned and judged, and the minutes seen."""

    __slots__ = ("judged", "minutes", "planned")

    def __init__(self) -> None:
        self.planned, self.judged = _Half(), _Half()
        self.minutes: set[int] = set()


class UsageRow(Struct, frozen=True):
    """One sample: `duty` and `mem_mib` in whole numbers of 1e-18 (percent, MiB), None where missing."""

    pod: str
    minute: int
    duty: int | None
    mem_mib: int | None


def usage_demand(content: bytes, source: str, plan_minutes: int = PLAN_MINUTES) -> Demand:
    """The pods of a usage table as jobs, planned on its first `plan_minutes`, judged on the rest."""
    pods = _gather(read_table(content, source), plan_minutes)
    judged = {name: pod for name, pod in pods.items() if max(pod.minutes) >= plan_minutes}
    if not judged:
        raise InvalidInput(
            "{name} has no sample after minute {plan}, so nothing can be judged",
            fix="plan on fewer hours with --plan-hours, or bring more samples",
            source=source,
            name=source,
            plan=plan_minutes - 1,
        )
    # Numbers alone would read badly as names of pods.
    prefix = "pod-" if all(name.isdigit() for name in judged) else ""
    jobs = [_job(prefix + name, pod, plan_minutes) for name, pod in judged.items()]
    minutes = max(max(pod.minutes) for pod in judged.values()) + 1 - plan_minutes
    unknown = sum(job.memory_bytes is None or job.compute_milli is None for job in jobs)
    left_out = len(pods) - len(judged)
    return structs.replace(
        demand_of(source, 0, minutes * _NS_PER_MINUTE, jobs),
        left_out=(LeftOut(left_out, NOT_JUDGED),) if left_out else (),
        notes=tuple(_notes(plan_minutes, minutes, unknown)),
    )


def known_usage(content: bytes, source: str, from_minute: int = 0) -> Demand:
    """The pods with samples from `from_minute` on as jobs whose need is their use from then on.

    This is the bound of hindsight: a plan that knew what it is judged by. Peak memory and p95 compute.
    """
    pods = _gather(read_table(content, source), from_minute)
    later = {name: pod for name, pod in pods.items() if max(pod.minutes) >= from_minute}
    prefix = "pod-" if all(name.isdigit() for name in later) else ""
    jobs = []
    for name, pod in later.items():
        pod.planned = pod.judged
        jobs.append(_job(prefix + name, pod, from_minute))
    minutes = max((max(pod.minutes) for pod in later.values()), default=from_minute) + 1 - from_minute
    return demand_of(source, 0, minutes * _NS_PER_MINUTE, jobs)


def nearest_rank(sorted_values: list[int], percent: int) -> int:
    """The smallest value that is not below `percent` of all values; the list is sorted and not empty."""
    return sorted_values[-(-percent * len(sorted_values) // 100) - 1]


def _job(name: str, pod: _Pod, plan_minutes: int) -> Job:
    """A pod as a job that arrives when the judged part begins, or when it first showed up after that."""
    start = max(min(pod.minutes), plan_minutes)
    planned, judged = pod.planned, pod.judged
    duties, used = sorted(planned.duties), judged.duties
    return Job(
        name=name,
        team="pods",
        kind="inference",
        arrival_ns=(start - plan_minutes) * _NS_PER_MINUTE,
        duration_ns=(max(pod.minutes) + 1 - start) * _NS_PER_MINUTE,
        memory_bytes=_bytes(planned.peak),
        # 100 percent are 1000 milli; rounded up, so that a plan never promises less than was measured.
        compute_milli=-(-nearest_rank(duties, 95) * 10 // _SCALE) if duties else None,
        used_milli=sum(used) * 10 // (_SCALE * len(used)) if used else None,
        judged_memory_bytes=_bytes(judged.peak),
    )


def _bytes(mib: int | None) -> int | None:
    """Bytes of a reading in 1e-18 MiB, rounded up."""
    return None if mib is None else -(-mib * MIB // _SCALE)


def _notes(plan_minutes: int, judged_minutes: int, unknown: int) -> Iterator[str]:
    yield PLANNED.format(plan=plan_minutes, judged=judged_minutes)
    yield NEEDS
    if unknown:
        yield UNKNOWN_NEEDS.format(count=unknown)
    yield ONE_GPU
    yield NO_TEAM
    yield NO_CALENDAR
    yield CACHED


def _gather(table: Table, plan_minutes: int) -> dict[str, _Pod]:
    """The samples of each pod in the order of the table; a minute may stand there once a pod."""
    pods: dict[str, _Pod] = {}
    for row, sample in _samples(table):
        pod = pods.get(sample.pod)
        if pod is None:
            pod = pods[sample.pod] = _Pod()
        if sample.minute in pod.minutes or not sample.pod:
            cell = Cell(table.source, row, "minute", str(sample.minute))
            raise InvalidInput(
                'row {row}: the pod "{pod}" has no name, or minute {value} twice',
                fix="keep one row for each pod and minute",
                pod=sample.pod,
                **place(cell),
            )
        pod.minutes.add(sample.minute)
        half = pod.planned if sample.minute < plan_minutes else pod.judged
        if sample.duty is not None:
            half.duties.append(sample.duty)
        if sample.mem_mib is not None:
            half.peak = max(half.peak or 0, sample.mem_mib)
    return pods


def _samples(table: Table) -> Iterator[tuple[int, UsageRow]]:
    """Each row with its number. Readings repeat, so each text is read once only."""
    pod_at, minute_at, duty_at, memory_at = table.places(USAGE_COLUMNS)
    minutes: dict[str, int] = {}
    duties: dict[str, int | None] = {"": None}
    memories: dict[str, int | None] = {"": None}
    for row, fields in table.rows:
        minute, duty, memory = fields[minute_at], fields[duty_at], fields[memory_at]
        if minute not in minutes:
            minutes[minute] = whole_number(Cell(table.source, row, "minute", minute), 0, _MINUTE_LIMIT)
        if duty not in duties:
            duties[duty] = _scaled(Cell(table.source, row, "duty_pct", duty), 100)
        if memory not in memories:
            memories[memory] = _scaled(Cell(table.source, row, "mem_mib", memory), _MEMORY_LIMIT_MIB)
        yield row, UsageRow(fields[pod_at].strip(), minutes[minute], duties[duty], memories[memory])


def _scaled(cell: Cell, high: int) -> int:
    """A reading in 0..high as a whole number of 1e-18, exactly."""
    numerator, denominator = decimal_number(cell, 0, high).as_integer_ratio()
    return numerator * _SCALE // denominator

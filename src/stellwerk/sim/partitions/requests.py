"""What is asked of GPUs at one time: requests for a partition, from manifests, tables or measured use.

Manifests of which one asks for a MIG profile (`nvidia.com/mig-3g.40gb`) or says no duration are asked all at
once; any other demand is asked as at its busiest moment, when the most GPUs would be held.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, structs

from stellwerk.adapters.files import expand, read_raw
from stellwerk.adapters.forms import sniff
from stellwerk.adapters.parquet import MAGIC
from stellwerk.adapters.rows import read_table
from stellwerk.adapters.usage import known_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.inventory import PartitionRequest
from stellwerk.engine.partition.policy import MIG, WHOLE
from stellwerk.sim.demand.builtin import BUILTIN
from stellwerk.sim.demand.load import (
    FLEET_KINDS,
    DemandOptions,
    LoadedDemand,
    is_manifest_file,
    load_demand,
    load_objects,
)
from stellwerk.sim.partitions.manifests import wanted_of


class Asked(Struct, frozen=True, kw_only=True):
    """Requests, and what they were read from.

    Where use was planned ahead, `judged` is what each request's pods really took later (bytes), and
    `hindsight` the same pods with the need that they turned out to have.
    """

    name: str
    requests: tuple[PartitionRequest, ...]
    loaded: LoadedDemand | None = None
    judged: dict[str, int] = {}
    hindsight: tuple[PartitionRequest, ...] = ()
    notes: tuple[str, ...] = ()
    fleet_manifests: tuple[Manifest, ...] = ()


BUSIEST = "The demand is planned as at its busiest moment: {count} pods at once."
OTHERS = "{count} objects are of a kind that is not planned (StatefulSet, DaemonSet, CronJob, ReplicaSet)."
OTHER_KINDS = frozenset({"StatefulSet", "DaemonSet", "CronJob", "ReplicaSet", "ReplicationController"})
ALL_AT_ONCE = "All pods of the manifests are planned at once."


def asked_of(argument: str, methods: tuple[str, ...], plan_hours: int | None, gpu_memory: int) -> Asked:
    """The requests in a demand. `plan_hours`: how much of measured use the plan knows (None: all of it).

    Raises InvalidInput, naming file and field.
    """
    if argument not in BUILTIN and _is_usage(argument):
        return _of_usage(argument, methods, plan_hours)
    if argument not in BUILTIN and (is_manifest_file(argument) or (argument and Path(argument).is_dir())):
        asked = _at_once(argument, load_objects(argument), methods)
        if asked is not None:
            return asked
    loaded = load_demand(argument, options=DemandOptions(gpu_memory_bytes=gpu_memory))
    jobs = _busiest(loaded.demand.jobs)
    note = BUSIEST.format(count=sum(job.pods for job in jobs))
    requests = tuple(request_of(job, methods) for job in jobs)
    return Asked(name=loaded.demand.name, requests=requests, loaded=loaded, notes=(note,))


def request_of(job: Job, methods: tuple[str, ...]) -> PartitionRequest:
    """A job's request: isolation leaves MIG and the whole GPU, `whole` the latter alone."""
    if job.whole:
        methods = (WHOLE,)
    elif job.isolated:
        methods = tuple(method for method in methods if method in (MIG, WHOLE)) or (WHOLE,)
    return PartitionRequest(
        name=job.name,
        pods=job.pods,
        gpus=job.gpus,
        memory_bytes=job.memory_bytes,
        compute_milli=job.compute_milli,
        methods=methods,
    )


def _busiest(jobs: Sequence[Job]) -> list[Job]:
    """The jobs that run together when most GPUs would be held; the first such moment."""
    held, best, when = 0, -1, 0
    changes = [(job.arrival_ns, 1, job.gpus * job.pods) for job in jobs]
    changes += [(job.arrival_ns + job.duration_ns, 0, -job.gpus * job.pods) for job in jobs]
    for moment, _, change in sorted(changes):
        held += change
        if held > best:
            best, when = held, moment
    return [job for job in jobs if job.arrival_ns <= when < job.arrival_ns + job.duration_ns]


def _is_usage(argument: str) -> bool:
    path = Path(argument)
    try:
        if not argument or not path.is_file() or is_manifest_file(argument):
            return False
    except (OSError, ValueError):
        return False
    content = expand(read_raw(path), argument)
    return not content.startswith(MAGIC) and sniff(read_table(content, argument).header, argument) == "usage"


def _of_usage(argument: str, methods: tuple[str, ...], plan_hours: int | None) -> Asked:
    content, name = expand(read_raw(Path(argument)), argument), Path(argument).name
    if plan_hours is None:
        jobs = _busiest(known_usage(content, argument).jobs)
        note = BUSIEST.format(count=len(jobs))
        return Asked(name=name, requests=tuple(request_of(job, methods) for job in jobs), notes=(note,))
    loaded = load_demand(argument, options=DemandOptions(plan_minutes=plan_hours * 60))
    jobs = _busiest(loaded.demand.jobs)
    later = {job.name: job for job in known_usage(content, argument, plan_hours * 60).jobs}
    return Asked(
        name=name,
        requests=tuple(request_of(job, methods) for job in jobs),
        judged={job.name: job.judged_memory_bytes or 0 for job in jobs},
        hindsight=tuple(request_of(later[job.name], methods) for job in jobs),
        notes=(*loaded.demand.notes, BUSIEST.format(count=len(jobs))),
    )


def _at_once(argument: str, manifests: Sequence[Manifest], methods: tuple[str, ...]) -> Asked | None:
    """The manifests planned all at once; None where each says how long it runs, and none names a profile."""
    found = list(wanted_of(manifests))
    if found and all(each.timed and not each.profile for each in found):
        return None
    requests = _combined(
        PartitionRequest(name=each.name, pods=each.pods, profile=each.profile)
        if each.job is None
        else request_of(each.job, methods)
        for each in found
    )
    skipped = sum(manifest.kind in OTHER_KINDS for manifest in manifests)
    name = Path(argument).resolve().name
    if not requests:
        raise InvalidInput(
            "{name} has no Job, Pod or Deployment that asks for a GPU",
            fix="add nvidia.com/gpu or nvidia.com/mig-PROFILE to the limits of a container",
            source=argument,
            name=name,
        )
    return Asked(
        name=name,
        requests=requests,
        fleet_manifests=tuple(item for item in manifests if item.kind in FLEET_KINDS),
        notes=(ALL_AT_ONCE, *([OTHERS.format(count=skipped)] if skipped else [])),
    )


def _combined(requests: Iterable[PartitionRequest]) -> tuple[PartitionRequest, ...]:
    """Sorted by name; a name that two objects bear is told apart by its position."""
    found: dict[str, PartitionRequest] = {}
    for request in requests:
        name, number = request.name, 2
        while name in found:
            name, number = f"{request.name}-{number}", number + 1
        found[name] = structs.replace(request, name=name)
    return tuple(found[name] for name in sorted(found))

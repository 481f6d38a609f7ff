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
from stellwerk.api.groups import apps, batch, core
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.engine.annotations import DURATION, measured_job
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.inventory import PartitionRequest
from stellwerk.engine.partition.policy import MIG, WHOLE
from stellwerk.sim.demand.builtin import BUILTIN
from stellwerk.sim.demand.load import DemandOptions, LoadedDemand, is_manifest_file, load_demand, load_objects

MIG_RESOURCE, GPU_RESOURCE = "nvidia.com/mig-", "nvidia.com/gpu"
MOST_PODS = 100_000
NANO = 1_000_000_000


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


BUSIEST = "The demand is planned as at its busiest moment: {count} pods at once."
ALL_AT_ONCE = "All pods of the manifests are planned at once."


def asked_of(argument: str, methods: tuple[str, ...], plan_hours: int | None, gpu_memory: int) -> Asked:
    """The requests in a demand. `plan_hours`: how much of measured use the plan knows (None: all of it).

    Raises InvalidInput, naming file and field.
    """
    if argument not in BUILTIN and _is_usage(argument):
        return _of_usage(argument, methods, plan_hours)
    if argument not in BUILTIN and (is_manifest_file(argument) or (argument and Path(argument).is_dir())):
        manifests = load_objects(argument)
        found = list(_of_manifests(manifests, methods))
        if any(each.profile for each, _ in found) or not all(timed for _, timed in found):
            requests = _combined(each for each, _ in found)
            return Asked(name=Path(argument).name, requests=requests, notes=(ALL_AT_ONCE,))
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


def _of_manifests(
    manifests: Sequence[Manifest], methods: tuple[str, ...]
) -> Iterable[tuple[PartitionRequest, bool]]:
    """(request, whether a duration stands there) of each Job, Pod and Deployment that asks for a GPU."""
    for manifest in manifests:
        item = manifest.object
        if not isinstance(item, batch.Job | core.Pod | apps.Deployment):
            continue
        spec, pods = _pods_of(item)
        whole, profiles = _asked(manifest, spec)
        if not whole and not profiles:
            continue
        metadata = item.metadata
        name = f"{given(metadata.namespace, 'default')}/{given(metadata.name, '')}"
        timed = DURATION in given(metadata.annotations, {})
        for profile, count in sorted(profiles.items()):
            own = name if len(profiles) == 1 else f"{name}/{profile}"
            yield PartitionRequest(name=own, pods=pods * count, profile=profile), timed
        if whole:
            job = structs.replace(measured_job(manifest, metadata, 1), name=name, pods=pods, gpus=whole)
            yield request_of(job, methods), timed


def _pods_of(item: batch.Job | core.Pod | apps.Deployment) -> tuple[core.PodSpec | None, int]:
    if isinstance(item, core.Pod):
        return item.spec, 1
    count = given(item.spec.parallelism, 1) if isinstance(item, batch.Job) else given(item.spec.replicas, 1)
    spec = item.spec.template.spec
    return (spec if isinstance(spec, core.PodSpec) else None), count


def _asked(manifest: Manifest, spec: core.PodSpec | None) -> tuple[int, dict[str, int]]:
    """Whole GPUs and MIG instances of one pod."""
    whole, profiles = 0, dict[str, int]()
    for position, container in enumerate(() if spec is None else spec.containers):
        resources = given(container.resources, core.ResourceRequirements())
        for resource, quantity in given(resources.limits, {}).items():
            if not resource.startswith((MIG_RESOURCE, GPU_RESOURCE)):
                continue
            if quantity.nanos % NANO or not 0 <= quantity.nanos <= MOST_PODS * NANO:
                raise InvalidInput(
                    "{value} of {resource} is no whole number from 0 to {limit}",
                    fix="ask for whole GPUs or instances; a share is measured use in an annotation",
                    value=str(quantity),
                    resource=resource,
                    limit=MOST_PODS,
                    **manifest.at(f"spec...containers[{position}].resources.limits[{resource}]"),
                )
            count = quantity.nanos // NANO
            if resource == GPU_RESOURCE:
                whole += count
            elif resource.startswith(MIG_RESOURCE) and count:
                # NVIDIA's resource names write 1g.10gb+me as 1g.10gb.me.
                profile = resource.removeprefix(MIG_RESOURCE).replace("gb.", "gb+")
                profiles[profile] = profiles.get(profile, 0) + count
    return whole, profiles


def _combined(requests: Iterable[PartitionRequest]) -> tuple[PartitionRequest, ...]:
    """Sorted by name; a name that two objects bear is told apart by its position."""
    found: dict[str, PartitionRequest] = {}
    for request in requests:
        name, number = request.name, 2
        while name in found:
            name, number = f"{request.name}-{number}", number + 1
        found[name] = structs.replace(request, name=name)
    return tuple(found[name] for name in sorted(found))

"""The Jobs of manifests as a demand for queues: when each is created, and how long it runs."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.kueue import LocalQueue
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.stellwerk import Period
from stellwerk.api.manifests import Manifest
from stellwerk.engine.annotations import ARRIVAL, DURATION, arrival, moment, positive_duration
from stellwerk.engine.queueing.jobs.managed import JobQueues, ManagedJobs, job_queues
from stellwerk.sim.intake.queues import queued_objects

Json = dict[str, Any]
# By group and kind, what is stored as it is written.
_CARRIED = {
    ("scheduling.k8s.io", "PriorityClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("resource.k8s.io", "DeviceClass"),
    ("resource.k8s.io", "ResourceClaimTemplate"),
    ("resource.k8s.io", "ResourceSlice"),
}


class Planned(Struct, frozen=True, kw_only=True):
    """A Job as it is created at `arrival_ns` (UTC, since 1970); it runs for `duration_ns`, undisturbed.

    `is_queued`: whether Kueue manages it.
    """

    object: Json
    arrival_ns: int
    duration_ns: int
    is_queued: bool

    @property
    def name(self) -> tuple[str, str]:
        """Namespace and name."""
        metadata = self.object["metadata"]
        return metadata["namespace"], metadata["name"]


class QueueDemand(Struct, frozen=True, kw_only=True):
    """Jobs in order of arrival, from `start_ns` to `end_ns` (None: until all have ended); other objects."""

    start_ns: int
    end_ns: int | None
    jobs: tuple[Planned, ...]
    objects: tuple[Json, ...]


def queue_demand(manifests: Sequence[Manifest], managed: ManagedJobs | None = None) -> QueueDemand:
    """The Jobs of valid manifests, and queues, quota and nodes as they are from the start.

    `managed`: what Kueue's Configuration says of Jobs.

    Raises InvalidInput for a Job without duration, one that arrives outside of the Period, and a Workload
    whose Job is not there: nothing says how long it runs.
    """
    start, end, name = _period(manifests)
    jobs = [one for one in manifests if isinstance(one.object, Job)]
    times = [(one, _arrival(one)) for one in jobs]
    if start is None:
        start = min((at for _, at in times if at is not None), default=0)
    queues = _queues(manifests, managed or ManagedJobs())
    planned = [_planned(one, start if at is None else at, queues) for one, at in times]
    for one, job in zip(jobs, planned, strict=True):
        if job.arrival_ns < start or (end is not None and job.arrival_ns >= end):
            raise InvalidInput(
                "the arrival lies outside the Period {period}",
                fix="correct the arrival, or the Period's start and duration",
                period=name,
                **one.at(f"metadata.annotations[{ARRIVAL}]"),
            )
    _check_workloads(manifests, {job.name for job in planned})
    _check_names(jobs, planned)
    ordered = sorted(planned, key=lambda job: (job.arrival_ns, job.name))
    return QueueDemand(
        start_ns=start, end_ns=end, jobs=tuple(ordered), objects=tuple(_surroundings(manifests, start))
    )


def _period(manifests: Sequence[Manifest]) -> tuple[int | None, int | None, str]:
    """Start, end and name."""
    declared = [one for one in manifests if isinstance(one.object, Period)]
    if len(declared) > 1:
        raise InvalidInput(
            "there is more than one Period",
            fix="keep the one that is to be replayed",
            **declared[1].at("metadata.name"),
        )
    for one in declared:
        period = one.object
        assert isinstance(period, Period)
        start = moment(one, period.spec.start, "spec.start")
        end = start + positive_duration(one, period.spec.duration, "spec.duration")
        return start, end, given(period.metadata.name, "")
    return None, None, ""


def _arrival(manifest: Manifest) -> int | None:
    job = manifest.object
    assert isinstance(job, Job)
    metadata = job.metadata
    known = ARRIVAL in given(metadata.annotations, {}) or given(metadata.creation_timestamp, "")
    return arrival(manifest, metadata)[0] if known else None


def _queues(manifests: Sequence[Manifest], managed: ManagedJobs) -> JobQueues:
    objects = [one.object for one in manifests]
    namespaces = [one for one in objects if isinstance(one, Namespace)]
    return job_queues(namespaces, [one for one in objects if isinstance(one, LocalQueue)], managed)


def _planned(manifest: Manifest, at: int, queues: JobQueues) -> Planned:
    job = manifest.object
    assert isinstance(job, Job)
    notes = given(job.metadata.annotations, {})
    if DURATION not in notes:
        raise InvalidInput(
            "the annotation {annotation} is missing: a simulation needs to know how long the pods run",
            fix='add it under metadata.annotations, such as {annotation}: "3h30m"',
            annotation=DURATION,
            **manifest.at("metadata.annotations"),
        )
    duration = positive_duration(manifest, notes[DURATION], f"metadata.annotations[{DURATION}]")
    is_queued = queues.queue_of(job) is not None
    created = _created(manifest.raw, is_queued)
    return Planned(object=created, arrival_ns=at, duration_ns=duration, is_queued=is_queued)


def _created(raw: Mapping[str, Any], is_queued: bool) -> Json:
    """The Job as the API server and Kueue's webhook let it in: with defaults, suspended if it has a queue."""
    left_out = ("resourceVersion", "generation", "creationTimestamp", "managedFields")
    metadata = {key: value for key, value in raw["metadata"].items() if key not in left_out}
    metadata.setdefault("namespace", "default")
    spec = {"parallelism": 1, **raw["spec"]}
    spec["suspend"] = is_queued or bool(spec.get("suspend"))
    rest = {key: value for key, value in raw.items() if key not in ("metadata", "spec", "status")}
    return {**rest, "metadata": metadata, "spec": spec}


def _check_workloads(manifests: Sequence[Manifest], jobs: set[tuple[str, str]]) -> None:
    """Workloads of Jobs that are there are made anew."""
    for manifest in manifests:
        workload = manifest.object
        if not isinstance(workload, Workload):
            continue
        namespace = given(workload.metadata.namespace, "default")
        owners = given(workload.metadata.owner_references, ())
        if not any(one.kind == "Job" and (namespace, one.name) in jobs for one in owners):
            raise InvalidInput(
                "the Workload has no Job here: nothing says how long it runs",
                fix="add its Job with the annotation {annotation}, or remove the Workload",
                annotation=DURATION,
                **manifest.at("metadata.ownerReferences"),
            )


def _check_names(jobs: Sequence[Manifest], planned: Sequence[Planned]) -> None:
    seen: dict[tuple[str, str], Manifest] = {}
    for manifest, job in zip(jobs, planned, strict=True):
        if job.name in seen:
            raise InvalidInput(
                "the {kind} {namespace}/{name} is there twice; the first is in {first}, document {number}",
                fix="rename or remove one of the two",
                kind="Job",
                namespace=job.name[0],
                name=job.name[1],
                first=seen[job.name].source,
                number=seen[job.name].document,
                **manifest.at("metadata.name"),
            )
        seen[job.name] = manifest


def _surroundings(manifests: Sequence[Manifest], at: int) -> Iterator[Json]:
    """Queues, quota, flavors, nodes, namespaces, as `queued_objects` completes them; priority classes."""
    objects = queued_objects(manifests, at).objects
    for group in (
        objects.namespaces,
        objects.flavors,
        objects.topologies,
        objects.cohorts,
        objects.admission_checks,
        objects.priority_classes,
        objects.cluster_queues,
        objects.local_queues,
        objects.limit_ranges,
        objects.nodes,
        objects.pods,
    ):
        yield from (_stored(one) for one in group)
    yield from (
        _placed(one) for one in manifests if (one.api_version.partition("/")[0], one.kind) in _CARRIED
    )


def _placed(manifest: Manifest) -> Json:
    """The object as it is written; a template without namespace is in `default`."""
    metadata = {key: value for key, value in manifest.raw["metadata"].items() if key != "resourceVersion"}
    if manifest.kind == "ResourceClaimTemplate":
        metadata.setdefault("namespace", "default")
    return {**manifest.raw, "metadata": metadata}


def _stored(one: Struct) -> Json:

    plain: Json = msgspec.to_builtins(one, enc_hook=str)
    plain["metadata"].pop("resourceVersion", None)
    return plain

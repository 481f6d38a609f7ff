"""Queues, quota and what waits for it, from manifests: the objects that Kueue's decisions are made on.

What the API server and Kueue's own controllers would fill in is filled in: the namespace `default`,
namespaces that no file names, AdmissionChecks without a status as active ones, and a Workload for each Job
with a queue.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.checks.names import check_time
from stellwerk.api.duration import parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import kueue
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.core import LimitRange, Namespace, Node, Pod
from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, ObjectMeta, given
from stellwerk.api.groups.node import RuntimeClass
from stellwerk.api.groups.resource import DeviceClass, ResourceClaimTemplate, ResourceSlice
from stellwerk.api.manifests import Manifest
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.engine.queueing.jobs.managed import NAMESPACE_NAME, ManagedJobs, job_queues, labels_of
from stellwerk.engine.queueing.jobs.workload import PriorityClasses, is_over, workload_of
from stellwerk.engine.queueing.requests.devices.cluster import devices_of
from stellwerk.engine.queueing.requests.pod import with_limits_as_requests
from stellwerk.engine.queueing.snapshot import Objects

_ACTIVE = Condition(type="Active", status="True", reason="Active")
T = TypeVar("T", bound=Struct)


class Queued(Struct, frozen=True):
    """The objects, and when (ns) they are looked at: the latest time that they name, or 1970 without one."""

    objects: Objects
    now: int


def queued_objects(
    manifests: Sequence[Manifest], at: int | None = None, jobs: ManagedJobs | None = None
) -> Queued:
    """The objects of valid manifests; `at`: another moment (ns) than the latest that they name.

    `jobs`: which of them Kueue manages; None: as without a Configuration.

    Raises InvalidInput for a Job of which Kueue could make no Workload, and if nothing waits.
    """
    found = [one.object for one in manifests]
    _check_ages(manifests)
    written = _of(found, Workload)
    now = at if at is not None else _latest([*written, *_of(found, Job)])
    workloads = [*written, *_of_jobs(manifests, written, jobs or ManagedJobs())]
    workloads = [_complete(one, i, now) for i, one in enumerate(workloads)]
    namespaces = _namespaces(_of(found, Namespace), workloads)
    objects = Objects(
        cluster_queues=_of(found, kueue.ClusterQueue),
        cohorts=_of(found, kueue.Cohort),
        flavors=_of(found, kueue.ResourceFlavor),
        local_queues=[_placed(one) for one in _of(found, kueue.LocalQueue)],
        workloads=workloads,
        admission_checks=[_active(one) for one in _of(found, kueue.AdmissionCheck)],
        priority_classes=_of(found, kueue.WorkloadPriorityClass),
        topologies=_of(found, kueue.Topology),
        nodes=_of(found, Node),
        pods=[_defaulted(_placed(one)) for one in _of(found, Pod)],
        namespaces=namespaces,
        limit_ranges=[_placed(one) for one in _of(found, LimitRange)],
        runtime_classes=_of(found, RuntimeClass),
        devices=devices_of(
            [_placed(one) for one in _of(found, ResourceClaimTemplate)],
            _of(found, DeviceClass),
            _of(found, ResourceSlice),
        ),
    )
    return Queued(objects, now)


def _defaulted(pod: Pod) -> Pod:
    """As the API server stores it: what is limited only is requested (pkg/apis/core/v1/defaults.go)."""
    return pod if isinstance(pod.spec, UnsetType) else replace(pod, spec=with_limits_as_requests(pod.spec))


def _check_ages(manifests: Sequence[Manifest]) -> None:
    """Of two DeviceClasses with one extended resource the newer one counts."""
    for manifest in manifests:
        if isinstance(manifest.object, DeviceClass):
            created = given(manifest.object.metadata.creation_timestamp, "")
            if created:
                check_time(manifest, "metadata.creationTimestamp", created)


def _of(objects: Sequence[Struct | None], kind: type[T]) -> list[T]:
    return [one for one in objects if isinstance(one, kind)]


def _of_jobs(manifests: Sequence[Manifest], written: Sequence[Workload], jobs: ManagedJobs) -> list[Workload]:
    """Of each Job that Kueue manages, unless its Workload is there already."""
    owners = {
        (given(one.metadata.namespace, "default"), owner.name)
        for one in written
        for owner in given(one.metadata.owner_references, ())
        if owner.kind == "Job"
    }
    classes, objects = _classes(manifests), [one.object for one in manifests]
    queues = job_queues(_of(objects, Namespace), _of(objects, kueue.LocalQueue), jobs)
    found = []
    for manifest in manifests:
        job = manifest.object
        if not isinstance(job, Job) or is_over(job):
            continue
        namespace = given(job.metadata.namespace, "default")
        queue = queues.queue_of(job)
        if queue is not None and (namespace, given(job.metadata.name, "")) not in owners:
            found.append(_made(manifest, job, classes, queue))
    return found


def _made(manifest: Manifest, job: Job, classes: PriorityClasses, queue: str) -> Workload:
    try:
        return workload_of(job, classes, queue)
    except InvalidInput as error:
        raise _at(manifest, error) from None


def _at(manifest: Manifest, error: InvalidInput) -> InvalidInput:
    """The error with the file and document of the object."""
    place: dict[str, Any] = manifest.at(error.path)
    values: dict[str, Any] = dict(error.values)
    return InvalidInput(error.problem, fix=error.fix, **place, **values)


def _classes(manifests: Sequence[Manifest]) -> PriorityClasses:
    """PriorityClasses are carried as JSON; of several default ones the lowest counts."""
    of_pods: dict[str, int] = {}
    defaults: list[tuple[int, str]] = []
    for one in manifests:
        if one.kind != "PriorityClass" or not one.api_version.startswith("scheduling.k8s.io/"):
            continue
        name, value = str((one.raw.get("metadata") or {}).get("name", "")), one.raw.get("value", 0)
        if not isinstance(value, int):
            raise InvalidInput("the value is not an integer", fix="write a priority", **one.at("value"))
        of_pods[name] = value
        if one.raw.get("globalDefault") is True:
            defaults.append((value, name))
    objects = [one.object for one in manifests]
    of_workloads = _of(objects, kueue.WorkloadPriorityClass)
    return PriorityClasses(
        of_workloads={given(one.metadata.name, ""): one.value for one in of_workloads},
        of_pods=of_pods,
        default=(min(defaults)[1], min(defaults)[0]) if defaults else None,
    )


def _complete(workload: Workload, index: int, now: int) -> Workload:
    """With namespace, and with UID and time as if the files had been applied in their order just now."""
    metadata = workload.metadata
    metadata = replace(
        metadata,
        namespace=given(metadata.namespace, "default"),
        uid=given(metadata.uid, f"00000000-0000-0000-0000-{index:012}"),
        creation_timestamp=given(metadata.creation_timestamp, time_text(now)),
    )
    return replace(workload, metadata=metadata)


def _placed(one: T) -> T:
    """With its namespace."""
    metadata: ObjectMeta = one.metadata  # type: ignore[attr-defined]
    filled: Any = replace(metadata, namespace=given(metadata.namespace, "default"))
    return replace(one, metadata=filled)


def _active(check: kueue.AdmissionCheck) -> kueue.AdmissionCheck:
    """Without a status its controller is taken to work."""
    status = given(check.status, kueue.AdmissionCheckStatus())
    if given(status.conditions, ()):
        return check
    return replace(check, status=replace(status, conditions=(_ACTIVE,)))


def _namespaces(written: Sequence[Namespace], workloads: Sequence[Workload]) -> list[Namespace]:
    """Those of the files and those that are only named, each with the label that the API server gives."""
    named = [given(one.metadata.namespace, "") for one in workloads]
    labels = {name: {NAMESPACE_NAME: name} for name in named} | labels_of(written)
    return [
        Namespace(api_version="v1", kind="Namespace", metadata=ObjectMeta(name=name, labels=found))
        for name, found in labels.items()
    ]


def _latest(objects: Sequence[Workload | Job]) -> int:
    """The latest time of creation or of a condition."""
    texts = []
    for one in objects:
        texts.append(given(one.metadata.creation_timestamp, ""))
        if isinstance(one, Workload):
            conditions = given(given(one.status, WorkloadStatus()).conditions, ())
            texts += [given(each.last_transition_time, "") for each in conditions]
    return max((parse_time(text) for text in texts if text), default=0)


__all__ = ["Queued", "queued_objects"]

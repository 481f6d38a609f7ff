"""`workload_of`: the Workload that Kueue's job integration makes of a Job, so that a queue can admit it.

Source: kueue pkg/controller/jobs/job, pkg/controller/jobframework (workload_names.go, tas.go,
reconciler.go), pkg/util/priority.
"""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.batch import Job, JobStatus
from stellwerk.api.groups.core import PodSpec
from stellwerk.api.groups.kueue_workload import (
    PodSet,
    PodSetTopologyRequest,
    PriorityClassRef,
    SliceTopologyConstraint,
    Workload,
    WorkloadSpec,
)
from stellwerk.api.groups.meta import ObjectMeta, OwnerReference, given
from stellwerk.api.yaml_events import key_path

GROUP = "kueue.x-k8s.io"
QUEUE_NAME, PRIORITY_CLASS = f"{GROUP}/queue-name", f"{GROUP}/priority-class"
MIN_PARALLELISM, JOB_UID = f"{GROUP}/job-min-parallelism", f"{GROUP}/job-uid"
MAX_SECONDS = f"{GROUP}/max-exec-time-seconds"
ADMISSION_GATED_BY = f"{GROUP}/admission-gated-by"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
_REQUIRED, _PREFERRED = f"{GROUP}/podset-required-topology", f"{GROUP}/podset-preferred-topology"
_UNCONSTRAINED = f"{GROUP}/podset-unconstrained-topology"
_SLICE, _SLICE_SIZE = f"{GROUP}/podset-slice-required-topology", f"{GROUP}/podset-slice-size"
_LAYERS, _GROUP_NAME = f"{_SLICE}-constraints", f"{GROUP}/podset-group-name"
# What Go's strconv.ParseBool takes.
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
# Kubernetes' own classes (pkg/apis/scheduling/types.go).
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_MOST_NAME, _HASH = 253, 5


class PriorityClasses(Struct, frozen=True, kw_only=True):
    """Values by name: of WorkloadPriorityClasses, of PriorityClasses; `default` has globalDefault."""

    of_workloads: Mapping[str, int] = {}
    of_pods: Mapping[str, int] = {}
    default: tuple[str, int] | None = None


def is_over(job: Job) -> bool:
    """Whether the Job has ended: there is nothing left to admit."""
    conditions = given(given(job.status, JobStatus()).conditions, ())
    return any(one.type in ("Complete", "Failed") and one.status == "True" for one in conditions)


def queue_name(job: Job) -> str:
    """The LocalQueue that the Job names ("": none)."""
    return given(job.metadata.labels, {}).get(QUEUE_NAME, "")


def workload_name(job: Job) -> str:
    """`job-NAME-HASH`, the hash over kind, group, name and UID."""
    name, uid = given(job.metadata.name, ""), given(job.metadata.uid, "")
    digest = hashlib.sha1(f"Job\nbatch\n{name}\n{uid}".encode(), usedforsecurity=False).hexdigest()
    return f"{f'job-{name}'[: _MOST_NAME - 1 - _HASH]}-{digest[:_HASH]}"


def workload_of(job: Job, classes: PriorityClasses, queue: str) -> Workload:
    """The Workload of a Job that waits in this LocalQueue: one PodSet `main`, suspended or not.

    Raises InvalidInput, without file and document, for a priority class that is not there and for
    annotations that Kueue cannot read.
    """
    metadata = job.metadata
    uid, annotations = given(metadata.uid, ""), given(metadata.annotations, {})
    reference, priority = _priority(job, classes)
    gated = annotations.get(ADMISSION_GATED_BY)
    return Workload(
        api_version="kueue.x-k8s.io/v1beta2",
        kind="Workload",
        metadata=ObjectMeta(
            name=workload_name(job),
            namespace=metadata.namespace,
            uid=metadata.uid,
            creation_timestamp=metadata.creation_timestamp,
            labels={JOB_UID: uid} if uid else UNSET,
            annotations={ADMISSION_GATED_BY: gated} if gated else UNSET,
            owner_references=(
                OwnerReference(
                    api_version="batch/v1",
                    kind="Job",
                    name=given(metadata.name, ""),
                    uid=uid,
                    controller=True,
                    block_owner_deletion=True,
                ),
            ),
        ),
        spec=WorkloadSpec(
            pod_sets=(_pod_set(job),),
            queue_name=queue,
            priority_class_ref=UNSET if reference is None else reference,
            priority=priority,
            active=True,
            maximum_execution_time_seconds=_most_seconds(given(metadata.labels, {}).get(MAX_SECONDS, "")),
        ),
    )


def _most_seconds(text: str) -> int | UnsetType:
    return int(text) if _is_integer(text) and int(text) > 0 else UNSET


def _pod_set(job: Job) -> PodSet:
    spec = job.spec
    count = given(spec.parallelism, 1)
    template = spec.template
    pods = given(template.metadata, ObjectMeta())
    least = given(job.metadata.annotations, {}).get(MIN_PARALLELISM)
    try:
        request = topology_request(given(pods.annotations, {}))
    except ValueError as error:
        path = key_path("spec.template.metadata.annotations", str(error))
        raise _unreadable(path, str(error), given(pods.annotations, {})) from None
    return PodSet(
        name="main",
        template=replace(template, metadata=replace(pods, creation_timestamp=UNSET)),
        count=min(count, given(spec.completions, count)),
        min_count=UNSET if least is None or not _is_integer(least) else int(least),
        topology_request=request,
    )


def topology_request(annotations: Mapping[str, str]) -> PodSetTopologyRequest:
    """What a pod template's annotations ask of a topology; pods of a Job have their completion's index.

    Raises ValueError with the annotation's key for a value that Kueue cannot read.
    """
    required, preferred = annotations.get(_REQUIRED), annotations.get(_PREFERRED)
    unconstrained = annotations.get(_UNCONSTRAINED)
    first: dict[str, str | bool] = {}
    if required is not None:
        first["required"] = required
    elif preferred is not None:
        first["preferred"] = preferred
    elif unconstrained is not None:
        if unconstrained not in _TRUE | _FALSE:
            raise ValueError(_UNCONSTRAINED)
        first["unconstrained"] = unconstrained in _TRUE
    request = msgspec.convert({**first, "podIndexLabel": COMPLETION_INDEX}, PodSetTopologyRequest)
    if _GROUP_NAME in annotations and (required is not None or preferred is not None):
        request = replace(request, pod_set_group_name=annotations[_GROUP_NAME])
    return _with_slices(request, annotations)


def _with_slices(request: PodSetTopologyRequest, annotations: Mapping[str, str]) -> PodSetTopologyRequest:
    if _LAYERS in annotations:
        try:
            layers = msgspec.json.decode(annotations[_LAYERS], type=tuple[SliceTopologyConstraint, ...])
        except msgspec.MsgspecError:
            raise ValueError(_LAYERS) from None
        if not 1 <= len(layers) <= 3:
            raise ValueError(_LAYERS)
        return replace(request, podset_slice_required_topology_constraints=layers)
    if _SLICE in annotations and _SLICE_SIZE in annotations:
        if not _is_integer(annotations[_SLICE_SIZE]):
            raise ValueError(_SLICE_SIZE)
        return replace(
            request,
            pod_set_slice_required_topology=annotations[_SLICE],
            pod_set_slice_size=int(annotations[_SLICE_SIZE]),
        )
    return request


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in ("+", "-") else text
    return digits.isascii() and digits.isdigit() and len(digits) < 10


def _unreadable(path: str, key: str, annotations: Mapping[str, str]) -> InvalidInput:
    return InvalidInput(
        "Kueue cannot read {value}",
        fix="see Kueue's page on topology-aware scheduling for the annotation {name}",
        path=path,
        value=annotations[key][:80] or '""',
        name=key,
    )


def _priority(job: Job, classes: PriorityClasses) -> tuple[PriorityClassRef | None, int]:
    """By the Job's label; else by its pods' class; else the default class, or 0."""
    name = given(job.metadata.labels, {}).get(PRIORITY_CLASS, "")
    if name:
        if name not in classes.of_workloads:
            path = key_path("metadata.labels", PRIORITY_CLASS)
            raise _unknown("WorkloadPriorityClass", name, path, classes.of_workloads)
        return _reference(GROUP, "WorkloadPriorityClass", name), classes.of_workloads[name]
    spec = job.spec.template.spec
    name = "" if isinstance(spec, UnsetType) else _class_of(spec)
    known = {**SYSTEM_CLASSES, **classes.of_pods}
    if name and name not in known:
        path = "spec.template.spec.priorityClassName"
        raise _unknown("PriorityClass", name, path, classes.of_pods)
    if not name and classes.default is None:
        return None, 0
    found = (name, known[name]) if name else classes.default
    assert found is not None  # Without a name there is a default here.
    return _reference("scheduling.k8s.io", "PriorityClass", found[0]), found[1]


def _class_of(spec: PodSpec) -> str:
    return given(spec.priority_class_name, "")


def _reference(group: str, kind: str, name: str) -> PriorityClassRef:
    return PriorityClassRef(group=group, kind=kind, name=name)


def _unknown(kind: str, name: str, path: str, known: Mapping[str, int]) -> InvalidInput:
    return InvalidInput(
        "there is no {kind} {name}",
        fix="add it, or write one of: {known}",
        path=path,
        kind=kind,
        name=name[:80],
        known=", ".join(sorted(known)[:5]) or "-",
    )

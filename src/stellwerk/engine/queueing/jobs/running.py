"""A Job starts with what its admission says about its pods, and stops with its pod template as it was.

Jobs are raw JSON here, so that fields that nobody reads survive; parts that do not change are shared.
Source: kueue pkg/podset/podset.go, pkg/controller/jobframework/reconciler.go (getPodSetsInfoFromStatus),
pkg/controller/jobs/job/job_controller.go (RunWithPodSetsInfo, RestorePodSetsInfo, Stop).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from stellwerk.api.groups.kueue import ResourceFlavor, ResourceFlavorSpec
from stellwerk.api.groups.kueue_workload import PodSet, PodSetAssignment, Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.jobs.workload import MIN_PARALLELISM

GROUP = "kueue.x-k8s.io"
POD_SET, LOCAL_QUEUE, CLUSTER_QUEUE = (
    f"{GROUP}/podset",
    f"{GROUP}/local-queue-name",
    f"{GROUP}/cluster-queue-name",
)
WORKLOAD, TOPOLOGY_GATE = f"{GROUP}/workload", f"{GROUP}/topology"
UNCONSTRAINED = f"{GROUP}/podset-unconstrained-topology"
COMPLETIONS_TOO = f"{GROUP}/job-completions-equal-parallelism"
# Labels that the Job controller of Kubernetes puts on a pod template itself.
_ITS_OWN = (
    "job-name",
    "controller-uid",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/controller-uid",
)
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_MOST_LABEL = 63
Json = Mapping[str, Any]


class PodSetInfo(Struct, frozen=True, kw_only=True):
    """What is added to the pods of a PodSet, and how many there are; tolerations and gates as JSON."""

    count: int
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Json, ...] = ()
    scheduling_gates: tuple[Json, ...] = ()


def pod_set_info(
    workload: Workload, flavors: Mapping[str, ResourceFlavor], gates: FeatureGates
) -> PodSetInfo:
    """What the admission of a Job's Workload, and its AdmissionChecks, add to the pods.

    Raises KeyError for a flavor that is not there, ValueError where two of them say different things.
    """
    status = given(workload.status, WorkloadStatus())
    admission = given(status.admission, None)
    assert admission is not None  # Only what is admitted starts.
    assigned, pod_set = given(admission.pod_set_assignments, ())[0], given(workload.spec.pod_sets, ())[0]
    info = PodSetInfo(
        count=given(assigned.count, pod_set.count),
        labels=_labels(workload, admission.cluster_queue, assigned.name),
        annotations=_annotations(workload, pod_set, assigned, gates),
        scheduling_gates=({"name": TOPOLOGY_GATE},) if _has_place(assigned, gates) else (),
    )
    for name in dict.fromkeys(given(assigned.flavors, {}).values()):
        spec = given(flavors[name].spec, ResourceFlavorSpec())
        info = msgspec.structs.replace(
            info,
            node_selector={**info.node_selector, **given(spec.node_labels, {})},
            tolerations=_united(info.tolerations, given(spec.tolerations, ())),
        )
    for check in given(status.admission_checks, ()):
        for update in given(check.pod_set_updates, ()):
            if update.name == assigned.name:
                more = PodSetInfo(
                    count=info.count,
                    labels=given(update.labels, {}),
                    annotations=given(update.annotations, {}),
                    node_selector=given(update.node_selector, {}),
                    tolerations=_united((), given(update.tolerations, ())),
                )
                info = _merged(info, more)
    return info


def started(job: Json, info: PodSetInfo) -> dict[str, Any]:
    """The Job, not suspended any more, with `info` in its pod template; with fewer pods if it allows that.

    Raises ValueError where the template says something else than `info`.
    """
    spec, template = job["spec"], job["spec"]["template"]
    metadata, pod = template.get("metadata") or {}, template.get("spec") or {}
    merged = _merged(
        PodSetInfo(
            count=info.count,
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
            node_selector=pod.get("nodeSelector") or {},
            tolerations=tuple(pod.get("tolerations") or ()),
            scheduling_gates=tuple(pod.get("schedulingGates") or ()),
        ),
        info,
    )
    count = info.count if MIN_PARALLELISM in _annotations_of(job) else None
    return _with_pods({**job, "spec": {**spec, "suspend": False}}, merged, count)


def stopped(job: Json, workload: Json | None) -> dict[str, Any]:
    """The Job, suspended, its start forgotten, and its pod template as in its Workload, if there is one."""
    status = {key: value for key, value in (job.get("status") or {}).items() if key != "startTime"}
    suspended = {**job, "spec": {**job["spec"], "suspend": True}}
    if status or "status" in job:
        suspended["status"] = status
    if workload is None:
        return suspended
    pod_set = workload["spec"]["podSets"][0]
    metadata, pod = pod_set["template"].get("metadata") or {}, pod_set["template"].get("spec") or {}
    now = (job["spec"]["template"].get("metadata") or {}).get("labels") or {}
    info = PodSetInfo(
        count=pod_set["count"],
        labels={**(metadata.get("labels") or {}), **{key: now[key] for key in _ITS_OWN if key in now}},
        annotations=metadata.get("annotations") or {},
        node_selector=pod.get("nodeSelector") or {},
        tolerations=tuple(pod.get("tolerations") or ()),
        scheduling_gates=tuple(pod.get("schedulingGates") or ()),
    )
    return _with_pods(suspended, info, info.count if MIN_PARALLELISM in _annotations_of(job) else None)


def template_of(job: Json) -> dict[str, Any]:
    """The Job's pod template as its Workload has it: without what Kubernetes' Job controller added."""
    template = job["spec"]["template"]
    metadata = {
        key: value for key, value in (template.get("metadata") or {}).items() if key != "creationTimestamp"
    }
    left = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in _DROPPED}
    if "labels" in metadata:
        metadata["labels"] = left
    return {**template, "metadata": metadata} if metadata else dict(template)


_DROPPED = frozenset(_ITS_OWN) - {"batch.kubernetes.io/job-name"}


def _annotations_of(job: Json) -> Json:
    return job["metadata"].get("annotations") or {}


def _labels(workload: Workload, cluster_queue: str, pod_set: str) -> dict[str, str]:
    labels = {POD_SET: pod_set, LOCAL_QUEUE: given(workload.spec.queue_name, "")}
    if len(cluster_queue) <= _MOST_LABEL and "." not in cluster_queue:
        labels[CLUSTER_QUEUE] = cluster_queue
    return labels


def _annotations(
    workload: Workload, pod_set: PodSet, assigned: PodSetAssignment, gates: FeatureGates
) -> dict[str, str]:
    """Pods that have their place although none was asked for are told so."""
    if not gates.topology_aware_scheduling:
        return {}
    found = {WORKLOAD: given(workload.metadata.name, "")}
    request = given(pod_set.topology_request, None)
    asked = request is not None and any(
        one is not UNSET for one in (request.required, request.preferred, request.unconstrained)
    )
    return {**found, UNCONSTRAINED: "true"} if _has_place(assigned, gates) and not asked else found


def _has_place(assigned: PodSetAssignment, gates: FeatureGates) -> bool:
    return gates.topology_aware_scheduling and given(assigned.topology_assignment, None) is not None


def _merged(first: PodSetInfo, more: PodSetInfo) -> PodSetInfo:
    return PodSetInfo(
        count=more.count,
        labels=_joined("labels", first.labels, more.labels),
        annotations=_joined("annotations", first.annotations, more.annotations),
        node_selector=_joined("nodeSelector", first.node_selector, more.node_selector),
        tolerations=_united(first.tolerations, more.tolerations),
        scheduling_gates=_united(first.scheduling_gates, more.scheduling_gates),
    )


def _joined(what: str, first: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    for key in sorted(first.keys() & more.keys()):
        if first[key] != more[key]:
            raise ValueError(
                f"invalid admission check PodSetUpdate: conflict for {what}: conflict for key={key}, "
                f"value1={first[key]}, value2={more[key]}"
            )
    return {**first, **more}


def _united(first: tuple[Json, ...], more: Iterable[Any]) -> tuple[Json, ...]:
    found = list(first)
    for one in more:
        plain = one if isinstance(one, Mapping) else msgspec.to_builtins(one)
        if plain not in found:
            found.append(plain)
    return tuple(found)


def _with_pods(job: dict[str, Any], info: PodSetInfo, count: int | None) -> dict[str, Any]:
    spec, template = dict(job["spec"]), dict(job["spec"]["template"])
    metadata = _set(
        template.get("metadata") or {}, labels=dict(info.labels), annotations=dict(info.annotations)
    )
    template["spec"] = _set(
        template.get("spec") or {},
        nodeSelector=dict(info.node_selector),
        tolerations=list(info.tolerations),
        schedulingGates=list(info.scheduling_gates),
    )
    template.pop("metadata", None)
    if metadata:
        template["metadata"] = metadata
    spec["template"] = template
    if count is not None:
        spec["parallelism"] = count
        if _annotations_of(job).get(COMPLETIONS_TOO, "") in _TRUE:
            spec["completions"] = count
    return {**job, "spec": spec}


def _set(before: Json, **fields: Any) -> dict[str, Any]:
    """With these fields; an empty one is left out."""
    after = {key: value for key, value in before.items() if key not in fields}
    return {**after, **{key: value for key, value in fields.items() if value}}

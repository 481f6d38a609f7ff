"""Workloads: the rules of Kueue's CRD and webhook on what waits, and on what became of it.

Source: kueue pkg/webhooks/workload_webhook.go and kueue.x-k8s.io_workloads.yaml, with the feature
gates as they are by default. Rules that compare with an older version of the object are left out.
"""

from collections.abc import Iterator, Mapping

from msgspec import UnsetType

from stellwerk.api.checks.kueue.annotations import annotation_refusals, gate_refusals
from stellwerk.api.checks.kueue.shapes import label_refusals
from stellwerk.api.checks.kueue.workload_status import status_refusals, status_rule_refusals
from stellwerk.api.checks.refusal import Refusal, quoted
from stellwerk.api.groups.core import ResourceRequirements
from stellwerk.api.groups.kueue_workload import (
    PodSet,
    PodSetTopologyRequest,
    PriorityClassRef,
    Workload,
    WorkloadSpec,
)
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.quantity import Quantity
from stellwerk.api.yaml_events import key_path

ELASTIC_JOB = "kueue.x-k8s.io/elastic-job"
_KINDS = {"scheduling.k8s.io": "PriorityClass", "kueue.x-k8s.io": "WorkloadPriorityClass"}
_PODS = "pods"


def is_elastic(metadata: ObjectMeta) -> bool:
    """Whether a Job or Workload may change its size while it runs."""
    return given(metadata.annotations, {}).get(ELASTIC_JOB) == "true"


def workload_refusals(workload: Workload) -> Iterator[Refusal]:
    """What is refused of a Workload beyond its shape: first by the CRD's rules, then by the webhook."""
    pod_sets = given(workload.spec.pod_sets, ())
    for i, pod_set in enumerate(pod_sets):
        if isinstance(pod_set.min_count, int) and pod_set.min_count > pod_set.count:
            yield Refusal(
                code="min-above-count",
                path=f"spec.podSets[{i}].minCount",
                problem="minCount {least} is above count {count}",
                fix="write {count} or less",
                values={"least": pod_set.min_count, "count": pod_set.count},
            )
    yield from _priority_refusals(workload.spec)
    yield from status_rule_refusals(workload)
    for i, pod_set in enumerate(pod_sets):
        yield from _pod_set_refusals(f"spec.podSets[{i}]", pod_set)
    yield from _variable_refusals(workload)
    yield from status_refusals(workload)
    yield from gate_refusals(workload.metadata)


def _priority_refusals(spec: WorkloadSpec) -> Iterator[Refusal]:
    if isinstance(spec.priority_class_ref, UnsetType):
        return
    if isinstance(spec.priority, UnsetType):
        yield Refusal(
            code="no-priority",
            path="spec.priority",
            problem="priorityClassRef needs priority",
            fix="write the value of the class as priority",
        )
    reference: PriorityClassRef = spec.priority_class_ref
    group, kind = given(reference.group, ""), given(reference.kind, "")
    if kind != _KINDS.get(group, kind):
        yield Refusal(
            code="other-kind",
            path="spec.priorityClassRef.kind",
            problem="{kind} is no kind of the group {group}",
            fix="write {wanted}",
            values={"kind": kind, "group": group, "wanted": _KINDS[group]},
        )


def _variable_refusals(workload: Workload) -> Iterator[Refusal]:
    variable = sum(not isinstance(one.min_count, UnsetType) for one in given(workload.spec.pod_sets, ()))
    if variable > 1:
        yield Refusal(
            code="min-counts",
            path="spec.podSets",
            problem="minCount is in several PodSets",
            fix="write it in one of them at most",
        )
    if variable and is_elastic(workload.metadata):
        yield Refusal(
            code="elastic-and-partial",
            path="spec.podSets",
            problem="an elastic job cannot be admitted in part",
            fix="remove minCount, or the annotation {annotation}",
            values={"annotation": ELASTIC_JOB},
        )


def _pod_set_refusals(path: str, pod_set: PodSet) -> Iterator[Refusal]:
    metadata = given(pod_set.template.metadata, ObjectMeta())
    place = f"{path}.template.metadata"
    yield from label_refusals(f"{place}.labels", given(metadata.labels, {}))
    yield from annotation_refusals(f"{place}.annotations", given(metadata.annotations, {}))
    spec = pod_set.template.spec
    if not isinstance(spec, UnsetType):
        place = f"{path}.template.spec"
        for field, containers in (
            ("initContainers", given(spec.init_containers, ())),
            ("containers", spec.containers),
        ):
            for i, one in enumerate(containers):
                yield from _asked_refusals(f"{place}.{field}[{i}].resources", one.resources)
        yield from _asked_refusals(f"{place}.resources", spec.resources)
    request = given(pod_set.topology_request, PodSetTopologyRequest())
    yield from _slice_refusals(f"{path}.topologyRequest", request)


def _asked_refusals(path: str, asked: ResourceRequirements | UnsetType) -> Iterator[Refusal]:
    if not isinstance(asked, UnsetType):
        yield from _amount_refusals(f"{path}.requests", given(asked.requests, {}))
        yield from _amount_refusals(f"{path}.limits", given(asked.limits, {}))


def _amount_refusals(path: str, amounts: Mapping[str, Quantity]) -> Iterator[Refusal]:
    for name, amount in amounts.items():
        if name == _PODS:
            yield Refusal(
                code="reserved-resource",
                path=key_path(path, name),
                problem="the resource {name} is reserved: Kueue counts pods itself",
                fix="remove it",
                values={"name": name},
            )
        if amount.nanos < 0:
            yield Refusal(
                code="negative",
                path=key_path(path, name),
                problem="{field} {amount} is negative",
                fix="write 0 or more",
                values={"field": quoted(name), "amount": str(amount)},
            )


def _slice_refusals(path: str, request: PodSetTopologyRequest) -> Iterator[Refusal]:
    sized = not isinstance(request.pod_set_slice_size, UnsetType)
    required = not isinstance(request.pod_set_slice_required_topology, UnsetType)
    if sized != required:
        yield Refusal(
            code="half-a-slice",
            path=f"{path}.podSetSliceSize",
            problem="podSetSliceSize and podSetSliceRequiredTopology need each other",
            fix="write both or none",
        )

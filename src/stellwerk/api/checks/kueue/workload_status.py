"""What Kueue's CRD and webhook refuse in a Workload's status.

Source: kueue pkg/webhooks/workload_webhook.go, the rules in kueue.x-k8s.io_workloads.yaml, and metav1's
ValidateConditions.
"""

from collections.abc import Iterator

from msgspec import UnsetType

from stellwerk.api.checks.devices.names import label_key_refusal
from stellwerk.api.checks.kueue.annotations import annotation_refusals
from stellwerk.api.checks.kueue.shapes import label_refusals, toleration_key_refusals, toleration_refusals
from stellwerk.api.checks.refusal import Refusal, one_of, quoted
from stellwerk.api.groups.kueue_workload import (
    Admission,
    AdmissionCheckState,
    PodSetAssignment,
    TopologyAssignment,
    TopologyAssignmentSlice,
    Workload,
    WorkloadStatus,
)
from stellwerk.api.groups.meta import given
from stellwerk.api.yaml_events import key_path

_ASSIGNMENTS = "status.admission.podSetAssignments"
_CPU = "cpu"


def status_rule_refusals(workload: Workload) -> Iterator[Refusal]:
    """The CRD's rules: lists that must have the same length, fields that exclude each other."""
    status = given(workload.status, WorkloadStatus())
    asked = len(given(workload.spec.pod_sets, ()))
    if _reserves(status) and not isinstance(status.admission, UnsetType):
        assigned = len(given(status.admission.pod_set_assignments, ()))
        if assigned != asked:
            yield Refusal(
                code="other-pod-sets",
                path=_ASSIGNMENTS,
                problem="there are {assigned} podSetAssignments, but {asked} podSets",
                fix="write one for each PodSet",
                values={"assigned": assigned, "asked": asked},
            )
    if not isinstance(status.cluster_name, UnsetType) and given(status.nominated_cluster_names, ()):
        yield one_of("status", "clusterName, nominatedClusterNames")
    for i, one in enumerate(given(given(status.admission, _NONE).pod_set_assignments, ())):
        if not isinstance(one.topology_assignment, UnsetType):
            yield from _topology_refusals(f"{_ASSIGNMENTS}[{i}].topologyAssignment", one.topology_assignment)
    for i, check in enumerate(given(status.admission_checks, ())):
        for j, update in enumerate(given(check.pod_set_updates, ())):
            path = f"status.admissionChecks[{i}].podSetUpdates[{j}].tolerations"
            yield from toleration_refusals(path, given(update.tolerations, ()))


_NONE = Admission()


def status_refusals(workload: Workload) -> Iterator[Refusal]:
    """The webhook's rules."""
    status = given(workload.status, WorkloadStatus())
    if _reserves(status):
        yield from _admission_refusals(workload, status)
    for i, condition in enumerate(given(status.conditions, ())):
        yield from label_key_refusal(f"status.conditions[{i}].type", condition.type)
    yield from _reclaimable_refusals(workload, status)
    for i, check in enumerate(given(status.admission_checks, ())):
        yield from _update_refusals(f"status.admissionChecks[{i}].podSetUpdates", check, workload)


def _reserves(status: WorkloadStatus) -> bool:
    return any(one.type == "QuotaReserved" and one.status == "True" for one in given(status.conditions, ()))


def _counts(workload: Workload) -> dict[str, int]:
    return {given(one.name, "main"): one.count for one in given(workload.spec.pod_sets, ())}


def _admission_refusals(workload: Workload, status: WorkloadStatus) -> Iterator[Refusal]:
    if isinstance(status.admission, UnsetType):
        yield Refusal(
            code="reserved-without-admission",
            path="status.admission",
            problem="QuotaReserved is True, but there is no admission",
            fix="add status.admission, or remove the condition",
        )
        return
    known = _counts(workload)
    for i, one in enumerate(given(status.admission.pod_set_assignments, ())):
        if one.name not in known:
            yield _no_pod_set(f"{_ASSIGNMENTS}[{i}].name", one.name, known)
        yield from _use_refusals(f"{_ASSIGNMENTS}[{i}].resourceUsage", one)


def _use_refusals(path: str, assignment: PodSetAssignment) -> Iterator[Refusal]:
    count = given(assignment.count, 0)
    for name, amount in given(assignment.resource_usage, {}).items() if count > 0 else ():
        if (amount.milli_value() if name == _CPU else amount.value()) % count:
            yield Refusal(
                code="no-multiple",
                path=key_path(path, name),
                problem="{amount} cannot be shared by {count} equal pods",
                fix="write what one pod uses, times {count}",
                values={"amount": str(amount), "count": count},
            )


def _reclaimable_refusals(workload: Workload, status: WorkloadStatus) -> Iterator[Refusal]:
    known = _counts(workload)
    for i, one in enumerate(given(status.reclaimable_pods, ())):
        path = f"status.reclaimablePods[{i}]"
        if one.name not in known:
            yield _no_pod_set(f"{path}.name", one.name, known)
        elif one.count > known[one.name]:
            yield Refusal(
                code="reclaims-too-many",
                path=f"{path}.count",
                problem="{count} reclaimable pods are more than the PodSet's {most}",
                fix="write {most} or less",
                values={"count": one.count, "most": known[one.name]},
            )


def _update_refusals(path: str, check: AdmissionCheckState, workload: Workload) -> Iterator[Refusal]:
    known = _counts(workload)
    for i, update in enumerate(given(check.pod_set_updates, ())):
        place = f"{path}[{i}]"
        if update.name not in known:
            yield _no_pod_set(f"{place}.name", update.name, known)
        yield from toleration_key_refusals(f"{place}.tolerations", given(update.tolerations, ()))
        yield from annotation_refusals(f"{place}.annotations", given(update.annotations, {}))
        yield from label_refusals(f"{place}.nodeSelector", given(update.node_selector, {}))
        yield from label_refusals(f"{place}.labels", given(update.labels, {}))


def _no_pod_set(path: str, name: str, known: dict[str, int]) -> Refusal:
    return Refusal(
        code="no-pod-set",
        path=path,
        problem="the Workload has no PodSet {name}",
        fix="write one of: {known}",
        values={"name": quoted(name), "known": ", ".join(sorted(known)[:5]) or "-"},
    )


def _topology_refusals(path: str, assignment: TopologyAssignment) -> Iterator[Refusal]:
    levels = len(given(assignment.levels, ()))
    for i, part in enumerate(given(assignment.slices, ())):
        place = f"{path}.slices[{i}]"
        values = given(part.values_per_level, ())
        if len(values) != levels:
            yield _other_length(f"{place}.valuesPerLevel", len(values), levels)
        yield from _slice_refusals(place, part)


def _slice_refusals(path: str, part: TopologyAssignmentSlice) -> Iterator[Refusal]:
    domains = given(part.domain_count, 0)
    if not isinstance(part.pod_counts, UnsetType):
        universal, individual = part.pod_counts.universal, part.pod_counts.individual
        if isinstance(universal, UnsetType) == isinstance(individual, UnsetType):
            yield one_of(f"{path}.podCounts", "universal, individual")
        if not isinstance(individual, UnsetType) and len(individual) != domains:
            yield _other_length(f"{path}.podCounts.individual", len(individual), domains)
    for i, values in enumerate(given(part.values_per_level, ())):
        place = f"{path}.valuesPerLevel[{i}]"
        if isinstance(values.universal, UnsetType) == isinstance(values.individual, UnsetType):
            yield one_of(place, "universal, individual")
        if not isinstance(values.individual, UnsetType):
            roots = len(given(values.individual.roots, ()))
            if roots != domains:
                yield _other_length(f"{place}.individual.roots", roots, domains)


def _other_length(path: str, found: int, wanted: int) -> Refusal:
    return Refusal(
        code="other-length",
        path=path,
        problem="there are {found} entries, but {wanted} belong here",
        fix="write {wanted}",
        values={"found": found, "wanted": wanted},
    )

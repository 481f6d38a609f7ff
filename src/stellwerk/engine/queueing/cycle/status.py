"""What a Workload's status says, and what it becomes with an admission.

Source: kueue pkg/workload/workload.go (SetQuotaReservation), admissionchecks.go (SyncAdmittedCondition).
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from msgspec import UNSET
from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import Admission, PodSetAssignment, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.amounts import quantity_of
from stellwerk.engine.queueing.cycle.backlog import conditions_of, is_on_hold
from stellwerk.engine.queueing.flavors.assignment import Assignment
from stellwerk.engine.queueing.flavors.assignment import PodSetAssignment as Assigned
from stellwerk.engine.queueing.preemption.candidate import is_evicted, true_condition
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.topology.assignment.wire import packed, unpacked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RESET = ("Evicted", "Preempted", "BlockedOnPreemptionGates")


def holds_reservation(workload: Workload) -> bool:
    """Whether quota is reserved for it."""
    return true_condition(workload, "QuotaReserved") is not None


def check_states(workload: Workload) -> dict[str, str]:
    """The state of each AdmissionCheck that its status names."""
    return {one.name: one.state for one in given(_status(workload).admission_checks, ())}


def unhealthy_names(workload: Workload) -> frozenset[str]:
    """Nodes that its status calls unhealthy."""
    return frozenset(one.name for one in given(_status(workload).unhealthy_nodes, ()))


def has_unhealthy_place(workload: Workload) -> bool:
    """Whether it is admitted and has pods on a node that is unhealthy."""
    nodes = unhealthy_names(workload)
    if not nodes or true_condition(workload, "Admitted") is None:
        return False
    return any(
        domain.values[-1] in nodes
        for one in _assigned(workload)
        if given(one.topology_assignment, None) is not None
        for domain in unpacked(one.topology_assignment).domains  # type: ignore[arg-type]
    )


def needs_second_pass(workload: Workload) -> bool:
    """Whether it has quota and still, or again, lacks a place."""
    finished = true_condition(workload, "Finished") is not None
    if finished or is_evicted(workload) or not holds_reservation(workload) or is_on_hold(workload):
        return False
    states = check_states(workload)
    all_ready = bool(states) and all(state == "Ready" for state in states.values())
    delayed = all_ready and _places_are_pending(_assigned(workload))
    return (delayed and true_condition(workload, "Admitted") is None) or has_unhealthy_place(workload)


def preemption_is_gated(workload: Workload) -> bool:
    """Whether one of its preemption gates is closed; one that only its spec names is."""
    positions = {one.name: given(one.position, "") for one in given(_status(workload).preemption_gates, ())}
    gates = given(workload.spec.preemption_gates, ())
    return any(positions.get(gate.name, "Closed") == "Closed" for gate in gates)


def admission_of(queue: str, assignment: Assignment) -> Admission:
    """The assignment as the API has it."""
    return Admission(
        cluster_queue=queue, pod_set_assignments=tuple(map(_pod_set_assignment, assignment.pod_sets))
    )


def with_admission(workload: Workload, admission: Admission, queue: Queue, now: int) -> Workload:
    """The Workload with quota, and admitted if nothing is missing; `now` in ns."""
    at, generation = time_text(now), workload.metadata.generation
    reserved = Condition(
        type="QuotaReserved",
        status="True",
        reason="QuotaReserved",
        message=f"Quota reserved in ClusterQueue {admission.cluster_queue}",
        last_transition_time=at,
        observed_generation=generation,
    )
    changes = [reserved]
    for one in conditions_of(workload):
        if one.type in _RESET and one.status == "True":
            message = "Previously: " + given(one.message, "")
            changes.append(replace(reserved, type=one.type, status="False", message=message))
    status = replace(_status(workload), admission=admission, unhealthy_nodes=UNSET)
    if _names_all_checks(workload, admission, queue):
        changes.append(_admitted(workload, admission, reserved))
    return replace(workload, status=replace(status, conditions=_changed(conditions_of(workload), changes)))


def time_text(now: int) -> str:
    """RFC 3339 in whole seconds, as the API writes times."""
    return (_EPOCH + timedelta(seconds=now // 1_000_000_000)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _pod_set_assignment(one: Assigned) -> PodSetAssignment:
    return PodSetAssignment(
        name=one.name,
        flavors={resource: each.flavor for resource, each in one.flavors.items()},
        resource_usage={
            resource: quantity_of(resource, one.requests.get(resource, 0)) for resource in one.flavors
        },
        count=one.count,
        topology_assignment=UNSET if one.topology is None else packed(one.topology),
        delayed_topology_request=UNSET if one.delayed_topology is None else one.delayed_topology,
    )


def _names_all_checks(workload: Workload, admission: Admission, queue: Queue) -> bool:
    flavors = {
        flavor
        for one in given(admission.pod_set_assignments, ())
        for flavor in given(one.flavors, {}).values()
    }
    needed = {name for name, asked in queue.checks.items() if asked & flavors}
    return needed <= check_states(workload).keys()


def _admitted(workload: Workload, admission: Admission, reserved: Condition) -> Condition:
    answer = replace(
        reserved, type="Admitted", status="True", reason="Admitted", message="The workload is admitted"
    )
    if any(state != "Ready" for state in check_states(workload).values()):
        return replace(
            answer,
            status="False",
            reason="UnsatisfiedAdmissionChecks",
            message="The workload has not all checks ready",
        )
    if _places_are_pending(given(admission.pod_set_assignments, ())):
        return replace(
            answer,
            status="False",
            reason="PendingDelayedTopologyRequests",
            message="There are pending delayed topology requests",
        )
    return answer


def _places_are_pending(assigned: Iterable[PodSetAssignment]) -> bool:
    return any(
        given(one.topology_assignment, None) is None and given(one.delayed_topology_request, "") == "Pending"
        for one in assigned
    )


def _changed(before: tuple[Condition, ...], changes: Iterable[Condition]) -> tuple[Condition, ...]:
    """Conditions in their order, new ones last; the time stays where the status does."""
    found = {one.type: one for one in before}
    for one in changes:
        old = found.get(one.type)
        same = old is not None and old.status == one.status
        found[one.type] = replace(one, last_transition_time=old.last_transition_time) if old and same else one
    return tuple(found.values())


def _assigned(workload: Workload) -> tuple[PodSetAssignment, ...]:
    admission = given(_status(workload).admission, None)
    return () if admission is None else given(admission.pod_set_assignments, ())


def _status(workload: Workload) -> WorkloadStatus:
    return given(workload.status, WorkloadStatus())

"""What a Workload's status says, and what it becomes by a decision.

Source: kueue pkg/workload/workload.go (SetQuotaReservation, UnsetQuotaReservationWithCondition),
admissionchecks.go (SyncAdmittedCondition), evict/evict.go.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec import UNSET
from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import (
    Admission,
    AdmissionCheckState,
    PodSetAssignment,
    SchedulingStats,
    SchedulingStatsEviction,
    Workload,
    WorkloadStatus,
)
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.amounts import quantity_of
from stellwerk.engine.queueing.cycle.backlog import conditions_of, is_on_hold
from stellwerk.engine.queueing.cycle.decision import NODE_FAILURES, PREEMPTED, Evicted, NotAdmitted
from stellwerk.engine.queueing.flavors.assignment import Assignment
from stellwerk.engine.queueing.flavors.assignment import PodSetAssignment as Assigned
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.standing import is_evicted, true_condition
from stellwerk.engine.topology.assignment.wire import packed, unpacked

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JOB_UID = "kueue.x-k8s.io/job-uid"
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


def with_admission(
    workload: Workload, admission: Admission, queue: Queue, gates: FeatureGates, now: int
) -> Workload:
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
    conditions = _changed(conditions_of(workload), changes)
    status = replace(_status(workload), admission=admission, unhealthy_nodes=UNSET, conditions=conditions)
    reserved_workload = replace(workload, status=status)
    if not _names_all_checks(workload, admission, queue):
        return reserved_workload
    return with_admitted(reserved_workload, gates, now)


def with_admitted(workload: Workload, gates: FeatureGates, now: int) -> Workload:
    """The Workload whose condition Admitted says what its quota, checks and places come to; `now` in ns.

    When it is admitted no more, the time for which it was is added up. The same Workload if nothing changes.
    (Source: kueue pkg/workload/admissionchecks.go, SyncAdmittedCondition.)
    """
    before, missing = true_condition(workload, "Admitted"), _missing(workload, gates)
    if gates.unadmitted_workloads_observability:
        known = {one.type for one in conditions_of(workload)} & {"QuotaReserved", "Admitted"}
        if not known and not gates.unadmitted_workloads_explicit_status:
            return workload
    elif (before is None) == (missing is not None):
        return workload
    reason, message = missing or ("Admitted", "The workload is admitted")
    condition = Condition(
        type="Admitted",
        status="False" if missing else "True",
        reason=reason,
        message=message,
        last_transition_time=time_text(now),
        observed_generation=workload.metadata.generation,
    )
    status = replace(_status(workload), conditions=_changed(conditions_of(workload), [condition]))
    if before is not None and missing is not None:
        past = given(status.accumulated_past_execution_time_seconds, 0) + _seconds_since(before, now)
        status = replace(status, accumulated_past_execution_time_seconds=past)
    return replace(workload, status=status)


def with_eviction(workload: Workload, evicted: Evicted, now: int) -> Workload:
    """The Workload that must give its quota back; it holds it until its owner has stopped. `now` in ns."""
    status, at = _status(workload), time_text(now)
    condition = Condition(
        type="Evicted",
        status="True",
        reason=evicted.reason,
        message=evicted.message,
        last_transition_time=at,
        observed_generation=workload.metadata.generation,
    )
    changes = [condition]
    if evicted.preempted is not None:
        changes.append(replace(condition, type="Preempted", reason=evicted.preempted))
    if true_condition(workload, "BlockedOnPreemptionGates") is not None:
        changes.append(replace(condition, type="BlockedOnPreemptionGates", status="False"))
    gates = tuple(
        replace(gate, position="Closed", last_transition_time=at)
        for gate in given(status.preemption_gates, ())
    )
    checks = tuple(_reset_check(check, at) for check in given(status.admission_checks, ()))
    return replace(
        workload,
        status=replace(
            status,
            conditions=_changed(conditions_of(workload), changes),
            admission_checks=checks or status.admission_checks,
            preemption_gates=gates or status.preemption_gates,
            unhealthy_nodes=UNSET,
            cluster_name=UNSET,
            nominated_cluster_names=UNSET,
            scheduling_stats=_counted(given(status.scheduling_stats, SchedulingStats()), evicted.reason),
        ),
    )


def with_release(workload: Workload, gates: FeatureGates, now: int) -> Workload:
    """The evicted Workload after its owner has stopped: without quota, waiting again. `now` in ns.

    Whom others preempted may try again at once; after any other eviction somebody else says when.
    Source: kueue pkg/controller/jobframework/reconciler.go (handle eviction).
    """
    evicted = true_condition(workload, "Evicted")
    assert evicted is not None  # Only what is evicted gives its quota back like this.
    reason, message = given(evicted.reason, ""), given(evicted.message, "")
    at_once = "True" if reason in (PREEMPTED, NODE_FAILURES) else "False"
    requeued = replace(evicted, type="Requeued", status=at_once, last_transition_time=time_text(now))
    reserved = replace(
        requeued,
        type="QuotaReserved",
        status="False",
        reason="PendingEvaluation" if gates.unadmitted_workloads_observability else "Pending",
        message=message,
    )
    conditions = _changed(conditions_of(workload), [requeued, reserved])
    status = replace(_status(workload), admission=UNSET, conditions=conditions)
    return with_admitted(replace(workload, status=status), gates, now)


def without_quota(workload: Workload, message: str, gates: FeatureGates, now: int) -> Workload:
    """The Workload, which has not started, without its quota, since its queue is stopped. `now` in ns.

    Source: kueue pkg/workload/workload.go (UnsetQuotaReservationWithCondition).
    """
    reserved = Condition(
        type="QuotaReserved",
        status="False",
        reason="Suspended" if gates.unadmitted_workloads_observability else "Inadmissible",
        message=message,
        last_transition_time=time_text(now),
        observed_generation=workload.metadata.generation,
    )
    conditions = _changed(conditions_of(workload), [reserved])
    status = replace(_status(workload), admission=UNSET, conditions=conditions)
    return with_admitted(replace(workload, status=status), gates, now)


def with_checks(workload: Workload, names: Iterable[str], now: int) -> Workload:
    """The Workload with the states of just these AdmissionChecks; one that it had no state for is Pending.

    Source: kueue pkg/controller/core/workload_controller.go (syncAdmissionCheckConditions).
    """
    status, at = _status(workload), time_text(now)
    known = {one.name: one for one in given(status.admission_checks, ())}
    wanted = frozenset(names)
    if known.keys() == wanted:
        return workload
    states = tuple(
        known.get(name, AdmissionCheckState(name=name, state="Pending", last_transition_time=at))
        for name in sorted(wanted)
    )
    return replace(workload, status=replace(status, admission_checks=states or UNSET))


def with_replacement(workload: Workload, replacement: Workload, now: int) -> Workload:
    """The slice of an elastic workload that another one replaced: it is finished. `now` in ns."""
    uid, labels = given(replacement.metadata.uid, ""), given(replacement.metadata.labels, {})
    finished = Condition(
        type="Finished",
        status="True",
        reason="WorkloadSliceReplaced",
        message=f"Replaced to accommodate a workload (UID: {uid}, JobUID: {labels.get(JOB_UID, '')}) "
        "due to workload slice aggregation",
        last_transition_time=time_text(now),
        observed_generation=workload.metadata.generation,
    )
    conditions = _changed(conditions_of(workload), [finished])
    return replace(workload, status=replace(_status(workload), conditions=conditions))


def with_pending(workload: Workload, answer: NotAdmitted, gates: FeatureGates, now: int) -> Workload:
    """The Workload that got no quota, and why, as far as the decision writes that. `now` in ns."""
    if not answer.written:
        return workload
    generation = workload.metadata.generation
    reserved = Condition(
        type="QuotaReserved",
        status="False",
        reason=answer.reason if gates.unadmitted_workloads_observability else "Pending",
        message=answer.message,
        last_transition_time=time_text(now),
        observed_generation=generation,
    )
    changes = [reserved]
    if answer.gated:
        changes.append(
            replace(reserved, type="BlockedOnPreemptionGates", status="True", reason="PreemptionGated")
        )
    conditions = _changed(conditions_of(workload), changes)
    status = replace(_status(workload), admission=UNSET, conditions=conditions)
    return with_admitted(replace(workload, status=status), gates, now)


@lru_cache(maxsize=64)
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
    if not queue.checks:
        return True
    flavors = {
        flavor
        for one in given(admission.pod_set_assignments, ())
        for flavor in given(one.flavors, {}).values()
    }
    needed = {name for name, asked in queue.checks.items() if asked & flavors}
    return needed <= check_states(workload).keys()


def _missing(workload: Workload, gates: FeatureGates) -> tuple[str, str] | None:
    """Reason and message of Admitted=False; None: nothing is missing. The reasons are coarser where
    UnadmittedWorkloadsObservability is off.
    """
    fine = gates.unadmitted_workloads_observability
    ready = all(state == "Ready" for state in check_states(workload).values())
    if not holds_reservation(workload):
        if ready or fine:
            return "NoReservation", "The workload has no reservation"
        text = "The workload has no reservation and not all checks ready"
        return "NoReservationUnsatisfiedChecks", text
    if not ready:
        reason = "UnsatisfiedAdmissionChecks" if fine else "UnsatisfiedChecks"
        return reason, "The workload has not all checks ready"
    if _places_are_pending(_assigned(workload)):
        return "PendingDelayedTopologyRequests", "There are pending delayed topology requests"
    return None


def _seconds_since(condition: Condition, now: int) -> int:
    """Whole seconds; none for a condition that says no time."""
    text = given(condition.last_transition_time, "")
    return (now - parse_time(text)) // 1_000_000_000 if text else 0


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


def _reset_check(check: AdmissionCheckState, at: str) -> AdmissionCheckState:
    """Pending again; a check that asked for a retry counts it."""
    if check.state == "Pending":
        return check
    return AdmissionCheckState(
        name=check.name,
        state="Pending",
        message="Reset to Pending after eviction. Previously: " + check.state,
        last_transition_time=at,
        requeue_after_seconds=check.requeue_after_seconds,
        retry_count=given(check.retry_count, 0) + 1 if check.state == "Retry" else UNSET,
    )


def _counted(stats: SchedulingStats, reason: str) -> SchedulingStats:
    """One eviction more for this reason."""
    found = given(stats.evictions, ())
    same = [one for one in found if one.reason == reason and not given(one.underlying_cause, "")]
    if not same:
        return SchedulingStats(
            evictions=(*found, SchedulingStatsEviction(reason=reason, underlying_cause="", count=1))
        )
    return SchedulingStats(
        evictions=tuple(
            replace(one, count=given(one.count, 0) + 1) if one is same[0] else one for one in found
        )
    )


def _assigned(workload: Workload) -> tuple[PodSetAssignment, ...]:
    admission = given(_status(workload).admission, None)
    return () if admission is None else given(admission.pod_set_assignments, ())


def _status(workload: Workload) -> WorkloadStatus:
    return given(workload.status, WorkloadStatus())

"""What becomes of a Workload beside the cycle: checks, stopped queues, deactivation, time limits, waits.

`follow_up` does one thing at a time; its change is the reason to look again.
Source: kueue pkg/controller/core/workload_controller.go (Reconcile).
"""

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue import ClusterQueue, ClusterQueueSpec, LocalQueue
from stellwerk.api.groups.kueue_workload import RequeueState, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.cycle.backlog import conditions_of
from stellwerk.engine.queueing.cycle.decision import Evicted
from stellwerk.engine.queueing.cycle.status import (
    holds_reservation,
    time_text,
    with_admitted,
    with_eviction,
    without_quota,
)
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.retries import (
    ADMISSION_CHECK,
    failed_checks,
    later_requeue,
    with_backoff_finished,
    with_requeue_at,
)
from stellwerk.engine.queueing.standing import is_evicted, true_condition

SECOND = 1_000_000_000
DEACTIVATED = "Deactivated"
DRAIN, NO_STOP = "HoldAndDrain", ("None", "")
TARGET = "DeactivationTarget"


class Place(Struct, frozen=True, kw_only=True):
    """Where a Workload waits or runs; None: not there."""

    local_queue: LocalQueue | None
    cluster_queue: ClusterQueue | None
    gates: FeatureGates


class FollowUp(Struct, frozen=True):
    """The Workload as it is to be (None: nothing to do), and when (ns) to look again."""

    workload: Workload | None = None
    at: int | None = None


def follow_up(workload: Workload, place: Place, now: int) -> FollowUp:
    """What to do about a Workload at `now` (ns)."""
    if true_condition(workload, "Finished") is not None:
        return FollowUp()
    later = later_requeue(workload, now)
    if later is not None:
        return FollowUp(with_requeue_at(workload, later, counted=False))
    first = _active(workload, now) if given(workload.spec.active, True) else _inactive(workload, now)
    if first is not None:
        return first
    for step in (_restarted, _admitted):
        changed = step(workload, place, now)
        if changed is not None:
            return FollowUp(changed)
    return _with_quota(workload, place, now) if holds_reservation(workload) else FollowUp()


def _active(workload: Workload, now: int) -> FollowUp | None:
    if true_condition(workload, TARGET) is not None:
        return FollowUp(replace(workload, spec=replace(workload.spec, active=False)))
    at = _requeue_at(workload)
    if at is not None and at > now:
        return FollowUp(at=at)
    finished = with_backoff_finished(workload, now)
    if finished is not workload:
        return FollowUp(finished)
    if at is not None and not holds_reservation(workload):
        return FollowUp(_without_requeue_at(workload))
    if _requeued_false(workload) == DEACTIVATED:
        return FollowUp(_requeued(workload, "Reactivated", "The workload was reactivated", now))
    return None


def _inactive(workload: Workload, now: int) -> FollowUp | None:
    """Deactivated: it is evicted, and nothing is left of what it waited for."""
    status = given(workload.status, WorkloadStatus())
    target = true_condition(workload, TARGET)
    if is_evicted(workload) and isinstance(status.requeue_state, UnsetType) and target is None:
        return None
    message = "The workload is deactivated"
    if target is not None:
        message += f" due to {given(target.message, '')}"
    if not is_evicted(workload):
        workload = with_eviction(workload, Evicted(key="", reason=DEACTIVATED, message=message), now)
        status = given(workload.status, WorkloadStatus())
    kept = tuple(one for one in conditions_of(workload) if one.type != TARGET)
    return FollowUp(replace(workload, status=replace(status, conditions=kept, requeue_state=UNSET)))


def _restarted(workload: Workload, place: Place, now: int) -> Workload | None:
    """Its queue was stopped, and is not any more."""
    why = _requeued_false(workload)
    local, queue = place.local_queue, place.cluster_queue
    if why == "LocalQueueStopped" and local is not None and _local_policy(local) in NO_STOP:
        message = "The LocalQueue was restarted after being stopped"
        return _requeued(workload, "LocalQueueRestarted", message, now)
    if why == "ClusterQueueStopped" and queue is not None and _policy(queue) in NO_STOP:
        message = "The ClusterQueue was restarted after being stopped"
        return _requeued(workload, "ClusterQueueRestarted", message, now)
    return None


def _admitted(workload: Workload, place: Place, now: int) -> Workload | None:
    """With quota, checks and a place it is admitted."""
    if true_condition(workload, "Admitted") is not None:
        return None  # What is missing now is for an eviction to say.
    changed = with_admitted(workload, place.gates, now)
    return None if changed == workload else changed


def _with_quota(workload: Workload, place: Place, now: int) -> FollowUp:
    failed = failed_checks(workload)
    if failed is not None:
        if failed.rejected:
            return FollowUp(_targeted(workload, ADMISSION_CHECK, failed.message, now))
        evicted = Evicted(key="", reason=ADMISSION_CHECK, message=failed.message)
        return FollowUp(with_eviction(workload, evicted, now))
    stopped = _stopped(workload, place)
    if stopped is not None:
        return FollowUp(with_eviction(workload, stopped, now))
    closed = _closed(workload, place)
    if closed:
        return FollowUp(without_quota(workload, closed, place.gates, now))
    return FollowUp() if is_evicted(workload) else _overtime(workload, now)


def _stopped(workload: Workload, place: Place) -> Evicted | None:
    if true_condition(workload, "Admitted") is None or is_evicted(workload):
        return None
    if place.local_queue is not None and _local_policy(place.local_queue) == DRAIN:
        return Evicted(key="", reason="LocalQueueStopped", message="The LocalQueue is stopped")
    if place.cluster_queue is not None and _policy(place.cluster_queue) == DRAIN:
        return Evicted(key="", reason="ClusterQueueStopped", message="The ClusterQueue is stopped")
    return None


def _closed(workload: Workload, place: Place) -> str:
    """Which queue is stopped, however, of a Workload that has quota and may not start yet; "" for none."""
    if true_condition(workload, "Admitted") is not None or is_evicted(workload):
        return ""
    local, queue = place.local_queue, place.cluster_queue
    if local is not None and _local_policy(local) not in NO_STOP:
        return f"LocalQueue {given(local.metadata.name, '')} is stopped"
    if queue is not None and _policy(queue) not in NO_STOP:
        return f"ClusterQueue {given(queue.metadata.name, '')} is stopped"
    return ""


def _overtime(workload: Workload, now: int) -> FollowUp:
    """Beyond spec.maximumExecutionTimeSeconds, all admissions together, it is deactivated."""
    most, admitted = (
        given(workload.spec.maximum_execution_time_seconds, None),
        true_condition(workload, "Admitted"),
    )
    if most is None or admitted is None or true_condition(workload, TARGET) is not None:
        return FollowUp()
    status = given(workload.status, WorkloadStatus())
    past = given(status.accumulated_past_execution_time_seconds, 0)
    end = parse_time(given(admitted.last_transition_time, "")) + (most - past) * SECOND
    if end > now:
        return FollowUp(at=end)
    text = "exceeding the maximum execution time"
    targeted = _targeted(workload, "MaximumExecutionTimeExceeded", text, now)
    changed = given(targeted.status, WorkloadStatus())
    return FollowUp(replace(targeted, status=replace(changed, accumulated_past_execution_time_seconds=UNSET)))


def _targeted(workload: Workload, reason: str, message: str, now: int) -> Workload:
    return _with_condition(workload, TARGET, (reason, message), now)


def _requeued(workload: Workload, reason: str, message: str, now: int) -> Workload:
    return _with_condition(workload, "Requeued", (reason, message), now)


def _with_condition(workload: Workload, kind: str, why: tuple[str, str], now: int) -> Workload:
    """With this condition True."""
    condition = Condition(
        type=kind,
        status="True",
        reason=why[0],
        message=why[1],
        last_transition_time=time_text(now),
        observed_generation=workload.metadata.generation,
    )
    kept = tuple(one for one in conditions_of(workload) if one.type != kind)
    status = given(workload.status, WorkloadStatus())
    return replace(workload, status=replace(status, conditions=(*kept, condition)))


def _requeued_false(workload: Workload) -> str:
    """Why it may not be tried, by the condition Requeued; "" if it may."""
    found = (one for one in conditions_of(workload) if one.type == "Requeued" and one.status == "False")
    return next((given(one.reason, "") for one in found), "")


def _requeue_at(workload: Workload) -> int | None:
    state = given(given(workload.status, WorkloadStatus()).requeue_state, RequeueState())
    text = given(state.requeue_at, "")
    return parse_time(text) if text else None


def _without_requeue_at(workload: Workload) -> Workload:
    status = given(workload.status, WorkloadStatus())
    state = given(status.requeue_state, RequeueState())
    return replace(workload, status=replace(status, requeue_state=replace(state, requeue_at=UNSET)))


def _policy(queue: ClusterQueue) -> str:
    return given(given(queue.spec, ClusterQueueSpec()).stop_policy, "None")


def _local_policy(queue: LocalQueue) -> str:
    return given(queue.spec.stop_policy, "None")

"""When a Workload may be tried again, and what its failed AdmissionChecks mean for it.

Source: kueue pkg/workload/admissionchecks.go (GetMaxRetryTime, NeedsRequeueAtUpdate,
UpdateAdmissionCheckRequeueState), workload.go (SetRequeueState, UpdateRequeueState),
pkg/controller/core/workload_controller.go (reconcileCheckBasedEviction), pkg/util/wait/backoff.go.
Kueue adds up to a ten-thousandth to a backoff by chance; that is left to who calls.
"""

from collections.abc import Iterable

from msgspec import UNSET, Struct
from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import (
    AdmissionCheckState,
    RequeueState,
    Workload,
    WorkloadStatus,
)
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.cycle.backlog import conditions_of
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.engine.queueing.standing import is_evicted

SECOND = 1_000_000_000
RETRY, REJECTED, PENDING = "Retry", "Rejected", "Pending"
# Reasons of the condition Evicted after which a backoff decides when the workload is tried again.
ADMISSION_CHECK, PODS_READY_TIMEOUT = "AdmissionCheck", "PodsReadyTimeout"


class Backoff(Struct, frozen=True, kw_only=True):
    """The first wait is `first_s` seconds, each one twice as long as the one before, none above `most_s`."""

    first_s: int
    most_s: int

    def seconds(self, retry: int) -> int:
        """The wait before this retry, the first being 1."""
        doubled = self.first_s << min(max(retry, 1) - 1, 63)
        return min(doubled, self.most_s)


class FailedChecks(Struct, frozen=True, kw_only=True):
    """What a workload whose checks failed gets: `rejected`: it is deactivated, else it is evicted and tries
    again. `message` names the checks, for the condition Evicted, or DeactivationTarget.
    """

    rejected: bool
    message: str


def failed_checks(workload: Workload) -> FailedChecks | None:
    """What the AdmissionChecks of a workload that is not evicted yet demand; None: nothing."""
    if is_evicted(workload):
        return None
    for state in (REJECTED, RETRY):
        found = sorted((one for one in _checks(workload) if one.state == state), key=lambda one: one.name)
        if found:
            text = _named(found, state)
            return FailedChecks(
                rejected=state == REJECTED, message=text if state == REJECTED else f"Evicted due to {text}"
            )
    return None


def retry_time(checks: Iterable[AdmissionCheckState]) -> int | None:
    """When (ns) the last of the checks that ask for a retry may be asked again; None if none says when."""
    times = []
    for one in checks:
        after, since = given(one.requeue_after_seconds, None), given(one.last_transition_time, "")
        if one.state == RETRY and after is not None and since:
            times.append(parse_time(since) + after * SECOND)
    return max(times, default=None)


def later_requeue(workload: Workload, now: int) -> int | None:
    """The time (ns) before which its checks do not want it back, if its status does not say so yet."""
    at = retry_time(_checks(workload))
    if at is None or at <= now:
        return None
    known = _requeue_at(workload)
    return at if known is None or known < at else None


def with_requeue_at(workload: Workload, at: int, *, counted: bool) -> Workload:
    """The Workload that is not tried before `at` (ns), or a later time that its status has already.

    `counted`: one retry more (of those that waitForPodsReady limits).
    """
    status = given(workload.status, WorkloadStatus())
    state, known = given(status.requeue_state, RequeueState()), _requeue_at(workload)
    if known is None or known < at:
        state = replace(state, requeue_at=time_text(at))
    if counted:
        state = replace(state, count=given(state.count, 0) + 1)
    return replace(workload, status=replace(status, requeue_state=state))


def with_next_retry(check: AdmissionCheckState, backoff: Backoff) -> AdmissionCheckState:
    """The check, asking for a retry after a wait that grows with the retries it had."""
    return replace(check, requeue_after_seconds=backoff.seconds(given(check.retry_count, 0) + 1))


def with_backoff_finished(workload: Workload, now: int) -> Workload:
    """The Workload that may be tried again, if it waited for a backoff and that is over at `now` (ns)."""
    status = given(workload.status, WorkloadStatus())
    waits = any(
        one.type == "Requeued"
        and one.status == "False"
        and given(one.reason, "") in (ADMISSION_CHECK, PODS_READY_TIMEOUT)
        for one in conditions_of(workload)
    )
    at = _requeue_at(workload)
    if not waits or (at is not None and at > now):
        return workload
    requeued = Condition(
        type="Requeued",
        status="True",
        reason="BackoffFinished",
        message="The workload backoff was finished",
        last_transition_time=time_text(now),
        observed_generation=workload.metadata.generation,
    )
    conditions = tuple(requeued if one.type == "Requeued" else one for one in conditions_of(workload))
    state = given(status.requeue_state, None)
    left = UNSET if state is None else replace(state, requeue_at=UNSET)
    return replace(workload, status=replace(status, conditions=conditions, requeue_state=left))


def _checks(workload: Workload) -> tuple[AdmissionCheckState, ...]:
    return given(given(workload.status, WorkloadStatus()).admission_checks, ())


def _requeue_at(workload: Workload) -> int | None:
    state = given(given(workload.status, WorkloadStatus()).requeue_state, RequeueState())
    text = given(state.requeue_at, "")
    return parse_time(text) if text else None


def _named(checks: list[AdmissionCheckState], state: str) -> str:
    """Kueue's condition message; it is not translated."""
    parts = [f'"{one.name}" ({one.message})' if given(one.message, "") else f'"{one.name}"' for one in checks]
    noun = "AdmissionChecks" if len(checks) > 1 else "AdmissionCheck"
    return f"{noun} in {state} state: {'; '.join(parts)}"

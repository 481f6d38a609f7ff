"""waitForPodsReady: when an admitted Workload whose pods do not get ready is evicted, and tried again.

Also whom `blockAdmission` lets the others wait for. Times are integer ns.
Source: kueue pkg/controller/core/workload_controller.go (reconcileNotReadyTimeout, admittedNotReadyWorkload,
triggerDeactivation), pkg/workload/workload.go (UpdateRequeueState, SetRequeueState), pkg/util/wait,
pkg/cache/scheduler/cache.go (PodsReadyForAllAdmittedWorkloads); KEP-349, KEP-1282.
"""

from collections.abc import Iterable

from msgspec import Struct

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import RequeueState, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.standing import is_evicted, true_condition

SECOND, MINUTE = 1_000_000_000, 60_000_000_000
# The two causes of an eviction by timeout, and the reasons of the condition PodsReady=False.
WAIT_FOR_START, WAIT_FOR_RECOVERY = "WaitForStart", "WaitForRecovery"
TIMEOUT, LIMIT_EXCEEDED = "PodsReadyTimeout", "RequeuingLimitExceeded"
# What a head is told while blockAdmission holds it back: reason and message of QuotaReserved=False.
BLOCKED = "WaitingForPodsReady"
BLOCKED_MESSAGE = "waiting for all admitted workloads to be in PodsReady condition"
_LIMIT_MESSAGE = "exceeding the maximum number of re-queuing retries"
_OLD_REASON = "PodsReady"  # Of Kueue before 0.11, for a start that is waited for.
_NO_CAP = 2**62  # Half of what a duration can be, as a float.


class PodsReady(Struct, frozen=True, kw_only=True):
    """Configuration.waitForPodsReady with Kueue's defaults.

    `recovery_ns` None: pods that were ready once are not waited for. `limit` None: it is tried again without
    end.
    """

    timeout_ns: int = 30 * MINUTE
    recovery_ns: int | None = 30 * MINUTE
    block_admission: bool = False
    base_s: int = 60
    most_s: int = 3600
    limit: int | None = None


class Recheck(Struct, frozen=True):
    """Its pods may still get ready: nothing is to be done before `at`."""

    at: int


class Timeout(Struct, frozen=True, kw_only=True):
    """It is to be evicted, with reason PodsReadyTimeout; `cause` is the eviction's underlying one.

    `count` and `requeue_at` are the new status.requeueState.
    """

    cause: str
    message: str
    count: int
    requeue_at: int


class Deactivation(Struct, frozen=True):
    """It was tried often enough: it is to be deactivated (condition DeactivationTarget), not evicted."""

    reason: str = LIMIT_EXCEEDED
    message: str = _LIMIT_MESSAGE


def timeout_of(workload: Workload, config: PodsReady, now: int) -> Recheck | Timeout | Deactivation | None:
    """What becomes of a Workload at `now` because of its pods; None: it is not waited for.

    A variant under ConcurrentAdmission is not to be asked about: its parent has the condition.
    """
    waiting = _waiting(workload, config)
    if waiting is None:
        return None
    cause, until = waiting
    if now < until:
        return Recheck(until)
    state = given(given(workload.status, WorkloadStatus()).requeue_state, RequeueState())
    count = given(state.count, 0) + 1
    if config.limit is not None and count > config.limit:
        return Deactivation()
    before = given(state.requeue_at, "")
    return Timeout(
        cause=cause,
        message=f"Exceeded the PodsReady timeout {workload_key(workload)}",
        count=count,
        requeue_at=max(parse_time(before) if before else 0, now + backoff_ns(count, config)),
    )


def backoff_ns(count: int, config: PodsReady) -> int:
    """How long the Workload waits before it is tried the `count`th time again (from 1).

    Kueue adds up to a ten-thousandth by chance; this is without. The first one is not capped, as in Kueue.
    """
    first, most = config.base_s * SECOND, config.most_s * SECOND or _NO_CAP
    if count <= 1 or first <= 0:
        return max(first, 0)
    return min(first << min(count - 1, 63), most)


def blocks_admission(holders: Iterable[Workload], config: PodsReady | None) -> tuple[str, ...]:
    """Of those who hold quota, whose pods are not ready (keys, in order): others wait for them.

    Empty: nobody waits. A Workload on its second pass has its quota and never waits.
    """
    if config is None or not config.block_admission:
        return ()
    return tuple(sorted(workload_key(one) for one in holders if true_condition(one, "PodsReady") is None))


def _waiting(workload: Workload, config: PodsReady) -> tuple[str, int] | None:
    """For what it is waited, and until when."""
    admitted = true_condition(workload, "Admitted")
    if admitted is None or is_evicted(workload) or not given(workload.spec.active, True):
        return None
    ready = _condition(workload, "PodsReady")
    reason = "" if ready is None else given(ready.reason, "")
    if ready is None or (ready.status != "True" and reason in (WAIT_FOR_START, _OLD_REASON)):
        return WAIT_FOR_START, _since(admitted) + config.timeout_ns
    if ready.status != "True" and reason == WAIT_FOR_RECOVERY and config.recovery_ns is not None:
        return WAIT_FOR_RECOVERY, _since(ready) + config.recovery_ns
    return None


def _condition(workload: Workload, kind: str) -> Condition | None:
    conditions = given(given(workload.status, WorkloadStatus()).conditions, ())
    return next((one for one in conditions if one.type == kind), None)


def _since(condition: Condition) -> int:
    text = given(condition.last_transition_time, "")
    return parse_time(text) if text else 0

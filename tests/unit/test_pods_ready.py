"""waitForPodsReady: evictions by timeout, when they are tried again, whom blockAdmission holds back."""

from typing import Any

import pytest

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.pods_ready import (
    MINUTE,
    SECOND,
    Deactivation,
    PodsReady,
    Recheck,
    Timeout,
    backoff_ns,
    blocks_admission,
    timeout_of,
)
from stellwerk.engine.queueing.standing import queue_time
from tests.conformance.kueue_objects import typed

START, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
ADMITTED = {"type": "Admitted", "status": "True", "lastTransitionTime": START}
HOUR = 60 * MINUTE


def ready(status: str, reason: str, at: str = LATER) -> dict[str, Any]:
    return {"type": "PodsReady", "status": status, "reason": reason, "lastTransitionTime": at}


def workload(*conditions: dict[str, Any], name: str = "a", active: bool = True, **status: Any) -> Workload:
    metadata = {"name": name, "namespace": "ns", "creationTimestamp": "2025-12-31T00:00:00Z"}
    spec = {"podSets": [], "active": active}
    raw = {"metadata": metadata, "spec": spec, "status": {"conditions": list(conditions), **status}}
    found: Workload = typed(raw, Workload)
    return found


def at(text: str) -> int:
    return parse_time(text)


@pytest.mark.parametrize(
    "conditions",
    [(ADMITTED,), (ADMITTED, ready("False", "WaitForStart")), (ADMITTED, ready("False", "PodsReady"))],
)
def test_the_start_is_waited_for_since_the_admission(conditions: tuple[dict[str, Any], ...]) -> None:
    end = at(START) + 30 * MINUTE
    assert timeout_of(workload(*conditions), PodsReady(), end - 1) == Recheck(end)
    assert timeout_of(workload(*conditions), PodsReady(), end) == Timeout(
        cause="WaitForStart",
        message="Exceeded the PodsReady timeout ns/a",
        count=1,
        requeue_at=end + MINUTE,
    )


def test_recovery_is_waited_for_since_the_pods_were_not_ready_any_more() -> None:
    config, one = PodsReady(recovery_ns=5 * MINUTE), workload(ADMITTED, ready("False", "WaitForRecovery"))
    end = at(LATER) + 5 * MINUTE
    assert timeout_of(one, config, end - 1) == Recheck(end)
    found = timeout_of(one, config, end)
    assert isinstance(found, Timeout) and found.cause == "WaitForRecovery"
    assert timeout_of(one, PodsReady(recovery_ns=None), end + 100 * HOUR) is None


@pytest.mark.parametrize(
    "one",
    [
        workload(),
        workload({**ADMITTED, "status": "False"}),
        workload(ADMITTED, ready("True", "PodsReady")),
        workload(ADMITTED, ready("False", "Other")),
        workload(ADMITTED, {"type": "Evicted", "status": "True", "reason": "Preempted"}),
        workload(ADMITTED, active=False),
    ],
)
def test_nobody_else_is_waited_for(one: Workload) -> None:
    assert timeout_of(one, PodsReady(), at(LATER) + 1000 * HOUR) is None


def test_each_backoff_is_twice_the_last_up_to_the_most() -> None:
    waits = [backoff_ns(count, PodsReady()) // SECOND for count in range(1, 10)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    assert backoff_ns(10**6, PodsReady()) == HOUR
    assert backoff_ns(1, PodsReady(base_s=100, most_s=50)) == 100 * SECOND  # As Kueue's first step.
    assert backoff_ns(2, PodsReady(base_s=100, most_s=50)) == 50 * SECOND
    assert backoff_ns(5, PodsReady(base_s=0)) == 0
    assert backoff_ns(4, PodsReady(base_s=10, most_s=0)) == 80 * SECOND
    assert backoff_ns(100, PodsReady(base_s=10, most_s=0)) == 2**62


def test_the_count_goes_up_and_a_later_requeue_stays() -> None:
    one = workload(ADMITTED, requeueState={"count": 3, "requeueAt": "2026-01-01T00:10:00Z"})
    now = at(LATER)
    assert timeout_of(one, PodsReady(), now) == Timeout(
        cause="WaitForStart",
        message="Exceeded the PodsReady timeout ns/a",
        count=4,
        requeue_at=now + 480 * SECOND,
    )
    one = workload(ADMITTED, requeueState={"count": 1, "requeueAt": "2026-02-01T00:00:00Z"})
    found = timeout_of(one, PodsReady(), now)
    assert isinstance(found, Timeout) and found.requeue_at == at("2026-02-01T00:00:00Z")


def test_after_the_last_time_it_is_deactivated() -> None:
    config, now = PodsReady(limit=2), at(LATER)
    assert isinstance(timeout_of(workload(ADMITTED, requeueState={"count": 1}), config, now), Timeout)
    assert timeout_of(workload(ADMITTED, requeueState={"count": 2}), config, now) == Deactivation(
        "RequeuingLimitExceeded", "exceeding the maximum number of re-queuing retries"
    )
    assert isinstance(timeout_of(workload(ADMITTED), PodsReady(limit=0), now), Deactivation)


def test_admission_is_blocked_until_all_who_hold_quota_are_ready() -> None:
    holders = [workload(name="b"), workload(ADMITTED, ready("True", "x"), name="c"), workload(ADMITTED)]
    assert blocks_admission(holders, PodsReady(block_admission=True)) == ("ns/a", "ns/b")
    assert blocks_admission(holders[1:2], PodsReady(block_admission=True)) == ()
    assert blocks_admission(holders, PodsReady()) == () and blocks_admission(holders, None) == ()


def test_who_was_evicted_waits_by_its_eviction_or_by_its_creation() -> None:
    evicted = {"type": "Evicted", "status": "True", "reason": "PodsReadyTimeout", "lastTransitionTime": LATER}
    checked = {**evicted, "reason": "AdmissionCheck"}
    gates = feature_gates()
    assert queue_time(workload(evicted), gates) == at(LATER)
    assert queue_time(workload(evicted), gates, "Creation") == at("2025-12-31T00:00:00Z")
    assert queue_time(workload(checked), gates, "Creation") == at(LATER)

"""AdmissionChecks of a Workload: whether it is admitted, what a failed one demands, when it tries again."""

from typing import Any

import pytest
from msgspec import UNSET

from stellwerk.api.groups.kueue_workload import AdmissionCheckState, Workload
from stellwerk.engine.queueing.cycle.backlog import backoff_ends
from stellwerk.engine.queueing.cycle.status import with_admitted, with_checks
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.retries import (
    Backoff,
    failed_checks,
    later_requeue,
    retry_time,
    with_backoff_finished,
    with_next_retry,
    with_requeue_at,
)
from tests.property.flavor_worlds import typed

NOW = 1_800_000_000_000_000_000  # 2027-01-15T08:00:00Z
SECOND = 1_000_000_000
AT, SOON = "2027-01-15T08:00:00Z", "2027-01-15T08:00:30Z"


def workload(**status: Any) -> Workload:
    raw = {"metadata": {"name": "w", "namespace": "ns", "generation": 3}, "spec": {"podSets": []}}
    return typed({**raw, "status": status}, Workload)


def check(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "lastTransitionTime": AT, **more}


def true(kind: str, at: str = AT) -> dict[str, Any]:
    return {"type": kind, "status": "True", "lastTransitionTime": at}


def admitted(one: Workload) -> tuple[str, str | None] | None:
    conditions = one.status.conditions if one.status else ()
    return next(((each.status, each.reason) for each in conditions or () if each.type == "Admitted"), None)


@pytest.mark.parametrize(
    ("observability", "reason"), [(True, "NoReservation"), (False, "NoReservationUnsatisfiedChecks")]
)
def test_who_loses_quota_and_checks_is_not_admitted_any_more_and_its_time_adds_up(
    observability: bool, reason: str
) -> None:
    before = workload(
        conditions=[true("Admitted")],
        admissionChecks=[check("a", "Pending")],
        accumulatedPastExecutionTimeSeconds=5,
    )
    gates = feature_gates({"UnadmittedWorkloadsObservability": observability})
    after = with_admitted(before, gates, NOW + 7 * SECOND)
    assert admitted(after) == ("False", reason)
    assert after.status.accumulated_past_execution_time_seconds == 12
    again = with_admitted(after, gates, NOW + 9 * SECOND)
    assert again == after


def test_without_observability_a_workload_that_is_not_admitted_gets_no_condition() -> None:
    before = workload(conditions=[true("QuotaReserved")], admissionChecks=[check("a", "Pending")])
    off = feature_gates({"UnadmittedWorkloadsObservability": False})
    assert with_admitted(before, off, NOW) is before
    assert admitted(with_admitted(before, feature_gates(), NOW)) == ("False", "UnsatisfiedAdmissionChecks")


def test_states_are_kept_of_the_checks_that_are_asked_for_and_of_no_others() -> None:
    before = workload(admissionChecks=[check("a", "Ready"), check("b", "Ready")])
    states = with_checks(before, ["c", "a"], NOW).status.admission_checks
    assert [(one.name, one.state) for one in states] == [("a", "Ready"), ("c", "Pending")]
    assert with_checks(before, ["b", "a"], NOW) is before
    assert not with_checks(before, [], NOW).status.admission_checks


def test_rejected_checks_deactivate_and_checks_that_retry_evict() -> None:
    retry = check("b", "Retry", message="no nodes")
    both = workload(admissionChecks=[retry, check("a", "Retry"), check("c", "Rejected")])
    found = failed_checks(both)
    assert found is not None and found.rejected
    assert found.message == 'AdmissionCheck in Rejected state: "c"'
    found = failed_checks(workload(admissionChecks=[retry, check("a", "Retry"), check("c", "Ready")]))
    assert found is not None and not found.rejected
    assert found.message == 'Evicted due to AdmissionChecks in Retry state: "a"; "b" (no nodes)'
    assert failed_checks(workload(admissionChecks=[check("a", "Ready")])) is None
    assert failed_checks(workload(admissionChecks=[retry], conditions=[true("Evicted")])) is None


def test_each_wait_is_twice_as_long_up_to_the_longest() -> None:
    backoff = Backoff(first_s=60, most_s=1800)
    assert [backoff.seconds(retry) for retry in (1, 2, 3, 5, 6, 1000)] == [60, 120, 240, 960, 1800, 1800]
    state = typed(check("a", "Retry", retryCount=2), AdmissionCheckState)
    assert with_next_retry(state, backoff).requeue_after_seconds == 240


def test_only_checks_that_ask_for_a_retry_say_when() -> None:
    later = typed(check("a", "Ready", requeueAfterSeconds=90), AdmissionCheckState)
    assert retry_time([later]) is None
    assert later_requeue(workload(admissionChecks=[check("a", "Retry")]), NOW) is None


def test_the_latest_time_counts_and_is_never_made_earlier() -> None:
    checks = [check("a", "Retry", requeueAfterSeconds=30), check("b", "Retry", requeueAfterSeconds=20)]
    one = workload(admissionChecks=checks)
    at = later_requeue(one, NOW)
    assert at == NOW + 30 * SECOND
    assert later_requeue(one, NOW + 30 * SECOND) is None
    waits = with_requeue_at(one, at, counted=False)
    assert (waits.status.requeue_state.requeue_at, waits.status.requeue_state.count) == (SOON, UNSET)
    assert later_requeue(waits, NOW) is None
    sooner = with_requeue_at(waits, NOW + SECOND, counted=True)
    assert (sooner.status.requeue_state.requeue_at, sooner.status.requeue_state.count) == (SOON, 1)


@pytest.mark.parametrize("reason", ["AdmissionCheck", "PodsReadyTimeout"])
def test_a_backoff_that_is_over_lets_the_workload_be_tried_again(reason: str) -> None:
    requeued = {"type": "Requeued", "status": "False", "reason": reason, "lastTransitionTime": AT}
    waits = workload(conditions=[requeued], requeueState={"count": 2, "requeueAt": SOON})
    assert with_backoff_finished(waits, NOW) is waits
    assert backoff_ends(waits) > NOW + 30 * SECOND
    back = with_backoff_finished(waits, NOW + 30 * SECOND)
    assert backoff_ends(back) <= NOW + 30 * SECOND
    assert back.status.requeue_state.count == 2
    assert [(one.status, one.reason) for one in back.status.conditions] == [("True", "BackoffFinished")]


def test_who_was_deactivated_does_not_come_back_by_waiting() -> None:
    requeued = {"type": "Requeued", "status": "False", "reason": "Deactivated", "lastTransitionTime": AT}
    waits = workload(conditions=[requeued])
    assert with_backoff_finished(waits, NOW) is waits

"""A Workload that comes, changes or goes while others wait."""

from typing import Any

import pytest

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.course.arrivals import with_arrival, without_workload
from stellwerk.engine.queueing.cycle.admit import admit
from stellwerk.engine.queueing.cycle.backlog import Backlog
from stellwerk.engine.queueing.cycle.requeue import FAILED_AFTER_NOMINATION, GENERIC, requeued
from stellwerk.engine.queueing.snapshot import Snapshot
from tests.property.flavor_worlds import typed
from tests.unit.test_queueing_cycle import AT, NOW, moment, workload


def places(backlog: Backlog) -> tuple[list[str], list[str]]:
    """Who is tried, in order, and who is parked."""
    pending = backlog.queues["q"]
    return [one.info.key for one in pending.active], sorted(pending.inadmissible)


def with_one_parked(**spec: Any) -> tuple[Snapshot, Backlog]:
    """`big` asks for more than there is, and was tried."""
    snapshot, backlog = moment([workload("big", 9)], **spec)
    after = admit(snapshot, backlog, NOW).backlog
    assert places(after) == ([], ["ns/big"])
    return snapshot, after


def test_one_that_is_parked_stays_so_until_something_changes_that_may_matter() -> None:
    snapshot, backlog = with_one_parked()
    seen = workload("big", 9)
    seen["metadata"]["labels"] = {"seen": "true"}
    backlog = with_arrival(backlog, typed(seen, Workload), snapshot, NOW)
    assert places(backlog) == ([], ["ns/big"])
    assert backlog.queues["q"].inadmissible["ns/big"].info.object.metadata.labels == {"seen": "true"}
    for change in (workload("big", 2), workload("big", 9, priority=1)):
        assert places(with_arrival(backlog, typed(change, Workload), snapshot, NOW))[0] == ["ns/big"]
    reclaimed = {**workload("big", 9), "status": {"reclaimablePods": [{"name": "main", "count": 1}]}}
    assert places(with_arrival(backlog, typed(reclaimed, Workload), snapshot, NOW)) == (["ns/big"], [])


def test_who_asks_for_what_had_no_fit_is_parked_unseen_in_a_best_effort_queue() -> None:
    snapshot, backlog = with_one_parked()
    for name, cpu in (("alike", 9), ("small", 1)):
        backlog = with_arrival(backlog, typed(workload(name, cpu), Workload), snapshot, NOW)
    assert places(backlog) == (["ns/small"], ["ns/alike", "ns/big"])


@pytest.mark.parametrize("strategy", ["BestEffortFIFO", "StrictFIFO"])
def test_who_backs_off_is_parked(strategy: str) -> None:
    snapshot, backlog = moment([workload("w")], queueingStrategy=strategy)
    later = {**workload("late"), "status": {"requeueState": {"requeueAt": "2027-01-15T08:00:10Z"}}}
    backlog = with_arrival(backlog, typed(later, Workload), snapshot, NOW)
    assert places(backlog) == (["ns/w"], ["ns/late"])


def test_one_that_is_tried_changes_its_place_with_its_priority() -> None:
    snapshot, backlog = moment([workload("a"), workload("b")])
    backlog = with_arrival(backlog, typed(workload("b", priority=1), Workload), snapshot, NOW)
    assert places(backlog) == (["ns/b", "ns/a"], [])


def test_who_may_not_wait_any_more_is_taken_out() -> None:
    snapshot, backlog = moment([workload("a"), workload("b")])
    finished = {"type": "Finished", "status": "True", "lastTransitionTime": AT}
    done = typed({**workload("a"), "status": {"conditions": [finished]}}, Workload)
    assert places(with_arrival(backlog, done, snapshot, NOW)) == (["ns/b"], [])
    assert places(without_workload(backlog, "q", "ns/b")) == (["ns/a"], [])
    assert without_workload(backlog, "elsewhere", "ns/b") is backlog


def test_one_that_came_back_meanwhile_is_there_once() -> None:
    _, backlog = moment([workload("w")])
    waiting, strategy = backlog.queues["q"].active[0], "BestEffortFIFO"
    assert requeued(backlog.queues["q"], waiting, GENERIC, strategy, NOW) == backlog.queues["q"]
    parked = requeued(backlog.queues["q"].without("ns/w"), waiting, GENERIC, strategy, NOW)
    back = requeued(parked, waiting, FAILED_AFTER_NOMINATION, strategy, NOW)
    assert (len(back.active), dict(back.inadmissible)) == (1, {})

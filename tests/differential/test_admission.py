"""The queue's short cuts against the plain rule: all waiting jobs in order, each tried on every GPU."""

import heapq
from collections.abc import Iterator

import pytest

from stellwerk.control.admission import Admission
from stellwerk.control.events import Effect
from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.policy import POLICIES, Policy
from stellwerk.engine.placement.place import place
from stellwerk.sim.replay import replay
from tests.simulation.scenarios import drawn

SEEDS = range(1_000, 1_060)


def plain(self: Admission, nodes: set[int], now: int) -> list[Effect]:
    """The slow twin of `Admission._start_waiting`: no grouping by shape, no node left out, none skipped."""
    del nodes
    effects: list[Effect] = []
    if now >= self._end_ns:
        return effects
    for ticket, shape in list(_in_order(self)):
        job = ticket[1]
        granted = place(self._sites, self._states, self._requests[job])
        if isinstance(granted, Reason):
            continue
        self._waiting[shape].remove(ticket)
        heapq.heapify(self._waiting[shape])
        self._waiting_count -= 1
        effects += self._start(job, granted)
    return effects


def _in_order(self: Admission) -> Iterator[tuple[tuple[int, str], int]]:
    return iter(sorted((ticket, shape) for shape, queue in self._waiting.items() for ticket in queue))


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_short_cuts_decide_as_the_plain_rule(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = [replay(drawn(seed), policy) for seed in SEEDS]
    monkeypatch.setattr(Admission, "_start_waiting", plain)
    for seed, found in zip(SEEDS, fast, strict=True):
        assert replay(drawn(seed), policy) == found, f"seed {seed}"
    assert any(run.waits.max_ns for outcome in fast for run in outcome.runs), "some job must wait"

"""Queues under faults by seed: what must hold after each event, and that everything finishes once faults end.

A failure prints its seed; `python -m tests.simulation.queue_faults SEED` tells that world event by event.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.control.queueing import controller, jobs, seen
from stellwerk.control.queueing.controller import QueueController
from stellwerk.control.queueing.events import Refused
from stellwerk.engine.queueing.course import state
from stellwerk.engine.queueing.cycle.backlog import backoff_ends
from stellwerk.sim.queueing.ledger import EVICTED
from stellwerk.sim.world import Violation

from .queue_faults import Trial, fresh
from .queue_worlds import QueueWorld, drawn

BLOCK, BLOCKS = 25, 8
Plant = Callable[[pytest.MonkeyPatch], None]


def tried(seed: int) -> Trial:
    trial = Trial(drawn(seed))
    try:
        trial.run()
    except (Violation, AssertionError) as error:
        pytest.fail(f"seed {seed}: {error}\npython -m tests.simulation.queue_faults {seed}")
    return trial


@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_is_lost_or_late_quota_holds_and_everything_finishes(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        tried(seed)


def test_the_worlds_have_every_kind_of_fault_and_of_eviction() -> None:
    faults: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for seed in range(60):
        trial = tried(seed)
        faults.update(trial.counts)
        reasons.update(one.reason for one in trial.books.ledger.stays if one.ended == EVICTED)
    assert min(faults[one] for one in ("lost", "twice", "late", "killed", "refused")) >= 5, faults
    asked = {"Preempted", "AdmissionCheck", "ClusterQueueStopped", "Deactivated", "Deleted"}
    assert asked <= reasons.keys(), reasons


def test_the_same_seed_is_the_same_story() -> None:
    for seed in (3, 17, 41):
        stories: list[list[str]] = [[], []]
        for story in stories:
            Trial(drawn(seed), fresh, story.append).run()
        assert stories[0] == stories[1] and stories[0]


def forgets_to_release(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jobs, "holds_reservation", lambda workload: False)


def releases_before_the_pods_are_gone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(jobs, "_is_active", lambda job: False)


def starts_before_the_checks_are_ready(patch: pytest.MonkeyPatch) -> None:
    honest = jobs.true_condition
    swapped = {"Admitted": "QuotaReserved"}
    patch.setattr(jobs, "true_condition", lambda one, kind: honest(one, swapped.get(kind, kind)))


def believes_old_news(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(seen, "_is_newer", lambda version, old, gone: True)


def waits_for_a_write_that_was_refused(patch: pytest.MonkeyPatch) -> None:
    honest = QueueController._ended

    def deaf(self, event, effect, raw, now):  # type: ignore[no-untyped-def]
        return iter(()) if isinstance(event, Refused) else honest(self, event, effect, raw, now)

    patch.setattr(QueueController, "_ended", deaf)


def forgets_the_job_of_a_deleted_workload(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(controller, "owner_of", lambda raw: ("", ""))


def loses_who_backs_off(patch: pytest.MonkeyPatch) -> None:
    honest = state.wait

    def loses(one: state.State, workload: Workload, now: int) -> None:
        if backoff_ends(workload) <= now:
            honest(one, workload, now)

    patch.setattr(state, "wait", loses)


def gives_quota_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state, "_move", lambda one, gone, new: None)


PLANTS: list[Plant] = [
    forgets_to_release,
    releases_before_the_pods_are_gone,
    starts_before_the_checks_are_ready,
    believes_old_news,
    waits_for_a_write_that_was_refused,
    forgets_the_job_of_a_deleted_workload,
    gives_quota_twice,
    loses_who_backs_off,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert first_violation(drawn(seed) for seed in range(BLOCK * BLOCKS)), "no world finds it"


def first_violation(worlds: Iterable[QueueWorld]) -> str:
    for world in worlds:
        try:
            Trial(world).run()
        except (Violation, AssertionError, KeyError) as error:
            return f"seed {world.seed}: {error}"
    return ""

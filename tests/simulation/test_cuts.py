"""GPUs that are cut while the fleet works: by hand, and by seed with cuts that fail; safety, then liveness.

A failure names its seed, and one command to see it again: `python -m tests.simulation.test_cuts SEED POLICY`.
"""

import sys
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from stellwerk.control.events import Configured, ConfigureFailed, NodeLost
from stellwerk.control.preparation import MOST_FAILURES, Preparation, Prepared
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import NS_PER_HOUR, NS_PER_S
from stellwerk.engine.partition.policy import POLICIES, Policy
from stellwerk.engine.placement.cuts import Cut, after
from stellwerk.engine.placement.place import place
from stellwerk.engine.snapshot import Faults, Fleet, Reconfiguration
from stellwerk.ports.entropy import SeededEntropy
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.replay import Scenario, Stage, play, replay, simulate, stage
from stellwerk.sim.slowdown import Slowdown
from stellwerk.sim.world import Violation

from .scenarios import GIB, demand, drawn, fleet, job, node, scenario

BY_NAME = {policy.name: policy for policy in POLICIES}
MINUTE = 60 * NS_PER_S
SMALL = {"memory_bytes": 8 * GIB, "compute_milli": 100}  # 1g.10gb of an H100
HALF = {"memory_bytes": 30 * GIB, "compute_milli": 300}  # 3g.40gb
SLOW = Reconfiguration(create_ns=10 * MINUTE, destroy_ns=5 * MINUTE, mode_ns=60 * MINUTE)


def cut_fleet(law: Reconfiguration = SLOW, gpus: int = 1, repair_h: int = 1) -> Fleet:
    """One node of H100 whose cuts take what the law says."""
    found = fleet(node("one", gpus), faults=Faults(repair_ns=repair_h * NS_PER_HOUR))
    return replace(found, reconfiguration=law)


def ledger_of(found: Scenario, policy: str) -> Ledger:
    ledger = simulate(found, BY_NAME[policy], found.slowdowns[0])
    assert ledger is not None
    return ledger


def starts(ledger: Ledger) -> dict[str, int]:
    """First start of each job, in minutes."""
    return {name: at // MINUTE for name, at in ledger.first_start_ns.items()}


def test_the_first_instance_waits_for_mig_mode_and_its_own_creation() -> None:
    ledger = ledger_of(scenario(demand(20, job("a", 0, 2, **SMALL)), cut_fleet(), Slowdown()), "mig-chosen")
    assert starts(ledger) == {"a": 70} and ledger.cuts == 1 and ledger.cutting_ns == 70 * MINUTE
    stay = ledger.stays[0]
    assert (stay.start_ns, stay.end_ns) == (70 * MINUTE, 190 * MINUTE), "its run is as long as it was"


def test_an_instance_that_is_left_is_taken_again_without_a_cut() -> None:
    found = demand(20, job("a", 0, 2, **SMALL), job("b", 10, 2, **SMALL))
    ledger = ledger_of(scenario(found, cut_fleet(), Slowdown()), "mig-chosen")
    assert starts(ledger) == {"a": 70, "b": 600} and ledger.cuts == 1


def test_an_idle_instance_in_the_way_is_destroyed_which_takes_its_time() -> None:
    # Two halves fill the GPU; later seven small ones: both halves go, whichever comes first in their way.
    jobs = [job(f"h{i}", 0, 2, **HALF) for i in range(2)] + [job(f"s{i}", 10, 2, **SMALL) for i in range(7)]
    ledger = ledger_of(scenario(demand(30, *jobs), cut_fleet(), Slowdown()), "mig-chosen")
    # Each half in turn: mode and create 70, then create 10.
    assert starts(ledger)["h0"] == 70 and starts(ledger)["h1"] == 80
    # Small ones from 600 on: each takes 10, and two of them first destroy a half, 5 more each.
    small = sorted(at for name, at in starts(ledger).items() if name.startswith("s"))
    assert small[0] == 615 and small[-1] == 600 + 7 * 10 + 2 * 5 and ledger.cuts == 9


def test_a_whole_gpu_after_mig_waits_until_instances_are_gone_and_the_mode_is_off() -> None:
    found = demand(20, job("a", 0, 2, **SMALL), job("w", 10, 2, whole=True))
    ledger = ledger_of(scenario(found, cut_fleet(), Slowdown()), "mig-chosen")
    assert starts(ledger) == {"a": 70, "w": 665}  # 5 to destroy, 60 for the mode.


def test_slices_are_held_while_they_are_cut_and_not_sold_twice() -> None:
    jobs = [job(f"h{i}", 0, 2, **HALF) for i in range(3)]
    ledger = ledger_of(scenario(demand(20, *jobs), cut_fleet(), Slowdown()), "mig-chosen")
    # The third has no room before the first ends (70 + 120), then takes its instance as it is.
    assert starts(ledger) == {"h0": 70, "h1": 80, "h2": 190}


def test_a_fleet_that_is_cut_beforehand_is_never_cut_again() -> None:
    jobs = [job(f"s{i}", i, 2, **SMALL) for i in range(6)]
    ledger = ledger_of(scenario(demand(30, *jobs), cut_fleet(gpus=2), Slowdown()), "mig-fixed")
    assert ledger.cuts == 0 and ledger.waits and all(since == at for since, at in ledger.waits)


def test_a_job_that_is_prepared_when_its_node_is_lost_waits_again() -> None:
    found = scenario(demand(20, job("a", 0, 2, **SMALL)), cut_fleet(repair_h=1), Slowdown())
    staged = stage(found, BY_NAME["mig-chosen"], Slowdown())
    staged.world.post(30 * MINUTE, NodeLost(0))
    assert play(staged)
    # Lost at 30 in the middle of its cut, back at 90 as new: 70 more.
    assert starts(staged.world.ledger) == {"a": 160} and not staged.world.ledger.interrupted


def test_nothing_starts_at_the_end_of_the_period() -> None:
    short = demand(1, job("a", 0, 2, **SMALL))
    ledger = ledger_of(
        scenario(short, cut_fleet(Reconfiguration(create_ns=NS_PER_HOUR)), Slowdown()), "mig-chosen"
    )
    assert ledger.waiting == {"a"} and not ledger.stays


def test_reconfigurations_are_figures_only_where_the_fleet_has_them() -> None:
    jobs = demand(20, job("a", 0, 2, **SMALL))
    with_law = replay(scenario(jobs, cut_fleet(), Slowdown()), BY_NAME["mig-chosen"]).runs[0]
    without = replay(scenario(jobs, fleet(node("one", 1)), Slowdown()), BY_NAME["mig-chosen"]).runs[0]
    assert with_law.reconfigurations and with_law.reconfigurations.cuts == 1
    assert not without.reconfigurations


def broken_cuts(seed: int) -> Scenario:
    """A drawn scenario in which cuts take time and fail, now and then or often; times may be 0."""
    draw, found = SeededEntropy(seed).fork("cuts"), drawn(seed)
    law = Reconfiguration(
        create_ns=draw.pick((0, 1, 7 * NS_PER_S, 20 * MINUTE)),
        destroy_ns=draw.pick((0, 3 * NS_PER_S, 5 * MINUTE)),
        mode_ns=draw.pick((0, 4 * NS_PER_S, 30 * MINUTE)),
        failures_per_thousand=draw.pick((0, 50, 300, 800)),
        timeout_ns=draw.pick((1, 5 * MINUTE)),
    )
    period = found.demand.period_ns + 48 * NS_PER_HOUR
    return replace(
        found,
        fleet=replace(found.fleet, reconfiguration=law),
        demand=replace(found.demand, period_ns=period),
        faults_until_ns=period - 24 * NS_PER_HOUR,
    )


def stuck(staged: Stage) -> Iterator[str]:
    """Jobs that wait at the end although they could start: faults were off for long."""
    controller = staged.controller
    cuts = controller.preparation
    assert cuts is not None
    for name in sorted(controller.waiting_jobs() - set(controller._preparing)):
        if not isinstance(place(controller._sites, controller._states, controller._requests[name]), Reason):
            yield name
    if not cuts.doing:
        yield from sorted(controller._preparing)
    yield from (f"GPU {gpu} is cordoned" for gpu in cuts._cordoned)


def problem_of(seed: int, policy: Policy) -> str:
    """What does not hold in the seed's replay, and how to see it again; "" when all does."""
    again = f"; again: python -m tests.simulation.test_cuts {seed} {policy.name}"
    found = broken_cuts(seed)
    staged = stage(found, policy, found.slowdowns[seed % 2])
    try:
        play(staged)
    except (Violation, AssertionError) as error:
        return f"seed {seed}, {policy.name}: {error}{again}"
    waiting = list(stuck(staged))
    return f"seed {seed}, {policy.name}: stuck are {waiting}{again}" if waiting else ""


@pytest.mark.parametrize("block", range(6))
def test_seeds_with_cuts_that_fail(block: int) -> None:
    for seed in range(block * 50, (block + 1) * 50):
        for policy in POLICIES:
            problem = problem_of(seed, policy)
            assert not problem, problem


def test_the_seeds_hold_what_they_are_to_test() -> None:
    failed = repairs = cuts = 0
    for seed in range(100):
        ledger = simulate(found := broken_cuts(seed), BY_NAME["mig-chosen"], found.slowdowns[0])
        assert ledger is not None
        cuts, failed, repairs = cuts + ledger.cuts, failed + ledger.cuts_failed, repairs + ledger.gpu_repairs
    assert cuts > failed > repairs > 10


def test_the_same_seed_fails_the_same_cuts() -> None:
    for seed in range(20):
        for policy in POLICIES:
            assert replay(broken_cuts(seed), policy) == replay(broken_cuts(seed), policy)


def test_a_gpu_that_fails_too_often_is_cordoned_and_the_job_takes_another() -> None:
    # 900 of 1000 fail: some seed has the first GPU fail three times, and the job goes on to the next.
    law = Reconfiguration(create_ns=MINUTE, failures_per_thousand=900, timeout_ns=2 * MINUTE)
    one = demand(40, job("a", 0, 2, **SMALL))
    for seed in range(50):
        found = scenario(one, cut_fleet(law, gpus=4, repair_h=30), Slowdown(), seed=seed)
        ledger = ledger_of(found, "mig-chosen")
        if ledger.gpu_repairs and ledger.stays:
            assert ledger.cuts_failed >= MOST_FAILURES and ledger.stays[0].grants[0].gpu > 0
            return
    pytest.fail("no seed of 50 cordons a GPU and runs the job on another")


def planted_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that takes "success" for the thing itself."""
    honest = Preparation.ended

    def trusting(self: Preparation, event):  # type: ignore[no-untyped-def]
        doing = self._doing.get(event.gpu)
        if isinstance(event, Configured) and doing is not None:
            event = replace(event, published=after(self._layouts[event.gpu], doing.cut))
        return honest(self, event)

    monkeypatch.setattr(Preparation, "ended", trusting)


def planted_clean_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that destroys all instances of a GPU before it creates one, as mig-parted does."""
    from stellwerk.engine.placement import cuts

    def sweeping(site, layout, grants):  # type: ignore[no-untyped-def]
        cut = cuts.cut_for(site, layout, grants)
        return cut and Cut(cut.mig, layout.instances, cut.create)

    monkeypatch.setattr("stellwerk.control.preparation.cut_for", sweeping)


def planted_impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that starts jobs while their GPU is still being cut."""
    monkeypatch.setattr(Preparation, "is_ready", lambda self, job: True)


def planted_surrender(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that forgets a cut that failed."""
    honest = Preparation.ended

    def forgetful(self: Preparation, event):  # type: ignore[no-untyped-def]
        if isinstance(event, ConfigureFailed):
            del self._doing[event.gpu]
            self._layouts[event.gpu] = event.published
            return Prepared()
        return honest(self, event)

    monkeypatch.setattr(Preparation, "ended", forgetful)


PLANTS = [
    (planted_trust, "does not exist"),
    (planted_clean_sweep, "an instance with a tenant is destroyed"),
    (planted_impatience, "does not exist"),
    (planted_surrender, "stuck are"),
]


@pytest.mark.parametrize(("plant", "words"), PLANTS)
def test_a_planted_bug_in_cutting_is_caught(plant, words, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    plant(monkeypatch)
    found = [problem_of(seed, BY_NAME["mig-chosen"]) for seed in range(60)]
    assert any(words in problem for problem in found), set(found)


if __name__ == "__main__":
    print(problem_of(int(sys.argv[1]), BY_NAME[sys.argv[2]]) or "nothing is broken")

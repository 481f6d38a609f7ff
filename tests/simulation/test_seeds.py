"""1,000 small replays drawn from seeds, under every policy: what must hold in each of them.

A failure names its seed; `pytest tests/simulation/test_seeds.py -k "seeds" --co` shows the blocks.
"""

from decimal import Decimal

import pytest

from stellwerk.control.admission import Admission
from stellwerk.engine.partition.policy import POLICIES, Policy
from stellwerk.engine.placement import place as placing
from stellwerk.engine.placement.place import empty
from stellwerk.sim.replay import Scenario, replay, simulate
from stellwerk.sim.result import Run
from stellwerk.sim.world import Violation

from .scenarios import demand, drawn, fleet, job, node, scenario

BLOCK = 100


def broken(scenario: Scenario, policy: Policy, run: Run) -> str:
    """The first property that does not hold; "" when all do. Safety itself is checked after each event."""
    jobs, hours = run.jobs, run.gpu_hours
    if jobs.arrived != jobs.finished + jobs.running + jobs.waiting + jobs.rejected:
        return f"jobs are lost: {jobs}"
    if jobs.arrived != len(scenario.demand.jobs):
        return f"{len(scenario.demand.jobs)} jobs, {jobs.arrived} arrived"
    if not 0 <= hours.held <= hours.paid:
        return f"held {hours.held} of {hours.paid} paid"
    if not 0 <= hours.used <= hours.paid:
        return f"used {hours.used} of {hours.paid} paid"
    if run.waits.p50_ns > run.waits.p95_ns or run.waits.p95_ns > run.waits.max_ns:
        return f"waits out of order: {run.waits}"
    assert run.idle_cost is not None and run.cost.period is not None
    total = sum((team.cost for team in run.teams if team.cost is not None), Decimal(0)) + run.idle_cost
    if total != run.cost.period:
        return f"teams and idle cost {total}, the period {run.cost.period}"
    if policy.name in ("whole",) and jobs.shared:
        return "whole GPUs were shared"
    return ""


@pytest.mark.parametrize("block", range(10))
def test_seeds(block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        found = drawn(seed)
        for policy in POLICIES:
            try:
                runs = replay(found, policy).runs
            except (Violation, AssertionError) as error:
                pytest.fail(f"seed {seed}, {policy.name}: {error}")
            for run in runs:
                problem = broken(found, policy, run)
                assert not problem, f"seed {seed}, {policy.name}, {run.slowdown}: {problem}"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_finished_batch_has_run_at_least_as_long_as_it_must(policy: Policy) -> None:
    for seed in range(150):
        found = drawn(seed)
        for slowdown in found.slowdowns:
            ledger = simulate(found, policy, slowdown)
            assert ledger is not None
            last = {stay.job.name: stay for stay in ledger.stays}
            served: dict[str, int] = {}
            for stay in ledger.stays:
                served[stay.job.name] = served.get(stay.job.name, 0) + stay.end_ns - stay.start_ns
            for name in ledger.finished:
                job, stay = last[name].job, last[name]
                ran = served[name] if job.is_service else stay.end_ns - stay.start_ns
                assert ran >= job.duration_ns, f"seed {seed}, {slowdown.rest}: {name}"
                assert not job.is_service or ran == job.duration_ns, f"seed {seed}: {name}"


def test_the_same_seed_gives_the_same_result() -> None:
    for seed in range(20):
        for policy in POLICIES:
            assert replay(drawn(seed), policy) == replay(drawn(seed), policy)


def test_faults_interrupt_jobs_in_some_seeds() -> None:
    interrupted = sum(
        run.jobs.interrupted for seed in range(60) for run in replay(drawn(seed), POLICIES[0]).runs
    )
    assert interrupted > 0, "seeds without a lost node would test nothing"


def planted_double_allocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that decides on an empty fleet: it gives every GPU away again and again."""
    honest = placing.place

    def blind(sites, states, request):  # type: ignore[no-untyped-def]
        return honest(sites, [empty(site) for site in sites], request)

    monkeypatch.setattr("stellwerk.control.admission.place", blind)


def planted_lost_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that forgets the last job of the queue."""
    honest = Admission._arrived

    def forgetful(self: Admission, name: str):  # type: ignore[no-untyped-def]
        effects = honest(self, name)
        if not effects:
            for queue in self._waiting.values():
                queue[:] = [ticket for ticket in queue if ticket[1] != name]
        return effects

    monkeypatch.setattr(Admission, "_arrived", forgetful)


def planted_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that gives a GPU back before its job has ended."""
    honest = Admission._start

    def leaky(self: Admission, name, grants):  # type: ignore[no-untyped-def]
        effect = honest(self, name, grants)
        for grant in grants:
            self._states[grant.gpu] = empty(self._sites[grant.gpu])
        return effect

    monkeypatch.setattr(Admission, "_start", leaky)


@pytest.mark.parametrize("plant", [planted_double_allocation, planted_lost_job, planted_leak])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_a_planted_bug_is_caught_by_the_same_checks(plant, policy, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    plant(monkeypatch)
    crowded = [
        job(f"j{i}", i, 6, memory_bytes=70 * 2**30, compute_milli=900, used_milli=900) for i in range(9)
    ]
    with pytest.raises((Violation, AssertionError)):
        replay(scenario(demand(24, *crowded), fleet(node("one", 1))), policy)

"""Six jobs on two H100, worked out on paper: waits, GPU-hours and EUR, to the last cent."""

from decimal import Decimal

import pytest

from stellwerk.engine.demand import NS_PER_HOUR, Demand
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.sim.replay import Scenario, replay
from stellwerk.sim.result import Outcome, Run
from stellwerk.sim.size import smallest_fleet, target_of
from stellwerk.sim.slowdown import Slowdown

from .scenarios import GIB, demand, fleet, job, node, scenario

# Two nodes of one H100 each at 2.50 EUR/h, 24 h: paid 48 GPU-hours, 120.00 EUR.
#   name      team  hours   arrives  measured
#   serve     web   24      0        8 GiB,  5 % (a service)
#   nb-1      lab   8       8        8 GiB, 10 % (a notebook)
#   nb-2      lab   8       8        8 GiB, 10 %
#   eval-1    lab   2       9        16 GiB, 40 %
#   tune      lab   4       10       must not share
#   eval-2    web   2       20       16 GiB, 40 %
SMALL = {"memory_bytes": 8 * GIB}
JOBS = (
    job("serve", 0, 24, team="web", kind="inference", compute_milli=50, used_milli=50, **SMALL),
    job("nb-1", 8, 8, team="lab", kind="notebook", compute_milli=100, used_milli=100, **SMALL),
    job("nb-2", 8, 8, team="lab", kind="notebook", compute_milli=100, used_milli=100, **SMALL),
    job("eval-1", 9, 2, team="lab", memory_bytes=16 * GIB, compute_milli=400, used_milli=400),
    job("tune", 10, 4, team="lab", kind="training", whole=True),
    job("eval-2", 20, 2, team="web", memory_bytes=16 * GIB, compute_milli=400, used_milli=400),
)
BY_NAME = {policy.name: policy for policy in POLICIES}


def the_day() -> Demand:
    return demand(24, *JOBS)


def the_scenario(*slowdowns: Slowdown) -> Scenario:
    return scenario(the_day(), fleet(node("one", 1, "2.50"), node("two", 1, "2.50")), *slowdowns)


def run_of(policy: str, slowdown: str = "none") -> Run:
    outcome: Outcome = replay(the_scenario(Slowdown(rest=slowdown)), BY_NAME[policy])
    return outcome.runs[0]


def test_whole_gpus_make_the_second_notebook_and_all_after_it_wait() -> None:
    # serve holds GPU one all day. On GPU two: nb-1 8-16, nb-2 16-24 (waits 8); eval-1 (from 9), tune
    # (from 10) and eval-2 (from 20) come behind nb-2 and never start: they wait 15, 14 and 4 hours.
    run = run_of("whole")
    waits = sorted([0, 0, 8, 15, 14, 4])
    assert (
        run.jobs.running == 0 and run.jobs.finished == 3 and run.jobs.waiting == 3 and run.jobs.rejected == 0
    )
    assert run.waits.p50_ns == waits[2] * NS_PER_HOUR  # ceil(0.50 * 6) = 3rd
    assert run.waits.p95_ns == waits[5] * NS_PER_HOUR  # ceil(0.95 * 6) = 6th
    assert run.waits.max_ns == 15 * NS_PER_HOUR
    assert run.gpu_hours.paid == 48 and run.gpu_hours.held == 24 + 8 + 8
    assert run.gpu_hours.used == Decimal("2.8")  # 24 * 0.05 + 8 * 0.1 + 8 * 0.1


def test_whole_gpus_bill_by_hand() -> None:
    # 120.00 EUR over 48 GPU-hours: 2.50 each. web held 24 h = 60.00, lab 16 h = 40.00, idle 8 h = 20.00.
    run = run_of("whole")
    assert run.cost.period == Decimal("120.00") and run.cost.month == Decimal("3650.00")  # 5.00 * 730
    assert {team.team: team.cost for team in run.teams} == {"lab": Decimal("40.00"), "web": Decimal("60.00")}
    assert run.idle_cost == Decimal("20.00")
    assert run.cost.useful_gpu_hour == Decimal("42.86")  # 120 / 2.8 = 42.857...


def test_mps_lets_five_share_one_gpu_and_leaves_the_other_to_the_fine_tune() -> None:
    # serve + nb-1 + nb-2 + eval-1: 8 + 8 + 8 + 16 = 40 of 79.6 GiB, 5 + 10 + 10 + 40 = 65 %: all on one GPU.
    # tune takes the other at once. Nobody waits; all six end within the day.
    run = run_of("mps")
    assert run.waits.max_ns == 0 and run.jobs.finished == 6
    assert run.gpu_hours.used == Decimal(
        "8.4"
    )  # 1.2 + 0.8 + 0.8 + 0.8 + 4 (tune: not measured, so all) + 0.8
    # Held: the mean of the memory's and the compute's part, in thousandths. 8 GiB of 81,559 MiB is 100, 16
    # are 200. serve (100+50)//2 = 75 for 24 h, notebooks 100 for 16 h, evaluations 300 for 4 h, tune 1000.
    assert run.gpu_hours.held == Decimal("8.6")  # 1.8 + 1.6 + 1.2 + 4.0
    assert run.cost.period == Decimal("120.00")
    # web: 1.8 + 0.6 = 2.4 h of 48: 6.00 EUR; lab: 1.6 + 0.6 + 4 = 6.2 h: 15.50; idle: 39.4 h: 98.50.
    assert {team.team: team.cost for team in run.teams} == {"lab": Decimal("15.50"), "web": Decimal("6.00")}
    assert run.idle_cost == Decimal("98.50")


def test_mps_slowed_in_proportion_ends_an_evaluation_later_by_hand() -> None:
    # eval-1 is one of four tenants from 9: a quarter of the speed. At 16 the notebooks leave, after 7/4 h of
    # 2 h are done; then one of two: the last 1/4 h takes 1/2 h. eval-2 beside serve: 2 h take 4.
    run = run_of("mps", "proportional")
    assert run.jobs.finished == 6 and run.jobs.slowed == 5
    ends = Decimal("1.8") + Decimal("1.6") + Decimal("0.3") * (Decimal("7.5") + 4) + 4
    assert run.gpu_hours.held == ends


def test_mig_cuts_one_gpu_for_five_jobs() -> None:
    # serve and both notebooks take 1g.10gb (9.75 GiB), each evaluation 3g.40gb: 40 % needs 3 of 7 slices.
    run = run_of("mig-chosen")
    assert run.waits.max_ns == 0 and run.jobs.finished == 6
    labels = {piece.job: piece.label for piece in run.busiest.slices}
    assert labels["serve"] == labels["nb-1"] == "1g.10gb" and labels["eval-1"] == "3g.40gb"
    # Held: eighths of the memory. serve 1/8 * 24 + notebooks 1/8 * 16 + evaluations 1/2 * 4 + tune 4.
    assert run.gpu_hours.held == 3 + 2 + 2 + 4


def test_time_slicing_counts_memory_that_does_not_fit() -> None:
    heavy = [
        job(f"big-{i}", 0, 2, memory_bytes=50 * GIB, compute_milli=100, used_milli=100) for i in range(2)
    ]
    found = replay(scenario(demand(2, *heavy), fleet(node("one", 1)), Slowdown()), BY_NAME["time-slicing"])
    run = found.runs[0]
    # 2 * 50 GiB on 81,559 MiB (79.6475 GiB): 20.3525 GiB too much for two hours, and both jobs are hit.
    assert run.overflow.jobs == 2 and run.overflow.gib_hours == Decimal("40.705")
    held_apart = replay(scenario(demand(2, *heavy), fleet(node("one", 1)), Slowdown()), BY_NAME["mps"]).runs[
        0
    ]
    assert held_apart.overflow.jobs == 0 and held_apart.jobs.waiting == 1


@pytest.mark.parametrize(
    ("policy", "nodes"), [("whole", 2), ("mps", 2), ("mig-chosen", 2), ("time-slicing", 2), ("mix", 2)]
)
def test_the_fine_tune_needs_its_own_gpu_while_the_service_runs(policy: str, nodes: int) -> None:
    # On one GPU the service runs all day and the fine-tune never starts, or the other way round.
    found = the_scenario(Slowdown())
    target = target_of(run_of("mps"))
    if policy == "whole":
        target = target_of(run_of("whole"))
    assert smallest_fleet(found, BY_NAME[policy], target, lambda count, most: None).nodes == nodes


def test_a_sourced_slowdown_gives_one_figure_instead_of_a_range() -> None:
    from fractions import Fraction

    given = Slowdown(factors={"mps": Fraction("1.25")})
    outcome = replay(
        the_scenario(given, Slowdown(rest="proportional", factors=given.factors)), BY_NAME["mps"]
    )
    assert [run.slowdown for run in outcome.runs] == ["given"]
    # Each evaluation takes 2 h * 1.25.
    assert outcome.runs[0].gpu_hours.held == Decimal("1.8") + Decimal("1.6") + Decimal("0.3") * 5 + 4

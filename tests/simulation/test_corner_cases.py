"""Replays of one corner each: what a review found wrong once, worked out by hand."""

from decimal import Decimal
from fractions import Fraction

import pytest

from stellwerk.control.admission import Admission
from stellwerk.control.events import JobArrived, NodeLost, PeriodEnded
from stellwerk.engine.demand import NS_PER_HOUR, Job
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.engine.placement.sites import plan_sites
from stellwerk.engine.snapshot import Fleet
from stellwerk.ports.clock import VirtualClock
from stellwerk.ports.cloud import MemoryCloud
from stellwerk.runtime.loop import run as loop
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.replay import replay
from stellwerk.sim.result import Run
from stellwerk.sim.size import smallest_fleet, target_of
from stellwerk.sim.slowdown import Slowdown
from stellwerk.sim.world import World

from .scenarios import GIB, demand, fleet, job, node, scenario

BY_NAME = {policy.name: policy for policy in POLICIES}


def run_of(policy: str, fleet: Fleet, hours: int, *jobs: Job, rest: str = "none") -> Run:
    return replay(scenario(demand(hours, *jobs), fleet, Slowdown(rest=rest)), BY_NAME[policy]).runs[0]


def with_losses(found: Job, hours: int, losses: list[int], repair_h: int) -> Ledger:
    """One job on one GPU that is lost at the given hours."""
    wanted, gpu = demand(hours, found), fleet(node("one", 1))
    plan = plan_sites(gpu, wanted.jobs, BY_NAME["whole"])
    controller = Admission(plan, {found.name: found.arrival_ns}, wanted.period_ns)
    world = World(plan.sites, {found.name: found}, Slowdown(), MemoryCloud(repair_h * NS_PER_HOUR))
    world.post(found.arrival_ns, JobArrived(found.name))
    for hour in losses:
        world.post(hour * NS_PER_HOUR, NodeLost(0))
    world.post(wanted.period_ns, PeriodEnded())
    loop(
        world.agenda,
        VirtualClock(),
        lambda event, now: world.handle(controller, event, now),
        world.perform,
        lambda event, now: not isinstance(event, PeriodEnded),
    )
    return world.ledger


def stays(ledger: Ledger) -> list[tuple[int, int]]:
    return [(stay.start_ns // NS_PER_HOUR, stay.end_ns // NS_PER_HOUR) for stay in ledger.stays]


def test_an_interrupted_batch_begins_again_and_runs_its_whole_time() -> None:
    assert stays(with_losses(job("b", 0, 10), 30, [5], 1)) == [(0, 5), (6, 16)]


def test_an_interrupted_service_goes_on_for_what_is_left_of_its_time() -> None:
    ledger = with_losses(job("s", 0, 10, kind="inference", used_milli=100), 30, [5], 1)
    assert stays(ledger) == [(0, 5), (6, 11)] and ledger.finished == {"s"}
    assert sum(stay.useful_milli_ns for stay in ledger.stays) == 10 * NS_PER_HOUR * 100


def test_a_second_loss_during_repair_does_not_shorten_a_later_repair() -> None:
    # Away 1-11 (the loss at 5 finds it away already), lost again at 12: away until 22.
    assert stays(with_losses(job("b", 0, 20), 50, [1, 5, 12], 10)) == [(0, 1), (11, 12), (22, 42)]


SMALL = {"memory_bytes": 8 * GIB, "compute_milli": 100}


def test_tenants_without_a_measured_mean_are_taken_by_their_p95() -> None:
    jobs = [job(f"j{i}", 0, 10, **SMALL) for i in range(4)]
    for policy in ("mps", "mig-chosen", "time-slicing"):
        run = run_of(policy, fleet(node("n", 2)), 10, *jobs)
        assert run.jobs.finished == 4 and run.gpu_hours.used == 4, policy  # 4 * 10 h * 0.1


def test_an_instance_computes_no_more_than_its_slices() -> None:
    # p95 0 while planning, 90 % really: seven on 1/7 each. Together one GPU, not 6.3.
    jobs = [job(f"j{i}", 0, 10, memory_bytes=8 * GIB, compute_milli=0, used_milli=900) for i in range(7)]
    run = run_of("mig-chosen", fleet(node("n", 1)), 10, *jobs)
    assert run.gpu_hours.used == 10 and run.jobs.finished == 0 and run.jobs.slowed == 7


def test_no_memory_at_all_was_not_measured() -> None:
    jobs = [job(f"j{i}", 0, 10, memory_bytes=0, compute_milli=0) for i in range(2)]
    assert run_of("mps", fleet(node("n", 1)), 10, *jobs).jobs.shared == 0


def test_a_lone_job_in_an_instance_has_a_range_too() -> None:
    lone = scenario(demand(80, job("j", 0, 10, **SMALL)), fleet(node("n", 1)))
    runs = replay(lone, BY_NAME["mig-chosen"]).runs
    assert [run.slowdown for run in runs] == ["none", "proportional"]
    # One of seven slices: 70 h at worst, an eighth of the GPU.
    assert [run.gpu_hours.held for run in runs] == [Decimal("1.25"), Decimal("8.75")]


def test_a_bound_is_called_given_only_where_a_factor_stands_behind_it() -> None:
    factors = {"mps": Fraction("1.1")}
    both = Slowdown(factors=factors), Slowdown(rest="proportional", factors=factors)
    found = scenario(demand(80, job("j", 0, 10, **SMALL)), fleet(node("n", 1)), *both)
    assert [run.slowdown for run in replay(found, BY_NAME["mig-chosen"]).runs] == ["none", "proportional"]
    assert [run.slowdown for run in replay(found, BY_NAME["mps"]).runs] == ["given"]


def test_who_starts_all_and_finishes_nothing_is_no_smaller_fleet() -> None:
    heavy = {"memory_bytes": 8 * GIB, "compute_milli": 1000, "used_milli": 1000}
    jobs = [job(f"j{i}", 0, 20, **heavy) for i in range(4)]
    found = scenario(demand(24, *jobs), fleet(*(node(f"n{i}", 1) for i in range(4))))
    target = target_of(replay(found, BY_NAME["whole"]).runs[0])
    found_nodes = {
        policy: smallest_fleet(found, BY_NAME[policy], target, lambda count, most: None).nodes
        for policy in ("time-slicing", "mix")
    }
    # Time-slicing fills all replicas of a GPU before it opens another: no fleet helps it (0: none).
    assert found_nodes == {"time-slicing": 0, "mix": 4}


@pytest.mark.parametrize("policy", [policy.name for policy in POLICIES])
def test_headroom_never_rejects_what_a_whole_gpu_holds(policy: str) -> None:
    from msgspec.structs import replace as changed

    wide = changed(BY_NAME[policy], headroom_percent=20)
    found = scenario(
        demand(10, job("j", 0, 5, memory_bytes=70 * GIB, compute_milli=100)), fleet(node("n", 1))
    )
    assert replay(found, wide).runs[0].jobs.finished == 1


GANG = {"memory_bytes": 8 * GIB, "compute_milli": 100}
FIXED: list[tuple[str, Fleet, list[Job]]] = [
    (
        "a GPU without MIG at the end",
        fleet(node("h", 4), node("l", 1, model="L4")),
        [
            *(job(f"b{i}", 0, 5, memory_bytes=30 * GIB, compute_milli=200) for i in range(2)),
            job("gang", 0, 5, gpus=2, whole=True),
        ],
    ),
    (
        "the only large GPU",
        fleet(node("a", 1, model="A30"), node("h", 1)),
        [
            *(job(f"s{i}", 0, 5, memory_bytes=4 * GIB, compute_milli=100) for i in range(3)),
            job("large", 0, 5, memory_bytes=70 * GIB, compute_milli=900),
        ],
    ),
    (
        "a gang of slices",
        fleet(node("a", 4), node("b", 4)),
        [job("slices", 0, 5, pods=6, **GANG), job("wholes", 0, 5, pods=6, whole=True)],
    ),
    (
        "two requests for whole GPUs",
        fleet(node("a", 2), node("b", 2), node("c", 8)),
        [
            job("five", 0, 5, pods=5, whole=True),
            job("four", 0, 5, gpus=4, whole=True),
            *(job(f"s{i}", 0, 50, **GANG) for i in range(60)),
        ],
    ),
]


@pytest.mark.parametrize(("name", "where", "jobs"), FIXED, ids=[name for name, _, _ in FIXED])
def test_a_fixed_cut_rejects_nobody_whom_whole_gpus_would_serve(
    name: str, where: Fleet, jobs: list[Job]
) -> None:
    assert run_of("whole", where, 100, *jobs).jobs.rejected == 0
    assert run_of("mig-fixed", where, 100, *jobs).jobs.rejected == 0


def test_another_model_in_the_fleet_does_not_stop_the_cut() -> None:
    small = [job(f"s{i}", 0, 5, **GANG) for i in range(30)]
    where = fleet(node("h", 8), node("x", 1, model="L4"))
    assert run_of("mig-fixed", where, 10, *small).jobs.finished == 30


def test_a_gang_that_does_not_fit_in_the_preferred_way_fits_in_another() -> None:
    # Three 2g instances leave no room for two more; by MPS all five pods share the GPU.
    gang = job("g", 0, 5, kind="inference", pods=5, memory_bytes=5 * GIB, compute_milli=200)
    assert run_of("mix", fleet(node("n", 1)), 10, gang).jobs.finished == 1

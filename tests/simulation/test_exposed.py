"""What a replayed fleet shows at a moment, by hand and against the ledger that it was made from."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from msgspec.structs import replace

from stellwerk.adapters.metrics.family import Sample, families
from stellwerk.engine.demand import NS_PER_HOUR, NS_PER_S, Job
from stellwerk.engine.money.bill import amount, period_cost_cents
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.engine.snapshot import Faults
from stellwerk.ports.entropy import SeededEntropy
from stellwerk.report.advice.job import AdviseArguments, prepare_advice
from stellwerk.sim.exposed.metrics import all_metrics
from stellwerk.sim.exposed.shown import shown_samples
from stellwerk.sim.exposed.timeline import Moment, Tenant, Timeline, moment_of, timeline_of
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.replay import Scenario, figures_of, simulate
from stellwerk.sim.slowdown import Slowdown

from .scenarios import GIB, demand, drawn, fleet, job, node, scenario

POLICY = {policy.name: policy for policy in POLICIES}
BEGUN_NS = 1_793_577_600 * NS_PER_S
H100_MIB = 81_559
SHARED: dict[str, object] = {"memory_bytes": 10 * GIB, "compute_milli": 300}


def played(case: Scenario, policy: str) -> tuple[Timeline, Ledger]:
    ledger = simulate(case, POLICY[policy], case.slowdowns[-1])
    assert ledger is not None
    return timeline_of(case, POLICY[policy], "given", ledger), ledger


def at(case: Scenario, hours: Fraction | int, turn: int = 0, speed: int = 1) -> Moment:
    period = case.demand.period_ns
    return Moment(
        at_ns=int(hours * NS_PER_HOUR), round=turn, begun_ns=BEGUN_NS, speed=speed, period_ns=period
    )


def shown(timeline: Timeline, moment: Moment) -> dict[str, dict[tuple[tuple[str, str], ...], object]]:
    """Values by metric and labels; asserts that each is described, and there once."""
    found = families(shown_samples(timeline, moment), all_metrics())
    return {each.metric.name: {s.labels: s.value for s in each.samples} for each in found}


def by(series: dict[tuple[tuple[str, str], ...], object], *names: str) -> dict[tuple[str, ...], object]:
    """Values by the texts of these labels ("" for none)."""
    found = {tuple(dict(labels).get(name, "") for name in names): value for labels, value in series.items()}
    assert len(found) == len(series)
    return found


def test_a_whole_gpu_shows_its_pod_and_an_idle_one_itself() -> None:
    case = scenario(
        demand(8, job("a/train", 1, 2, used_milli=425, memory_bytes=30 * GIB)), fleet(node("one", 2))
    )
    timeline, _ = played(case, "whole")
    before, busy = shown(timeline, at(case, 0)), shown(timeline, at(case, 2))
    gpu = (
        ("gpu", "0"),
        ("UUID", "GPU-one-0"),
        ("device", "nvidia0"),
        ("modelName", "H100-PCIE-80GB"),
        ("Hostname", "one"),
    )
    pod = ("namespace", "a"), ("pod", "a-train"), ("container", "main")
    assert before["DCGM_FI_DEV_GPU_UTIL"][gpu] == 0 and before["DCGM_FI_DEV_FB_FREE"][gpu] == H100_MIB
    assert busy["DCGM_FI_DEV_GPU_UTIL"] == by_index({(*gpu, *pod): Decimal("42.5")}, before)
    assert busy["DCGM_FI_DEV_FB_USED"][(*gpu, *pod)] == 30 * 1024
    assert busy["DCGM_FI_DEV_FB_FREE"][(*gpu, *pod)] == H100_MIB - 30 * 1024
    assert "DCGM_FI_PROF_GR_ENGINE_ACTIVE" not in busy
    # At the moment of its end the pod has left the GPU.
    assert shown(timeline, at(case, 3))["DCGM_FI_DEV_GPU_UTIL"] == before["DCGM_FI_DEV_GPU_UTIL"]


def by_index(
    first: dict[tuple[tuple[str, str], ...], object],
    idle: dict[str, dict[tuple[tuple[str, str], ...], object]],
) -> dict[tuple[tuple[str, str], ...], object]:
    """The first GPU as given, the second one idle."""
    second = {k: v for k, v in idle["DCGM_FI_DEV_GPU_UTIL"].items() if ("gpu", "1") in k}
    return first | second


def test_pods_that_share_a_gpu_have_their_own_values_beside_those_of_the_gpu() -> None:
    jobs = (
        job("x", 0, 4, **SHARED, used_milli=200),
        job("y", 1, 4, memory_bytes=20 * GIB, compute_milli=400, used_milli=355),
    )
    case = scenario(demand(8, *jobs), fleet(node("one", 1)), Slowdown())
    timeline, _ = played(case, "mps")
    found = shown(timeline, at(case, 2))
    x, y = Decimal("20.0"), Decimal("35.5")
    # Without a pod stands the device's own value: the sum.
    assert by(found["DCGM_FI_DEV_GPU_UTIL"], "pod") == {("",): x + y, ("x",): x, ("y",): y}
    used = {("",): 30 * 1024, ("x",): 10 * 1024, ("y",): 20 * 1024}
    assert by(found["DCGM_FI_DEV_FB_USED"], "pod") == used
    device = [labels for labels in found["DCGM_FI_DEV_FB_USED"] if "pod" not in dict(labels)]
    assert [dict(labels) for labels in device] == [
        {
            "gpu": "0",
            "UUID": "GPU-one-0",
            "device": "nvidia0",
            "modelName": "H100-PCIE-80GB",
            "Hostname": "one",
        }
    ]
    alone = shown(timeline, at(case, Fraction(1, 2)))
    assert by(alone["DCGM_FI_DEV_GPU_UTIL"], "pod") == {("",): x, ("x",): x}
    free = H100_MIB - 30 * 1024
    assert by(found["DCGM_FI_DEV_FB_FREE"], "pod") == {("x",): free, ("y",): free}
    # Thousandths that each holds by its MPS limits, as the bill weighs them.
    usage = by(found["kueue_cluster_queue_resource_usage"], "cluster_queue", "flavor", "resource")
    held = sum(stay.held_milli_ns // (stay.end_ns - stay.start_ns) for stay in simulated(case, "mps").stays)
    assert usage == {("test", "h100-pcie-80gb", "nvidia.com/gpu"): Fraction(held, 1000)}


def test_a_shared_gpus_own_values_are_left_out_where_nobody_measured_one_of_its_pods() -> None:
    jobs = job("x", 0, 4, **SHARED, used_milli=200), job("y", 0, 4, compute_milli=400, memory_bytes=GIB)
    case = scenario(demand(8, *jobs), fleet(node("one", 1)), Slowdown())
    timeline, _ = played(case, "mps")
    (course,) = timeline.courses
    blind = tuple(tuple(unmeasured(tenant) for tenant in on_it) for on_it in course.tenants)
    found = shown(replace(timeline, courses=(replace(course, tenants=blind),)), at(case, 1))
    assert set(by(found["DCGM_FI_DEV_GPU_UTIL"], "pod")) == {("x",)}
    assert set(by(found["DCGM_FI_DEV_FB_USED"], "pod")) == {("y",)}


@pytest.mark.parametrize("policy", ["mps", "time-slicing"])
def test_a_shared_gpus_own_values_change_no_verdict(policy: str, tmp_path: Path) -> None:
    small: dict[str, object] = {"kind": "inference", "memory_bytes": 6 * GIB, "compute_milli": 250}
    jobs = (
        job("x", 0, 70, **small, used_milli=120),
        job("y", 1, 60, **small, used_milli=240),
        job("z", 30, 40, **{**small, "kind": "batch"}, used_milli=900),
    )
    case = scenario(demand(72, *jobs), fleet(node("one", 1)), Slowdown())
    timeline, _ = played(case, policy)
    told, lengths = [], []
    for kept in (True, False):
        lines = [
            f"{text_of(one)} {moment.wall_ns(moment.at_ns) // 1_000_000}\n"
            for minute in range(0, 72 * 60, 3)
            for moment in [at(case, Fraction(minute, 60))]
            for one in shown_samples(timeline, moment)
            if one.name.startswith(("DCGM_", "kube_pod_")) and (kept or "pod" in dict(one.labels))
        ]
        path = tmp_path / f"{kept}.prom"
        path.write_text("".join(lines))
        lengths.append(len(lines))
        told.append(prepare_advice(AdviseArguments(paths=(str(path),))).advice().workloads)
    assert lengths[0] > lengths[1] + 2400 and told[0] == told[1]
    assert {each.verdict.choice for each in told[0]} == {"mig", "not-enough-data"}


def text_of(one: Sample) -> str:
    """The sample as a line of Prometheus' text; no label here needs an escape."""
    labels = ",".join(f'{name}="{text}"' for name, text in one.labels)
    return f"{one.name}{{{labels}}} {float(one.value)}"


def unmeasured(tenant: Tenant) -> Tenant:
    """The tenant without its memory (`x`), or without what it computes (`y`)."""
    lacks = {"x": {"memory_bytes": None}, "y": {"used_milli": None, "compute_milli": None}}
    pod = tenant.pod
    return replace(tenant, pod=replace(pod, job=replace(pod.job, **lacks[pod.name])))


def simulated(case: Scenario, policy: str) -> Ledger:
    ledger = simulate(case, POLICY[policy], case.slowdowns[-1])
    assert ledger is not None
    return ledger


def test_a_time_sliced_gpu_computes_no_more_than_it_can() -> None:
    busy: dict[str, object] = {"memory_bytes": 5 * GIB, "compute_milli": 900}
    jobs = job("x", 0, 4, **busy, used_milli=800), job("y", 0, 4, **busy, used_milli=800)
    case = scenario(demand(8, *jobs), fleet(node("one", 1)), Slowdown())
    timeline, _ = played(case, "time-slicing")
    found = shown(timeline, at(case, 1))
    half = Decimal("50.0")
    assert by(found["DCGM_FI_DEV_GPU_UTIL"], "pod") == {("",): 2 * half, ("x",): half, ("y",): half}
    assert list(found["kueue_cluster_queue_resource_usage"].values()) == [1]


def test_an_instance_shows_its_profile_and_how_busy_it_is_itself() -> None:
    small = job("x", 0, 4, memory_bytes=8 * GIB, compute_milli=120, used_milli=100)
    case = scenario(demand(8, small), fleet(node("one", 1)), Slowdown())
    timeline, _ = played(case, "mig-chosen")
    found = shown(timeline, at(case, 1))
    names = "GPU_I_PROFILE", "GPU_I_ID", "pod"
    # 1 of 7 compute slices does 1000/7 thousandths: 100 are 0.7 of it. It lies at the GPU's end.
    assert by(found["DCGM_FI_PROF_GR_ENGINE_ACTIVE"], *names) == {("1g.10gb", "6", "x"): Decimal("0.700")}
    ((used,),) = [found["DCGM_FI_DEV_FB_USED"].values()]
    ((free,),) = [found["DCGM_FI_DEV_FB_FREE"].values()]
    assert (used, free) == (8 * 1024, 9984 - 8 * 1024)  # NVML: 9.75 GiB
    assert "DCGM_FI_DEV_GPU_UTIL" not in found
    asked = by(found["kube_pod_container_resource_requests"], "pod", "resource", "unit")
    assert asked == {("x", "nvidia_com_mig_1g_10gb", "integer"): 1}
    # Without a pod it is not known what is cut, so the GPU shows itself.
    assert by(shown(timeline, at(case, 5))["DCGM_FI_DEV_GPU_UTIL"], "gpu", "GPU_I_ID") == {("0", ""): 0}


def test_instances_that_were_cut_beforehand_are_there_without_a_pod() -> None:
    small = job("x", 1, 4, memory_bytes=8 * GIB, compute_milli=120, used_milli=100)
    case = scenario(demand(8, small), fleet(node("one", 1)), Slowdown())
    timeline, _ = played(case, "mig-fixed")
    # mig-parted's all-balanced for an H100: 1g.10gb twice, 2g.20gb, 3g.40gb.
    profiles = Counter({"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1})
    for hours, pods in ((0, []), (2, ["x"])):
        found = shown(timeline, at(case, hours))["DCGM_FI_PROF_GR_ENGINE_ACTIVE"]
        assert Counter(dict(labels)["GPU_I_PROFILE"] for labels in found) == profiles
        assert len({dict(labels)["GPU_I_ID"] for labels in found}) == 4
        assert [dict(labels)["pod"] for labels in found if "pod" in dict(labels)] == pods


def test_what_nobody_measured_is_left_out() -> None:
    case = scenario(demand(8, job("x", 0, 4)), fleet(node("one", 1)))
    found = shown(played(case, "whole")[0], at(case, 1))
    assert "DCGM_FI_DEV_GPU_UTIL" not in found and "DCGM_FI_DEV_FB_USED" not in found
    assert by(found["kube_pod_labels"], "pod") == {("x",): 1}


def test_a_gang_has_a_pod_for_each_part_and_its_times_are_the_walls() -> None:
    case = scenario(
        demand(8, job("g", 1, 2, pods=2, gpus=2, kind="training")), fleet(node("one", 2), node("two", 2))
    )
    timeline, _ = played(case, "whole")
    running, ended = shown(timeline, at(case, 2, speed=60)), shown(timeline, at(case, 4, speed=60))
    assert by(running["kube_pod_container_resource_requests"], "pod", "resource") == {
        ("g-0", "nvidia_com_gpu"): 2,
        ("g-1", "nvidia_com_gpu"): 2,
    }
    kinds = by(running["kube_pod_labels"], "pod", "label_stellwerk_dev_workload_kind")
    assert kinds == {("g-0", "training"): 1, ("g-1", "training"): 1}
    begun_s = BEGUN_NS // NS_PER_S
    # An hour of the demand is a minute on the wall.
    assert by(running["kube_pod_start_time"], "pod") == {("g-0",): begun_s + 60, ("g-1",): begun_s + 60}
    assert "kube_pod_completion_time" not in running and "kube_pod_labels" not in ended
    assert by(ended["kube_pod_completion_time"], "pod") == {("g-0",): begun_s + 180, ("g-1",): begun_s + 180}
    assert "kube_pod_start_time" not in shown(timeline, at(case, 6)), "a finished pod is kept for 3 hours"


@pytest.mark.parametrize(
    ("jobs", "pods"),
    [
        ((job("train", 0, 4, pods=2), job("train-0", 0, 4)), {"train-0", "train-1", "train-0-2"}),
        ((job("a/b", 0, 4), job("a-b", 0, 4), job("a-b-2", 0, 4)), {"a-b", "a-b-2", "a-b-3"}),
        ((job("a/b", 0, 4), job("a-b", 0, 4, team="b")), {"a-b"}),
        ((job("x-round-2", 0, 4), job("x", 0, 4)), {"x", "x-round-2-2"}),
    ],
)
def test_pods_of_jobs_whose_names_meet_have_names_of_their_own(jobs: tuple[Job, ...], pods: set[str]) -> None:
    case = scenario(demand(8, *jobs), fleet(node("one", 8)))
    timeline, _ = played(case, "whole")
    names: list[set[str]] = []
    for turn in range(3):
        found = shown(timeline, at(case, 2, turn))
        shown_pods = by(found["kube_pod_start_time"], "namespace", "pod")
        assert len(shown_pods) == sum(each.pods for each in jobs)
        names.append({pod for _, pod in shown_pods})
    assert names[0] == pods
    assert not names[0] & names[1] and not names[1] & names[2]


def test_a_later_try_does_not_take_the_name_of_another_job() -> None:
    faults = Faults(losses_per_node_month_milli=365_000, repair_ns=NS_PER_HOUR)
    jobs = job("x", 0, 90), job("x-try-2", 0, 90)
    case = scenario(demand(100, *jobs), fleet(node("one", 2), faults=faults))
    timeline, ledger = played(case, "whole")
    assert max(Counter(stay.job.name for stay in ledger.stays).values()) > 1
    for hours in range(100):
        found = shown(timeline, at(case, hours))
        running = [s for s in ledger.stays if s.start_ns <= hours * NS_PER_HOUR < s.end_ns]
        assert len(found.get("kube_pod_labels", {})) == len(running)
    every = [tenant.pod for course in timeline.courses for on_it in course.tenants for tenant in on_it]
    assert len({pod.name for pod in every}) == len({id(pod) for pod in every})


def test_each_round_has_pods_of_its_own_and_goes_on_counting() -> None:
    case = scenario(demand(8, job("x", 1, 2)), fleet(node("one", 1, "3.00")))
    timeline, _ = played(case, "whole")
    period_s = 8 * 3600
    moment = moment_of(BEGUN_NS, (2 * period_s + 2 * 3600) * NS_PER_S // 10, 10, case.demand.period_ns)
    assert (moment.round, moment.at_ns) == (2, 2 * NS_PER_HOUR)
    found = shown(timeline, moment)
    start = BEGUN_NS // NS_PER_S + (2 * period_s + 3600) // 10
    assert by(found["kube_pod_start_time"], "pod") == {("x-round-3",): start}
    assert list(found["kueue_admitted_workloads_total"].values()) == [3]
    assert by(found["stellwerk_cost_total"], "team", "cause") == {("a", "held"): 15, ("", "idle"): 39}
    assert by(found["stellwerk_gpu_held_seconds_total"], "team") == {("a",): 5 * 3600}
    decided = by(found["stellwerk_decisions_total"], "decision")
    assert decided == {("started",): 3, ("finished",): 2, ("interrupted",): 0, ("refused",): 0}


def test_who_waits_is_in_the_queue_and_who_is_refused_is_not() -> None:
    jobs = (
        job("first", 0, 3),
        job("second", 1, 2, team="b", gpus=1),
        job("giant", 1, 2, team="b", gpus=8),
    )
    case = scenario(demand(8, *jobs), fleet(node("one", 1)))
    found = shown(played(case, "whole")[0], at(case, 2))
    status = by(found["kueue_pending_workloads"], "cluster_queue", "status", "replica_role")
    assert status == {
        ("test", "active", "standalone"): 0,
        ("test", "inadmissible", "standalone"): 1,
    }
    local = by(found["kueue_local_queue_pending_workloads"], "namespace", "name", "status")
    assert local[("b", "default", "inadmissible")] == 1 and local[("a", "default", "inadmissible")] == 0
    assert list(found["kueue_cluster_queue_resource_pending"].values()) == [1]
    assert list(found["kueue_admitted_active_workloads"].values()) == [1]
    assert list(found["kueue_cluster_queue_nominal_quota"].values()) == [1]
    assert by(found["stellwerk_decisions_total"], "team", "decision")[("b", "refused")] == 1


def test_a_lost_node_shows_no_gpu_and_its_job_comes_back_as_another_pod() -> None:
    for seed in range(1, 40):
        faults = Faults(losses_per_node_month_milli=60_000, repair_ns=NS_PER_HOUR)
        case = scenario(demand(24, job("x", 0, 20)), fleet(node("one", 2), faults=faults), seed=seed)
        timeline, ledger = played(case, "whole")
        if len(ledger.stays) > 1:
            break
    lost, back = ledger.stays[0].end_ns, ledger.stays[1].start_ns
    moment = at(case, Fraction(lost, NS_PER_HOUR))
    gone = shown(timeline, moment)
    assert by(gone["stellwerk_node_up"], "node") == {("one",): 0}
    assert "DCGM_FI_DEV_FB_FREE" not in gone and "kube_pod_completion_time" not in gone
    again = shown(timeline, at(case, Fraction(back, NS_PER_HOUR)))
    assert by(again["stellwerk_node_up"], "node") == {("one",): 1}
    assert by(again["kube_pod_start_time"], "pod") == {("x-try-2",): (BEGUN_NS + back) // NS_PER_S}
    assert by(again["stellwerk_decisions_total"], "decision")[("interrupted",)] == 1


def test_a_node_is_away_for_its_repair_however_often_it_is_drawn_as_lost() -> None:
    faults = Faults(losses_per_node_month_milli=365_000, repair_ns=5 * NS_PER_HOUR)
    case = scenario(demand(100, job("x", 0, 90)), fleet(node("one", 1), faults=faults))
    timeline, ledger = played(case, "whole")
    away = timeline.down[0]
    assert len(away) > 5 and all(end - begin == 5 * NS_PER_HOUR for begin, end in away)
    # The one job starts as soon as the node is back, and runs until it is lost again.
    backs = [0, *(end for _, end in away if end < case.demand.period_ns)]
    losses = [begin for begin, _ in away]
    stays = [stay for stay in ledger.stays if stay.end_ns > stay.start_ns]
    assert [stay.start_ns for stay in stays] == backs[: len(stays)]
    assert [stay.end_ns for stay in stays][: len(losses)] == losses


def test_a_job_that_outlasts_the_period_is_neither_finished_nor_interrupted() -> None:
    case = scenario(demand(8, job("x", 1, 20)), fleet(node("one", 1)))
    timeline, _ = played(case, "whole")
    decided = by(shown(timeline, at(case, 0, turn=2))["stellwerk_decisions_total"], "decision")
    assert decided == {("started",): 2, ("finished",): 0, ("interrupted",): 0, ("refused",): 0}


@pytest.mark.parametrize("policy", POLICY)
@pytest.mark.parametrize("seed", range(1, 13))
def test_at_the_end_of_the_period_the_counters_are_the_bill(seed: int, policy: str) -> None:
    case = drawn(seed)
    timeline, ledger = played(case, policy)
    end = at(case, Fraction(case.demand.period_ns, NS_PER_HOUR))
    held: Counter[str] = Counter()
    for stay in ledger.stays:
        held[stay.job.team] += stay.held_milli_ns
    assert +timeline.held_until(end.at_ns) == +held
    costs = by(shown(timeline, end)["stellwerk_cost_total"], "team", "cause")
    cents = period_cost_cents(case.fleet, case.demand.period_ns)
    assert cents is not None and round(sum(costs.values()) * 100) == cents
    run = figures_of(case, ledger, "given")
    for team in run.teams:
        assert team.cost is not None and abs(costs[(team.team, "held")] - Fraction(team.cost)) < Fraction(
            1, 100
        )
    assert run.idle_cost is not None
    assert abs(costs[("", "idle")] - Fraction(run.idle_cost)) < Fraction(1, 100)
    assert sum(team.cost or 0 for team in run.teams) + run.idle_cost == amount(cents)


@pytest.mark.parametrize("policy", POLICY)
@pytest.mark.parametrize("seed", range(1, 13))
def test_at_any_moment_it_shows_what_the_ledger_says_and_counters_only_grow(seed: int, policy: str) -> None:
    case = drawn(seed)
    timeline, ledger = played(case, policy)
    draw, period = SeededEntropy(seed), case.demand.period_ns
    times = sorted(draw.below(3 * period) for _ in range(24))
    before: dict[tuple[str, tuple[tuple[str, str], ...]], Fraction] = {}
    for elapsed in times:
        moment = moment_of(BEGUN_NS, elapsed, 1, period)
        found = shown(timeline, moment)
        waiting = sum(begin <= moment.at_ns < end for begin, end in ledger.waits)
        running = [stay for stay in ledger.stays if stay.start_ns <= moment.at_ns < stay.end_ns]
        status = by(found["kueue_pending_workloads"], "status")
        assert status[("inadmissible",)] == waiting
        assert list(found["kueue_admitted_active_workloads"].values()) == [len(running)]
        pods = {labels[:2] for labels in found.get("kube_pod_labels", {})}
        assert len(pods) == sum(stay.job.pods for stay in running)
        assert_whole_devices(case, timeline, moment, found)
        grown = {
            (name, labels): Fraction(value)
            for name, series in found.items()
            if name.endswith("_total")
            for labels, value in series.items()
        }
        assert all(grown[key] >= value for key, value in before.items())
        before = grown


def assert_whole_devices(case: Scenario, timeline: Timeline, moment: Moment, found: dict) -> None:
    """Every GPU of a node that is up shows something; its utilization is at most 100 percent.

    What a GPU says of itself is what its pods say, but for rounding down.
    """
    for metric, off in (("DCGM_FI_DEV_GPU_UTIL", Fraction(1, 10)), ("DCGM_FI_DEV_FB_USED", Fraction(1))):
        own: dict[str, Fraction] = {}
        of_pods: dict[str, list[Fraction]] = {}
        for labels, value in found.get(metric, {}).items():
            named = dict(labels)
            key = named["UUID"] + named.get("GPU_I_ID", "")
            if "pod" in named:
                of_pods.setdefault(key, []).append(Fraction(value))
            else:
                own[key] = Fraction(value)
        for key, values in of_pods.items():
            assert metric != "DCGM_FI_DEV_GPU_UTIL" or max(sum(values), own.get(key, 0)) <= 100
            assert key not in own or 0 <= own[key] - sum(values) < off * len(values)
    measured = [j.name for j in case.demand.jobs if j.memory_bytes is not None]
    if len(measured) == len(case.demand.jobs):
        seen = {dict(labels)["UUID"] for labels in found.get("DCGM_FI_DEV_FB_USED", {})}
        up = {
            f"GPU-{n.name}-{i}"
            for position, n in enumerate(case.fleet.nodes)
            for i in range(n.gpus)
            if timeline.is_up(position, moment.at_ns)
        }
        assert seen == up

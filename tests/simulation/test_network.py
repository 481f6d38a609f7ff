"""A bad placement costs minutes and EUR, by hand and to the cent; without a network nothing changes."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from stellwerk.cli.main import main
from stellwerk.engine.demand import NS_PER_HOUR, Job
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.engine.snapshot import Fleet, FleetNode, NodeNetwork
from stellwerk.ports.entropy import SeededEntropy
from stellwerk.sim.replay import Scenario, replay
from stellwerk.sim.result import NetworkLoss, Run
from stellwerk.sim.size import smallest_fleet, target_of
from stellwerk.sim.slowdown import Slowdown

from .scenarios import GIB, demand, drawn, fleet, job, node, scenario

BY_NAME = {policy.name: policy for policy in POLICIES}
LINKS = NodeNetwork(
    nvlink_domain=4,
    nvlink_gb_s=Decimal(400),
    root_gb_s=Decimal(40),
    node_gb_s=Decimal(20),
    tcp_gb_s=Decimal(40),
)


def linked(name: str, gpus: int, per_hour: str) -> FleetNode:
    return replace(node(name, gpus, per_hour), network=LINKS)


# near: 4 GPUs at 10 EUR/h; far-0 and far-1: 2 GPUs each at 5 EUR/h. An hour of each GPU costs 2.50 EUR.
THE_FLEET = fleet(linked("near", 4, "10.00"), linked("far-0", 2, "5.00"), linked("far-1", 2, "5.00"))
GANG = job("gang", 1, 10, pods=4, kind="training", communication_milli=100)
# Services that hold the other half all day: of the far nodes, or of the near one.
ON_FAR = (job("a", 0, 24, gpus=2, kind="notebook"), job("b", 0, 24, gpus=2, kind="notebook"))
ON_NEAR = (job("a", 0, 24, gpus=4, kind="notebook"),)


def run_of(policy: str, *jobs: Job, on: Fleet = THE_FLEET) -> Run:
    return replay(scenario(demand(24, *jobs), on, Slowdown()), BY_NAME[policy]).runs[0]


def loss_of(run: Run) -> NetworkLoss:
    assert isinstance(run.network, NetworkLoss)
    return run.network


def test_the_same_gang_placed_badly_takes_540_minutes_and_90_eur_more() -> None:
    # Good: 4 GPUs of near, NVLink at 400 GB/s, the best of the fleet: 10 hours.
    # Bad: 2 GPUs of each far node, 40 GB/s between them: 0.9 + 0.1 x 400 / 40 = 1.9 times as long, 19 hours.
    good, bad = run_of("whole", GANG, *ON_FAR), run_of("whole", GANG, *ON_NEAR)
    assert loss_of(good).lost_ns == 0 and loss_of(good).cost == 0
    lost = loss_of(bad)
    assert lost.lost_ns == 9 * NS_PER_HOUR == 540 * NS_PER_HOUR // 60
    assert lost.gpu_hours == 36  # 4 GPUs x 9 h
    assert lost.cost == Decimal("90.00")  # 36 x 2.50 EUR
    assert bad.gpu_hours.held - good.gpu_hours.held == 36  # both hold 4 GPUs of services all day
    assert bad.gpu_hours.used == good.gpu_hours.used  # the work is the same
    assert (good.jobs.slowed, bad.jobs.slowed) == (0, 1)
    levels = {level.level: level.gangs for level in lost.levels}
    assert levels == {"nvlink": 1, "tcp": 1}  # the service on near, and the gang


def test_a_gang_that_says_where_it_was_measured_is_compared_with_that() -> None:
    slower = replace(GANG, measured_bus_mb_s=200_000)  # at 200 GB/s: 0.9 + 0.1 x 200 / 40 = 1.4 -> 14 h
    assert loss_of(run_of("whole", slower, *ON_NEAR)).lost_ns == 4 * NS_PER_HOUR
    # On NVLink at 400 GB/s it is faster than measured: 0.9 + 0.1 x 200 / 400 = 0.95 -> 9.5 h.
    assert loss_of(run_of("whole", slower, *ON_FAR)).lost_ns == -NS_PER_HOUR // 2


def test_a_gang_that_does_not_say_how_much_it_talks_takes_the_published_share() -> None:
    silent = replace(GANG, communication_milli=UNSET)
    assert loss_of(run_of("whole", silent, *ON_NEAR)).share == Decimal("0.1")
    assert loss_of(run_of("whole", silent, *ON_NEAR)).lost_ns == 9 * NS_PER_HOUR
    asked = replace(scenario(demand(24, silent, *ON_NEAR), THE_FLEET, Slowdown()), share=Decimal("0.05"))
    assert loss_of(replay(asked, BY_NAME["whole"]).runs[0]).lost_ns == 9 * NS_PER_HOUR // 2


def test_a_service_ends_by_the_clock_and_counts_as_slowed() -> None:
    served = job("gang", 1, 10, pods=4, kind="inference", communication_milli=100)
    run = run_of("whole", served, *ON_NEAR)
    assert (loss_of(run).lost_ns, loss_of(run).cost, run.jobs.slowed) == (0, 0, 1)
    assert run.gpu_hours.used == run_of("whole", served, *ON_FAR).gpu_hours.used


def test_the_end_of_the_period_cuts_the_loss_at_what_was_held() -> None:
    late = job("gang", 14, 10, pods=4, communication_milli=100)  # runs 14 to 24 of 19 hours
    lost = loss_of(run_of("whole", late, *ON_NEAR))
    assert lost.lost_ns == round(10 * NS_PER_HOUR * 9 / 19)  # of 10 hours, 10 x (1 - 1/1.9) were lost
    assert lost.cost == Decimal("47.37")  # x 4 GPUs x 2.50 EUR


def test_gpu_instances_have_no_peer_to_peer() -> None:
    # 4 pods of 8 GiB: four 1g.10gb instances of near's first GPUs; one GPU holds seven of them, so no link.
    small = {"memory_bytes": 8 * GIB, "compute_milli": 100, "communication_milli": 100}
    alone = run_of("mig-chosen", job("gang", 1, 10, pods=4, kind="training", **small))
    assert loss_of(alone).gangs == 0
    # 9 of them lie on two GPUs of one node: through its memory at 20 GB/s, 0.9 + 0.1 x 400 / 20 = 2.9.
    near = fleet(linked("near", 4, "10.00"))
    asked = job("gang", 1, 1, pods=9, kind="training", measured_bus_mb_s=400_000, **small)
    lost = loss_of(run_of("mig-chosen", asked, on=near))
    assert [level.level for level in lost.levels] == ["node"]
    assert lost.lost_ns == round(1.9 * NS_PER_HOUR)


def test_an_unknown_bandwidth_changes_nothing_and_is_counted() -> None:
    blind = fleet(*(replace(item, network=replace(LINKS, tcp_gb_s=None)) for item in THE_FLEET.nodes))
    lost = loss_of(run_of("whole", GANG, *ON_NEAR, on=blind))
    assert (lost.unknown, lost.lost_ns, lost.cost) == (1, 0, 0)


def test_an_unknown_price_is_unknown_and_never_zero() -> None:
    unpriced = replace(THE_FLEET.nodes[1].cost, unknown="--price", terms=())
    nodes = (THE_FLEET.nodes[0], *(replace(item, cost=unpriced) for item in THE_FLEET.nodes[1:]))
    lost = loss_of(run_of("whole", GANG, *ON_NEAR, on=fleet(*nodes)))
    assert lost.gpu_hours == 36 and lost.cost is None and all(level.cost is None for level in lost.levels)


def test_a_smaller_fleet_is_compared_with_the_best_link_of_the_declared_one() -> None:
    nodes = THE_FLEET.nodes[1], THE_FLEET.nodes[2], THE_FLEET.nodes[0]
    asked = scenario(demand(48, replace(GANG, arrival_ns=0)), fleet(*nodes), Slowdown())
    whole = replay(asked, BY_NAME["whole"]).runs[0]
    sized = smallest_fleet(asked, BY_NAME["whole"], target_of(whole), lambda *_: None)
    # Two far nodes are enough; near is gone, and what it would have given still counts.
    assert sized.nodes == 2 and loss_of(sized.runs[0]).lost_ns == 9 * NS_PER_HOUR


def bare(run: Run) -> Run:
    return replace(run, network=UNSET)


def with_links(drawn_scenario: Scenario, network: NodeNetwork) -> Scenario:
    nodes = tuple(replace(item, network=network) for item in drawn_scenario.fleet.nodes)
    return replace(drawn_scenario, fleet=replace(drawn_scenario.fleet, nodes=nodes))


@pytest.mark.parametrize("seed", range(12))
def test_links_that_are_all_alike_change_no_other_figure(seed: int) -> None:
    even = NodeNetwork(
        nvlink_gb_s=Decimal(40), root_gb_s=Decimal(40), node_gb_s=Decimal(40), tcp_gb_s=Decimal(40)
    )
    plain = drawn(seed)
    for policy in (BY_NAME["whole"], BY_NAME["mix"]):
        before, after = replay(plain, policy).runs, replay(with_links(plain, even), policy).runs
        assert [bare(run) for run in after] == list(before)
        assert all(loss_of(run).lost_ns == 0 for run in after)


@pytest.mark.parametrize("seed", range(12))
def test_jobs_on_one_gpu_are_unaffected_by_any_network(seed: int) -> None:
    plain = drawn(seed)
    singles = tuple(replace(one, pods=1, gpus=1) for one in plain.demand.jobs)
    plain = replace(plain, demand=replace(plain.demand, jobs=singles))
    before = replay(plain, BY_NAME["mix"]).runs
    after = replay(with_links(plain, LINKS), BY_NAME["mix"]).runs
    assert [bare(run) for run in after] == list(before)
    assert all(loss_of(run).gangs == 0 for run in after)


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_break_no_safety_property_and_levels_add_up(seed: int) -> None:
    draw = SeededEntropy(seed)
    asked = drawn(seed)
    nodes = tuple(
        replace(
            item,
            network=NodeNetwork(
                nvlink_domain=draw.between(1, item.gpus),
                clique=draw.pick(("", "a")),
                pcie_roots=draw.between(1, item.gpus),
                nvlink_gb_s=draw.pick((None, Decimal(475))),
                root_gb_s=Decimal(35),
                node_gb_s=Decimal(28),
                rdma=draw.pick(("", "roce")),
                rdma_gb_s=Decimal(draw.between(1, 400)),
                tcp_gb_s=draw.pick((None, Decimal("4.7"))),
            ),
        )
        for item in asked.fleet.nodes
    )
    asked = replace(asked, fleet=replace(asked.fleet, nodes=nodes))
    for policy in POLICIES:
        for run in replay(asked, policy).runs:  # Violation is raised inside
            lost = loss_of(run)
            assert lost.cost == sum(level.cost or 0 for level in lost.levels)
            assert lost.lost_ns == sum(level.lost_ns for level in lost.levels)
            assert 0 <= lost.gpu_hours <= run.gpu_hours.held


FLEET = """
apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: two-kinds}
spec:
  nodes:
  - name: near
    gpuModel: H100-SXM5-80GB
    gpus: 4
    price: {amount: "10", currency: EUR, date: "2026-11-01", source: an offer}
    network: {nvlink: {busBandwidth: 400}, tcp: {gbps: 400, busBandwidth: 40}}
  - name: far
    count: 2
    gpuModel: H100-SXM5-80GB
    gpus: 2
    price: {amount: "5", currency: EUR, date: "2026-11-01", source: an offer}
    network: {nvlink: {busBandwidth: 400}, tcp: {gbps: 400, busBandwidth: 40}}
"""
JOBS = """name,arrival,duration,pods,gpus,kind,communication
a,0,20h,1,4,training,0
gang,3600,10h,4,1,training,0.1
"""


def cli(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def files(folder: Path, fleet_text: str = FLEET) -> list[str]:
    (folder / "fleet.yaml").write_text(fleet_text)
    (folder / "jobs.csv").write_text(JOBS)
    return ["replay", "jobs.csv", "--fleet", "fleet.yaml", "--policy", "mps"]


def test_a_receipt_holds_the_loss_and_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [*files(tmp_path), "--receipt", "r.json"]
    assert cli([*asked, "--communication-share", "0.2"]) == 0
    receipt: Any = json.loads(Path("r.json").read_text())
    assert receipt["arguments"]["communicationShare"] == "0.2"
    outcomes = receipt["result"]["outcomes"]
    assert [outcome["policy"] for outcome in outcomes] == ["whole", "mps"]  # side by side
    for outcome in outcomes:
        found = outcome["runs"][0]["network"]
        assert (found["share"], found["cost"], found["gpuHours"]) == ("0.2", "90.00", "36.000")
    assert receipt["result"]["fleet"]["nodes"][0]["network"]["nvlinkGbS"] == "400"
    assert cli(["verify", "r.json"]) == 0
    capsys.readouterr()
    (tmp_path / "fleet.yaml").write_text(FLEET.replace("busBandwidth: 40}", "busBandwidth: 39}"))
    assert cli(["verify", "r.json"]) == 1


def test_the_loss_is_explained_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = files(tmp_path)
    assert cli([*asked, "--report", "r.html"]) == 0
    shown = capsys.readouterr().out
    assert "90.00" in shown and "lost to" in shown
    assert "networkCost" in Path("r.html").read_text()
    assert cli([*asked, "--explain", "networkCost", "--explain-policy", "whole"]) == 0
    text = capsys.readouterr().out
    assert "tcp (gangs: 1): 9 h 00 min lost, 36.000 GPU-h = 90.00 EUR" in text
    assert cli([*asked, "--explain", "networkCost", "--lang", "de"]) == 0
    assert "9 Std. 00 Min. verloren" in capsys.readouterr().out


def test_without_a_network_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bare_fleet = "\n".join(line for line in FLEET.splitlines() if "network:" not in line)
    asked = [*files(tmp_path, bare_fleet), "--receipt", "r.json"]
    assert cli([*asked, "--report", "r.html"]) == 0
    assert "network" not in Path("r.json").read_text() and "networkCost" not in Path("r.html").read_text()
    assert "lost to" not in capsys.readouterr().out
    assert cli([*asked, "--explain", "networkCost"]) == 0
    assert "describes no network" in capsys.readouterr().out
    assert cli([*asked, "--communication-share", "0.2"]) == 2
    assert "describes its network" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["1.5", "-0.1", "many", "1E-9", "nan"])
def test_a_share_that_is_none_is_refused(
    share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli([*files(tmp_path), "--communication-share", share]) == 2
    assert "--communication-share" in capsys.readouterr().err


def test_a_case_without_names_keeps_its_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = FLEET.replace("{nvlink", "{clique: uuid.7, pcie: {roots: 2, rootBusBandwidth: 30}, nvlink")
    asked = [*files(tmp_path, text), "--receipt", "r.json"]
    assert cli(asked) == 0
    assert cli(["anonymize", "jobs.csv", "--fleet", "fleet.yaml", "-o", "case.json"]) == 0
    assert "uuid.7" not in Path("case.json").read_text()
    assert cli(["replay", "case.json", "--policy", "mps", "--receipt", "case-r.json"]) == 0
    networks = []
    for name in ("r.json", "case-r.json"):
        result = json.loads(Path(name).read_text())["result"]
        for known in result["fleet"]["nodes"]:
            known["network"].pop("clique")
        nets = [known["network"] for known in result["fleet"]["nodes"]]
        networks.append((nets, [outcome["runs"][0]["network"] for outcome in result["outcomes"]]))
    assert networks[0] == networks[1]

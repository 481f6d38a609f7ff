"""Which link joins a gang, how fast it is, what it does to a step; and how a network is described."""

from decimal import Decimal
from fractions import Fraction

import pytest
from msgspec import convert
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.catalog.gpus import gpu_model, gpu_models
from stellwerk.catalog.node_types import node_type, node_types
from stellwerk.catalog.published.network import (
    RDMA_KINDS,
    bandwidth,
    communication_share,
    network_facts,
    node_nics,
    nvlink_of,
)
from stellwerk.cli.main import main
from stellwerk.engine.decision import Reason
from stellwerk.engine.snapshot import FleetNode, NodeCost, NodeNetwork
from stellwerk.engine.topology.describe import Hardware, describe
from stellwerk.engine.topology.factor import best_link, communication_factor
from stellwerk.engine.topology.link import Link, link_of

FULL = NodeNetwork(
    nvlink_domain=2,
    pcie_roots=2,
    nvlink_gb_s=Decimal(200),
    root_gb_s=Decimal(35),
    node_gb_s=Decimal(28),
    rdma="infiniband",
    rdma_nics=8,
    rdma_gb_s=Decimal(160),
    tcp_gb_s=Decimal(5),
)


def node(name: str, network: NodeNetwork | None = FULL, gpus: int = 8) -> FleetNode:
    made = FleetNode(
        name=name, gpu_model="H100-PCIE-80GB", gpus=gpus, gpu_memory_bytes=1, cost=NodeCost(currency="EUR")
    )
    return made if network is None else replace(made, network=network)


@pytest.mark.parametrize(
    ("devices", "mig", "level", "speed"),
    [
        ([(0, 0), (0, 1)], False, "nvlink", 200),  # one bridge
        ([(0, 1), (0, 2)], False, "pcie-root", 35),  # two bridges, GPUs 0 to 3 on the first root
        ([(0, 3), (0, 4)], False, "node", 28),
        ([(0, 0), (0, 1)], True, "node", 28),  # GPU instances have no peer-to-peer
        ([(0, 0), (1, 0)], False, "rdma", 20),  # 160 GB/s for 8 GPUs, one of them used
        ([(0, 0), (0, 1), (1, 0), (1, 1)], False, "rdma", 40),
        ([(0, 0), (0, 4), (1, 0), (1, 4)], False, "rdma", 28),  # the hop within a node is slower than 40
        ([(0, 0), (2, 0)], False, "tcp", 5),  # node 2 has no RDMA
        ([(3, 0), (4, 7)], False, "clique", 200),
        ([(3, 0), (4, 7)], True, "rdma", 20),
    ],
)
def test_a_gang_is_joined_by_the_closest_level(
    devices: list[tuple[int, int]], mig: bool, level: str, speed: int
) -> None:
    plain, joined = replace(FULL, rdma="", rdma_gb_s=None), replace(FULL, clique="a.1")
    nodes = [node("a"), node("b"), node("c", plain), node("d", joined), node("e", joined)]
    assert link_of(nodes, devices, mig) == Link(level, Fraction(speed))


def test_one_gpu_needs_no_link_and_what_nobody_says_is_a_reason() -> None:
    silent = replace(FULL, tcp_gb_s=None, rdma="")
    nodes = [node("a"), node("b", None), node("c", silent), node("d", silent)]
    assert link_of(nodes, [(0, 3)]) is None
    assert link_of(nodes, [(0, 3), (0, 3)]) is None  # two shares of one GPU
    unknown = link_of(nodes, [(0, 0), (1, 0)])
    assert isinstance(unknown, Reason) and str(unknown) == "the network of b is not described"
    unmeasured = link_of(nodes, [(2, 0), (3, 0)])
    assert isinstance(unmeasured, Reason) and unmeasured.code == "BandwidthUnknown"
    assert str(unmeasured) == "no bus bandwidth is known for the level tcp of c"


def test_a_step_waits_longer_by_the_ratio_of_the_bandwidths() -> None:
    # A tenth of the step at 400 GB/s; at 40 GB/s that tenth takes ten times as long: 0.9 + 1.0.
    assert communication_factor(Fraction(1, 10), Fraction(400), Fraction(40)) == Fraction(19, 10)
    assert communication_factor(Fraction(0), Fraction(400), Fraction(1)) == 1
    assert communication_factor(Fraction(1), Fraction(40), Fraction(400)) == Fraction(1, 10)


def test_the_best_link_is_that_of_the_closest_place_with_room() -> None:
    fleet = [node("a"), node("b"), node("c", replace(FULL, rdma=""))]
    assert best_link(fleet, 1, 2) == Link("nvlink", Fraction(200))
    assert best_link(fleet, 1, 4) == Link("pcie-root", Fraction(35))
    assert best_link(fleet, 2, 4) == Link("node", Fraction(28))
    assert best_link(fleet, 2, 8) == Link("rdma", Fraction(28))
    assert best_link(fleet, 3, 8) == Link("tcp", Fraction(5))
    assert best_link(fleet, 4, 8) is None
    assert best_link([node("a", None)], 1, 2) is None


def described(model: str, gpus: int, **fields: object) -> NodeNetwork:
    network = convert(fields, api.FleetNetwork)
    return describe(network, Hardware(gpu_model(model), gpus), "spec.nodes[0].network")


def test_what_the_catalog_knows_of_a_model_is_taken_where_the_fleet_says_nothing() -> None:
    found = described("H100-SXM5-80GB", 8)
    assert (found.nvlink_domain, found.nvlink_gb_s, found.node_gb_s) == (8, 475, 28)
    assert (found.rdma, found.rdma_gb_s, found.tcp_gb_s, found.clique) == ("", None, None, "")
    bridged = described("H100-PCIE-80GB", 4, nvlink={"domain": 2})
    assert (bridged.nvlink_domain, bridged.nvlink_gb_s) == (2, Decimal("116.26"))
    assert described("H100-PCIE-80GB", 4).nvlink_domain == 1
    assert described("V100-SXM2-32GB", 8).nvlink_gb_s is None  # nobody published one that was found
    assert described("A30", 4, nvlink={"domain": 2}).nvlink_gb_s is None  # its bridge is another one


def test_what_the_fleet_states_goes_before_the_catalog() -> None:
    found = described(
        "L40S",
        4,
        pcie={"roots": 2, "busBandwidth": 22},
        rdma={"kind": "roce", "gbps": 200, "nics": 2},
        tcp={"gbps": 100, "busBandwidth": "9.5"},
    )
    assert (found.pcie_roots, found.node_gb_s, found.root_gb_s) == (2, 22, 22)
    assert found.rdma_gb_s == Decimal(2 * 200) / 8 * Decimal("0.75")
    assert found.tcp_gb_s == Decimal("9.5")
    assert described("L40S", 4, tcp={"gbps": 100}).tcp_gb_s == Decimal("0.376") * 100 / 8


def test_a_node_type_brings_its_nics() -> None:
    row = node_type("azure", "Standard_ND96amsr_A100_v4", "westeurope")
    found = describe(api.FleetNetwork(), Hardware(gpu_model(row.gpu_model), 8, row), "")
    assert (found.rdma, found.rdma_nics) == ("infiniband", 8)
    assert found.rdma_gb_s == Decimal("0.953") * 1600 / 8 and found.nvlink_gb_s == Decimal("232.54")


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"rdma": {"kind": "iwarp", "gbps": 25}}, "rdma.kind", "iwarp is not a kind of RDMA"),
        ({"rdma": {"kind": "roce", "gbps": 0}}, "rdma.gbps", "0 is not a bandwidth"),
        ({"rdma": {"kind": "roce", "gbps": 25, "nics": 0}}, "rdma.nics", "0 is out of range"),
        ({"clique": "a rack"}, "clique", "a rack is not a clique"),
        ({"clique": "x" * 64}, "clique", "is not a clique"),
        ({"tcp": {"gbps": "1E+9"}}, "tcp.gbps", "is not a bandwidth"),
        ({"tcp": {"gbps": 10, "busBandwidth": "NaN"}}, "tcp.busBandwidth", "NaN is not a bandwidth"),
        ({"nvlink": {"domain": 9}}, "nvlink.domain", "9 is out of range"),
        ({"pcie": {"roots": 0}}, "pcie.roots", "0 is out of range"),
        ({"pcie": {"generation": 8}}, "pcie.generation", "8 is out of range"),
    ],
)
def test_a_wrong_network_names_its_field(fields: dict[str, object], path: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        described("H100-SXM5-80GB", 8, **fields)
    assert error.value.path == f"spec.nodes[0].network.{path}"
    assert words in str(error.value)


def test_every_fact_of_the_catalog_has_source_conditions_and_date() -> None:
    facts = network_facts()
    for row in (*facts.measurements, *facts.steps, *facts.placements):
        assert row.source and row.conditions and row.date, row
    assert all(row.source for row in facts.node_types)
    assert {model.architecture for model in gpu_models()} <= facts.pcie_generations.keys()


def test_a_link_has_the_median_and_the_ends_of_what_was_published() -> None:
    found = bandwidth("nvlink-4-switch")
    assert found is not None and (found.value, found.low, found.high) == (475, 330, 480)
    for kind in (*RDMA_KINDS, "tcp"):
        share = bandwidth(kind)
        assert share is not None and 0 < share.low <= share.value <= share.high < 1
    share = communication_share()
    assert (share.value, share.low, share.high) == (Decimal("0.1"), Decimal("0.025"), Decimal("0.32"))


def test_each_node_type_with_nics_is_one_that_is_sold_and_agrees_with_its_row() -> None:
    sold = {(row.provider, row.name): row for row in node_types()}
    for nics in network_facts().node_types:
        row = sold[nics.provider, nics.name]
        assert node_nics(nics.provider, nics.name) == nics
        if nics.rdma == "efa":
            assert nics.nics == row.efa_devices and nics.nic_gbps * nics.nics == row.network_gbps


def test_only_a_switch_or_a_mesh_joins_all_gpus_of_a_node() -> None:
    assert nvlink_of(gpu_model("B200-SXM-180GB")) == ("nvlink-5-switch", True)
    assert nvlink_of(gpu_model("A100-PCIE-80GB")) == ("nvlink-3-bridge-600", False)
    assert nvlink_of(gpu_model("GH200-96GB")) == nvlink_of(gpu_model("L4")) == ("", False)


def test_the_catalog_verb_lists_every_fact_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["catalog", "network"])
    shown = capsys.readouterr().out
    facts = network_facts()
    assert ended.value.code == 0
    for row in (*facts.measurements, *facts.steps, *facts.placements, *facts.node_types):
        assert row.source in shown

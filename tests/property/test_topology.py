"""What holds for every link: slower never helps, and no placement beats the best one of an even fleet."""

from decimal import Decimal
from fractions import Fraction
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from stellwerk.engine.snapshot import FleetNode, NodeCost, NodeNetwork
from stellwerk.engine.topology.factor import best_link, communication_factor
from stellwerk.engine.topology.link import Device, Link, link_of

SHARES = st.fractions(0, 1)
SPEEDS = st.fractions(Fraction(1, 100), 1000)
AMOUNTS = st.integers(1, 900).map(Decimal)


@st.composite
def networks(draw: st.DrawFn, gpus: int) -> NodeNetwork:
    return NodeNetwork(
        nvlink_domain=draw(st.integers(1, gpus)),
        clique=draw(st.sampled_from(["", "", "a", "b"])),
        pcie_roots=draw(st.integers(1, gpus)),
        nvlink_gb_s=draw(AMOUNTS),
        root_gb_s=draw(AMOUNTS),
        node_gb_s=draw(AMOUNTS),
        rdma=draw(st.sampled_from(["", "roce"])),
        rdma_gb_s=draw(AMOUNTS),
        tcp_gb_s=draw(AMOUNTS),
    )


def node(name: str, gpus: int, network: NodeNetwork) -> FleetNode:
    cost = NodeCost(currency="EUR")
    return FleetNode(name=name, gpu_model="L4", gpus=gpus, gpu_memory_bytes=1, cost=cost, network=network)


@given(SHARES, SPEEDS, SPEEDS, SPEEDS)
def test_a_slower_link_never_makes_a_gang_faster(
    share: Fraction, measured: Fraction, a: Fraction, b: Fraction
) -> None:
    slow, fast = sorted((a, b))
    assert communication_factor(share, measured, slow) >= communication_factor(share, measured, fast)
    assert communication_factor(share, measured, measured) == 1


@given(SPEEDS, SPEEDS, SHARES, SHARES)
def test_who_talks_more_loses_more(a: Fraction, b: Fraction, s: Fraction, t: Fraction) -> None:
    slow, fast = sorted((a, b))
    low, high = sorted((s, t))
    assert communication_factor(low, fast, slow) <= communication_factor(high, fast, slow)


@settings(deadline=None)
@given(st.data())
def test_raising_one_bandwidth_never_slows_a_gang(data: st.DataObject) -> None:
    gpus = data.draw(st.integers(2, 4))
    nodes = [node(f"n{i}", gpus, data.draw(networks(gpus))) for i in range(3)]
    everywhere = [(n, g) for n in range(3) for g in range(gpus)]
    devices = data.draw(st.lists(st.sampled_from(everywhere), min_size=2, max_size=6, unique=True))
    field = data.draw(st.sampled_from(["nvlink_gb_s", "root_gb_s", "node_gb_s", "rdma_gb_s", "tcp_gb_s"]))
    faster = [
        replace(item, network=replace(item.network, **{field: getattr(item.network, field) * 2}))
        for item in nodes
    ]
    before, after = link_of(nodes, devices), link_of(faster, devices)
    assert isinstance(before, Link) and isinstance(after, Link)
    assert after.level == before.level and after.bus_gb_s >= before.bus_gb_s


def placements(nodes: list[FleetNode], pods: int, gpus: int) -> list[list[Device]]:
    """Every way in which the pods lie on the empty fleet, each pod on one node (slow, and clear)."""
    if not pods:
        return [[]]
    found = []
    for position, item in enumerate(nodes):
        for rest in placements(nodes, pods - 1, gpus):
            taken = {index for where, index in rest if where == position}
            free = [index for index in range(item.gpus) if index not in taken]
            found += [
                [*rest, *((position, index) for index in chosen)] for chosen in combinations(free, gpus)
            ]
    return found


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_the_best_link_is_one_that_the_fleet_has(data: st.DataObject) -> None:
    nodes = [node(f"n{i}", 3, data.draw(networks(3))) for i in range(3)]
    pods, gpus = data.draw(st.sampled_from([(1, 2), (2, 1), (3, 1), (2, 2)]))
    best = best_link(nodes, pods, gpus)
    links = [link_of(nodes, devices) for devices in placements(nodes, pods, gpus)]
    known = [link for link in links if isinstance(link, Link)]
    assert best in known


@settings(deadline=None, max_examples=40)
@given(networks(2), st.sampled_from([(1, 2), (2, 2), (3, 2)]))
def test_on_equal_nodes_that_are_filled_no_placement_beats_the_best_link(
    network: NodeNetwork, shape: tuple[int, int]
) -> None:
    nodes = [node(f"n{i}", 2, network) for i in range(3)]
    best = best_link(nodes, *shape)
    links = [link_of(nodes, devices) for devices in placements(nodes, *shape)]
    assert best is not None
    assert best.bus_gb_s == max(link.bus_gb_s for link in links if isinstance(link, Link))

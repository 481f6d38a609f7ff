"""The link that joins all GPUs of a gang: the closest level in which they all lie, and how fast it is.

Levels, from close to far: the NVLink domain of a node, the clique (an NVLink domain over nodes), the PCIe
root, the node, RDMA, TCP. A ring all-reduce passes every GPU, so the slowest hop on it sets its bus bandwidth
(NVIDIA/nccl-tests, doc/PERFORMANCE.md). Nobody else is assumed to be on the wire.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct, UnsetType

from stellwerk.engine.decision import Reason
from stellwerk.engine.snapshot import FleetNode, NodeNetwork

NVLINK, CLIQUE, ROOT, NODE, RDMA, TCP = "nvlink", "clique", "pcie-root", "node", "rdma", "tcp"
LEVELS = (NVLINK, CLIQUE, ROOT, NODE, RDMA, TCP)
Device = tuple[int, int]  # (position of the node in the fleet, index of the GPU on it)


class Link(Struct, frozen=True):
    """The level that joins a gang, and the bus bandwidth of its slowest hop, in GB/s."""

    level: str
    bus_gb_s: Fraction


def link_of(nodes: Sequence[FleetNode], devices: Sequence[Device], mig: bool = False) -> Link | Reason | None:
    """How these GPUs reach one another; None for a single GPU, a Reason where nobody says it.

    GPU instances (`mig`) have no peer-to-peer, by neither NVLink nor PCIe (NVIDIA MIG User Guide,
    "Deployment Considerations"): what they exchange goes through the node's memory.
    """
    by_node: dict[int, list[int]] = {}
    for node, index in sorted(set(devices)):
        by_node.setdefault(node, []).append(index)
    if sum(map(len, by_node.values())) < 2:
        return None
    networks: dict[int, NodeNetwork] = {}
    for node in by_node:
        network = nodes[node].network
        if isinstance(network, UnsetType):
            return Reason(
                "NetworkUnknown", "the network of {node} is not described", {"node": nodes[node].name}
            )
        networks[node] = network
    if len(by_node) == 1:
        [(node, indices)] = by_node.items()
        return _within(nodes[node], networks[node], indices, mig)
    return _across(nodes, networks, by_node, mig)


def _within(node: FleetNode, network: NodeNetwork, indices: Sequence[int], mig: bool) -> Link | Reason:
    level, speed = NODE, network.node_gb_s
    if not mig and len({index // network.nvlink_domain for index in indices}) == 1:
        level, speed = NVLINK, network.nvlink_gb_s
    elif not mig and len({pcie_root(node.gpus, network.pcie_roots, index) for index in indices}) == 1:
        level, speed = ROOT, network.root_gb_s
    return _link(level, speed, node.name)


def _across(
    nodes: Sequence[FleetNode],
    networks: Mapping[int, NodeNetwork],
    by_node: Mapping[int, Sequence[int]],
    mig: bool,
) -> Link | Reason:
    cliques = {network.clique for network in networks.values()}
    if len(cliques) == 1 and "" not in cliques and not mig:
        return _slowest(CLIQUE, [(networks[node].nvlink_gb_s, nodes[node].name) for node in by_node])
    hops: list[tuple[Decimal | Fraction | None, str]] = []
    level = RDMA if all(network.rdma for network in networks.values()) else TCP
    for node, indices in by_node.items():
        network, name = networks[node], nodes[node].name
        speed: Decimal | Fraction | None = network.tcp_gb_s
        if level == RDMA:
            # NICs are shared out evenly over a node's GPUs: a gang has those of the GPUs that it got.
            whole = network.rdma_gb_s
            speed = None if whole is None else Fraction(whole) * len(indices) / nodes[node].gpus
        hops.append((speed, name))
        if len(indices) > 1:
            inside = _within(nodes[node], network, indices, mig)
            if isinstance(inside, Reason):
                return inside
            hops.append((inside.bus_gb_s, name))
    return _slowest(level, hops)


def _slowest(level: str, hops: Sequence[tuple[Decimal | Fraction | None, str]]) -> Link | Reason:
    links: list[Link] = []
    for speed, name in hops:
        link = _link(level, speed, name)
        if isinstance(link, Reason):
            return link
        links.append(link)
    return min(links, key=lambda link: link.bus_gb_s)


def _link(level: str, speed: Decimal | Fraction | None, node: str) -> Link | Reason:
    if speed is None:
        text = "no bus bandwidth is known for the level {level} of {node}"
        return Reason("BandwidthUnknown", text, {"level": level, "node": node})
    return Link(level, Fraction(speed))


def pcie_root(gpus: int, roots: int, index: int) -> int:
    """The number of the root that a GPU hangs on: GPUs are spread evenly, in order."""
    return index * roots // gpus

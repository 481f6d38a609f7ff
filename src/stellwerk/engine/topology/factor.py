"""What a link does to a gang's steps, against the best link that the fleet has for it.

A step computes, and waits for the network. The first part stays as it is on any link; the second grows as
the bus bandwidth falls: factor = 1 - share + share x (bandwidth where it was measured) / (bandwidth here).
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from msgspec import UnsetType

from stellwerk.engine.demand import Job
from stellwerk.engine.snapshot import FleetNode
from stellwerk.engine.topology.link import Device, Link, link_of


def communication_factor(share: Fraction, measured_gb_s: Fraction, bus_gb_s: Fraction) -> Fraction:
    """So many times as long as where `share` was measured; exact, and never less on a slower link.

    `share` is from 0 to 1, of a step on a link of `measured_gb_s`; asserts that, and bandwidths above 0.
    """
    assert 0 <= share <= 1 and measured_gb_s > 0 and bus_gb_s > 0, "a share, and two bandwidths"
    return 1 - share + share * measured_gb_s / bus_gb_s


def best_link(nodes: Sequence[FleetNode], pods: int, gpus: int) -> Link | None:
    """The fastest link that the empty fleet has for `pods` pods of `gpus` GPUs each; None: none is known.

    Tried: each node alone, each clique, all nodes with RDMA, all nodes; on each the fastest nodes are filled
    first, GPUs in order.
    """
    found: list[Link] = []
    for group in _groups(nodes):
        devices = _filled(nodes, group, pods, gpus)
        link = link_of(nodes, devices) if devices else None
        if isinstance(link, Link):
            found.append(link)
    return max(found, key=lambda link: link.bus_gb_s, default=None)


def measured_bandwidth(job: Job, best: Link | None) -> Fraction | None:
    """Where the job's duration was measured, as it says, else on the best link; None: unknown."""
    if not isinstance(job.measured_bus_mb_s, UnsetType):
        return Fraction(job.measured_bus_mb_s, 1000)
    return None if best is None else best.bus_gb_s


def _groups(nodes: Sequence[FleetNode]) -> Iterator[list[int]]:
    """Nodes that may share a link, each group with its fastest first; ties go to the first node."""
    cliques: dict[str, list[int]] = {}
    rdma: list[int] = []
    for position, node in enumerate(nodes):
        if isinstance(node.network, UnsetType):
            continue
        yield [position]
        if node.network.clique:
            cliques.setdefault(node.network.clique, []).append(position)
        if node.network.rdma:
            rdma.append(position)
    yield from cliques.values()
    yield sorted(rdma, key=lambda position: -_rdma_of_a_gpu(nodes[position]))
    yield sorted(range(len(nodes)), key=lambda position: -_rdma_of_a_gpu(nodes[position]))


def _rdma_of_a_gpu(node: FleetNode) -> Fraction:
    network = node.network
    if isinstance(network, UnsetType) or network.rdma_gb_s is None:
        return Fraction(0)
    return Fraction(network.rdma_gb_s) / node.gpus


def _filled(nodes: Sequence[FleetNode], group: Sequence[int], pods: int, gpus: int) -> list[Device]:
    """The GPUs of all pods on these nodes, one node after the other; none where they have too few."""
    devices: list[Device] = []
    for position in group:
        here = min(pods, nodes[position].gpus // gpus)
        devices += [(position, index) for index in range(here * gpus)]
        pods -= here
        if not pods:
            return devices
    return []

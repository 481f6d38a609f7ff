"""Published facts on communication between GPUs: bandwidths by link, shares of a step, NICs of node types.

Bandwidths are bus bandwidths of NCCL's all-reduce (nccl-tests, doc/PERFORMANCE.md), which compare links
whatever the number of GPUs. Where sources disagree, a link has a range and its nearest-rank median.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read
from stellwerk.catalog.gpus import GpuModel

RDMA_KINDS = ("infiniband", "roce", "efa")


class Measurement(Struct, frozen=True, kw_only=True):
    """An all-reduce as published; `line_gb_s`: a node's NICs at their best (None: within a node).

    0 GPUs: the source does not say how many.
    """

    link: str
    bus_gb_s: Decimal
    line_gb_s: Decimal | None = None
    gpus: int
    nodes: int
    conditions: str
    source: str
    date: str

    @property
    def value(self) -> Decimal:
        """GB/s within a node; between nodes the part of the line rate that came of it, to four decimals."""
        if self.line_gb_s is None:
            return self.bus_gb_s
        return Decimal(int(self.bus_gb_s * 10_000 / self.line_gb_s)) / 10_000


class Step(Struct, frozen=True, kw_only=True):
    """Scaling as published: `efficiency` is throughput by that of as many single GPUs or nodes."""

    workload: str
    efficiency: Decimal
    conditions: str
    source: str
    date: str


class Placement(Struct, frozen=True, kw_only=True):
    """One job on a good and on a bad link: so many times as slow, from and to."""

    workload: str
    good: str
    bad: str
    slower: tuple[Decimal, Decimal]
    conditions: str
    source: str
    date: str


class NodeNics(Struct, frozen=True, kw_only=True):
    """The NICs of a node type; `tcp_gbps` is for all other traffic, None where no source says it."""

    provider: str
    name: str
    rdma: str = ""
    nics: int = 0
    nic_gbps: Decimal = Decimal(0)
    tcp_gbps: Decimal | None = None
    source: str


class Range(Struct, frozen=True):
    """The median of what was published, the least and the greatest."""

    value: Decimal
    low: Decimal
    high: Decimal


class NetworkFacts(Struct, frozen=True, kw_only=True):
    """The whole file."""

    generated: str
    note: str
    provenance: str
    pcie_generations: Mapping[str, int]
    measurements: tuple[Measurement, ...]
    steps: tuple[Step, ...]
    placements: tuple[Placement, ...]
    node_types: tuple[NodeNics, ...]


@cache
def network_facts() -> NetworkFacts:
    """All facts with their sources."""
    return msgspec.json.decode(read("network.json"), type=NetworkFacts)


@cache
def bandwidth(link: str) -> Range | None:
    """GB/s of `nvlink-4-switch`, `pcie-5-node`; part of the line of `infiniband`, `tcp`; None: unknown."""
    return _range(row.value for row in network_facts().measurements if row.link == link)


@cache
def communication_share() -> Range:
    """The part of a step that waits for the network: at most 1 - scaling efficiency, as published."""
    found = _range(1 - row.efficiency for row in network_facts().steps)
    assert found is not None, "the catalog has a published efficiency"
    return found


def nvlink_of(model: GpuModel) -> tuple[str, bool]:
    """The model's NVLink as a link of the catalog ("": none), and whether a switch joins all GPUs of a node.

    A bridge is bought apart and joins pairs: which GPUs have one, only the fleet can say.
    """
    kind = model.nvlink_kind
    generation = kind.removeprefix("NVLink ")[:1]
    if not generation.isdigit():
        return "", False
    if "bridge" in kind:
        # One generation drives bridges of 112 to 600 GB/s: a measurement is of one of them.
        return f"nvlink-{generation}-bridge-{model.nvlink_gb_s_total:f}", False
    return f"nvlink-{generation}-{'switch' if 'NVSwitch' in kind else 'mesh'}", True


def pcie_bandwidth(generation: int, one_root: bool) -> Range | None:
    """GB/s below one PCIe root, or across; where only one of the two was published, it stands for both."""
    return (bandwidth(f"pcie-{generation}-root") if one_root else None) or bandwidth(
        f"pcie-{generation}-node"
    )


@cache
def node_nics(provider: str, name: str) -> NodeNics | None:
    """The NICs of a node type; None where the catalog has no source for it."""
    rows = network_facts().node_types
    return next((row for row in rows if (row.provider, row.name) == (provider, name)), None)


def _range(values: Iterable[Decimal]) -> Range | None:
    ordered = sorted(values)
    return Range(ordered[(len(ordered) - 1) // 2], ordered[0], ordered[-1]) if ordered else None

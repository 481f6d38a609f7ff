"""A node's network, from its Fleet entry, its GPU model and its node type: what is stated goes first."""

import re
from decimal import Decimal

from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.meta import given
from stellwerk.catalog.gpus import GpuModel
from stellwerk.catalog.node_types import NodeType
from stellwerk.catalog.published.network import (
    RDMA_KINDS,
    NodeNics,
    Range,
    bandwidth,
    network_facts,
    node_nics,
    nvlink_of,
    pcie_bandwidth,
)
from stellwerk.engine.snapshot import NodeNetwork

BITS = 8  # Of a byte: NICs are sold in Gb/s, collectives are measured in GB/s.
MOST_GBPS = 1_000_000
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


class Hardware(Struct, frozen=True):
    """What is known of a node besides its network: GPU model, GPUs, and its row of the catalog, if any."""

    model: GpuModel
    gpus: int
    row: NodeType | None = None


def describe(network: api.FleetNetwork, hardware: Hardware, path: str) -> NodeNetwork:
    """The network of each node of a group; raises InvalidInput with the field below `path`."""
    nvlink, pcie = given(network.nvlink, api.FleetNvlink()), given(network.pcie, api.FleetPcie())
    link, joined = nvlink_of(hardware.model)
    gpus = hardware.gpus
    domain = _between(nvlink.domain, gpus if joined else 1, gpus, f"{path}.nvlink.domain")
    roots = _between(pcie.roots, 1, gpus, f"{path}.pcie.roots")
    known = network_facts().pcie_generations.get(hardware.model.architecture, 1)
    generation = _between(pcie.generation, known, 7, f"{path}.pcie.generation")
    root, node = (_value(pcie_bandwidth(generation, one_root)) for one_root in (True, False))
    across = _bandwidth(pcie.bus_bandwidth, node, f"{path}.pcie.busBandwidth")
    # A figure that is stated across roots stands for one root too, where the catalog's is lower.
    known_root = across if root is None or (across is not None and across > root) else root
    below = _bandwidth(pcie.root_bus_bandwidth, known_root, f"{path}.pcie.rootBusBandwidth")
    nics = None if hardware.row is None else node_nics(hardware.row.provider, hardware.row.name)
    kind, count, rdma = _rdma(network, nics, gpus, f"{path}.rdma")
    return NodeNetwork(
        nvlink_domain=domain,
        clique=_clique(given(network.clique, ""), f"{path}.clique"),
        pcie_roots=roots,
        nvlink_gb_s=_bandwidth(nvlink.bus_bandwidth, _value(bandwidth(link)), f"{path}.nvlink.busBandwidth"),
        root_gb_s=below,
        node_gb_s=across,
        rdma=kind,
        rdma_nics=count,
        rdma_gb_s=rdma,
        tcp_gb_s=_tcp(network, nics, f"{path}.tcp"),
    )


def _clique(text: str, path: str) -> str:
    """The text, as a Node's label may have it: GPU feature discovery writes it there."""
    if not text or _LABEL_VALUE.fullmatch(text):
        return text
    raise InvalidInput(
        "{value} is not a clique",
        fix="write it as the label nvidia.com/gpu.clique has it: <clusterUUID>.<cliqueID>",
        path=path,
        value=text[:80],
    )


def _rdma(
    network: api.FleetNetwork, nics: NodeNics | None, gpus: int, path: str
) -> tuple[str, int, Decimal | None]:
    """Kind, NICs, and what an all-reduce gets of all of them."""
    stated = network.rdma
    if isinstance(stated, UnsetType):
        if nics is None or not nics.rdma:
            return "", 0, None
        return nics.rdma, nics.nics, _of_line(nics.rdma, nics.nic_gbps * nics.nics)
    if stated.kind not in RDMA_KINDS:
        raise InvalidInput(
            "{value} is not a kind of RDMA",
            fix="use one of: {kinds}",
            path=f"{path}.kind",
            value=stated.kind[:40],
            kinds=", ".join(RDMA_KINDS),
        )
    count = _between(stated.nics, gpus, 64, f"{path}.nics")
    line = _positive(stated.gbps, f"{path}.gbps") * count
    found = _bandwidth(stated.bus_bandwidth, _of_line(stated.kind, line), f"{path}.busBandwidth")
    return stated.kind, count, found


def _tcp(network: api.FleetNetwork, nics: NodeNics | None, path: str) -> Decimal | None:
    stated = network.tcp
    if isinstance(stated, UnsetType):
        gbps = None if nics is None else nics.tcp_gbps
        return None if gbps is None else _of_line("tcp", gbps)
    line = _positive(stated.gbps, f"{path}.gbps")
    return _bandwidth(stated.bus_bandwidth, _of_line("tcp", line), f"{path}.busBandwidth")


def _of_line(link: str, gbps: Decimal) -> Decimal | None:
    share = _value(bandwidth(link))
    return None if share is None else share * gbps / BITS


def _value(found: Range | None) -> Decimal | None:
    return None if found is None else found.value


def _bandwidth(stated: Decimal | UnsetType, known: Decimal | None, path: str) -> Decimal | None:
    return known if isinstance(stated, UnsetType) else _positive(stated, path)


def _positive(number: Decimal, path: str) -> Decimal:
    exponent = number.as_tuple().exponent
    exact = isinstance(exponent, int) and exponent >= -6 and number.adjusted() <= 6
    if exact and 0 < number <= MOST_GBPS:
        return number
    raise InvalidInput(
        "{value} is not a bandwidth above 0",
        fix='write a number such as "400", with at most six decimals and up to {most}',
        path=path,
        value=str(number)[:40],
        most=MOST_GBPS,
    )


def _between(stated: int | UnsetType, known: int, most: int, path: str) -> int:
    number = given(stated, known)
    if 1 <= number <= most:
        return number
    raise InvalidInput(
        "{number} is out of range",
        fix="write an integer from 1 to {most}",
        path=path,
        number=number,
        most=most,
    )

"""v1 Node objects as a Fleet: GPUs by NVIDIA's labels, prices by instance type, region and capacity type.

A Node that shares its GPUs says more GPUs than it has: the product label ends in `-SHARED` (capacity is GPUs
times replicas) or in `-MIG-<profile>` (capacity and `nvidia.com/gpu.count` count MIG devices).
"""

from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.core import Node, NodeSpec, NodeStatus
from stellwerk.api.groups.meta import given
from stellwerk.api.quantity import Quantity
from stellwerk.catalog.gpus import gpu_model
from stellwerk.catalog.node_types import NodeType, find_node_types
from stellwerk.catalog.ownership import exchange_rate
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.checked import checked_currency
from stellwerk.engine.money.fleet_cost import cost_of_row, rate_notes, row_notes, unknown_note
from stellwerk.engine.money.node_cost import Target
from stellwerk.engine.money.node_group import check_nodes
from stellwerk.engine.snapshot import Fleet, FleetNode, NodeCost, NodeNetwork
from stellwerk.engine.topology.describe import Hardware, describe

GPU = "nvidia.com/gpu"
CLIQUE = "nvidia.com/gpu.clique"  # <clusterUUID>.<cliqueID>, where NVLink joins nodes.
PROVIDERS = {"aws": "aws", "gce": "gcp", "azure": "azure", "scaleway": "scaleway", "nebius": "nebius"}
OPTION = "spec.nodes[].price of a Fleet that lists this node"


class Seen(Struct, frozen=True):
    """What a Node says about itself: labels, capacity, and the provider by the prefix of its providerID."""

    name: str
    labels: Mapping[str, str]
    capacity: Mapping[str, Quantity]
    provider: str | None
    row: NodeType | None

    @property
    def product(self) -> str:
        """GPU feature discovery's label, with its endings."""
        return self.labels.get(f"{GPU}.product", "")


def price_nodes(nodes: Sequence[Node], currency: str = "EUR", rates: Sequence[ExchangeRate] = ()) -> Fleet:
    """The Nodes with GPUs, in their order, at the catalog's prices; unknown where it has none.

    Raises InvalidInput if no Node has a GPU, or one does not say which.
    """
    target = Target(checked_currency(currency, "currency"), (*rates, exchange_rate()))
    seen = [_seen(node) for node in nodes]
    whole = [node for node in seen if node.row is None or node.row.whole_gpus]
    with_gpus = [node for node in whole if _gpus(node)]
    if not with_gpus:
        raise InvalidInput(
            "None of {count} Nodes has a GPU in status.capacity or in its labels",
            fix="describe the nodes in a Fleet, or install NVIDIA's device plugin",
            count=len(seen),
        )
    priced = tuple(_priced(node, target) for node in with_gpus)
    check_nodes(priced)
    notes = _left_out(len(whole) - len(with_gpus), len(seen) - len(whole))
    notes += [note for node in with_gpus if node.row for note in row_notes(node.row)]
    notes += [note for node in priced for note in unknown_note(node.name, node.cost)]
    return Fleet(
        name="nodes",
        currency=target.currency,
        nodes=priced,
        notes=tuple(dict.fromkeys((*notes, *rate_notes(priced)))),
    )


def _left_out(without: int, parts: int) -> list[str]:
    found = (
        Reason("WithoutGpu", "Nodes without a GPU, left out: {count}.", {"count": without}),
        Reason("PartOfGpu", "Nodes with only a part of a GPU (vGPU), left out: {count}.", {"count": parts}),
    )
    return [str(reason) for reason in found if reason.values["count"]]


def _seen(node: Node) -> Seen:
    labels = given(node.metadata.labels, {})
    spec, status = given(node.spec, NodeSpec()), given(node.status, NodeStatus())
    provider = PROVIDERS.get(given(spec.provider_id, "").partition("://")[0])
    rows = find_node_types(
        labels.get("node.kubernetes.io/instance-type", ""),
        provider=provider,
        region=labels.get("topology.kubernetes.io/region"),
    )
    return Seen(
        name=given(node.metadata.name, ""),
        labels=labels,
        capacity=given(status.capacity, {}),
        provider=provider,
        row=rows[0] if len(rows) == 1 else None,
    )


def _gpus(node: Seen) -> int:
    """GPUs of the node: by label, else by an unshared capacity, else by the catalog."""
    counted = node.labels.get(f"{GPU}.count", "")
    sliced = "-MIG-" in node.product
    if counted.isascii() and counted.isdigit() and len(counted) < 5 and not sliced:
        return int(counted)
    capacity = node.capacity[GPU].value() if GPU in node.capacity else 0
    shared = node.product.endswith("-SHARED") or node.labels.get(f"{GPU}.replicas", "1") not in ("0", "1")
    if capacity > 0 and not sliced and not shared:
        return capacity
    known = (node.row.whole_gpus or 0) if node.row else 0
    if (sliced or shared) and not known:
        raise InvalidInput(
            "Node {name} shares its GPUs ({product}) and does not say how many it has",
            fix="describe the node in a Fleet, with gpuModel and gpus",
            path="metadata.labels",
            name=node.name,
            product=node.product,
        )
    return known


def _priced(node: Seen, target: Target) -> FleetNode:
    name = node.product or (node.row.gpu_model if node.row else "")
    if not name:
        raise InvalidInput(
            "Node {name} does not say which GPUs it has",
            fix="label it nvidia.com/gpu.product, or describe it in a Fleet",
            path="metadata.labels",
            name=node.name,
        )
    model = gpu_model(name)
    return FleetNode(
        name=node.name,
        gpu_model=model.id,
        gpus=_gpus(node),
        gpu_memory_bytes=model.memory_bytes,
        cost=_cost(node, target),
        network=_network(node, Hardware(model, _gpus(node), node.row)),
    )


def _network(node: Seen, hardware: Hardware) -> NodeNetwork | UnsetType:
    """A Node says one thing of its network: the clique, by GPU feature discovery's label."""
    clique = node.labels.get(CLIQUE, "")
    return describe(api.FleetNetwork(clique=clique), hardware, "metadata.labels") if clique else UNSET


def _cost(node: Seen, target: Target) -> NodeCost:
    if node.row is None:
        return NodeCost(currency=target.currency, unknown=OPTION)
    return cost_of_row(node.row, node.labels.get("karpenter.sh/capacity-type", "on-demand"), target, OPTION)

"""What a GPU-hour of a flavor costs: the nodes that its labels select, their cost by their GPUs.

A flavor is a set of node labels (Kueue's ResourceFlavor, spec.nodeLabels). Nodes of a Fleet have no labels of
their own; what the Fleet says of them stands for four well-known ones, and for its group's name.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import given
from stellwerk.catalog.gpus import gpu_model
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.exact import fraction
from stellwerk.engine.snapshot import Fleet, FleetNode, NodeCost

PRODUCT, INSTANCE = "nvidia.com/gpu.product", "node.kubernetes.io/instance-type"
REGION, CAPACITY = "topology.kubernetes.io/region", "karpenter.sh/capacity-type"
NO_FLEET = "a GPU-hour of flavor {name} has no price: add a Fleet, or Nodes of a known instance type"
NO_NODE = "no node of the fleet has the labels of flavor {name}: {labels}"
NO_PRICE = "a GPU-hour of flavor {name} has no price: set {option}"
KNOWN = (PRODUCT, INSTANCE, REGION, CAPACITY)


class LabeledNode(Struct, frozen=True, kw_only=True):
    """A node with GPUs, its cost, and its labels; `known` says which labels a flavor may ask for.

    `known` is None where all labels are known (a v1 Node). `group`: of a Fleet, else "".
    """

    labels: Mapping[str, str]
    known: tuple[str, ...] | None
    group: str
    gpus: int
    cost: NodeCost


class FlavorPrice(Struct, frozen=True, kw_only=True):
    """`per_gpu_hour` exact; None: unknown, and `reason` says what to add. `nodes`, `gpus`: of those selected.

    `ignored`: labels of the flavor of which a Fleet says nothing.
    """

    per_gpu_hour: Fraction | None
    nodes: int = 0
    gpus: int = 0
    reason: Reason | None = None
    ignored: tuple[str, ...] = ()


def fleet_labels(manifest: api.Fleet, fleet: Fleet) -> tuple[LabeledNode, ...]:
    """The nodes of the Fleet that this manifest was priced to, group by group."""
    groups = [group for group in manifest.spec.nodes for _ in range(given(group.count, 1))]
    return tuple(
        _labeled(node, _group_labels(group, node), KNOWN, group.name)
        for group, node in zip(groups, fleet.nodes, strict=True)
    )


def node_labels(nodes: Sequence[Node], fleet: Fleet) -> tuple[LabeledNode, ...]:
    """The Nodes that the fleet was priced of, with their own labels."""
    labels = {given(node.metadata.name, ""): given(node.metadata.labels, {}) for node in nodes}
    return tuple(_labeled(node, labels[node.name], None, "") for node in fleet.nodes)


def flavor_price(name: str, wanted: Mapping[str, str], nodes: Sequence[LabeledNode]) -> FlavorPrice:
    """The price of the flavor `name` with these nodeLabels.

    All its nodes together by all their GPUs, where they differ. A flavor of which no label can be known takes
    the Fleet's group of its name, else all nodes.
    """
    if not nodes:
        return FlavorPrice(per_gpu_hour=None, reason=Reason("NoFleet", NO_FLEET, {"name": name}))
    selected = [node for node in nodes if _selects(wanted, node)]
    if not any(_is_known(label, node) for node in nodes for label in wanted):
        selected = [node for node in nodes if node.group == name] or selected
    if not selected:
        values = {"name": name, "labels": ", ".join(f"{key}={value}" for key, value in wanted.items())}
        return FlavorPrice(per_gpu_hour=None, reason=Reason("NoNode", NO_NODE, values))
    unknown = next((node.cost.unknown for node in selected if node.cost.unknown), "")
    if unknown:
        reason = Reason("UnknownPrice", NO_PRICE, {"name": name, "option": unknown})
        return FlavorPrice(per_gpu_hour=None, nodes=len(selected), reason=reason)
    hourly = [fraction(term.per_hour) for node in selected for term in node.cost.terms]
    gpus = sum(node.gpus for node in selected)
    ignored = tuple(label for label in wanted if not any(_is_known(label, node) for node in selected))
    price = sum(hourly, Fraction(0)) / gpus
    return FlavorPrice(per_gpu_hour=price, nodes=len(selected), gpus=gpus, ignored=ignored)


def _labeled(
    node: FleetNode, labels: Mapping[str, str], known: tuple[str, ...] | None, group: str
) -> LabeledNode:
    return LabeledNode(labels=labels, known=known, group=group, gpus=node.gpus, cost=node.cost)


def _group_labels(group: api.FleetNodeGroup, node: FleetNode) -> dict[str, str]:
    labels = {PRODUCT: node.gpu_model, CAPACITY: given(group.capacity_type, "on-demand")}
    if not isinstance(group.instance_type, UnsetType):
        labels[INSTANCE] = group.instance_type.name
        if region := given(group.instance_type.region, ""):
            labels[REGION] = region
    return labels


def _selects(wanted: Mapping[str, str], node: LabeledNode) -> bool:
    return all(
        _same(label, value, node.labels.get(label))
        for label, value in wanted.items()
        if _is_known(label, node)
    )


def _is_known(label: str, node: LabeledNode) -> bool:
    return node.known is None or label in node.known


def _same(label: str, wanted: str, found: str | None) -> bool:
    """A GPU's product label and its id in the catalog name the same model."""
    if label != PRODUCT or found is None or wanted == found:
        return wanted == found
    try:
        return gpu_model(wanted).id == gpu_model(found).id
    except InvalidInput:
        return False

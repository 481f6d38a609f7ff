"""One node group of a Fleet: its instance type, its GPU model and how many; refused where these disagree."""

from collections.abc import Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.meta import given
from stellwerk.catalog.gpus import GpuModel, gpu_model
from stellwerk.catalog.node_types import NodeType, node_type
from stellwerk.engine.snapshot import FleetNode

CAPACITY_TYPES = ("on-demand", "spot", "reserved")
MOST_NODES = 10_000
MOST_GPUS = 1_024
MOST_FLEET_GPUS = 10_000  # A replay looks at every GPU for each job.


class Offer(Struct, frozen=True):
    """A group with its path in the manifest, and its row of the catalog if it names an instance type."""

    group: api.FleetNodeGroup
    path: str
    fleet: str
    row: NodeType | None


def offer_of(group: api.FleetNodeGroup, path: str, fleet: str) -> Offer:
    """The group with its row of the catalog; raises InvalidInput for two costs, or an unknown type."""
    _check_one_cost(group, path)
    return Offer(group, path, fleet, _row(group, path))


def counted(groups: Sequence[api.FleetNodeGroup]) -> Sequence[api.FleetNodeGroup]:
    """The groups, if each has a node and all together are not too many to replay."""
    if not groups:
        raise InvalidInput("The fleet has no nodes", fix="add a node group", path="spec.nodes")
    total = 0
    for at, group in enumerate(groups):
        count = given(group.count, 1)
        total += count
        if count < 1 or total > MOST_NODES:
            raise InvalidInput(
                "{count} nodes are not between 1 and {most} for the whole fleet",
                fix="set count to at least 1, and all counts together to at most {most}",
                path=f"spec.nodes[{at}].count",
                count=count,
                most=MOST_NODES,
            )
    return groups


def _check_one_cost(group: api.FleetNodeGroup, path: str) -> None:
    stated = {"instanceType": group.instance_type, "price": group.price, "owned": group.owned}
    fields = [field for field, value in stated.items() if not isinstance(value, UnsetType)]
    if len(fields) > 1:
        raise InvalidInput(
            "Nodes {name} have more than one cost: {fields}",
            fix="keep one of instanceType, price and owned",
            path=path,
            name=group.name,
            fields=", ".join(fields),
        )
    capacity_type = given(group.capacity_type, "on-demand")
    if capacity_type not in CAPACITY_TYPES:
        raise InvalidInput(
            "{value} is not a capacity type",
            fix="use one of: on-demand, spot, reserved",
            path=f"{path}.capacityType",
            value=capacity_type[:40],
        )


def _row(group: api.FleetNodeGroup, path: str) -> NodeType | None:
    wanted = group.instance_type
    if isinstance(wanted, UnsetType):
        return None
    try:
        row = node_type(wanted.provider, wanted.name, given(wanted.region, None))
    except InvalidInput as error:
        error.path = f"{path}.instanceType"
        raise
    if row.whole_gpus is None:
        raise InvalidInput(
            "Instance type {name} holds {share} of one GPU, which cannot be cut or shared any further",
            fix="use a type with whole GPUs: stellwerk catalog node-types",
            path=f"{path}.instanceType",
            name=row.name,
            share=str(row.gpu_count),
        )
    return row


def model_of(offer: Offer) -> GpuModel:
    """The GPU model that the group names, or its instance type has; raises InvalidInput if these differ."""
    path, row = f"{offer.path}.gpuModel", offer.row
    name = given(offer.group.gpu_model, row.gpu_model if row else "")
    if not name:
        raise InvalidInput(
            "Nodes {name} do not say which GPUs they have",
            fix="set gpuModel to one of: stellwerk catalog gpus",
            path=path,
            name=offer.group.name,
        )
    try:
        model = gpu_model(name)
    except InvalidInput as error:
        error.path = path
        raise
    if row and model.id != row.gpu_model:
        raise InvalidInput(
            "Instance type {type} has {actual}, not {stated}",
            fix="leave gpuModel out, or name another instance type",
            path=path,
            type=row.name,
            actual=row.gpu_model,
            stated=model.id,
        )
    return model


def gpus_of(offer: Offer) -> int:
    """GPUs of one node, stated or by the instance type; raises InvalidInput if these differ."""
    path, row = f"{offer.path}.gpus", offer.row
    gpus = given(offer.group.gpus, (row.whole_gpus or 0) if row else 0)
    if not 1 <= gpus <= MOST_GPUS:
        raise InvalidInput(
            "{gpus} GPUs in nodes {name} are not between 1 and {most}",
            fix="set gpus to the number of GPUs of one node",
            path=path,
            gpus=gpus,
            name=offer.group.name,
            most=MOST_GPUS,
        )
    if row and gpus != row.whole_gpus:
        raise InvalidInput(
            "Instance type {type} has {actual} GPUs, not {stated}",
            fix="leave gpus out, or name another instance type",
            path=path,
            type=row.name,
            actual=row.whole_gpus,
            stated=gpus,
        )
    return gpus


def check_nodes(nodes: Sequence[FleetNode]) -> None:
    """Raises InvalidInput unless each node has a name of its own, and all GPUs are few enough to replay."""
    gpus = sum(node.gpus for node in nodes)
    if gpus > MOST_FLEET_GPUS:
        raise InvalidInput(
            "the fleet has {gpus} GPUs, and a replay takes at most {most}",
            fix="lower count or gpus of a node group",
            path="spec.nodes",
            gpus=gpus,
            most=MOST_FLEET_GPUS,
        )
    names: set[str] = set()
    for node in nodes:
        if not node.name or node.name in names:
            raise InvalidInput(
                'Two nodes would have the name "{name}", or none',
                fix="give each node group a name of its own",
                path="spec.nodes",
                name=node.name,
            )
        names.add(node.name)

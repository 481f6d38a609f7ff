"""The device plugin's rule: one configuration a node, so all its GPUs are shared in one way.

`plain` nodes have whole GPUs and MIG instances (migStrategy mixed). Under `mps` and `time-slicing` every GPU
has the same number of replicas. A replica of MPS is the GPU's memory and threads divided by the replicas; the
same is asked for time-slicing, since nobody knows which pods the plugin puts together.
Source: NVIDIA/k8s-device-plugin, api/config/v1 and cmd/mps-control-daemon (catalog, labels_and_configs.json).
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.partition.policy import MPS, TIME_SLICING
from stellwerk.engine.partition.program.shapes import Pool, Shape

PLAIN = "plain"


class NodeClass(Struct, frozen=True, kw_only=True):
    """Nodes in the same state. `methods` are those that they may have, `per_node` its GPUs by pool."""

    name: str
    nodes: tuple[str, ...]
    methods: tuple[str, ...]
    per_node: tuple[tuple[Pool, int], ...]


def seat_name(method: str, replicas: int) -> str:
    """How a replica is called among the seats: mps-3."""
    return f"{method}-{replicas}"


def replicas_of(seat: str) -> tuple[str, int] | None:
    """(method, replicas) of a replica's seat; None for another seat."""
    method, _, number = seat.rpartition("-")
    return (method, int(number)) if method in (MPS, TIME_SLICING) else None


def holds(seat: str, shape: Shape, model: str) -> bool:
    """Whether a replica has the memory and the threads that the shape needs."""
    found = replicas_of(seat)
    if found is None or found[0] not in shape.methods or not shape.known or shape.gpus > 1:
        return False
    memory, compute = shape.memory_bytes or 0, shape.compute_milli or 0
    return memory <= gpu_facts(model).memory_bytes // found[1] and compute <= 1000 // found[1]


def shared_seats(shapes: Sequence[Shape], model: str, replicas: int) -> list[str]:
    """Replica counts that could be best: for each shape, the most replicas that still hold it."""
    facts = gpu_facts(model)
    most = min(48, facts.mps_clients)
    found = {
        seat_name(MPS, number)
        for shape in shapes
        if MPS in shape.methods and shape.known
        for number in _most_replicas(shape, model, most)
    }
    if any(holds(seat_name(TIME_SLICING, replicas), shape, model) for shape in shapes):
        found.add(seat_name(TIME_SLICING, replicas))
    return sorted(found)


def _most_replicas(shape: Shape, model: str, most: int) -> list[int]:
    fitting = [number for number in range(2, most + 1) if holds(seat_name(MPS, number), shape, model)]
    return fitting[-1:]


def node_classes(
    gpus: Sequence[Gpu], pools: Mapping[Pool, Sequence[int]], shapes: Sequence[Shape], replicas: int
) -> tuple[tuple[NodeClass, ...], dict[Pool, list[int]]]:
    """Nodes by state, and the pools again, now apart for each class (`Pool.node` is its name)."""
    pool_of = {at: pool for pool, found in pools.items() for at in found}
    by_node: dict[str, list[int]] = {}
    for at, gpu in enumerate(gpus):
        by_node.setdefault(gpu.node, []).append(at)
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for node, members in by_node.items():
        fixed = _fixed([gpus[at] for at in members])
        signature = (fixed, tuple(sorted(repr(pool_of.get(at)) for at in members)))
        groups.setdefault(signature, []).append(node)
    classes: list[NodeClass] = []
    apart: dict[Pool, list[int]] = {}
    for (fixed, _), nodes in groups.items():
        counts: dict[Pool, int] = {}
        for at in (at for node in nodes for at in by_node[node] if at in pool_of):
            pool = structs.replace(pool_of[at], node=nodes[0])
            apart.setdefault(pool, []).append(at)
            counts[pool] = counts.get(pool, 0) + 1
        models = sorted({gpus[at].model for at in by_node[nodes[0]]})
        options = [seat for model in models for seat in shared_seats(shapes, model, replicas)]
        classes.append(
            NodeClass(
                name=nodes[0],
                nodes=tuple(nodes),
                methods=(fixed,) if fixed else (PLAIN, *dict.fromkeys(options)),
                per_node=tuple((pool, count // len(nodes)) for pool, count in counts.items()),
            )
        )
    return tuple(classes), apart


def shared_nodes(gpus: Sequence[Gpu]) -> set[str]:
    """Nodes with tenants of MPS or time-slicing: under the device plugin they have no whole GPUs."""
    return {gpu.node for gpu in gpus if gpu.tenants and gpu.method in (MPS, TIME_SLICING)}


def _fixed(gpus: Sequence[Gpu]) -> str:
    """The method that a node has already, since somebody is on it ("": none). States were checked before."""
    for gpu in gpus:
        if gpu.tenants and gpu.method in (MPS, TIME_SLICING):
            return seat_name(gpu.method, gpu.replicas)
    return PLAIN if any(gpu.busy for gpu in gpus) else ""

"""Which GPU of its node a pod has under the device plugin.

The API does not say it: metrics do (`known`), or the node has one GPU. Else pods are seated in the order of
their names, which changes no count, and the node is blind: no GPU beside one in use may be cut on its word.
"""

from collections.abc import Iterator, Mapping, Sequence

from stellwerk.api.groups.core import Node, NodeStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigTable, best_start
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, Tenant
from stellwerk.engine.partition.layouts import Room
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.planning.today import GPU
from stellwerk.engine.planning.today import MIG as MIG_RESOURCE
from stellwerk.engine.snapshot import FleetNode

STRATEGIES = {"mps": MPS, "time-slicing": TIME_SLICING}
Seats = tuple[tuple[Gpu, ...], bool]


def seated(
    node: FleetNode,
    described: Node,
    pods: Sequence[tuple[str, Mapping[str, int]]],
    known: Mapping[str, tuple[int, ...]],
) -> Seats:
    """The node's GPUs with their pods (name, amounts by resource), and whether it is blind."""
    cut = list(_cut(node, described))
    instances = {index: list(found) for index, found in cut}
    whole = [index for index in range(node.gpus) if index not in instances]
    method, replicas = _sharing(described)
    tenants: dict[int, list[Tenant]] = {index: [] for index in whole}
    for name, asked in sorted(pods, key=lambda pod: (pod[0] not in known, pod[0])):
        for resource, amount in asked.items():
            if resource.startswith(MIG_RESOURCE):
                _take_instance(instances, resource, name, amount)
                continue
            free = sorted(whole, key=lambda index: (len(tenants[index]), index))
            wanted = [index for index in known.get(name, ()) if index in tenants] or free
            for index in wanted[:amount]:
                tenants[index].append(Tenant(name=name))
    gpus = tuple(
        Gpu(
            node=node.name,
            index=index,
            model=node.gpu_model,
            method=MIG if index in instances else method if tenants[index] else "",
            instances=tuple(sorted(instances.get(index, ()), key=lambda each: each.start)),
            tenants=tuple(tenants.get(index, ())),
            replicas=replicas if method != WHOLE and index not in instances else 1,
        )
        for index in range(node.gpus)
    )
    blind = node.gpus > 1 and any(name not in known for name, _ in pods)
    return gpus, blind


def _sharing(described: Node) -> tuple[str, int]:
    labels = given(described.metadata.labels, {})
    replicas = labels.get(f"{GPU}.replicas", "1")
    count = int(replicas) if replicas.isascii() and replicas.isdigit() and len(replicas) < 4 else 1
    if count < 2:
        return WHOLE, 1
    return STRATEGIES.get(labels.get(f"{GPU}.sharing-strategy", ""), TIME_SLICING), count


def _cut(node: FleetNode, described: Node) -> Iterator[tuple[int, list[GpuInstance]]]:
    """GPU by GPU its instances: the node tells only how many of each profile it has.

    They are laid out the largest first on the last GPUs, each as full as it gets; whole ones come before.
    """
    table = mig_table(node.gpu_model)
    offered = given(given(described.status, NodeStatus()).allocatable, {})
    left = {
        name.removeprefix(MIG_RESOURCE).replace("gb.", "gb+"): amount.value()
        for name, amount in offered.items()
        if name.startswith(MIG_RESOURCE) and amount.value() > 0
    }
    if table is None or not left:
        return
    whole = offered[GPU].value() if GPU in offered else 0
    for index in range(whole, node.gpus):
        share = {name: -(-count // (node.gpus - index)) for name, count in left.items() if count}
        found = list(_laid_out(table, share))
        for instance in found:
            left[instance.profile] -= 1
        yield index, found


def _laid_out(table: MigTable, counts: Mapping[str, int]) -> Iterator[GpuInstance]:
    room = Room(table)
    profiles = [profile for name in counts if (profile := table.profile(name)) is not None]
    for profile in sorted(profiles, key=lambda each: (-each.size, each.name)):
        for _ in range(counts[profile.name]):
            start = best_start(table, profile, room.used)
            if start is None or not room.holds(Instance(profile, start)):
                break
            room.take(Instance(profile, start))
            yield GpuInstance(profile=profile.name, start=start)


def _take_instance(instances: dict[int, list[GpuInstance]], resource: str, pod: str, amount: int) -> None:
    from msgspec.structs import replace

    profile = resource.removeprefix(MIG_RESOURCE).replace("gb.", "gb+")
    for found in instances.values():
        for at, each in enumerate(found):
            if amount and each.profile == profile and not each.tenant:
                found[at] = replace(each, tenant=pod)
                amount -= 1

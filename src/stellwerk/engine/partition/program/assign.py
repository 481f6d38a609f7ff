"""From the program's answer to GPUs and pods by name: which GPU takes which choice, which pod which.

What is equal for the program is settled by order: GPUs as they were given, pods by name. An idle instance
that serves stays as it is.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from msgspec import Struct, structs

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigProfile
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, PartitionRequest, Tenant
from stellwerk.engine.partition.layouts import Room, cut
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.partition.program.gangs import Place
from stellwerk.engine.partition.program.node_methods import NodeClass, replicas_of
from stellwerk.engine.partition.program.problem import Answer, Choice, Problem, moved_shape
from stellwerk.engine.partition.program.shapes import Pool, Shape, shape_of, split

Asked = tuple[PartitionRequest, Sequence[str]]  # A request, and its pods that need a place.


class Seating(Struct, frozen=True):
    """GPUs with everybody in place, pods unserved by request, and the pods that move."""

    gpus: tuple[Gpu, ...]
    unserved: Mapping[str, int]
    moved: tuple[str, ...]


class _Pods:
    """The pods of each shape that still need a seat, with what they take; in order of name."""

    def __init__(self, asked: Sequence[Asked], problem: Problem) -> None:
        shapes = self.shapes = problem.shapes
        self.queues: dict[Shape, list[tuple[str, PartitionRequest | None]]] = {shape: [] for shape in shapes}
        for request, names in sorted(asked, key=lambda item: item[0].name):
            shape = shape_of(request, problem.limits.executor)
            self.queues[shape] += [(name, request) for name in names]

    def take(self, at: int) -> Tenant:
        """The next pod of the shape at this position."""
        shape = self.shapes[at]
        name, _ = self.queues[shape].pop(0)
        return Tenant(name=name, memory_bytes=shape.memory_bytes or 0, compute_milli=shape.compute_milli or 0)

    def left(self) -> dict[str, int]:
        """Pods without a seat, by request."""
        found: dict[str, int] = {}
        for queue in self.queues.values():
            for _, request in queue:
                if request is not None:
                    found[request.name] = found.get(request.name, 0) + 1
        return found


def seat_pods(
    gpus: Sequence[Gpu],
    pools: Mapping[Pool, list[int]],
    asked: Sequence[Asked],
    problem: Problem,
    answer: Answer,
) -> Seating:
    """Carry the answer out on the GPUs, in their order."""
    target, pods, classes = list(gpus), _Pods(asked, problem), problem.classes
    reserved = _reserved(gpus, pools, answer)
    taken = {at for members in reserved.values() for at in members}
    free = {pool: [at for at in found if at not in taken] for pool, found in pools.items()}
    for gang, place, count in answer.gangs:
        for _ in range(count):
            tenant = pods.take(gang)
            for _gpu in range(problem.shapes[gang].gpus):
                at = reserved[place].pop(0)
                target[at] = structs.replace(target[at], method=WHOLE, instances=(), tenants=(tenant,))
    chosen = _spread(gpus, free, answer, classes)
    shared = {gpus[at].node for at, choice in chosen.items() if replicas_of(choice.node_method)}
    target = [
        structs.replace(gpu, method="", instances=()) if _in_way(gpu, shared) else gpu for gpu in target
    ]
    moved: list[str] = []
    for at, choice in sorted(chosen.items()):
        for instance in _drained(target[at], choice):
            moved.append(instance.tenant)
            profile = next(item.profile for item in choice.drained if item.profile.name == instance.profile)
            pods.queues[moved_shape(Instance(profile, instance.start))].append((instance.tenant, None))
    needed = {(model, seat): 0 for _, model, seat, _ in answer.seated}
    for _, model, seat, count in answer.seated:
        needed[model, seat] += count
    open_seats: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for at in sorted(chosen, key=lambda at: (not chosen[at].pool.kept, at)):
        target[at] = _carry_out(target[at], at, chosen[at], needed, open_seats)
    for at, choice in sorted(chosen.items()):
        tenants = [pods.take(shape) for shape, count in choice.packing for _ in range(count)]
        if tenants:
            everybody = (*target[at].tenants, *tenants)
            target[at] = structs.replace(target[at], method=choice.method, tenants=everybody, instances=())
    for shape, model, seat, count in answer.seated:
        for _ in range(count):
            at, start = open_seats[model, seat].pop(0)
            target[at] = _seated(target[at], start, pods.take(shape))
    return Seating(tuple(target), pods.left(), tuple(moved))


def _reserved(gpus: Sequence[Gpu], pools: Mapping[Pool, list[int]], answer: Answer) -> dict[Place, list[int]]:
    """The GPUs that each place gives to gangs, in order."""
    found: dict[Place, list[int]] = {}
    for place, pool, count in answer.reserved:
        there = [at for at in pools[pool] if gpus[at].node == place.node]
        found.setdefault(place, []).extend(there[:count])
    return {place: sorted(positions) for place, positions in found.items()}


def _in_way(gpu: Gpu, shared: set[str]) -> bool:
    """An idle cut GPU on a node that the device plugin shares from now on: MIG is off there."""
    return gpu.node in shared and gpu.method == MIG and not gpu.busy


def _spread(
    gpus: Sequence[Gpu], pools: Mapping[Pool, list[int]], answer: Answer, classes: Sequence[NodeClass]
) -> dict[int, Choice]:
    """Which choice each GPU gets (by position); under the device plugin, on a node with its method."""
    nodes = {each.name: list(each.nodes) for each in classes}
    method_of = {nodes[name].pop(0): method for name, method, count in answer.nodes for _ in range(count)}
    free: dict[tuple[Pool, str], list[int]] = {}
    for pool, found in pools.items():
        for at in found:
            free.setdefault((pool, method_of.get(gpus[at].node, "")), []).append(at)
    return {
        free[choice.pool, choice.node_method].pop(0): choice
        for choice, count in answer.choices
        for _ in range(count)
    }


def _drained(gpu: Gpu, choice: Choice) -> list[GpuInstance]:
    gone = {(instance.profile.name, instance.start) for instance in choice.drained}
    return [item for item in gpu.instances if (item.profile, item.start) in gone]


def _carry_out(
    gpu: Gpu,
    at: int,
    choice: Choice,
    needed: dict[tuple[str, str], int],
    open_seats: dict[tuple[str, str], list[tuple[int, int]]],
) -> Gpu:
    """Cut what is needed of the choice; the new seats go to `open_seats` as (GPU, start)."""
    wanted: list[str] = []
    for seat, count in choice.seats:
        number = min(count, needed.get((gpu.model, seat), 0))
        if number:
            needed[gpu.model, seat] -= number
            wanted += [seat] * number
    if choice.method in (MPS, TIME_SLICING) and choice.seats:
        for seat in wanted:
            open_seats.setdefault((gpu.model, seat), []).append((at, -1))
        replicas = (replicas_of(choice.node_method) or ("", 1))[1]
        return structs.replace(gpu, method=choice.method, instances=(), replicas=replicas) if wanted else gpu
    if choice.method == WHOLE:
        if wanted:
            open_seats.setdefault((gpu.model, WHOLE), []).append((at, -1))
        if wanted or choice.drained:
            return structs.replace(gpu, method=WHOLE if wanted else MIG, instances=())
        return gpu
    drained = _drained(gpu, choice)
    if not wanted and not drained:
        return gpu
    left = tuple(instance for instance in gpu.instances if instance not in drained)
    kept, idle = split(structs.replace(gpu, instances=left))
    idle += tuple(item for item in choice.drained)
    found = _cut(gpu.model, kept, idle, tuple(wanted))
    for instance in found[0]:
        open_seats.setdefault((gpu.model, instance.profile.name), []).append((at, instance.start))
    tenants = {(item.profile, item.start): item.tenant for item in left}
    whole = sorted((*kept, *found[0], *found[1]), key=lambda item: item.start)
    return structs.replace(
        gpu,
        method=MIG,
        instances=tuple(
            GpuInstance(
                profile=item.profile.name,
                start=item.start,
                tenant=tenants.get((item.profile.name, item.start), ""),
            )
            for item in whole
        ),
    )


@lru_cache(maxsize=4096)  # A large fleet has thousands of GPUs that are cut alike.
def _cut(
    model: str, kept: tuple[Instance, ...], idle: tuple[Instance, ...], wanted: tuple[str, ...]
) -> tuple[tuple[Instance, ...], tuple[Instance, ...]]:
    """The instances for `wanted`, and the idle ones that may stay beside them."""
    table = mig_table(model)
    assert table is not None, "only a model with MIG has a pattern"
    profiles: list[MigProfile] = [item for name in wanted if (item := table.profile(name))]
    found = cut(table, kept, idle, tuple(profiles))
    assert found is not None, "a pattern has a placement"
    room, stay = Room(table, (*kept, *found)), []
    for instance in idle:
        if instance not in found and room.holds(instance):
            room.take(instance)
            stay.append(instance)
    return found, tuple(stay)


def _seated(gpu: Gpu, start: int, tenant: Tenant) -> Gpu:
    if start < 0:
        return structs.replace(gpu, tenants=(*gpu.tenants, tenant))
    return structs.replace(
        gpu,
        instances=tuple(
            structs.replace(item, tenant=tenant.name) if item.start == start else item
            for item in gpu.instances
        ),
    )

"""Plan a partition: how each GPU is cut or shared, who gets which part, and the steps from today to there.

`plan_partition` is the entry, the integer program in program/ decides. Under the device plugin pods of
several GPUs are placed before it (on the node with the fewest free ones that suffice). What is in use stays,
unless `Limits.drain` allows pods to move.
"""

from collections.abc import Mapping, Sequence

from msgspec import structs

from stellwerk.engine.partition.inventory import (
    DEVICE_PLUGIN,
    DRA,
    Gpu,
    Limits,
    PartitionPlan,
    PartitionRequest,
    Tenant,
    Unserved,
)
from stellwerk.engine.partition.policy import MIG, WHOLE
from stellwerk.engine.partition.program.assign import Seating, seat_pods
from stellwerk.engine.partition.program.bound import least_gpus
from stellwerk.engine.partition.program.gangs import gang_room
from stellwerk.engine.partition.program.node_methods import NodeClass, node_classes, shared_nodes
from stellwerk.engine.partition.program.problem import Answer, Problem, moved_shape
from stellwerk.engine.partition.program.shapes import Shape, pod_names, pools_of, shape_of, split, takes_whole
from stellwerk.engine.partition.program.solve import solve
from stellwerk.engine.partition.steps import steps_between
from stellwerk.engine.partition.why import why_unserved


def plan_partition(
    gpus: Sequence[Gpu], requests: Sequence[PartitionRequest], limits: Limits | None = None
) -> PartitionPlan:
    """The plan with the fewest GPUs in use that leaves the fewest pods unserved. Nothing given is changed.

    `gpus` were checked before (each layout valid, each model in the catalog); names of requests are unique. A
    pod that is on a GPU already, by its name, is not placed again.
    """
    limits = limits or Limits()
    names = _missing(gpus, requests)
    target = [_plain(gpu) for gpu in gpus]
    refused: dict[str, int] = {}
    together = list(requests)
    if limits.executor == DEVICE_PLUGIN:
        together = [request for request in requests if request.gpus == 1]
        for request in sorted(requests, key=lambda item: (-item.gpus, item.name)):
            if request.gpus > 1:
                left = _place_gang(target, request, names[request.name])
                refused.update({request.name: left} if left else {})
    answer, seating = _share(target, together, names, limits)
    refused.update(seating.unserved)
    used = sum(gpu.busy for gpu in seating.gpus)
    steps = steps_between(gpus, seating.gpus)
    plan = PartitionPlan(
        executor=limits.executor,
        gpus=tuple(seating.gpus),
        steps=steps,
        unserved=_unserved(requests, refused, gpus, seating.gpus),
        gpus_used=used,
        gpus_before=sum(gpu.busy for gpu in gpus),
        bound=0,
        drained=tuple(sorted(step.pod for step in steps if step.action == "drain")),
    )
    return structs.replace(plan, bound=_bound(answer, plan, requests, limits))


def _missing(gpus: Sequence[Gpu], requests: Sequence[PartitionRequest]) -> dict[str, list[str]]:
    """The pods of each request that are on no GPU yet."""
    there = {tenant.name for gpu in gpus for tenant in gpu.tenants}
    there |= {instance.tenant for gpu in gpus for instance in gpu.instances}
    return {item.name: [name for name in pod_names(item) if name not in there] for item in requests}


def _plain(gpu: Gpu) -> Gpu:
    """A GPU that is shared or given whole, but has nobody on it, is free for any method."""
    return gpu if gpu.tenants or gpu.method == MIG else structs.replace(gpu, method="", replicas=1)


def _bound(answer: Answer, plan: PartitionPlan, requests: Sequence[PartitionRequest], limits: Limits) -> int:
    """GPUs that no plan goes below; 0 where that is not known.

    Under the device plugin pods of several GPUs were placed before the program, which proves nothing then.
    """
    least = least_gpus(requests, plan, limits)
    before = limits.executor == DEVICE_PLUGIN and any(request.gpus > 1 for request in requests)
    if answer.bound is None or before:
        return least
    return max(least, plan.gpus_used - (answer.objective - answer.bound))


def _place_gang(target: list[Gpu], request: PartitionRequest, names: Sequence[str]) -> int:
    """Give each pod its whole GPUs on one node; returns how many pods found no node."""
    shape = shape_of(request)
    closed = shared_nodes(target)
    for number, name in enumerate(names):
        free: dict[tuple[str, str], list[int]] = {}
        for at, gpu in enumerate(target):
            if not gpu.busy and gpu.node not in closed and takes_whole(shape, gpu.model):
                free.setdefault((gpu.node, gpu.model), []).append(at)
        fitting = [(len(found), key) for key, found in free.items() if len(found) >= request.gpus]
        if not fitting:
            return len(names) - number
        # GPUs that nobody has cut come first: an idle instance stays for whoever fits in it.
        chosen = sorted(free[min(fitting)[1]], key=lambda at: (bool(target[at].instances), at))
        for at in chosen[: request.gpus]:
            tenant = Tenant(name=name, memory_bytes=request.memory_bytes or 0)
            target[at] = structs.replace(target[at], method=WHOLE, instances=(), tenants=(tenant,))
    return 0


def _share(
    target: list[Gpu],
    requests: Sequence[PartitionRequest],
    names: Mapping[str, Sequence[str]],
    limits: Limits,
) -> tuple[Answer, Seating]:
    counts: dict[Shape, int] = {}
    for request in sorted(requests, key=lambda item: item.name):
        shape = shape_of(request, limits.executor)
        counts[shape] = counts.get(shape, 0) + len(names[request.name])
    pools = pools_of(target, limits)
    if limits.drain:
        for gpu in target:
            for instance in split(gpu)[0]:
                counts.setdefault(moved_shape(instance), 0)
    ordered = dict(sorted(counts.items(), key=lambda item: _order(item[0])))
    classes: tuple[NodeClass, ...] = ()
    if limits.executor == DEVICE_PLUGIN:
        classes, pools = node_classes(target, pools, list(ordered), limits.replicas)
    room = gang_room(target, pools) if limits.executor == DRA else {}
    sizes = {pool: len(found) for pool, found in pools.items()}
    problem = Problem(ordered, sizes, limits, classes, room)
    answer = solve(problem)
    asked = [(request, names[request.name]) for request in requests]
    return answer, seat_pods(target, pools, asked, problem, answer)


def _order(shape: Shape) -> tuple[object, ...]:
    memory, compute = shape.memory_bytes, shape.compute_milli
    known = (memory is not None, memory or 0, compute is not None, compute or 0)
    return shape.moved, shape.profile, shape.namespace, known, shape.methods, shape.gpus


def _unserved(
    requests: Sequence[PartitionRequest], refused: dict[str, int], before: Sequence[Gpu], after: Sequence[Gpu]
) -> tuple[Unserved, ...]:
    return tuple(
        Unserved(
            request=item.name, pods=refused[item.name], reason=why_unserved(shape_of(item), before, after)
        )
        for item in sorted(requests, key=lambda item: item.name)
        if refused.get(item.name)
    )

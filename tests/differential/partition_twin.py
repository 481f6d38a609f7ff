"""The slow clear twin of `plan_partition`: every way to give every pod a part, one pod after another.

A GPU's state is (method, who is on it); equal states in another order are looked at once. Returns the fewest
(pods unserved, GPUs in use).
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product

from stellwerk.engine.partition.facts import gpu_facts, mig_table
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.inventory import Gpu, PartitionRequest
from stellwerk.engine.partition.layouts import is_valid

# (model, method, MIG instances in place, (memory, compute) of tenants, node where that matters)
State = tuple[str, str, tuple[tuple[str, int], ...], tuple[tuple[int, int], ...], str]


def fewest(gpus: Sequence[Gpu], requests: Sequence[PartitionRequest], replicas: int) -> tuple[int, int]:
    """(pods unserved, GPUs in use), as small as can be, in this order."""
    pods = [request for request in requests for _ in range(request.pods)]
    gangs = any(request.gpus > 1 for request in requests)

    @cache
    def best(at: int, states: tuple[State, ...]) -> tuple[int, int]:
        if at == len(pods):
            return 0, sum(bool(state[1]) for state in states)
        unserved, used = best(at + 1, states)
        found = [(unserved + 1, used)]
        if pods[at].gpus > 1:
            for after in _with_gang(states, pods[at]):
                found.append(best(at + 1, after))
            return min(found)
        for position, state in enumerate(states):
            if state in states[:position]:
                continue
            for after in _after(state, pods[at], replicas):
                others = (*states[:position], after, *states[position + 1 :])
                found.append(best(at + 1, tuple(sorted(others))))
        return min(found)

    return best(0, tuple(sorted(_state(gpu, gpu.node if gangs else "") for gpu in gpus)))


def _with_gang(states: tuple[State, ...], request: PartitionRequest) -> Iterator[tuple[State, ...]]:
    """Every node and model with enough GPUs that nobody uses."""
    for node, model in sorted({(state[4], state[0]) for state in states}):
        free = [at for at, state in enumerate(states) if (state[4], state[0], state[1]) == (node, model, "")]
        if len(free) >= request.gpus and (request.memory_bytes or 0) <= gpu_facts(model).memory_bytes:
            taken = set(free[: request.gpus])
            yield tuple(
                sorted((s[0], "whole", (), (), s[4]) if at in taken else s for at, s in enumerate(states))
            )


def _state(gpu: Gpu, node: str = "") -> State:
    """Today's state; instances that nobody uses do not count, since they may be destroyed."""
    busy = tuple(sorted((item.profile, item.start) for item in gpu.instances if item.tenant))
    tenants = tuple(sorted((tenant.memory_bytes, tenant.compute_milli) for tenant in gpu.tenants))
    return gpu.model, "mig" if busy else gpu.method if tenants else "", busy, tenants, node


def _after(state: State, request: PartitionRequest, replicas: int) -> Iterator[State]:
    """Every state that the GPU may have with one more pod of the request on it."""
    model, method, instances, tenants, node = state
    memory, compute = request.memory_bytes, request.compute_milli
    facts, table = gpu_facts(model), mig_table(model)
    measured = memory is not None and compute is not None
    methods = request.methods if measured or request.profile else ("whole",)
    if "whole" in methods and not request.profile and not method and (memory or 0) <= facts.memory_bytes:
        yield model, "whole", (), (), node
    if table is not None and method in ("", "mig") and ("mig" in methods or request.profile):
        there = [Instance(table.profile(name), start) for name, start in instances]  # type: ignore[arg-type]
        for profile in table.profiles:
            if request.profile and profile.name != request.profile:
                continue
            if not request.profile and (profile.variant or profile.size == table.memory_slices):
                continue
            if not request.profile and not (
                profile.memory_bytes >= (memory or 0)
                and profile.compute_slices / table.compute_slices >= (compute or 0) / 1000
            ):
                continue
            for start in profile.starts:
                if is_valid(table, [*there, Instance(profile, start)]):
                    yield model, "mig", tuple(sorted([*instances, (profile.name, start)])), (), node
    for sharing, most in (("mps", facts.mps_clients), ("time-slicing", replicas)):
        if request.profile or not measured or sharing not in methods or method not in ("", sharing):
            continue
        everybody = tuple(sorted([*tenants, (memory or 0, compute or 0)]))
        fits = sum(m for m, _ in everybody) <= facts.memory_bytes and sum(c for _, c in everybody) <= 1000
        if fits and len(everybody) <= most:
            yield model, sharing, (), everybody, node


def fewest_by_node(
    gpus: Sequence[Gpu], requests: Sequence[PartitionRequest], replicas: int
) -> tuple[int, int]:
    """The same under the device plugin: every method for every node, and the best of all combinations.

    No GPU has tenants of MPS or time-slicing yet. Replicas above 8 are not tried: needs are larger than that.
    """
    nodes = sorted({gpu.node for gpu in gpus})
    shared = [("mps", count) for count in range(2, 9)] + [("time-slicing", replicas)]
    found = []
    for methods in product([("plain", 1), *shared], repeat=len(nodes)):
        method_of = dict(zip(nodes, methods, strict=True))
        if any(gpu.busy and method_of[gpu.node][0] != "plain" for gpu in gpus):
            continue
        found.append(_fewest_under(gpus, requests, [method_of[gpu.node] for gpu in gpus]))
    return min(found)


def _fewest_under(
    gpus: Sequence[Gpu], requests: Sequence[PartitionRequest], methods: Sequence[tuple[str, int]]
) -> tuple[int, int]:
    pods = [request for request in requests for _ in range(request.pods)]

    @cache
    def best(at: int, states: tuple[tuple[State, tuple[str, int]], ...]) -> tuple[int, int]:
        if at == len(pods):
            return 0, sum(bool(state[1]) for state, _ in states)
        unserved, used = best(at + 1, states)
        found = [(unserved + 1, used)]
        for position, (state, method) in enumerate(states):
            if (state, method) in states[:position]:
                continue
            for after in _after_under(state, pods[at], method):
                others = (*states[:position], (after, method), *states[position + 1 :])
                found.append(best(at + 1, tuple(sorted(others))))
        return min(found)

    return best(0, tuple(sorted(zip((_state(gpu) for gpu in gpus), methods, strict=True))))


def _after_under(state: State, request: PartitionRequest, method: tuple[str, int]) -> Iterator[State]:
    sharing, count = method
    if sharing == "plain":
        yield from (after for after in _after(state, request, 1) if after[1] in ("whole", "mig"))
        return
    memory, compute = request.memory_bytes, request.compute_milli
    if request.profile or memory is None or compute is None or sharing not in request.methods:
        return
    fits = memory <= gpu_facts(state[0]).memory_bytes // count and compute <= 1000 // count
    if fits and len(state[3]) < count:
        yield state[0], sharing, (), tuple(sorted([*state[3], (memory, compute)])), ""

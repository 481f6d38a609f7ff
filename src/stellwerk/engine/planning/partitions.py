"""The partition of a cluster for what its owners ask: as few restarts as give the same GPUs."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from stellwerk.engine.partition.inventory import Gpu, Limits, PartitionPlan
from stellwerk.engine.partition.plan import plan_partition
from stellwerk.engine.planning.asks import Ask, without_tenants
from stellwerk.engine.planning.decided import Planning
from stellwerk.engine.planning.today import Today

MOST_TRIED = 40  # Owners up to which each is tried without: a plan costs up to half a second.


def partition_of(
    today: Today, asks: Sequence[Ask], planning: Planning
) -> tuple[tuple[Ask, ...], PartitionPlan]:
    """The asks that are granted, and the plan with them; pods that move are those of `ask.moves`.

    An ask that finds no place, or that frees no GPU, is dropped: nobody restarts for nothing.
    """
    waiting = [ask for ask in asks if not ask.moves]
    kept = _placed(today, [*waiting, *(ask for ask in asks if ask.moves)], planning)
    best = _plan(today, kept, planning)
    moving = sorted((ask for ask in kept if ask.moves), key=lambda ask: (len(ask.owner.pods), ask.owner.key))
    still = _plan(today, [ask for ask in kept if not ask.moves], planning)
    if moving and best.gpus_used >= still.gpus_used:
        return tuple(ask for ask in kept if not ask.moves), still
    for ask in moving if len(moving) <= MOST_TRIED else ():
        fewer = [each for each in kept if each is not ask]
        tried = _plan(today, fewer, planning)
        if tried.gpus_used <= best.gpus_used and not tried.unserved:
            kept, best = fewer, tried
    return tuple(kept), best


def _placed(today: Today, asks: Sequence[Ask], planning: Planning) -> list[Ask]:
    """The asks without those for which there is no room."""
    kept = list(asks)
    while True:
        refused = {each.request for each in _plan(today, kept, planning).unserved}
        if not refused:
            return kept
        kept = [ask for ask in kept if ask.request.name not in refused]


def _plan(today: Today, asks: Iterable[Ask], planning: Planning) -> PartitionPlan:
    """The plan over all GPUs. Those of blind nodes on which somebody stays keep what they have."""
    chosen = list(asks)
    leaving = frozenset(pod.name for ask in chosen if ask.moves for pod in ask.owner.pods)
    after = list(without_tenants(today.gpus, leaving))
    closed = _closed(today, after)
    order = _order(today, after)
    open_ = sorted((gpu for gpu in after if gpu.key not in closed), key=lambda gpu: order[gpu.node])
    limits = Limits(executor=today.executor, replicas=planning.replicas)
    plan = plan_partition(open_, [ask.request for ask in chosen], limits)
    target = {gpu.key: gpu for gpu in (*after, *plan.gpus)}
    gpus = tuple(target[gpu.key] for gpu in today.gpus)
    shut = sum(gpu.busy for gpu in after if gpu.key in closed)
    return replace(
        plan,
        gpus=gpus,
        gpus_used=plan.gpus_used + shut,
        bound=plan.bound + shut if plan.bound else 0,
        gpus_before=sum(gpu.busy for gpu in today.gpus),
    )


def _closed(today: Today, after: Sequence[Gpu]) -> frozenset[tuple[str, int]]:
    """GPUs that must not be cut: which of a node's GPUs a pod has may not be known, and one in use stays."""
    busy = {gpu.node for gpu in after if gpu.busy and gpu.node in today.blind}
    return frozenset(gpu.key for gpu in after if gpu.node in busy)


def _order(today: Today, after: Sequence[Gpu]) -> dict[str, tuple[bool, str]]:
    """Nodes on which somebody stays come first, so that the others can be given back."""
    stays = {gpu.node for gpu in after if gpu.busy}
    bought = {node for pool in today.pools for node in pool.nodes}
    return {gpu.node: (gpu.node not in stays and gpu.node in bought, gpu.node) for gpu in after}

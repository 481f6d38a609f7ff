"""The partition of a cluster for what its owners ask: as few restarts as give the same GPUs."""

from collections.abc import Iterable, Mapping, Sequence

from stellwerk.engine.partition.inventory import Gpu, Limits, PartitionPlan
from stellwerk.engine.partition.plan import plan_partition
from stellwerk.engine.planning.asks import Ask, without_tenants
from stellwerk.engine.planning.decided import Planning
from stellwerk.engine.planning.today import Today, flavor_of

MOST_TRIED = 40_000  # GPUs planned in trials without an owner: a large fleet tries the smallest few only.


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
    for ask in moving[: MOST_TRIED // max(1, len(today.gpus))]:
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
    """The plan over all GPUs, group by group of asks that may be on the same nodes, the fewest nodes first.

    GPUs of blind nodes on which somebody stays keep what they have.
    """
    chosen = list(asks)
    leaving = frozenset(pod.name for ask in chosen if ask.moves for pod in ask.owner.pods)
    after = list(without_tenants(today.gpus, leaving))
    closed = _closed(today, after)
    order = _order(today, after)
    open_ = sorted((gpu for gpu in after if gpu.key not in closed), key=lambda gpu: order[gpu.node])
    groups = _groups(today, chosen)
    target = {gpu.key: gpu for gpu in after}
    plans: list[PartitionPlan] = []
    for nodes, mine in groups:
        # Nodes on which an earlier group has come count as in use: they are filled first.
        gpus = sorted(
            (target[gpu.key] for gpu in open_ if gpu.node in nodes),
            key=lambda gpu: not _in_use(gpu, target),
        )
        limits = Limits(executor=today.executor, replicas=planning.replicas)
        plans.append(plan_partition(gpus, [ask.request for ask in mine], limits))
        target |= {gpu.key: gpu for gpu in plans[-1].gpus}
    return _together(today, plans, [target[gpu.key] for gpu in today.gpus], _apart(groups))


def _in_use(gpu: Gpu, target: Mapping[tuple[str, int], Gpu]) -> bool:
    return target[gpu.key].busy


def _groups(today: Today, asks: Sequence[Ask]) -> list[tuple[frozenset[str], list[Ask]]]:
    """Asks by the nodes that both their pods' template and their quota's flavor allow."""
    every = frozenset(node.name for node in today.fleet.nodes)
    found: dict[frozenset[str], list[Ask]] = {}
    for ask in asks:
        nodes = every if ask.owner.nodes is None else ask.owner.nodes
        flavor = flavor_of(today, ask.owner)
        found.setdefault(nodes if flavor is None else nodes & today.flavors[flavor], []).append(ask)
    return sorted(found.items(), key=lambda group: (len(group[0]), sorted(group[0])))


def _apart(groups: Sequence[tuple[frozenset[str], list[Ask]]]) -> bool:
    """Whether no two groups share a node: then each one's optimum is the whole's."""
    return sum(len(nodes) for nodes, _ in groups) == len(
        frozenset[str]().union(*(nodes for nodes, _ in groups))
    )


def _together(
    today: Today, plans: Sequence[PartitionPlan], gpus: Sequence[Gpu], apart: bool
) -> PartitionPlan:
    """One plan of those of the groups; its steps lead from today to all of them."""
    used = sum(gpu.busy for gpu in gpus)
    unserved = tuple(each for plan in plans for each in plan.unserved)
    gap = sum(plan.gap for plan in plans)
    return PartitionPlan(
        executor=today.executor,
        gpus=tuple(gpus),
        steps=tuple(step for plan in plans for step in plan.steps),
        unserved=unserved,
        gpus_used=used,
        gpus_before=sum(gpu.busy for gpu in today.gpus),
        bound=max(0, used - gap) if apart else 0,
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

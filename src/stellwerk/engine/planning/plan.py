"""Plan a cluster: how its GPUs are cut, who moves, which quotas and node pools follow, what it is worth.

`plan_cluster` is the entry. It changes what measured use allows and nothing else: pods that are not measured
keep what they have, and no node is counted as saved that a replay of the demand needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from stellwerk.engine.advice.verdict import Share
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.bill import HOURS_PER_MONTH
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.partition.inventory import Gpu, PartitionPlan, Step, request_name
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.partition.steps import timed
from stellwerk.engine.planning.asks import Ask, asks_of
from stellwerk.engine.planning.decided import ClusterPlan, Money, Moved, Planning, PoolChange
from stellwerk.engine.planning.partitions import partition_of
from stellwerk.engine.planning.quotas import quota_changes, room_of
from stellwerk.engine.planning.today import MIG_CLASS, Pool, Today
from stellwerk.engine.snapshot import Fleet

EMPTIED_AFTER = "5m"
NEVER = "Never"
GIVES_BACK = "{count} of its nodes have no GPU in use afterwards, and consolidateAfter is Never"
LIMIT = "{count} GPUs are given back, and are not to be bought again"
NO_LIMIT = "NodePool {pool} has no limit of nvidia.com/gpu: Karpenter may buy again what is given back"
HAND_BACK = "{count} nodes without a NodePool have no GPU in use afterwards: {names}"
UNMAPPED = "Kueue counts no DeviceClass {name}: without a deviceClassMapping it has no quota"
NEEDED = (
    "{count} nodes without a GPU in use are kept: the replay does not show that the demand can do without"
)


def plan_cluster(
    today: Today, shares: Mapping[str, Share | None], planning: Planning | None = None
) -> ClusterPlan:
    """The plan for a cluster as it is `today`; `shares`: by owner's key, as advised from measured use."""
    planning = planning or Planning()
    asks, notes = asks_of(today, shares, planning)
    granted, partition = partition_of(today, asks, planning)
    partition = _with_steps(today, granted, partition, planning)
    emptied = _emptied(today, partition)
    returned, by_hand, more = _given_back(today, emptied, planning)
    notes = [*notes, *more, *_beside(today, granted, by_hand)]
    pools = tuple(_pools(today, returned))
    notes += [
        Reason("NoLimit", NO_LIMIT, {"pool": pool.name})
        for pool in today.pools
        if pool.gpu_limit is None and set(pool.nodes) & set(returned)
    ]
    restarted = tuple(sorted(pod.name for ask in granted if ask.moves for pod in ask.owner.pods))
    return ClusterPlan(
        moved=tuple(
            Moved(owner=ask.owner, method=ask.method, profile=ask.profile, reason=ask.reason)
            for ask in granted
        ),
        partition=partition,
        quotas=tuple(quota_changes(today, granted, room_of(today, partition.gpus, returned))),
        pools=pools,
        money=_money(today.fleet, returned, by_hand),
        restarted=restarted,
        disruption_minutes=_minutes(partition, granted, planning),
        emptied=emptied,
        returned=returned,
        by_hand=by_hand,
        notes=tuple(notes),
    )


def _with_steps(
    today: Today, granted: Sequence[Ask], partition: PartitionPlan, planning: Planning
) -> PartitionPlan:
    """The steps, those who leave their whole GPUs first, each with the time that is known."""
    from msgspec.structs import replace

    leaving = {pod.name for ask in granted if ask.moves for pod in ask.owner.pods}
    drains = [
        Step(action="drain", node=gpu.node, gpu=gpu.index, subject=gpu.method, pod=tenant.name)
        for gpu in today.gpus
        for tenant in gpu.tenants
        if tenant.name in leaving
    ]
    cut = dict(planning.cut_seconds)
    published = {gpu.key: cut[gpu.node] for gpu in today.gpus if gpu.node in cut}
    steps = timed((*drains, *partition.steps), {"drain": planning.restart_minutes * 60}, published)
    return replace(partition, steps=steps, drained=tuple(sorted(leaving)))


def _emptied(today: Today, partition: PartitionPlan) -> tuple[str, ...]:
    """Nodes with a GPU in use today and none afterwards, in the order of the fleet."""
    before = {gpu.node for gpu in today.gpus if gpu.busy}
    after = {gpu.node for gpu in partition.gpus if gpu.busy}
    return tuple(node.name for node in today.fleet.nodes if node.name in before - after)


def _given_back(
    today: Today, emptied: Sequence[str], planning: Planning
) -> tuple[tuple[str, ...], tuple[str, ...], list[Reason]]:
    """Emptied nodes that Karpenter gives back and those that somebody must; the dearest first.

    No more of both than the replayed demand can spare.
    """
    bought = {node for pool in today.pools for node in pool.nodes}
    price = {node.name: node.cost.per_hour or Decimal(0) for node in today.fleet.nodes}
    found = sorted(emptied, key=lambda name: (name not in bought, -price[name], name))
    most = len(found)
    if planning.spare is not None:
        most = min(most, planning.spare)
    left = len(found) - most
    notes = [Reason("Needed", NEEDED, {"count": left})] if left else []
    spared = found[:most]
    returned = tuple(name for name in spared if name in bought)
    return returned, tuple(name for name in spared if name not in bought), notes


def _pools(today: Today, returned: Sequence[str]) -> Iterator[PoolChange]:
    gpus = {node.name: node.gpus for node in today.fleet.nodes}
    for pool in today.pools:
        mine = [node for node in pool.nodes if node in returned]
        if not mine:
            continue
        if pool.after == NEVER:
            yield PoolChange(
                pool=pool.name,
                field="disruption.consolidateAfter",
                before=NEVER,
                after=EMPTIED_AFTER,
                reason=Reason("GivesBack", GIVES_BACK, {"count": len(mine)}),
            )
        yield from _limit(pool, sum(gpus[node] for node in mine), gpus)


def _limit(pool: Pool, less: int, gpus: Mapping[str, int]) -> Iterator[PoolChange]:
    """The limit that keeps the saving: as much lower as GPUs are given back, never below what stays."""
    if pool.gpu_limit is None:
        return
    stays = sum(gpus[node] for node in pool.nodes) - less
    after = min(pool.gpu_limit, max(stays, pool.gpu_limit - less))
    if after != pool.gpu_limit:
        yield PoolChange(
            pool=pool.name,
            field="limits",
            before=str(pool.gpu_limit),
            after=str(after),
            reason=Reason("Limit", LIMIT, {"count": less}),
        )


def _beside(today: Today, granted: Sequence[Ask], by_hand: Sequence[str]) -> Iterator[Reason]:
    if by_hand:
        values: dict[str, str | int] = {"count": len(by_hand), "names": ", ".join(by_hand[:5])}
        yield Reason("HandBack", HAND_BACK, values)
    cut = [ask for ask in granted if ask.method == MIG and ask.owner.claim and ask.owner.local_queue]
    if cut and MIG_CLASS not in today.mapped:
        yield Reason("Unmapped", UNMAPPED, {"name": MIG_CLASS})


def _minutes(partition: PartitionPlan, granted: Sequence[Ask], planning: Planning) -> int:
    """Minutes without work of all pods that restart: their start, and the cutting of the GPU they come to."""
    cut = dict(planning.cut_seconds)
    switched = {(step.node, step.gpu) for step in partition.steps if step.action == "mode"}
    moving = {ask.owner.key for ask in granted if ask.moves}
    total = 0
    for gpu in partition.gpus:
        for pod in _pods_on(gpu):
            if request_name(pod) in moving:
                wait = cut.get(gpu.node, 0) if gpu.key in switched else 0
                total += planning.restart_minutes + -(-wait // 60)
    return total


def _pods_on(gpu: Gpu) -> list[str]:
    return [each.tenant for each in gpu.instances if each.tenant] + [each.name for each in gpu.tenants]


def _money(fleet: Fleet, returned: Sequence[str], by_hand: Sequence[str]) -> Money:
    every = [node.name for node in fleet.nodes]
    kept = [name for name in every if name not in returned]
    least = [name for name in kept if name not in by_hand]
    before, after, possible = (_month(fleet, frozenset(names)) for names in (every, kept, least))
    return Money(
        currency=fleet.currency,
        before=before,
        after=after,
        by_hand=possible,
        nodes_before=len(every),
        nodes_after=len(kept),
        nodes_by_hand=len(least),
    )


def _month(fleet: Fleet, names: frozenset[str]) -> Decimal | None:
    """A month of these nodes; None where the price of one is unknown."""
    total = Fraction(0)
    for node in fleet.nodes:
        if node.name not in names:
            continue
        if node.cost.per_hour is None:
            return None
        total += fraction(node.cost.per_hour) * HOURS_PER_MONTH
    return rounded(total, 2)

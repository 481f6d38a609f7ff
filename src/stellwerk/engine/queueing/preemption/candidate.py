"""Who may be preempted at all, and in which order.

Source: kueue pkg/scheduler/preemption/common, KEP-83, KEP-1714.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from operator import attrgetter

from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Holding
from stellwerk.engine.queueing.standing import Standing

ANY, LOWER, LOWER_OR_NEWER = "Any", "LowerPriority", "LowerOrNewerEqualPriority"


def satisfies_policy(preemptor: Standing, candidate: Standing, policy: str) -> bool:
    """Whether the policy lets the one preempt the other, by priority and age."""
    mine, theirs = preemptor.priority, candidate.priority
    if policy == LOWER:
        return mine > theirs
    if policy == LOWER_OR_NEWER:
        return mine > theirs or (mine == theirs and preemptor.queue_time < candidate.queue_time)
    return policy == ANY


def preemptible(
    preemptor: Standing, held: Iterable[Holding], needed: frozenset[FlavorResource], policy: str
) -> list[Holding]:
    """Of those that hold quota, whom the policy lets it preempt and who has something of what is needed."""
    mine = preemptor.priority
    if policy == LOWER:
        found = [one for one in held if one.standing.priority < mine]
    elif policy == ANY:
        found = list(held)
    else:
        found = [one for one in held if satisfies_policy(preemptor, one.standing, policy)]
    return [one for one in found if not needed.isdisjoint(one.standing.holds)]


Order = Callable[[Holding], object]
_RANK = attrgetter("standing.rank")


def candidate_order(queue: str, now: int, usage: Mapping[str, float] | None = None) -> Order:
    """A sort key: evicted ones first, then other queues', lower priority, admitted later, UID.

    `usage`: of LocalQueues ("namespace/name") under admission fair sharing; of two workloads of a
    ClusterQueue the one whose LocalQueue used more goes before priority is looked at.
    """

    def key(one: Holding) -> tuple[object, ...]:
        standing = one.standing
        rank = standing.rank or (standing.priority, -now, standing.uid)
        return not standing.evicted, one.info.cluster_queue == queue, rank

    if not usage:
        return key

    def compare(a: Holding, b: Holding) -> int:
        first, second = key(a), key(b)
        if first[:2] != second[:2]:
            return -1 if first[:2] < second[:2] else 1
        used_a, used_b = usage.get(local_queue(a.info)), usage.get(local_queue(b.info))
        of_one_queue = a.info.cluster_queue == b.info.cluster_queue
        if of_one_queue and used_a is not None and used_b is not None and used_a != used_b:
            return -1 if used_a > used_b else 1
        return (first > second) - (first < second)

    return cmp_to_key(compare)


def sorted_by_rank(holdings: list[Holding]) -> bool:
    """Sort those of one ClusterQueue, if nothing but their rank tells them apart; whether that is so."""
    if any(one.standing.rank is None or one.standing.evicted for one in holdings):
        return False
    holdings.sort(key=_RANK)
    return True


def local_queue(info: WorkloadInfo) -> str:
    """namespace/name of the workload's LocalQueue."""
    return f"{given(info.object.metadata.namespace, '')}/{given(info.object.spec.queue_name, '')}"

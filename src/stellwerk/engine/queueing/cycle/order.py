"""In which order the heads are decided: who borrows less, or, with fair sharing, a tournament of shares.

Source: kueue pkg/scheduler/scheduler.go (makeClassicalIterator), fair_sharing_iterator.go; KEP-1714.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.queueing.amounts import Usage as Amounts
from stellwerk.engine.queueing.cycle.placing import usage_of
from stellwerk.engine.queueing.cycle.status import holds_reservation
from stellwerk.engine.queueing.cycle.world import Entry, Usage, World
from stellwerk.engine.queueing.quota.share import Share, dominant_resource_share

Key = tuple[object, ...]


def ordered(world: World, entries: Sequence[Entry]) -> Iterator[Entry]:
    """The entries, each looked at in the world as those before left it."""
    if world.snapshot.configuration.fair_sharing is None:
        return iter(sorted(entries, key=lambda entry: _classical(world, entry)))
    return _by_share(world, entries)


def _classical(world: World, entry: Entry) -> Key:
    """Second passes, then who preempts already, then less borrowing, priority, time, names."""
    gates = world.snapshot.gates
    level = 0 if entry.assignment is None else entry.assignment.borrowing_level
    return (
        not holds_reservation(entry.info.object),
        not (entry.preempting and gates.prioritize_preemptor_workloads),
        level,
        *_last(world, entry),
    )


def _last(world: World, entry: Entry) -> Key:
    standing = entry.waiting.standing
    priority = standing.priority if world.snapshot.gates.priority_sorting_within_cohort else 0
    return -priority, standing.queue_time, entry.info.cluster_queue, entry.info.key


class _Contestant(Struct):
    """An entry; by the Cohort that compares them, shares on its way up as if it was admitted.

    The share of its own queue stays the same until it has its turn; those of Cohorts do not.
    """

    entry: Entry
    usage: Usage
    requested: Amounts
    last: Key
    shares: dict[int, Share]


def _by_share(world: World, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Again and again the winner of a tournament; trees one after the other, by their first queue."""
    tree = world.snapshot.tree
    # Of a second pass and a head of the same ClusterQueue Kueue looks at one only; the other one comes back.
    of_queue = {entry.info.cluster_queue: entry for entry in entries if entry.queue is not None}
    waiting: dict[int, dict[int, _Contestant]] = {}
    for name in sorted(of_queue):
        node = _node(of_queue[name])
        waiting.setdefault(tree.root(node), {})[node] = _contestant(world, of_queue[name])
    for root, of_tree in waiting.items():
        while of_tree:
            for one in of_tree.values():
                _recount(world, one)
            winner = _best(world, root, of_tree) or next(iter(of_tree.values()))
            del of_tree[_node(winner.entry)]
            yield winner.entry


def _contestant(world: World, entry: Entry) -> _Contestant:
    usage, what = usage_of(world, entry), world.snapshot.tree.flavor_resource
    requested = {what[cell]: amount for cell, amount in usage.charges}
    return _Contestant(entry, usage, requested, _last(world, entry), {})


def _recount(world: World, one: _Contestant) -> None:
    """The shares as they are now."""
    ancestors = world.snapshot.tree.ancestors(_node(one.entry))
    if one.shares and len(ancestors) == 1:
        return
    node = _node(one.entry)
    world.ledger.add(one.usage.charges)
    for above in ancestors:
        one.shares[above] = dominant_resource_share(world.ledger, node)
        node = above
    world.ledger.remove(one.usage.charges)


def _best(world: World, cohort: int, of_tree: Mapping[int, _Contestant]) -> _Contestant | None:
    """Of the winners of the Cohorts below and the entries of its own queues; None if there is no Cohort."""
    tree = world.snapshot.tree
    met = [_best(world, child, of_tree) for child in tree.child_cohorts[cohort]]
    met += [of_tree.get(queue) for queue in tree.child_queues[cohort]]
    entered = [one for one in met if one is not None]
    return min(entered, key=lambda one: _fair(world, one, cohort), default=None)


def _fair(world: World, one: _Contestant, cohort: int) -> Key:
    """Who preempts already, who does not borrow what it asks for, the smaller share, priority, time."""
    gates, share = world.snapshot.gates, one.shares[cohort]
    borrows = gates.fair_sharing_prioritize_non_borrowing and share.borrows_any(one.requested)
    return (
        not (one.entry.preempting and gates.prioritize_preemptor_workloads),
        borrows,
        share.rank,
        *one.last,
    )


def _node(entry: Entry) -> int:
    assert entry.queue is not None  # Only entries of known queues are nominated.
    return entry.queue.node

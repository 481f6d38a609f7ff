"""In which order the heads are decided: who borrows less, or, with fair sharing, a tournament of shares.

Source: kueue pkg/scheduler/scheduler.go (makeClassicalIterator), fair_sharing_iterator.go; KEP-1714.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from stellwerk.engine.queueing.amounts import Usage as Amounts
from stellwerk.engine.queueing.cycle.placing import usage_of
from stellwerk.engine.queueing.cycle.status import holds_reservation
from stellwerk.engine.queueing.cycle.world import Entry, World
from stellwerk.engine.queueing.priority import effective_priority
from stellwerk.engine.queueing.quota.share import Share, dominant_resource_share
from stellwerk.engine.queueing.standing import queue_time

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
    gates, workload = world.snapshot.gates, entry.info.object
    priority = effective_priority(workload, gates) if gates.priority_sorting_within_cohort else 0
    return -priority, queue_time(workload, gates), entry.info.cluster_queue, entry.info.key


class _Contestant(Struct, frozen=True):
    """An entry; by the Cohort that compares them, shares on its way up as if it was admitted."""

    entry: Entry
    shares: dict[int, Share]
    requested: Amounts


def _by_share(world: World, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Again and again the winner of a tournament; trees one after the other, by their first queue."""
    tree = world.snapshot.tree
    # Of a second pass and a head of the same ClusterQueue Kueue looks at one only; the other one comes back.
    of_queue = {entry.info.cluster_queue: entry for entry in entries if entry.queue is not None}
    waiting: dict[int, list[Entry]] = {}
    for name in sorted(of_queue):
        waiting.setdefault(tree.root(_node(of_queue[name])), []).append(of_queue[name])
    for root, of_tree in waiting.items():
        while of_tree:
            contestants = _contestants(world, of_tree)
            winner = (
                contestants[0] if tree.parent[_node(of_tree[0])] < 0 else _winner(world, root, contestants)
            )
            of_tree.remove(winner.entry)
            yield winner.entry


def _contestants(world: World, entries: Sequence[Entry]) -> list[_Contestant]:
    found = []
    for entry in entries:
        usage = usage_of(world, entry)
        world.ledger.add(usage.charges)
        node, shares = _node(entry), {}
        for above in world.snapshot.tree.ancestors(node):
            shares[above] = dominant_resource_share(world.ledger, node)
            node = above
        world.ledger.remove(usage.charges)
        cells = world.snapshot.tree.flavor_resource
        found.append(_Contestant(entry, shares, {cells[cell]: amount for cell, amount in usage.charges}))
    return found


def _winner(world: World, cohort: int, contestants: Sequence[_Contestant]) -> _Contestant:
    found = _best(world, cohort, contestants)
    assert found is not None  # A tree with an entry has a winner.
    return found


def _best(world: World, cohort: int, contestants: Sequence[_Contestant]) -> _Contestant | None:
    """Of the winners of the Cohorts below and the entries of its own queues."""
    tree = world.snapshot.tree
    candidates = [_best(world, child, contestants) for child in tree.child_cohorts[cohort]]
    own = set(tree.child_queues[cohort])
    met = [one for one in candidates if one is not None]
    met += [one for one in contestants if _node(one.entry) in own]
    return min(met, key=lambda one: _fair(world, one, cohort), default=None)


def _fair(world: World, one: _Contestant, cohort: int) -> Key:
    """Who preempts already, who does not borrow what it asks for, the smaller share, priority, time."""
    gates, share = world.snapshot.gates, one.shares[cohort]
    borrows = gates.fair_sharing_prioritize_non_borrowing and share.borrows_any(one.requested)
    return (
        not (one.entry.preempting and gates.prioritize_preemptor_workloads),
        borrows,
        share.rank,
        *_last(world, one.entry),
    )


def _node(entry: Entry) -> int:
    assert entry.queue is not None  # Only entries of known queues are nominated.
    return entry.queue.node

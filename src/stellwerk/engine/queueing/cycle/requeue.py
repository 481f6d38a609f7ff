"""Where a workload goes that was not admitted: tried again next cycle, or parked until something changes.

Source: kueue pkg/cache/queue/cluster_queue.go (requeueIfNotPresent, handleInadmissibleHash),
inadmissible_workloads.go.
"""

from collections.abc import Iterable
from typing import NewType

from msgspec.structs import replace

from stellwerk.api.groups.meta import given
from stellwerk.api.selection import selects
from stellwerk.engine.queueing.cycle.backlog import (
    BEST_EFFORT_FIFO,
    STRICT_FIFO,
    Backlog,
    Pending,
    Preempting,
    Waiting,
)
from stellwerk.engine.queueing.snapshot import Snapshot

Why = NewType("Why", str)  # Why a workload goes back; Kueue's RequeueReason.
GENERIC, FAILED_AFTER_NOMINATION = Why(""), Why("FailedAfterNomination")
NAMESPACE_MISMATCH, PREEMPTION_GATED = Why("NamespaceMismatch"), Why("PreemptionGated")
PENDING_PREEMPTION, PENDING_MIGRATION = Why("PendingPreemption"), Why("PendingMigration")
PREEMPTION_FAILED, NO_FIT, NO_CANDIDATES = (
    Why("PreemptionFailed"),
    Why("NoFit"),
    Why("PreemptionNoCandidates"),
)

_AT_ONCE = frozenset({FAILED_AFTER_NOMINATION, PENDING_PREEMPTION, PENDING_MIGRATION, PREEMPTION_FAILED})
_PREEMPTING = frozenset({PENDING_PREEMPTION, PENDING_MIGRATION})
_HOPELESS = frozenset({NO_FIT, NO_CANDIDATES})


def requeued(pending: Pending, waiting: Waiting, why: Why, strategy: str, now: int) -> Pending:
    """The queue with the workload back; `strategy`: queueingStrategy, `now` in ns."""
    key = waiting.info.key
    best_effort = strategy == BEST_EFFORT_FIFO
    if why in _PREEMPTING:
        generation = given(waiting.info.object.metadata.generation, 0)
        pending = replace(pending, preempting=Preempting(key, generation, best_effort))
    at_once = why != NAMESPACE_MISMATCH if strategy == STRICT_FIFO else why in _AT_ONCE
    flavors_left = waiting.progress is not None and waiting.progress.flavors_left
    if (at_once or flavors_left) and now >= waiting.not_before:
        return pending.with_active(waiting)
    pending = replace(pending, inadmissible={**pending.inadmissible, key: waiting})
    if best_effort and waiting.shape is not None and why in _HOPELESS:
        return _parked(pending, waiting.shape, why)
    return pending


def _parked(pending: Pending, shape: bytes, why: Why) -> Pending:
    """All workloads of this shape, unseen: they would get the same answer."""
    same = {one.info.key: one for one in pending.active if one.shape == shape}
    return replace(
        pending,
        active=tuple(one for one in pending.active if one.info.key not in same),
        inadmissible={**pending.inadmissible, **same},
        hopeless={**pending.hopeless, shape: why},
    )


def reconsidered(backlog: Backlog, snapshot: Snapshot, queues: Iterable[str], now: int) -> Backlog:
    """Parked workloads go back to be tried, in these ClusterQueues and in all of their cohorts' trees.

    That is what Kueue does when quota came free or changed there. Those whose namespace is not selected,
    or that back off, stay.
    """
    found = dict(backlog.queues)
    for name in sorted(_trees_of(snapshot, queues)):
        if name in found:
            found[name] = _reconsidered(found[name], snapshot, name, now)
    return replace(backlog, queues=found)


def _trees_of(snapshot: Snapshot, queues: Iterable[str]) -> set[str]:
    tree = snapshot.tree
    roots = {tree.root(tree.queues[name]) for name in queues if name in tree.queues}
    return {tree.names[node] for root in roots for node in tree.queues_of_root[root]}


def _reconsidered(pending: Pending, snapshot: Snapshot, name: str, now: int) -> Pending:
    if not pending.inadmissible:
        return replace(pending, hopeless={}) if pending.hopeless else pending
    selector = given(snapshot.queues[name].spec.namespace_selector, None)
    selected: dict[str, bool] = {}
    staying, moved = {}, []
    for key, waiting in pending.inadmissible.items():
        namespace = given(waiting.info.object.metadata.namespace, "")
        if namespace not in selected:
            labels = snapshot.namespaces.get(namespace)
            selected[namespace] = labels is not None and selects(selector, labels)
        if selected[namespace] and now >= waiting.not_before:
            moved.append(waiting)
        else:
            staying[key] = waiting
    return replace(pending, hopeless={}, inadmissible=staying).with_all_active(moved)

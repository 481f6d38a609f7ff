"""The heads of a cycle: of each active ClusterQueue the first, and workloads that are looked at again
for places.

Source: kueue pkg/cache/queue/manager.go (heads), cluster_queue.go (queueOrderingFunc); scheduler.go
(nominate).
"""

from collections.abc import Mapping

from msgspec.structs import replace

from stellwerk.api.groups.meta import given
from stellwerk.api.selection import selects
from stellwerk.engine.queueing.activity import ACTIVE
from stellwerk.engine.queueing.cycle.backlog import Backlog, Pending, Waiting
from stellwerk.engine.queueing.cycle.decision import MISCONFIGURED, PENDING_EVALUATION, SUSPENDED
from stellwerk.engine.queueing.cycle.requeue import NAMESPACE_MISMATCH
from stellwerk.engine.queueing.cycle.status import check_states, needs_second_pass
from stellwerk.engine.queueing.cycle.world import Entry
from stellwerk.engine.queueing.local_usage import LocalUse, is_usage_based, local_usage
from stellwerk.engine.queueing.preemption.candidate import local_queue
from stellwerk.engine.queueing.snapshot import Snapshot


def take_heads(backlog: Backlog, snapshot: Snapshot, now: int) -> tuple[list[Entry], Backlog]:
    """At most one of each ClusterQueue, and the backlog without them; second passes first."""
    entries, waiting = [], {}
    for key, second in backlog.second_pass.items():
        if second.ready_at > now:
            waiting[key] = second
            continue
        queue = snapshot.queues.get(second.waiting.info.cluster_queue)
        entries.append(Entry(waiting=second.waiting, info=second.waiting.info, queue=queue, second_pass=True))
    queues = dict(backlog.queues)
    usage = usages(backlog, snapshot)
    for name in sorted(queues):
        activity = snapshot.activity.get(name)
        if activity is None or activity.status != ACTIVE or not queues[name].active:
            continue
        head = _head(queues[name], snapshot, name, usage)
        queues[name] = _without_head(queues[name], head)
        preempting = queues[name].preempting
        generation = given(head.info.object.metadata.generation, 0)
        entries.append(
            Entry(
                waiting=head,
                info=head.info,
                queue=snapshot.queues.get(name),
                preempting=preempting is not None
                and (preempting.key, preempting.generation) == (head.info.key, generation),
            )
        )
    return entries, replace(backlog, queues=queues, second_pass=waiting)


def usages(backlog: Backlog, snapshot: Snapshot) -> dict[str, float]:
    """By LocalQueue what it used, where its ClusterQueue looks at that."""
    sharing = snapshot.configuration.admission_fair_sharing
    if sharing is None or not snapshot.gates.admission_fair_sharing:
        return {}
    found = {}
    for name, local in snapshot.local_queues.items():
        queue = snapshot.queues.get(given(local.spec.cluster_queue, ""))
        if queue is not None and is_usage_based(queue.spec):
            found[name] = local_usage(backlog.local_use.get(name, LocalUse()), local, sharing)
    return found


def is_passed_over(entry: Entry, snapshot: Snapshot) -> bool:
    """Whether it has quota already and needs no second pass."""
    info = entry.info
    held = snapshot.held.get(info.cluster_queue, {})
    return info.key in held and not needs_second_pass(info.object)


def refuse(entry: Entry, snapshot: Snapshot) -> bool:
    """Write into the entry what speaks against it before quota is looked at; whether anything does."""
    name = entry.info.cluster_queue
    activity = snapshot.activity.get(name)
    if {"Retry", "Rejected"} & set(check_states(entry.info.object).values()):
        entry.message, entry.reason = "The workload has failed admission checks", PENDING_EVALUATION
    elif activity is None:
        entry.message, entry.reason = f"ClusterQueue {name} not found", MISCONFIGURED
    elif entry.queue is None or activity.status != ACTIVE:
        entry.message, entry.reason = f"ClusterQueue {name} is inactive", SUSPENDED
    else:
        entry.message = _misconfigured(entry, snapshot)
        entry.reason = MISCONFIGURED if entry.message else ""
    return bool(entry.reason)


def _misconfigured(entry: Entry, snapshot: Snapshot) -> str:
    namespace = given(entry.info.object.metadata.namespace, "")
    labels = snapshot.namespaces.get(namespace)
    if labels is None:
        return f'workload namespace "{namespace}" does not exist'
    if entry.queue is None or not selects(given(entry.queue.spec.namespace_selector, None), labels):
        entry.why = NAMESPACE_MISMATCH
        return "workload namespace doesn't match ClusterQueue selector"
    return entry.waiting.problem


def _head(pending: Pending, snapshot: Snapshot, name: str, usage: Mapping[str, float]) -> Waiting:
    """The first of the queue; who preempts already goes before all others, but after who used less."""
    queue = snapshot.queues.get(name)
    preempting = pending.preempting
    sticky = preempting.key if preempting is not None and preempting.sticky else None
    if usage and queue is not None and is_usage_based(queue.spec):
        return min(
            pending.active,
            key=lambda one: (usage.get(local_queue(one.info), 0.0), one.info.key != sticky, one.order),
        )
    if sticky is not None:
        return next((one for one in pending.active if one.info.key == sticky), pending.active[0])
    return pending.active[0]


def _without_head(pending: Pending, head: Waiting) -> Pending:
    place = next(i for i, one in enumerate(pending.active) if one is head)
    return replace(pending, active=(*pending.active[:place], *pending.active[place + 1 :]))

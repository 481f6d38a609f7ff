"""`admit`: one scheduling cycle of Kueue, as a decision.

Source: kueue pkg/scheduler/scheduler.go (schedule, requeueAndUpdate).
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.amounts import quantity_of
from stellwerk.engine.queueing.cycle.backlog import (
    BEST_EFFORT_FIFO,
    SECOND_PASS_FIRST_NS,
    SECOND_PASS_MOST,
    Backlog,
    Pending,
    SecondPass,
    Waiting,
    cluster_queue_of,
    is_admissible,
    waiting_of,
)
from stellwerk.engine.queueing.cycle.decision import Admitted, Decision, NotAdmitted
from stellwerk.engine.queueing.cycle.heads import is_passed_over, refuse, take_heads, usages
from stellwerk.engine.queueing.cycle.nominate import nominate, progress_of
from stellwerk.engine.queueing.cycle.order import ordered
from stellwerk.engine.queueing.cycle.process import process
from stellwerk.engine.queueing.cycle.requeue import FAILED_AFTER_NOMINATION, GENERIC, Why, requeued
from stellwerk.engine.queueing.cycle.status import holds_reservation, needs_second_pass
from stellwerk.engine.queueing.cycle.world import (
    ASSUMED,
    EVICTED,
    GATED,
    NOT_NOMINATED,
    SKIPPED,
    Entry,
    World,
)
from stellwerk.engine.queueing.local_usage import LocalUse, entry_penalty, is_usage_based
from stellwerk.engine.queueing.preemption.candidate import local_queue
from stellwerk.engine.queueing.snapshot import Snapshot


def admit(snapshot: Snapshot, backlog: Backlog, now: int) -> Decision:
    """What one cycle decides at `now` (ns): of each ClusterQueue's head, whether it is admitted.

    Nothing is performed: admissions and evictions are effects, and the backlog counts as if all of them
    were written (`refused` takes one back). The snapshot stays as it is.
    """
    world, entries, inadmissible = _nominated(snapshot, backlog, now)
    for entry in ordered(world, entries):
        if entry.queue is not None:
            process(world, entry, entry.queue)
    waiting = [one for one in entries if one.status not in (ASSUMED, EVICTED)] + inadmissible
    after = _back(world, waiting)
    return Decision(
        admitted=tuple(world.admitted),
        evicted=tuple(world.evicted),
        not_admitted=tuple(map(_not_admitted, waiting)),
        backlog=_with_penalties(after, snapshot, world.admitted),
        skipped_preemptions=world.skipped,
        recomputed_targets=world.recomputed,
    )


def nominated(snapshot: Snapshot, backlog: Backlog, now: int) -> Sequence[Entry]:
    """The first half of a cycle: the heads, each with the flavors and targets that it would have."""
    return _nominated(snapshot, backlog, now)[1]


def _nominated(snapshot: Snapshot, backlog: Backlog, now: int) -> tuple[World, list[Entry], list[Entry]]:
    """The moment without its heads, those nominated, and those that something else speaks against."""
    heads, left = take_heads(backlog, snapshot, now)
    world = World(snapshot, replace(left, cycle=backlog.cycle + 1), now, usages(backlog, snapshot))
    entries: list[Entry] = []
    inadmissible: list[Entry] = []
    for entry in heads:
        if is_passed_over(entry, snapshot):
            continue
        if refuse(entry, snapshot) or entry.queue is None:
            inadmissible.append(entry)
            continue
        nominate(world, entry, entry.queue)
        entries.append(entry)
    return world, entries, inadmissible


def refused(
    decision: Decision, snapshot: Snapshot, keys: Iterable[str], now: int, *, missing: bool = False
) -> Decision:
    """The decision without its effects on these workloads, which could not be written; they are tried again.

    `missing`: the workloads are not there any more, and do not come back.
    """
    gone, backlog = set(keys), decision.backlog
    for one in decision.admitted:
        if one.key in gone:
            backlog = _taken_back(backlog, one)
            if not missing:
                backlog = _requeued(backlog, snapshot, one.waiting, FAILED_AFTER_NOMINATION, now)
    for evicted in decision.evicted:
        if evicted.key in gone and evicted.waiting is not None and not missing:
            backlog = _requeued(backlog, snapshot, evicted.waiting, GENERIC, now)
    left = tuple(one for one in decision.evicted if one.key not in gone or one.ongoing)
    waited_for = {one.by for one in left}
    return replace(
        decision,
        admitted=tuple(one for one in decision.admitted if one.key not in gone),
        evicted=left,
        backlog=replace(
            backlog,
            queues={
                name: _not_preempting(pending, {one.by for one in decision.evicted} - waited_for)
                for name, pending in backlog.queues.items()
            },
        ),
    )


def _taken_back(backlog: Backlog, admitted: Admitted) -> Backlog:
    """Without the admission's penalty; that quota came free is counted."""
    name, queue = local_queue(admitted.waiting.info), admitted.info.cluster_queue
    generations = {**backlog.generations, queue: backlog.generations.get(queue, 0) + 1}
    backlog = replace(backlog, generations=generations)
    if name not in backlog.local_use:
        return backlog
    use = backlog.local_use[name].without_penalty(admitted.key)
    return replace(backlog, local_use={**backlog.local_use, name: use})


def _not_preempting(pending: Pending, keys: set[str]) -> Pending:
    """These preempt nobody now."""
    preempting = pending.preempting
    known = preempting is not None and preempting.key in keys
    return replace(pending, preempting=None) if known else pending


def with_second_pass(backlog: Backlog, waiting: Waiting, now: int) -> Backlog:
    """A workload with quota is looked at again for its place: after 1 s, 2 s, 4 s, at most 30 s."""
    passes = waiting.passes + 1
    delay = min(2 ** min(passes - 1, 10), SECOND_PASS_MOST) * SECOND_PASS_FIRST_NS
    second = SecondPass(replace(waiting, passes=passes), now + delay)
    return replace(backlog, second_pass={**backlog.second_pass, waiting.info.key: second})


def _back(world: World, entries: Iterable[Entry]) -> Backlog:
    """The backlog with all of these, each where it belongs."""
    backlog = world.backlog
    queues = dict(backlog.queues)
    for entry in entries:
        why = entry.why
        if entry.status != NOT_NOMINATED and why == GENERIC:
            why = FAILED_AFTER_NOMINATION
        waiting = replace(entry.waiting, progress=progress_of(world, entry))
        if needs_second_pass(waiting.info.object):
            backlog = with_second_pass(backlog, waiting, world.now)
        else:
            _put_back(queues, world.snapshot, waiting, why, world.now)
    return replace(backlog, queues=queues)


def _requeued(backlog: Backlog, snapshot: Snapshot, waiting: Waiting, why: Why, now: int) -> Backlog:
    """Back to its queue, or to a second pass."""
    if needs_second_pass(waiting.info.object):
        return with_second_pass(backlog, waiting, now)
    queues = dict(backlog.queues)
    _put_back(queues, snapshot, waiting, why, now)
    return replace(backlog, queues=queues)


def _put_back(queues: dict[str, Pending], snapshot: Snapshot, waiting: Waiting, why: Why, now: int) -> None:
    """What holds quota waits no longer, nor what has no queue."""
    workload = waiting.info.object
    name = cluster_queue_of(workload, snapshot)
    if name is None or not is_admissible(workload, snapshot.gates):
        return
    queue = snapshot.queues.get(name)
    strategy = BEST_EFFORT_FIFO if queue is None else given(queue.spec.queueing_strategy, BEST_EFFORT_FIFO)
    queues[name] = requeued(queues.get(name, Pending()), waiting, why, strategy, now)


def _not_admitted(entry: Entry) -> NotAdmitted:
    return NotAdmitted(
        key=entry.info.key,
        queue=entry.info.cluster_queue,
        reason=entry.reason,
        message=entry.message,
        written=entry.status in (NOT_NOMINATED, SKIPPED, GATED) and not needs_second_pass(entry.info.object),
        gated=entry.status == GATED,
    )


def _with_penalties(backlog: Backlog, snapshot: Snapshot, admitted: Iterable[Admitted]) -> Backlog:
    """Under admission fair sharing a LocalQueue pays for an admission before its usage is measured."""
    sharing = snapshot.configuration.admission_fair_sharing
    if sharing is None or not snapshot.gates.admission_fair_sharing:
        return backlog
    local_use = dict(backlog.local_use)
    for one in admitted:
        queue = snapshot.queues[one.info.cluster_queue]
        if not is_usage_based(queue.spec) or holds_reservation(one.waiting.info.object):
            continue
        total: dict[str, int] = {}
        for pod_set in one.waiting.info.pod_sets:
            for resource, amount in pod_set.requests.items():
                total[resource] = total.get(resource, 0) + amount
        if snapshot.configuration.ignore_undeclared:
            total = {resource: amount for resource, amount in total.items() if resource in queue.group_of}
        requests = {resource: quantity_of(resource, amount) for resource, amount in total.items()}
        name = local_queue(one.waiting.info)
        use = local_use.get(name, LocalUse())
        local_use[name] = use.with_penalty(one.key, entry_penalty(requests, sharing))
    return replace(backlog, local_use=local_use)


__all__ = ["admit", "nominated", "refused", "waiting_of", "with_second_pass"]

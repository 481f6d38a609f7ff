"""A Workload that is new, or changed, or gone: what becomes of its queue between two cycles.

Source: kueue pkg/cache/queue/cluster_queue.go (PushOrUpdate, Delete), manager.go (AddOrUpdateWorkload).
"""

from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.cycle.backlog import (
    BEST_EFFORT_FIFO,
    Backlog,
    Pending,
    Waiting,
    cluster_queue_of,
    conditions_of,
    is_admissible,
    is_parent,
    waiting_of,
)
from stellwerk.engine.queueing.cycle.status import preemption_is_gated
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.priority import PRIORITY_BOOST
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Snapshot


def with_arrival(backlog: Backlog, workload: Workload, snapshot: Snapshot, now: int) -> Backlog:
    """The backlog with the Workload as it is now (`now` in ns): in the queue to which its LocalQueue leads,
    or in none, if it may not wait. One that waited in another queue has to be taken out there
    (`without_workload`).
    """
    name, gates = cluster_queue_of(workload, snapshot), snapshot.gates
    if name is None:
        return backlog
    if not is_admissible(workload, gates) or (gates.concurrent_admission and is_parent(workload)):
        return without_workload(backlog, name, workload_key(workload))
    waiting, strategy = waiting_of(workload, name, snapshot), strategy_of(snapshot, name)
    pending = arrived(backlog.queues.get(name, Pending()), waiting, strategy, gates, now)
    return replace(backlog, queues={**backlog.queues, name: pending})


def without_workload(backlog: Backlog, queue: str, key: str) -> Backlog:
    """The backlog less the workload `key` that waited for this ClusterQueue."""
    pending = backlog.queues.get(queue)
    if pending is None or not (pending.is_active(key) or key in pending.inadmissible):
        return backlog
    return replace(backlog, queues={**backlog.queues, queue: pending.without(key)})


def arrived(pending: Pending, waiting: Waiting, strategy: str, gates: FeatureGates, now: int) -> Pending:
    """The queue with the workload as it is now; `strategy`: queueingStrategy, `now` in ns.

    One that is parked stays so unless something changed that may matter. Who backs off is parked, and, in
    BestEffortFIFO, who asks for what had no fit since quota last came free.
    """
    key = waiting.info.key
    parked, active = pending.inadmissible.get(key), pending.is_active(key)
    if parked is not None and not _may_matter(parked, waiting, gates):
        return _with_parked(pending, waiting)
    if parked is not None:
        left = {name: one for name, one in pending.inadmissible.items() if name != key}
        pending = replace(pending, inadmissible=left)
    if active:
        others = tuple(one for one in pending.active if one.info.key != key)
        pending = replace(pending, active=others)
        return pending.with_active(waiting)
    return entered(pending, waiting, strategy, now)


def entered(pending: Pending, waiting: Waiting, strategy: str, now: int) -> Pending:
    """The queue with a workload that was not in it: to be tried, or parked, as for `arrived`."""
    hopeless = strategy == BEST_EFFORT_FIFO and waiting.shape in pending.hopeless
    if hopeless or now < waiting.not_before:
        return _with_parked(pending, waiting)
    return pending.with_active(waiting)


def strategy_of(snapshot: Snapshot, queue: str) -> str:
    """The queueingStrategy of a ClusterQueue; BestEffortFIFO for one that takes part in no tree."""
    found = snapshot.queues.get(queue)
    return BEST_EFFORT_FIFO if found is None else given(found.spec.queueing_strategy, BEST_EFFORT_FIFO)


def _with_parked(pending: Pending, waiting: Waiting) -> Pending:
    return replace(pending, inadmissible={**pending.inadmissible, waiting.info.key: waiting})


def _may_matter(before: Waiting, after: Waiting, gates: FeatureGates) -> bool:
    """Whether the answer, or the place in the queue, may be another one now."""
    old, new = before.info.object, after.info.object
    return (
        _compared(old, gates) != _compared(new, gates)
        or preemption_is_gated(old) != preemption_is_gated(new)
        or (gates.kueue_dra_integration and before.info.pod_sets != after.info.pod_sets)
    )


def _compared(workload: Workload, gates: FeatureGates) -> tuple[object, ...]:
    boost = given(workload.metadata.annotations, {}).get(PRIORITY_BOOST) if gates.priority_boost else None
    return (
        workload.spec,
        boost,
        given(given(workload.status, WorkloadStatus()).reclaimable_pods, ()),
        _condition(workload, "Evicted"),
        _condition(workload, "Requeued"),
    )


def _condition(workload: Workload, kind: str) -> Condition | None:
    return next((one for one in conditions_of(workload) if one.type == kind), None)

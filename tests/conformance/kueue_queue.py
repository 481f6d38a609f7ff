"""Recorded steps of Kueue's queues: who comes, goes back, is parked and tried again, and who is the head."""

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.kueue import ClusterQueue, ClusterQueueSpec, LocalQueue
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.queueing.course.arrivals import arrived, with_arrival
from stellwerk.engine.queueing.cycle.backlog import Backlog, Pending, Waiting, backoff_ends, waiting_of
from stellwerk.engine.queueing.cycle.heads import take_heads
from stellwerk.engine.queueing.cycle.requeue import (
    FAILED_AFTER_NOMINATION,
    GENERIC,
    Why,
    reconsidered,
    requeued,
)
from stellwerk.engine.queueing.local_usage import LocalUse
from stellwerk.engine.queueing.preemption.candidate import local_queue
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Objects, Snapshot, snapshot_of
from tests.conformance.kueue_objects import (
    Case,
    configuration_of,
    first,
    objects_of,
    ordering_of,
    typed,
    unlike,
)

_START = "2026-01-01T00:00:00Z"


def operations(case: Case) -> str | None:
    """Workloads come, go back in vain or at once, change, go; and those that are parked are tried again."""
    raw, want, now = case["input"], case["want"], _now(case)
    snapshot = snapshot_of(objects_of(case), configuration_of(case))
    (name,) = snapshot.queues
    strategy = given(snapshot.queues[name].spec.queueing_strategy, "BestEffortFIFO")

    def waiting(field: str) -> list[Waiting]:
        return [waiting_of(typed(one, Workload), name, snapshot) for one in raw.get(field) or ()]

    def comes(pending: Pending, field: str) -> Pending:
        for one in waiting(field):
            pending = arrived(pending, one, strategy, snapshot.gates, now)
        return pending

    def goes_back(pending: Pending, field: str, why: Why) -> Pending:
        for one in waiting(field):
            pending = requeued(pending, one, why, strategy, now)
        return pending

    pending = comes(Pending(), "workloadsToAdd")
    pending = goes_back(pending, "inadmissibleWorkloadsToRequeue", GENERIC)
    pending = goes_back(pending, "admissibleWorkloadsToRequeue", FAILED_AFTER_NOMINATION)
    pending = comes(pending, "workloadsToUpdate")
    for one in waiting("workloadsToDelete"):
        pending = pending.without(one.info.key)
    parked = len(pending.inadmissible)
    if raw.get("queueInadmissibleWorkloads"):
        backlog = reconsidered(Backlog(queues={name: pending}), snapshot, [name], now)
        pending = backlog.queues[name]
    return first(
        (
            unlike("activeWorkloads", _keys(pending.active), sorted(want["activeWorkloads"] or ())),
            unlike(
                "inadmissibleWorkloadsRequeued",
                parked - len(pending.inadmissible),
                want["inadmissibleWorkloadsRequeued"],
            ),
            unlike("pendingTotal", len(pending.active) + len(pending.inadmissible), want["pendingTotal"]),
        )
    )


def requeue_inadmissible(case: Case) -> str | None:
    """Workloads that had no success, once quota came free in these queues."""
    want, now = case["want"], _now(case)
    objects = _with_namespaces(objects_of(case))
    snapshot = snapshot_of(objects, configuration_of(case))
    queues = {name: Pending() for name in snapshot.activity}
    specs = {
        given(one.metadata.name, ""): given(one.spec, ClusterQueueSpec()) for one in objects.cluster_queues
    }
    for workload in objects.workloads:
        name = _cluster_queue(workload, objects)
        waiting = waiting_of(workload, name, snapshot)
        strategy = given(specs[name].queueing_strategy, "BestEffortFIFO")
        queues[name] = requeued(queues[name], waiting, GENERIC, strategy, now)
    after = reconsidered(Backlog(queues=queues), snapshot, case["input"]["cqNames"], now).queues
    moved = sum(len(queues[name].inadmissible) - len(after[name].inadmissible) for name in queues)
    return first(
        (
            unlike("active", _named(after, "active"), _sorted(want["active"])),
            unlike("inadmissible", _named(after, "inadmissible"), _sorted(want["inadmissible"])),
            unlike("movedCount", moved, want["movedCount"]),
        )
    )


def heads(case: Case) -> str | None:
    """The heads of all queues. Which queues are active the recorded test says by a rule on their names
    (fakeStatusChecker of manager_test.go): those with "active-" in it.
    """
    objects = objects_of(case)
    stopped = [one if "active-" in _name_of(one) else _stopped(one) for one in objects.cluster_queues]
    snapshot = snapshot_of(replace(objects, cluster_queues=stopped), configuration_of(case))
    backlog = _arrivals(objects.workloads, snapshot, _now(case))
    waiting = [one for pending in backlog.queues.values() for one in pending.active]
    entries, _ = take_heads(backlog, snapshot, _now(case))
    want = case["want"]
    return first(
        (
            unlike("heads", sorted(_name(one.info.object) for one in entries), sorted(want["heads"] or ())),
            unlike(
                "localQueueOfWorkload",
                {one.info.key: local_queue(one.info) for one in waiting},
                want["localQueueOfWorkload"] or {},
            ),
        )
    )


def strict_head(case: Case) -> str | None:
    """The head of a queue that is StrictFIFO and has all workloads of the case."""
    queue = typed(
        {"metadata": {"name": "cq"}, "spec": {"queueingStrategy": "StrictFIFO", "namespaceSelector": {}}},
        ClusterQueue,
    )
    local = typed({"metadata": {"name": ""}, "spec": {"clusterQueue": "cq"}}, LocalQueue)
    objects = replace(objects_of(case), cluster_queues=[queue], local_queues=[local])
    snapshot = snapshot_of(objects, ordering_of(case))
    return _head(case, _arrivals(objects.workloads, snapshot, _now(case)), snapshot)


def fair_head(case: Case) -> str | None:
    """The head of a queue under admission fair sharing, with usage of its LocalQueues from before."""
    objects = objects_of(case)
    (queue,) = objects.cluster_queues
    name = _name_of(queue)
    # The recorded LocalQueues are only looked up for their weight; here they lead to the queue, too.
    local = [replace(one, spec=replace(one.spec, cluster_queue=name)) for one in objects.local_queues]
    snapshot = snapshot_of(replace(objects, local_queues=local), configuration_of(case))
    backlog = replace(
        _arrivals(objects.workloads, snapshot, _now(case)),
        local_use={
            key: LocalUse(consumed={resource: parse_quantity(str(one)) for resource, one in used.items()})
            for key, used in (case["input"].get("initialLocalQueueUsage") or {}).items()
        },
    )
    return _head(case, backlog, snapshot)


def backoff_expired(case: Case) -> str | None:
    """Whether a workload may be tried again."""
    ours = _now(case) >= backoff_ends(typed(case["input"]["workload"], Workload))
    return unlike("result", ours, case["want"]["result"])


def _head(case: Case, backlog: Backlog, snapshot: Snapshot) -> str | None:
    entries, _ = take_heads(backlog, snapshot, _now(case))
    return unlike("head", [_name(one.info.object) for one in entries], [case["want"]["head"]])


def _arrivals(workloads: Iterable[Workload], snapshot: Snapshot, now: int) -> Backlog:
    backlog = Backlog()
    for workload in workloads:
        backlog = with_arrival(backlog, workload, snapshot, now)
    return backlog


def _now(case: Case) -> int:
    return parse_time(case.get("now") or _START)


def _name(workload: Workload) -> str:
    return workload_key(workload).rpartition("/")[2]


def _name_of(queue: ClusterQueue) -> str:
    return given(queue.metadata.name, "")


def _keys(waiting: Iterable[Waiting]) -> list[str]:
    return sorted(one.info.key for one in waiting)


def _named(queues: dict[str, Pending], field: str) -> dict[str, list[str]]:
    """By queue the keys of those that are active or parked; queues without any are left out."""
    found = {}
    for name, pending in queues.items():
        keys = _keys(pending.active) if field == "active" else sorted(pending.inadmissible)
        if keys:
            found[name] = keys
    return found


def _sorted(want: Any) -> Any:
    return {name: sorted(keys) for name, keys in want.items()} if isinstance(want, dict) else want or {}


def _stopped(queue: ClusterQueue) -> ClusterQueue:
    return replace(queue, spec=replace(given(queue.spec, ClusterQueueSpec()), stop_policy="Hold"))


def _with_namespaces(objects: Objects) -> Objects:
    """With the namespaces of the workloads, which the recorded test has and the recording leaves out."""
    if objects.namespaces:
        return objects
    names = sorted({given(one.metadata.namespace, "") for one in objects.workloads})
    return replace(objects, namespaces=[typed({"metadata": {"name": name}}, Namespace) for name in names])


def _cluster_queue(workload: Workload, objects: Objects) -> str:
    """Where its LocalQueue leads, also if that queue takes part in no tree."""
    names = {given(one.metadata.name, ""): given(one.spec.cluster_queue, "") for one in objects.local_queues}
    assert workload.spec.queue_name is not UNSET
    return names[workload.spec.queue_name]


QUEUE = {
    "queueOperations": operations,
    "requeueInadmissible": requeue_inadmissible,
    "heads": heads,
    "strictFIFOHead": strict_head,
    "admissionFairSharingHead": fair_head,
    "backoffExpired": backoff_expired,
}

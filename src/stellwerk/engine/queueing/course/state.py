"""Queues while time goes on: what a cycle decides is written, who stops gives quota back, who comes waits.

These are the steps that Kueue's controllers take between two cycles, each a function that changes a `State`.
When they are taken is for others to say: `run_cycles` for manifests, control/queueing where time goes on.
Source: kueue pkg/controller/core/workload_controller.go, pkg/cache/queue/manager.go.
"""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.activity import checks_for
from stellwerk.engine.queueing.course.arrivals import entered, strategy_of, with_arrival, without_workload
from stellwerk.engine.queueing.course.refused import with_devices_looked_at
from stellwerk.engine.queueing.cycle.admit import admit, with_second_pass
from stellwerk.engine.queueing.cycle.backlog import (
    Backlog,
    Pending,
    cluster_queue_of,
    is_admissible,
    is_parent,
    waiting_of,
)
from stellwerk.engine.queueing.cycle.decision import Admitted, Decision
from stellwerk.engine.queueing.cycle.requeue import reconsidered
from stellwerk.engine.queueing.cycle.status import (
    needs_second_pass,
    with_checks,
    with_eviction,
    with_pending,
    with_release,
    with_replacement,
)
from stellwerk.engine.queueing.requests.total import WorkloadInfo, workload_info, workload_key
from stellwerk.engine.queueing.snapshot import Holding, Snapshot, holds_quota
from stellwerk.engine.queueing.standing import true_condition

SECOND = 1_000_000_000


class State(Struct):
    """A moment that is changed in place. `workloads` by namespace/name, as they are written.

    `holders`: by key, the ClusterQueue whose quota a workload holds.
    """

    snapshot: Snapshot
    backlog: Backlog
    workloads: dict[str, Workload]
    holders: dict[str, str]

    def holding(self, key: str) -> Holding | None:
        """What the workload holds, if it does."""
        queue = self.holders.get(key)
        return None if queue is None else self.snapshot.held[queue].get(key)


def state_of(snapshot: Snapshot, workloads: Iterable[Workload], now: int) -> State:
    """The state of these Workloads at `now` (ns); who may not be tried yet is parked."""
    holders = {key: queue for queue, held in snapshot.held.items() for key in held}
    state = State(snapshot, Backlog(), {}, holders)
    for workload in workloads:
        arrive(state, workload, now)
    return state


def arrive(state: State, workload: Workload, now: int) -> Workload:
    """The Workload is there, as its `status` says: it holds quota, or waits. As it is written then."""
    workload = checked(state.snapshot, workload, now)
    key = workload_key(workload)
    known = key in state.workloads
    state.workloads[key] = workload
    if not holds_quota(workload):
        if not known:
            wait(state, workload, now)
        elif not is_admissible(workload, state.snapshot.gates):
            state.backlog = with_arrival(state.backlog, workload, state.snapshot, now)
        else:
            looked, countable = with_devices_looked_at(workload, state.snapshot, now)
            state.workloads[key] = looked
            if countable:
                state.backlog = with_arrival(state.backlog, looked, state.snapshot, now)
            else:
                queue = cluster_queue_of(looked, state.snapshot) or ""
                state.backlog = without_workload(state.backlog, queue, key)
        return state.workloads[key]
    if key not in state.holders:
        hold(state, [workload])
    if needs_second_pass(workload) and key in state.holders:
        waiting = waiting_of(workload, state.holders[key], state.snapshot)
        state.backlog = with_second_pass(state.backlog, waiting, now - SECOND)
    return workload


def decide(state: State, now: int) -> Decision:
    """A cycle at `now` (ns), and its effects written."""
    decision = admit(state.snapshot, state.backlog, now)
    state.backlog = decision.backlog
    gone: list[Holding] = []
    new: list[WorkloadInfo] = []
    for admitted in decision.admitted:
        gone += [*_held(state, admitted.key), *_replace_slice(state, admitted, now)]
        new.append(replace(admitted.info, object=_write_admission(state, admitted, now)))
    for evicted in decision.evicted:
        if not evicted.ongoing:
            held = _held(state, evicted.key)
            gone += held
            changed = with_eviction(state.workloads[evicted.key], evicted, now)
            state.workloads[evicted.key] = changed
            new += [replace(one.info, object=changed) for one in held]
    for answer in decision.not_admitted:
        workload = state.workloads[answer.key]
        state.workloads[answer.key] = with_pending(workload, answer, state.snapshot.gates, now)
    if gone or new:
        _move(state, gone, new)
        _count(state, [one.cluster_queue for one in new])
        _let_go(state, decision.admitted)
    return decision


def release(state: State, keys: Iterable[str], now: int) -> list[str]:
    """These evicted workloads have stopped: their quota is free, and they wait again.

    Returns the ClusterQueues with more room; who is parked there is not looked at yet (`reconsider`).
    """
    holdings = [one for key in keys for one in _held(state, key)]
    for one in holdings:
        workload = state.workloads[one.info.key]
        state.workloads[one.info.key] = with_release(workload, state.snapshot.gates, now)
    queues = _free(state, holdings)
    for one in holdings:
        wait(state, state.workloads[one.info.key], now)
    return queues


def leave(state: State, keys: Iterable[str]) -> list[str]:
    """These have finished, or are gone: neither quota nor a place in a queue is theirs any more.

    Returns the ClusterQueues with more room.
    """
    names = list(keys)
    for key in names:
        workload = state.workloads.pop(key, None)
        queue = None if workload is None else cluster_queue_of(workload, state.snapshot)
        pending = None if queue is None else state.backlog.queues.get(queue)
        if queue is not None and pending is not None and key not in state.holders:
            queues = {**state.backlog.queues, queue: pending.without(key)}
            state.backlog = replace(state.backlog, queues=queues)
        if key in state.backlog.second_pass:
            left = {name: one for name, one in state.backlog.second_pass.items() if name != key}
            state.backlog = replace(state.backlog, second_pass=left)
    return _free(state, [one for key in names for one in _held(state, key)])


def change(state: State, workload: Workload, now: int) -> list[str]:
    """The Workload is new, or as somebody else wrote it: it waits, holds quota, or neither, as it says.

    Returns the ClusterQueues with more room or another order. (Source: kueue
    pkg/controller/core/workload_controller.go, Update.)
    """
    key = workload_key(workload)
    before = state.workloads.get(key)
    if not given(workload.spec.active, True) or true_condition(workload, "Finished") is not None:
        return leave(state, [key])
    workload = checked(state.snapshot, workload, now)
    if before == workload:
        return []
    held = state.holding(key)
    if before is not None and held is not None and holds_quota(workload):
        return _hold_on(state, held, workload)
    if before is not None and held is None and not holds_quota(workload):
        queues = {cluster_queue_of(one, state.snapshot) for one in (before, workload)}
        if len(queues) == 1:
            arrive(state, workload, now)
            return []
    queues_with_room = leave(state, [key])
    arrive(state, workload, now)
    return queues_with_room


def reconsider(state: State, queues: Iterable[str], now: int) -> None:
    """Parked workloads of these ClusterQueues, and of all in their trees, are tried again."""
    state.backlog = reconsidered(state.backlog, state.snapshot, queues, now)


def wait(state: State, workload: Workload, now: int) -> None:
    """The workload, which waits in no queue, is put in its own, if it has one and may wait there."""
    snapshot = state.snapshot
    if not is_admissible(workload, snapshot.gates):
        return
    workload, countable = with_devices_looked_at(workload, snapshot, now)
    state.workloads[workload_key(workload)] = workload
    name = cluster_queue_of(workload, snapshot)
    if name is None or not countable:
        return
    if snapshot.gates.concurrent_admission and is_parent(workload):
        return
    waiting = waiting_of(workload, name, snapshot)
    pending = state.backlog.queues.get(name, Pending())
    pending = entered(pending, waiting, strategy_of(snapshot, name), now)
    state.backlog = replace(state.backlog, queues={**state.backlog.queues, name: pending})


def hold(state: State, workloads: Iterable[Workload]) -> None:
    """These hold the quota that their status says, of ClusterQueues that are there."""
    counting = state.snapshot.configuration.counting
    infos = [workload_info(one, counting) for one in workloads]
    _move(state, [], [one for one in infos if one.cluster_queue in state.snapshot.queues])


def checked(snapshot: Snapshot, workload: Workload, now: int) -> Workload:
    """With the AdmissionChecks that its ClusterQueue asks for, as far as its flavors are known."""
    admission = given(given(workload.status, WorkloadStatus()).admission, None)
    name = cluster_queue_of(workload, snapshot) if admission is None else admission.cluster_queue
    queue = None if name is None else snapshot.queues.get(name)
    if queue is None or not queue.checks:
        return workload
    flavors = None
    if admission is not None:
        assigned = given(admission.pod_set_assignments, ())
        flavors = [flavor for one in assigned for flavor in given(one.flavors, {}).values()]
    return with_checks(workload, checks_for(queue.spec, flavors), now)


def _hold_on(state: State, held: Holding, workload: Workload) -> list[str]:
    """It holds quota as before; perhaps of fewer pods, with another priority, or it is being evicted."""
    key, queue = held.info.key, held.info.cluster_queue
    state.workloads[key] = workload
    _move(state, [held], [workload_info(workload, state.snapshot.configuration.counting)])
    if needs_second_pass(workload) and key not in state.backlog.second_pass:
        waiting = waiting_of(workload, queue, state.snapshot)
        state.backlog = with_second_pass(state.backlog, waiting, -SECOND)
    after = state.holding(key)
    same = after is not None and (after.charges, after.standing.priority) == (
        held.charges,
        held.standing.priority,
    )
    return [] if same else [queue]


def _write_admission(state: State, admitted: Admitted, now: int) -> Workload:
    """The queue saw the workload with its defaults filled in; written is only the status."""
    changed = replace(state.workloads[admitted.key], status=admitted.workload.status)
    changed = checked(state.snapshot, changed, now)
    state.workloads[admitted.key] = changed
    return changed


def _replace_slice(state: State, admitted: Admitted, now: int) -> list[Holding]:
    if admitted.replaced is None or admitted.replaced not in state.workloads:
        return []
    gone = _held(state, admitted.replaced)
    old = state.workloads[admitted.replaced]
    state.workloads[admitted.replaced] = with_replacement(old, admitted.workload, now)
    return gone


def _held(state: State, key: str) -> list[Holding]:
    found = state.holding(key)
    return [] if found is None else [found]


def _free(state: State, holdings: list[Holding]) -> list[str]:
    """Without these; that quota came free is counted."""
    if not holdings:
        return []
    queues = [one.info.cluster_queue for one in holdings]
    _move(state, holdings, [])
    _count(state, queues)
    return queues


def _let_go(state: State, admitted: Iterable[Admitted]) -> None:
    """Who is admitted leaves its queue: it is not the one any more for whom others are preempted."""
    queues = dict(state.backlog.queues)
    for one in admitted:
        name = one.waiting.info.cluster_queue
        pending = queues.get(name)
        if pending is not None and pending.preempting is not None and pending.preempting.key == one.key:
            queues[name] = replace(pending, preempting=None)
    state.backlog = replace(state.backlog, queues=queues)


def _count(state: State, queues: Iterable[str]) -> None:
    """What holds quota of these changed: to Kueue's cache that is each time a workload that goes.

    Also when it sees that one was admitted or is evicted: then it takes it out, and in again.
    """
    generations = dict(state.backlog.generations)
    for queue in queues:
        generations[queue] = generations.get(queue, 0) + 1
    state.backlog = replace(state.backlog, generations=generations)


def _move(state: State, gone: list[Holding], new: list[WorkloadInfo]) -> None:
    """Others hold quota and places from now on."""
    snapshot = state.snapshot
    added = [snapshot.holding(one) for one in new]
    for one in gone:
        state.holders.pop(one.info.key, None)
    for one in added:
        state.holders[one.info.key] = one.info.cluster_queue
    state.snapshot = snapshot.changed(added=added, removed=gone)

"""`run_cycles`: cycle after cycle on the same objects, until nothing changes any more.

Between two cycles happens what Kueue's controllers do: who was evicted stops, gives its quota back and waits
again, and parked workloads that this may help are tried again. A cycle takes a second. No workload ends.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.activity import checks_for
from stellwerk.engine.queueing.course.arrivals import with_arrival
from stellwerk.engine.queueing.cycle.admit import admit, with_second_pass
from stellwerk.engine.queueing.cycle.backlog import (
    Backlog,
    Pending,
    backlog_of,
    backoff_is_over,
    cluster_queue_of,
    waiting_of,
)
from stellwerk.engine.queueing.cycle.decision import Admitted, Decision, Evicted, NotAdmitted
from stellwerk.engine.queueing.cycle.requeue import reconsidered
from stellwerk.engine.queueing.cycle.status import (
    needs_second_pass,
    with_checks,
    with_eviction,
    with_pending,
    with_release,
    with_replacement,
)
from stellwerk.engine.queueing.requests.total import workload_info, workload_key
from stellwerk.engine.queueing.snapshot import (
    Configuration,
    Holding,
    Objects,
    Snapshot,
    holds_quota,
    snapshot_of,
)
from stellwerk.engine.queueing.standing import is_evicted

SECOND = 1_000_000_000
MOST_CYCLES = 1_000_000
# How a course ended: nothing changes any more; all cycles were used; the same moment came again.
DONE, STOPPED, CIRCLE = "done", "stopped", "circle"


class Course(Struct, frozen=True, kw_only=True):
    """All cycles together. `workloads`: as they are after the last one, in the order of the objects.

    `admitted`: by key, the cycle (from 1) of the last admission. `answers`: by key, the last "no".
    `evictions`: all, with their cycle. `before`: who held quota at the start.
    """

    workloads: Mapping[str, Workload]
    snapshot: Snapshot
    backlog: Backlog
    cycles: int
    ended: str
    now: int
    admitted: Mapping[str, int]
    answers: Mapping[str, NotAdmitted]
    evictions: tuple[tuple[int, Evicted], ...]
    before: frozenset[str]


class _Run(Struct):
    """The course while it runs. `stopping`: who was evicted and not yet released."""

    objects: Objects
    workloads: dict[str, Workload]
    snapshot: Snapshot
    backlog: Backlog
    now: int
    admitted: dict[str, int] = field(default_factory=dict)
    answers: dict[str, NotAdmitted] = field(default_factory=dict)
    evictions: list[tuple[int, Evicted]] = field(default_factory=list)
    stopping: set[str] = field(default_factory=set)


def run_cycles(objects: Objects, configuration: Configuration, now: int, most: int | None = None) -> Course:
    """What at most so many cycles decide, the first at `now` (ns); None: all until nothing changes.

    That always ends: when the same moment comes again, workloads preempt each other in a circle.
    """
    run = _started(objects, configuration, now)
    before = frozenset(key for held in run.snapshot.held.values() for key in held)
    limit, cycle = MOST_CYCLES if most is None else most, 0
    ended, quiet, seen = STOPPED, None, set[bytes]()
    while cycle < limit and ended == STOPPED:
        cycle += 1
        decision = _cycle(run, cycle)
        evicted, last = _evicted(run), quiet
        quiet = None if decision.admitted or evicted else _moment(run)
        if quiet is not None and (quiet == last or not any(one.active for one in _queues(run))):
            ended = DONE
        elif evicted and cycle < limit:
            _release(run, evicted)
            again = _fingerprint(run)
            ended = CIRCLE if again in seen else STOPPED
            seen.add(again)
        run.now += SECOND if ended == STOPPED and cycle < limit else 0
    return Course(
        workloads=run.workloads,
        snapshot=run.snapshot,
        backlog=run.backlog,
        cycles=cycle,
        ended=ended,
        now=run.now,
        admitted=run.admitted,
        answers=run.answers,
        evictions=tuple(run.evictions),
        before=before,
    )


def _started(objects: Objects, configuration: Configuration, now: int) -> _Run:
    snapshot = snapshot_of(objects, configuration)
    workloads = {workload_key(one): _checked(one, snapshot, now) for one in objects.workloads}
    backlog = _backing_off(backlog_of(workloads.values(), snapshot), now)
    for workload in workloads.values():
        if holds_quota(workload) and needs_second_pass(workload):
            queue = workload_info(workload, configuration.counting).cluster_queue
            backlog = with_second_pass(backlog, waiting_of(workload, queue, snapshot), now - SECOND)
    stopping = {
        key for held in snapshot.held.values() for key, one in held.items() if is_evicted(one.info.object)
    }
    return _Run(objects, workloads, snapshot, backlog, now, stopping=stopping)


def _backing_off(backlog: Backlog, now: int) -> Backlog:
    """Who may not be tried yet is parked."""
    queues = {}
    for name, pending in backlog.queues.items():
        ready = tuple(one for one in pending.active if backoff_is_over(one.info.object, now))
        parked = {one.info.key: one for one in pending.active if not backoff_is_over(one.info.object, now)}
        queues[name] = replace(pending, active=ready, inadmissible=parked)
    return replace(backlog, queues=queues)


def _checked(workload: Workload, snapshot: Snapshot, now: int) -> Workload:
    """With the AdmissionChecks that its ClusterQueue asks for, as far as its flavors are known."""
    admission = given(given(workload.status, WorkloadStatus()).admission, None)
    name = cluster_queue_of(workload, snapshot) if admission is None else admission.cluster_queue
    queue = None if name is None else snapshot.queues.get(name)
    if queue is None:
        return workload
    flavors = None
    if admission is not None:
        assigned = given(admission.pod_set_assignments, ())
        flavors = [flavor for one in assigned for flavor in given(one.flavors, {}).values()]
    return with_checks(workload, checks_for(queue.spec, flavors), now)


def _cycle(run: _Run, number: int) -> Decision:
    """A cycle, and its effects written."""
    decision = admit(run.snapshot, run.backlog, run.now)
    run.backlog = decision.backlog
    gone: list[Holding] = []
    new: list[Holding] = []
    for admitted in decision.admitted:
        gone += _old(run, admitted.key) + _replace_slice(run, admitted)
        new.append(_write_admission(run, admitted, number))
    for evicted in decision.evicted:
        run.evictions.append((number, evicted))
        run.stopping.add(evicted.key)
        if not evicted.ongoing:
            gone += _old(run, evicted.key)
            changed = with_eviction(run.workloads[evicted.key], evicted, run.now)
            run.workloads[evicted.key] = changed
            new += [_holding(run, changed)] if holds_quota(changed) else []
    for answer in decision.not_admitted:
        run.answers[answer.key] = answer
        changed = with_pending(run.workloads[answer.key], answer, run.snapshot.gates, run.now)
        run.workloads[answer.key] = changed
    if gone or new:
        run.snapshot = _moved(run, gone, new)
    return decision


def _write_admission(run: _Run, admitted: Admitted, number: int) -> Holding:
    """The queue saw the workload with its defaults filled in; written is only the status."""
    changed = replace(run.workloads[admitted.key], status=admitted.workload.status)
    changed = _checked(changed, run.snapshot, run.now)
    run.workloads[admitted.key] = changed
    run.admitted[admitted.key] = number
    run.answers.pop(admitted.key, None)
    return _holding(run, changed)


def _replace_slice(run: _Run, admitted: Admitted) -> list[Holding]:
    if admitted.replaced is None or admitted.replaced not in run.workloads:
        return []
    gone = _old(run, admitted.replaced)
    old = run.workloads[admitted.replaced]
    run.workloads[admitted.replaced] = with_replacement(old, admitted.workload, run.now)
    return gone


def _old(run: _Run, key: str) -> list[Holding]:
    return [held[key] for held in run.snapshot.held.values() if key in held]


def _holding(run: _Run, workload: Workload) -> Holding:
    return run.snapshot.holding(workload_info(workload, run.snapshot.configuration.counting))


def _moved(run: _Run, gone: list[Holding], new: list[Holding]) -> Snapshot:
    """The snapshot with these changes; where there are places it is made again, since they changed too."""
    if run.snapshot.places:
        run.objects = replace(run.objects, workloads=list(run.workloads.values()))
        return snapshot_of(run.objects, run.snapshot.configuration)
    return run.snapshot.changed(added=new, removed=gone)


def _evicted(run: _Run) -> list[Holding]:
    """Who holds quota, but must give it back."""
    return [holding for key in sorted(run.stopping) for holding in _old(run, key)]


def _release(run: _Run, holdings: list[Holding]) -> None:
    """These stop and wait again; in their cohorts, who is parked is tried again."""
    run.stopping.clear()
    generations = dict(run.backlog.generations)
    for one in holdings:
        key, queue = one.info.key, one.info.cluster_queue
        run.workloads[key] = with_release(run.workloads[key], run.snapshot.gates, run.now)
        generations[queue] = generations.get(queue, 0) + 1
    run.snapshot = _moved(run, holdings, [])
    backlog = replace(run.backlog, generations=generations)
    queues = [one.info.cluster_queue for one in holdings]
    backlog = reconsidered(backlog, run.snapshot, queues, run.now)
    for one in holdings:
        backlog = with_arrival(backlog, run.workloads[one.info.key], run.snapshot, run.now)
    run.backlog = backlog


def _queues(run: _Run) -> Iterable[Pending]:
    return run.backlog.queues.values()


def _moment(run: _Run) -> object:
    """Who waits, and where the search for flavors goes on: equal moments lead to equal cycles."""
    return tuple(
        (
            name,
            tuple((one.info.key, _tried(one.progress)) for one in pending.active),
            tuple(sorted(pending.inadmissible)),
        )
        for name, pending in sorted(run.backlog.queues.items())
    )


def _tried(progress: object) -> str:
    return str(getattr(progress, "last_tried", ""))


def _fingerprint(run: _Run) -> bytes:
    """Of who waits and who holds quota; a digest, since there may be many moments of many workloads."""
    held = sorted(key for held in run.snapshot.held.values() for key in held)
    return hashlib.sha256(msgspec.json.encode([_moment(run), held])).digest()

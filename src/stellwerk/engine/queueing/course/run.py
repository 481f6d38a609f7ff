"""`run_cycles`: cycle after cycle on the same objects, until nothing changes any more.

Between two cycles happens what Kueue's controllers do: who was evicted stops, gives its quota back and waits
again, and parked workloads that this may help are tried again. A cycle takes a second. No workload ends.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct, field

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.course.state import SECOND, State, decide, reconsider, release, state_of
from stellwerk.engine.queueing.cycle.backlog import Backlog, Pending
from stellwerk.engine.queueing.cycle.decision import Decision, Evicted, NotAdmitted
from stellwerk.engine.queueing.snapshot import Configuration, Objects, Snapshot, snapshot_of
from stellwerk.engine.queueing.standing import is_evicted

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

    state: State
    now: int
    stopping: set[str]
    admitted: dict[str, int] = field(default_factory=dict)
    answers: dict[str, NotAdmitted] = field(default_factory=dict)
    evictions: list[tuple[int, Evicted]] = field(default_factory=list)


def run_cycles(objects: Objects, configuration: Configuration, now: int, most: int | None = None) -> Course:
    """What at most so many cycles decide, the first at `now` (ns); None: all until nothing changes.

    That always ends: when the same moment comes again, workloads preempt each other in a circle.
    """
    run = _started(objects, configuration, now)
    before = frozenset(key for held in run.state.snapshot.held.values() for key in held)
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
        workloads=run.state.workloads,
        snapshot=run.state.snapshot,
        backlog=run.state.backlog,
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
    held = [one for holdings in snapshot.held.values() for one in holdings.values()]
    stopping = {one.info.key for one in held if is_evicted(one.info.object)}
    return _Run(state_of(snapshot, objects.workloads, now), now, stopping)


def _cycle(run: _Run, number: int) -> Decision:
    """A cycle, its effects written, and remembered for the answers."""
    decision = decide(run.state, run.now)
    for admitted in decision.admitted:
        run.admitted[admitted.key] = number
        run.answers.pop(admitted.key, None)
    for evicted in decision.evicted:
        run.evictions.append((number, evicted))
        run.stopping.add(evicted.key)
    for answer in decision.not_admitted:
        run.answers[answer.key] = answer
    return decision


def _evicted(run: _Run) -> list[str]:
    """Who holds quota, but must give it back."""
    return [key for key in sorted(run.stopping) if run.state.holding(key) is not None]


def _release(run: _Run, keys: list[str]) -> None:
    """These stop and wait again; in their cohorts, who is parked is tried again."""
    run.stopping.clear()
    reconsider(run.state, release(run.state, keys, run.now), run.now)


def _queues(run: _Run) -> Iterable[Pending]:
    return run.state.backlog.queues.values()


def _moment(run: _Run) -> object:
    """Who waits, and where the search for flavors goes on: equal moments lead to equal cycles."""
    return tuple(
        (
            name,
            tuple((one.info.key, _tried(one.progress)) for one in pending.active),
            tuple(sorted(pending.inadmissible)),
        )
        for name, pending in sorted(run.state.backlog.queues.items())
    )


def _tried(progress: object) -> str:
    return str(getattr(progress, "last_tried", ""))


def _fingerprint(run: _Run) -> bytes:
    """Of who waits and who holds quota; a digest, since there may be many moments of many workloads."""
    held = sorted(key for held in run.state.snapshot.held.values() for key in held)
    return hashlib.sha256(msgspec.json.encode([_moment(run), held])).digest()

"""`QueueController`: Kueue as one pure controller on a Store: events in, effects out.

It holds what it has seen, and the queues; everything else is decided anew from that: what a Job does next
(`jobs`), what becomes of a Workload (`workloads`), what the cycle decides (`queues`). A lost event costs time
until the next list or write; whoever decides on an old version is refused, and told how the object is now.
"""

import heapq
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from stellwerk.api.groups.kueue import ResourceFlavor
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.control.queueing.events import (
    Applied,
    Delete,
    Effect,
    Event,
    Json,
    Listed,
    ObjectChanged,
    ObjectDeleted,
    Put,
    Refused,
    Tick,
    WakeAt,
)
from stellwerk.control.queueing.jobs import Subject, Surroundings, discarded, next_step, wanted_of
from stellwerk.control.queueing.kinds import (
    FLAVOR,
    JOB,
    KINDS,
    WORKLOAD,
    classes_of,
    is_configuration,
    objects_of,
    place_of,
)
from stellwerk.control.queueing.patch import patched
from stellwerk.control.queueing.queues import Queues, Timing
from stellwerk.control.queueing.seen import Item, Kind, Name, Seen, named
from stellwerk.control.queueing.workloads import follow_up
from stellwerk.engine.queueing.course.blocker import queue_blocker
from stellwerk.engine.queueing.cycle.decision import Decision
from stellwerk.engine.queueing.jobs.managed import job_queues
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Configuration, snapshot_of


class QueueController:
    """One at a time on a Store (on a cluster: who has the lease). `handle` takes one event.

    `cycles`: how many it decided. `queues`: None until it was told what there is.
    """

    kinds = KINDS

    def __init__(self, configuration: Configuration, timing: Timing | None = None) -> None:
        self.queues: Queues | None = None
        self.cycles = 0
        self._configuration, self._timing = configuration, timing
        self._seen = Seen(KINDS)
        self._around: Surroundings | None = None
        self._stale = True
        self._writing: set[tuple[Kind, Name]] = set()
        self._dead: set[str] = set()  # UIDs of Jobs that are gone.
        self._times: list[tuple[int, Name]] = []  # When to look at a Workload again; a heap.
        self._wakes: set[int] = set()
        self._answers: set[Name] = set()  # Workloads whose "no" is being written: nothing follows from that.
        self._missed: set[Name] = set()  # Jobs that were to be looked at while something was being written.
        self._wanted: dict[Name, tuple[int, Workload | None]] = {}

    def handle(self, event: Event, now: int) -> list[Effect]:
        """What to do about `event` at `now` (ns)."""
        if isinstance(event, ObjectChanged) and self._seen.observe(event.object) is None:
            return []  # Mostly the echo of an own write.
        effects = list(self._effects(event, now))
        due = self._due(now)
        if due is not None and due < min(self._wakes, default=due + 1):
            self._wakes.add(due)
            effects.append(WakeAt(due))
        return effects

    def blocker(self, key: str) -> str:
        """Kueue's message about the queue of a Workload (namespace/name), if it lets nobody in; else ""."""
        state = None if self.queues is None else self.queues.state
        workload = None if state is None else state.workloads.get(key)
        return "" if state is None or workload is None else queue_blocker(workload, state.snapshot)

    def _effects(self, event: Event, now: int) -> Iterator[Effect]:
        match event:
            case Tick():
                self._wakes = {at for at in self._wakes if at > now}
                yield from self._tick(now)
            case Listed():
                yield from self._listed(event, now)
            case ObjectChanged(raw):
                yield from self._changed(raw, now)
            case ObjectDeleted(raw):
                if self._forget(raw):
                    yield from self._changed(raw, now)
            case Applied(effect, raw) | Refused(effect, raw):
                yield from self._ended(event, effect, raw, now)

    def _ended(self, event: Event, effect: Put | Delete, raw: Json | None, now: int) -> Iterator[Effect]:
        kind, name, _ = named(effect.object)
        self._writing.discard((kind, name))
        if raw is not None:
            self._seen.observe(raw)
        else:
            self._forget(effect.object)
        answered = kind == WORKLOAD and name in self._answers
        self._answers.discard(name)
        item = self._seen.get(WORKLOAD, *name) if answered and isinstance(event, Applied) else None
        if item is None or (name[0], owner_of(item.raw)[0]) in self._missed:
            yield from self._changed(effect.object, now)

    def _forget(self, raw: Json) -> bool:
        item = self._seen.forget(raw)
        if item is not None:
            self._bury(item)
        return item is not None

    def _bury(self, item: Item) -> None:
        if named(item.raw)[0] == JOB:
            self._dead.add(given(item.typed.metadata.uid, ""))

    def _listed(self, event: Listed, now: int) -> Iterator[Effect]:
        """What is not in the list is gone; Workloads are to be listed before Jobs, who may be gone, too."""
        news, gone = self._seen.compare(event)
        for item in gone:
            self._bury(item)
        if (event.group, event.kind) == JOB:
            self._bury_owners(event.version)
        for raw in (*(one.raw for one in gone), *(one.raw for one in news)):
            yield from self._changed(raw, now)
        if (event.group, event.kind) == JOB:  # The last one: now everything is known, and looked at again.
            for name in self._seen.names(WORKLOAD):
                yield from self._workload(name, now)
            for name in self._seen.names(JOB):
                yield from self._job(name, now)

    def _bury_owners(self, version: int) -> None:
        there = {given(item.typed.metadata.uid, "") for item in self._seen.all(JOB)}
        for item in self._seen.all(WORKLOAD):
            if item.version <= version:
                self._dead |= {uid for uid in (owner_of(item.raw)[1],) if uid and uid not in there}

    def _changed(self, raw: Json, now: int) -> Iterator[Effect]:
        kind, name, _ = named(raw)
        if kind == JOB:
            yield from self._job(name, now)
        elif kind == WORKLOAD:
            yield from self._workload(name, now)
            if self._seen.get(WORKLOAD, *name) is None and (owner := owner_of(raw)[0]):
                yield from self._job((name[0], owner), now)
        elif is_configuration(kind):
            self._stale = True

    def _tick(self, now: int) -> Iterator[Effect]:
        if self._stale:
            yield from self._rebuild(now)
        while self._times and self._times[0][0] <= now:
            yield from self._workload(heapq.heappop(self._times)[1], now)
        if self.queues is not None:
            decision = self.queues.work(now)
            if decision is not None:
                self.cycles += 1
                yield from self._decided(decision, now)

    def _rebuild(self, now: int) -> Iterator[Effect]:
        """Queues or what they refer to were changed: a new moment, in which everything is looked at again."""
        self._stale = False
        self._wanted.clear()
        objects = objects_of(self._seen)
        flavors = {given(one.metadata.name, ""): one for one in self._seen.typed(FLAVOR, ResourceFlavor)}
        self._around = Surroundings(
            classes=classes_of(self._seen),
            flavors=flavors,
            gates=self._configuration.gates,
            queues=job_queues(objects.namespaces, objects.local_queues, self._configuration.jobs),
        )
        # Who is being written counts as it was decided: what is stored may be older.
        known = {} if self.queues is None else self.queues.state.workloads
        workloads = [
            known.get(workload_key(one), one) if (WORKLOAD, _name(one)) in self._writing else one
            for one in objects.workloads
        ]
        snapshot = snapshot_of(replace(objects, workloads=workloads), self._configuration)
        self.queues = Queues(snapshot, (), now, self._timing)
        for one in workloads:
            self.queues.update(one, now)
        for name in self._seen.names(WORKLOAD):
            yield from self._workload(name, now)
        for name in self._seen.names(JOB):
            yield from self._job(name, now)

    def _decided(self, decision: Decision, now: int) -> Iterator[Effect]:
        assert self.queues is not None
        keys = [one.key for one in decision.evicted if not one.ongoing]
        for one in decision.admitted:
            keys += [one.key] if one.replaced is None else [one.replaced, one.key]
        keys += [one.key for one in decision.not_admitted if one.written]
        for key in keys:
            namespace, _, name = key.partition("/")
            yield from self._write(
                self._seen.get(WORKLOAD, namespace, name), self.queues.state.workloads[key]
            )

    def _workload(self, name: Name, now: int) -> Iterator[Effect]:
        """The Workload was changed, by whomever, or its time has come."""
        if self.queues is None or (WORKLOAD, name) in self._writing:
            return
        item = self._seen.get(WORKLOAD, *name)
        if item is None:
            self.queues.leave(["/".join(name)], now)
            return
        written = self.queues.update(item.typed, now)
        if written is not None:
            yield from self._write(item, written)
        step = follow_up(item.typed, place_of(self._seen, self.queues.state.snapshot, item.typed), now)
        if step.at is not None:
            heapq.heappush(self._times, (step.at, name))
        if step.workload is not None:
            yield from self._write(item, step.workload)
        yield from self._owner(item, now)

    def _owner(self, item: Item, now: int) -> Iterator[Effect]:
        """The Job of the Workload looks at it; without its Job it goes, too."""
        owner, uid = owner_of(item.raw)
        if uid in self._dead:
            yield from self._discard(item)
        elif owner:
            yield from self._job((named(item.raw)[1][0], owner), now)

    def _job(self, name: Name, now: int) -> Iterator[Effect]:
        workloads = self._seen.owned(WORKLOAD, JOB[1], *name)
        item = self._seen.get(JOB, *name)
        if item is None:
            for one in workloads:
                if owner_of(one.raw)[1] in self._dead:
                    yield from self._discard(one)
            return
        busy = (JOB, name) in self._writing or any(_is_among(one, self._writing) for one in workloads)
        if busy:
            self._missed.add(name)
        if busy or self._around is None:
            return
        self._missed.discard(name)
        wanted = self._wanted_of(name, item, self._around)
        step = None if wanted is None else next_step(Subject(item, wanted, workloads), self._around, now)
        if step is not None:
            yield from self._issue(step)

    def _wanted_of(self, name: Name, item: Item, around: Surroundings) -> Workload | None:
        """Made once for each version of a Job: its Workload changes far more often."""
        known = self._wanted.get(name)
        if known is None or known[0] != item.version:
            known = self._wanted[name] = item.version, wanted_of(item.typed, around)
        return known[1]

    def _write(self, item: Item | None, workload: Workload) -> Iterator[Effect]:
        """The Workload as it was decided, on top of what it was decided on."""
        if item is not None and workload != item.typed:
            yield from self._issue(Put(patched(item.raw, item.typed, workload)))

    def _discard(self, item: Item) -> Iterator[Effect]:
        step = discarded(item)
        if step is not None:
            yield from self._issue(step)

    def _issue(self, effect: Put | Delete) -> Iterator[Effect]:
        """At most one write of an object at a time; the event that ends it is the reason to look again."""
        name = named(effect.object)[:2]
        if name not in self._writing:
            self._writing.add(name)
            yield effect

    def _due(self, now: int) -> int | None:
        if self._stale:
            return now
        times: Iterable[int | None] = (
            self._times[0][0] if self._times else None,
            None if self.queues is None else self.queues.due(),
        )
        return min((max(at, now) for at in times if at is not None), default=None)


def owner_of(raw: Json) -> tuple[str, str]:
    """Name and UID of the Job to which a Workload belongs; empty without one."""
    for owner in raw["metadata"].get("ownerReferences") or ():
        if owner["kind"] == JOB[1] and owner.get("controller"):
            return owner["name"], owner["uid"]
    return "", ""


def _is_among(item: Item, writing: set[tuple[Kind, Name]]) -> bool:
    return named(item.raw)[:2] in writing


def _name(workload: Workload) -> Name:
    metadata: Any = workload.metadata
    return given(metadata.namespace, ""), given(metadata.name, "")

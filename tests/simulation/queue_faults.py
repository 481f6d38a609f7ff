"""`python -m tests.simulation.queue_faults SEED`: one world with faults, told event by event.

Changes are lost, told twice, or late and out of order; the controller is killed between two effects and
begins anew; somebody else writes. After each event safety is checked; then faults end, and everything has
to finish.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from stellwerk.control.queueing.controller import QueueController
from stellwerk.control.queueing.events import Delete, Effect, Event, Put, Tick, WakeAt
from stellwerk.control.queueing.kinds import CLUSTER_QUEUE, JOB, LOCAL_QUEUE, WORKLOAD
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.ports.clock import VirtualClock
from stellwerk.ports.entropy import SeededEntropy
from stellwerk.ports.store import Key, key_of
from stellwerk.runtime.controllers import Asked, Controllers, Told
from stellwerk.runtime.loop import run
from stellwerk.sim.queueing.api_server import ApiServer
from stellwerk.sim.queueing.books import Books
from stellwerk.sim.queueing.checks import Checks
from stellwerk.sim.queueing.play import Arrivals
from stellwerk.sim.queueing.pods import Pods
from stellwerk.sim.queueing.safety import QueueSafety, is_true
from stellwerk.sim.world import Violation

from .queue_worlds import MINUTE, SECOND, START, QueueWorld, drawn

FAULTS_END = START + 120 * MINUTE
LAST = START + 60 * 24 * 60 * MINUTE
MOST_EVENTS = 200_000
Json = dict[str, Any]
Make = Callable[[], QueueController]


def fresh() -> QueueController:
    return QueueController(Configuration())


class Somebody:
    """Another writer, who reads the Store as it is; what he takes away he gives back ten minutes later."""

    kinds = ()

    def __init__(self, world: QueueWorld, store: ApiServer, excused: set[str]) -> None:
        self._chance = SeededEntropy(world.seed).fork("somebody")
        self._store, self._excused = store, excused
        self._deeds = list(world.deeds)
        self._now = START
        self.back: list[tuple[int, Callable[[], list[Effect]]]] = []
        self.deleted_jobs: set[tuple[str, str]] = set()

    def handle(self, event: Event, now: int) -> list[Effect]:
        effects: list[Effect] = []
        self._now = now
        if not isinstance(event, Tick):
            return effects
        while self._deeds and self._deeds[0][0] <= now:
            effects += self._do(self._deeds.pop(0)[1], now)
        for one in [one for one in self.back if one[0] <= now]:
            self.back.remove(one)
            effects += one[1]()
        return effects + [WakeAt(at) for at, _ in self.back[-1:]]

    def _do(self, deed: str, now: int) -> list[Effect]:
        what, _, kind = deed.partition(" ")
        if deed in ("hold", "drain", "hold local"):
            return self._stop(
                LOCAL_QUEUE if kind else CLUSTER_QUEUE, "HoldAndDrain" if what == "drain" else "Hold", now
            )
        if deed == "more quota":
            queue = self._any(CLUSTER_QUEUE)
            flavor = queue["spec"]["resourceGroups"][0]["flavors"][0]
            flavor["resources"][0]["nominalQuota"] = int(flavor["resources"][0]["nominalQuota"]) + 1
            return [Put(queue)]
        item = self._any(
            JOB if deed in ("touch job", "delete job", "change queue", "change priority") else WORKLOAD
        )
        if not item:
            return []
        return self._to_one(deed, item, now)

    def _to_one(self, deed: str, item: Json, now: int) -> list[Effect]:
        metadata = item["metadata"]
        name = metadata["namespace"], metadata["name"]
        match deed:
            case "touch workload" | "touch job":
                metadata["annotations"] = {**(metadata.get("annotations") or {}), "touched": str(now)}
            case "delete workload":
                self._excused |= {one["uid"] for one in metadata["ownerReferences"]}
                return [Delete(item)]
            case "delete job":
                self.deleted_jobs.add(name)
                return [Delete(item)]
            case "change queue":
                metadata["labels"]["kueue.x-k8s.io/queue-name"] = self._chance.pick(["main", "other"])
            case "change priority":
                metadata["labels"]["kueue.x-k8s.io/priority-class"] = self._chance.pick(["low", "high"])
            case "deactivate":
                item["spec"]["active"] = False
                self.back.append((now + 10 * MINUTE, lambda: self._reactivated(name)))
        return [Put(item)]

    def _stop(self, kind: tuple[str, str], policy: str, now: int) -> list[Effect]:
        queue = self._any(kind)
        queue["spec"]["stopPolicy"] = policy
        name = queue["metadata"].get("namespace", ""), queue["metadata"]["name"]
        self.back.append(
            (now + 10 * MINUTE, lambda: self._changed(kind, name, lambda spec: spec.pop("stopPolicy", 0)))
        )
        return [Put(queue)]

    def _reactivated(self, name: tuple[str, str]) -> list[Effect]:
        """Once it has given its quota back: before, it would hold quota that was given away (as in Kueue)."""
        item = self._store.get(Key(*WORKLOAD, *name))
        if item is not None and is_true(item, "QuotaReserved") and not is_true(item, "Finished"):
            self.back.append((self._now + 10 * MINUTE, lambda: self._reactivated(name)))
            return []
        return self._changed(WORKLOAD, name, lambda spec: spec.__setitem__("active", True))

    def _changed(
        self, kind: tuple[str, str], name: tuple[str, str], change: Callable[[Json], object]
    ) -> list[Effect]:
        for item in self._store.list(*kind)[0]:
            if (item["metadata"].get("namespace", ""), item["metadata"]["name"]) == name:
                change(item["spec"])
                return [Put(item)]
        return []

    def _any(self, kind: tuple[str, str]) -> Json:
        found = self._store.list(*kind)[0]
        return self._chance.pick(found) if found else {}


class Trial:
    """A world while it runs; `make` makes the controller, again after each of its deaths."""

    def __init__(
        self, world: QueueWorld, make: Make = fresh, tell: Callable[[str], None] | None = None
    ) -> None:
        self.world, self._make, self._tell = world, make, tell
        self.clock = VirtualClock(START)
        self.store = ApiServer(self.clock)
        for item in world.demand.objects:
            self.store.put(item)
        self._chance = SeededEntropy(world.seed).fork("faults")
        self.controllers = Controllers(self.store, self)
        self.controller = make()
        self.safety = QueueSafety(self.store, lambda: self.controller)
        self.number = self.controllers.start(self.controller, START)
        self.counts = {"lost": 0, "twice": 0, "late": 0, "killed": 0, "refused": 0, "events": 0}
        # Of a hundred changes so many are lost, told twice, late; of a hundred writes so many come too late.
        self._rates = [self._chance.pick([0, 0, 5, 20]) for _ in range(4)]
        self._deaths = self._chance.pick([0, 5, 20])  # Of a thousand writes.
        self.pods = Pods({one.name: one for one in world.demand.jobs}, grace=world.grace)
        self.controllers.start(self.pods, START)
        self.controllers.start(Checks(20 * SECOND, self._answer), START)
        self.books = Books(START, Configuration().counting)
        self.controllers.start(self.books, START)
        arrivals = Arrivals(world.demand.jobs)
        self.controllers.wake(self.controllers.start(arrivals, START), world.demand.jobs[0].arrival_ns)
        self.somebody = Somebody(world, self.store, self.safety.excused)
        number = self.controllers.start(self.somebody, START)
        for at, _ in world.deeds:
            self.controllers.wake(number, at)
        self._calm = False
        self.controllers.agenda.post(FAULTS_END, Told(-1, Tick()))

    def run(self) -> None:
        """Raises Violation for what must not happen, and for what does not end."""
        run(self.controllers.agenda, self.clock, self._handle, self._perform, self._check)
        if self.controllers.agenda.due() is not None:
            raise Violation(f"it never ends: {self.unfinished()[:3]}")
        if self.unfinished():
            raise Violation(f"nothing is to happen any more, but these are not done: {self.unfinished()[:3]}")

    def unfinished(self) -> list[str]:
        """Jobs and Workloads that are not over; Workloads whose Job is gone."""
        jobs, workloads = self.store.list(*JOB)[0], self.store.list(*WORKLOAD)[0]
        there = {one["metadata"]["uid"] for one in jobs}
        found = [f"Job {one['metadata']['name']}" for one in jobs if not is_true(one, "Complete")]
        for one in workloads:
            orphan = one["metadata"]["ownerReferences"][0]["uid"] not in there
            if orphan or not is_true(one, "Finished"):
                found.append(f"Workload {one['metadata']['name']}{' without its Job' if orphan else ''}")
        missing = len(self.world.demand.jobs) - len(jobs) - len(self.somebody.deleted_jobs)
        return found + ([f"{missing} Jobs are gone"] if missing else [])

    def _handle(self, told: Told, now: int) -> list[Asked]:
        if now >= FAULTS_END and not self._calm:
            self._calm = True
            self.controllers.resync(self.number, now)
        elif not self._calm and self._chance.chance(1, 400):
            self.controllers.resync(self.number, now)
        if self._tell is not None and told.to == self.number:
            self._tell(f"{(now - START) / SECOND:10.3f} {_shown(told.event)}")
        return self.controllers.handle(told, now)

    def _perform(self, asked: Asked, now: int) -> None:
        if self._tell is not None and asked.by == self.number:
            self._tell(f"{'':10} -> {_shown(asked.effect)}")
        mine = asked.by == self.number and isinstance(asked.effect, Put | Delete) and not self._calm
        if mine and self._chance.chance(self._rates[3], 100):
            self._forestall(asked.effect)
        self.controllers.perform(asked, now)
        if mine and self._chance.chance(self._deaths, 1000):
            self.counts["killed"] += 1
            self.controllers.stop(self.number)
            self.controller = self._make()
            self.number = self.controllers.start(self.controller, now)

    def _forestall(self, effect: Effect) -> None:
        """Somebody is faster."""
        assert isinstance(effect, Put | Delete)
        there = self.store.get(key_of(effect.object))
        if there is not None:
            notes = {**(there["metadata"].get("annotations") or {}), "faster": str(self.counts["events"])}
            self.store.put({**there, "metadata": {**there["metadata"], "annotations": notes}})

    def _check(self, told: Told, now: int) -> bool:
        self.counts["events"] += 1
        if type(told.event).__name__ == "Refused":
            self.counts["refused"] += 1
        self.safety.check(told.event, now)
        return now < LAST and self.counts["events"] < MOST_EVENTS

    def outcome(self, number: int, now: int) -> int:
        slow = number == self.number and not self._calm and self._chance.chance(self._rates[2], 100)
        return now + self._chance.below(2 * SECOND) if slow else now

    def change(self, number: int, event: Event, now: int) -> list[int]:
        if number != self.number or self._calm:
            return [now]
        chance, (lost, twice, late, _) = self._chance, self._rates
        times = [now + chance.below(20 * SECOND)] if chance.chance(late, 100) else [now]
        if chance.chance(lost, 100):
            self.counts["lost"] += 1
            return []
        self.counts["late"] += times != [now]
        if chance.chance(twice, 100):
            self.counts["twice"] += 1
            times.append(now + chance.below(60 * SECOND))
        return times

    def _answer(self, name: tuple[str, str], check: str) -> Mapping[str, Any]:
        kind = 0 if self._calm else self._chance.below(6)
        if kind == 1:
            return {"state": "Retry", "message": "later", "requeueAfterSeconds": self._chance.below(120)}
        return {"state": "Ready"}


def _shown(thing: object) -> str:
    item = getattr(thing, "object", None) or getattr(getattr(thing, "effect", None), "object", None)
    if item is None:
        return f"{type(thing).__name__} {getattr(thing, 'kind', '')}{getattr(thing, 'at', '')}"
    true = [
        one["type"] for one in (item.get("status") or {}).get("conditions") or () if one["status"] == "True"
    ]
    active = (item.get("status") or {}).get("active", "")
    return (
        f"{type(thing).__name__} {item['kind']} {item['metadata']['name']} "
        f"v{item['metadata'].get('resourceVersion', '-')} {','.join(true)} "
        f"suspend={item['spec'].get('suspend', '') if 'spec' in item else ''} active={active}"
    )


if __name__ == "__main__":
    trial = Trial(drawn(int(sys.argv[1])), tell=print)
    trial.run()
    print(trial.counts)

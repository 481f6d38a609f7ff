"""`Pods`: what Kubernetes does with Jobs, in simulation: pods run for the Job's duration, or are stopped.

A Job's duration is that of all its completions, round after round, with as many pods as it was written with;
with fewer pods there are more rounds. A Job that is suspended loses the work of the pods that had not ended.
"""

import heapq
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.control.queueing.events import (
    Applied,
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
from stellwerk.control.queueing.kinds import JOB
from stellwerk.control.queueing.seen import Item, Kind, Name, Seen, named
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.sim.queueing.demand import Planned

SECOND = 1_000_000_000
GRACE_S = 30  # terminationGracePeriodSeconds where a pod does not say.


class _Run(Struct, frozen=True):
    """Pods of a Job since `start`, `pods` at a time, a round after the other; `todo` completions are left.

    `done`: completions before. `stopping`: when (ns) the pods of a suspended Job are gone.
    """

    start: int
    pods: int
    round_ns: int
    todo: int
    done: int
    stopping: int | None = None

    @property
    def end(self) -> int:
        """When all has been done."""
        return self.start + self.round_ns * -(-self.todo // max(1, self.pods))

    def finished(self, now: int) -> int:
        """Completions in the rounds that are over."""
        return min(self.todo, self.pods * ((now - self.start) // self.round_ns))

    def last_round(self) -> int | None:
        """When fewer pods are left than run at a time; None: they all end at once."""
        rounds = -(-self.todo // max(1, self.pods))
        return self.start + self.round_ns * (rounds - 1) if rounds > 1 and self.todo % self.pods else None


class Pods:
    """`grace`: pods of a Job that is suspended run on for their terminationGracePeriodSeconds.

    A real Job counts terminating pods as not active, so that Kueue gives their quota away at once.

    `stops`: of some Jobs, how long (ns) that takes instead.
    """

    kinds: tuple[Kind, ...] = (JOB,)

    def __init__(
        self,
        planned: Mapping[Name, Planned],
        *,
        grace: bool = False,
        stops: Mapping[Name, int] | None = None,
    ) -> None:
        self._planned, self._grace, self._stops = planned, grace, stops or {}
        self._seen = Seen(self.kinds)
        self._runs: dict[Name, _Run] = {}
        self._times: list[tuple[int, Name]] = []
        self._writing: set[Name] = set()

    @property
    def running(self) -> Mapping[Name, _Run]:
        """By namespace and name, Jobs that have pods."""
        return self._runs

    def handle(self, event: Event, now: int) -> list[Effect]:
        """What happens to the pods at `now` (ns), and what is written about that."""
        match event:
            case Tick():
                effects: list[Effect] = []
                while self._times and self._times[0][0] <= now:
                    effects += self._look(heapq.heappop(self._times)[1], now)
                return effects
            case Listed():
                news, gone = self._seen.compare(event)
                for item in gone:
                    self._runs.pop(named(item.raw)[1], None)
                return [effect for item in news for effect in self._look(named(item.raw)[1], now)]
            case ObjectDeleted(raw):
                if self._seen.forget(raw) is not None:
                    self._runs.pop(named(raw)[1], None)
                return []
            case Applied(effect, raw) | Refused(effect, raw):
                name = named(effect.object)[1]
                self._writing.discard(name)
                if raw is None:
                    self._seen.forget(effect.object)
                    self._runs.pop(name, None)
                    return []
                self._seen.observe(raw)
                return self._look(name, now)
            case ObjectChanged(raw):
                return self._look(named(raw)[1], now) if self._seen.observe(raw) is not None else []

    def _look(self, name: Name, now: int) -> list[Effect]:
        """The pods as the Job wants them, and the Job's status as they are."""
        item = self._seen.get(JOB, *name)
        if item is None or name in self._writing or _is_over(item.raw):
            return []
        suspended = bool(item.raw["spec"].get("suspend"))
        run, wakes = self._runs.get(name), []
        if run is None and not suspended:
            run = self._runs[name] = self._started(item, now)
            wakes = [run.end, run.last_round()]
        elif run is not None and suspended and run.stopping is None:
            # Pods that are done stay done; those that were not begin anew.
            done = run.done + (run.finished(now) if "completions" in item.raw["spec"] else 0)
            run = replace(run, stopping=now + self._grace_ns(item.raw), done=done)
            self._runs[name], wakes = run, [run.stopping]
        effects: list[Effect] = []
        for at in wakes:
            if at is not None and at > now:
                heapq.heappush(self._times, (at, name))
                effects.append(WakeAt(at))
        return [*effects, *self._report(item, run, now)]

    def _report(self, item: Item, run: _Run | None, now: int) -> list[Effect]:
        """The Job's status, if it says something else."""
        name, old = named(item.raw)[1], item.raw.get("status") or {}
        status = _status(old, run, now)
        if run is not None and run.stopping is None and now >= run.end:
            status = _complete(run, now)
        if run is not None and now >= (run.end if run.stopping is None else run.stopping):
            del self._runs[name]
        if status == old:
            return []
        self._writing.add(name)
        return [Put({**item.raw, "status": status})]

    def _started(self, item: Item, now: int) -> _Run:
        """Without `completions` all pods do one piece of work together."""
        spec, planned = item.raw["spec"], self._planned[named(item.raw)[1]]
        pods, completions = int(spec.get("parallelism", 1)), spec.get("completions")
        if completions is None or pods < 1:
            return _Run(now, pods, planned.duration_ns, pods, 0)
        wanted = planned.object["spec"]
        rounds = -(-int(wanted.get("completions", completions)) // max(1, int(wanted.get("parallelism", 1))))
        done = int((item.raw.get("status") or {}).get("succeeded", 0))
        round_ns = max(1, planned.duration_ns // max(1, rounds))
        return _Run(now, pods, round_ns, max(1, int(completions) - done), done)

    def _grace_ns(self, job: Json) -> int:
        if (known := self._stops.get(named(job)[1])) is not None:
            return known
        spec: Any = job["spec"]["template"].get("spec") or {}
        return int(spec.get("terminationGracePeriodSeconds", GRACE_S)) * SECOND if self._grace else 0


def _is_over(job: Json) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _status(old: Json, run: _Run | None, now: int) -> dict[str, Any]:
    """While pods are stopped they are active, and ended as far as they had come."""
    kept = {key: value for key, value in old.items() if key not in ("active", "ready", "startTime")}
    if run is None:
        return kept
    done = run.done + (run.finished(now) if run.stopping is None and run.todo > run.pods else 0)
    if done:
        kept["succeeded"] = done
    if run.stopping is not None and now >= run.stopping:
        return kept
    active = min(run.pods, run.todo - (0 if run.stopping is not None else run.finished(now)))
    kept |= {"active": active, "ready": active}
    return kept if run.stopping is not None else {**kept, "startTime": time_text(run.start)}


def _complete(run: _Run, now: int) -> dict[str, Any]:
    condition = {
        "type": "Complete",
        "status": "True",
        "lastTransitionTime": time_text(now),
        "reason": "CompletionsReached",
        "message": "Reached expected number of succeeded pods",
    }
    return {
        "startTime": time_text(run.start),
        "completionTime": time_text(now),
        "succeeded": run.done + run.todo,
        "conditions": [condition],
    }

"""`Pods`: what Kubernetes does with Jobs, in simulation: pods run for the Job's duration, end, or are stopped.

A Job that is suspended loses its work. One that runs with fewer pods than it was written with takes as much
longer as its completions need more rounds.
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
    """Pods of a Job since `start`; at `end` they have done their work, or, `stopping`, are gone."""

    start: int
    end: int
    active: int
    succeeded: int
    stopping: bool = False
    last_round: tuple[int, int, int] | None = None  # From when (ns) on how many run, how many are done.


class Pods:
    """`grace`: pods of a Job that is suspended run on for their terminationGracePeriodSeconds.

    A real Job counts terminating pods as not active, so that Kueue gives their quota away at once.
    """

    kinds: tuple[Kind, ...] = (JOB,)

    def __init__(self, planned: Mapping[Name, Planned], *, grace: bool = False) -> None:
        self._planned, self._grace = planned, grace
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
                self._seen.note(raw)
                return self._look(name, now)
            case ObjectChanged(raw):
                return self._look(named(raw)[1], now) if self._seen.note(raw) is not None else []

    def _look(self, name: Name, now: int) -> list[Effect]:
        """The pods as the Job wants them, and the Job's status as they are."""
        item = self._seen.get(JOB, *name)
        if item is None or name in self._writing or _is_over(item.raw):
            return []
        suspended = bool(item.raw["spec"].get("suspend"))
        run, wake = self._runs.get(name), None
        if run is None and not suspended:
            run = self._runs[name] = self._started(item, now)
            wake = run.end if run.last_round is None else run.last_round[0]
        elif run is not None and suspended and not run.stopping:
            run = replace(run, stopping=True, end=now + self._grace_ns(item.raw))
            self._runs[name], wake = run, run.end
        if run is not None and run.last_round is not None and not run.stopping and now >= run.last_round[0]:
            _, active, succeeded = run.last_round
            run = replace(run, active=active, succeeded=succeeded, last_round=None)
            self._runs[name], wake = run, run.end
        if run is not None and run.stopping and now >= run.end:
            run, wake = None, None
            del self._runs[name]
        effects: list[Effect] = []
        if wake is not None:
            heapq.heappush(self._times, (wake, name))
            effects.append(WakeAt(wake))
        return [*effects, *self._report(item, run, now)]

    def _report(self, item: Item, run: _Run | None, now: int) -> list[Effect]:
        """The Job's status, if it says something else."""
        name, old = named(item.raw)[1], item.raw.get("status") or {}
        if run is not None and not run.stopping and now >= run.end:
            status = _complete(item.raw, run, now)
            del self._runs[name]
        else:
            status = _status(old, run)
        if status == old:
            return []
        self._writing.add(name)
        return [Put({**item.raw, "status": status})]

    def _started(self, item: Item, now: int) -> _Run:
        name, spec = named(item.raw)[1], item.raw["spec"]
        planned = self._planned[name]
        pods, completions = int(spec.get("parallelism", 1)), spec.get("completions")
        if completions is None or pods < 1:
            return _Run(now, now + planned.duration_ns, pods, 0)
        wanted = planned.object["spec"]
        rounds = -(-int(completions) // pods)
        before = -(-int(wanted.get("completions", completions)) // max(1, int(wanted.get("parallelism", 1))))
        duration = planned.duration_ns * rounds // max(1, before)
        rest = int(completions) - (rounds - 1) * pods
        last = None
        if rounds > 1 and rest < pods:
            last = now + duration * (rounds - 1) // rounds, rest, (rounds - 1) * pods
        return _Run(now, now + duration, min(pods, int(completions)), 0, last_round=last)

    def _grace_ns(self, job: Json) -> int:
        spec: Any = job["spec"]["template"].get("spec") or {}
        return int(spec.get("terminationGracePeriodSeconds", GRACE_S)) * SECOND if self._grace else 0


def _is_over(job: Json) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _status(old: Json, run: _Run | None) -> dict[str, Any]:
    kept = {
        key: value for key, value in old.items() if key not in ("active", "ready", "succeeded", "startTime")
    }
    if run is None:
        return kept
    kept |= {"active": run.active, "ready": run.active}
    if run.succeeded:
        kept["succeeded"] = run.succeeded
    return kept if run.stopping else {**kept, "startTime": time_text(run.start)}


def _complete(job: Json, run: _Run, now: int) -> dict[str, Any]:
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
        "succeeded": int(job["spec"].get("completions") or max(1, run.active)),
        "conditions": [condition],
    }

"""A small cluster whose queues work, one moment at a time: what a Job and its Workload look like then."""

from collections.abc import Iterable
from typing import Any

from stellwerk.control.queueing.controller import QueueController
from stellwerk.control.queueing.kinds import JOB, WORKLOAD
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.ports.clock import VirtualClock
from stellwerk.ports.store import key_of
from stellwerk.runtime.controllers import Controllers
from stellwerk.runtime.loop import run
from stellwerk.sim.queueing.api_server import ApiServer
from stellwerk.sim.queueing.demand import Planned
from stellwerk.sim.queueing.pods import Pods
from tests.simulation.queue_worlds import MINUTE, SECOND, START

Json = dict[str, Any]


class Cluster:
    """`minutes`: how long Jobs run; all are planned from the start, and created by `apply`."""

    def __init__(self, objects: Iterable[Json], jobs: list[tuple[Json, int]], *, grace: bool = False) -> None:
        self.clock = VirtualClock(START)
        self.store = ApiServer(self.clock)
        for item in objects:
            self.store.put(item)
        self.jobs = {item["metadata"]["name"]: item for item, _ in jobs}
        planned = [
            Planned(object=item, arrival_ns=START, duration_ns=minutes * MINUTE, is_queued=True)
            for item, minutes in jobs
        ]
        self.controllers = Controllers(self.store)
        self.controller = QueueController(Configuration())
        self.controllers.start(self.controller, START)
        self.controllers.start(Pods({one.name: one for one in planned}, grace=grace), START)
        self.until(0)

    def until(self, seconds: float) -> None:
        """Everything that happens up to so many seconds after the start."""
        end = START + int(seconds * SECOND)
        every = self.controllers
        if _due(every.agenda, end):
            run(every.agenda, self.clock, every.handle, every.perform, lambda *_: _due(every.agenda, end))
        self.clock.wait(end)

    def apply(self, *names: str) -> None:
        """Create these Jobs now."""
        for name in names:
            self.store.put(self.jobs[name])
        self._tell()

    def change(self, item: Json) -> None:
        """Somebody writes the object, which he has just read."""
        self.store.put(item)
        self._tell()

    def delete(self, item: Json) -> None:
        self.store.delete(key_of(item))
        self._tell()

    def _tell(self) -> None:
        self.controllers.tell(self.clock.now())
        self.until((self.clock.now() - START) / SECOND)

    def job(self, name: str) -> Json:
        return next(one for one in self.store.list(*JOB)[0] if one["metadata"]["name"] == name)

    def workload(self, job: str) -> Json:
        every = self.store.list(*WORKLOAD)[0]
        found = [one for one in every if one["metadata"]["name"].startswith(f"job-{job}-")]
        assert len(found) == 1, [one["metadata"]["name"] for one in found]
        return found[0]

    def conditions(self, job: str) -> dict[str, tuple[str, str]]:
        """Status and reason by type."""
        found = (self.workload(job).get("status") or {}).get("conditions") or ()
        return {one["type"]: (one["status"], one.get("reason", "")) for one in found}


def _due(agenda: Any, end: int) -> bool:
    due = agenda.due()
    return due is not None and due <= end

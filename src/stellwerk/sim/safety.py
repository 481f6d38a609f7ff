"""What must hold after each event of a replay, whatever the controller does.

No device is given twice (the GPUs check each grant, and the controller's view must agree with theirs), and no
job is lost: arrived = running + finished + waiting + rejected.
"""

from stellwerk.control.admission import Admission
from stellwerk.control.events import PeriodEnded
from stellwerk.engine.demand import Demand
from stellwerk.sim.world import Violation, World

FULL_CHECK_EVERY = 64  # The whole comparison is linear in the fleet; the counts are checked at each event.


class Safety:
    """Checks a world against its controller."""

    def __init__(self, world: World, controller: Admission, demand: Demand) -> None:
        self._world, self._controller, self._demand = world, controller, demand
        self._events = 0

    def check(self, event: object, now: int) -> None:
        """Raise Violation, naming the event and the time, if a property is broken."""
        self._events += 1
        problem = self._lost_job()
        ended = isinstance(event, PeriodEnded)
        if not problem and (ended or self._events % FULL_CHECK_EVERY == 0):
            problem = self._disagreement()
        if ended and not problem and self._world.arrived != len(self._demand.jobs):
            problem = f"{len(self._demand.jobs)} jobs, {self._world.arrived} arrived"
        if problem:
            raise Violation(f"{problem}; at {now} ns, after {event}, in demand {self._demand.name}")

    def _lost_job(self) -> str:
        world, ledger = self._world, self._world.ledger
        counts = len(world.running), len(ledger.finished), self._controller.waiting, len(ledger.rejected)
        if sum(counts) != world.arrived:
            return "arrived {}, but running {} + finished {} + waiting {} + rejected {}".format(
                world.arrived, *counts
            )
        return ""

    def _disagreement(self) -> str:
        """The controller believes in other tenants than the GPUs have, or in other jobs that wait."""
        held = {
            name: tuple(sorted(grant.gpu for grant in progress.grants))
            for name, progress in self._world.running.items()
        }
        believed = {
            name: tuple(sorted(grant.gpu for grant in grants))
            for name, grants in self._controller.running.items()
        }
        if held != believed:
            return "the controller's view differs from the GPUs"
        lost = self._world.waiting_jobs() ^ self._controller.waiting_jobs()
        return f"{min(lost)} is not in the queue, or twice" if lost else ""

"""What must hold after each event of a replay, whatever the controller does.

No device is given twice (the GPUs check each grant, and the controller's view must agree with theirs), no job
is lost: arrived = running + finished + waiting + rejected, and nobody runs on an instance that is not there.
That no instance is destroyed under its tenant, and each layout is valid, the GPUs check at each cut.
"""

from stellwerk.control.admission import Admission
from stellwerk.control.events import PeriodEnded
from stellwerk.engine.demand import Demand
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.placement.cuts import instance_of
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
            problem = self._disagreement() or self._missing_instance() or self._other_layout()
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

    def _missing_instance(self) -> str:
        """A tenant without its instance, or a whole GPU in MIG mode."""
        gpus = self._world.gpus
        for name, progress in self._world.running.items():
            for grant in progress.grants:
                layout = gpus.layouts[grant.gpu]
                is_mig = grant.method == MIG
                if is_mig != layout.mig or (
                    is_mig and instance_of(gpus.sites[grant.gpu], grant) not in layout.instances
                ):
                    return f"{name} runs on GPU {grant.gpu}, which is not cut for it"
        return ""

    def _other_layout(self) -> str:
        """The controller believes in other layouts, or in other cuts that run."""
        preparation = self._controller.preparation
        if preparation is None:
            return ""
        if preparation.doing != self._world.cutting:
            return "the controller believes in other cuts than those that run"
        return "" if preparation.layouts == self._world.gpus.layouts else "a layout is not as published"

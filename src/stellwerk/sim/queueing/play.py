"""`play`: queues in simulation: Jobs arrive, wait as in Kueue, run, are preempted and finish.

The controllers are those of a cluster; the Store is in memory, pods are simulated, time is virtual.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest
from stellwerk.control.queueing.controller import QueueController
from stellwerk.control.queueing.events import Effect, Event, Put, Tick, WakeAt
from stellwerk.control.queueing.queues import Timing
from stellwerk.control.queueing.seen import Kind, Name
from stellwerk.engine.queueing.snapshot import Configuration
from stellwerk.ports.clock import VirtualClock
from stellwerk.ports.store import Object
from stellwerk.runtime.controllers import Controller, Controllers, Told
from stellwerk.runtime.loop import run
from stellwerk.sim.queueing.api_server import ApiServer
from stellwerk.sim.queueing.books import Books
from stellwerk.sim.queueing.checks import Checks
from stellwerk.sim.queueing.demand import Planned, QueueDemand, queue_demand
from stellwerk.sim.queueing.ledger import QueueLedger
from stellwerk.sim.queueing.pods import Pods

MOST_EVICTIONS = 10_000  # Of one Workload.


class Options(Struct, frozen=True, kw_only=True):
    """`timing`: Kueue's own waits. `grace`: pods that are stopped run on for their grace period.

    `checks_ns`: how long AdmissionChecks take, from the reservation of quota until all are Ready.

    `until_ns`: when (UTC, since 1970) to stop; None: at the end of the Period, else once all have finished.

    `most_evictions`: of one Workload; more are taken for a circle without end.

    What chance decides on a cluster: `uids`, by kind, namespace and name, where they do not count up;
    `stops`, by namespace and name of a Job: how long (ns) its pods need to stop.
    """

    timing: Timing = Timing()
    grace: bool = False
    checks_ns: int = 0
    until_ns: int | None = None
    most_evictions: int = MOST_EVICTIONS
    uids: Mapping[tuple[str, str, str], str] = {}
    stops: Mapping[Name, int] = {}


class Arrivals:
    """Creates Jobs when they arrive."""

    kinds: tuple[Kind, ...] = ()

    def __init__(self, jobs: Sequence[Planned]) -> None:
        self._jobs, self._next = jobs, 0

    def handle(self, event: Event, now: int) -> list[Effect]:
        """Those that are due, and when the next one is."""
        effects: list[Effect] = []
        while self._next < len(self._jobs) and self._jobs[self._next].arrival_ns <= now:
            effects.append(Put(self._jobs[self._next].object))
            self._next += 1
        if effects and self._next < len(self._jobs):
            effects.append(WakeAt(self._jobs[self._next].arrival_ns))
        return effects

    def first(self) -> int | None:
        """When the first one arrives."""
        return self._jobs[0].arrival_ns if self._jobs else None


def play(
    manifests: Sequence[Manifest], configuration: Configuration, options: Options | None = None
) -> QueueLedger:
    """What becomes of the Jobs of valid manifests in the queues beside them; what is preempted starts anew.

    A Job is created at its annotation `stellwerk.dev/arrival` (else creationTimestamp, else at the start) and
    runs for `stellwerk.dev/duration` once it is not suspended. Raises InvalidInput, as `queue_demand` does.
    """
    return simulate(queue_demand(manifests, configuration.jobs), configuration, options or Options())


def simulate(demand: QueueDemand, configuration: Configuration, options: Options) -> QueueLedger:
    """The same of a demand that was read."""
    return _run(demand, configuration, options)[0]


def workloads_after(
    manifests: Sequence[Manifest],
    configuration: Configuration,
    options: Options,
    others: Sequence[tuple[Controller, int]] = (),
) -> list[Object]:
    """The Workloads as they are at the end of the same course, as Kueue would have written them.

    `others`: who else acts on the cluster, and when (ns) it first does.
    """
    _, store = _run(queue_demand(manifests, configuration.jobs), configuration, options, others)
    return store.list("kueue.x-k8s.io", "Workload")[0]


def _run(
    demand: QueueDemand,
    configuration: Configuration,
    options: Options,
    others: Sequence[tuple[Controller, int]] = (),
) -> tuple[QueueLedger, ApiServer]:
    clock = VirtualClock(demand.start_ns)
    store = ApiServer(clock, uids=options.uids)
    for item in demand.objects:
        store.put(item)
    controllers = Controllers(store)
    queues = QueueController(configuration, options.timing)
    books = Books(demand.start_ns, configuration.counting)
    arrivals = Arrivals(demand.jobs)
    controllers.start(queues, demand.start_ns)
    pods = Pods({job.name: job for job in demand.jobs}, grace=options.grace, stops=options.stops)
    controllers.start(pods, demand.start_ns)
    controllers.start(books, demand.start_ns)
    if any(item["kind"] == "AdmissionCheck" for item in demand.objects):
        controllers.start(Checks(options.checks_ns), demand.start_ns)
    number = controllers.start(arrivals, demand.start_ns)
    if (first := arrivals.first()) is not None:
        controllers.wake(number, first)
    for other, at in others:
        controllers.wake(controllers.start(other, demand.start_ns), at)
    end = demand.end_ns if options.until_ns is None else options.until_ns
    if end is not None:
        controllers.agenda.post(
            end, Told(to=-1, event=Tick()), rank=-1
        )  # To nobody: what is later is not seen.
    run(
        controllers.agenda,
        clock,
        controllers.handle,
        controllers.perform,
        lambda _, now: (end is None or now < end) and books.most_evicted[1] < options.most_evictions,
    )
    _check_circle(books, options.most_evictions)
    ledger = books.end(clock.now() if end is None else end)
    for key, answer in ledger.answers.items():
        ledger.answers[key] = answer or queues.blocker(key)
    ledger.cycles = queues.cycles
    ledger.unqueued = sum(not job.is_queued for job in demand.jobs)
    return ledger, store


def _check_circle(books: Books, most: int) -> None:
    key, count = books.most_evicted
    if count >= most:
        raise InvalidInput(
            "the Workload {key} was evicted {count} times: Workloads preempt one another without end",
            fix="change the preemption of the ClusterQueues, or add a Period that ends before",
            key=key,
            count=count,
        )

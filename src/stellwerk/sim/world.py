"""World 1: performs a controller's effects on simulated GPUs, and says when jobs end.

The world keeps its own books (which GPU has which tenants, how far each job is), apart from the controller's
view; whatever the controller decides wrongly shows here as a Violation.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.control.admission import Admission
from stellwerk.control.events import (
    Configured,
    ConfigureFailed,
    ConfigureGpu,
    Effect,
    Event,
    GpuRepaired,
    JobArrived,
    JobFinished,
    NodeLost,
    NodeReady,
    PeriodEnded,
    RejectJob,
    RepairGpu,
    ReplaceNode,
    StartJob,
    StopJob,
)
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.placement.cuts import Cut
from stellwerk.engine.placement.place import Grant, Site
from stellwerk.ports.cloud import Cloud
from stellwerk.ports.gpus import Conflict, MemoryGpus
from stellwerk.runtime.agenda import Agenda
from stellwerk.sim.faults import CutOutcome, Cutting
from stellwerk.sim.ledger import Ledger, LinkUse, Stay
from stellwerk.sim.network.links import Network
from stellwerk.sim.slowdown import FULL, Slowdown, Tenants, limit_of, load_milli, slower, speed

# At one instant: what frees GPUs comes before what asks for them, and the end of the period is last.
RANKS = {NodeReady: 1, GpuRepaired: 1, NodeLost: 2, JobArrived: 3, PeriodEnded: 9}

CUT_RANK = 1


class Violation(Exception):
    """A safety property does not hold: always a mistake of ours, never of the user."""


class Completion(Struct, frozen=True):
    """A job would end now, if its speed had not changed since (`version`)."""

    job: str
    version: int


class CutEnd(Struct, frozen=True):
    """A cut of a GPU ends now, if its node was not lost since."""

    gpu: int
    attempt: int
    outcome: CutOutcome


class Progress:
    """How far a running job is, settled at `since_ns`: `done_ns` of its time at full speed.

    A batch advances at `rate`. A service ends by the clock; only an overloaded GPU takes work from it.
    `part_milli` is what it holds of GPUs now, `held_milli_ns` what it held until `since_ns`.
    """

    __slots__ = (
        "done_ns",
        "duration_ns",
        "grants",
        "held_milli_ns",
        "job",
        "link",
        "part_milli",
        "rate",
        "since_ns",
        "start_ns",
        "version",
    )

    def __init__(self, job: Job, grants: tuple[Grant, ...], now: int, duration_ns: int) -> None:
        self.job, self.grants = job, grants
        self.link: LinkUse | None = None
        self.start_ns = self.since_ns = now
        self.duration_ns = duration_ns
        self.done_ns = 0
        self.rate = (0, 1)
        self.version = 0
        self.part_milli = sum(grant.held_milli for grant in grants)
        self.held_milli_ns = 0


class World:
    """Simulated GPUs under virtual time. `handle` and `perform` are what the loop calls.

    With `cutting`, a GPU is cut before a job starts on it, which takes its time and may fail.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        jobs: Mapping[str, Job],
        slowdown: Slowdown,
        cloud: Cloud,
        cutting: Cutting | None = None,
    ) -> None:
        self.agenda: Agenda[Event | Completion | CutEnd] = Agenda()
        self.ledger = Ledger()
        self.gpus = MemoryGpus(sites, at_once=cutting is None)
        self.cutting: dict[int, ConfigureGpu] = {}  # By GPU: what is cut there now.
        self._cutting = cutting
        self.network: Network | None = None  # Links slow nobody where nobody described them.
        self.running: dict[str, Progress] = {}
        self.arrived = 0
        self._sites, self._jobs, self._slowdown, self._cloud = sites, jobs, slowdown, cloud
        self._excess: dict[int, tuple[int, int]] = {}  # GPU -> (since, bytes) beyond its memory.
        self._waiting_since: dict[str, int] = {}
        self._served_ns: dict[str, int] = {}  # What a service did before it lost its node.
        self._versions = 0  # Never used twice, so that no completion is taken for another one.

    def post(self, at: int, event: Event) -> None:
        """Put an event of the scenario on the agenda."""
        self.agenda.post(at, event, RANKS[type(event)])

    def waiting_jobs(self) -> set[str]:
        """Jobs that arrived, or lost their node, and have no GPU."""
        return set(self._waiting_since)

    def handle(self, controller: Admission, event: Event | Completion | CutEnd, now: int) -> list[Effect]:
        """Let the world feel the event, then ask the controller."""
        if isinstance(event, Completion):
            progress = self.running.get(event.job)
            if progress is None or progress.version != event.version:
                return []  # Its speed changed since, or it was interrupted.
            self._end(progress, now)
            self.ledger.finished.add(event.job)
            event = JobFinished(event.job)
        elif isinstance(event, CutEnd):
            doing = self.cutting.get(event.gpu)
            if doing is None or doing.attempt != event.attempt:
                return []  # Its node was lost: that has ended it.
            event = self._cut_ended(event)
        elif isinstance(event, JobArrived):
            self.arrived += 1
            self._waiting_since[event.job] = now
        elif isinstance(event, NodeLost) and self._is_down(event.node):
            return []  # It is away already: its return stays where it is.
        elif isinstance(event, NodeLost | NodeReady):
            self._mark(event.node, lost=isinstance(event, NodeLost), now=now)
        elif isinstance(event, PeriodEnded):
            self._close(now)
        return controller.handle(event, now)

    def perform(self, effect: Effect, now: int) -> None:
        """Do what the controller asked for; raises Violation where a GPU cannot."""
        match effect:
            case StartJob(job, grants):
                self._start(self._jobs[job], grants, now)
            case StopJob(job):
                self.ledger.interrupted.add(job)
                self._waiting_since[job] = now
            case RejectJob(job, reason):
                self.ledger.rejected[job] = reason
                del self._waiting_since[job]
            case ReplaceNode(node):
                self.post(self._cloud.replace(node, now), NodeReady(node))
            case ConfigureGpu():
                self._configure(effect, now)
            case RepairGpu(gpu, attempt):
                self.ledger.gpu_repairs += 1
                self.post(self._cloud.repair(gpu, now), GpuRepaired(gpu, attempt))

    def _configure(self, asked: ConfigureGpu, now: int) -> None:
        """Begin a cut; its end is on the agenda from now on."""
        problem = self.gpus.refusal(asked.gpu, asked.cut)
        if asked.gpu in self.cutting:
            problem = "it is being cut already"
        if problem or self._cutting is None:
            raise Violation(f"cut {asked.attempt} of GPU {asked.gpu}: {problem or 'nobody cuts here'}")
        outcome = self._cutting.outcome(asked.gpu, self.gpus.layouts[asked.gpu], asked.cut, now)
        self.cutting[asked.gpu] = asked
        self.ledger.cuts += 1
        self.ledger.cutting_ns += outcome.duration_ns
        self.agenda.post(now + outcome.duration_ns, CutEnd(asked.gpu, asked.attempt, outcome), CUT_RANK)

    def _cut_ended(self, end: CutEnd) -> Configured | ConfigureFailed:
        """Let the GPU have what the cut really did, and say what it reports."""
        asked = self.cutting.pop(end.gpu)
        if end.outcome.done is not None:
            self._cut(end.gpu, end.outcome.done)
        self.ledger.cuts_failed += end.outcome.done != asked.cut
        published = self.gpus.layouts[end.gpu]
        if end.outcome.success:
            return Configured(end.gpu, end.attempt, published)
        return ConfigureFailed(end.gpu, end.attempt, published)

    def _cut(self, gpu: int, cut: Cut) -> None:
        try:
            self.gpus.configure(gpu, cut)
        except Conflict as error:
            raise Violation(str(error)) from error

    def _start(self, job: Job, grants: tuple[Grant, ...], now: int) -> None:
        try:
            self.gpus.prepare(job.name, grants)
        except Conflict as error:
            raise Violation(str(error)) from error
        self.ledger.first_start_ns.setdefault(job.name, now)
        self.ledger.waits.append((self._waiting_since.pop(job.name), now))
        left = job.duration_ns - self._served_ns.get(job.name, 0)
        progress = self.running[job.name] = Progress(job, grants, now, left)
        if self.network is not None:
            progress.link = self.network.use(job, grants, self._sites)
        if grants[0].method == WHOLE:
            self._set_rate(progress, self._linked(progress, FULL), now)
            return
        for gpu in {grant.gpu for grant in grants}:
            self._tenants_changed(gpu, now)

    def _end(self, progress: Progress, now: int, lost: bool = False) -> None:
        """A stay is over: settle the work, give the GPUs back, let the others run on."""
        self._book(progress, now, lost)
        if lost and progress.job.is_service:
            served = self._served_ns.get(progress.job.name, 0)
            self._served_ns[progress.job.name] = served + now - progress.start_ns
        del self.running[progress.job.name]
        self.gpus.unprepare(progress.job.name)
        for gpu in {grant.gpu for grant in progress.grants if grant.method != WHOLE}:
            self._tenants_changed(gpu, now)

    def _tenants_changed(self, gpu: int, now: int) -> None:
        """Speeds on this GPU, and its memory, after a tenant came or went."""
        tenants = self.gpus.tenants[gpu]
        for name, _ in tenants:
            progress = self.running[name]
            if len(tenants) > 1:
                self.ledger.shared.add(name)
            self._set_part(progress, now)
            self._set_rate(progress, self._rate(progress), now)
        if gpu in self._excess:
            since, excess = self._excess.pop(gpu)
            self.ledger.overflow_byte_ns += excess * (now - since)
        if tenants and tenants[0][1].method == TIME_SLICING:
            taken = sum(_taken(self.running[name].job) for name, _ in tenants)
            if taken > self._sites[gpu].facts.memory_bytes:
                self._excess[gpu] = now, taken - self._sites[gpu].facts.memory_bytes
                self.ledger.overflowed.update(name for name, _ in tenants)

    def _rate(self, progress: Progress) -> tuple[int, int]:
        """The slowest of its GPUs sets a job's pace."""
        job, rate, limit = progress.job, FULL, FULL
        for grant in progress.grants:
            on_gpu = self.gpus.tenants[grant.gpu]
            load = sum(load_milli(self.running[name].job) for name, _ in on_gpu)
            tenants = Tenants(len(on_gpu), load)
            rate = slower(rate, speed(self._slowdown, job, self._sites[grant.gpu], grant, tenants))
            limit = slower(limit, limit_of(self._sites[grant.gpu], grant, job, tenants))
        if rate != FULL:
            self.ledger.slowed.add(job.name)
        return self._linked(progress, limit if job.is_service else rate)

    def _linked(self, progress: Progress, rate: tuple[int, int]) -> tuple[int, int]:
        """The rate over the gang's link, which slows every step alike; a service ends by the clock."""
        link = progress.link
        if link is None or link.factor == 1:
            return rate
        if link.factor > 1:
            self.ledger.slowed.add(progress.job.name)
        if progress.job.is_service:
            return rate
        return rate[0] * link.factor.denominator, rate[1] * link.factor.numerator

    def _set_part(self, progress: Progress, now: int) -> None:
        """Tenants of a time-sliced GPU hold equal parts of it, however many replicas are free."""
        if progress.grants[0].method != TIME_SLICING:
            return
        part = sum(1000 // len(self.gpus.tenants[grant.gpu]) for grant in progress.grants)
        if part != progress.part_milli:
            self._settle(progress, now)
            progress.part_milli = part

    def _set_rate(self, progress: Progress, rate: tuple[int, int], now: int) -> None:
        if rate == progress.rate:
            return
        self._settle(progress, now)
        progress.rate = rate
        if progress.job.is_service and progress.version:
            return  # Slower answers, the same hours: its end stays where it is.
        self._versions += 1
        progress.version = self._versions
        left = progress.duration_ns - progress.done_ns
        if not progress.job.is_service:
            left = -(-left * rate[1] // rate[0])
        self.agenda.post(now + left, Completion(progress.job.name, progress.version))

    def _settle(self, progress: Progress, now: int) -> None:
        done = progress.done_ns + (now - progress.since_ns) * progress.rate[0] // progress.rate[1]
        progress.done_ns = min(done, progress.duration_ns)
        progress.held_milli_ns += (now - progress.since_ns) * progress.part_milli
        progress.since_ns = now

    def _book(self, progress: Progress, now: int, lost: bool = False) -> None:
        """Write the stay down. A batch that lost its node did nothing useful; a service served until then."""
        self._settle(progress, now)
        job = progress.job
        done = 0 if lost and not job.is_service else progress.done_ns
        useful = done * load_milli(job) * job.gpus * job.pods
        held, link = progress.held_milli_ns, progress.link
        stay = Stay(job, progress.start_ns, now, progress.grants, held, useful, link)
        self.ledger.stays.append(stay)
        self._count_overflow(progress, now)

    def _count_overflow(self, progress: Progress, now: int) -> None:
        """Memory beyond a limit of its own (MPS, MIG, a whole GPU): the tenant's, and nobody else's."""
        for grant in progress.grants:
            if grant.method == TIME_SLICING:
                continue
            facts = self._sites[grant.gpu].facts
            limit = grant.memory_bytes if grant.method == MPS else facts.memory_bytes
            if grant.method == MIG and grant.profile is not None:
                limit = grant.profile.memory_bytes
            excess = _taken(progress.job) - limit
            if excess > 0:
                self.ledger.overflow_byte_ns += excess * (now - progress.start_ns)
                self.ledger.overflowed.add(progress.job.name)

    def _is_down(self, node: int) -> bool:
        return any(self._sites[gpu].node == node for gpu in self.gpus.down)

    def _mark(self, node: int, lost: bool, now: int) -> None:
        gpus = {gpu for gpu, site in enumerate(self._sites) if site.node == node}
        self.gpus.touched |= gpus
        if not lost:
            self.gpus.down -= gpus
            return
        self.gpus.down |= gpus
        hit = {name for gpu in gpus for name, _ in self.gpus.tenants[gpu]}
        for name in sorted(hit):
            self._end(self.running[name], now, lost=True)
        for gpu in gpus:
            self.gpus.reset(gpu)
            self.cutting.pop(gpu, None)

    def _close(self, now: int) -> None:
        """The period is over: count what still runs up to here; it stays counted as running."""
        for name in sorted(self.running):
            self._book(self.running[name], now)
        for since, excess in self._excess.values():
            self.ledger.overflow_byte_ns += excess * (now - since)
        self.ledger.waiting.update(self._waiting_since)
        self.ledger.waits += [(since, now) for since in self._waiting_since.values()]


def _taken(job: Job) -> int:
    """Memory that the job really took: as judged, else as planned."""
    return (job.memory_bytes or 0) if job.judged_memory_bytes is None else job.judged_memory_bytes

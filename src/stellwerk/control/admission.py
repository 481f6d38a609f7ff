"""The queue of a fleet without quotas: best-effort first in, first out (Kueue's BestEffortFIFO).

In order of arrival, each waiting job starts as soon as its pods fit; one that does not fit is passed over.
Jobs of one shape (one Request object) have one answer, so only the head of each shape is tried.
"""

import heapq
from collections.abc import Mapping
from operator import le

from msgspec.structs import replace

from stellwerk.control.events import (
    Configured,
    ConfigureFailed,
    CutEvent,
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
from stellwerk.control.preparation import Preparation
from stellwerk.engine.decision import Reason
from stellwerk.engine.placement.place import GpuState, Grant, Request, empty, occupy, place, vacate
from stellwerk.engine.placement.sites import Plan

COMPARED = 4  # Failures that a later try is compared with: more cost more than they save.
Ticket = tuple[int, str]  # (arrival in ns, job name): the order of the queue, and its ties.


class Admission:
    """Starts jobs of a plan in order of arrival; `handle` takes one event and returns effects.

    `arrivals` are by job name (ns); nothing starts at `end_ns` or after it, the end of the period. With a
    `preparation`, GPUs are cut before jobs start; without one that takes no time and cannot fail.
    """

    def __init__(
        self,
        plan: Plan,
        arrivals: Mapping[str, int],
        end_ns: int,
        preparation: Preparation | None = None,
    ) -> None:
        self._preparation = preparation
        self._sites, self._requests, self._end_ns = plan.sites, plan.requests, end_ns
        self._states: list[GpuState] = [empty(site) for site in plan.sites]
        self._arrivals = arrivals
        self._nodes = {site.node for site in plan.sites}
        self._waiting: dict[int, list[Ticket]] = {}  # By identity of the Request; each list is a heap.
        self._waiting_count = 0
        self._running: dict[str, tuple[Grant, ...]] = {}
        self._preparing: dict[str, tuple[Grant, ...]] = {}  # They hold GPUs that are not cut yet.
        self._never: dict[int, Reason | None] = {}
        self._sizes: dict[int, tuple[object, tuple[int, ...]]] = {}

    @property
    def running(self) -> Mapping[str, tuple[Grant, ...]]:
        """Jobs that run, with their grants."""
        return self._running

    @property
    def preparation(self) -> Preparation | None:
        """How GPUs are cut for jobs; None: at once."""
        return self._preparation

    @property
    def waiting(self) -> int:
        """How many jobs wait, for GPUs or until these are cut."""
        return self._waiting_count + len(self._preparing)

    def waiting_jobs(self) -> set[str]:
        """Their names, from the queues themselves."""
        return {*self._preparing, *(job for queue in self._waiting.values() for _, job in queue)}

    def handle(self, event: Event, now: int) -> list[Effect]:
        """What to do about `event`."""
        match event:
            case JobArrived(job):
                return self._arrived(job)
            case JobFinished(job):
                return self._start_waiting(self._release(job), now)
            case NodeLost(node):
                return self._lost(node, now)
            case NodeReady(node):
                self._set_up(node, up=True)
                return self._start_waiting({node}, now)
            case Configured() | ConfigureFailed():
                return self._cut_ended(event, now)
            case GpuRepaired(gpu, attempt):
                return self._repaired(gpu, attempt, now)
            case PeriodEnded():
                return []

    def _arrived(self, job: str) -> list[Effect]:
        request = self._requests[job]
        never = self._reject_reason(request)
        if never is not None:
            return [RejectJob(job, never)]
        queue = self._waiting.setdefault(id(request), [])
        if not queue:
            granted = place(self._sites, self._states, request)
            if not isinstance(granted, Reason):
                return self._start(job, granted)
        self._enqueue(job)
        return []

    def _reject_reason(self, request: Request) -> Reason | None:
        """Why even the empty fleet has no place, or None; asked once for each shape."""
        if id(request) not in self._never:
            states = [empty(site) for site in self._sites]
            granted = place(self._sites, states, request)
            self._never[id(request)] = why_never(request) if isinstance(granted, Reason) else None
        return self._never[id(request)]

    def _enqueue(self, job: str) -> None:
        heapq.heappush(self._waiting.setdefault(id(self._requests[job]), []), (self._arrivals[job], job))
        self._waiting_count += 1

    def _start(self, job: str, grants: tuple[Grant, ...]) -> list[Effect]:
        """Take the GPUs; the job starts at once, or when they are cut."""
        if self._preparation is not None:
            grants = self._preparation.adapted(grants, self._states)
        for grant in grants:
            self._states[grant.gpu] = occupy(self._sites[grant.gpu], self._states[grant.gpu], grant)
        if self._preparation is not None:
            cuts = self._preparation.begin(job, grants)
            if not self._preparation.is_ready(job):
                self._preparing[job] = grants
                return [*cuts]
        self._running[job] = grants
        return [StartJob(job, grants)]

    def _cut_ended(self, event: CutEvent, now: int) -> list[Effect]:
        """Start whose GPUs are ready; a GPU that failed too often is cordoned, and its jobs go elsewhere."""
        assert self._preparation is not None, "only a preparation asks for cuts"
        prepared = self._preparation.ended(event)
        effects: list[Effect] = [*prepared.effects]
        for job in prepared.ready if now < self._end_ns else ():
            self._running[job] = self._preparing.pop(job)
            effects.append(StartJob(job, self._running[job]))
        for job in prepared.dropped:
            self._release(job)
            self._enqueue(job)
        if not prepared.cordoned:
            return effects
        self._set_gpu_up(event.gpu, up=False)
        return [*effects, RepairGpu(event.gpu, event.attempt), *self._start_waiting(self._nodes, now)]

    def _repaired(self, gpu: int, attempt: int, now: int) -> list[Effect]:
        assert self._preparation is not None, "only a preparation has GPUs repaired"
        if not self._preparation.repaired(gpu, attempt):
            return []
        self._set_gpu_up(gpu, up=True)
        return self._start_waiting({self._sites[gpu].node}, now)

    def _release(self, job: str) -> set[int]:
        """Take the job's grants back; returns the nodes that have more room now."""
        grants = self._preparing.pop(job) if job in self._preparing else self._running.pop(job)
        for grant in grants:
            self._states[grant.gpu] = vacate(self._sites[grant.gpu], self._states[grant.gpu], grant)
        return {self._sites[grant.gpu].node for grant in grants}

    def _start_waiting(self, nodes: set[int], now: int) -> list[Effect]:
        """Go through the queue once, after `nodes` got room: nobody who waits had a place anywhere else.

        What does not fit now cannot fit later in the same pass, nor can what asks for more of the same: so
        measured needs, each a little different, cost little.
        """
        if now >= self._end_ns:
            return []
        among = [gpu for gpu, site in enumerate(self._sites) if site.node in nodes]
        failed: dict[object, list[tuple[int, ...]]] = {}
        heads = [(queue[0], shape) for shape, queue in self._waiting.items() if queue]
        heapq.heapify(heads)
        effects: list[Effect] = []
        while heads:
            (_, job), shape = heapq.heappop(heads)
            request = self._requests[job]
            ways, asked = self._ways_and_size(request)
            smaller = failed.setdefault(ways, [])
            if request.pods == 1 and any(all(map(le, size, asked)) for size in smaller):
                continue
            granted = place(self._sites, self._states, request, among)
            if isinstance(granted, Reason):
                if request.pods == 1:
                    smaller[:] = [*smaller[1 - COMPARED :], asked]
                continue
            queue = self._waiting[shape]
            heapq.heappop(queue)
            self._waiting_count -= 1
            effects += self._start(job, granted)
            if queue:
                heapq.heappush(heads, (queue[0], shape))
        return effects

    def _ways_and_size(self, request: Request) -> tuple[object, tuple[int, ...]]:
        """Computed once for each shape: a long queue asks for them at every event."""
        known = self._sizes.get(id(request))
        if known is None:
            known = self._sizes[id(request)] = (request.ways, request.size)
        return known

    def _lost(self, node: int, now: int) -> list[Effect]:
        """Interrupt what ran there; it keeps its place in the queue, and may find one on any other node."""
        holding = {**self._running, **self._preparing}
        hit = sorted(
            job
            for job, grants in holding.items()
            if any(self._sites[grant.gpu].node == node for grant in grants)
        )
        stopped: list[Effect] = [StopJob(job) for job in hit if job in self._running]
        for job in hit:
            if self._preparation is not None:
                self._preparation.drop(job)
            self._release(job)
            self._enqueue(job)
        if self._preparation is not None:
            self._preparation.reset(gpu for gpu, site in enumerate(self._sites) if site.node == node)
        self._set_up(node, up=False)
        return [*stopped, ReplaceNode(node), *self._start_waiting(self._nodes, now)]

    def _set_up(self, node: int, up: bool) -> None:
        for gpu, site in enumerate(self._sites):
            if site.node == node:
                self._set_gpu_up(gpu, up)

    def _set_gpu_up(self, gpu: int, up: bool) -> None:
        self._states[gpu] = replace(self._states[gpu], up=up)


def why_never(request: Request) -> Reason:
    """Why an empty fleet cannot take the request: its memory, its number of GPUs, or its gang."""
    if not request.needs:
        return Reason(
            "MemoryTooLarge", "no GPU model of the fleet has the memory that the job was measured with"
        )
    asked = max(need.gpus for _, options in request.needs for need in options)
    if request.pods > 1:
        text = "the fleet cannot hold {pods} pods of {gpus} GPUs at once under this policy"
        return Reason("GangTooLarge", text, {"pods": request.pods, "gpus": asked})
    return Reason("NotEnoughGpus", "no node has {gpus} whole GPUs under this policy", {"gpus": asked})

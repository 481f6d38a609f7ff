"""GPUs are cut before jobs start on them: one cut at a time on a GPU, in order of asking, then checked.

A cut that reports success is believed only if the GPU publishes what was asked for (NVIDIA/mig-parted#18:
"applied successfully", and nothing was done). What failed is tried again on the same GPU; after
MOST_FAILURES in a row the GPU is cordoned until it is repaired, and its jobs seek another place.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.control.events import Configured, ConfigureFailed, ConfigureGpu
from stellwerk.engine.placement.cuts import Layout, after, cut_for, disturbs, first_layout, on_idle_instance
from stellwerk.engine.placement.place import GpuState, Grant, Site

MOST_FAILURES = 3  # In a row on one GPU.


class Prepared(Struct, frozen=True):
    """What follows from a cut's end: cuts to do, jobs that can start, jobs whose GPU was cordoned."""

    effects: tuple[ConfigureGpu, ...] = ()
    ready: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    cordoned: bool = False


class Preparation:
    """Which GPU has which layout, as published, and who waits for a cut there."""

    def __init__(self, sites: Sequence[Site]) -> None:
        self._sites = sites
        self._layouts = [first_layout(site) for site in sites]
        self._queues: dict[int, deque[str]] = {}  # GPU -> jobs, the first of them being cut for.
        self._doing: dict[int, ConfigureGpu] = {}
        self._grants: dict[str, tuple[Grant, ...]] = {}
        self._open: dict[str, set[int]] = {}  # Job -> GPUs that are not ready for it.
        self._failures: dict[int, int] = {}
        self._cordoned: dict[int, int] = {}  # GPU -> the attempt after which it was cordoned.
        self._attempts = 0

    @property
    def doing(self) -> Mapping[int, ConfigureGpu]:
        """Cuts that run now, by GPU."""
        return self._doing

    @property
    def layouts(self) -> Sequence[Layout]:
        """What each GPU has, as it was last published."""
        return self._layouts

    def adapted(self, grants: tuple[Grant, ...], states: Sequence[GpuState]) -> tuple[Grant, ...]:
        """The grants, on idle instances of the same profile on the same GPUs where there are any."""
        found = list(grants)
        for position, grant in enumerate(found):
            used = states[grant.gpu].used
            for other in (*found[:position], *found[position + 1 :]):
                used |= other.mask if other.gpu == grant.gpu else 0
            site, layout = self._sites[grant.gpu], self._layouts[grant.gpu]
            found[position] = on_idle_instance(site, layout, used, grant)
        return tuple(found)

    def begin(self, job: str, grants: tuple[Grant, ...]) -> list[ConfigureGpu]:
        """The cuts that the job needs first; none, and `is_ready`, where it can start as things are."""
        effects: list[ConfigureGpu] = []
        self._grants[job], self._open[job] = grants, set()
        for gpu in sorted({grant.gpu for grant in grants}):
            if self._can_start(gpu, self._mine(job, gpu)):
                continue
            self._open[job].add(gpu)
            self._queues.setdefault(gpu, deque()).append(job)
            if gpu not in self._doing:
                effects += self._advance(gpu)[0]
        if self.is_ready(job):
            self._forget(job)
        return effects

    def is_ready(self, job: str) -> bool:
        """Whether nothing is left to do for the job."""
        return not self._open.get(job)

    def ended(self, event: Configured | ConfigureFailed) -> Prepared:
        """A cut is over, well or not: believe what is published, then go on or try again."""
        gpu, doing = event.gpu, self._doing.get(event.gpu)
        if doing is None or doing.attempt != event.attempt:
            return Prepared()
        del self._doing[gpu]
        done = event.published == after(self._layouts[gpu], doing.cut)
        self._layouts[gpu] = event.published
        self._failures[gpu] = 0 if done else self._failures.get(gpu, 0) + 1
        if self._failures[gpu] < MOST_FAILURES:
            effects, ready = self._advance(gpu)
            return Prepared(tuple(effects), tuple(ready))
        self._cordoned[gpu], self._failures[gpu] = event.attempt, 0
        dropped = tuple(self._queues.get(gpu, ()))
        for job in dropped:
            self.drop(job)
        return Prepared(dropped=dropped, cordoned=True)

    def repaired(self, gpu: int, attempt: int) -> bool:
        """Whether the GPU was cordoned after this attempt and takes jobs again from now on."""
        if self._cordoned.get(gpu) != attempt:
            return False  # Its node was lost and came back meanwhile.
        del self._cordoned[gpu]
        return True

    def drop(self, job: str) -> None:
        """The job gave its GPUs back before it could start; a cut that runs for it runs on."""
        for gpu in self._open.get(job, ()):
            self._queues[gpu].remove(job)
        self._forget(job)

    def reset(self, gpus: Iterable[int]) -> None:
        """The node of these GPUs is lost: what comes back is as a new one. Their jobs were dropped before."""
        for gpu in gpus:
            self._layouts[gpu] = first_layout(self._sites[gpu])
            for known in (self._doing, self._queues, self._failures, self._cordoned):
                known.pop(gpu, None)

    def _can_start(self, gpu: int, grants: Sequence[Grant]) -> bool:
        site, layout, doing = self._sites[gpu], self._layouts[gpu], self._doing.get(gpu)
        if cut_for(site, layout, grants) is not None:
            return False
        return doing is None or not disturbs(layout, doing.cut, site, grants)

    def _advance(self, gpu: int) -> tuple[list[ConfigureGpu], list[str]]:
        """The next cut on the GPU, and the jobs for which it was the last one."""
        queue = self._queues.get(gpu, deque())
        ready: list[str] = []
        while queue:
            cut = cut_for(self._sites[gpu], self._layouts[gpu], self._mine(queue[0], gpu))
            if cut is not None:
                self._attempts += 1
                self._doing[gpu] = ConfigureGpu(gpu, self._attempts, cut)
                return [self._doing[gpu]], ready
            job = queue.popleft()
            self._open[job].discard(gpu)
            if self.is_ready(job):
                self._forget(job)
                ready.append(job)
        return [], ready

    def _mine(self, job: str, gpu: int) -> list[Grant]:
        return [grant for grant in self._grants[job] if grant.gpu == gpu]

    def _forget(self, job: str) -> None:
        self._grants.pop(job, None)
        self._open.pop(job, None)

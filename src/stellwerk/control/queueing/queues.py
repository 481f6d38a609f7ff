"""`Queues`: what Kueue's manager does while time goes on, as a pure controller.

It holds the queues and who has quota of them, runs a cycle when somebody may be tried, and has its own sense
of time: after quota came free, parked workloads of the tree of cohorts are looked at again a second later,
all that is asked for meanwhile at once; cycles that achieve nothing follow each other ever more slowly.
Source: kueue pkg/cache/queue/inadmissible_workloads.go (requeueBatchPeriod), pkg/util/wait/backoff.go.
"""

from collections.abc import Iterable

from msgspec import Struct

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.activity import ACTIVE
from stellwerk.engine.queueing.course.state import (
    SECOND,
    State,
    arrive,
    change,
    decide,
    leave,
    reconsider,
    release,
    state_of,
)
from stellwerk.engine.queueing.cycle.decision import Decision
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Snapshot

MILLISECOND = 1_000_000


class Timing(Struct, frozen=True, kw_only=True):
    """Kueue's own waits, in ns. `batch`: from quota that came free to the parked workloads' next try.

    `backoff`, `most_backoff`: between cycles in which nobody was admitted; it doubles. `cycle`: how long a
    cycle takes, before the next one can begin.
    """

    batch: int = SECOND
    backoff: int = MILLISECOND
    most_backoff: int = 10 * MILLISECOND
    cycle: int = 0


class Queues:
    """All methods take `now` (ns). `due` says when `work` is to be called next."""

    def __init__(
        self, snapshot: Snapshot, workloads: Iterable[Workload], now: int, timing: Timing | None = None
    ) -> None:
        self.state: State = state_of(snapshot, workloads, now)
        self._timing = timing or Timing()
        self._batches: dict[int, tuple[int, str]] = {}  # By root: when, and a ClusterQueue of the tree.
        self._next_cycle = now
        self._backoff = 0
        self._heads: bool | None = None  # Whether anybody may be tried; None: it is to be looked up.
        self._moment: object = None  # Who was to be tried after the last cycle, if that changed nothing.

    def create(self, workload: Workload, now: int) -> Workload:
        """A Workload was made; returns it as it is written then."""
        self._heads = self._heads or None
        return arrive(self.state, workload, now)

    def update(self, workload: Workload, now: int) -> Workload | None:
        """A Workload is new, or is as somebody else wrote it; returns it as it is written then.

        None for one that has neither quota nor a place in a queue any more: it has finished, or is inactive.
        """
        self._heads = None
        self._free(change(self.state, workload, now), now)
        return self.state.workloads.get(workload_key(workload))

    def release(self, keys: Iterable[str], now: int) -> None:
        """The owners of these evicted workloads have stopped: they wait again."""
        self._heads = self._heads or None
        self._free(release(self.state, keys, now), now)

    def leave(self, keys: Iterable[str], now: int) -> None:
        """These have finished or were deleted."""
        self._heads = None  # One of them may have waited as the only one, or somebody for its quota.
        self._free(leave(self.state, keys), now)

    def due(self) -> int | None:
        """When something is to be done; None: only after something else happens."""
        times = [at for at, _ in self._batches.values()]
        times += [second.ready_at for second in self.state.backlog.second_pass.values()]
        if self._has_heads():
            times.append(self._next_cycle)
        return min(times, default=None)

    def work(self, now: int) -> Decision | None:
        """What is due: parked workloads are looked at again, and a cycle, if there is anybody to try."""
        ready = [root for root, (at, _) in self._batches.items() if at <= now]
        if ready:
            self._heads = self._heads or None
            reconsider(self.state, [self._batches.pop(root)[1] for root in ready], now)
        if now < self._next_cycle or not (self._has_heads() or self._has_second_pass(now)):
            return None
        decision = decide(self.state, now)
        self._heads = None
        timing = self._timing
        if decision.admitted:
            self._backoff = 0
        else:
            self._backoff = min(max(timing.backoff, 2 * self._backoff), timing.most_backoff)
        self._next_cycle = now + timing.cycle + self._backoff
        self._look_for_rest(decision)
        return decision

    def _look_for_rest(self, decision: Decision) -> None:
        """Equal moments lead to equal cycles: where one changed nothing, nobody is tried until something happens.

        A queue in strict order whose head does not fit would be tried a hundred times a second otherwise.
        Under admission fair sharing time alone changes the order.
        """
        sharing = self.state.snapshot.configuration.admission_fair_sharing is not None
        if sharing or decision.admitted or any(not one.ongoing for one in decision.evicted):
            self._moment = None
            return
        moment = tuple(
            (name, one.info.key, None if one.progress is None else one.progress.last_tried)
            for name, pending in sorted(self.state.backlog.queues.items())
            for one in pending.active
        )
        if moment == self._moment:
            self._heads = False
        self._moment = moment

    def _free(self, queues: Iterable[str], now: int) -> None:
        tree = self.state.snapshot.tree
        for name in queues:
            self._batches.setdefault(tree.root(tree.queues[name]), (now + self._timing.batch, name))

    def _has_heads(self) -> bool:
        if self._heads is None:
            activity = self.state.snapshot.activity
            self._heads = any(
                pending.active and name in activity and activity[name].status == ACTIVE
                for name, pending in self.state.backlog.queues.items()
            )
        return self._heads

    def _has_second_pass(self, now: int) -> bool:
        return any(one.ready_at <= now for one in self.state.backlog.second_pass.values())

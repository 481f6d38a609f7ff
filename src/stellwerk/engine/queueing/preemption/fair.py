"""Preemption by fair sharing: the queue that borrows most gives way first, as long as that is fairer.

Source: kueue pkg/scheduler/preemption (fairPreemptions), preemption/fairsharing; KEP-1714.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf

from stellwerk.engine.queueing.preemption.contest import (
    IN_CLUSTER_QUEUE,
    IN_COHORT_FAIR_SHARING,
    IN_COHORT_RECLAMATION,
    Contest,
    Target,
)
from stellwerk.engine.queueing.queue import NEVER
from stellwerk.engine.queueing.quota.share import Share, dominant_resource_share
from stellwerk.engine.queueing.quota.tree import ALL_QUEUES
from stellwerk.engine.queueing.snapshot import Holding

FINAL, INITIAL = "LessThanOrEqualToFinalShare", "LessThanInitialShare"
# Preemptor's share with the workload, the target's before and after losing one: is it fair to take it?
Strategy = Callable[[Share, Share, Share], bool]
STRATEGIES: dict[str, Strategy] = {
    FINAL: lambda mine, _, after: mine.rank <= after.rank,
    INITIAL: lambda mine, before, _: mine.rank < before.rank,
}


def fair_targets(contest: Contest, strategies: Sequence[str]) -> list[Target]:
    """Whom to preempt, in the order found; empty if preempting does not help. `strategies`: Kueue's names."""
    candidates = sorted(_candidates(contest), key=contest.order)  # type: ignore[arg-type]
    if not candidates:
        return []
    contest.ledger.add(contest.charges)  # Shares are compared as if the workload ran already.
    search = _Search(contest)
    done = search.first(candidates, STRATEGIES[strategies[0]])
    if not done and len(strategies) > 1:
        done = search.second()
    contest.ledger.remove(contest.charges)
    targets = contest.fill_back(search.targets, True) if done else search.targets
    contest.restore(targets)
    return targets if done else []


def _candidates(contest: Contest) -> Iterator[Holding]:
    """Of the own queue by its policy, and of queues in the whole tree that borrow what is needed."""
    policy = contest.queue.preemption
    tree, node = contest.snapshot.tree, contest.queue.node
    if policy.within_cluster_queue != NEVER:
        yield from contest.preemptible(node, policy.within_cluster_queue)
    if tree.parent[node] < 0 or policy.reclaim_within_cohort == NEVER:
        return
    cells = tree.cells_of(tree.root(node), ALL_QUEUES, contest.needed)
    for queue in contest.ledger.beyond_nominal(cells):
        if queue != node:
            yield from contest.preemptible(queue, policy.reclaim_within_cohort)


class Tournament:
    """Which ClusterQueue gives way next: from the root down, always the child with the largest share."""

    def __init__(self, contest: Contest, candidates: Sequence[Holding]) -> None:
        self._contest = contest
        self._tree = contest.snapshot.tree
        self._ancestors = frozenset(self._tree.ancestors(contest.queue.node))
        self._waiting: dict[int, list[Holding]] = {}
        self._dropped: set[int] = set()
        for one in candidates:
            self._waiting.setdefault(self._tree.queues[one.info.cluster_queue], []).append(one)

    def queues(self) -> Iterator[int]:
        """The next queue, again and again; between two answers a candidate must be popped or the queue
        dropped.
        """
        own = self._contest.queue.node
        if self._tree.parent[own] < 0:
            while own not in self._dropped and self.has_candidate(own):
                yield own
            return
        root = self._tree.root(own)
        while root not in self._dropped:
            queue = self._next(root)
            if queue is not None:
                yield queue

    def has_candidate(self, queue: int) -> bool:
        """Whether a candidate of the queue is left."""
        return bool(self._waiting.get(queue))

    def pop(self, queue: int) -> Holding:
        """The queue's next candidate."""
        return self._waiting[queue].pop(0)

    def drop(self, queue: int) -> None:
        """Nothing of this queue any more."""
        self._dropped.add(queue)

    def below_common(self, queue: int) -> tuple[int, int]:
        """The children of the lowest common Cohort on the preemptor's way and on the queue's."""
        common = next(one for one in self._tree.ancestors(queue) if one in self._ancestors)
        return self._child_of(common, self._contest.queue.node), self._child_of(common, queue)

    def _child_of(self, cohort: int, node: int) -> int:
        while self._tree.parent[node] != cohort:
            node = self._tree.parent[node]
        return node

    def share(self, node: int) -> Share:
        """The node's share now."""
        return dominant_resource_share(self._contest.ledger, node)

    def _next(self, cohort: int) -> int | None:
        """The queue under this Cohort; None if something was dropped, and it has to be asked again."""
        queue, queue_share = self._largest_queue(cohort)
        child, child_share = self._largest_cohort(cohort)
        if queue is None and child is None:
            self._dropped.add(cohort)
            return None
        if child is not None and (queue_share is None or child_share >= queue_share):  # type: ignore[operator]
            return self._next(child)
        return queue

    def _largest_queue(self, cohort: int) -> tuple[int | None, tuple[bool, float] | None]:
        found, largest = None, None
        order = self._contest.order_of_tournament
        for queue in self._tree.child_queues[cohort]:
            if queue in self._dropped:
                continue
            if not self.has_candidate(queue):
                self._dropped.add(queue)
                continue
            share = self.share(queue)
            if not share.borrowing and queue != self._contest.queue.node:
                self._dropped.add(queue)
            elif found is None or largest is None or share.rank > largest:
                found, largest = queue, share.rank
            elif share.rank == largest and (
                order(self._waiting[queue][0]) < order(self._waiting[found][0])  # type: ignore[operator]
            ):
                found = queue
        return found, largest

    def _largest_cohort(self, cohort: int) -> tuple[int | None, tuple[bool, float] | None]:
        found, largest = None, None
        for child in self._tree.child_cohorts[cohort]:
            if child in self._dropped:
                continue
            share = self.share(child)
            if not share.borrowing and child not in self._ancestors:
                self._dropped.add(child)
            elif largest is None or share.rank >= largest:
                found, largest = child, share.rank
        return found, largest


class _Search:
    """The targets while they are found; `retry`: candidates that the first strategy left."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._retry: list[Holding] = []
        self.targets: list[Target] = []

    def first(self, candidates: Sequence[Holding], strategy: Strategy) -> bool:
        """By the first strategy; whether the workload fits then."""
        contest = self._contest
        tournament = Tournament(contest, candidates)
        entitled = (
            contest.snapshot.gates.fair_sharing_preempt_within_nominal
            and contest.ledger.within_nominal(contest.cells(contest.queue.node))
        )
        for queue in tournament.queues():
            if queue == contest.queue.node or entitled:
                reason = IN_CLUSTER_QUEUE if queue == contest.queue.node else IN_COHORT_RECLAMATION
                if self._take(tournament.pop(queue), reason):
                    return True
            elif self._by_share(tournament, queue, strategy):
                return True
        return False

    def _by_share(self, tournament: Tournament, queue: int, strategy: Strategy) -> bool:
        """The queue's first candidate whose loss is fair; then shares have changed, and the tournament
        goes on.
        """
        ours, theirs = tournament.below_common(queue)
        mine, before = tournament.share(ours), tournament.share(theirs)
        hopeless = mine.weighted == inf and before.weighted != inf
        while tournament.has_candidate(queue):
            candidate = tournament.pop(queue)
            if hopeless or not strategy(mine, before, self._after(tournament, theirs, candidate)):
                self._retry.append(candidate)
                continue
            return self._take(candidate, IN_COHORT_FAIR_SHARING)
        return False

    def _after(self, tournament: Tournament, node: int, candidate: Holding) -> Share:
        ledger = self._contest.ledger
        ledger.remove(candidate.charges)
        share = tournament.share(node)
        ledger.add(candidate.charges)
        return share

    def second(self) -> bool:
        """By the second strategy (only the initial share counts): at most one candidate of each queue."""
        tournament = Tournament(self._contest, self._retry)
        for queue in tournament.queues():
            ours, theirs = (
                tournament.below_common(queue) if queue != self._contest.queue.node else (queue, queue)
            )
            candidate = tournament.pop(queue)
            fair = STRATEGIES[INITIAL](tournament.share(ours), tournament.share(theirs), Share())
            if fair and self._take(candidate, IN_COHORT_FAIR_SHARING):
                return True
            tournament.drop(queue)
        return False

    def _take(self, candidate: Holding, reason: str) -> bool:
        contest = self._contest
        contest.take(candidate)
        self.targets.append(Target(candidate, reason))
        contest.ledger.remove(contest.charges)
        fits = contest.fits(True)
        contest.ledger.add(contest.charges)
        return fits

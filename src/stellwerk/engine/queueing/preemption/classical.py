"""Preemption by priority and by quota: in the queue, and in the cohort of those who use more than theirs.

Three kinds of candidates: over some the workload's place in the tree gives it the right (their use exceeds a
quota that is nearer to it), over others only priority, under borrowWithinCohort; the rest are its own
queue's. Source: kueue pkg/scheduler/preemption/classical, preemption.go; KEP-79, KEP-1337.
"""

from collections.abc import Iterator

from msgspec import Struct

from stellwerk.engine.queueing.preemption.candidate import sorted_by_rank
from stellwerk.engine.queueing.preemption.contest import (
    IN_CLUSTER_QUEUE,
    IN_COHORT_RECLAIM_WHILE_BORROWING,
    IN_COHORT_RECLAMATION,
    Contest,
    Target,
)
from stellwerk.engine.queueing.queue import NEVER
from stellwerk.engine.queueing.quota.tree import COHORTS, QUEUES
from stellwerk.engine.queueing.snapshot import Holding


class _Candidate(Struct, frozen=True):
    """`common`: the lowest Cohort over both queues, -1 in the own queue. `never_borrowing`: only if, in
    the end, the workload's queue does not borrow."""

    holding: Holding
    common: int
    reason: str
    never_borrowing: bool = False


class _Found(Struct, frozen=True):
    """Candidates in the order in which they are tried."""

    ordered: tuple[_Candidate, ...]
    of_others: bool
    by_hierarchy: bool


def classical_targets(contest: Contest) -> list[Target]:
    """Whom to preempt, in the order found; empty if preempting does not help."""
    found = _candidates(contest)
    for borrowing in _attempts(contest, found):
        targets: list[Target] = []
        for candidate in found.ordered:
            if candidate.common >= 0 and not _is_valid(contest, candidate, borrowing):
                continue
            contest.take(candidate.holding)
            targets.append(Target(candidate.holding, candidate.reason))
            if contest.fits(borrowing):
                targets = contest.fill_back(targets, borrowing)
                contest.restore(targets)
                return targets
        contest.restore(targets)
    return []


def _attempts(contest: Contest, found: _Found) -> tuple[bool, ...]:
    """With and without borrowing: without it there are more candidates, with it more quota."""
    forbidden = not _may_borrow(contest)
    if not found.of_others or (forbidden and not _is_under_nominal(contest)):
        return (True,)
    return (False, True) if forbidden and not found.by_hierarchy else (True, False)


def _may_borrow(contest: Contest) -> bool:
    return contest.queue.preemption.borrow_within_cohort not in (NEVER, "")


def _is_under_nominal(contest: Contest) -> bool:
    """Whether the queue's own quota has room in all that is needed."""
    nominal = contest.snapshot.tree.subtree
    return all(contest.ledger.usage(cell) < nominal[cell] for cell in contest.cells(contest.queue.node))


def _candidates(contest: Contest) -> _Found:
    own = [] if contest.queue.preemption.within_cluster_queue == NEVER else _of_own_queue(contest)
    hierarchy, priority = _of_cohort(contest)
    evicted: list[_Candidate] = []
    others: list[_Candidate] = []
    for group in (hierarchy, priority):
        if len(group) > 1:
            group.sort(key=lambda one: contest.order(one.holding))  # type: ignore[arg-type,return-value]
    for one in (*hierarchy, *priority, *own):
        (evicted if one.holding.standing.evicted else others).append(one)
    return _Found((*evicted, *others), bool(hierarchy or priority), bool(hierarchy))


def _of_own_queue(contest: Contest) -> list[_Candidate]:
    found = contest.preemptible(contest.queue.node, contest.queue.preemption.within_cluster_queue)
    if not (contest.by_rank and sorted_by_rank(found)):
        found.sort(key=contest.order)  # type: ignore[arg-type]
    return [_Candidate(holding, -1, IN_CLUSTER_QUEUE) for holding in found]


def _of_cohort(contest: Contest) -> tuple[list[_Candidate], list[_Candidate]]:
    """By hierarchy and by priority: going up, a subtree's quota that holds the workload is its right."""
    hierarchy: list[_Candidate] = []
    priority: list[_Candidate] = []
    tree, node = contest.snapshot.tree, contest.queue.node
    ancestors = tree.ancestors(node)
    if not ancestors or contest.queue.preemption.reclaim_within_cohort == NEVER:
        return hierarchy, priority
    has_right, remaining = contest.ledger.fits_in_subtree(contest.charges)
    before = -1
    for cohort in ancestors:
        found = hierarchy if has_right else priority
        found += _in_subtree(contest, cohort, (cohort, before), has_right)
        fits, remaining = contest.ledger.fits_in_subtree(remaining)
        has_right = has_right or fits
        before = cohort
    return hierarchy, priority


def _in_subtree(
    contest: Contest, cohort: int, top_and_skipped: tuple[int, int], has_right: bool
) -> Iterator[_Candidate]:
    """Candidates of the queues under a Cohort that use more than their quota, but not where we came from."""
    tree, ledger = contest.snapshot.tree, contest.ledger
    top, skipped = top_and_skipped
    for child in ledger.beyond_nominal(tree.cells_of(cohort, COHORTS, contest.needed)):
        if child != skipped:
            yield from _in_subtree(contest, child, top_and_skipped, has_right)
    policy = contest.queue.preemption.reclaim_within_cohort
    for queue in ledger.beyond_nominal(tree.cells_of(cohort, QUEUES, contest.needed)):
        if queue != contest.queue.node:
            for holding in contest.preemptible(queue, policy):
                yield _classified(contest, holding, top, has_right)


def _classified(contest: Contest, holding: Holding, top: int, has_right: bool) -> _Candidate:
    if has_right:
        return _Candidate(holding, top, IN_COHORT_RECLAMATION)
    if not _may_borrow(contest) or _is_above_threshold(contest, holding):
        return _Candidate(holding, top, IN_COHORT_RECLAMATION, never_borrowing=True)
    return _Candidate(holding, top, IN_COHORT_RECLAIM_WHILE_BORROWING)


def _is_above_threshold(contest: Contest, holding: Holding) -> bool:
    theirs, most = holding.standing.priority, contest.queue.preemption.max_priority_threshold
    return theirs >= contest.standing.priority or (most is not None and theirs > most)


def _is_valid(contest: Contest, candidate: _Candidate, borrowing: bool) -> bool:
    """Whether the candidate may still be taken: its queue, and all Cohorts below the common one, borrow."""
    if borrowing and candidate.never_borrowing:
        return False
    tree, ledger = contest.snapshot.tree, contest.ledger
    node = tree.queues[candidate.holding.info.cluster_queue]
    while node != candidate.common:
        if ledger.within_nominal(contest.cells(node)):
            return False
        node = tree.parent[node]
    return True

"""One search: the pods of a PodSet, perhaps with a leader, to domains of the lowest level.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, findTopologyAssignment (ff69552e).
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.decision import Assignment, DomainPods, Gates, PodSetRequest, Unfit
from stellwerk.engine.topology.assignment.fleet.amounts import PODS, Amounts, added
from stellwerk.engine.topology.assignment.fleet.node_match import match_leaves
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot
from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts
from stellwerk.engine.topology.assignment.fleet.tree import Tree
from stellwerk.engine.topology.assignment.search.balanced import balance
from stellwerk.engine.topology.assignment.search.counts import Demand, fill_counts
from stellwerk.engine.topology.assignment.search.distribute import distribute, share_of
from stellwerk.engine.topology.assignment.search.fit_level import Fit, Question, fit_level
from stellwerk.engine.topology.assignment.search.order import Profile, sorted_domains
from stellwerk.engine.topology.assignment.search.shape import pods_of, shape_of
from stellwerk.engine.topology.assignment.search.wish import wish_of

Placed = Mapping[str, Assignment]  # By PodSet.
_ONE_POD = {PODS: 1}


class Terms(Struct, frozen=True, kw_only=True):
    """Under which terms is searched. `assumed`: domain to what is taken there already, beside the snapshot.

    `within`: the only domain that may be used, by its id. `empty`: as if all Workloads were preempted.
    """

    gates: Gates
    assumed: Mapping[str, Amounts]
    within: str = ""
    empty: bool = False


def place(
    snapshot: FlavorSnapshot, workers: PodSetRequest, leader: PodSetRequest | None, terms: Terms
) -> Placed | Unfit:
    """Where the workers and their leader go, or why they cannot go anywhere."""
    pods = pods_of(workers)
    if isinstance(pods, Reason):
        return pods
    wish = wish_of(snapshot.tree, given(workers.pod_set.topology_request, None), workers.implied)
    if isinstance(wish, Reason):
        return wish
    shape = shape_of(snapshot, workers, pods, terms.gates)
    if isinstance(shape, Reason):
        return shape
    matched = snapshot.matches.get(shape)
    if matched is None:
        matched = snapshot.matches[shape] = match_leaves(snapshot.tree, shape)
    demand = Demand(
        count=workers.count,
        requests=added(workers.requests, _ONE_POD),
        leader=None if leader is None else added(leader.requests, _ONE_POD),
        assumed=terms.assumed,
        within=terms.within,
        empty=terms.empty,
    )
    question = Question(
        topology=snapshot.topology,
        tree=snapshot.tree,
        totals=fill_counts(snapshot, shape, matched, demand, wish),
        wish=wish,
        profile=Profile(
            wish.unconstrained and terms.gates.profile_mixed, terms.gates.respect_node_affinity_preferred
        ),
        count=demand.count,
        leaders=demand.leaders,
    )
    return _answer(question, workers, leader, terms.gates)


def _answer(
    question: Question, workers: PodSetRequest, leader: PodSetRequest | None, gates: Gates
) -> Placed | Unfit:
    wish = question.wish
    balanced = None
    if gates.balanced_placement and not wish.required and not wish.unconstrained:
        balanced = balance(question)
    if balanced is not None:
        levels, fit = balanced
        leaves = _descend(question, levels, fit, fit.level)
    else:
        found = fit_level(question)
        if not isinstance(found, Fit):
            return found
        levels = question.totals.levels
        leaves = _descend(question, levels, found, wish.slice_level)
    lowest = levels[-1]
    placed = {given(workers.pod_set.name, "main"): _assignment(question.tree, leaves, lowest.pods)}
    if leader is not None:
        placed[given(leader.pod_set.name, "main")] = _assignment(question.tree, leaves, lowest.leaders)
    return placed


def _descend(question: Question, levels: Sequence[LevelCounts], fit: Fit, spread_to: int) -> list[int]:
    """From the fitting domains down to leaves, with as few domains of each level as possible.

    Above the level `spread_to` all chosen domains are filled as one; below it each hands down what it got.
    """
    wish, best_fit = question.wish, not question.profile.least_free
    whole = share_of(question.count, question.leaders, wish.slice_size, by_slice=True, best_fit=best_fit)
    tree_levels = question.tree.levels
    level, last = fit.level, len(tree_levels) - 1
    chosen = distribute(levels[level], fit.domains, whole)
    for level in range(fit.level, min(last, spread_to)):
        first = tree_levels[level].first
        children = [child for domain in chosen for child in range(first[domain], first[domain + 1])]
        ordered = sorted_domains(levels[level + 1], children, question.profile)
        chosen = distribute(levels[level + 1], ordered, whole)
    for level in range(max(fit.level, min(last, spread_to)), last):
        size = wish.slice_size if level < wish.slice_level else wish.inner.get(level + 1, 1)
        chosen = [child for domain in chosen for child in _hand_down(question, levels, (level, domain), size)]
    return chosen


def _hand_down(
    question: Question, levels: Sequence[LevelCounts], place: tuple[int, int], size: int
) -> list[int]:
    """The children that get the pods of the domain at `place` (level and index), in slices of `size`."""
    level, domain = place
    own, below, first = levels[level], levels[level + 1], question.tree.levels[level].first
    ordered = sorted_domains(below, range(first[domain], first[domain + 1]), question.profile)
    if size > 1:  # The counts were of the outermost slices.
        for child in ordered:
            below.slices[child] = below.pods[child] // size
            below.led_slices[child] = below.led_pods[child] // size
    best_fit = not question.profile.least_free
    share = share_of(own.pods[domain], own.leaders[domain], size, by_slice=size > 1, best_fit=best_fit)
    return distribute(below, ordered, share)


def _assignment(tree: Tree, leaves: Sequence[int], pods: Sequence[int]) -> Assignment:
    """The leaves that get pods, in order; by hostname alone where a leaf is a node."""
    skip = len(tree.levels) - 1 if tree.by_hostname else 0
    values = tree.levels[-1].values
    return Assignment(
        tuple(level.key for level in tree.levels[skip:]),
        tuple(DomainPods(values[leaf][skip:], pods[leaf]) for leaf in sorted(leaves) if pods[leaf]),
    )

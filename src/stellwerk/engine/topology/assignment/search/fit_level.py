"""Second phase, first part: the level, and there the domains, that together hold everything.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, findLevelWithFitDomains (ff69552e).
"""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.decision import LayerFit, NotFit
from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts
from stellwerk.engine.topology.assignment.fleet.tree import Tree
from stellwerk.engine.topology.assignment.search.counts import Totals
from stellwerk.engine.topology.assignment.search.order import (
    Profile,
    leader_first,
    sorted_domains,
    sorted_for_leader,
    tightest,
)
from stellwerk.engine.topology.assignment.search.wish import Wish


class Question(Struct, frozen=True, kw_only=True):
    """Pods and leaders that `totals` of the tree should hold, as the wish has it."""

    topology: str
    tree: Tree
    totals: Totals
    wish: Wish
    profile: Profile
    count: int
    leaders: int

    @property
    def slices(self) -> int:
        """Whole slices; a rest of pods is not placed."""
        return self.count // self.wish.slice_size


class Fit(Struct, frozen=True):
    """Domains of one level that hold everything."""

    level: int
    domains: Sequence[int]


def fit_level(question: Question) -> Fit | NotFit | Reason:
    """The domains at the wished level, or, if no single one is enough and that will do, at a wider one.

    Required: one domain or none. Preferred: one domain as narrow as can be, at the widest level several.
    Unconstrained: several at once.
    """
    for level in range(question.wish.level, -1, -1):
        counts = question.totals.levels[level]
        if not counts.pods:
            key = question.tree.levels[level].key
            return Reason("no-domains", "no topology domains at level: {level}", {"level": key})
        fit = _fit_at(question, level, counts)
        if fit is not None:
            return fit
    raise AssertionError("the widest level always answers")


def _fit_at(question: Question, level: int, counts: LevelCounts) -> Fit | NotFit | None:
    """The answer of one level; None sends the search to the next wider one."""
    wish, profile, slices, leaders = question.wish, question.profile, question.slices, question.leaders
    ordered = sorted_for_leader(counts, range(len(counts.pods)), profile)
    if profile.least_free:
        column = counts.led_slices if leaders else counts.slices
        alone = next((d for d in ordered if counts.leaders[d] >= leaders and column[d] >= slices), None)
        if alone is not None:
            return Fit(level, [alone])
        if wish.required:
            return not_fit(question, level, counts.pods[ordered[-1]])
    # With affinity the first domain need not be the one that holds most: if one must do, all are looked at.
    looked_at = ordered if wish.required and profile.by_affinity else ordered[:1]
    place = next((i for i, d in enumerate(looked_at) if _holds(counts, d, slices, leaders)), None)
    if place is not None:
        column = counts.led_slices if leaders else counts.slices
        return Fit(level, [tightest(counts, ordered[place:], column, slices, leaders)])
    if wish.required:
        return not_fit(question, level, counts.slices[ordered[0]])
    if level > 0 and not wish.unconstrained:
        return None
    return _several(question, level, ordered)


def _holds(counts: LevelCounts, domain: int, slices: int, leaders: int) -> bool:
    return counts.led_slices[domain] >= slices and counts.leaders[domain] >= leaders


def _several(question: Question, level: int, ordered: Sequence[int]) -> Fit | NotFit:
    """As many domains as it takes: those of the leaders first, then by what they hold."""
    counts, profile = question.totals.levels[level], question.profile
    left, leaders = question.slices, question.leaders
    ordered = leader_first(counts, ordered, question.slices, leaders, by_slice=True)
    chosen: list[int] = []
    place = 0
    while leaders > 0 and place < len(ordered) and counts.leaders[ordered[place]] > 0:
        domain = ordered[place]
        if not profile.least_free and counts.led_slices[domain] >= left:
            domain = tightest(counts, ordered[place:], counts.led_slices, left, leaders)
        chosen.append(domain)
        leaders -= counts.leaders[domain]
        left -= counts.led_slices[domain]
        place += 1
    if leaders > 0:
        return not_fit(question, level, question.leaders - leaders)
    rest = sorted_domains(counts, ordered[place:], profile)
    for place, domain in enumerate(rest):
        if left <= 0:
            break
        if not profile.least_free and counts.slices[domain] >= left:
            domain = tightest(counts, rest[place:], counts.slices, left, 0)
        chosen.append(domain)
        left -= counts.slices[domain]
    return not_fit(question, level, question.slices - left) if left > 0 else Fit(level, chosen)


def not_fit(question: Question, level: int, fits: int) -> NotFit:
    """Why not, in numbers; of several layers the best domain of `level` says how many slices of each fit."""
    counts, wish = question.totals.levels[level], question.wish
    layers: tuple[LayerFit, ...] = ()
    if wish.layers:
        ids = question.tree.levels[level].ids
        best = min(range(len(ids)), key=lambda d: (-counts.slices[d], ids[d]))
        layers = tuple(_layer_fit(question, level, best, key, size) for key, size in wish.layers)
    return NotFit(
        topology=question.topology,
        fits=fits,
        needed=question.slices,
        slice_size=wish.slice_size,
        excluded=question.totals.excluded,
        layers=layers,
    )


def _layer_fit(question: Question, level: int, domain: int, key: str, size: int) -> LayerFit:
    """Slices of one layer that fit into a domain of `level`."""
    target = question.tree.level_of(key)
    low, high = domain, domain + 1
    for each in question.tree.levels[level:target]:
        low, high = each.first[low], each.first[high]
    pods = question.totals.levels[level if target is None else target].pods
    return LayerFit(key, sum(pods[d] // size for d in range(low, high)), question.count // size)

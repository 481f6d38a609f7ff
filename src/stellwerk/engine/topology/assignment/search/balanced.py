"""Balanced placement: domains of the wished level get about as much each, instead of one a small rest.

The threshold is the largest number of slices that every domain in use can get. Domains that hold less are
pruned; of the groups of siblings that hold everything the one with the highest threshold wins (Kueue's gate
TASBalancedPlacement). Source: Kueue pkg/cache/scheduler/tas_balanced_placement.go (ff69552e).
"""

from collections.abc import Sequence

from msgspec import Struct, structs

from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts
from stellwerk.engine.topology.assignment.search.counts import Span, roll_up
from stellwerk.engine.topology.assignment.search.fit_level import Fit, Question
from stellwerk.engine.topology.assignment.search.optimal_set import (
    Greedy,
    Need,
    by_evenness,
    optimal_set,
    try_greedy,
)
from stellwerk.engine.topology.assignment.search.order import sorted_for_leader


class _Group(Struct, frozen=True):
    """Domains of the wished level that are siblings, pruned at `threshold`; `domains` of them are enough."""

    span: Span
    threshold: int
    domains: int


def balance(question: Question) -> tuple[list[LevelCounts], Fit] | None:
    """Counts and domains of a balanced placement; None if there is none. The question's counts stay."""
    if question.slices == 0:
        return None
    pruned = [counts.copy() for counts in question.totals.levels]
    best: _Group | None = None
    for span in _sibling_groups(question):
        best = _better(question, pruned, span, best)
    if best is None:
        return None
    level, domains = question.wish.level, range(best.span.start, best.span.end)
    first = question.tree.levels[level].first
    candidates: Sequence[int] = domains
    if level < question.wish.slice_level:
        evenly = by_evenness(pruned[level], pruned[level + 1], first, domains)
        chosen = optimal_set(pruned[level], evenly, _need(question), question.profile)
        if chosen is None:
            return None
        candidates = [child for domain in chosen for child in range(first[domain], first[domain + 1])]
        level += 1
    placed = _place_evenly(question, pruned[level], candidates, best.threshold)
    return None if placed is None else (pruned, Fit(level, placed))


def _need(question: Question) -> Need:
    return Need(question.slices, question.leaders, question.wish.slice_size)


def _sibling_groups(question: Question) -> list[Span]:
    """Domains of the wished level by their parent; at the widest level all are siblings."""
    level, levels = question.wish.level, question.tree.levels
    if level == 0:
        return [Span(0, 0, len(levels[0].ids))]
    first = levels[level - 1].first
    return [Span(level, first[d], first[d + 1]) for d in range(len(first) - 1)]


def _better(question: Question, pruned: list[LevelCounts], span: Span, best: _Group | None) -> _Group | None:
    """This span's group, pruned, if it holds all with a higher threshold or fewer domains; else best."""
    domains = range(span.start, span.end)
    unit = min(span.level + 1, question.wish.slice_level)
    units = range(*_ends(span.ranges(question.tree.levels)[unit - span.level]))
    greedy = try_greedy(pruned[unit], units, question.slices, question.leaders, question.profile)
    if greedy is None:
        return best
    to_beat = best.threshold if best else 0
    for threshold in _thresholds(question, pruned[unit], greedy):
        if threshold < to_beat:
            return best
        _restore(question, pruned, span)
        _prune(question, pruned, span, threshold)
        left = try_greedy(pruned[span.level], domains, question.slices, question.leaders, question.profile)
        if left is not None:
            wins = threshold > to_beat or (best is not None and left.domains < best.domains)
            return _Group(span, threshold, left.domains) if wins else best
    return best


def _ends(indices: range) -> tuple[int, int]:
    return indices.start, indices.stop


def _thresholds(question: Question, counts: LevelCounts, greedy: Greedy) -> list[int]:
    """The highest conceivable threshold, then one at which the last domain could also take the leader."""
    threshold = question.slices // greedy.domains
    if greedy.last_led is not None:
        threshold = min(threshold, counts.led_slices[greedy.last_led])
    if greedy.last is None:
        return [threshold]
    threshold = min(threshold, counts.slices[greedy.last])
    reserved = min(threshold, counts.led_slices[greedy.last]) if question.leaders else threshold
    return [threshold, reserved] if 0 < reserved < threshold else [threshold]


def _restore(question: Question, pruned: list[LevelCounts], span: Span) -> None:
    """Undo what pruning did to the span."""
    levels = question.totals.levels
    for depth, domains in enumerate(span.ranges(question.tree.levels), span.level):
        part = slice(domains.start, domains.stop)
        for own, source in zip(structs.astuple(pruned[depth]), structs.astuple(levels[depth]), strict=True):
            own[part] = source[part]


def _prune(question: Question, pruned: list[LevelCounts], span: Span, threshold: int) -> None:
    """Domains, and before them their children, that hold less than the threshold hold nothing.

    Counts are summed anew between the two, without inner layers.
    """
    ranges = span.ranges(question.tree.levels)
    for domain in ranges[1] if len(ranges) > 1 else ():
        _prune_one(question, pruned, Span(span.level + 1, domain, domain + 1), threshold)
    flat = structs.replace(question.wish, inner={})
    roll_up(pruned, question.tree.levels, flat, ranges, question.leaders > 0)
    for domain in ranges[0]:
        _prune_one(question, pruned, Span(span.level, domain, domain + 1), threshold)


def _prune_one(question: Question, pruned: list[LevelCounts], one: Span, threshold: int) -> None:
    """One domain; it may hold enough, but not beside a leader: then it can only be the workers'."""
    counts, domain = pruned[one.level], one.start
    too_small = counts.slices[domain] < threshold
    leads = question.leaders > 0 and counts.leaders[domain] > 0
    if not too_small and not (leads and counts.led_slices[domain] < threshold):
        return
    for depth, domains in enumerate(one.ranges(question.tree.levels), one.level):
        own = pruned[depth]
        columns = [own.led_pods, own.led_slices, own.leaders] + ([own.pods, own.slices] if too_small else [])
        for column in columns:
            column[domains.start : domains.stop] = [0] * len(domains)


def _place_evenly(
    question: Question, counts: LevelCounts, domains: Sequence[int], threshold: int
) -> list[int] | None:
    """The fewest domains get the threshold each, the first ones what is left over; None if that fails."""
    chosen = optimal_set(counts, sorted(domains), _need(question), question.profile)
    if chosen is None or question.slices < len(chosen) * threshold:
        return None
    extra, leaders, size = (
        question.slices - len(chosen) * threshold,
        question.leaders,
        question.wish.slice_size,
    )
    chosen = sorted_for_leader(counts, chosen, question.profile)
    for domain in chosen:
        room = (counts.led_slices if leaders > 0 else counts.slices)[domain] - threshold
        more = min(room, extra) if leaders > 0 or extra > 0 else 0
        counts.leaders[domain] = 1 if leaders > 0 else 0
        leaders = max(0, leaders - 1)
        extra -= more
        counts.slices[domain] = counts.led_slices[domain] = threshold + more
        counts.pods[domain] = (threshold + more) * size
        counts.led_pods[domain] = counts.pods[domain] - counts.leaders[domain]
    return None if extra > 0 or leaders > 0 else chosen

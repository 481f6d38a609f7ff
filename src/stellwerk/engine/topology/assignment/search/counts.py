"""First phase: how many pods and slices each domain holds, from the leaves upwards.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, fillInCounts (ff69552e).
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from stellwerk.engine.topology.assignment.decision import Excluded
from stellwerk.engine.topology.assignment.fleet.amounts import Amounts
from stellwerk.engine.topology.assignment.fleet.node_match import Matched
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot, count_in, less
from stellwerk.engine.topology.assignment.fleet.tree import Level, Row
from stellwerk.engine.topology.assignment.search.wish import Wish


class LevelCounts(Struct):
    """State of a search: by domain of one level what it holds; the second phase turns it into what it gets.

    `led`: pods, and slices, that fit beside a leader. `leaders`: 1 if a leader fits. `affinity`: how much the
    domain's nodes are preferred.
    """

    pods: list[int]
    slices: list[int]
    led_pods: list[int]
    led_slices: list[int]
    leaders: list[int]
    affinity: list[int]

    def copy(self) -> "LevelCounts":
        """The same, to be changed on its own."""
        return LevelCounts(*(list(column) for column in structs.astuple(self)))


class Demand(Struct, frozen=True, kw_only=True):
    """One search: `count` pods of `requests` each (the pod itself with it), and perhaps a leader.

    `within`: only leaves in this domain count, by its id ("" for all). `empty`: as if Workloads held nothing.
    """

    count: int
    requests: Amounts
    leader: Amounts | None
    assumed: Mapping[str, Amounts]
    within: str = ""
    empty: bool = False

    @property
    def leaders(self) -> int:
        """A leader's PodSet has one pod."""
        return 0 if self.leader is None else 1


class Totals(Struct, frozen=True):
    """The counts of all levels, widest first, and why leaves hold nothing."""

    levels: list[LevelCounts]
    excluded: Excluded


def fill_counts(snapshot: FlavorSnapshot, matched: Matched, demand: Demand, wish: Wish) -> Totals:
    """What each domain holds for this demand."""
    tree = snapshot.tree
    levels = [LevelCounts(*([0] * len(level.ids) for _ in range(6))) for level in tree.levels]
    excluded = _fill_leaves(levels[-1], snapshot, matched, demand)
    roll_up(levels, tree.levels, wish, Span(0, 0, len(tree.levels[0].ids)), demand.leaders > 0)
    return Totals(levels, excluded)


def _fill_leaves(counts: LevelCounts, snapshot: FlavorSnapshot, matched: Matched, demand: Demand) -> Excluded:
    rows = _rows(snapshot, demand)
    outside = 0
    known: dict[Row, tuple[int, int, int, str]] = {}  # Nodes that have the same free are counted once.
    scarce: Counter[str] = Counter()
    for leaf in matched.leaves:
        if demand.within and not _belongs(snapshot.tree.places[leaf], demand.within):
            outside += 1
            continue
        row = rows[leaf]
        fit = known.get(row)
        if fit is None:
            fit = known[row] = _fit(snapshot, row, demand)
        counts.pods[leaf], counts.leaders[leaf], counts.led_pods[leaf], resource = fit
        if resource:
            scarce[resource] += 1
    for leaf, score in matched.scores.items():
        counts.affinity[leaf] = score
    return structs.replace(matched.excluded, topology_domain=outside, resources=dict(scarce))


def _rows(snapshot: FlavorSnapshot, demand: Demand) -> Sequence[Row]:
    """What each leaf has for this demand."""
    rows = snapshot.free if demand.empty else snapshot.remaining
    assumed = [(snapshot.tree.leaf_of.get(domain), amounts) for domain, amounts in demand.assumed.items()]
    if assumed:
        rows = list(rows)
        for leaf, amounts in assumed:
            if leaf is not None:
                rows[leaf] = less(rows[leaf], snapshot.row(amounts))
    return rows


def _belongs(place: str, domain: str) -> bool:
    return place == domain or place.startswith(f"{domain},")


def _fit(snapshot: FlavorSnapshot, row: Row, demand: Demand) -> tuple[int, int, int, str]:
    """Pods, leaders, pods beside the leader, and the scarcest resource if no pod fits."""
    names = snapshot.tree.resources
    pods, scarcest = count_in(names, demand.requests, row)
    if demand.leader is None:
        return pods, 0, pods, "" if pods else scarcest
    leaders = 1 if count_in(names, demand.leader, row)[0] > 0 else 0
    beside = less(row, snapshot.row(demand.leader)) if leaders else row
    return pods, leaders, count_in(names, demand.requests, beside)[0], "" if pods else scarcest


class Span(Struct, frozen=True):
    """The domains `start` to `end` of a level, with all below them."""

    level: int
    start: int
    end: int

    def ranges(self, levels: Sequence[Level]) -> list[range]:
        """Their indices by level, from the span's own downwards."""
        found = [range(self.start, self.end)]
        for level in levels[self.level : -1]:
            found.append(range(level.first[found[-1].start], level.first[found[-1].stop]))
        return found


def roll_up(
    counts: Sequence[LevelCounts], levels: Sequence[Level], wish: Wish, span: Span, with_leader: bool
) -> None:
    """Counts of the span's domains from their children's, the lowest level first; leaves get their slices."""
    gather = _gather_led if with_leader else _gather
    for depth, domains in reversed(list(enumerate(span.ranges(levels), span.level))):
        own = counts[depth]
        if depth < len(levels) - 1:
            gather(own, counts[depth + 1], levels[depth].first, wish.inner.get(depth + 1, 1), domains)
        if depth == wish.slice_level:
            for domain in domains:
                own.slices[domain] = own.pods[domain] // wish.slice_size
                own.led_slices[domain] = own.led_pods[domain] // wish.slice_size


def _gather(own: LevelCounts, below: LevelCounts, first: Sequence[int], inner: int, domains: range) -> None:
    """Sums of the children, in whole inner slices; without a leader what fits beside one is what fits."""
    pods = below.pods if inner == 1 else [each // inner * inner for each in below.pods]
    for domain in domains:
        children = slice(first[domain], first[domain + 1])
        own.pods[domain] = own.led_pods[domain] = sum(pods[children])
        own.slices[domain] = own.led_slices[domain] = sum(below.slices[children])
        own.leaders[domain] = max(below.leaders[children], default=0)
        own.affinity[domain] = sum(below.affinity[children])


def _gather_led(
    own: LevelCounts, below: LevelCounts, first: Sequence[int], inner: int, domains: range
) -> None:
    """As _gather; the leader goes to that child, of those that hold one, where it costs least."""
    _gather(own, below, first, inner, domains)
    for domain in domains:
        hosts = [child for child in range(first[domain], first[domain + 1]) if below.leaders[child]]
        if not hosts:
            own.led_pods[domain] = own.led_slices[domain] = 0
            continue
        own.led_pods[domain] -= min(
            below.pods[each] // inner * inner - below.led_pods[each] // inner * inner for each in hosts
        )
        own.led_slices[domain] -= min(below.slices[each] - below.led_slices[each] for each in hosts)

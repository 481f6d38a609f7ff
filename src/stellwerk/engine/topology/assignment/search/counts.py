"""First phase: how many pods and slices each domain holds, from the leaves upwards.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, fillInCounts (ff69552e).
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import compress, count
from operator import is_not

from msgspec import Struct, structs

from stellwerk.engine.topology.assignment.decision import Excluded
from stellwerk.engine.topology.assignment.fleet.amounts import Amounts
from stellwerk.engine.topology.assignment.fleet.node_match import Matched, PodShape
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot, count_in, less
from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts, Tally, remember
from stellwerk.engine.topology.assignment.fleet.tree import Level, Row, Tree
from stellwerk.engine.topology.assignment.search.wish import Wish

_Fit = tuple[int, int, int, str]


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
    """The counts of all levels, widest first, to be worked with; and why leaves hold nothing.

    `outside`: leaves that are not in the one domain that may be used.
    """

    levels: list[LevelCounts]
    scarce: Sequence[str]
    matched: Matched
    outside: int

    @property
    def excluded(self) -> Excluded:
        """Leaves that hold nothing, by reason."""
        scarce = Counter(filter(None, self.scarce))
        return structs.replace(self.matched.excluded, topology_domain=self.outside, resources=dict(scarce))


def fill_counts(
    snapshot: FlavorSnapshot, shape: PodShape, matched: Matched, demand: Demand, wish: Wish
) -> Totals:
    """What each domain holds for this demand.

    The snapshot remembers what was counted for equal pods: then only changed leaves are counted anew.
    """
    rows, tree = _rows(snapshot, demand), snapshot.tree
    if demand.within:
        inside = [leaf for leaf in matched.leaves if _belongs(tree.places[leaf], demand.within)]
        tally = _count(snapshot, structs.replace(matched, leaves=inside), demand, wish, rows)
        return Totals(tally.levels, tally.scarce, matched, len(matched.leaves) - len(inside))
    key = _key(shape, demand, wish)
    known = snapshot.tallies.get(key)
    if known is None:
        tally = _count(snapshot, matched, demand, wish, rows)
    else:
        tally = _counted_anew(known, snapshot, matched, (demand, wish), rows)
    if not demand.assumed:
        remember(snapshot.tallies, key, tally)
    return Totals([level.copy() for level in tally.levels], tally.scarce, matched, 0)


def _key(shape: PodShape, demand: Demand, wish: Wish) -> Hashable:
    """All that counts depend on, beside what leaves have."""
    leader = None if demand.leader is None else tuple(sorted(demand.leader.items()))
    slices = wish.slice_level, wish.slice_size, tuple(sorted(wish.inner.items()))
    return shape, tuple(sorted(demand.requests.items())), leader, slices, demand.empty


def _count(
    snapshot: FlavorSnapshot, matched: Matched, demand: Demand, wish: Wish, rows: Sequence[Row]
) -> Tally:
    """The tally from nothing."""
    tree = snapshot.tree
    levels = [LevelCounts(*([0] * len(level.ids) for _ in range(6))) for level in tree.levels]
    scarce = [""] * len(rows)
    counts = levels[-1]
    known: dict[Row, _Fit] = {}  # Nodes that have the same free are counted once.
    for leaf in matched.leaves:
        row = rows[leaf]
        fit = known.get(row)
        if fit is None:
            fit = known[row] = _fit(snapshot, row, demand)
        counts.pods[leaf], counts.leaders[leaf], counts.led_pods[leaf], scarce[leaf] = fit
    for leaf, score in matched.scores.items():
        counts.affinity[leaf] = score
    everything = Span(0, 0, len(tree.levels[0].ids)).ranges(tree.levels)
    roll_up(levels, tree.levels, wish, everything, demand.leaders > 0)
    return Tally(rows, levels, scarce)


def _counted_anew(
    known: Tally,
    snapshot: FlavorSnapshot,
    matched: Matched,
    asked: tuple[Demand, Wish],
    rows: Sequence[Row],
) -> Tally:
    """The known tally with leaves that have another row than then, and all domains above them."""
    demand, wish = asked
    changed = list(compress(count(), map(is_not, known.rows, rows)))
    if not changed:
        return known
    if len(changed) * 4 > len(rows):
        return _count(snapshot, matched, demand, wish, rows)
    levels, scarce = [level.copy() for level in known.levels], list(known.scarce)
    counts = levels[-1]
    for leaf in changed:
        if leaf not in matched.out:
            fit = _fit(snapshot, rows[leaf], demand)
            counts.pods[leaf], counts.leaders[leaf], counts.led_pods[leaf], scarce[leaf] = fit
    roll_up(levels, snapshot.tree.levels, wish, _with_ancestors(snapshot.tree, changed), demand.leaders > 0)
    return Tally(rows, levels, scarce)


def _with_ancestors(tree: Tree, leaves: Sequence[int]) -> list[Sequence[int]]:
    """The leaves, and level by level, widest first, the domains that they are in."""
    found: list[Sequence[int]] = [leaves]
    for level in reversed(tree.levels[1:]):
        found.append(sorted({level.parent[domain] for domain in found[-1]}))
    return found[::-1]


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


def _fit(snapshot: FlavorSnapshot, row: Row, demand: Demand) -> _Fit:
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
    counts: Sequence[LevelCounts],
    levels: Sequence[Level],
    wish: Wish,
    domains: Sequence[Sequence[int]],
    with_leader: bool,
) -> None:
    """Counts of these domains from their children's, the lowest level first; leaves get their slices.

    `domains`: by level, the last one is the lowest level.
    """
    gather = _gather_led if with_leader else _gather
    top = len(levels) - len(domains)
    for depth, here in reversed(list(enumerate(domains, top))):
        own = counts[depth]
        if depth < len(levels) - 1:
            gather(own, counts[depth + 1], levels[depth].first, wish.inner.get(depth + 1, 1), here)
        if depth == wish.slice_level:
            for domain in here:
                own.slices[domain] = own.pods[domain] // wish.slice_size
                own.led_slices[domain] = own.led_pods[domain] // wish.slice_size


def _gather(
    own: LevelCounts, below: LevelCounts, first: Sequence[int], inner: int, domains: Sequence[int]
) -> None:
    """Sums of the children, in whole inner slices; without a leader what fits beside one is what fits."""
    pods = below.pods if inner == 1 else [each // inner * inner for each in below.pods]
    for domain in domains:
        children = slice(first[domain], first[domain + 1])
        own.pods[domain] = own.led_pods[domain] = sum(pods[children])
        own.slices[domain] = own.led_slices[domain] = sum(below.slices[children])
        own.leaders[domain] = max(below.leaders[children], default=0)
        own.affinity[domain] = sum(below.affinity[children])


def _gather_led(
    own: LevelCounts, below: LevelCounts, first: Sequence[int], inner: int, domains: Sequence[int]
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

"""What each leaf of one flavor's tree has free, before and after what Workloads hold there.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, tas_flavor.go (ff69552e).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence

from msgspec import Struct, structs

from stellwerk.api.groups.core import Toleration
from stellwerk.engine.topology.assignment.decision import DomainUsage
from stellwerk.engine.topology.assignment.fleet.amounts import (
    MOST_PODS,
    PODS,
    Amounts,
    added,
    scaled,
    within_int64,
)
from stellwerk.engine.topology.assignment.fleet.node_match import Matched, PodShape
from stellwerk.engine.topology.assignment.fleet.tally import Tally
from stellwerk.engine.topology.assignment.fleet.tree import Row, Tree


class FlavorSnapshot(Struct, frozen=True):
    """One flavor: its tree; by leaf `free` (what foreign pods leave), `remaining` (less what Workloads hold).

    A changed snapshot shares the tree, `matches` (which leaves pods of a shape may have, once known) and
    `tallies` (what was last counted): they save work and change no answer.
    """

    topology: str
    tree: Tree
    tolerations: tuple[Toleration, ...]
    free: Sequence[Row]
    used: Mapping[int, Row]
    remaining: Sequence[Row]
    matches: dict[PodShape, Matched] = {}
    tallies: dict[Hashable, Tally] = {}

    def row(self, amounts: Amounts) -> Row:
        """The amounts, aligned with the tree's resources; what no node has is dropped, being 0 everywhere."""
        return tuple(amounts.get(name, 0) for name in self.tree.resources)

    def using(self, usages: Iterable[DomainUsage]) -> "FlavorSnapshot":
        """With these usages on top. A domain that is not in the tree is passed over: its node went."""
        return self._changed(usages, 1)

    def without(self, usages: Iterable[DomainUsage]) -> "FlavorSnapshot":
        """Less these usages, which it had."""
        return self._changed(usages, -1)

    def _changed(self, usages: Iterable[DomainUsage], sign: int) -> "FlavorSnapshot":
        used, remaining = dict(self.used), list(self.remaining)
        for usage in usages:
            leaf = self.tree.leaf_of.get(",".join(usage.values))
            if leaf is None:
                continue
            more = self.row(pods_usage(usage.requests, usage.count))
            before = used.get(leaf, (0,) * len(more))
            used[leaf] = tuple(within_int64(a + sign * b) for a, b in zip(before, more, strict=True))
            remaining[leaf] = less(self.free[leaf], used[leaf])
        return structs.replace(self, used=used, remaining=remaining)

    def fits(self, usages: Iterable[DomainUsage]) -> bool:
        """Whether each domain is there and holds its pods; each usage is looked at alone."""
        for usage in usages:
            leaf = self.tree.leaf_of.get(",".join(usage.values))
            if leaf is None:
                return False
            if count_in(self.tree.resources, usage.requests, self.remaining[leaf])[0] < usage.count:
                return False
        return True


def take_snapshot(
    topology: str, tree: Tree, tolerations: tuple[Toleration, ...], foreign: Mapping[str, Amounts]
) -> FlavorSnapshot:
    """The flavor with nothing held by Workloads; `foreign`: what other pods take, by node (Kueue's unit)."""
    free = list(tree.capacity)
    empty = FlavorSnapshot(topology, tree, tolerations, free, {}, free)
    for node, amounts in foreign.items():
        leaf = tree.leaf_of_node.get(node)
        if leaf is not None:
            free[leaf] = less(free[leaf], empty.row(amounts))
    return empty


def pods_usage(requests: Amounts, count: int) -> dict[str, int]:
    """What `count` pods take, themselves as `pods` with it."""
    return added(scaled(requests, count), {PODS: count})


def less(first: Row, second: Row) -> Row:
    """The difference by resource."""
    return tuple(within_int64(a - b) for a, b in zip(first, second, strict=True))


def count_in(resources: Sequence[str], requests: Amounts, row: Row) -> tuple[int, str]:
    """How many times the requests fit into the row, and the resource that is scarcest (the first by name).

    What is overdrawn fits 0 times, a request of 0 any number of times; no request at all fits 0 times.
    """
    have = dict(zip(resources, row, strict=True))
    fits = [(_quotient(have.get(name, 0), amount), name) for name, amount in requests.items()]
    return min(fits, default=(0, ""))


def _quotient(have: int, each: int) -> int:
    if each == 0:
        return MOST_PODS
    whole = abs(have) // abs(each)
    return min(whole, MOST_PODS) if (have < 0) == (each < 0) else 0

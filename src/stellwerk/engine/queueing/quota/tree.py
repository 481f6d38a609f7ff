"""The tree of quota, frozen: each node's own quota, its subtree's, what it keeps, what it could ever have.

A `cell` is one flavor and resource at one node; cells are numbers, and everything known of one stands in
lists at that place, so that usage is a list of the same length and walking to the root is following numbers.
Source: kueue pkg/cache/scheduler/resource_node.go, pkg/cache/hierarchy, KEP-79 (hierarchical cohorts).
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.queueing.amounts import FlavorResource, add, subtract


class Quota(Struct, frozen=True):
    """Amounts of one resource in one flavor at one node; None is another thing than 0: there is no limit."""

    nominal: int
    borrowing_limit: int | None = None
    lending_limit: int | None = None


_NO_QUOTA = Quota(0)
COHORTS, QUEUES, ALL_QUEUES = "cohorts", "queues", "all queues"
LARGE = 2**44  # Half a million amounts below this can be summed without leaving int64.


class QuotaNode(Struct, frozen=True, kw_only=True):
    """A ClusterQueue or a Cohort; `parent` is the parent Cohort's name, `weight` that of fair sharing.

    `active`: whether it takes part in decisions; the quota of a queue that does not is its cohort's all the
    same.
    """

    name: str
    parent: str | None = None
    weight: float = 1.0
    quotas: Mapping[FlavorResource, Quota] = {}
    active: bool = True


class QuotaTree:
    """All trees of a snapshot. Nodes are numbers too: Cohorts first, then ClusterQueues, each in their order.

    A cell that nobody declared (usage in a flavor which the queue no longer has) is added when it is asked
    for; that changes no answer.
    """

    __slots__ = (
        "_cells_of",
        "active",
        "borrowing_limit",
        "cell_parent",
        "cells",
        "child_cohorts",
        "child_queues",
        "cohorts",
        "declared",
        "flavor_resource",
        "height",
        "kept",
        "lendable_at",
        "names",
        "node_of",
        "parent",
        "path",
        "potential",
        "queues",
        "queues_of_root",
        "reach",
        "subtree",
        "weight",
        "wide",
    )

    def __init__(self, cohorts: Sequence[QuotaNode], queues: Sequence[QuotaNode]) -> None:
        """The trees of these nodes; a parent that is not among `cohorts` is a Cohort without quota.

        Cohorts whose way up never ends, and queues under them, have to be left out before (`cyclic_cohorts`).
        """
        nodes = [*_with_implicit(cohorts, queues), *queues]
        count = len(nodes) - len(queues)
        self.names = [node.name for node in nodes]
        self.cohorts = {node.name: i for i, node in enumerate(nodes[:count])}
        self.queues = {node.name: count + i for i, node in enumerate(queues)}
        self.weight = [node.weight for node in nodes]
        self.active = [node.active for node in nodes]
        self.parent = [-1 if node.parent is None else self.cohorts[node.parent] for node in nodes]
        self._link(count)
        self.queues_of_root: dict[int, list[int]] = {}  # All, also those that take no part in decisions.
        for queue in range(count, len(nodes)):
            self.queues_of_root.setdefault(self.root(queue), []).append(queue)
        self._empty_cells(len(nodes))
        below, down = self._wanted(nodes), sorted(range(len(nodes)), key=self._depth)
        lending: list[int | None] = []
        for node in down:
            for flavor_resource in below[node]:
                quota = nodes[node].quotas.get(flavor_resource, _NO_QUOTA)
                self._declare(node, flavor_resource, quota)
                lending.append(quota.lending_limit)
        self._sum_up(lending)
        self.declared = [tuple(cells.values()) for cells in self.cells]
        self.lendable_at: dict[int, dict[str, int]] = {}
        self._cells_of.clear()

    def cell(self, node: int, flavor_resource: FlavorResource) -> int:
        """The cell of a flavor and resource at a node."""
        cell = self.cells[node].get(flavor_resource)
        return self._grow(node, flavor_resource) if cell is None else cell

    def root(self, node: int) -> int:
        """The node's root; itself without a parent."""
        while self.parent[node] >= 0:
            node = self.parent[node]
        return node

    def ancestors(self, node: int) -> list[int]:
        """The Cohorts above, the parent first, the root last."""
        above = []
        while (node := self.parent[node]) >= 0:
            above.append(node)
        return above

    def subtree_queues(self, cohort: int) -> list[int]:
        """All active ClusterQueues under a Cohort, its own first."""
        found = list(self.child_queues[cohort])
        for child in self.child_cohorts[cohort]:
            found += self.subtree_queues(child)
        return found

    def cells_of(self, cohort: int, nodes: str, what: frozenset[FlavorResource]) -> list[tuple[int, int]]:
        """(node, cell) of what is asked, of those under a Cohort: its COHORTS, its QUEUES, or ALL_QUEUES."""
        key = cohort, nodes, what
        known = self._cells_of.get(key)
        if known is None:
            among = self._under(cohort, nodes)
            known = self._cells_of[key] = [
                (node, self.cells[node][one]) for node in among for one in what if one in self.cells[node]
            ]
        return known

    def _under(self, cohort: int, nodes: str) -> list[int]:
        if nodes == ALL_QUEUES:
            return self.subtree_queues(cohort)
        return self.child_cohorts[cohort] if nodes == COHORTS else self.child_queues[cohort]

    def lendable(self, node: int) -> dict[str, int]:
        """By resource, all that a child of this Cohort could ever have, over all flavors of the tree."""
        known = self.lendable_at.get(node)
        if known is None:
            known = {}
            for cell in self.declared[self.root(node)]:
                flavor_resource = self.flavor_resource[cell]
                most = self.potential[self.cell(node, flavor_resource)]
                known[flavor_resource.resource] = add(known.get(flavor_resource.resource, 0), most)
            self.lendable_at[node] = known
        return known

    def charges(self, queue: int, usage: Mapping[FlavorResource, int]) -> tuple[tuple[int, int], ...]:
        """(cell, amount) of a usage of a ClusterQueue: what a ledger adds and removes."""
        if any(not -LARGE < amount < LARGE for amount in usage.values()):
            self.wide = True
        cell = self.cell
        return tuple([(cell(queue, flavor_resource), amount) for flavor_resource, amount in usage.items()])

    def _link(self, count: int) -> None:
        """Children and heights: a Cohort with ClusterQueues only has height 1, without anything 0."""
        self.child_cohorts: list[list[int]] = [[] for _ in self.names]
        self.child_queues: list[list[int]] = [[] for _ in self.names]
        for node, parent in enumerate(self.parent):
            if parent >= 0 and self.active[node]:
                (self.child_cohorts if node < count else self.child_queues)[parent].append(node)
        self.height = [0] * len(self.names)
        for node in sorted(range(count), key=self._depth, reverse=True):
            below = [self.height[child] + 1 for child in self.child_cohorts[node]]
            self.height[node] = max([min(1, len(below) + len(self.child_queues[node])), *below])

    def _depth(self, node: int) -> int:
        return len(self.ancestors(node))

    def _empty_cells(self, count: int) -> None:
        self.cells: list[dict[FlavorResource, int]] = [{} for _ in range(count)]
        self.flavor_resource: list[FlavorResource] = []
        self.node_of: list[int] = []
        self.cell_parent: list[int] = []
        self.path: list[tuple[int, ...]] = []  # From the root's cell down to this one.
        self.subtree: list[int] = []
        self.kept: list[int] = []  # What the node does not lend: its local quota.
        self.borrowing_limit: list[int | None] = []
        self.reach: list[int | None] = []  # What its parent may give it at most, nothing used.
        self.potential: list[int] = []
        self.wide = False
        self._cells_of: dict[tuple[int, str, frozenset[FlavorResource]], list[tuple[int, int]]] = {}

    def _wanted(self, nodes: Sequence[QuotaNode]) -> list[dict[FlavorResource, None]]:
        """By node, what it or something under it has quota for."""
        found = [dict.fromkeys(node.quotas) for node in nodes]
        for node in sorted(range(len(nodes)), key=self._depth, reverse=True):
            if self.parent[node] >= 0:
                found[self.parent[node]] |= found[node]
        return found

    def _declare(self, node: int, flavor_resource: FlavorResource, quota: Quota) -> int:
        parent = self.parent[node]
        above = -1 if parent < 0 else self.cells[parent][flavor_resource]
        cell = len(self.subtree)
        self.cells[node][flavor_resource] = cell
        self.flavor_resource.append(flavor_resource)
        self.node_of.append(node)
        self.cell_parent.append(above)
        self.path.append((cell,) if above < 0 else (*self.path[above], cell))
        self.subtree.append(quota.nominal)
        self.kept.append(0)
        self.borrowing_limit.append(quota.borrowing_limit)
        self.reach.append(None)
        self.potential.append(0)
        return cell

    def _sum_up(self, lending: Sequence[int | None]) -> None:
        """Leaves first: what a node does not keep counts for its parent. Then down: what it could have."""
        for cell in range(len(self.subtree) - 1, -1, -1):
            most = lending[cell]
            kept = 0 if most is None else max(0, subtract(self.subtree[cell], most))
            self.kept[cell] = kept
            above = self.cell_parent[cell]
            if above >= 0:
                self.subtree[above] = add(self.subtree[above], subtract(self.subtree[cell], kept))
        for cell, above in enumerate(self.cell_parent):
            self.potential[cell] = self._potential(cell, above)
            limit = self.borrowing_limit[cell]
            if limit is not None:
                self.reach[cell] = add(subtract(self.subtree[cell], self.kept[cell]), limit)
            self.wide |= max(self.subtree[cell], self.reach[cell] or 0, self.potential[cell]) >= 2**60

    def _potential(self, cell: int, above: int) -> int:
        if above < 0:
            return self.subtree[cell]
        most = add(self.kept[cell], self.potential[above])
        limit = self.borrowing_limit[cell]
        return most if limit is None else min(add(self.subtree[cell], limit), most)

    def _grow(self, node: int, flavor_resource: FlavorResource) -> int:
        if self.parent[node] >= 0:
            self.cell(self.parent[node], flavor_resource)
        cell = self._declare(node, flavor_resource, _NO_QUOTA)
        self._cells_of.clear()
        above = self.cell_parent[cell]
        self.potential[cell] = 0 if above < 0 else self.potential[above]
        return cell


def _with_implicit(cohorts: Sequence[QuotaNode], queues: Sequence[QuotaNode]) -> list[QuotaNode]:
    known = {node.name for node in cohorts}
    named = dict.fromkeys(node.parent for node in (*cohorts, *queues) if node.parent is not None)
    return [*cohorts, *(QuotaNode(name=name) for name in named if name not in known)]


def cyclic_cohorts(cohorts: Sequence[QuotaNode]) -> frozenset[str]:
    """The Cohorts whose way up never ends: in a cycle, or under one."""
    parent = {node.name: node.parent for node in cohorts}

    def ends(name: str | None) -> bool:
        met: set[str] = set()
        while name is not None and name not in met:
            met.add(name)
            name = parent.get(name)
        return name is None

    return frozenset(name for name in parent if not ends(name))

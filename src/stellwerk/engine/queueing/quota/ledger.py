"""Usage of the tree of quota: added and removed in O(depth) steps, and what is available after it.

A node's usage beyond what it keeps for itself counts against its parent too. The plain methods work on
Python's integers; once an amount of the tree comes near int64's end, Kueue's saturating arithmetic takes
over.
Source: kueue pkg/cache/scheduler/resource_node.go, clusterqueue_snapshot.go; scheduler/preemption/classical.
"""

from collections.abc import Iterable

from stellwerk.engine.queueing.amounts import LOWEST, add, subtract
from stellwerk.engine.queueing.quota.tree import QuotaTree

Charges = tuple[tuple[int, int], ...]  # (cell, amount), as `QuotaTree.charges` gives them.


class Ledger:
    """What is used of each cell; the only thing that changes while a cycle is decided.

    `add` and `remove` undo each other exactly (of amounts that are not negative, and not unlimited).
    """

    __slots__ = ("_usage", "tree")

    def __init__(self, tree: QuotaTree) -> None:
        self.tree = tree
        self._usage = [0] * len(tree.subtree)

    def copy(self) -> "Ledger":
        """Another ledger with the same usage."""
        other = Ledger(self.tree)
        other._usage[: len(self._usage)] = self._usage
        return other

    def usage(self, cell: int) -> int:
        """What is used of a cell; a cell that came after this ledger is unused."""
        return self._usage[cell] if cell < len(self._usage) else 0

    def add(self, charges: Charges) -> None:
        """Usage of a ClusterQueue: what a node has no room for in what it keeps goes on to its parent."""
        tree, usage = self.tree, self._usage
        if len(usage) < len(tree.subtree):
            self._extend()
        if tree.wide:
            return self._add_wide(charges)
        kept, parent = tree.kept, tree.cell_parent
        for cell, amount in charges:
            while cell >= 0:
                used = usage[cell]
                usage[cell] = used + amount
                room = kept[cell] - used
                if room > 0:
                    amount -= room
                if amount <= 0:
                    break
                cell = parent[cell]
        return None

    def remove(self, charges: Charges) -> None:
        """The opposite of `add`: first what the parent holds of it, then what the node keeps."""
        tree, usage = self.tree, self._usage
        if len(usage) < len(tree.subtree):
            self._extend()
        if tree.wide:
            return self._remove_wide(charges)
        kept, parent = tree.kept, tree.cell_parent
        for cell, amount in charges:
            while cell >= 0:
                used = usage[cell]
                usage[cell] = used - amount
                above = used - kept[cell]
                if above <= 0:
                    break
                if above < amount:
                    amount = above
                cell = parent[cell]
        return None

    def available(self, cell: int) -> int:
        """What the node could use more now; negative when its tree is in debt (of a queue: 0 is meant)."""
        tree, usage = self.tree, self._usage
        path = tree.path[cell]
        if tree.wide or cell >= len(usage):
            return self._available_wide(path)
        subtree, kept, reach = tree.subtree, tree.kept, tree.reach
        left = subtree[path[0]] - usage[path[0]]
        for step in path[1:]:
            beyond = usage[step] - kept[step]
            most = reach[step]
            if most is not None:
                if beyond > 0:
                    most -= beyond
                if most < left:
                    left = most
            if beyond < 0:
                left -= beyond
        return left

    def kept_room(self, cell: int) -> int:
        """What is left of the quota that the node keeps for itself (Kueue: LocalAvailable)."""
        kept, used = self.tree.kept[cell], self.usage(cell)
        return max(0, subtract(kept, used) if self.tree.wide else kept - used)

    def exceeds(self, cell: int, amount: int = 0) -> bool:
        """Whether the node uses more than its subtree's quota, with so much more."""
        used = self.usage(cell)
        return (add(used, amount) if self.tree.wide else used + amount) > self.tree.subtree[cell]

    def fits(self, charges: Charges) -> bool:
        """Whether all of it is available."""
        available = self.available
        return all(amount <= max(0, available(cell)) for cell, amount in charges)

    def within_nominal(self, cells: Iterable[int]) -> bool:
        """Whether the node uses none of these cells beyond its quota."""
        return not any(map(self.exceeds, cells))

    def beyond_nominal(self, cells: Iterable[tuple[int, int]]) -> list[int]:
        """Of the nodes of (node, cell) those that use more of a cell than its quota, each once."""
        if len(self._usage) < len(self.tree.subtree):
            self._extend()
        usage, subtree = self._usage, self.tree.subtree
        return list(dict.fromkeys([node for node, cell in cells if usage[cell] > subtree[cell]]))

    def fits_in_subtree(self, charges: Charges) -> tuple[bool, Charges]:
        """Whether one node's quota holds all of it, and what is left of each for its parent."""
        tree, usage = self.tree, self._usage
        if tree.wide or len(usage) < len(tree.subtree):
            return self._fits_in_subtree_wide(charges)
        fits, left = True, []
        for cell, amount in charges:
            used = usage[cell]
            fits = fits and used + amount <= tree.subtree[cell]
            amount -= max(0, tree.kept[cell] - used)
            left.append((tree.cell_parent[cell], max(0, amount)))
        return fits, tuple(left)

    def borrowing_level(self, cell: int, amount: int) -> tuple[int, bool]:
        """Height of the smallest subtree around a ClusterQueue whose quota holds so much more; 0: its own
        does.

        And whether that subtree is part of a larger one, whence it could reclaim. If none holds it: the
        root's height, and False.
        """
        tree = self.tree
        above = tree.cell_parent[cell]
        if above < 0 or not self.exceeds(cell, amount):
            return 0, above >= 0
        amount = subtract(amount, self.kept_room(cell))
        while True:
            if not self.exceeds(above, amount):
                return tree.height[tree.node_of[above]], tree.cell_parent[above] >= 0
            if tree.cell_parent[above] < 0:
                return tree.height[tree.node_of[above]], False
            amount = subtract(amount, self.kept_room(above))
            above = tree.cell_parent[above]

    def _extend(self) -> None:
        """Room for the cells that came after this ledger; they are unused."""
        self._usage += [0] * (len(self.tree.subtree) - len(self._usage))

    def _fits_in_subtree_wide(self, charges: Charges) -> tuple[bool, Charges]:
        fits = not any(self.exceeds(cell, amount) for cell, amount in charges)
        parent = self.tree.cell_parent
        return fits, tuple(
            (parent[cell], max(0, subtract(amount, self.kept_room(cell)))) for cell, amount in charges
        )

    def _add_wide(self, charges: Charges) -> None:
        for cell, amount in charges:
            while cell >= 0:
                room = self.kept_room(cell)
                self._usage[cell] = add(self._usage[cell], amount)
                if amount <= room:
                    break
                amount, cell = subtract(amount, room), self.tree.cell_parent[cell]

    def _remove_wide(self, charges: Charges) -> None:
        for cell, amount in charges:
            while cell >= 0:
                above = subtract(self._usage[cell], self.tree.kept[cell])
                self._usage[cell] = subtract(self._usage[cell], amount)
                if above <= 0:
                    break
                amount, cell = min(amount, above), self.tree.cell_parent[cell]

    def _available_wide(self, path: tuple[int, ...]) -> int:
        tree, left = self.tree, LOWEST
        for step in path:
            if step == path[0]:
                left = subtract(tree.subtree[step], self.usage(step))
                continue
            limit = tree.borrowing_limit[step]
            if limit is not None:
                stored = subtract(tree.subtree[step], tree.kept[step])
                beyond = max(0, subtract(self.usage(step), tree.kept[step]))
                left = min(left, add(subtract(stored, beyond), limit))
            left = add(self.kept_room(step), left)
        return left

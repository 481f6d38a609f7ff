"""The slow clear twin of the quota tree: nodes that know their parent, amounts by name, Kueue's recursion."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.queueing.amounts import FlavorResource, add, subtract
from stellwerk.engine.queueing.quota.tree import Quota, QuotaNode

NONE = Quota(0)


class Twin(Struct):
    """A node with its children, and its usage so far."""

    node: QuotaNode
    parent: "Twin | None"
    children: "list[Twin]"
    usage: dict[FlavorResource, int]

    def quota(self, what: FlavorResource) -> Quota:
        """What the node itself declares."""
        return self.node.quotas.get(what, NONE)

    def subtree(self, what: FlavorResource) -> int:
        """Its own, and what its children lend."""
        total = self.quota(what).nominal
        for child in self.children:
            total = add(total, subtract(child.subtree(what), child.kept(what)))
        return total

    def kept(self, what: FlavorResource) -> int:
        """What it does not lend."""
        limit = self.quota(what).lending_limit
        return 0 if limit is None else max(0, subtract(self.subtree(what), limit))

    def room(self, what: FlavorResource) -> int:
        """What is left of what it keeps."""
        return max(0, subtract(self.kept(what), self.usage.get(what, 0)))

    def available(self, what: FlavorResource) -> int:
        """What it could use more."""
        if self.parent is None:
            return subtract(self.subtree(what), self.usage.get(what, 0))
        above = self.parent.available(what)
        limit = self.quota(what).borrowing_limit
        if limit is not None:
            stored = subtract(self.subtree(what), self.kept(what))
            beyond = max(0, subtract(self.usage.get(what, 0), self.kept(what)))
            above = min(above, add(subtract(stored, beyond), limit))
        return add(self.room(what), above)

    def potential(self, what: FlavorResource) -> int:
        """What it could ever use."""
        if self.parent is None:
            return self.subtree(what)
        most = add(self.kept(what), self.parent.potential(what))
        limit = self.quota(what).borrowing_limit
        return most if limit is None else min(most, add(self.subtree(what), limit))

    def add(self, what: FlavorResource, amount: int) -> None:
        """Use so much more."""
        room = self.room(what)
        self.usage[what] = add(self.usage.get(what, 0), amount)
        if self.parent is not None and amount > room:
            self.parent.add(what, subtract(amount, room))

    def remove(self, what: FlavorResource, amount: int) -> None:
        """Use so much less."""
        above = subtract(self.usage.get(what, 0), self.kept(what))
        self.usage[what] = subtract(self.usage.get(what, 0), amount)
        if self.parent is not None and above > 0:
            self.parent.remove(what, min(amount, above))

    def exceeds(self, what: FlavorResource, amount: int) -> bool:
        """Whether so much more is more than the subtree has."""
        return add(self.usage.get(what, 0), amount) > self.subtree(what)

    def height(self) -> int:
        """0 for a leaf; a Cohort is one higher than its highest Cohort, and at least 1 with members."""
        cohorts = [child.height() + 1 for child in self.children if child.children or child.is_cohort()]
        return max([1 if self.children else 0, *cohorts])

    def is_cohort(self) -> bool:
        """Cohorts of these tests have names that begin with c."""
        return self.node.name.startswith("c")

    def borrowing_level(self, what: FlavorResource, amount: int) -> tuple[int, bool]:
        """Height of the smallest subtree that holds it, and whether there is a larger one."""
        if self.parent is None or not self.exceeds(what, amount):
            return 0, self.parent is not None
        step, amount = self.parent, subtract(amount, self.room(what))
        while step.exceeds(what, amount):
            if step.parent is None:
                return step.height(), False
            step, amount = step.parent, subtract(amount, step.room(what))
        return step.height(), step.parent is not None

    def lendable(self) -> dict[str, int]:
        """What a member could ever have, by resource."""
        root = self
        while root.parent is not None:
            root = root.parent
        total: dict[str, int] = {}
        for what in sorted(root.declared(), key=lambda one: (one.flavor, one.resource)):
            total[what.resource] = add(total.get(what.resource, 0), self.potential(what))
        return total

    def declared(self) -> set[FlavorResource]:
        """All that the subtree has quota for."""
        return set(self.node.quotas).union(*(child.declared() for child in self.children))


def twins(cohorts: Sequence[QuotaNode], queues: Sequence[QuotaNode]) -> Mapping[str, Twin]:
    """The nodes by name; a parent comes before its children in `cohorts`."""
    known: dict[str, Twin] = {}
    for node in (*cohorts, *queues):
        parent = None if node.parent is None else known[node.parent]
        known[node.name] = Twin(node, parent, [], {})
        if parent is not None:
            parent.children.append(known[node.name])
    return known

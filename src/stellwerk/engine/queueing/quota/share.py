"""The dominant resource share: how much a ClusterQueue or Cohort borrows of what its Cohort could lend,
weighted.

Source: kueue pkg/cache/scheduler/fair_sharing.go, KEP-1714. Shares are floats, as Kueue's are: they only
rank.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import ceil, inf

from msgspec import Struct

from stellwerk.engine.queueing.amounts import UNLIMITED, FlavorResource, Usage, add, subtract
from stellwerk.engine.queueing.quota.ledger import Ledger


class Share(Struct, frozen=True, kw_only=True):
    """Thousandths borrowed of the dominant resource, before weighing; what is borrowed, by flavor and
    resource.

    `dominant` is empty when nothing is borrowed, or only what nobody could lend.
    """

    weight: float = 1.0
    ratio: float = 0.0
    dominant: str = ""
    borrowing: bool = False
    borrowed: tuple[FlavorResource, ...] = ()

    @property
    def weighted(self) -> float:
        """The share; infinite for who borrows with weight 0."""
        if self.ratio == 0:
            return 0.0
        return inf if self.weight == 0 else self.ratio / self.weight

    @property
    def rounded(self) -> int:
        """The share as ClusterQueue.status shows it; int64's top for who borrows with weight 0."""
        return UNLIMITED if self.weighted == inf else ceil(self.weighted)

    @property
    def rank(self) -> tuple[bool, float]:
        """The order of shares: those who borrow with weight 0 come last, among them by what they borrow."""
        weightless = self.weight == 0 and self.ratio != 0
        return weightless, self.ratio if weightless else self.weighted

    def borrows_any(self, requests: Usage) -> bool:
        """Whether it borrows of a flavor and resource of which more than 0 is requested here."""
        return any(requests.get(flavor_resource, 0) > 0 for flavor_resource in self.borrowed)


def dominant_resource_share(ledger: Ledger, node: int, extra: Usage | None = None) -> Share:
    """The share of a node, were `extra` used too; a root has none."""
    tree = ledger.tree
    weight = tree.weight[node]
    if tree.parent[node] < 0:
        return Share(weight=weight)
    by_resource: dict[str, int] = {}
    borrowed = []
    for cell in tree.declared[node]:
        flavor_resource = tree.flavor_resource[cell]
        used = ledger.usage(cell)
        if extra:
            used = add(extra.get(flavor_resource, 0), used)
        beyond = subtract(used, tree.subtree[cell])
        if beyond > 0:
            resource = flavor_resource.resource
            by_resource[resource] = add(by_resource.get(resource, 0), beyond)
            borrowed.append(flavor_resource)
    if not borrowed:
        return Share(weight=weight)
    dominant, ratio = _dominant(by_resource, tree.lendable(tree.parent[node]))
    return Share(weight=weight, ratio=ratio, dominant=dominant, borrowing=True, borrowed=tuple(borrowed))


def _dominant(borrowed: Mapping[str, int], lendable: Mapping[str, int]) -> tuple[str, float]:
    """The resource of the largest ratio, of equal ones the first by name."""
    found, largest = "", 0.0
    for resource in sorted(borrowed):
        most = lendable.get(resource, 0)
        if most > 0:
            ratio = float(borrowed[resource]) * 1000.0 / float(most)
            if ratio > largest:
                found, largest = resource, ratio
    return found, largest


def share_text(share: Share) -> str:
    """The share as Kueue logs it: the shortest decimal that is the same float, "+Inf" for infinite."""
    number = share.weighted
    if number == inf:
        return "+Inf"
    text = f"{Decimal(repr(number)):f}"
    return text.removesuffix(".0")

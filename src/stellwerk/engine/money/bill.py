"""Bills: what a fleet costs over a time, shared out so that the shares add up to the cent.

Rounding to cents happens once, half to even, on the total; the shares are then dealt in whole cents. A month
has 730 hours: 8,760 / 12, the convention of the cloud providers' price lists.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from msgspec import Struct

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.snapshot import Fleet

HOURS_PER_MONTH = 730
Key = TypeVar("Key", str, tuple[str, str])
MONTH_NS = HOURS_PER_MONTH * NS_PER_HOUR


class Bill(Struct, frozen=True, kw_only=True):
    """Cents by team, sorted by name, and the cents of what nobody held; together `total`."""

    teams: Mapping[str, int]
    idle: int

    @property
    def total(self) -> int:
        """What was billed: the sum of all lines."""
        return sum(self.teams.values()) + self.idle


def period_cost_cents(fleet: Fleet, period_ns: int) -> int | None:
    """What all nodes cost over `period_ns`, in cents of its currency; None while a cost is unknown."""
    if any(node.cost.unknown or not node.cost.terms for node in fleet.nodes):
        return None
    terms = [fraction(term.per_hour) for node in fleet.nodes for term in node.cost.terms]
    return round(sum(terms, Fraction(0)) * 100 * period_ns / NS_PER_HOUR)


def month_cost_cents(fleet: Fleet) -> int | None:
    """What all nodes cost in a month of 730 hours."""
    return period_cost_cents(fleet, MONTH_NS)


def share_out(total_cents: int, weights: Mapping[Key, int]) -> dict[Key, int]:
    """`total_cents` by weight, in whole cents that add up to the total; sorted by name.

    Largest remainder; of equal remainders the first name gets the cent. Where all weights are 0, all shares
    are equal. Asserts that nothing is negative and that there is somebody to pay.
    """
    names = sorted(weights)
    parts = [weights[name] for name in names]
    return dict(zip(names, _deal(total_cents, parts if any(parts) else [1] * len(parts)), strict=True))


def bill(total_cents: int, held: Mapping[str, int], capacity: int) -> Bill:
    """Who pays `total_cents`: each team for what it held of `capacity`, the rest is idle, a line of its own.

    `held` and `capacity` have one unit (milli-GPU-nanoseconds). Asserts that no more was held than there was.
    """
    idle = capacity - sum(held.values())
    assert idle >= 0, "teams hold no more than there is"
    names = sorted(held)
    shares = _deal(total_cents, [*(held[name] for name in names), idle if capacity else 1])
    return Bill(teams=dict(zip(names, shares[:-1], strict=True)), idle=shares[-1])


def amount(cents: int) -> Decimal:
    """Cents as an amount with two decimals."""
    return rounded(Fraction(cents, 100), 2)


def cost_per_gpu_hour(total_cents: int, milli_gpu_ns: int) -> Decimal | None:
    """What one GPU-hour costs when `total_cents` paid for so many milli-GPU-nanoseconds; None for none."""
    if not milli_gpu_ns:
        return None
    return rounded(Fraction(total_cents, 100) * 1000 * NS_PER_HOUR / milli_gpu_ns, 2)


def _deal(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder: floors first, then one more for the largest remainders; of equals, the first."""
    assert total >= 0 and all(weight >= 0 for weight in weights), "nobody is owed money"
    whole = sum(weights)
    assert whole or not total, "somebody pays"
    if not whole:
        return [0] * len(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares

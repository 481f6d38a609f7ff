"""The bill of a simulated period: who held quota pays by the hour, what nobody held is a line by flavor.

All lines together are the total, to the cent: it is rounded once, and dealt by exact weights.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import lcm

from msgspec import Struct

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.bill import share_out


class Held(Struct, frozen=True, kw_only=True):
    """GPU-nanoseconds that a queue held of a flavor; `lost_ns` of them were thrown away by evictions."""

    queue: str
    flavor: str
    held_ns: int
    lost_ns: int = 0


class QuotaBill(Struct, frozen=True, kw_only=True):
    """Cents. `held` by queue and `idle` by flavor add up to `total`; `lost` is a part of what was held."""

    total: int
    held: Mapping[str, int]
    lost: Mapping[str, int]
    idle: Mapping[str, int]


def quota_bill(
    lines: Sequence[Held], quota_ns: Mapping[str, int], prices: Mapping[str, Fraction]
) -> QuotaBill:
    """Who pays for these flavors at `prices` (of a GPU-hour).

    `quota_ns`: GPU-nanoseconds that all quotas of a flavor would have given. Where more was held than that,
    nothing was idle, and what was held is paid. Asserts that each flavor has a price.
    """
    whole = lcm(*(price.denominator for price in prices.values()))
    rate = {flavor: int(price * whole) for flavor, price in prices.items()}
    held = dict.fromkeys((line.queue for line in lines), 0)
    lost, used = dict(held), dict.fromkeys(quota_ns, 0)
    for line in lines:
        held[line.queue] += line.held_ns * rate[line.flavor]
        lost[line.queue] += line.lost_ns * rate[line.flavor]
        used[line.flavor] = used.get(line.flavor, 0) + line.held_ns
    idle = {
        flavor: max(0, quota_ns.get(flavor, 0) - amount) * rate[flavor] for flavor, amount in used.items()
    }
    weights = {("held", name): weight for name, weight in held.items()}
    weights |= {("idle", name): weight for name, weight in idle.items()}
    total = round(Fraction(sum(weights.values()) * 100, whole * NS_PER_HOUR))
    shares = share_out(total, weights)
    of_queue = {name: shares["held", name] for name in sorted(held)}
    return QuotaBill(
        total=total,
        held=of_queue,
        lost={name: _lost(of_queue[name], held[name], lost[name]) for name in of_queue},
        idle={name: shares["idle", name] for name in sorted(idle)},
    )


def _lost(cents: int, held: int, lost: int) -> int:
    """The part of a queue's cents that was lost."""
    return share_out(cents, {"lost": lost, "useful": held - lost})["lost"] if lost else 0

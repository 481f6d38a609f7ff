"""What one hour of a node costs: rent at a price, or the parts of owning it. Each part shows its formula.

Hours: a year has 8,760 (365 days), a month 730 (a twelfth of it, the clouds' convention).
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.catalog.prices import ExchangeRate, Price
from stellwerk.engine.money.exact import RATE_DECIMALS, fraction, plain, rounded
from stellwerk.engine.money.exchange import Quote, Unknown, quote
from stellwerk.engine.snapshot import CostTerm, NodeCost

HOURS_PER_YEAR = 8_760


class Target(Struct, frozen=True):
    """The currency a cost is wanted in, and the rates there are, the first of a pair winning."""

    currency: str
    rates: tuple[ExchangeRate, ...] = ()


class Owned(Struct, frozen=True, kw_only=True):
    """A server of one's own; amounts checked (`checked_owned`). No energy price: only at 0 W."""

    capex: Price
    years: Decimal
    residual_percent: Decimal = Decimal(0)
    power_watts: Decimal
    energy_price: Price | None = None
    pue: Decimal = Decimal(1)
    staff_per_year: Price | None = None
    colocation_per_year: Price | None = None


class Part(Struct, frozen=True):
    """One term before conversion: `price` is multiplied by the exact `factor`; `formula` shows that."""

    name: str
    price: Price
    factor: Fraction
    formula: str


def rent(price: Price, target: Target) -> NodeCost:
    """The cost of a node at a price per hour."""
    return node_cost([Part("rent", price, Fraction(1), _money(price))], target)


def own(owned: Owned, target: Target) -> NodeCost:
    """The cost of an owned server: straight-line depreciation, energy, and staff and colocation if stated."""
    yearly = {"staff": owned.staff_per_year, "colocation": owned.colocation_per_year}
    parts = [depreciation(owned)]
    if owned.energy_price is not None:
        parts.append(energy(owned, owned.energy_price))
    parts += [_per_year(name, price) for name, price in yearly.items() if price is not None]
    return replace(node_cost(parts, target), energy_per_kwh=_kwh(owned, target))


def _kwh(owned: Owned, target: Target) -> Decimal | None:
    """A kWh at the GPU with its part of cooling; unknown at 0, which says that another cost holds it."""
    price = owned.energy_price
    way = None if price is None else quote(price.currency, target.currency, target.rates)
    if price is None or not price.amount or way is None or isinstance(way, Unknown):
        return None
    return rounded(fraction(price.amount) * fraction(owned.pue) * way.factor, RATE_DECIMALS)


def depreciation(owned: Owned) -> Part:
    """capex * (1 - residual) / (years * 8,760 h)."""
    kept = 1 - fraction(owned.residual_percent) / 100
    formula = (
        f"{_money(owned.capex)} * (1 - {plain(owned.residual_percent)}/100)"
        f" / ({plain(owned.years)} years * {HOURS_PER_YEAR} h)"
    )
    return Part("depreciation", owned.capex, kept / (fraction(owned.years) * HOURS_PER_YEAR), formula)


def energy(owned: Owned, price: Price) -> Part:
    """watts / 1,000 * PUE * price of a kWh: what the node draws and what cooling adds."""
    factor = fraction(owned.power_watts) / 1000 * fraction(owned.pue)
    formula = f"{plain(owned.power_watts)} W / 1000 * {plain(owned.pue)} * {_money(price)} per kWh"
    return Part("energy", price, factor, formula)


def node_cost(parts: Sequence[Part], target: Target) -> NodeCost:
    """All parts in the target's currency; unknown as a whole when one of them has no rate."""
    terms: list[CostTerm] = []
    for part in parts:
        way = quote(part.price.currency, target.currency, target.rates)
        if isinstance(way, Unknown):
            return NodeCost(currency=target.currency, unknown=way.option)
        terms.append(_term(part, way))
    return NodeCost(currency=target.currency, terms=tuple(terms))


def _term(part: Part, way: Quote) -> CostTerm:
    exact = fraction(part.price.amount) * part.factor * way.factor
    unchanged = (
        part.factor == 1 and way.rate is None
    )  # A price stays in the words of its source: 5.04, not 5.0400.
    return CostTerm(
        name=part.name,
        per_hour=part.price.amount if unchanged else rounded(exact, RATE_DECIMALS),
        formula=part.formula + way.formula,
        date=part.price.date or "undated",
        source="; ".join(text for text in (part.price.source or "source not stated", way.source) if text),
    )


def _per_year(name: str, price: Price) -> Part:
    formula = f"{_money(price)} per year / {HOURS_PER_YEAR} h"
    return Part(name, price, Fraction(1, HOURS_PER_YEAR), formula)


def _money(price: Price) -> str:
    return f"{plain(price.amount)} {price.currency}"

"""Fields of a Fleet made into what money computes with: amounts, prices, rates, an owned server.

A field that no sum can use (NaN, below 0, 1e999) is refused here by its path; nothing later checks again.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from msgspec import UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups import stellwerk as api
from stellwerk.api.groups.meta import given
from stellwerk.catalog.prices import ExchangeRate, Price
from stellwerk.engine.money.exact import is_amount
from stellwerk.engine.money.node_cost import Owned

_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_ZERO, _ONE, _HUNDRED = Decimal(0), Decimal(1), Decimal(100)


def checked_amount(value: Decimal, path: str) -> Decimal:
    """`value` if it is an amount; raises InvalidInput at `path`."""
    if is_amount(value):
        return value
    raise InvalidInput(
        "{value} is not an amount: a number from 0 to below 1e15, with at most 20 decimals, is",
        fix='write it as text with a point: "5.04"',
        path=path,
        value=str(value)[:40],
    )


def checked_currency(text: str, path: str) -> str:
    """`text` if it is an ISO 4217 code by its form; raises InvalidInput at `path`."""
    if _CURRENCY.fullmatch(text):
        return text
    raise InvalidInput(
        '"{text}" is not a currency code', fix="write three capitals: EUR or USD", path=path, text=text[:40]
    )


def checked_price(money: api.Money, path: str) -> Price:
    """The price with its date and source as given; empty text where they are not."""
    return Price(
        amount=checked_amount(money.amount, f"{path}.amount"),
        currency=checked_currency(money.currency, f"{path}.currency"),
        date=given(money.date, ""),
        source=given(money.source, ""),
    )


def checked_owned(owned: api.Owned, path: str) -> Owned | str:
    """The owned server; or the path of the field without which its cost is unknown (power or its price)."""
    watts = _amount_or_none(owned.power_watts, f"{path}.powerWatts")
    if watts is None:
        return f"{path}.powerWatts"
    if watts and isinstance(owned.energy_price, UnsetType):
        return f"{path}.energyPrice"
    return Owned(
        capex=checked_price(owned.capex, f"{path}.capex"),
        years=_between(owned.years, (Decimal("0.01"), _HUNDRED), f"{path}.years"),
        residual_percent=_between(
            given(owned.residual_percent, _ZERO), (_ZERO, _HUNDRED), f"{path}.residualPercent"
        ),
        power_watts=watts,
        energy_price=_price_or_none(owned.energy_price, f"{path}.energyPrice"),
        pue=_between(given(owned.pue, _ONE), (_ONE, Decimal(10)), f"{path}.pue"),
        staff_per_year=_price_or_none(owned.staff_per_year, f"{path}.staffPerYear"),
        colocation_per_year=_price_or_none(owned.colocation_per_year, f"{path}.colocationPerYear"),
    )


def checked_rates(rates: Sequence[api.FleetExchangeRate], path: str) -> tuple[ExchangeRate, ...]:
    """The Fleet's rates; raises InvalidInput for a rate of 0, and for two rates of one pair."""
    pairs: set[frozenset[str]] = set()
    for at, rate in enumerate(rates):
        pair = frozenset((rate.base, rate.quote))
        if pair in pairs or len(pair) == 1:
            raise InvalidInput(
                "{base} to {quote} is not one more pair of two currencies",
                fix="keep one rate for each pair of currencies",
                path=f"{path}[{at}]",
                base=rate.base[:40],
                quote=rate.quote[:40],
            )
        pairs.add(pair)
    return tuple(_rate(rate, f"{path}[{at}]") for at, rate in enumerate(rates))


def _rate(rate: api.FleetExchangeRate, path: str) -> ExchangeRate:
    return ExchangeRate(
        base=checked_currency(rate.base, f"{path}.base"),
        quote=checked_currency(rate.quote, f"{path}.quote"),
        rate=_between(rate.rate, (Decimal("1e-9"), Decimal("1e9")), f"{path}.rate"),
        date=given(rate.date, "") or "an unstated day",
        source=given(rate.source, "") or "source not stated",
    )


def _between(value: Decimal, limits: tuple[Decimal, Decimal], path: str) -> Decimal:
    low, high = limits
    if is_amount(value) and low <= value <= high:
        return value
    raise InvalidInput(
        "{value} is not between {low} and {high}",
        fix="write a number between {low} and {high}",
        path=path,
        value=str(value)[:40],
        low=f"{low:f}",
        high=f"{high:f}",
    )


def _amount_or_none(value: Decimal | UnsetType, path: str) -> Decimal | None:
    return None if isinstance(value, UnsetType) else checked_amount(value, path)


def _price_or_none(money: api.Money | UnsetType, path: str) -> Price | None:
    return None if isinstance(money, UnsetType) else checked_price(money, path)

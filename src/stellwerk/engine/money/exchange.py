"""Currencies: an amount in another currency at a dated rate; without a rate unknown, never 0.

The first rate of the pair wins, in either direction: put a user's own rates before the catalog's. There are
no cross rates (USD to GBP by way of EUR): the user states what he pays at.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.money.exact import RATE_DECIMALS, fraction, plain, rounded

_RATE = re.compile(
    r"([A-Z]{3})/?([A-Z]{3})=([0-9]{1,12}(?:\.[0-9]{1,12})?)@([0-9]{4}-[0-9]{2}-[0-9]{2})", re.ASCII
)


class Unknown(Struct, frozen=True):
    """A figure that cannot be known yet: `option` is what a user sets to make it known."""

    option: str


class Quote(Struct, frozen=True):
    """From one currency to another: times a rate, or (inverse) divided by it; None: the same currency."""

    rate: ExchangeRate | None = None
    inverse: bool = False

    @property
    def factor(self) -> Fraction:
        """Exact units of the target currency for one unit of the source."""
        value = Fraction(1) if self.rate is None else fraction(self.rate.rate)
        return 1 / value if self.inverse else value

    @property
    def formula(self) -> str:
        """What follows the amount in a formula: " / 1.0411 USD per EUR"; empty in the same currency."""
        if self.rate is None:
            return ""
        return (
            f" {'/' if self.inverse else '*'} {plain(self.rate.rate)} {self.rate.quote} per {self.rate.base}"
        )

    @property
    def source(self) -> str:
        """Which rate of which day, and whose; empty in the same currency."""
        if self.rate is None:
            return ""
        rate = self.rate
        return f"1 {rate.base} = {plain(rate.rate)} {rate.quote} on {rate.date} ({rate.source})"


def quote(currency: str, to: str, rates: Sequence[ExchangeRate]) -> Quote | Unknown:
    """The way from `currency` to `to` by the first rate of that pair."""
    if currency == to:
        return Quote()
    for rate in rates:
        if (rate.base, rate.quote) == (currency, to):
            return Quote(rate)
        if (rate.base, rate.quote) == (to, currency):
            return Quote(rate, inverse=True)
    return Unknown(f"--rate {to}{currency}=RATE@DATE, or spec.exchangeRates of the Fleet")


def convert(amount: Decimal, currency: str, to: str, rates: Sequence[ExchangeRate]) -> Decimal | Unknown:
    """`amount` in the currency `to`, exact, then rounded once to 10 decimals half to even.

    In the same currency the amount stays as it is. Without a rate: Unknown with the option that sets it.
    """
    way = quote(currency, to, rates)
    if isinstance(way, Unknown):
        return way
    return amount if way.rate is None else rounded(fraction(amount) * way.factor, RATE_DECIMALS)


def parse_rate(text: str) -> ExchangeRate:
    """The rate in `EURUSD=1.08@2026-11-01`: one EUR costs 1.08 USD on that day. Raises InvalidInput."""
    found = _RATE.fullmatch(text)
    if found is None or not Decimal(found[3]):
        raise InvalidInput(
            "Exchange rate {text} is not of the form EURUSD=1.08@2026-11-01",
            fix="write what one unit of the first currency costs in the second, and the day: "
            "--rate EURUSD=1.08@2026-11-01",
            text=text[:80],
        )
    base, other, rate, date = found.groups()
    return ExchangeRate(base=base, quote=other, rate=Decimal(rate), date=date, source="--rate")

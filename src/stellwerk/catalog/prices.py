"""A price and an exchange rate: never a bare number, always with currency, date and source."""

from decimal import Decimal

from msgspec import Struct


class Price(Struct, frozen=True, kw_only=True):
    """`amount` of `currency` for the unit that the owner of the price names (an hour, a kWh, a server)."""

    amount: Decimal
    currency: str
    date: str
    source: str


class ExchangeRate(Struct, frozen=True, kw_only=True):
    """1 unit of `base` costs `rate` units of `quote` (the ECB's form: base EUR)."""

    base: str
    quote: str
    rate: Decimal
    date: str
    source: str

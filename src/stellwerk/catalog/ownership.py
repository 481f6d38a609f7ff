"""Owning a server: published ranges for purchase, residual value, colocation, power, electricity and PUE.

Ranges from resellers and market studies, not list prices: starting values that a user replaces by his own.
"""

from decimal import Decimal
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read
from stellwerk.catalog.prices import ExchangeRate


class PurchaseRange(Struct, frozen=True, kw_only=True):
    """What an item costs to buy, in USD."""

    item: str
    usd_low: Decimal
    usd_high: Decimal
    source: str
    date: str


class Range(Struct, frozen=True, kw_only=True):
    """Low to high, in the unit that the field's name ends in."""

    low: Decimal
    high: Decimal
    source: str
    date: str


class Figure(Struct, frozen=True, kw_only=True):
    """One published value, in the unit that the field's name ends in; `what` says of what."""

    value: Decimal
    what: str = ""
    source: str
    date: str


class Ownership(Struct, frozen=True, kw_only=True):
    """All facts; electricity in euro cents a kWh, residual value in percent of the purchase price."""

    note: str
    purchase: tuple[PurchaseRange, ...]
    residual_value_after_36_months_pct: Range
    colocation_8x_h100_3_years_usd: Range = msgspec.field(name="colocation_8xH100_3_years_usd")
    power_8x_h100_air_cooled_kw: Figure = msgspec.field(name="power_8xH100_air_cooled_kw")
    electricity_germany_ct_per_kwh: tuple[Figure, ...]
    pue: tuple[Figure, ...]


class _Rate(Struct, frozen=True):
    eur_usd: Decimal
    date: str
    note: str


class _File(Struct, frozen=True):
    exchange_rate: _Rate


@cache
def ownership() -> Ownership:
    """What owning costs, each with source and date."""
    return msgspec.json.decode(read("ownership.json"), type=Ownership)


@cache
def exchange_rate() -> ExchangeRate:
    """The last rate seen: 1 EUR = 1.0411 USD on 2025-02-28. Old: a user's dated rate comes first."""
    rate = msgspec.json.decode(read("ownership.json"), type=_File).exchange_rate
    source = "ECB reference, via eurodripusa.net"
    return ExchangeRate(base="EUR", quote="USD", rate=rate.eur_usd, date=rate.date, source=source)

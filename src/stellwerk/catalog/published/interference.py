"""Published measurements of sharing with their conditions: not a model; elsewhere the effect is a range."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read


class Measurement(Struct, frozen=True, kw_only=True):
    """`figures`: metric -> way of sharing -> value, as published. `source` names its date."""

    gpu: str
    method: str
    workload: str
    figures: Mapping[str, Mapping[str, Decimal]]
    source: str
    date: str = ""


class _File(Struct, frozen=True):
    generated: str
    measurements: tuple[Measurement, ...]


@cache
def interference() -> tuple[Measurement, ...]:
    """All measurements; `date` is when they were collected."""
    file = msgspec.json.decode(read("interference.json"), type=_File)
    return tuple(msgspec.structs.replace(row, date=file.generated) for row in file.measurements)

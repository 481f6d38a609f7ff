"""Published GPU memory of fine-tuning, with conditions: the figures disagree, so show the conditions too."""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read


class VramFigure(Struct, frozen=True, kw_only=True):
    """`gb` are decimal gigabytes as published, under `conditions` only."""

    model: str
    method: str
    gb: int
    conditions: str
    source: str
    date: str = ""


class _File(Struct, frozen=True):
    generated: str
    figures: tuple[VramFigure, ...]


@cache
def vram_published() -> tuple[VramFigure, ...]:
    """All figures; `date` is when they were collected, and "same" as source is spelled out."""
    file = msgspec.json.decode(read("vram_published.json"), type=_File)
    rows: list[VramFigure] = []
    for row in file.figures:
        source = rows[-1].source if row.source == "same" else row.source
        rows.append(msgspec.structs.replace(row, source=source, date=file.generated))
    return tuple(rows)

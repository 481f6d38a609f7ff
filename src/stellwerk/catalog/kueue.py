"""Kueue's feature gates: default, stage, and the gates that a gate needs."""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read


class Gate(Struct, frozen=True, kw_only=True):
    """A feature gate; `needs`: gates without which it is off."""

    name: str
    default: bool
    stage: str
    needs: tuple[str, ...] = ()


class KueueFacts(Struct, frozen=True, kw_only=True):
    """All gates in order of name; `source` holds repository, commit and file, `read` the date."""

    source: str
    read: str
    gates: tuple[Gate, ...]


@cache
def kueue_facts() -> KueueFacts:
    """All facts about Kueue."""
    return msgspec.json.decode(read("kueue_gates.json"), type=KueueFacts)

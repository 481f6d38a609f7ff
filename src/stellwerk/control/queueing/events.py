"""What a controller on a Store is told, and what it may ask for, as data. Objects are raw JSON, not to be changed.

An effect ends in exactly one event, Applied or Refused; WakeAt in a Tick.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

Json = Mapping[str, Any]


class ObjectChanged(Struct, frozen=True):
    """An object was made or changed; it may be old news."""

    object: Json


class ObjectDeleted(Struct, frozen=True):
    """An object is gone; its resourceVersion is that of the deletion."""

    object: Json


class Listed(Struct, frozen=True):
    """All objects of a kind, as they were at `version`: after a start, and when changes may have been missed.

    `group`: the apiVersion without its version.
    """

    group: str
    kind: str
    objects: tuple[Json, ...]
    version: int


class Tick(Struct, frozen=True):
    """The time that WakeAt asked for has come."""


class Put(Struct, frozen=True):
    """Write the object: make it (without resourceVersion), or replace what was read at its resourceVersion."""

    object: Json


class Delete(Struct, frozen=True):
    """Delete the object, if it is still at its resourceVersion."""

    object: Json


class WakeAt(Struct, frozen=True):
    """Send a Tick at this time (ns)."""

    at: int


class Applied(Struct, frozen=True):
    """An effect was performed; `object` as it is stored now, None: deleted."""

    effect: Put | Delete
    object: Json | None


class Refused(Struct, frozen=True):
    """An effect was decided on an old version, and was not performed; `object` as it is now, None: not there."""

    effect: Put | Delete
    object: Json | None


Event = ObjectChanged | ObjectDeleted | Listed | Tick | Applied | Refused
Effect = Put | Delete | WakeAt

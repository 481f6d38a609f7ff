"""The Store port: Kubernetes objects with optimistic concurrency, list and watch; and its in-memory form.

Objects are raw JSON, so that unknown fields survive. Every change has a resourceVersion, a number that only
grows; who writes on an old one is refused (Conflict), as an API server does it with status 409.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec
from msgspec import Struct

Object = dict[str, Any]
# A number that is no integer stays exact.
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class Key(Struct, frozen=True, order=True):
    """What names an object: its group and kind (as apiVersion without the version), namespace, name."""

    group: str
    kind: str
    namespace: str
    name: str


class Change(Struct, frozen=True):
    """One line of the watch log: ADDED, MODIFIED or DELETED, as the API server calls them."""

    type: str
    version: int
    object: Object


class Conflict(Exception):
    """The object was changed, made or deleted since it was read."""


class Expired(Exception):
    """The watch begins before the oldest change that is kept: list again (an API server's 410 Gone)."""


class Store(Protocol):
    """What controllers need of a store."""

    def get(self, key: Key) -> Object | None:
        """A copy of the object, or None."""

    def list(self, group: str, kind: str) -> tuple[list[Object], int]:
        """Copies of all objects of a kind, by namespace and name, and the version they are true at."""

    def put(self, item: Mapping[str, Any]) -> Object:
        """Create (no resourceVersion) or replace (the version it was read at); raises Conflict."""

    def delete(self, key: Key, version: int | None = None) -> None:
        """Delete; raises Conflict where it is not there, or not at `version`."""

    def watch(self, since: int) -> Iterator[Change]:
        """Every change after version `since`, in order; raises Expired."""


def key_of(item: Mapping[str, Any]) -> Key:
    """The key of an object; a namespace that is not stated is "" (cluster-scoped) to the store."""
    group, _, version = str(item["apiVersion"]).rpartition("/")
    assert version, "an object has an apiVersion"
    metadata = item["metadata"]
    return Key(group, str(item["kind"]), str(metadata.get("namespace", "")), str(metadata["name"]))


class MemoryStore:
    """A store in memory. `keep` is how many changes the watch log holds.

    Objects are kept as JSON text: what was read or written can be changed at will, and a copy is a decoding,
    which takes a tenth of the time of copy.deepcopy.
    """

    def __init__(self, keep: int = 10_000) -> None:
        self._objects: dict[Key, tuple[str, bytes]] = {}  # resourceVersion and object.
        self._log: list[tuple[str, int, bytes]] = []
        self._version = 0
        self._keep = keep

    def get(self, key: Key) -> Object | None:
        """A copy of the object, or None."""
        found = self._objects.get(key)
        return None if found is None else _decoded(found[1])

    def list(self, group: str, kind: str) -> tuple[list[Object], int]:
        """Copies of all objects of a kind, by namespace and name, and the version they are true at."""
        keys = sorted(key for key in self._objects if key.group == group and key.kind == kind)
        return [_decoded(self._objects[key][1]) for key in keys], self._version

    def put(self, item: Mapping[str, Any]) -> Object:
        """Create or replace; returns the stored object with its new resourceVersion. Raises Conflict."""
        key, old = key_of(item), self._objects.get(key_of(item))
        asked, there = item["metadata"].get("resourceVersion"), None if old is None else old[0]
        if asked != there:
            raise Conflict(f"{key.kind} {key.name} is at {there}, the change was made at {asked}")
        text = self._noted("ADDED" if old is None else "MODIFIED", item)
        self._objects[key] = str(self._version), text
        return _decoded(text)

    def delete(self, key: Key, version: int | None = None) -> None:
        """Delete an object, at the version where one is given. Raises Conflict."""
        old = self._objects.get(key)
        if old is None or (version is not None and old[0] != str(version)):
            raise Conflict(f"{key.kind} {key.name} is not there at {version}")
        del self._objects[key]
        self._noted("DELETED", _decoded(old[1]))

    def watch(self, since: int) -> Iterator[Change]:
        """The changes after `since` that are there now, in order. Raises Expired."""
        oldest = self._log[0][1] if self._log else self._version + 1
        if since + 1 < oldest and since < self._version:
            raise Expired(f"changes are kept from {oldest} on, the watch begins at {since}")
        # Each version is one change, so the place in the log is known.
        changes = self._log[max(0, since + 1 - oldest) :]
        return iter([Change(kind, version, _decoded(text)) for kind, version, text in changes])

    def _noted(self, kind: str, item: Mapping[str, Any]) -> bytes:
        """A change in the log, at the next version; the object as it is kept."""
        self._version += 1
        metadata = {**item["metadata"], "resourceVersion": str(self._version)}
        text = _ENCODER.encode({**item, "metadata": metadata})
        self._log.append((kind, self._version, text))
        del self._log[: -self._keep]
        return text


def _decoded(text: bytes) -> Object:
    found: Object = _DECODER.decode(text)
    return found

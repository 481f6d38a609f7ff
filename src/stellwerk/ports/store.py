"""The Store port: Kubernetes objects with optimistic concurrency, list and watch; and its in-memory form.

Objects are raw JSON, so that unknown fields survive. Every change has a resourceVersion, a number that only
grows; who writes on an old one is refused (Conflict), as an API server does it with status 409.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

Object = dict[str, Any]


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
    """A store in memory. `keep` is how many changes the watch log holds."""

    def __init__(self, keep: int = 10_000) -> None:
        self._objects: dict[Key, Object] = {}
        self._log: list[Change] = []
        self._version = 0
        self._keep = keep

    def get(self, key: Key) -> Object | None:
        """A copy of the object, or None."""
        return _copied(self._objects.get(key))

    def list(self, group: str, kind: str) -> tuple[list[Object], int]:
        """Copies of all objects of a kind, by namespace and name, and the version they are true at."""
        keys = sorted(key for key in self._objects if key.group == group and key.kind == kind)
        return [_copied(self._objects[key]) for key in keys], self._version

    def put(self, item: Mapping[str, Any]) -> Object:
        """Create or replace; returns the stored object with its new resourceVersion. Raises Conflict."""
        key, stored = key_of(item), _copied(dict(item))
        old = self._objects.get(key)
        asked = stored["metadata"].get("resourceVersion")
        there = None if old is None else old["metadata"]["resourceVersion"]
        if asked != there:
            raise Conflict(f"{key.kind} {key.name} is at {there}, the change was made at {asked}")
        self._version += 1
        stored["metadata"]["resourceVersion"] = str(self._version)
        self._objects[key] = stored
        self._note("ADDED" if old is None else "MODIFIED", stored)
        return _copied(stored)

    def delete(self, key: Key, version: int | None = None) -> None:
        """Delete an object, at the version where one is given. Raises Conflict."""
        old = self._objects.get(key)
        if old is None or (version is not None and old["metadata"]["resourceVersion"] != str(version)):
            raise Conflict(f"{key.kind} {key.name} is not there at {version}")
        self._version += 1
        del self._objects[key]
        gone = _copied(old)
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._note("DELETED", gone)

    def watch(self, since: int) -> Iterator[Change]:
        """The changes after `since` that are there now, in order. Raises Expired."""
        oldest = self._log[0].version if self._log else self._version + 1
        if since + 1 < oldest and since < self._version:
            raise Expired(f"changes are kept from {oldest} on, the watch begins at {since}")
        # Each version is one change, so the place in the log is known.
        changes = self._log[max(0, since + 1 - oldest) :]
        return iter([Change(c.type, c.version, _copied(c.object)) for c in changes])

    def _note(self, kind: str, item: Object) -> None:
        self._log.append(Change(kind, self._version, item))
        del self._log[: -self._keep]


def _copied(value: Any) -> Any:
    """A copy of JSON: what is neither object nor list cannot be changed (several times faster than deepcopy)."""
    if isinstance(value, dict):
        return {key: _copied(child) for key, child in value.items()}
    return [_copied(child) for child in value] if isinstance(value, list | tuple) else value

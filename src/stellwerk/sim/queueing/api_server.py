"""A Store that does what an API server does on each write: UID, creationTimestamp, generation, finalizers.

UIDs count up: of Workloads that were made in the same second the one that was made first is tried first.
(On a cluster UIDs are random, and so is that order; those of a cluster may be given.)
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.ports.clock import Clock
from stellwerk.ports.store import Change, Conflict, Key, MemoryStore, Object, key_of


class ApiServer:
    """The Store of a simulated cluster; `clock` counts nanoseconds since 1970.

    `uids`: by kind, namespace and name, those that are not to be counted up.
    """

    def __init__(
        self,
        clock: Clock,
        store: MemoryStore | None = None,
        uids: Mapping[tuple[str, str, str], str] | None = None,
    ) -> None:
        self._store, self._clock, self._made = store or MemoryStore(), clock, 0
        self._uids = uids or {}

    def get(self, key: Key) -> Object | None:
        """A copy of the object, or None."""
        return self._store.get(key)

    def list(self, group: str, kind: str) -> tuple[list[Object], int]:
        """Copies of all objects of a kind, by namespace and name, and the version they are true at."""
        return self._store.list(group, kind)

    def put(self, item: Mapping[str, Any]) -> Object:
        """Create or replace, with what the server fills in; raises Conflict."""
        metadata = dict(item["metadata"])
        if "resourceVersion" in metadata:
            old = self._store.get(key_of(item))
            if old is not None and old.get("spec") != item.get("spec"):
                metadata["generation"] = int(old["metadata"].get("generation", 1)) + 1
            stored = self._store.put({**item, "metadata": metadata})
            if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
                self._store.delete(key_of(item))
            return stored
        self._made += 1
        key = key_of(item)
        given = self._uids.get((key.kind, key.namespace, key.name))
        metadata.setdefault("uid", given or f"00000000-0000-4000-8000-{self._made:012}")
        metadata.setdefault("creationTimestamp", time_text(self._clock.now()))
        metadata["generation"] = 1
        return self._store.put({**item, "metadata": metadata})

    def delete(self, key: Key, version: int | None = None) -> None:
        """Delete, or mark as such what has finalizers; raises Conflict where it is not there at `version`."""
        found = self._store.get(key)
        if found is None or not found["metadata"].get("finalizers"):
            self._store.delete(key, version)
            return
        there = found["metadata"]["resourceVersion"]
        if version is not None and there != str(version):
            raise Conflict(f"{key.kind} {key.name} is at {there}, not at {version}")
        if not found["metadata"].get("deletionTimestamp"):
            metadata = {**found["metadata"], "deletionTimestamp": time_text(self._clock.now())}
            self._store.put({**found, "metadata": metadata})

    def watch(self, since: int) -> Iterator[Change]:
        """Every change after version `since`, in order; raises Expired."""
        return self._store.watch(since)

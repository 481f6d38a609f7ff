"""The performing side of controllers on a Store: an effect becomes a call, and ends in exactly one event."""

from collections.abc import Iterable

from stellwerk.control.queueing.events import (
    Applied,
    Delete,
    Listed,
    ObjectChanged,
    ObjectDeleted,
    Put,
    Refused,
)
from stellwerk.ports.store import Conflict, Expired, Store, key_of


def perform(store: Store, effect: Put | Delete) -> Applied | Refused:
    """Do it. Who was refused is told how the object is now."""
    try:
        if isinstance(effect, Put):
            return Applied(effect, store.put(effect.object))
        store.delete(key_of(effect.object), int(effect.object["metadata"]["resourceVersion"]))
        return Applied(effect, None)
    except Conflict:
        return Refused(effect, store.get(key_of(effect.object)))


class Changes:
    """The changes of a Store, once each, as events; `kinds` (group, kind) in the order of listing."""

    def __init__(self, store: Store, kinds: Iterable[tuple[str, str]]) -> None:
        self._store, self._kinds, self._version = store, tuple(kinds), 0

    def all(self) -> list[Listed]:
        """Everything that there is; what follows are changes of it."""
        _, self._version = self._store.list("", "")  # Nothing; but changes from here on are told.
        found = []
        for group, kind in self._kinds:
            objects, version = self._store.list(group, kind)
            found.append(Listed(group, kind, tuple(objects), version))
        return found

    def new(self) -> list[Listed] | list[ObjectChanged | ObjectDeleted]:
        """What changed since the last call; everything there is, where that was too long ago."""
        try:
            changes = list(self._store.watch(self._version))
        except Expired:
            return self.all()
        if changes:
            self._version = changes[-1].version
        return [
            ObjectDeleted(one.object) if one.type == "DELETED" else ObjectChanged(one.object)
            for one in changes
        ]

"""`Seen`: the objects as a controller knows them, typed, whatever order and how often it is told.

What is older than what is known is no news: a resourceVersion only grows.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import without_nulls
from stellwerk.api.mismatch import decode_hook
from stellwerk.api.scheme import group_of, type_of
from stellwerk.control.queueing.events import Json, Listed

T = TypeVar("T", bound=Struct)
Name = tuple[str, str]  # namespace, name
Kind = tuple[str, str]  # group, kind


class Item(Struct, frozen=True):
    """An object as it is stored, as a typed view without its version (None: of no type), and the version."""

    raw: Json
    typed: Any
    version: int


class Seen:
    """Objects of the given kinds; those of others are not looked at, nor are those that no type can read."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._items: dict[Kind, dict[Name, Item]] = {kind: {} for kind in kinds}
        self._gone: dict[tuple[Kind, Name], int] = {}
        self._owned: dict[tuple[str, str, Name], set[Name]] = {}  # Owner's kind and name -> Workloads etc.

    def observe(self, raw: Json) -> Item | None:
        """The object is like that; None if that is no news."""
        kind, name, version = named(raw)
        of_kind = self._items.get(kind)
        if of_kind is None:
            return None
        old = of_kind.get(name)
        if not _is_newer(version, old, self._gone.get((kind, name), 0)):
            return None
        try:
            typed = view(raw)
        except msgspec.ValidationError:
            return None
        if old is not None:
            self._removed(kind, name)
        item = of_kind[name] = Item(raw, typed, version)
        for owner in _owners(kind, item):
            self._owned.setdefault(owner, set()).add(name)
        return item

    def forget(self, raw: Json) -> Item | None:
        """The object is gone; returns what was known of it, None if that is no news."""
        kind, name, version = named(raw)
        if kind not in self._items:
            return None
        self._gone[kind, name] = max(version, self._gone.get((kind, name), 0))
        old = self._items[kind].get(name)
        if old is None or old.version > version:
            return None
        return self._removed(kind, name)

    def compare(self, listed: Listed) -> tuple[list[Item], list[Item]]:
        """What of a list is news, and what is known although it is not there any more."""
        kind = listed.group, listed.kind
        there = {named(raw)[1] for raw in listed.objects}
        gone = [
            name
            for name, item in self._items.get(kind, {}).items()
            if name not in there and item.version <= listed.version
        ]
        for name in gone:
            self._gone[kind, name] = listed.version
        removed = [self._removed(kind, name) for name in gone]
        return [item for raw in listed.objects if (item := self.observe(raw)) is not None], removed

    def get(self, kind: Kind, namespace: str, name: str) -> Item | None:
        """The object, if it is there."""
        return self._items[kind].get((namespace, name))

    def all(self, kind: Kind) -> list[Item]:
        """All of a kind, by namespace and name."""
        return [item for _, item in sorted(self._items[kind].items(), key=lambda one: one[0])]

    def names(self, kind: Kind) -> list[Name]:
        """Namespaces and names of a kind, in order."""
        return sorted(self._items[kind])

    def typed(self, kind: Kind, wanted: type[T]) -> list[T]:
        """The typed views of all of a kind."""
        return [item.typed for item in self.all(kind) if isinstance(item.typed, wanted)]

    def owned(self, kind: Kind, owner: str, namespace: str, name: str) -> list[Item]:
        """Objects of a kind whose controller is this object, by name; `owner`: its kind."""
        found = sorted(self._owned.get((kind[1], owner, (namespace, name)), ()))
        return [self._items[kind][one] for one in found]

    def _removed(self, kind: Kind, name: Name) -> Item:
        item = self._items[kind].pop(name)
        for owner in _owners(kind, item):
            self._owned[owner].discard(name)
        return item


def _is_newer(version: int, old: Item | None, gone: int) -> bool:
    """Than what is known, and than its last deletion."""
    return version > gone and (old is None or version > old.version)


def named(raw: Json) -> tuple[Kind, Name, int]:
    """Kind, name and version of an object."""
    metadata: Mapping[str, Any] = raw["metadata"]
    kind = group_of(str(raw["apiVersion"])), str(raw["kind"])
    name = str(metadata.get("namespace", "")), str(metadata["name"])
    return kind, name, int(metadata.get("resourceVersion", 0))


def view(raw: Json) -> Any:
    """The typed view of an object, without its resourceVersion; None for a kind that is kept as raw JSON.

    Raises msgspec.ValidationError for an object that its type cannot read.
    """
    wanted = type_of(str(raw["apiVersion"]), str(raw["kind"]))
    if wanted is None:
        return None
    metadata = {key: value for key, value in raw["metadata"].items() if key != "resourceVersion"}
    plain = {**raw, "metadata": metadata}
    try:
        return msgspec.convert(plain, wanted, dec_hook=decode_hook)
    except msgspec.ValidationError:
        return msgspec.convert(without_nulls(plain), wanted, dec_hook=decode_hook)


def _owners(kind: Kind, item: Item) -> Iterator[tuple[str, str, Name]]:
    if item.typed is None:
        return
    metadata: ObjectMeta = item.typed.metadata
    for owner in given(metadata.owner_references, ()):
        if given(owner.controller, False):
            yield kind[1], owner.kind, (given(metadata.namespace, ""), owner.name)

"""A kind followed for ever: listed, watched, and listed again where its changes are no longer to be had.

An API server that restarts has forgotten what happened before: a watch that goes on from an older version
is Expired (410). The new list is then compared with what was known, so that each difference is told once.
Source: client-go does it so (tools/cache/reflector.go, delta_fifo.go Replace).
"""

from collections.abc import Iterator
from contextlib import suppress

from stellwerk.adapters.kube_store.client import Client
from stellwerk.adapters.kube_store.discovery import Resource
from stellwerk.adapters.kube_store.listing import list_all
from stellwerk.adapters.kube_store.watching import Cuts, Moved, watch_kind
from stellwerk.ports.store import Change, Expired, Key, Object, key_of


def follow_kind(client: Client, resource: Resource, cuts: Cuts | None = None) -> Iterator[Change]:
    """Each object that is there as ADDED, then every change; changes between two lists come as one.

    DELETED found by a list holds the object as it was last known. Raises Forbidden; Unreachable where the
    server does not come back.
    """
    known: dict[Key, Object] = {}
    while True:
        listed = list_all(client, resource)
        version = int(listed.version)
        yield from _differences(known, {key_of(each): each for each in listed.items}, version)
        known = {key_of(each): each for each in listed.items}
        with suppress(Expired):
            for found in _changes(client, resource, version, cuts):
                _note(known, found)
                yield found


def _changes(client: Client, resource: Resource, version: int, cuts: Cuts | None) -> Iterator[Change]:
    return (one for one in watch_kind(client, resource, version, cuts) if not isinstance(one, Moved))


def _differences(known: dict[Key, Object], there: dict[Key, Object], version: int) -> Iterator[Change]:
    for key, item in there.items():
        was = known.get(key)
        if was is None:
            yield Change("ADDED", int(item["metadata"]["resourceVersion"]), item)
        elif was["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            yield Change("MODIFIED", int(item["metadata"]["resourceVersion"]), item)
    for key, was in known.items():
        if key not in there:
            yield Change("DELETED", version, was)


def _note(known: dict[Key, Object], found: Change) -> None:
    key = key_of(found.object)
    if found.type == "DELETED":
        known.pop(key, None)
    else:
        known[key] = found.object

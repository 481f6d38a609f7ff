"""Changes of a kind from a version on, over as many connections as it takes.

Bookmarks move the version on while nothing changes; after a cut the watch goes on from the last version seen;
410 Gone (as a status, or as an ERROR event within the stream) is Expired: list again.
Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import msgspec
from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client, NotFound
from stellwerk.adapters.kube_store.discovery import Resource
from stellwerk.adapters.kube_store.listing import slimmed
from stellwerk.ports.store import Change, Expired

# The server ends a watch after this; client-go asks for 5 to 10 minutes (tools/cache/reflector.go).
WATCH_S = 300
_IDLE_S = WATCH_S + 30
_GONE = 410


class Event(Struct):
    """One line of a watch."""

    type: str = ""
    object: dict[str, Any] = {}


class Moved(Struct, frozen=True):
    """A bookmark: nothing changed up to this version."""

    version: int


class Cuts(Struct):
    """How often the connection of a watch was made, and how often it was cut."""

    made: int = 0
    cut: int = 0


_EVENTS = msgspec.json.Decoder(Event, float_hook=Decimal)


def watch_kind(
    client: Client, resource: Resource, since: int, cuts: Cuts | None = None
) -> Iterator[Change | Moved]:
    """Every change of a kind after version `since`, for as long as it is read.

    Raises Expired, Forbidden; Unreachable where the server does not come back.
    """
    version, counted, barren = since, cuts or Cuts(), 0
    while True:
        counted.made += 1
        barren += 1
        try:
            for found in _connection(client, resource, version):
                version, barren = found.version, 0
                yield found
        except httpx2.TransportError:
            counted.cut += 1
            _await(client, resource)
        # A proxy that ends each watch at once must not be asked without a pause.
        if barren:
            client.rest(barren)


def _connection(client: Client, resource: Resource, since: int) -> Iterator[Change | Moved]:
    params = {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": str(since),
        "timeoutSeconds": str(WATCH_S),
    }
    with client.stream(resource.path(), params, _IDLE_S) as lines:
        for line in lines:
            yield _change(line)


def _await(client: Client, resource: Resource) -> None:
    """Until the server answers again, as patiently as any request is made."""
    client.get(resource.path(), {"limit": 1})


def _change(line: bytes) -> Change | Moved:
    try:
        event = _EVENTS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise httpx2.ReadError(f"a line that is damaged: {error}") from None
    if event.type == "ERROR":
        message = str(event.object.get("message", ""))
        if event.object.get("code") == _GONE:
            raise Expired(message)
        if event.object.get("code") == 404:
            raise NotFound(message)
        raise httpx2.ReadError(message)
    version = int(event.object["metadata"]["resourceVersion"])
    if event.type == "BOOKMARK":
        return Moved(version)
    return Change(event.type, version, slimmed(event.object))

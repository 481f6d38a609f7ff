"""The Store port on an API server.

resourceVersions are the API server's own. They are numbers that grow over all kinds of one etcd, and since
Kubernetes 1.35 clients may compare them: https://github.com/kubernetes/enhancements/issues/5504
"""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from stellwerk.adapters.kube_store.client import Client, NotFound
from stellwerk.adapters.kube_store.discovery import Resource, Served, discover
from stellwerk.adapters.kube_store.listing import list_all, slimmed
from stellwerk.adapters.kube_store.watching import Moved, watch_kind
from stellwerk.api.manifests import encode
from stellwerk.ports.store import Change, Conflict, Key, Object, key_of

_WAIT_S = 0.2  # How soon a reader that left is noticed.


class KubeStore:
    """Objects of an API server. `kinds` are the (group, kind) that `watch` follows.

    `version_of` says which version of a kind is read ("" or none: the one that the server prefers).
    """

    def __init__(
        self,
        client: Client,
        kinds: Sequence[tuple[str, str]] = (),
        version_of: Mapping[tuple[str, str], str] | None = None,
    ) -> None:
        self._client, self._kinds, self._version_of = client, tuple(kinds), version_of or {}
        self._served: Served | None = None

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        try:
            content = self._client.get(self._resource(key.group, key.kind).path(key.namespace, key.name))
        except NotFound:
            return None
        return _decoded(content)

    def list(self, group: str, kind: str) -> tuple[list[Object], int]:
        """All objects of a kind, by namespace and name, and the version they are true at."""
        listed = list_all(self._client, self._resource(group, kind))
        items = sorted(listed.items, key=lambda each: key_of(each))
        return items, int(listed.version)

    def put(self, item: Mapping[str, Any]) -> Object:
        """Create (no resourceVersion) or replace (the version it was read at). Raises Conflict."""
        key, metadata = key_of(item), item["metadata"]
        resource = self._resource(key.group, key.kind)
        if metadata.get("resourceVersion"):
            try:
                content = self._client.send("PUT", resource.path(key.namespace, key.name), body=encode(item))
            except NotFound as error:
                raise Conflict(str(error)) from None
        else:
            content = self._client.send("POST", resource.path(key.namespace), body=encode(item))
        return _decoded(content)

    def delete(self, key: Key, version: int | None = None) -> None:
        """Delete; raises Conflict where it is not there, or not at `version`."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if version is not None:
            options["preconditions"] = {"resourceVersion": str(version)}
        path = self._resource(key.group, key.kind).path(key.namespace, key.name)
        try:
            self._client.send("DELETE", path, body=encode(options))
        except NotFound as error:
            raise Conflict(str(error)) from None

    def watch(self, since: int) -> Iterator[Change]:
        """Every change of the kinds after `since`, for as long as it is read; in order within a kind.

        Raises Expired; Unreachable where the server does not come back.
        """
        found: queue.Queue[Change | Exception] = queue.Queue(maxsize=1000)
        left = threading.Event()
        for group, kind in self._kinds:
            follower = (self._client, self._resource(group, kind), since, found, left)
            threading.Thread(target=_follow, args=follower, daemon=True).start()
        try:
            while True:
                one = found.get()
                if isinstance(one, Exception):
                    raise one
                yield one
        finally:
            left.set()

    def _resource(self, group: str, kind: str) -> Resource:
        """Raises NotFound for a kind that is not served, also not since it was asked last."""
        for fresh in (False, True):
            if self._served is None or fresh:
                self._served = discover(self._client)
            found = self._served.find(group, kind, self._version_of.get((group, kind), ""))
            if found is not None:
                return found
        raise NotFound(f"{kind} of group {group or 'core'} is not served")


def _follow(
    client: Client,
    resource: Resource,
    since: int,
    found: "queue.Queue[Change | Exception]",
    left: threading.Event,
) -> None:
    try:
        for one in watch_kind(client, resource, since):
            if left.is_set():
                return
            if not isinstance(one, Moved) and not _handed(one, found, left):
                return
    except Exception as error:  # Whatever it is, who reads the watch must hear of it.
        _handed(error, found, left)


def _handed(
    one: "Change | Exception", found: "queue.Queue[Change | Exception]", left: threading.Event
) -> bool:
    """Whether it was taken; False where the reader left."""
    while not left.is_set():
        try:
            found.put(one, timeout=_WAIT_S)
        except queue.Full:
            continue
        return True
    return False


def _decoded(content: bytes) -> Object:
    from decimal import Decimal

    item: Object = msgspec.json.Decoder(dict, float_hook=Decimal).decode(content)
    return slimmed(item)

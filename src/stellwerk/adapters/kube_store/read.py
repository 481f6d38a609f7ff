"""The objects that decisions are made on, all of them, as one list of manifests; read-only.

A kind that the cluster does not serve has no objects; one that the role may not list is told apart, with
the rule that is missing.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client, Forbidden, NotFound
from stellwerk.adapters.kube_store.discovery import Resource, Served, discover
from stellwerk.adapters.kube_store.listing import list_all
from stellwerk.api.manifests import Manifest, typed
from stellwerk.api.scheme import SAME_FORMAT, TYPES
from stellwerk.engine.diagnosis.live.facts import EVERYWHERE, Lacking

AT_ONCE = 4  # Lists at once: an API server's priority level for a user is not filled by it.


class Kind(Struct, frozen=True, order=True):
    """What is to be read: a group and kind; `namespace` and `name`: only that one object."""

    group: str
    kind: str
    namespace: str = ""
    name: str = ""


class Denied(Struct, frozen=True, order=True):
    """A rule that the role lacks, and the API server's words."""

    rule: Lacking
    words: str


class Cluster(Struct, frozen=True, kw_only=True):
    """What was read. `versions`: served versions of a kind that is served, but in none that is read."""

    manifests: list[Manifest]
    denied: tuple[Denied, ...] = ()
    absent: tuple[Kind, ...] = ()
    versions: dict[Kind, tuple[str, ...]] = {}


def read_cluster(
    client: Client, kinds: Sequence[Kind], served: Served | None = None, *, as_raw: bool = False
) -> Cluster:
    """All objects of the kinds, in their order. Raises Unreachable, and InvalidInput for a strange object.

    `as_raw`: without their typed views, for who keeps a part of them and reads that.
    """
    known = served or discover(client)
    chosen = {kind: readable(known, kind) for kind in kinds}
    there = [(kind, resource) for kind, resource in chosen.items() if resource is not None]
    # Threads only fetch: msgspec builds what it knows of a type at its first use, and two threads that do so
    # at once for the same types end in a segmentation fault (msgspec 0.22, seen in 1 of 40 runs).
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda each: _objects(client, *each), there))
    missing = [kind for kind, resource in chosen.items() if resource is None]
    return Cluster(
        manifests=[_manifest(item, as_raw) for found in answers if isinstance(found, list) for item in found],
        denied=tuple(sorted(found for found in answers if isinstance(found, Denied))),
        absent=tuple(kind for kind in missing if not known.versions(kind.group, kind.kind)),
        versions={
            kind: known.versions(kind.group, kind.kind)
            for kind in missing
            if known.versions(kind.group, kind.kind)
        },
    )


def readable(served: Served, kind: Kind) -> Resource | None:
    """The kind in a version that is read (any, for what is carried only); None where there is none."""
    versions = served.versions(kind.group, kind.kind)
    wanted = [api for api, name in (*TYPES, *SAME_FORMAT) if name == kind.kind and _group(api) == kind.group]
    if not wanted:
        return served.find(kind.group, kind.kind)
    ours = [api.rpartition("/")[2] for api in wanted]
    best = next((each for each in ours if each in versions), None)
    return None if best is None else served.find(kind.group, kind.kind, best)


def where(resource: Resource) -> tuple[str]:
    """Where a whole list of it is: in all namespaces, or in none."""
    return (EVERYWHERE if resource.namespaced else "",)


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _objects(client: Client, kind: Kind, resource: Resource) -> list[dict[str, Any]] | Denied:
    try:
        if kind.name:
            return _one(client, kind, resource)
        return list_all(client, resource, kind.namespace).items
    except Forbidden as error:
        verb, place = ("get", (kind.namespace, kind.name)) if kind.name else ("list", where(resource))
        return Denied(Lacking(resource.group, resource.plural, verb, *place), str(error))
    except NotFound:
        return []  # Its definition was deleted since it was discovered.


def _one(client: Client, kind: Kind, resource: Resource) -> list[dict[str, Any]]:
    import msgspec

    from stellwerk.adapters.kube_store.listing import slimmed

    found: dict[str, Any] = msgspec.json.decode(client.get(resource.path(kind.namespace, kind.name)))
    return [slimmed(found)]


def _manifest(item: dict[str, Any], as_raw: bool) -> Manifest:
    metadata = item.get("metadata", {})
    name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    found = Manifest(raw=item, object=None, source=f"{item['kind']} {name}", document=1)
    return found if as_raw else typed(found)

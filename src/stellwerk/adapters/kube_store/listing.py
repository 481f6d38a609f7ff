"""All objects of a kind, in pages; begun again where the list's version expired between two pages.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
"""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client
from stellwerk.adapters.kube_store.discovery import Resource
from stellwerk.ports.store import Expired

PAGE = 500  # As kubectl and client-go ask.
_TRIES = 3
# Of no use to a decision, and half of what an object weighs.
_HEAVY = {"Node": (("status", "images"),)}
_MANAGED = "managedFields"


class _Metadata(Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _Page(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    items: list[dict[str, Any]] | None = None


class Listed(Struct, frozen=True):
    """The objects, each with apiVersion and kind, and the resourceVersion that the list is true at."""

    items: list[dict[str, Any]]
    version: str


_PAGES = msgspec.json.Decoder(_Page, float_hook=Decimal)


def list_all(
    client: Client, resource: Resource, namespace: str = "", selector: str = "", fields: str = ""
) -> Listed:
    """All objects of a kind, or those of a selector (of labels, `fields`: of fields).

    managedFields, and of nodes the list of images, are left out: foreign objects are patched, never written
    back whole. Raises Forbidden, NotFound, Unreachable.
    """
    selectors = {"labelSelector": selector, "fieldSelector": fields}
    asked = {name: value for name, value in selectors.items() if value}
    for _ in range(_TRIES - 1):
        try:
            return _listed(client, resource, namespace, asked)
        except Expired:
            continue  # The server compacted the version of the first page: the list begins anew.
    try:
        return _listed(client, resource, namespace, asked)
    except Expired as error:
        raise client.gone(f"{resource.plural} change faster than they are listed: {error}") from None


def _listed(client: Client, resource: Resource, namespace: str, asked: dict[str, str]) -> Listed:
    items: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": PAGE, **asked}
    while True:
        page = _page(client, resource.path(namespace), params)
        items += [_whole(each, resource) for each in page.items or ()]
        if not page.metadata.continue_:
            return Listed(items, page.metadata.resource_version)
        params["continue"] = page.metadata.continue_


def _page(client: Client, path: str, params: dict[str, Any]) -> _Page:
    content = client.get(path, params)
    try:
        return _PAGES.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise client.gone(f"{path}: an answer that is cut off or damaged ({str(error)[:80]})") from None


def _whole(item: dict[str, Any], resource: Resource) -> dict[str, Any]:
    """Items of a list do not say what they are."""
    return slimmed({"apiVersion": resource.api_version, "kind": resource.kind, **item})


def slimmed(item: dict[str, Any]) -> dict[str, Any]:
    """Without what is heavy and decides nothing."""
    item.get("metadata", {}).pop(_MANAGED, None)
    for outer, inner in _HEAVY.get(str(item.get("kind")), ()):
        part = item.get(outer)
        if isinstance(part, dict):
            part.pop(inner, None)
    return item

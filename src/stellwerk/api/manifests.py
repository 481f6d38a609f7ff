"""Files of Kubernetes objects (YAML documents, JSON, Lists): each object typed, beside its raw JSON."""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from stellwerk.api.documents import read_documents
from stellwerk.api.errors import InvalidInput
from stellwerk.api.mismatch import decode_hook, explain_mismatch, shown
from stellwerk.api.scheme import is_carried, nearest_kind, type_of, versions_of

Kind = TypeVar("Kind", bound=Struct)
_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class Manifest(Struct, frozen=True, kw_only=True):
    """One object: `raw` as it was written, `object` as a typed view (None for a kind that is only carried).

    `raw` holds what JSON has, a number that is no integer as Decimal; aliases share parts, so it is not to be
    changed. `document` counts from 1; `path_prefix` is the place in a List ("items[3]"), else "".
    """

    raw: dict[str, Any]
    object: Struct | None
    source: str
    document: int
    path_prefix: str = ""

    @property
    def api_version(self) -> str:
        """The object's apiVersion."""
        return str(self.raw["apiVersion"])

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.raw["kind"])

    def at(self, path: str) -> dict[str, Any]:
        """The keywords source, document and path of InvalidInput for a field of this object."""
        return {"source": self.source, "document": self.document, "path": _joined(self.path_prefix, path)}


def load_manifests(text: bytes, source: str) -> list[Manifest]:
    """The objects of a file, in its order.

    Takes bounded time and memory whatever the bytes are. Raises InvalidInput for what is not readable, not an
    object, of an unknown kind or of a wrong type; what types alone do not say is checked by api/validation.
    """
    return [typed(manifest) for manifest in _untyped(text, source)]


def load_untyped(text: bytes, source: str) -> list[Manifest]:
    """The objects of a file as raw data only, for who changes them before they have to be whole (`typed`).

    Raises InvalidInput for what is not readable or not an object.
    """
    return list(_untyped(text, source))


def read_as(manifest: Manifest, wanted: type[Kind]) -> Kind:
    """A carried object (a StatefulSet) as a typed view, for who needs it. Raises InvalidInput."""
    found = _typed(manifest, wanted)
    assert isinstance(found, wanted)
    return found


def encode(value: Any) -> bytes:
    """JSON of raw data or of a typed object: a Decimal as a number, a Quantity as its canonical text."""
    return _ENCODER.encode(value)


def _untyped(text: bytes, source: str) -> Iterator[Manifest]:
    for document, value in read_documents(text, source):
        for raw, prefix in _objects(value, source, document):
            yield _named(Manifest(raw=raw, object=None, source=source, document=document, path_prefix=prefix))


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix and path and not path.startswith("[") else prefix + path


def _objects(value: Any, source: str, document: int) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects in a document, Lists opened, each with its place."""
    stack: list[tuple[Any, str, dict[str, str]]] = [] if value is None else [(value, "", {})]
    while stack:
        item, prefix, implied = stack.pop()
        inside: Any = item
        name = ""
        if isinstance(item, dict):
            item = implied | item
            if not _is_list(item):
                yield item, prefix
                continue
            name, inside = "items", item.get("items") or []
        if not isinstance(inside, list):
            raise InvalidInput(
                "an object is expected, not {found}",
                fix="begin the object with apiVersion and kind",
                source=source,
                document=document,
                path=_joined(prefix, name),
                found=shown(inside),
            )
        implied = _implied(item)
        children = [(child, _joined(prefix, f"{name}[{i}]"), implied) for i, child in enumerate(inside)]
        stack.extend(reversed(children))


def _is_list(item: dict[str, Any]) -> bool:
    kind = item.get("kind")
    return isinstance(kind, str) and (kind == "List" or (kind.endswith("List") and "items" in item))


def _implied(item: Any) -> dict[str, str]:
    """What the items of a typed list (PodList) need not say."""
    if not isinstance(item, dict) or item["kind"] == "List":
        return {}
    return {"apiVersion": str(item.get("apiVersion")), "kind": item["kind"].removesuffix("List")}


def typed(manifest: Manifest) -> Manifest:
    """With the typed view of its raw data. Raises InvalidInput for an unknown kind or a wrong type."""
    wanted = type_of(manifest.api_version, manifest.kind)
    if wanted is None:
        if is_carried(manifest.api_version, manifest.kind):
            return manifest
        raise _unknown(manifest)
    return msgspec.structs.replace(manifest, object=_typed(manifest, wanted))


def _named(manifest: Manifest) -> Manifest:
    for field in ("apiVersion", "kind"):
        found = manifest.raw.get(field)
        if not isinstance(found, str) or not found:
            raise InvalidInput(
                "{field} is missing or not text",
                fix="add {field}, such as {example}",
                **manifest.at(field),
                field=field,
                example="apiVersion: batch/v1" if field == "apiVersion" else "kind: Job",
            )
    return manifest


def _typed(manifest: Manifest, wanted: type[Struct]) -> Struct:
    try:
        return msgspec.convert(manifest.raw, wanted, dec_hook=decode_hook)
    except msgspec.ValidationError:
        # Null means absent; most objects have none, so it is looked for second.
        plain = without_nulls(manifest.raw)
    try:
        return msgspec.convert(plain, wanted, dec_hook=decode_hook)
    except msgspec.ValidationError as error:
        raise explain_mismatch(error, plain, wanted, manifest.at) from None


def without_nulls(value: Any) -> Any:
    """Raw data without fields that are null: to Kubernetes such a field is absent."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    return [without_nulls(child) for child in value] if isinstance(value, list) else value


def _unknown(manifest: Manifest) -> InvalidInput:
    if versions := versions_of(manifest.kind):
        return InvalidInput(
            "{kind} of apiVersion {version} is not read",
            fix="write apiVersion: {known} and the fields of that version",
            **manifest.at("apiVersion"),
            kind=manifest.kind,
            version=shown(manifest.api_version),
            known=versions[0],
        )
    if near := nearest_kind(manifest.kind):
        return InvalidInput(
            "the kind {kind} ({version}) is not known",
            fix="did you mean kind: {near}?",
            **manifest.at("kind"),
            kind=shown(manifest.kind),
            version=shown(manifest.api_version),
            near=near,
        )
    return InvalidInput(
        "the kind {kind} ({version}) is not known",
        fix="remove it; known are Job, Deployment, Pod, Node, Fleet, and Kueue's and Karpenter's kinds",
        **manifest.at("kind"),
        kind=shown(manifest.kind),
        version=shown(manifest.api_version),
    )

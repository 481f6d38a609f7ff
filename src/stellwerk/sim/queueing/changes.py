"""Change files: what is another quota, cohort or weight in the same demand.

A document that names an object which is there is a JSON merge patch on it (RFC 7386): it says only what
changes, null removes a field, lists are replaced whole. Other documents are objects that are added. The
annotation `stellwerk.dev/remove: "true"` takes an object away.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stellwerk.adapters.files import expand, list_manifest_files, read_raw, sha256
from stellwerk.api.checks.names import Identity, identity
from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest, encode, load_untyped, typed, without_nulls
from stellwerk.api.mismatch import shown
from stellwerk.api.scheme import group_of
from stellwerk.api.validation import validate
from stellwerk.sim.demand.load import Input
from stellwerk.sim.queueing.patch import Difference, differences, merge_patch

REMOVE = "stellwerk.dev/remove"
ADDED, CHANGED, REMOVED, SAME = "added", "changed", "removed", "same"
# What decides who waits, besides the demand itself.
_QUEUES = (
    "AdmissionCheck",
    "ClusterQueue",
    "Cohort",
    "LocalQueue",
    "ResourceFlavor",
    "Topology",
    "WorkloadPriorityClass",
)
KINDS = {
    "kueue.x-k8s.io": _QUEUES,
    "scheduling.k8s.io": ("PriorityClass",),
    "": ("LimitRange", "Namespace", "Node"),
}
DEMAND = frozenset({"CronJob", "Deployment", "Job", "Pod", "StatefulSet", "Workload"})


class Edit(Struct, frozen=True, kw_only=True):
    """What a document of a change file does to one object. `name`: namespace/name, or name.

    `action`: added, changed, removed, or same where it says what is so already.
    """

    kind: str
    name: str
    action: str
    fields: tuple[Difference, ...] = ()


class Changed(Struct, frozen=True):
    """The objects after a change, and what it did to each."""

    manifests: tuple[Manifest, ...]
    edits: tuple[Edit, ...]


def read_changes(argument: str) -> tuple[list[Manifest], tuple[Input, ...]]:
    """The documents of a change file, or of all files of a folder, not yet whole objects.

    Raises InvalidInput for what is none, for one object twice, for a kind that changes nothing in queues.
    """
    files = [str(file) for file in list_manifest_files(argument)] if Path(argument).is_dir() else [argument]
    inputs: list[Input] = []
    found: list[Manifest] = []
    for file in files:
        raw = read_raw(file)
        inputs.append(Input("change", file, sha256(raw)))
        found += load_untyped(expand(raw, file), file)
    if not found:
        raise InvalidInput(
            "{name} changes nothing: it has no document",
            fix="write what changes, such as a ClusterQueue with another nominalQuota",
            source=argument,
            name=argument,
        )
    _check(found)
    return found, tuple(inputs)


def apply_changes(manifests: Sequence[Manifest], changes: Sequence[Manifest]) -> Changed:
    """The valid manifests with the changes made. Raises InvalidInput with file and field of the change."""
    wanted = {identity(one): one for one in changes}
    there = {identity(one) for one in manifests}
    merged: list[Manifest] = []
    edits: dict[Identity | None, Edit] = {}
    for old in manifests:
        change = wanted.get(identity(old))
        if change is None:
            merged.append(old)
        elif _removes(change):
            edits[identity(change)] = _edit(change, REMOVED)
        else:
            merged.append(_patched(old, change))
            fields = _fields(old, merged[-1])
            edits[identity(change)] = _edit(change, CHANGED if fields else SAME, fields)
    for change in changes:
        if identity(change) not in there:
            merged.append(_new(change))
            edits[identity(change)] = _edit(change, ADDED)
    _validate(merged, changes)
    return Changed(tuple(merged), tuple(edits[identity(change)] for change in changes))


def _check(changes: Sequence[Manifest]) -> None:
    seen: set[Identity] = set()
    for one in changes:
        if one.kind not in KINDS.get(group_of(one.api_version), ()):
            raise _no_change(one)
        key = identity(one)
        if key is None:
            raise InvalidInput(
                "the change names no object",
                fix="add metadata.name, and metadata.namespace where the object has one",
                **one.at("metadata.name"),
            )
        if key in seen:
            raise InvalidInput(
                "{kind} {name} is there twice in one change",
                fix="keep one of the two documents",
                **one.at("metadata.name"),
                kind=one.kind,
                name=key[-1],
            )
        seen.add(key)


def _no_change(one: Manifest) -> InvalidInput:
    kinds = ", ".join(kind for kinds in KINDS.values() for kind in kinds)
    if one.kind in DEMAND:
        return InvalidInput(
            "a {kind} is demand, and the demand stays the same in a comparison",
            fix="change one of: {kinds}",
            **one.at("kind"),
            kind=one.kind,
            kinds=kinds,
        )
    return InvalidInput(
        "{kind} of {version} changes nothing in queues",
        fix="change one of: {kinds}",
        **one.at("kind"),
        kind=shown(one.kind),
        version=shown(one.api_version),
        kinds=kinds,
    )


def _removes(change: Manifest) -> bool:
    value = _annotations(change).get(REMOVE)
    if value not in (None, "true", "false"):
        raise InvalidInput(
            "{value} says neither that the object is removed nor that it stays",
            fix='write {annotation}: "true", or leave the annotation out',
            **change.at(f"metadata.annotations[{REMOVE}]"),
            value=shown(value),
            annotation=REMOVE,
        )
    return value == "true"


def _annotations(change: Manifest) -> dict[str, Any]:
    found = change.raw["metadata"].get("annotations")
    return found if isinstance(found, dict) else {}


def _patched(old: Manifest, change: Manifest) -> Manifest:
    """The object as if it stood where the change stands, so that errors lead there."""
    place = {"source": change.source, "document": change.document, "path_prefix": change.path_prefix}
    return typed(Manifest(raw=merge_patch(old.raw, change.raw), object=None, **place))  # type: ignore[arg-type]


def _new(change: Manifest) -> Manifest:
    if _removes(change):
        raise InvalidInput(
            "there is no {kind} {name} to be removed",
            fix="correct metadata.name, or metadata.namespace",
            **change.at("metadata.name"),
            kind=change.kind,
            name=change.raw["metadata"]["name"],
        )
    return typed(replace(change, raw=without_nulls(change.raw)))


def _fields(old: Manifest, new: Manifest) -> tuple[Difference, ...]:
    """What is read of the two and differs; equal quantities are equal, whatever their form."""
    before, after = _written(old), _written(new)
    if old.object is not None and typed(before).object == typed(after).object:
        return ()
    return tuple(differences(_plain(typed(before)), _plain(typed(after))))


def _written(manifest: Manifest) -> Manifest:
    """Without what a server adds: a copied object brings it along, and it changes nothing."""
    raw = {key: value for key, value in manifest.raw.items() if key != "status"}
    metadata = manifest.raw["metadata"]
    raw["metadata"] = {key: metadata[key] for key in ("name", "namespace", "labels") if key in metadata}
    return replace(manifest, raw=raw)


def _plain(manifest: Manifest) -> Any:
    whole = without_nulls(manifest.raw) if manifest.object is None else manifest.object
    return msgspec.json.decode(encode(whole))


def _edit(change: Manifest, action: str, fields: tuple[Difference, ...] = ()) -> Edit:
    _, _, namespace, name = identity(change) or ("", "", "", "")
    return Edit(
        kind=change.kind,
        name=f"{namespace}/{name}" if namespace else name,
        action=action,
        fields=fields,
    )


def _validate(manifests: Sequence[Manifest], changes: Sequence[Manifest]) -> None:
    """Without the change all was valid: an error elsewhere is one of the change too, and says so."""
    files = {one.source for one in changes}
    try:
        validate(manifests)
    except InvalidInput as error:
        if error.source not in files:
            error.source = f"{error.source} ({', '.join(sorted(files))})"
        raise


def has_no_effect(edits: Sequence[Edit]) -> bool:
    """Whether all is so already that the change says."""
    return all(one.action == SAME for one in edits)

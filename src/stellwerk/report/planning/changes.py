"""What a plan's files would change in a cluster: field by field, as `kubectl diff` of them shows it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml
from msgspec import Struct

from stellwerk.api.manifests import Manifest
from stellwerk.report.planning.files import Files, Key, key_of

LAYERS = {
    "ConfigMap": "partition",
    "Node": "partition",
    "ClusterPolicy": "partition",
    "GPUCluster": "partition",
    "DeviceClass": "devices",
    "ResourceClaim": "devices",
    "ResourceClaimTemplate": "devices",
    "Deployment": "workloads",
    "StatefulSet": "workloads",
    "ClusterQueue": "queues",
    "NodePool": "node pools",
}
# Kinds whose lists Kubernetes merges by name; custom resources are patched as JSON, lists as a whole.
MERGED = frozenset({"Deployment", "StatefulSet"})
_NOTHING = object()


class Change(Struct, frozen=True, kw_only=True):
    """One field of one object; `path` "": the whole object is new. "-": not there."""

    layer: str
    kind: str
    namespace: str
    name: str
    path: str
    before: str
    after: str
    file: str

    @property
    def object(self) -> str:
        """Kind and name, with the namespace where there is one."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def changes_of(files: Files, live: Mapping[Key, Manifest]) -> tuple[Change, ...]:
    """All changes, in the order of the layers, then of files and objects."""
    found: list[Change] = []
    for name, text in files.objects:
        for document in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document is not None:
                found += _of_object(document, live.get(key_of(document)), name)
    order = list(dict.fromkeys(LAYERS.values()))
    return tuple(sorted(found, key=lambda change: order.index(change.layer)))


def without_same(files: Files, changes: Sequence[Change]) -> Files:
    """The files in which something changes; what is beside them goes with the partition."""
    used = {change.file for change in changes}
    return Files(tuple(each for each in files.objects if each[0] in used), files.beside if used else ())


def _of_object(document: Mapping[str, Any], manifest: Manifest | None, file: str) -> Iterator[Change]:
    kind, namespace, name = key_of(document)
    pairs = [("", "-", "new")]
    if manifest is not None:
        after = merged(manifest.raw, document, by_name=kind in MERGED)
        pairs = list(_differences("", manifest.raw, after))
    for path, before, now in pairs:
        yield Change(
            layer=LAYERS[kind],
            kind=kind,
            namespace=namespace,
            name=name,
            path=path,
            before=before,
            after=now,
            file=file,
        )


def merged(live: Any, wanted: Any, *, by_name: bool) -> Any:
    """What applying `wanted` makes of `live`: null takes a field away, what is not named stays."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        found = dict(live)
        for field, value in wanted.items():
            if value is None:
                found.pop(field, None)
            else:
                found[field] = merged(live.get(field), value, by_name=by_name)
        return found
    if by_name and _named(live) and _named(wanted):
        by = {each["name"]: each for each in wanted}
        kept = [merged(each, by.pop(each["name"], {}), by_name=True) for each in live]
        return [*kept, *by.values()]
    if isinstance(wanted, Mapping):
        return merged({}, wanted, by_name=by_name)
    return wanted


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) and "name" in each for each in value)


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for field in dict.fromkeys((*before, *after)):
            yield from _differences(
                _joined(path, str(field)), before.get(field, _NOTHING), after.get(field, _NOTHING)
            )
    elif _named(before) and _named(after):
        old, new = ({each["name"]: each for each in side} for side in (before, after))
        for name in dict.fromkeys((*old, *new)):
            yield from _differences(f"{path}[{name}]", old.get(name, _NOTHING), new.get(name, _NOTHING))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            pair = (each[index] if index < len(each) else _NOTHING for each in (before, after))
            yield from _differences(f"{path}[{index}]", *pair)
    elif before is _NOTHING and isinstance(after, Mapping) and after:
        for field, value in after.items():
            yield from _differences(_joined(path, str(field)), _NOTHING, value)
    elif before is _NOTHING or after is _NOTHING or str(before) != str(after):
        yield path, _shown(before), _shown(after)


def _joined(path: str, field: str) -> str:
    """`spec.limits[nvidia.com/gpu]`: a name with a dot is no two fields."""
    if not field.replace("-", "").isalnum():
        return f"{path}[{field}]"
    return f"{path}.{field}" if path else field


def _shown(value: Any) -> str:
    return "-" if value is _NOTHING else str(value)

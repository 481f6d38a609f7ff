"""The smallest rewrite of what was asked that every layer lets through, found by trying edits, fewest first.

An edit takes away or replaces one thing. What is given was checked by the same rules as the original.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import combinations
from typing import Any

import msgspec
from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClass
from stellwerk.api.manifests import Manifest, typed
from stellwerk.engine.allocation.support.check import is_refused
from stellwerk.engine.allocation.support.row import Row
from stellwerk.engine.decision import Reason

MOST_EDITS, MOST_TRIED = 3, 60  # Each is judged by all layers: up to 8 ms on a live cluster.
POOL_LABEL, GPU_CLASS, WHOLE_GPU = "karpenter.sh/nodepool", "gpu.nvidia.com", "nvidia.com/gpu"
Classes = Mapping[str, frozenset[str]]
Json = dict[str, Any]
Path = tuple[str | int, ...]
Judge = Callable[[Sequence[Manifest]], Sequence[Row]]
_CLAIMS: Mapping[str, Path] = {
    "ResourceClaim": ("spec", "devices"),
    "ResourceClaimTemplate": ("spec", "spec", "devices"),
}
_PODS: Mapping[str, Path] = {
    "Pod": ("spec",),
    **dict.fromkeys(("Job", "Deployment", "StatefulSet", "ReplicaSet"), ("spec", "template", "spec")),
}


_AS_TEMPLATE = Reason(
    "as-template", "a ResourceClaimTemplate of the same name: each pod gets devices of its own"
)


class Edit(Struct, frozen=True, kw_only=True):
    """One change of the document `number`: at `path` to `value` (None: taken away); `says` what it does."""

    number: int
    path: Path
    value: Any
    says: Reason


class Rewrite(Struct, frozen=True):
    """The edits, the documents that they changed, and all documents as they are then, in their order."""

    edits: tuple[Edit, ...]
    documents: tuple[Json, ...]
    whole: tuple[Json, ...] = ()


def smallest_rewrite(
    manifests: Sequence[Manifest], judge: Judge, classes: Sequence[DeviceClass] = ()
) -> Rewrite | None:
    """The first of the rewrites with the fewest edits that passes; None where up to three edits do not.

    `manifests` are refused as they are, by `judge`. Ties go to the edit that loses least, in the order of
    `edits_of`. `classes`: DeviceClasses of a live cluster, of which one may select the same devices.
    """
    known = {
        given(each.metadata.name, ""): expressions_of(each) for each in (*_classes_in(manifests), *classes)
    }
    edits = [edit for number, each in enumerate(manifests) for edit in edits_of(number, each.raw, known)]
    edits += _as_resources(manifests)
    tried = 0
    for count in range(1, MOST_EDITS + 1):
        for chosen in combinations(edits, count):
            tried += 1
            if tried > MOST_TRIED:
                return None
            if not _meet(chosen) and (found := _passing(manifests, chosen, judge)) is not None:
                return found
    return None


def edits_of(number: int, raw: Json, classes: Classes | None = None) -> Iterator[Edit]:
    """The edits of one document: first those that lose nothing, last those that lose a condition."""
    kind = str(raw.get("kind"))
    at = _CLAIMS.get(kind)
    if kind in _PODS:
        yield from _off_the_pool(number, (*_PODS[kind], "nodeSelector"), raw)
    if at is None:
        return
    devices = _value(raw, at)
    if not isinstance(devices, dict):
        return
    if kind == "ResourceClaim":
        yield Edit(number=number, path=(), value=None, says=_AS_TEMPLATE)
    requests = [each for each in devices.get("requests") or () if isinstance(each, dict)]
    for i, request in enumerate(requests):
        if isinstance(request.get("exactly"), dict):
            yield from _same_class(number, (*at, "requests", i, "exactly"), request["exactly"], classes or {})
    for i, request in enumerate(requests):
        yield from _alternatives(number, (*at, "requests", i), request)
    for i, request in enumerate(requests):
        exactly = request.get("exactly")
        if isinstance(exactly, dict):
            yield from _of_exactly(number, (*at, "requests", i, "exactly"), exactly)
    for name in ("config", "constraints"):
        if devices.get(name):
            says = Reason("without", "without {field}, which is then not kept", {"field": _text((*at, name))})
            yield Edit(number=number, path=(*at, name), value=None, says=says)


def expressions_of(device_class: DeviceClass) -> frozenset[str]:
    """What a class selects by."""
    selectors = given(device_class.spec.selectors, ())
    return frozenset(each.cel.expression for each in selectors if not isinstance(each.cel, UnsetType))


def _classes_in(manifests: Sequence[Manifest]) -> Iterator[DeviceClass]:
    return (each.object for each in manifests if isinstance(each.object, DeviceClass))


def _same_class(number: int, at: Path, exactly: Json, classes: Classes) -> Iterator[Edit]:
    """Another DeviceClass that selects by the same expressions as this one with the request's selectors."""
    asked = exactly.get("selectors") or ()
    written = [_value(each, ("cel", "expression")) for each in asked]
    name = str(exactly.get("deviceClassName"))
    wanted = classes.get(name, frozenset()) | {str(each) for each in written if each}
    for other, selects in sorted(classes.items()):
        if other != name and wanted and selects == wanted:
            kept = {field: value for field, value in exactly.items() if field != "selectors"}
            values: dict[str, str | int] = {"field": _text(at), "class": other}
            says = Reason(
                "same-class", "{field}: DeviceClass {class}, which selects the same devices", values
            )
            yield Edit(number=number, path=at, value={**kept, "deviceClassName": other}, says=says)


def _off_the_pool(number: int, at: Path, raw: Json) -> Iterator[Edit]:
    """Nodes that are there instead of those that Karpenter would have to buy."""
    pool = (_value(raw, at) or {}).get(POOL_LABEL)
    if pool is not None:
        values: dict[str, str | int] = {"field": f"{_text(at)}.{POOL_LABEL}", "pool": str(pool)[:80]}
        says = Reason("off-the-pool", "without {field}: nodes that are there, not of NodePool {pool}", values)
        yield Edit(number=number, path=(*at, POOL_LABEL), value=None, says=says)


def _as_resources(manifests: Sequence[Manifest]) -> Iterator[Edit]:
    """Whole GPUs by the device plugin, where pods of the files use the claim."""
    for number, each in enumerate(manifests):
        count = _whole_gpus(each.raw)
        users = [one for one in manifests if one.kind in _PODS and _entries(one.raw, each.raw)]
        if count and users:
            values: dict[str, str | int] = {"resource": WHOLE_GPU, "count": count}
            text = "no claim: each container that used it asks for {resource}: {count} of its own"
            yield Edit(number=number, path=(), value=count, says=Reason("as-resource", text, values))


def _whole_gpus(raw: Json) -> int:
    """The GPUs of a claim that asks for nothing else; 0 for any other object."""
    devices = _value(raw, _CLAIMS.get(str(raw.get("kind")), ("none",)))
    requests = devices.get("requests") if isinstance(devices, dict) else None
    if not requests or set(devices) != {"requests"}:
        return 0
    total = 0
    for each in requests:
        exactly = each.get("exactly") if isinstance(each, dict) else None
        if not isinstance(exactly, dict) or set(exactly) - {"deviceClassName", "count", "allocationMode"}:
            return 0
        if exactly.get("deviceClassName") != GPU_CLASS or exactly.get("allocationMode") == "All":
            return 0
        count = exactly.get("count", 1)
        total += count if isinstance(count, int) else 0
    return total


def _entries(pod: Json, claim: Json) -> list[str]:
    """The names of the pod's entries for this claim or template."""
    field = "resourceClaimTemplateName" if "Template" in str(claim.get("kind")) else "resourceClaimName"
    name = (claim.get("metadata") or {}).get("name")
    found = (_value(pod, _PODS[str(pod["kind"])]) or {}).get("resourceClaims") or ()
    return [str(each.get("name")) for each in found if isinstance(each, dict) and each.get(field) == name]


def _with_resource(raw: Json, claim: Json, count: int) -> Json:
    spec = _value(raw, _PODS[str(raw["kind"])])
    names = _entries(raw, claim)
    spec["resourceClaims"] = [each for each in spec["resourceClaims"] if each.get("name") not in names]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        resources = container.get("resources") or {}
        claims = resources.get("claims") or []
        if any(each.get("name") in names for each in claims):
            resources["claims"] = [each for each in claims if each.get("name") not in names]
            resources.setdefault("limits", {})[WHOLE_GPU] = str(count)
    return raw


def _as_template(claim: Json) -> Json:
    """Kueue counts templates only; pods name it by resourceClaimTemplateName."""
    return {
        "apiVersion": claim["apiVersion"],
        "kind": "ResourceClaimTemplate",
        "metadata": claim.get("metadata", {}),
        "spec": {"spec": claim.get("spec", {})},
    }


def _alternatives(number: int, at: Path, request: Json) -> Iterator[Edit]:
    for i, each in enumerate(request.get("firstAvailable") or ()):
        if isinstance(each, dict):
            exactly = {name: value for name, value in each.items() if name != "name"}
            values: dict[str, str | int] = {"field": _text(at), "name": str(each.get("name", i))}
            says = Reason("one-alternative", "{field}: the alternative {name} as exactly", values)
            value = {"name": request.get("name", ""), "exactly": exactly}
            yield Edit(number=number, path=at, value=value, says=says)


def _of_exactly(number: int, at: Path, exactly: Json) -> Iterator[Edit]:
    if exactly.get("allocationMode") == "All":
        at_mode = (*at, "allocationMode")
        says = Reason(
            "count-one", "{field}: ExactCount, one device instead of all", {"field": _text(at_mode)}
        )
        yield Edit(number=number, path=at_mode, value="ExactCount", says=says)
    if exactly.get("adminAccess"):
        yield _without(number, (*at, "adminAccess"))
    for i, _ in enumerate(exactly.get("selectors") or ()):
        yield _without(number, (*at, "selectors", i))


def _without(number: int, path: Path) -> Edit:
    says = Reason("without", "without {field}, which is then not kept", {"field": _text(path)})
    return Edit(number=number, path=path, value=None, says=says)


def _place(path: Path) -> list[tuple[int, str]]:
    """A key by which places in one list come in its order."""
    return [(one, "") if isinstance(one, int) else (-1, one) for one in path]


def _text(path: Path) -> str:
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path).lstrip(".")


def _meet(edits: Sequence[Edit]) -> bool:
    """Whether one of the edits is within what another one replaces; a template takes what was edited."""
    return any(
        one.path
        and other.path
        and one.number == other.number
        and (one.path[: len(other.path)] == other.path or other.path[: len(one.path)] == one.path)
        for one, other in combinations(edits, 2)
    )


def _passing(manifests: Sequence[Manifest], edits: Sequence[Edit], judge: Judge) -> Rewrite | None:
    changed = {edit.number: deepcopy(manifests[edit.number].raw) for edit in edits}
    gone = {edit.number: edit.value for edit in edits if edit.says.code == "as-resource"}
    # From behind, so that what is taken out of a list moves nothing that is still to be edited.
    for edit in sorted(edits, key=lambda each: _place(each.path), reverse=True):
        if edit.number in gone:
            continue
        changed[edit.number] = _edited(changed[edit.number], edit.path, edit.value)
    if any(edit.says.code == "as-template" for edit in edits):
        names = {str(manifests[edit.number].raw["metadata"].get("name")) for edit in edits if not edit.path}
        for number, each in enumerate(manifests):
            if each.kind in _PODS:
                changed[number] = _naming(changed.get(number) or deepcopy(each.raw), names)
    for claim, count in gone.items():
        del changed[claim]
        for number, each in enumerate(manifests):
            if each.kind in _PODS and _entries(each.raw, manifests[claim].raw):
                taken = changed.get(number) or deepcopy(each.raw)
                changed[number] = _with_resource(taken, manifests[claim].raw, count)
    rewritten = [
        msgspec.structs.replace(each, raw=changed.get(number, each.raw))
        for number, each in enumerate(manifests)
        if number not in gone
    ]
    try:
        rows = judge([typed(each) for each in rewritten])
    except InvalidInput:
        return None
    if is_refused(rows):
        return None
    documents = tuple(changed[number] for number in sorted(changed))
    return Rewrite(tuple(edits), documents, tuple(each.raw for each in rewritten))


def _edited(raw: Json, path: Path, value: Any) -> Json:
    if not path:
        return _as_template(raw)
    parent = _value(raw, path[:-1])
    if value is None:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return raw


def _naming(raw: Json, templates: set[str]) -> Json:
    """The pods, naming a template where they named its claim."""
    for entry in (_value(raw, _PODS[str(raw["kind"])]) or {}).get("resourceClaims") or ():
        if entry.get("resourceClaimName") in templates:
            entry["resourceClaimTemplateName"] = entry.pop("resourceClaimName")
    return raw


def _value(raw: Any, path: Path) -> Any:
    for step in path:
        if isinstance(raw, dict):
            raw = raw.get(step)
        elif isinstance(raw, list) and isinstance(step, int) and step < len(raw):
            raw = raw[step]
        else:
            return None
    return raw

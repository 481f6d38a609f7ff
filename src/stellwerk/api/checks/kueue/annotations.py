"""Annotations: their keys, and the ones by which Kueue's Job integration is asked for something.

Source: k8s.io/apimachinery pkg/api/validation/objectmeta.go, kueue pkg/util/webhook and
pkg/controller/jobframework/tas_validation.go, with the feature gates as they are by default.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from stellwerk.api.checks.devices.names import label_key_refusal
from stellwerk.api.checks.names import is_subdomain
from stellwerk.api.checks.refusal import Refusal, quoted
from stellwerk.api.groups.meta import Int32, ObjectMeta, given
from stellwerk.api.yaml_events import key_path

GROUP = "kueue.x-k8s.io"
GATED_BY = f"{GROUP}/admission-gated-by"
REQUIRED, PREFERRED = f"{GROUP}/podset-required-topology", f"{GROUP}/podset-preferred-topology"
UNCONSTRAINED = f"{GROUP}/podset-unconstrained-topology"
SLICE, SLICE_SIZE = f"{GROUP}/podset-slice-required-topology", f"{GROUP}/podset-slice-size"
LAYERS, GROUP_NAME = f"{SLICE}-constraints", f"{GROUP}/podset-group-name"
MOST_BYTES, MOST_GATE = 256 * 1024, 63
# What Go's strconv.ParseBool takes.
TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_INTEGER = re.compile(r"[+-]?[0-9]+")
_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+")
_MOST_LAYERS = 3


class Layer(Struct, frozen=True, kw_only=True):
    """One of the layers of a slice: pods of `size` share a domain of `topology`."""

    topology: str = ""
    size: Int32 = 0


def integer_of(text: str, bits: int = 64) -> int | None:
    """The number that Go's strconv.Atoi or ParseInt reads, or None if it reads none."""
    if len(text) > 40 or not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else None


def annotation_refusals(path: str, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    """Keys that are none, and more than an object may carry; the field is the whole mapping."""
    for key in annotations:
        yield from label_key_refusal(path, key.lower())
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > MOST_BYTES:
        yield Refusal(
            code="too-long",
            path=path,
            problem="the annotations have {count} bytes, at most {most} are allowed",
            fix="shorten them",
            values={"count": size, "most": MOST_BYTES},
        )


def gate_refusals(metadata: ObjectMeta) -> Iterator[Refusal]:
    """The annotation that names who must let a Job or Workload go first: domain/name, separated by commas."""
    value = given(metadata.annotations, {}).get(GATED_BY, "")
    path, seen = key_path("metadata.annotations", GATED_BY), set[str]()
    for gate in (part.strip() for part in value.split(",")) if value.strip() else ():
        domain, _, name = gate.partition("/")
        if gate in seen:
            yield Refusal(
                code="twice",
                path=path,
                problem="{name} is there twice",
                fix="rename or remove one of the two",
                values={"name": quoted(gate)},
            )
        elif not is_subdomain(domain) or not _HTTP_PATH.fullmatch(name) or len(gate) > MOST_GATE:
            yield Refusal(
                code="no-gate",
                path=path,
                problem="{value} is not the name of a gate",
                fix="write a domain, a slash and a name of at most {most} characters: example.com/ready",
                values={"value": quoted(gate), "most": MOST_GATE},
            )
        seen.add(gate)


def topology_refusals(path: str, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    """What a pod template's annotations may not ask of a topology; `path` is that of the annotations."""
    levels = [key for key in (REQUIRED, PREFERRED, UNCONSTRAINED) if key in annotations]
    if len(levels) > 1:
        yield Refusal(
            code="several-topologies",
            path=path,
            problem="{keys} exclude each other",
            fix="keep one of them",
            values={"keys": ", ".join(levels)},
        )
    for key in (REQUIRED, PREFERRED, SLICE):
        if key in annotations:
            yield from label_key_refusal(key_path(path, key), annotations[key])
    yield from _group_refusals(path, annotations)
    if annotations.get(UNCONSTRAINED, "true") not in TRUE | FALSE:
        yield no_boolean(key_path(path, UNCONSTRAINED), annotations[UNCONSTRAINED])
    yield from _size_refusals(path, annotations)
    if LAYERS in annotations:
        yield from _layer_refusals(path, annotations)


def most_refusals(path: str, annotations: Mapping[str, str], count: int) -> Iterator[Refusal]:
    """A slice that is larger than the Job's `count` of pods; for annotations that are fine otherwise."""
    sizes: dict[str, int] = {}
    if SLICE_SIZE in annotations:
        sizes[SLICE_SIZE] = integer_of(annotations[SLICE_SIZE], 32) or 0
    if LAYERS in annotations:
        sizes[LAYERS] = next((layer.size for layer in layers_of(annotations[LAYERS]) or ()), 0)
    for key, size in sizes.items():
        if size > count:
            yield Refusal(
                code="slice-too-large",
                path=key_path(path, key),
                problem="a slice of {size} pods is larger than all {count}",
                fix="write {count} or less",
                values={"size": size, "count": count},
            )


def layers_of(text: str) -> Sequence[Layer] | None:
    """The layers of a slice, from JSON; None if it is none."""
    try:
        return msgspec.json.decode(text, type=tuple[Layer, ...] | None) or ()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def no_boolean(path: str, value: str) -> Refusal:
    """A text that Go reads neither as true nor as false."""
    return Refusal(
        code="no-boolean",
        path=path,
        problem="{value} is neither true nor false",
        fix='write "true" or "false"',
        values={"value": quoted(value)},
    )


def excluded(path: str, key: str, other: str) -> Refusal:
    """An annotation that may not be there beside another one."""
    return Refusal(
        code="excluded",
        path=key_path(path, key),
        problem="{key} may not be there together with {other}",
        fix="remove one of the two",
        values={"key": key, "other": other},
    )


def _group_refusals(path: str, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    if GROUP_NAME not in annotations:
        return
    name = annotations[GROUP_NAME]
    if name.isascii() and name.isdigit() and int(name[:40]) < 2**64:
        yield Refusal(
            code="group-is-number",
            path=key_path(path, GROUP_NAME),
            problem="the name {name} of a group is a number",
            fix="write a name that is none",
            values={"name": quoted(name)},
        )
    for key in (SLICE_SIZE, SLICE, LAYERS):
        if key in annotations:
            yield excluded(path, GROUP_NAME, key)
    if REQUIRED not in annotations and PREFERRED not in annotations:
        yield Refusal(
            code="group-without-topology",
            path=key_path(path, GROUP_NAME),
            problem="a group needs a topology that its pods share",
            fix="add {required} or {preferred}",
            values={"required": REQUIRED, "preferred": PREFERRED},
        )


def _size_refusals(path: str, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    place = key_path(path, SLICE_SIZE)
    if (SLICE in annotations) != (SLICE_SIZE in annotations):
        yield Refusal(
            code="half-a-slice",
            path=place,
            problem="{size} and {topology} need each other",
            fix="write both or none",
            values={"size": SLICE_SIZE, "topology": SLICE},
        )
    size = integer_of(annotations.get(SLICE_SIZE, "1"), 32)
    if size is None or size < 1:
        yield no_count(place, annotations[SLICE_SIZE])


def no_count(path: str, value: str) -> Refusal:
    """A text that is no integer of 1 or more."""
    return Refusal(
        code="no-count",
        path=path,
        problem="{value} is not an integer of 1 or more",
        fix="write a positive integer",
        values={"value": quoted(value)},
    )


def _layer_refusals(path: str, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    for key in (SLICE, SLICE_SIZE):
        if key in annotations:
            yield excluded(path, LAYERS, key)
    place, layers = key_path(path, LAYERS), layers_of(annotations[LAYERS])
    if layers is None or not 1 <= len(layers) <= _MOST_LAYERS:
        yield Refusal(
            code="no-layers",
            path=place,
            problem="{value} is not a list of 1 to {most} layers",
            fix='write JSON such as [{{"topology": "example.com/rack", "size": 2}}]',
            values={"value": quoted(annotations[LAYERS]), "most": _MOST_LAYERS},
        )
        return
    for i, layer in enumerate(layers):
        yield from label_key_refusal(f"{place}[{i}].topology", layer.topology)
        if layer.topology in [one.topology for one in layers[:i]]:
            yield Refusal(
                code="twice",
                path=f"{place}[{i}].topology",
                problem="{name} is there twice",
                fix="rename or remove one of the two",
                values={"name": quoted(layer.topology)},
            )
        if layer.size < 1:
            yield no_count(f"{place}[{i}].size", str(layer.size))
        elif i and layers[i - 1].size % layer.size:
            yield Refusal(
                code="no-divisor",
                path=f"{place}[{i}].size",
                problem="{size} does not divide the size {above} of the layer above",
                fix="write a divisor of {above}",
                values={"size": layer.size, "above": layers[i - 1].size},
            )

"""metadata: names (DNS-1123), namespaces, labels, and the annotations of stellwerk.dev."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from stellwerk.api.checks.refusal import Refusal, other_word, quoted, refuse_first
from stellwerk.api.duration import parse_duration, parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import LabelSelector, ObjectMeta, given
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import NANO, parse_quantity
from stellwerk.api.scheme import CLUSTER_SCOPED, group_of
from stellwerk.api.yaml_events import key_path

WORKLOAD_KIND = "stellwerk.dev/workload-kind"
WORKLOAD_KINDS = ("training", "inference", "notebook", "batch")
ARRIVAL, DURATION = "stellwerk.dev/arrival", "stellwerk.dev/duration"
GPU_MEMORY = "stellwerk.dev/gpu-memory"
GPU_COMPUTE, GPU_COMPUTE_MEAN = "stellwerk.dev/gpu-compute", "stellwerk.dev/gpu-compute-mean"
WHOLE_GPU, ISOLATION = "stellwerk.dev/whole-gpu", "stellwerk.dev/isolation"
COMMUNICATION_SHARE = "stellwerk.dev/communication-share"
MEASURED_BUS_BANDWIDTH = "stellwerk.dev/measured-bus-bandwidth"
_CHOICES = {WHOLE_GPU: ("true", "false"), ISOLATION: ("required", "none")}
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_WORD = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN_CHARACTERS = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
Identity = tuple[str, str, str, str]


def identity(manifest: Manifest) -> Identity | None:
    """(group, kind, namespace, name) of an object; None if the server makes its name."""
    metadata = manifest.raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        return None
    namespace = "" if manifest.kind in CLUSTER_SCOPED else str(metadata.get("namespace") or "default")
    return group_of(manifest.api_version), manifest.kind, namespace, name


@lru_cache(maxsize=8192)
def is_subdomain(name: str) -> bool:
    """Whether a name is a DNS-1123 subdomain: lower-case labels joined by points, at most 253 characters."""
    if len(name) > 253 or not _SUBDOMAIN_CHARACTERS.fullmatch(name):
        return False
    return all(part and part[0] != "-" and part[-1] != "-" for part in name.split("."))


def is_word(text: str) -> bool:
    """Whether a text can be the value of a label, or its key behind the domain: 1 to 63 characters."""
    return _WORD.fullmatch(text) is not None


def is_label(name: str) -> bool:
    """Whether a name is a DNS-1123 label: at most 63 lower-case letters, digits and '-'."""
    return _LABEL.fullmatch(name) is not None


def check_metadata(manifest: Manifest) -> None:
    """Name, namespace and labels of an object that is read; raises InvalidInput."""
    metadata = getattr(manifest.object, "metadata", None)
    if not isinstance(metadata, ObjectMeta):
        return
    generated = given(metadata.generate_name, "")
    name = given(metadata.name, "") or (generated.rstrip("-.") if generated else "")
    if not name:
        raise InvalidInput(
            "the {kind} has no name",
            fix="add metadata.name",
            **manifest.at("metadata.name"),
            kind=manifest.kind,
        )
    check_name(manifest, "metadata.name", name, label=manifest.kind == "Namespace")
    if namespace := given(metadata.namespace, ""):
        check_name(manifest, "metadata.namespace", namespace, label=True)
    for key, value in given(metadata.labels, {}).items():
        refuse_first(manifest, label_value_refusal(key_path("metadata.labels", key), value))


def label_value_refusal(path: str, value: str) -> Iterator[Refusal]:
    """A value of a label that is none; the empty one is."""
    if value and not is_word(value):
        yield Refusal(
            code="no-label-value",
            path=path,
            problem="the label value {value} is not valid",
            fix="use at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends",
            values={"value": shown(value)},
        )


def name_refusal(path: str, name: str, label: bool = False) -> Iterator[Refusal]:
    """A name that is no DNS-1123 subdomain, or no `label` (no points, 63 characters)."""
    if is_label(name) if label else is_subdomain(name):
        return
    yield Refusal(
        code="no-label" if label else "no-subdomain",
        path=path,
        problem="{name} is not a valid name",
        fix="use lower-case letters, digits and '-', at most {limit} characters, such as {example}",
        values={
            "name": quoted(name),
            "limit": 63 if label else 253,
            "example": re.sub(r"[^a-z0-9]+", "-", name[:60].lower()).strip("-") or "team-a",
        },
    )


def check_name(manifest: Manifest, path: str, name: str, label: bool = False) -> None:
    """A DNS-1123 subdomain, or a `label` (no points, 63 characters)."""
    refuse_first(manifest, name_refusal(path, name, label))


def check_annotations(manifest: Manifest, metadata: ObjectMeta) -> None:
    """What stellwerk.dev says of a workload: times, quantities and choices are readable and in range."""
    kind = given(metadata.labels, {}).get(WORKLOAD_KIND)
    if kind is not None:
        check_choice(manifest, key_path("metadata.labels", WORKLOAD_KIND), kind, WORKLOAD_KINDS)
    created = given(metadata.creation_timestamp, "")
    if created:
        check_time(manifest, "metadata.creationTimestamp", created)
    annotations = given(metadata.annotations, {})
    for key in sorted(_ANNOTATIONS.keys() & annotations.keys()):
        _ANNOTATIONS[key](manifest, key_path("metadata.annotations", key), annotations[key])
    for key, choices in _CHOICES.items():
        check_choice(
            manifest, key_path("metadata.annotations", key), annotations.get(key, choices[0]), choices
        )


def check_choice(manifest: Manifest, path: str, value: str, choices: tuple[str, ...]) -> None:
    """One of a few words."""
    refuse_first(manifest, other_word("no-choice", path, value, choices))


def check_label_selector(manifest: Manifest, path: str, selector: LabelSelector) -> None:
    """A LabelSelector: operators that there are."""
    for i, one in enumerate(given(selector.match_expressions, ())):
        place = f"{path}.matchExpressions[{i}].operator"
        check_choice(manifest, place, one.operator, ("In", "NotIn", "Exists", "DoesNotExist"))


def check_time(manifest: Manifest, path: str, text: str) -> None:
    """An RFC 3339 time."""
    if _fails(parse_time, text):
        raise InvalidInput(
            "{value} is not a time",
            fix='write RFC 3339, such as "2026-01-31T08:00:00Z"',
            **manifest.at(path),
            value=shown(text) or '""',
        )


def check_duration(manifest: Manifest, path: str, text: str) -> None:
    """A Go duration longer than 0."""
    if _fails(parse_duration, text) or parse_duration(text) <= 0:
        raise InvalidInput(
            "{value} is not a duration longer than 0",
            fix='write hours, minutes and seconds, such as "3h30m" (a day is "24h")',
            **manifest.at(path),
            value=shown(text) or '""',
        )


def _check_memory(manifest: Manifest, path: str, text: str) -> None:
    if _fails(parse_quantity, text) or parse_quantity(text).nanos < 0:
        raise InvalidInput(
            "{value} is not an amount of memory",
            fix='write a quantity such as "22Gi"',
            **manifest.at(path),
            value=shown(text) or '""',
        )


def _check_share(manifest: Manifest, path: str, text: str) -> None:
    if _fails(parse_quantity, text) or not 0 <= parse_quantity(text).nanos <= NANO:
        raise InvalidInput(
            "{value} is not a share of one GPU",
            fix='write a quantity from 0 to 1, such as "85m" for 8.5 percent',
            **manifest.at(path),
            value=shown(text) or '""',
        )


def _check_step_share(manifest: Manifest, path: str, text: str) -> None:
    if _fails(parse_quantity, text) or not 0 <= parse_quantity(text).nanos <= NANO:
        raise InvalidInput(
            "{value} is not a share of a step",
            fix='write a quantity from 0 to 1, such as "150m" for 15 percent',
            **manifest.at(path),
            value=shown(text) or '""',
        )


def _check_bandwidth(manifest: Manifest, path: str, text: str) -> None:
    if _fails(parse_quantity, text) or parse_quantity(text).nanos <= 0:
        raise InvalidInput(
            "{value} is not a bus bandwidth in GB/s",
            fix='write what nccl-tests measured where the job ran, such as "475"',
            **manifest.at(path),
            value=shown(text) or '""',
        )


def _fails(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return True
    return False


_ANNOTATIONS: dict[str, Callable[[Manifest, str, str], None]] = {
    ARRIVAL: check_time,
    DURATION: check_duration,
    GPU_MEMORY: _check_memory,
    GPU_COMPUTE: _check_share,
    GPU_COMPUTE_MEAN: _check_share,
    COMMUNICATION_SHARE: _check_step_share,
    MEASURED_BUS_BANDWIDTH: _check_bandwidth,
}

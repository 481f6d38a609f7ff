"""What a manifest does not say: the annotations and the label of an object that a replay reads.

`stellwerk.dev/arrival` (else creationTimestamp), `duration`, and the measured use of each GPU: `gpu-memory`
(peak), `gpu-compute` (p95), `gpu-compute-mean`; `whole-gpu` and `isolation` forbid sharing, or all but MIG.
`communication-share` of a step waits for other GPUs, at a bus bandwidth of `measured-bus-bandwidth` (GB/s).
What was not measured stays unknown. Every error names the field and shows how to write it.
"""

from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from stellwerk.api.duration import parse_duration, parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.demand import KINDS, NS_PER_HOUR, Job

KIND_LABEL = "stellwerk.dev/workload-kind"
ARRIVAL, DURATION = "stellwerk.dev/arrival", "stellwerk.dev/duration"
MEMORY = "stellwerk.dev/gpu-memory"
COMPUTE, COMPUTE_MEAN = "stellwerk.dev/gpu-compute", "stellwerk.dev/gpu-compute-mean"
WHOLE, ISOLATION = "stellwerk.dev/whole-gpu", "stellwerk.dev/isolation"
COMMUNICATION, BUS_BANDWIDTH = "stellwerk.dev/communication-share", "stellwerk.dev/measured-bus-bandwidth"
DAY_NS = 24 * NS_PER_HOUR
MAX_PERIOD_NS = 10 * 366 * DAY_NS
MAX_MEMORY_BYTES = 1 << 40
MAX_BUS_MB_S = 10**8


def annotated_job(manifest: Manifest, metadata: ObjectMeta) -> Job:
    """The object as a Job of one pod with one GPU; the caller sets name, arrival, pods and GPUs."""
    notes = given(metadata.annotations, {})
    if DURATION not in notes:
        raise InvalidInput(
            "the annotation {annotation} is missing: a replay needs to know how long the pods ran",
            fix='add it under metadata.annotations, such as {annotation}: "3h30m"',
            annotation=DURATION,
            **manifest.at("metadata.annotations"),
        )
    return measured_job(manifest, metadata, positive_duration(manifest, notes[DURATION], _path(DURATION)))


def measured_job(manifest: Manifest, metadata: ObjectMeta, duration_ns: int) -> Job:
    """The object as a Job of this duration, with its measured use and what forbids sharing."""
    notes = given(metadata.annotations, {})
    return Job(
        name="",
        team=given(metadata.namespace, "default"),
        kind=_kind(manifest, metadata),
        arrival_ns=0,
        duration_ns=duration_ns,
        memory_bytes=_memory(manifest, notes),
        compute_milli=_milli(manifest, notes, COMPUTE),
        used_milli=_milli(manifest, notes, COMPUTE_MEAN),
        whole=_choice(manifest, notes, WHOLE, ("false", "true")) == "true",
        isolated=_choice(manifest, notes, ISOLATION, ("required",)) == "required",
        communication_milli=_communication(manifest, notes),
        measured_bus_mb_s=_bus(manifest, notes),
    )


def arrival(manifest: Manifest, metadata: ObjectMeta) -> tuple[int, str]:
    """When the object arrives, and the field that says so."""
    notes = given(metadata.annotations, {})
    if ARRIVAL in notes:
        return moment(manifest, notes[ARRIVAL], _path(ARRIVAL)), _path(ARRIVAL)
    created = given(metadata.creation_timestamp, "")
    if created:
        return moment(manifest, created, "metadata.creationTimestamp"), "metadata.creationTimestamp"
    raise InvalidInput(
        "the annotation {annotation} is missing, and so is metadata.creationTimestamp",
        fix='add it under metadata.annotations, such as {annotation}: "2026-11-02T08:00:00Z"',
        annotation=ARRIVAL,
        **manifest.at("metadata.annotations"),
    )


def moment(manifest: Manifest, text: str, path: str) -> int:
    """Nanoseconds since 1970 of the RFC 3339 time in the field `path`."""
    try:
        return parse_time(text.strip())
    except ValueError:
        raise InvalidInput(
            '"{value}" is no RFC 3339 time',
            fix='write it as "2026-11-02T08:00:00Z"',
            value=text[:60],
            **manifest.at(path),
        ) from None


def positive_duration(manifest: Manifest, text: str, path: str) -> int:
    """Nanoseconds of the Go duration in the field `path`, above 0 and up to ten years."""
    try:
        duration = parse_duration(text.strip())
    except ValueError:
        duration = 0
    if not 0 < duration <= MAX_PERIOD_NS:
        raise InvalidInput(
            '"{value}" is no duration above 0 and below ten years',
            fix='write it as "3h30m"',
            value=text[:60],
            **manifest.at(path),
        )
    return duration


def _kind(manifest: Manifest, metadata: ObjectMeta) -> str:
    """The workload kind: as labeled; a Deployment without label is inference, since it runs until stopped."""
    labels = given(metadata.labels, {})
    if KIND_LABEL not in labels:
        return "inference" if manifest.kind == "Deployment" else "unknown"
    if labels[KIND_LABEL] not in KINDS:
        raise InvalidInput(
            '"{value}" is no workload kind',
            fix="write one of {kinds}",
            value=labels[KIND_LABEL],
            kinds=", ".join(KINDS),
            **manifest.at(f"metadata.labels[{KIND_LABEL}]"),
        )
    return labels[KIND_LABEL]


def _path(annotation: str) -> str:
    return f"metadata.annotations[{annotation}]"


def _memory(manifest: Manifest, notes: Mapping[str, str]) -> int | None:
    """The measured peak in bytes; None where it was not measured."""
    if MEMORY not in notes:
        return None
    try:
        memory = parse_quantity(notes[MEMORY].strip()).value()
    except ValueError:
        memory = 0
    if not 0 < memory <= MAX_MEMORY_BYTES:
        raise InvalidInput(
            '"{value}" is no amount of memory above 0 and up to 1Ti',
            fix='write the measured peak for each GPU as "22Gi", or remove the annotation',
            value=notes[MEMORY][:60],
            **manifest.at(_path(MEMORY)),
        )
    return memory


def _milli(manifest: Manifest, notes: Mapping[str, str], annotation: str) -> int | None:
    """Thousandths of one GPU, rounded up; None where it was not measured."""
    if annotation not in notes:
        return None
    try:
        milli = parse_quantity(notes[annotation].strip()).milli_value()
    except ValueError:
        milli = -1
    if not 0 <= milli <= 1000:
        raise InvalidInput(
            '"{value}" is no share of one GPU from 0 to 1',
            fix='write the share of each GPU as "85m" or "0.085", or remove the annotation',
            value=notes[annotation][:60],
            **manifest.at(_path(annotation)),
        )
    return milli


def _communication(manifest: Manifest, notes: Mapping[str, str]) -> int | UnsetType:
    """Thousandths of a step, rounded up."""
    share = _milli(manifest, notes, COMMUNICATION)
    return UNSET if share is None else share


def _bus(manifest: Manifest, notes: Mapping[str, str]) -> int | UnsetType:
    """MB/s of the GB/s in the annotation, rounded up."""
    if BUS_BANDWIDTH not in notes:
        return UNSET
    try:
        speed = parse_quantity(notes[BUS_BANDWIDTH].strip()).milli_value()
    except ValueError:
        speed = 0
    if not 0 < speed <= MAX_BUS_MB_S:
        raise InvalidInput(
            '"{value}" is no bus bandwidth in GB/s above 0',
            fix='write what nccl-tests measured where the job ran, such as "475", or remove the annotation',
            value=notes[BUS_BANDWIDTH][:60],
            **manifest.at(_path(BUS_BANDWIDTH)),
        )
    return speed


def _choice(manifest: Manifest, notes: Mapping[str, str], annotation: str, choices: tuple[str, ...]) -> str:
    """One of a few words, or "" where the annotation is not there."""
    value = notes.get(annotation, "")
    if value not in ("", *choices):
        raise InvalidInput(
            '"{value}" is none of {choices}',
            fix="correct the annotation, or remove it",
            value=value[:60],
            choices=", ".join(choices),
            **manifest.at(_path(annotation)),
        )
    return value

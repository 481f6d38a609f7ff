"""Jobs as Kueue's integration takes them: queue, prebuilt Workload, partial admission, topology, elastic.

Source: kueue pkg/controller/jobs/job/job_webhook.go and pkg/controller/jobframework (validation.go,
tas_validation.go), with the feature gates as they are by default. That a priority class is there is not asked
by the webhook; `admit` asks it when it makes the Workload.
"""

from collections.abc import Iterator, Mapping

from stellwerk.api.checks.kueue.annotations import (
    FALSE,
    GROUP,
    PREFERRED,
    REQUIRED,
    TRUE,
    excluded,
    gate_refusals,
    integer_of,
    most_refusals,
    no_boolean,
    no_count,
    topology_refusals,
)
from stellwerk.api.checks.kueue.workload import ELASTIC_JOB, is_elastic
from stellwerk.api.checks.names import name_refusal
from stellwerk.api.checks.refusal import Refusal
from stellwerk.api.groups.batch import Job
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.yaml_events import key_path

QUEUE_NAME, PREBUILT = f"{GROUP}/queue-name", f"{GROUP}/prebuilt-workload-name"
MAX_SECONDS = f"{GROUP}/max-exec-time-seconds"
MIN_PARALLELISM = f"{GROUP}/job-min-parallelism"
SAME_COMPLETIONS = f"{GROUP}/job-completions-equal-parallelism"
_LABELS, _ANNOTATIONS = "metadata.labels", "metadata.annotations"
_TEMPLATE = "spec.template.metadata.annotations"


def job_refusals(job: Job) -> Iterator[Refusal]:
    """What Kueue's webhook refuses of a Job, with or without a queue."""
    labels, annotations = given(job.metadata.labels, {}), given(job.metadata.annotations, {})
    if QUEUE_NAME in labels:
        yield from name_refusal(key_path(_LABELS, QUEUE_NAME), labels[QUEUE_NAME])
    if annotations.get(PREBUILT):
        yield from name_refusal(key_path(_ANNOTATIONS, PREBUILT), annotations[PREBUILT])
    elif PREBUILT in labels:
        yield from name_refusal(key_path(_LABELS, PREBUILT), labels[PREBUILT])
    if MAX_SECONDS in labels and (integer_of(labels[MAX_SECONDS]) or 0) <= 0:
        yield no_count(key_path(_LABELS, MAX_SECONDS), labels[MAX_SECONDS])
    yield from gate_refusals(job.metadata)
    yield from _partial_refusals(job, annotations)
    yield from _completion_refusals(job, annotations)
    yield from _topology_refusals(job)


def _count(job: Job) -> int:
    count = given(job.spec.parallelism, 1)
    return min(count, given(job.spec.completions, count))


def _partial_refusals(job: Job, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    if MIN_PARALLELISM not in annotations:
        return
    least, path = integer_of(annotations[MIN_PARALLELISM]), key_path(_ANNOTATIONS, MIN_PARALLELISM)
    if least is None or least <= 0:
        yield no_count(path, annotations[MIN_PARALLELISM])
    elif _as_int32(least) >= _count(job):
        yield Refusal(
            code="min-not-below-count",
            path=path,
            problem="the least parallelism {least} is not below the {count} pods of the Job",
            fix="write less than {count}, or remove it",
            values={"least": least, "count": _count(job)},
        )
    if is_elastic(job.metadata):
        yield excluded(_ANNOTATIONS, MIN_PARALLELISM, ELASTIC_JOB)


def _as_int32(number: int) -> int:
    """Kueue compares the low 32 bits."""
    return (number + 2**31) % 2**32 - 2**31


def _completion_refusals(job: Job, annotations: Mapping[str, str]) -> Iterator[Refusal]:
    value, path = annotations.get(SAME_COMPLETIONS), key_path(_ANNOTATIONS, SAME_COMPLETIONS)
    if value is None:
        return
    if value not in TRUE | FALSE:
        yield no_boolean(path, value)
    if value not in TRUE:
        return
    if given(job.spec.completion_mode, "NonIndexed") == "NonIndexed":
        yield Refusal(
            code="not-indexed",
            path=path,
            problem="completions follow parallelism only in a Job with completionMode Indexed",
            fix="write completionMode: Indexed, or remove the annotation",
        )
    parallelism, completions = given(job.spec.parallelism, 1), given(job.spec.completions, 1)
    if parallelism != completions:
        yield Refusal(
            code="other-completions",
            path="spec.completions",
            problem="completions {completions} differ from parallelism {parallelism}",
            fix="write {parallelism}, or remove the annotation {annotation}",
            values={
                "completions": completions,
                "parallelism": parallelism,
                "annotation": SAME_COMPLETIONS,
            },
        )


def _topology_refusals(job: Job) -> Iterator[Refusal]:
    annotations = given(given(job.spec.template.metadata, ObjectMeta()).annotations, {})
    refused = tuple(topology_refusals(_TEMPLATE, annotations))
    yield from refused
    if refused:
        return
    for key in (REQUIRED, PREFERRED):
        if is_elastic(job.metadata) and key in annotations:
            yield Refusal(
                code="elastic-with-topology",
                path=key_path(_TEMPLATE, key),
                problem="an elastic job may not ask for a topology that its pods share",
                fix="remove it, or the Job's annotation {annotation}",
                values={"annotation": ELASTIC_JOB},
            )
            return
    yield from most_refusals(_TEMPLATE, annotations, _count(job))

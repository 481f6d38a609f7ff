"""A Job and its Workload: the Job waits suspended, starts when the Workload is admitted, stops when evicted.

`next_step` looks at both and does one thing; the change that it makes is the reason to look again. Steps and
their order are those of Kueue's reconciler for batch/v1 Jobs.
Source: kueue pkg/controller/jobframework/reconciler.go, pkg/controller/jobs/job/job_controller.go.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.batch import Job, JobStatus
from stellwerk.api.groups.kueue import ResourceFlavor
from stellwerk.api.groups.kueue_workload import ReclaimablePod, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.control.queueing.events import Delete, Json, Put
from stellwerk.control.queueing.patch import patched
from stellwerk.control.queueing.seen import Item
from stellwerk.engine.queueing.cycle.status import holds_reservation, time_text, with_release
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.jobs.managed import JobQueues
from stellwerk.engine.queueing.jobs.matching import is_equivalent
from stellwerk.engine.queueing.jobs.running import pod_set_info, started, stopped, template_of
from stellwerk.engine.queueing.jobs.workload import (
    ADMISSION_GATED_BY,
    GROUP,
    PriorityClasses,
    workload_of,
)
from stellwerk.engine.queueing.standing import is_evicted, true_condition

Step = Put | Delete | None
FINALIZER = f"{GROUP}/resource-in-use"  # Whoever deletes a Workload waits until its Job is stopped.


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a Job refers to."""

    classes: PriorityClasses
    flavors: Mapping[str, ResourceFlavor]
    gates: FeatureGates
    queues: JobQueues


class Subject(Struct, frozen=True):
    """A Job, the Workload that is to stand for it, and those that it owns."""

    job: Item
    wanted: Workload
    workloads: Sequence[Item]


def wanted_of(job: Job, around: Surroundings) -> Workload | None:
    """The Workload that is to stand for the Job; None: it has no queue, or refers to what is not there."""
    queue = around.queues.queue_of(job)
    if queue is None:
        return None
    try:
        return workload_of(job, around.classes, queue)
    except InvalidInput:
        return None  # Its priority class or annotations cannot be read; Kueue waits until they can, too.


def next_step(subject: Subject, around: Surroundings, now: int) -> Step:
    """What to do about a Job and the Workloads that it owns, at `now` (ns)."""
    item, wanted, workloads = subject.job, subject.wanted, subject.workloads
    job: Job = item.typed
    match = next((one for one in workloads if _stands_for(item, wanted, one)), None)
    leaving = [one for one in workloads if one.raw["metadata"].get("deletionTimestamp")]
    if leaving:
        return _leaving(item, leaving[0])
    others = [one for one in workloads if one is not match]
    if others:
        return _other_workloads(item, match, others, wanted)
    if match is None and not _is_suspended(job) and _end_of(job) is None:
        return Put(stopped(item.raw, None))
    if match is not None and (changed := _follow(item, match, wanted)) is not None:
        return changed
    if match is not None and true_condition(match.typed, "Finished") is not None:
        needed = FINALIZER in (match.raw["metadata"].get("finalizers") or ())
        return Put(_released(match.raw)) if needed else None
    if (end := _end_of(job)) is not None:
        return None if match is None else _finish(match, end, now)
    if match is None:
        return None if _is_active(job) else Put(_made(item, wanted, now))
    return _with_workload(item, match, around, now)


def _stands_for(item: Item, wanted: Workload, one: Item) -> bool:
    workload: Workload = one.typed
    if true_condition(workload, "Finished") is not None:
        uid = given(item.typed.metadata.uid, "")
        return any(owner.uid == uid for owner in given(workload.metadata.owner_references, ()))
    return is_equivalent(item.raw, wanted, one.raw, one.typed)


def _other_workloads(item: Item, match: Item | None, others: list[Item], wanted: Workload) -> Step:
    """Workloads that do not stand for the Job: one without quota is made to, others are deleted."""
    job: Job = item.typed
    if match is None and not _is_suspended(job) and _end_of(job) is None:
        return Put(stopped(item.raw, others[0].raw if len(others) == 1 else None))
    if match is None and not holds_reservation(others[0].typed) and _is_suspended(job):
        raw = others[0].raw
        spec = {**_plain(item, wanted)["spec"], "active": raw["spec"].get("active", True)}
        return Put({**raw, "spec": spec})
    return discarded(others[-1])


def _leaving(item: Item, workload: Item) -> Step:
    """Somebody deletes the Workload: it goes once its Job is stopped, with its pod template as it was."""
    if not _is_suspended(item.typed) and _end_of(item.typed) is None:
        return Put(stopped(item.raw, workload.raw))
    return discarded(workload)


def discarded(workload: Item) -> Step:
    """What lets a Workload go: first nobody needs it any more, then it is deleted, if it is not already."""
    if FINALIZER in (workload.raw["metadata"].get("finalizers") or ()):
        return Put(_released(workload.raw))
    return None if workload.raw["metadata"].get("deletionTimestamp") else Delete(workload.raw)


def _released(raw: Json) -> dict[str, Any]:
    """Without Kueue's finalizer."""
    metadata = dict(raw["metadata"])
    left = [one for one in metadata.pop("finalizers", None) or () if one != FINALIZER]
    if left:
        metadata["finalizers"] = left
    return {**raw, "metadata": metadata}


def _follow(item: Item, match: Item, wanted: Workload) -> Step:
    """The Workload follows the Job's priority class and its gate."""
    workload: Workload = match.typed
    if true_condition(workload, "Finished") is not None:
        return None
    reference = given(workload.spec.priority_class_ref, None)
    own = reference is None or given(reference.group, "") == GROUP
    fixed = reference is None and holds_reservation(workload)
    asked = given(wanted.spec.priority_class_ref, None)
    named = "" if asked is None or given(asked.group, "") != GROUP else given(asked.name, "")
    if own and not fixed and ("" if reference is None else given(reference.name, "")) != named:
        spec = replace(
            workload.spec, priority=wanted.spec.priority, priority_class_ref=wanted.spec.priority_class_ref
        )
        if spec != workload.spec:
            return Put(patched(match.raw, workload, replace(workload, spec=spec)))
    gate = given(item.typed.metadata.annotations, {}).get(ADMISSION_GATED_BY, "")
    notes = given(workload.metadata.annotations, {})
    if gate == notes.get(ADMISSION_GATED_BY, ""):
        return None
    left = {key: value for key, value in notes.items() if key != ADMISSION_GATED_BY}
    annotations = {**left, ADMISSION_GATED_BY: gate} if gate else left
    return Put({**match.raw, "metadata": {**match.raw["metadata"], "annotations": annotations}})


def _with_workload(item: Item, match: Item, around: Surroundings, now: int) -> Step:
    job: Job = item.typed
    workload: Workload = match.typed
    reclaimable = _reclaimable(job) if around.gates.reclaimable_pods else ()
    status = given(workload.status, WorkloadStatus())
    if reclaimable != given(status.reclaimable_pods, ()):
        status = replace(status, reclaimable_pods=reclaimable or UNSET)
        return Put(patched(match.raw, workload, replace(workload, status=status)))
    if is_evicted(workload):
        if not _is_suspended(job) or given(given(job.status, JobStatus()).start_time, ""):
            return Put(stopped(item.raw, match.raw))
        if holds_reservation(workload) and not _is_active(job):
            return Put(patched(match.raw, workload, with_release(workload, around.gates, now)))
        return None
    admitted = true_condition(workload, "Admitted") is not None
    if not _is_suspended(job):
        return None if admitted else Put(stopped(item.raw, match.raw))
    if admitted:
        return _start(item, match, around, now)
    queue = around.queues.queue_of(job)
    if queue is not None and given(workload.spec.queue_name, "") != queue:
        return Put({**match.raw, "spec": {**match.raw["spec"], "queueName": queue}})
    return None


def _start(item: Item, match: Item, around: Surroundings, now: int) -> Step:
    """What cannot start with what was admitted has failed for good."""
    try:
        return Put(started(item.raw, pod_set_info(match.typed, around.flavors, around.gates)))
    except KeyError:
        return None  # A flavor is gone; once it is there the Job starts.
    except ValueError as error:
        return _finish(match, ("FailedToStart", str(error)), now)


def _finish(match: Item, end: tuple[str, str], now: int) -> Step:
    workload: Workload = match.typed
    finished = Condition(
        type="Finished",
        status="True",
        reason=end[0],
        message=end[1],
        last_transition_time=time_text(now),
        observed_generation=workload.metadata.generation,
    )
    status = given(workload.status, WorkloadStatus())
    kept = tuple(one for one in given(status.conditions, ()) if one.type != "Finished")
    return Put(
        patched(match.raw, workload, replace(workload, status=replace(status, conditions=(*kept, finished))))
    )


def _made(item: Item, wanted: Workload, now: int) -> dict[str, Any]:
    """The Workload, to be made; UID and the like are the API server's to give."""
    plain = _plain(item, wanted)
    metadata = {key: value for key, value in plain["metadata"].items() if key not in ("uid", "generation")}
    metadata |= {"creationTimestamp": time_text(now), "finalizers": [FINALIZER]}
    return {**plain, "metadata": metadata}


def _plain(item: Item, wanted: Workload) -> dict[str, Any]:
    """As JSON, with the Job's pod template in full."""
    plain: dict[str, Any] = msgspec.to_builtins(wanted, enc_hook=str)
    pod_set = {**plain["spec"]["podSets"][0], "template": template_of(item.raw)}
    return {**plain, "spec": {**plain["spec"], "podSets": [pod_set]}}


def _reclaimable(job: Job) -> tuple[ReclaimablePod, ...]:
    """Pods that will not be needed again: less is left to do than may run at a time."""
    status, spec = given(job.status, JobStatus()), job.spec
    parallelism = given(spec.parallelism, 1)
    completions = given(spec.completions, parallelism)
    done = given(status.succeeded, 0)
    if given(spec.completion_mode, "") == "Indexed":
        done = _indexes(given(status.completed_indexes, ""), given(status.failed_indexes, ""), completions)
    left = max(completions - done, 0)
    if parallelism <= 1 or not done or left >= parallelism:
        return ()
    # No more than the Workload has: with few completions that is less than parallelism.
    count = min(parallelism - left, min(parallelism, completions))
    return (ReclaimablePod(name="main", count=count),)


def _indexes(completed: str, failed: str, completions: int) -> int:
    """How many of the indexes below `completions` are named, as in "1,3-5"."""
    found: set[int] = set()
    for part in f"{completed},{failed}".split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return len(found)


def _is_suspended(job: Job) -> bool:
    return given(job.spec.suspend, False)


def _is_active(job: Job) -> bool:
    return given(given(job.status, JobStatus()).active, 0) != 0


def _end_of(job: Job) -> tuple[str, str] | None:
    """Reason and message of the Workload's end, if the Job is over."""
    for one in given(given(job.status, JobStatus()).conditions, ()):
        if one.type in ("Complete", "Failed") and one.status == "True":
            return "Succeeded" if one.type == "Complete" else "Failed", given(one.message, "")
    return None

"""Whether a Workload still stands for its Job: the same pods, as many of them.

Source: kueue pkg/controller/jobframework/reconciler.go (EquivalentToWorkload), pkg/util/equality/podset.go.
"""

from collections.abc import Mapping
from typing import Any

from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.cycle.status import holds_reservation
from stellwerk.engine.queueing.standing import true_condition

Json = Mapping[str, Any]


def is_equivalent(job: Json, wanted: Workload, found: Json, workload: Workload) -> bool:
    """Whether `found`, typed `workload`, stands for the Job, of which `wanted` would be made now.

    Pods are compared by count, minCount and containers, and by tolerations until they are admitted. The Job
    of a Workload with quota may run with the pods that were admitted, or wait with those that were asked for.
    """
    owners = [one for one in given(workload.metadata.owner_references, ()) if given(one.controller, False)]
    if not owners or owners[0].uid != job["metadata"].get("uid", ""):
        return False
    mine, theirs = given(wanted.spec.pod_sets, ()), given(workload.spec.pod_sets, ())
    if len(mine) != len(theirs) or len(mine) != 1:
        return False
    if wanted.spec.maximum_execution_time_seconds != workload.spec.maximum_execution_time_seconds:
        return False
    admitted = true_condition(workload, "Admitted") is not None
    if not _same_pods(job["spec"]["template"], found["spec"]["podSets"][0]["template"], admitted):
        return False
    asked, least = mine[0].count, given(mine[0].min_count, -1)
    if least != given(theirs[0].min_count, -1):
        return False
    counts = {theirs[0].count}
    if holds_reservation(workload):
        running = _running_count(workload)
        counts = {running, theirs[0].count} if job["spec"].get("suspend") else {running}
    return asked in counts


def _running_count(workload: Workload) -> int:
    """How many pods run once it is admitted: fewer only where it says so itself."""
    pod_set = given(workload.spec.pod_sets, ())[0]
    admission = given(given(workload.status, WorkloadStatus()).admission, None)
    assigned = () if admission is None else given(admission.pod_set_assignments, ())
    if given(pod_set.min_count, None) is None or not assigned:
        return pod_set.count
    return given(assigned[0].count, pod_set.count)


def _same_pods(mine: Json, theirs: Json, admitted: bool) -> bool:
    first, second = mine.get("spec") or {}, theirs.get("spec") or {}
    fields = ("containers", "initContainers") if admitted else ("containers", "initContainers", "tolerations")
    return all((first.get(field) or []) == (second.get(field) or []) for field in fields)

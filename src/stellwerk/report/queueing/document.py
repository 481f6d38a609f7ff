"""Admissions as data: a List of Workloads as Kueue would write them, and a report beside it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from stellwerk.api.groups.kueue_workload import PodSetAssignment, Workload
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import encode
from stellwerk.engine.queueing.course.run import Course
from stellwerk.engine.queueing.course.verdict import Place, Verdict, holders, job_key
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.engine.topology.assignment.wire import unpacked
from stellwerk.report.partition.yaml_text import yaml_text


def admission_text(course: Course, found: Sequence[Verdict], form: str) -> str:
    """The document as text; `form` is json or yaml."""
    document = admission_document(course, found)
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def admission_document(course: Course, found: Sequence[Verdict]) -> dict[str, Any]:
    """`items`: the Workloads of the answers; `report`: cycles, how they ended, an answer per Workload."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {},
        "items": [msgspec.json.decode(encode(one.workload)) for one in found],
        "report": {
            "cycles": course.cycles,
            "ended": course.ended,
            "lastCycleAt": time_text(course.now),
            "answers": [answer_document(one) for one in found],
        },
    }


def why_text(course: Course, one: Verdict, form: str) -> str:
    """One answer, and who holds what it waits for."""
    document = {
        **answer_document(one),
        "holders": [{"clusterQueue": queue, "workload": key} for queue, key in holders(course, one)],
    }
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def pod_sets_of(workload: Workload) -> tuple[PodSetAssignment, ...]:
    """What it has quota for."""
    status = workload.status
    if not status or not status.admission:
        return ()
    return given(status.admission.pod_set_assignments, ())


def domains_of(assigned: PodSetAssignment) -> list[dict[str, Any]]:
    """Its places: the values of all levels, and how many pods."""
    topology = given(assigned.topology_assignment, None)
    if topology is None:
        return []
    return [{"values": list(one.values), "count": one.count} for one in unpacked(topology).domains]


def answer_document(one: Verdict) -> dict[str, Any]:
    """What became of one workload, and why."""
    metadata, spec = one.workload.metadata, one.workload.spec
    found: dict[str, Any] = {
        "namespace": given(metadata.namespace, ""),
        "name": given(metadata.name, ""),
        "job": job_key(one).partition("/")[2],
        "localQueue": given(spec.queue_name, ""),
        "clusterQueue": one.cluster_queue,
        "priority": given(spec.priority, 0),
        "state": one.state,
        "before": one.before,
        "cycle": one.cycle,
        "podSets": [_pod_set(each) for each in pod_sets_of(one.workload)],
        "preempts": [{"workload": key, "reason": reason} for key, reason in one.preempts.items()],
    }
    if one.evicted is not None:
        found["preemptedBy"] = {
            "workload": one.evicted.by,
            "reason": one.evicted.preempted or one.evicted.reason,
            "message": one.evicted.message,
        }
    if one.reason is not None:
        found["reason"] = {
            "code": one.reason.code,
            "text": str(one.reason),
            "message": one.message,
            "behind": one.behind,
        }
    found |= _place("InClusterQueue", one.in_cluster_queue) | _place("InLocalQueue", one.in_local_queue)
    return found


def _place(where: str, place: Place | None) -> dict[str, int]:
    if place is None:
        return {}
    return {f"position{where}": place.before, f"pending{where}": place.of}


def _pod_set(one: PodSetAssignment) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": one.name,
        "count": given(one.count, 0),
        "flavors": dict(given(one.flavors, {})),
        "resourceUsage": {key: str(amount) for key, amount in given(one.resource_usage, {}).items()},
    }
    domains = domains_of(one)
    return found | ({"topology": domains} if domains else {})

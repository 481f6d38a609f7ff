"""Recorded cases of what a Workload of Kueue asks for, its priority, and its AdmissionChecks."""

from typing import Any

from msgspec.structs import replace

from stellwerk.api.groups.core import LimitRange
from stellwerk.api.groups.kueue import ClusterQueue, ClusterQueueSpec
from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.queueing.activity import checks_for
from stellwerk.engine.queueing.priority import effective_priority
from stellwerk.engine.queueing.requests.limits import adjusted, bounds_of
from stellwerk.engine.queueing.requests.total import (
    ClaimedDevices,
    PodSetRequests,
    WorkloadInfo,
    workload_info,
)
from tests.conformance.kueue_objects import Case, configuration_of, first, transformation, typed, unlike


def total_requests(case: Case) -> str | None:
    """Requests of each PodSet, with transformations, reclaimed pods and places."""
    raw, want = case["input"], case["want"]
    if raw.get("preserveTotalRequests"):
        raise LookupError("requests that are kept over an update are the controller's business")
    counting = replace(
        configuration_of(case).counting,
        transformations=tuple(map(transformation, (raw.get("resourceTransformations") or {}).values())),
        excluded_prefixes=tuple(raw.get("excludedResourcePrefixes") or ()),
    )
    claimed = _claimed(raw.get("dynamicResourceAllocation") or {})
    info = workload_info(typed(raw["workload"], Workload), counting, "", claimed)
    ours = [_pod_set(info, index, one) for index, one in enumerate(info.pod_sets)]
    return first(
        (
            unlike("clusterQueue", info.cluster_queue, want["clusterQueue"]),
            unlike("totalRequests", ours, [_plain(one) for one in want["totalRequests"] or ()]),
        )
    )


def priority(case: Case) -> str | None:
    """Priority with its boost."""
    workload = typed(case["input"]["workload"], Workload)
    ours = effective_priority(workload, configuration_of(case).gates)
    base, want = given(workload.spec.priority, 0), case["want"]
    if "effective" in want:
        return unlike("priority", {"base": base, "boost": ours - base, "effective": ours}, want)
    return unlike("priority", {"priority": ours}, want)


def admission_checks(case: Case) -> str | None:
    """The AdmissionChecks of a Workload, by the flavors it was admitted with."""
    queue = typed(case["input"]["clusterQueue"], ClusterQueue)
    workload = typed(case["input"]["workload"], Workload)
    admission = given(given(workload.status, WorkloadStatus()).admission, None)
    flavors = None
    if admission is not None:
        assignments = given(admission.pod_set_assignments, ())
        flavors = [flavor for one in assignments for flavor in given(one.flavors, {}).values()]
    ours = sorted(checks_for(given(queue.spec, ClusterQueueSpec()), flavors))
    return unlike("admissionChecks", ours, sorted(case["want"]["admissionChecks"] or ()))


def adjust_resources(case: Case) -> str | None:
    """The Workload with overhead, defaults of LimitRanges, and limits as requests."""
    raw = case["input"]
    ranges = [typed(one, LimitRange) for one in raw.get("limitranges") or ()]
    overheads = {
        one["metadata"]["name"]: {
            name: parse_quantity(str(quantity))
            for name, quantity in (one.get("overhead") or {}).get("podFixed", {}).items()
        }
        for one in raw.get("runtimeClasses") or ()
    }
    ours = adjusted(typed(raw["workload"], Workload), bounds_of(ranges), overheads)
    return unlike("workload", ours, typed(case["want"]["wl"], Workload))


def _claimed(raw: dict[str, Any]) -> dict[str, ClaimedDevices]:
    if raw:
        raise LookupError("no case of this recording has device classes")
    return {}


def _pod_set(info: WorkloadInfo, index: int, ours: PodSetRequests) -> dict[str, Any]:
    flavors = [*ours.flavors.values()]
    uses = info.topology_usage().get(flavors[0], ()) if ours.topology is not None else ()
    topology = None
    if ours.topology is not None:
        domains = [
            {"count": use.count, "values": [*use.values], "singlePodRequests": dict(use.requests)}
            for use in uses
        ]
        topology = {"levels": [*ours.topology.levels], "domainRequests": domains}
    return {
        "name": ours.name,
        "count": ours.count,
        "requests": dict(ours.requests),
        "flavors": dict(ours.flavors),
        "topologyRequest": topology,
    }


def _plain(want: dict[str, Any]) -> dict[str, Any]:
    empty = {"name": "main", "count": 0, "requests": {}, "flavors": {}, "topologyRequest": None}
    return empty | {key: value for key, value in want.items() if value is not None}


WORKLOAD = {
    "adjustResources": adjust_resources,
    "totalRequests": total_requests,
    "effectivePriority": priority,
    "admissionChecksForWorkload": admission_checks,
}

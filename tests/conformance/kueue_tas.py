"""Recorded cases of Kueue's topology-aware scheduling (kueue.md of the recording): nodes in, domains out."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from stellwerk.api.groups.core import Node, Pod
from stellwerk.api.groups.kueue_workload import (
    Admission,
    PodSet,
    PodSetAssignment,
    Workload,
    WorkloadSpec,
    WorkloadStatus,
)
from stellwerk.api.groups.meta import ObjectMeta
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.topology.assignment.assign import Situation, assign_flavor
from stellwerk.engine.topology.assignment.decision import (
    Assignment,
    DomainPods,
    DomainUsage,
    Gates,
    Outcome,
    PodSetRequest,
)
from stellwerk.engine.topology.assignment.fleet.amounts import foreign_usage
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot, take_snapshot
from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts
from stellwerk.engine.topology.assignment.fleet.tree import Tree, build_tree
from stellwerk.engine.topology.assignment.merge import merged, truncated
from stellwerk.engine.topology.assignment.search.optimal_set import Need, by_evenness, optimal_set
from stellwerk.engine.topology.assignment.search.order import Profile
from stellwerk.engine.topology.assignment.why import message
from stellwerk.engine.topology.assignment.wire import packed

_GATES = {
    "TASProfileMixed": "profile_mixed",
    "TASBalancedPlacement": "balanced_placement",
    "TASRespectNodeAffinityPreferred": "respect_node_affinity_preferred",
    "TASHandleOverlappingFlavors": "handle_overlapping_flavors",
    "ElasticJobsViaWorkloadSlicesWithTAS": "elastic_slices",
    "SkipReassignmentForPodOwnedWorkloads": "skip_reassignment_for_pod_owned",
    "SchedulerLibraryIntegration": "scheduler_library",
}
_TOPOLOGY = "default"


def typed(raw: Any, wanted: Any) -> Any:
    """The raw JSON as our type."""
    return msgspec.convert(raw, wanted, dec_hook=decode_hook)


def gates_of(switched: Mapping[str, bool]) -> Gates:
    """The case's gates over the defaults; those that change nothing here are passed over."""
    return Gates(**{_GATES[name]: value for name, value in switched.items() if name in _GATES})


def run_tas_case(case: dict[str, Any]) -> str | None:
    """What differs from the recorded expectation, None if nothing does."""
    ours = _RUN[case["procedure"]](case)
    wanted = _normal(case["want"])
    return None if ours == wanted else f"{msgspec.json.encode(ours).decode()[:600]}"


def _normal(wanted: Any) -> Any:
    """Assignments without domains are written as null, as [] or not at all."""
    result = wanted.get("result")
    if isinstance(result, dict) and result.get("domains", None) is None:
        return wanted | {"result": result | {"domains": []}}
    return wanted


def run_find(case: dict[str, Any]) -> Any:
    """What we decide of a case of findAssignments or replaceNode."""
    given = case["input"]
    gates = gates_of(case["featureGates"])
    requests = [request_of(raw) for raw in given["podSets"]]
    situation = Situation(
        gates=gates,
        workload=_workload(given, requests),
        simulate_empty=given.get("simulateEmpty", False),
    )
    found = assign_flavor(snapshot_of(case, gates), requests, situation)
    return {"podSets": {name: _outcome(each) for name, each in found.outcomes.items()}}


def snapshot_of(case: dict[str, Any], gates: Gates) -> FlavorSnapshot:
    """The flavor of a case: its nodes less foreign pods and what is used."""
    given, objects = case["input"], case["objects"]
    nodes = [typed(raw, Node) for raw in objects.get("nodes", ())]
    tree = build_tree(
        given["levels"], nodes, given.get("flavorNodeLabels") or {}, with_unready=gates.scheduler_library
    )
    foreign = foreign_usage(typed(raw, Pod) for raw in objects.get("pods", ()))
    used = [usage for key in given if _is_usage(key, tree, gates) for usage in given[key] or ()]
    return take_snapshot(_TOPOLOGY, tree, (), foreign).using(
        DomainUsage(tuple(raw["values"]), raw["singlePodRequests"], raw["count"]) for raw in used
    )


def _is_usage(key: str, tree: Tree, gates: Gates) -> bool:
    """Whether this input is use of the flavor's nodes: a sibling's counts only where flavors can overlap."""
    if key == "usageOfSiblingFlavor":
        return gates.handle_overlapping_flavors and tree.by_hostname
    return "usage" in key.lower()


def request_of(raw: dict[str, Any]) -> PodSetRequest:
    """The recording's PodSet."""
    spec = {
        "containers": [],
        "nodeSelector": raw.get("nodeSelector") or {},
        "tolerations": raw.get("tolerations") or [],
        "affinity": {"nodeAffinity": raw["nodeAffinity"]} if raw.get("nodeAffinity") else {},
    }
    pod_set = {"name": raw["name"], "count": raw["count"], "template": {"spec": spec}}
    if raw.get("topologyRequest") is not None:
        pod_set["topologyRequest"] = raw["topologyRequest"]
    return PodSetRequest(
        pod_set=typed(pod_set, PodSet),
        requests=raw["requestsPerPod"],
        count=raw["count"],
        implied=raw.get("topologyImplied", False),
        group=raw.get("podSetGroupName"),
        previous=assignment_of(raw["previousAssignment"]) if raw.get("previousAssignment") else None,
    )


def _workload(given: dict[str, Any], requests: Sequence[PodSetRequest]) -> Workload | None:
    """The case's Workload; for replaceNode one that has the existing assignment and the unhealthy node."""
    if given.get("workload"):
        return typed(given["workload"], Workload)
    if not given.get("existingAssignment"):
        return None
    assigned = PodSetAssignment(
        name=str(requests[0].pod_set.name),
        count=given["admissionCount"],
        topology_assignment=packed(assignment_of(given["existingAssignment"])),
    )
    raw = {"unhealthyNodes": [{"name": given["unhealthyNode"]}]}
    status = msgspec.structs.replace(
        typed(raw, WorkloadStatus), admission=Admission(cluster_queue="cq", pod_set_assignments=(assigned,))
    )
    return Workload(
        api_version="kueue.x-k8s.io/v1beta2",
        kind="Workload",
        metadata=ObjectMeta(name="wl"),
        spec=WorkloadSpec(),
        status=status,
    )


def assignment_of(raw: dict[str, Any]) -> Assignment:
    """The recording's short form."""
    domains = (DomainPods(tuple(one["values"]), one["count"]) for one in raw.get("domains") or ())
    return Assignment(tuple(raw["levels"]), tuple(domains))


def short_form(assignment: Assignment) -> dict[str, Any]:
    """The recording's short form of ours."""
    domains = [{"values": list(one.values), "count": one.count} for one in assignment.domains]
    return {"levels": list(assignment.levels), "domains": domains}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    if outcome is None:
        return {}
    if isinstance(outcome, Assignment):
        return {"topologyAssignment": short_form(outcome)}
    return {"failureReason": message(outcome)}


def _select(case: dict[str, Any]) -> Any:
    given = case["input"]
    states = [one["state"] for one in given["domains"]]
    columns = (
        "podCount",
        "sliceCount",
        "podCountWithLeader",
        "sliceCountWithLeader",
        "leaderCount",
        "affinityScore",
    )
    counts = LevelCounts(*([state[column] for state in states] for column in columns))
    childless = LevelCounts([], [], [], [], [], [])
    ordered = by_evenness(counts, childless, [0] * (len(states) + 1), range(len(states)))
    need = Need(given["workerCount"], given["leaderCount"], 1)
    chosen = optimal_set(counts, ordered, need, Profile(least_free=False, by_affinity=False))
    ids = [given["domains"][i]["domain"]["id"] for i in chosen or ()]
    return {"result": sorted(ids)}


def _merge(case: dict[str, Any]) -> Any:
    first, second = (assignment_of(case["input"][side]) for side in "ab")
    tree = _tree(first.levels, [one.values for one in (*first.domains, *second.domains)])
    return {"result": short_form(merged(tree, first, second))}


def _compare(case: dict[str, Any]) -> Any:
    given = case["input"]
    first, second = tuple(given["aLevelValues"]), tuple(given["bLevelValues"])
    values = _tree(given["levels"], [first, second]).levels[-1].values
    a, b = values.index(first), values.index(second)
    return {"sign": (a > b) - (a < b)}


def _truncate(case: dict[str, Any]) -> Any:
    given = case["input"]
    return {"result": short_form(truncated(assignment_of(given["assignment"]), given["newCount"]))}


def _tree(levels: Sequence[str], leaves: Sequence[tuple[str, ...]]) -> Tree:
    nodes = [
        typed(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": ",".join(values), "labels": dict(zip(levels, values, strict=True))},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            },
            Node,
        )
        for values in leaves
    ]
    return build_tree(levels, nodes, {})


_RUN = {
    "findAssignments": run_find,
    "replaceNode": run_find,
    "selectOptimalDomainSet": _select,
    "mergeAssignments": _merge,
    "compareDomains": _compare,
    "truncateAssignment": _truncate,
}
PROCEDURES = frozenset(_RUN)

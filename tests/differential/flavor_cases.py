"""Random cases for the flavor assigner, in the recorded format: Cohorts, flavors, usage, a workload."""

import random
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
FLAVORS = ("a", "b", "c", "d")
API = "kueue.x-k8s.io/v1beta2"
AMOUNTS = {
    "cpu": ("0", "1", "2", "3", "4500m", "8", "10"),
    "memory": ("0", "1Ki", "1500", "2Ki", "4Ki", "1M"),
    "example.com/gpu": ("0", "1", "2", "4", "8"),
    "pods": ("1", "3", "5"),
}


def random_cases(count: int, first: int = 0) -> Iterator[Json]:
    """Case by case, each from its own number."""
    for number in range(first, first + count):
        yield _case(number, random.Random(number))


def _case(number: int, chance: random.Random) -> Json:
    cohorts, names = _cohorts(chance)
    queues = [_queue(chance, f"q{index}", names) for index in range(chance.randint(1, 3))]
    workload = _workload(chance)
    given: Json = {
        "workload": workload,
        "clusterQueue": "q0",
        "usage": {queue["metadata"]["name"]: _usage(chance) for queue in queues},
        "preemptionOracle": _oracle(chance),
    }
    pod_sets = workload["spec"]["podSets"]
    if chance.random() < 0.15:
        given["lastTriedFlavorIndex"] = [
            {name: chance.randint(-1, 1) for name in AMOUNTS if chance.random() < 0.7} for _ in pod_sets
        ]
    if chance.random() < 0.15:
        given["counts"] = [chance.randint(0, one["count"]) for one in pod_sets]
    return {
        "id": f"flavor-random/{number}",
        "procedure": "assignFlavors",
        "featureGates": _gates(chance),
        "config": {"fairSharing": {}} if chance.random() < 0.3 else {},
        "objects": {
            "clusterQueues": queues,
            "cohorts": cohorts,
            "resourceFlavors": [_flavor(chance, name) for name in FLAVORS],
        },
        "input": given,
    }


def _gates(chance: random.Random) -> Json:
    rare = {"FlavorFungibility": False, "ConcurrentAdmission": True, "ReclaimablePods": False}
    rare |= {"UnadmittedWorkloadsObservability": False, "TopologyAwareScheduling": False}
    gates = {name: value for name, value in rare.items() if chance.random() < 0.07}
    if "FlavorFungibility" in gates:
        gates["FlavorFungibilityPreserveScanProgress"] = False
    if gates.get("UnadmittedWorkloadsObservability") is False:
        gates["UnadmittedWorkloadsExplicitStatus"] = False
    return gates


def _cohorts(chance: random.Random) -> tuple[list[Json], list[str]]:
    objects: list[Json] = []
    names = [""]
    for index in range(chance.randint(0, 3)):
        spec: Json = {"parentName": chance.choice(names)} if chance.random() < 0.7 else {}
        if chance.random() < 0.5:
            spec["resourceGroups"] = _groups(chance, bool(spec.get("parentName")))
        name = f"c{index}"
        objects.append({"apiVersion": API, "kind": "Cohort", "metadata": {"name": name}, "spec": spec})
        names.append(name)
    return objects, names


def _queue(chance: random.Random, name: str, cohorts: list[str]) -> Json:
    cohort = chance.choice(cohorts) if chance.random() < 0.5 else cohorts[-1]
    groups = _groups(chance, bool(cohort))
    spec: Json = {"cohortName": cohort, "resourceGroups": groups, "namespaceSelector": {}}
    if chance.random() < 0.7:
        policy = ("MayStopSearch", "TryNextFlavor")
        spec["flavorFungibility"] = {
            "whenCanBorrow": chance.choice(policy),
            "whenCanPreempt": chance.choice(policy),
        }
        if chance.random() < 0.5:
            preference = chance.choice(("BorrowingOverPreemption", "PreemptionOverBorrowing"))
            spec["flavorFungibility"]["preference"] = preference
    if chance.random() < 0.6:
        spec["preemption"] = {
            "reclaimWithinCohort": chance.choice(("Never", "Any", "LowerPriority")),
            "withinClusterQueue": chance.choice(("Never", "LowerPriority")),
        }
        if chance.random() < 0.4:
            within = {"policy": chance.choice(("Never", "LowerPriority"))}
            spec["preemption"]["borrowWithinCohort"] = within
    return {"apiVersion": API, "kind": "ClusterQueue", "metadata": {"name": name}, "spec": spec}


def _groups(chance: random.Random, limits: bool) -> list[Json]:
    """One or two groups; flavors and resources are in one group each."""
    resources = [name for name in AMOUNTS if chance.random() < (0.2 if name == "pods" else 0.93)] or ["cpu"]
    flavors = chance.sample(FLAVORS, chance.randint(2, 4))
    cut = chance.randint(1, len(resources)) if chance.random() < 0.4 else len(resources)
    parts = [(resources[:cut], flavors[:1] if cut < len(resources) else flavors)]
    if cut < len(resources):
        parts.append((resources[cut:], flavors[1:]))
    return [
        {
            "coveredResources": covered,
            "flavors": [
                {"name": flavor, "resources": [_quota(chance, name, limits) for name in covered]}
                for flavor in own
            ],
        }
        for covered, own in parts
    ]


def _quota(chance: random.Random, resource: str, limits: bool) -> Json:
    own = AMOUNTS[resource] if chance.random() < 0.3 else AMOUNTS[resource][-3:]
    quota = {"name": resource, "nominalQuota": chance.choice(own)}
    if chance.random() < 0.02:
        quota["nominalQuota"] = "10E"
    for limit in ("borrowingLimit", "lendingLimit") if limits else ():
        if chance.random() < 0.3:
            quota[limit] = chance.choice(AMOUNTS[resource])
    return quota


def _flavor(chance: random.Random, name: str) -> Json:
    spec: Json = {}
    if chance.random() < 0.5:
        spec["nodeLabels"] = {"kind": name, "size": str(chance.randint(1, 3))}
    if chance.random() < 0.25:
        effect = chance.choice(("NoSchedule", "NoExecute", "PreferNoSchedule"))
        spec["nodeTaints"] = [{"key": "spot", "value": "yes", "effect": effect}]
        if chance.random() < 0.3:
            spec["tolerations"] = [{"key": "spot", "operator": "Exists"}]
    return {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": name}, "spec": spec}


def _usage(chance: random.Random) -> list[Json]:
    rows = [
        {
            "flavor": flavor,
            "resource": name,
            "amount": chance.choice((1, 2, 3, 5)) * (1000 if name != "pods" else 1),
        }
        for flavor in FLAVORS
        for name in AMOUNTS
        if chance.random() < 0.45
    ]
    for row in rows:
        if row["resource"] == "example.com/gpu":
            row["amount"] //= 1000
    return rows


def _oracle(chance: random.Random) -> list[Json]:
    return [
        {
            "flavor": flavor,
            "resource": name,
            "possibility": chance.choice(("NoCandidates", "Preempt", "Reclaim")),
            "borrowingLevelAfter": chance.randint(0, 2),
        }
        for flavor in FLAVORS
        for name in AMOUNTS
        if chance.random() < 0.5
    ]


def _workload(chance: random.Random) -> Json:
    pod_sets = [_pod_set(chance, index) for index in range(chance.choice((1, 1, 1, 2, 3)))]
    metadata: Json = {"name": "w", "namespace": "ns"}
    if chance.random() < 0.2:
        allowed = ",".join(chance.sample(FLAVORS, 2))
        metadata["annotations"] = {"kueue.x-k8s.io/workload-allowed-resource-flavors": allowed}
    workload: Json = {"apiVersion": API, "kind": "Workload", "metadata": metadata}
    workload["spec"] = {"podSets": pod_sets}
    if chance.random() < 0.15:
        workload["status"] = {"reclaimablePods": [{"name": "p0", "count": 1}]}
    return workload


def _pod_set(chance: random.Random, index: int) -> Json:
    names = [name for name in AMOUNTS if name != "pods" and chance.random() < 0.5] or ["cpu"]
    requests = {name: chance.choice(AMOUNTS[name][:5]) for name in names}
    spec: Json = {"containers": [{"name": "c", "resources": {"requests": requests}}]}
    if chance.random() < 0.25:
        spec["initContainers"] = [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]
    if chance.random() < 0.5:
        spec["tolerations"] = [{"key": "spot", "operator": "Equal", "value": chance.choice(("yes", "no"))}]
    if chance.random() < 0.2:
        spec["nodeSelector"] = {chance.choice(("kind", "other")): chance.choice(FLAVORS)}
    if chance.random() < 0.25:
        spec["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _terms(chance)}
        }
    pod_set: Json = {"name": f"p{index}", "count": chance.choice((1, 1, 2, 3)), "template": {"spec": spec}}
    if chance.random() < 0.15:
        pod_set["topologyRequest"] = {"podSetGroupName": "together"}
    return pod_set


def _terms(chance: random.Random) -> Json:
    expressions = (
        {"key": "kind", "operator": "In", "values": chance.sample(FLAVORS, 2)},
        {"key": "kind", "operator": "NotIn", "values": chance.sample(FLAVORS, 1)},
        {"key": "size", "operator": "Gt", "values": [str(chance.randint(0, 3))]},
        {"key": "size", "operator": "Exists"},
        {"key": "other", "operator": "In", "values": ["x"]},
        {"key": "size", "operator": "DoesNotExist"},
    )
    terms = [
        {"matchExpressions": chance.sample(expressions, chance.randint(1, 2))}
        for _ in range(chance.randint(1, 2))
    ]
    return {"nodeSelectorTerms": terms}

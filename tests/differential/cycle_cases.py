"""Random scheduling cycles in the recorded format (`schedule`), without `want`.

`plain`: quota only. `tas`: flavors with nodes and a topology. `crowded`: one queue holds what others reclaim.
"""

import random
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

Json = dict[str, Any]
API = "kueue.x-k8s.io/v1beta2"
KINDS = ("plain", "tas", "crowded")
HOST = "kubernetes.io/hostname"
GATES = (
    "PrioritySortingWithinCohort",
    "PrioritizePreemptorWorkloads",
    "RecomputeAssignmentUponPreemptionTargetsOverlap",
    "TASRecomputeAssignmentWithinSchedulingCycle",
    "PartialAdmission",
    "FairSharingPreemptWithinNominal",
    "FairSharingPrioritizeNonBorrowing",
)


class _World(Struct):
    """A case while it is made; `used`: cpu by node."""

    chance: random.Random
    kind: str
    flavors: list[str] = []
    resources: list[str] = []
    flavor_objects: list[Json] = []
    nodes: list[Json] = []
    queues: list[Json] = []
    used: dict[str, int] = {}


def random_cases(kind: str, seed: int, count: int) -> Iterator[Json]:
    """Case n of a seed depends on both alone."""
    for index in range(count):
        yield random_case(kind, seed, index)


def random_case(kind: str, seed: int, index: int) -> Json:
    """Up to five queues in up to three Cohorts, and up to fourteen Workloads, no two of them equally old."""
    chance = random.Random(f"{seed}-{index}")
    world = _World(chance, kind)
    world.flavors = [f"f{k}" for k in range(chance.choice([1, 1, 2] if kind == "crowded" else [1, 2, 2, 3]))]
    world.resources = ["cpu"] if chance.random() < 0.5 else ["cpu", "memory"]
    count = chance.choice([1, 1, 2] if kind == "crowded" else [0, 1, 2, 3])
    cohorts = [_cohort(world, k) for k in range(count)]
    queues = chance.randint(3 if kind == "crowded" else 1, 5)
    world.queues = [_queue(world, k, count) for k in range(queues)]
    world.flavor_objects = [_flavor(world, name) for name in world.flavors]
    topologies = _topology(world) if kind == "tas" else []
    workloads = _workloads(world)
    gates = {gate: chance.random() < 0.5 for gate in GATES if chance.random() < 0.15}
    fair = chance.random() < 0.4
    case: Json = {
        "id": f"cycle/{seed}-{index}",
        "procedure": "schedule",
        "featureGates": gates,
        "now": "2026-01-01T00:00:00Z",
        "objects": {
            "namespaces": [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}],
            "resourceFlavors": world.flavor_objects,
            "topologies": topologies,
            "nodes": world.nodes,
            "cohorts": cohorts,
            "clusterQueues": world.queues,
            "localQueues": [_local_queue(k) for k in range(queues)],
            "workloads": workloads,
        },
    }
    return {**case, "config": {"fairSharing": {}}} if fair else case


def _object(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _local_queue(index: int) -> Json:
    name = f"q{index}"
    found = _object("LocalQueue", name, {"clusterQueue": name})
    return {**found, "metadata": {"name": name, "namespace": "ns"}}


def _quantity(resource: str, amount: int) -> str:
    return f"{amount}Gi" if resource == "memory" else str(amount)


def _quota(world: _World, resource: str, most: int) -> Json:
    chance = world.chance
    quota = {"name": resource, "nominalQuota": _quantity(resource, chance.randint(0, most))}
    if chance.random() < (0.15 if world.kind == "crowded" else 0.35):
        quota["borrowingLimit"] = _quantity(resource, chance.randint(0, 6))
    if chance.random() < 0.25:
        quota["lendingLimit"] = _quantity(resource, chance.randint(0, 4))
    return quota


def _groups(world: _World, most: int) -> list[Json]:
    flavors = world.flavors[:]
    world.chance.shuffle(flavors)
    flavors = flavors[: world.chance.randint(1, len(world.flavors))]
    quotas = [
        {"name": flavor, "resources": [_quota(world, resource, most) for resource in world.resources]}
        for flavor in flavors
    ]
    return [{"coveredResources": world.resources, "flavors": quotas}]


def _without_limits(spec: Json) -> None:
    """Without a parent there are no limits (Kueue's webhook)."""
    for group in spec.get("resourceGroups", ()):
        for quota in [quota for flavor in group["flavors"] for quota in flavor["resources"]]:
            quota.pop("borrowingLimit", None)
            quota.pop("lendingLimit", None)


def _weigh(world: _World, spec: Json) -> None:
    if world.chance.random() < 0.4:
        spec["fairSharing"] = {"weight": str(world.chance.choice([0, 1, 2, 3]))}


def _cohort(world: _World, index: int) -> Json:
    spec: Json = {}
    if index and world.chance.random() < 0.6:
        spec["parentName"] = f"c{world.chance.randrange(index)}"
    if world.chance.random() < 0.4:
        spec["resourceGroups"] = _groups(world, 4)
        if "parentName" not in spec:
            _without_limits(spec)
    _weigh(world, spec)
    return _object("Cohort", f"c{index}", spec)


def _queue(world: _World, index: int, cohorts: int) -> Json:
    chance = world.chance
    strategy = chance.choice(["BestEffortFIFO", "BestEffortFIFO", "StrictFIFO"])
    spec: Json = {
        "namespaceSelector": {},
        "queueingStrategy": strategy,
        "resourceGroups": _groups(world, 8),
    }
    if cohorts and chance.random() < 0.85:
        spec["cohortName"] = f"c{chance.randrange(cohorts)}"
    else:
        _without_limits(spec)
    ways = ["MayStopSearch", "TryNextFlavor"]
    spec["flavorFungibility"] = {"whenCanBorrow": chance.choice(ways), "whenCanPreempt": chance.choice(ways)}
    if chance.random() < 0.2:
        preference = chance.choice(["BorrowingOverPreemption", "PreemptionOverBorrowing"])
        spec["flavorFungibility"]["preference"] = preference
    preemption = _preemption(world)
    if chance.random() < 0.9:
        spec["preemption"] = preemption
    _weigh(world, spec)
    return _object("ClusterQueue", f"q{index}", spec)


def _preemption(world: _World) -> Json:
    chance = world.chance
    reclaim = (
        ["LowerPriority", "Any", "Any"]
        if world.kind == "crowded"
        else ["Never", "LowerPriority", "Any", "Any"]
    )
    found: Json = {
        "withinClusterQueue": chance.choice(
            ["Never", "LowerPriority", "LowerPriority", "LowerOrNewerEqualPriority"]
        ),
        "reclaimWithinCohort": chance.choice(reclaim),
    }
    if chance.random() < 0.4 and found["reclaimWithinCohort"] != "Never":
        found["borrowWithinCohort"] = {"policy": "LowerPriority"}
        if chance.random() < 0.5:
            found["borrowWithinCohort"]["maxPriorityThreshold"] = chance.randint(0, 2)
    return found


def _flavor(world: _World, name: str) -> Json:
    spec: Json = {}
    if world.kind == "tas" and world.chance.random() < 0.75:
        spec = {"nodeLabels": {"pool": name}, "topologyName": "topo"}
    elif world.chance.random() < 0.15:
        spec["nodeTaints"] = [{"key": "spot", "effect": "NoSchedule"}]
    return _object("ResourceFlavor", name, spec)


def _topology(world: _World) -> list[Json]:
    """Blocks of two hosts; up to four hosts a flavor."""
    for flavor in world.flavors:
        for index in range(world.chance.randint(1, 4)):
            name = f"{flavor}-n{index}"
            labels = {"pool": flavor, "block": f"b{index // 2}", HOST: name}
            allocatable = {"cpu": str(world.chance.randint(1, 4)), "memory": "8Gi", "pods": "10"}
            ready = [{"type": "Ready", "status": "True"}]
            world.nodes.append(
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": name, "labels": labels},
                    "spec": {},
                    "status": {"allocatable": allocatable, "conditions": ready},
                }
            )
    return [_object("Topology", "topo", {"levels": [{"nodeLabel": "block"}, {"nodeLabel": HOST}]})]


def _workloads(world: _World) -> list[Json]:
    chance = world.chance
    count = chance.randint(8, 14) if world.kind == "crowded" else chance.randint(2, 12)
    minutes = list(range(count))
    chance.shuffle(minutes)
    return [_workload(world, index, minutes[index]) for index in range(count)]


def _workload(world: _World, index: int, minute: int) -> Json:
    chance = world.chance
    if world.kind == "crowded":
        queue = chance.randrange(len(world.queues)) if chance.random() < 0.45 else 0
        admitted = queue == 0
    else:
        queue = chance.randrange(len(world.queues))
        admitted = chance.random() < 0.55
    pod_sets, assigned = [], []
    for place in range(chance.choice([1, 1, 1, 2])):
        pod_set, assignment = _pod_set(world, world.queues[queue], place, admitted)
        pod_sets.append(pod_set)
        admitted = admitted and assignment is not None
        assigned.append(assignment)
    found = {
        "apiVersion": API,
        "kind": "Workload",
        "metadata": {
            "name": f"w{index:02}",
            "namespace": "ns",
            "uid": f"u{index:02}",
            "creationTimestamp": f"2025-12-31T23:{minute:02}:00Z",
        },
        "spec": {"podSets": pod_sets, "queueName": f"q{queue}", "priority": chance.randint(0, 2)},
    }
    if admitted:
        found["status"] = _admitted(world, index, f"q{queue}", assigned)
    return found


def _pod_set(world: _World, queue: Json, place: int, admitted: bool) -> tuple[Json, Json | None]:
    """A PodSet, and how it is assigned; None: its nodes have no room."""
    chance = world.chance
    count = chance.choice([1, 1, 2, 3])
    asked = {name: chance.randint(0 if name == "memory" else 1, 2) for name in world.resources}
    requests = {name: _quantity(name, amount) for name, amount in asked.items()}
    spec: Json = {"containers": [{"name": "c", "resources": {"requests": requests}}]}
    if chance.random() < 0.5:
        spec["tolerations"] = [{"key": "spot", "operator": "Exists"}]
    found: Json = {"name": f"p{place}", "count": count, "template": {"metadata": {}, "spec": spec}}
    flavor = chance.choice(queue["spec"]["resourceGroups"][0]["flavors"])["name"]
    placed = any(
        one["metadata"]["name"] == flavor and "topologyName" in one["spec"] for one in world.flavor_objects
    )
    if world.kind == "tas" and (placed if admitted else chance.random() < 0.6):
        found["topologyRequest"] = _request(chance)
    elif not admitted and place == 0 and count > 1 and chance.random() < 0.3:
        found["minCount"] = chance.randint(1, count)
    assignment: Json = {
        "name": f"p{place}",
        "count": count,
        "flavors": dict.fromkeys(asked, flavor),
        "resourceUsage": {name: _quantity(name, amount * count) for name, amount in asked.items()},
    }
    if not (admitted and placed):
        return found, assignment
    node = _node_for(world, flavor, asked["cpu"] * count)
    if node is None:
        return found, None
    values = [{"universal": node}]
    part = {"domainCount": 1, "podCounts": {"universal": count}, "valuesPerLevel": values}
    assignment["topologyAssignment"] = {"levels": [HOST], "slices": [part]}
    return found, assignment


def _request(chance: random.Random) -> Json:
    """Together in a block or on a host, or anywhere."""
    if chance.random() < 0.7:
        how = chance.choice(["required", "preferred"])
        return {how: chance.choice(["block", HOST])}
    return {"unconstrained": True}


def _node_for(world: _World, flavor: str, cpu: int) -> str | None:
    for node in world.nodes:
        name = node["metadata"]["name"]
        free = int(node["status"]["allocatable"]["cpu"]) - world.used.get(name, 0)
        if node["metadata"]["labels"]["pool"] == flavor and cpu <= free:
            world.used[name] = world.used.get(name, 0) + cpu
            return str(name)
    return None


def _admitted(world: _World, index: int, queue: str, assigned: list[Json | None]) -> Json:
    at = f"2025-12-31T23:5{world.chance.randint(0, 9)}:{index:02}Z"
    conditions = [
        {"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": at}
        for kind in ("QuotaReserved", "Admitted")
    ]
    if world.chance.random() < 0.1:
        evicted = {"type": "Evicted", "status": "True", "reason": "Preempted", "message": "x"}
        conditions.append({**evicted, "lastTransitionTime": at})
    return {
        "admission": {"clusterQueue": queue, "podSetAssignments": assigned},
        "conditions": conditions,
    }

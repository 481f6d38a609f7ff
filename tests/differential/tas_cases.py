"""Random cases of topology-aware scheduling in the recorded format (`findAssignments`), plus two inputs.

`input.ownUsage` is what Workloads of the flavor hold, `input.simulateEmpty` asks as if they were preempted.
"""

import random
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
HOST = "kubernetes.io/hostname"
KEYS = ("example.com/block", "example.com/rack", "example.com/switch")
TAINT = {"key": "example.com/gpu", "value": "present", "effect": "NoSchedule"}


def random_cases(count: int, first: int = 0) -> Iterator[Json]:
    """Case n depends on n alone."""
    for n in range(first, first + count):
        yield random_case(random.Random(n), n)


def random_case(chance: random.Random, number: int) -> Json:
    """One small cluster, and PodSets that about fill a part of it; every third case is about one rule."""
    focus = chance.choice(("balanced", "layers", "", "", "", ""))
    levels = [*KEYS[: chance.choice((0, 1, 2, 2, 2, 3) if not focus else (1, 2, 3, 3))], HOST]
    if len(levels) > 1 and chance.random() < 0.15:
        levels.pop()
    nodes = _nodes(chance, levels)
    gates = _gates(chance)
    if focus == "balanced":
        gates |= {"TASBalancedPlacement": True, "TASRespectNodeAffinityPreferred": False}
        sets = _balanced_sets(chance, levels, nodes)
    elif focus == "layers" and len(levels) > 1:
        gates |= {"TASBalancedPlacement": chance.random() < 0.1}
        sets = [_layered_set(chance, levels, len(nodes))]
    else:
        sets = _pod_sets(chance, levels, len(nodes))
    return {
        "id": f"random-{number}",
        "procedure": "findAssignments",
        "featureGates": gates,
        "objects": {"nodes": nodes, "pods": _pods(chance, nodes)},
        "input": {
            "levels": levels,
            "podSets": sets,
            "flavorNodeLabels": {"zone": "a"} if chance.random() < 0.1 else {},
            "ownUsage": _usage(chance, levels, nodes),
            "simulateEmpty": chance.random() < 0.1,
        },
    }


def _balanced_sets(chance: random.Random, levels: list[str], nodes: list[Json]) -> list[Json]:
    """Single pods or slices that fill a good part of the cluster, one level preferred; often a leader."""
    at = chance.randrange(len(levels))
    request: Json = {"preferred": levels[at]}
    size = chance.choice((1, 1, 2, 3))
    if size > 1:
        request |= {"podSetSliceRequiredTopology": chance.choice(levels[at:]), "podSetSliceSize": size}
    # Where workers need GPUs and the leader CPU, what a leader costs differs from node to node.
    by_gpu = chance.random() < 0.5
    scarce = "example.com/gpu" if by_gpu else "cpu"
    room = sum(int(node["status"]["allocatable"][scarce]) for node in nodes)
    workers = {
        "name": "workers",
        "count": size * max(1, chance.randint(room // 8, max(1, room * 3 // 4)) // size),
        "requestsPerPod": {"cpu": 500, scarce: 1} if by_gpu else {"cpu": 1000},
        "topologyImplied": False,
        "topologyRequest": request,
    }
    if chance.random() < 0.4:
        return [workers]
    asked = {"cpu": chance.randint(1, 9) * 500, "example.com/gpu": chance.randint(0, 2)}
    leader = workers | {"name": "leader", "count": 1, "requestsPerPod": asked}
    return [pod_set | {"podSetGroupName": "group"} for pod_set in (leader, workers)]


def _layered_set(chance: random.Random, levels: list[str], nodes: int) -> Json:
    """Slices of slices, in whole ones."""
    layers = _layers(chance, levels)
    return {
        "name": "main",
        "count": layers[0]["size"] * chance.randint(1, max(1, 2 * nodes // layers[0]["size"])),
        "requestsPerPod": {"cpu": chance.choice((500, 1000))},
        "topologyImplied": False,
        "topologyRequest": {
            chance.choice(("required", "preferred")): levels[0],
            "podsetSliceRequiredTopologyConstraints": layers,
        },
    }


def _gates(chance: random.Random) -> Json:
    return {
        "TASBalancedPlacement": chance.random() < 0.4,
        "TASProfileMixed": chance.random() < 0.7,
        "TASRespectNodeAffinityPreferred": chance.random() < 0.3,
        "ElasticJobsViaWorkloadSlicesWithTAS": chance.random() < 0.3,
    }


def _nodes(chance: random.Random, levels: list[str]) -> list[Json]:
    """Nodes of a cluster with up to 3 blocks, 3 racks each, 2 switches each; alike, or each another."""
    alike = chance.random() < 0.4
    cpu, gpu, most = chance.randint(1, 9), chance.randint(0, 6), chance.choice((3, 10, 110))
    depth = sum(key in levels for key in KEYS)
    paths: list[tuple[str, ...]] = [()]
    for fan_out in (3, 3, 2)[:depth]:
        paths = [
            (*path, f"{'brs'[len(path)]}{i}") for path in paths for i in range(chance.randint(1, fan_out))
        ]
    nodes = []
    for path in paths:
        for _ in range(chance.randint(1, 4)):
            if not alike:
                cpu, gpu = chance.randint(0, 9), chance.randint(0, 6)
            nodes.append(
                _node(chance, f"x{len(nodes)}", path, {"cpu": cpu, "example.com/gpu": gpu, "pods": most})
            )
    chance.shuffle(nodes)
    return nodes


def _node(chance: random.Random, name: str, path: tuple[str, ...], has: dict[str, int]) -> Json:
    labels = dict(zip(KEYS, path, strict=False)) | {
        HOST: name,
        "zone": chance.choice("aab"),
        "size": str(has["cpu"]),
    }
    if path and chance.random() < 0.03:
        del labels[KEYS[0]]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{name}" if chance.random() < 0.5 else name, "labels": labels},
        "spec": {
            "taints": [TAINT] if chance.random() < 0.1 else [],
            "unschedulable": chance.random() < 0.03,
        },
        "status": {
            "allocatable": {key: str(amount) for key, amount in has.items()},
            "conditions": [{"type": "Ready", "status": "True" if chance.random() < 0.95 else "False"}],
        },
    }


def _pods(chance: random.Random, nodes: list[Json]) -> list[Json]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"foreign-{i}", "namespace": "default"},
            "spec": {
                "nodeName": node["metadata"]["name"],
                "containers": [
                    {"name": "c", "resources": {"requests": {"cpu": f"{chance.randint(0, 2500)}m"}}}
                ],
            },
            "status": {"phase": chance.choice(("Running", "Running", "Pending", "Failed"))},
        }
        for i, node in enumerate(nodes)
        if chance.random() < 0.15
    ]


def _usage(chance: random.Random, levels: list[str], nodes: list[Json]) -> list[Json]:
    used = []
    for node in nodes:
        labels = node["metadata"]["labels"]
        if chance.random() < 0.25 and all(key in labels for key in levels):
            values = [labels[HOST]] if levels[-1] == HOST else [labels[key] for key in levels]
            requests = {"cpu": chance.randint(0, 2000), "example.com/gpu": chance.randint(0, 1)}
            used.append({"values": values, "count": chance.randint(1, 3), "singlePodRequests": requests})
    return used


def _pod_sets(chance: random.Random, levels: list[str], nodes: int) -> list[Json]:
    if chance.random() < 0.35:
        request = _topology(chance, levels)
        leader = _pod_set(chance, "leader", 1, None)
        leader["topologyRequest"] = request
        workers = _pod_set(chance, "workers", chance.randint(1, 3 * nodes), request)
        pair = [leader, workers] if chance.random() < 0.5 else [workers, leader]
        return [pod_set | {"podSetGroupName": "group"} for pod_set in pair]
    names = ("main", "second", "third")[: chance.choice((1, 1, 1, 2, 3))]
    return [
        _pod_set(
            chance, name, chance.randint(0 if len(names) == 1 else 1, 3 * nodes), _topology(chance, levels)
        )
        for name in names
    ]


def _pod_set(chance: random.Random, name: str, count: int, request: Json | None) -> Json:
    if request and "podSetSliceSize" in request and chance.random() < 0.8:
        count = max(1, round(count / request["podSetSliceSize"])) * request["podSetSliceSize"]
    layers = (request or {}).get("podsetSliceRequiredTopologyConstraints")
    if layers and chance.random() < 0.8:
        count = max(1, round(count / layers[0]["size"])) * layers[0]["size"]
    requests = {"cpu": chance.choice((0, 500, 1000, 1000, 2000, 3000))}
    if chance.random() < 0.4:
        requests["example.com/gpu"] = chance.randint(0, 2)
    found: Json = {
        "name": name,
        "count": count,
        "requestsPerPod": requests,
        "topologyImplied": request is None,
    }
    if request is not None:
        found["topologyRequest"] = request
    if chance.random() < 0.1:
        found["nodeSelector"] = {"zone": chance.choice("ab")}
    if chance.random() < 0.3:
        found["tolerations"] = [{"key": TAINT["key"], "operator": "Exists"}]
    if chance.random() < 0.3:
        found["nodeAffinity"] = _affinity(chance)
    return found


def _affinity(chance: random.Random) -> Json:
    zone = {"key": "zone", "operator": chance.choice(("In", "NotIn")), "values": [chance.choice("ab")]}
    size = {"key": "size", "operator": chance.choice(("Gt", "Lt")), "values": ["4"]}
    preferred = [
        {"weight": chance.choice((0, 1, 10)), "preference": {"matchExpressions": [one]}}
        for one in (zone, size)
    ]
    affinity: Json = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    if chance.random() < 0.3:
        terms = {"nodeSelectorTerms": [{"matchExpressions": [zone]}, {}]}
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = terms
    return affinity


def _topology(chance: random.Random, levels: list[str]) -> Json | None:
    """A request as users write it; now and then for a level that is not there, or slices above it."""
    form = chance.choice(("required", "preferred", "preferred", "unconstrained", "none", "implied"))
    if form == "implied":
        return None
    at = chance.randrange(len(levels))
    request: Json = {}
    if form in ("required", "preferred"):
        request[form] = levels[at] if chance.random() < 0.97 else "example.com/unknown"
    if form == "unconstrained":
        request[form] = True
    below = levels[at if chance.random() < 0.95 else 0 :]
    sliced = chance.random() < 0.4 or form == "none"
    if sliced and len(below) > 1 and chance.random() < 0.4:
        request["podsetSliceRequiredTopologyConstraints"] = _layers(chance, below)
    elif sliced:
        request["podSetSliceRequiredTopology"] = chance.choice(below)
        request["podSetSliceSize"] = chance.randint(1, 4)
    return request


def _layers(chance: random.Random, levels: list[str]) -> list[Json]:
    chosen = sorted(chance.sample(range(len(levels)), chance.randint(2, min(3, len(levels)))))
    size, layers = 1, []
    for index in reversed(chosen):
        size *= chance.choice((1, 2, 2, 3))
        layers.insert(0, {"topology": levels[index], "size": size})
    return layers


def replacement_of(case: Json, outcomes: Json, chance: random.Random) -> Json | None:
    """The case of a node that fails under the first PodSet with a place, None if there is none such."""
    name, found = next(((n, o) for n, o in outcomes.items() if "topologyAssignment" in o), ("", {}))
    if not found or case["input"]["levels"][-1] != HOST or not found["topologyAssignment"]["domains"]:
        return None
    gone = chance.choice(found["topologyAssignment"]["domains"])["values"][-1]
    pod_set = next(each for each in case["input"]["podSets"] if each["name"] == name)
    own = {"values": [], "count": 0, "singlePodRequests": pod_set["requestsPerPod"]}
    kept = [one for one in found["topologyAssignment"]["domains"] if one["values"][-1] != gone]
    return case | {
        "id": f"{case['id']}-replacement",
        "procedure": "replaceNode",
        "objects": case["objects"] | {"nodes": [_failed(node, gone) for node in case["objects"]["nodes"]]},
        "input": case["input"]
        | {
            "existingAssignment": found["topologyAssignment"],
            "unhealthyNode": gone,
            "admissionCount": pod_set["count"],
            "podSets": [pod_set],
            "ownUsage": case["input"]["ownUsage"] + [own | one for one in kept],
        },
    }


def _failed(node: Json, hostname: str) -> Json:
    if node["metadata"]["labels"][HOST] != hostname:
        return node
    return node | {"status": node["status"] | {"conditions": [{"type": "Ready", "status": "Unknown"}]}}


def elastic_of(case: Json, outcomes: Json, chance: random.Random) -> Json:
    """The case of a workload slice that replaces this one with more or fewer pods, its node perhaps gone."""
    pod_sets = []
    for pod_set in case["input"]["podSets"]:
        previous = outcomes.get(pod_set["name"], {}).get("topologyAssignment")
        count = (
            pod_set["count"]
            if pod_set["name"] == "leader"
            else max(1, pod_set["count"] + chance.randint(-4, 4))
        )
        more = {"previousAssignment": previous} if previous is not None and chance.random() < 0.9 else {}
        pod_sets.append(pod_set | {"count": count} | more)
    gates = case["featureGates"] | {"ElasticJobsViaWorkloadSlicesWithTAS": True}
    nodes = case["objects"]["nodes"]
    if chance.random() < 0.2:
        nodes = [_failed(node, chance.choice(nodes)["metadata"]["labels"][HOST]) for node in nodes]
    return case | {
        "id": f"{case['id']}-elastic",
        "featureGates": gates,
        "objects": case["objects"] | {"nodes": nodes},
        "input": case["input"] | {"podSets": pod_sets},
    }

"""What an assignment of topology domains can never be, on random clusters, counted from the manifests."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from stellwerk.engine.topology.assignment.assign import Situation, assign_flavor
from stellwerk.engine.topology.assignment.decision import DomainUsage
from tests.conformance.kueue_tas import gates_of, request_of, run_find, run_tas_case, snapshot_of
from tests.differential.tas_cases import HOST, random_case

Json = dict[str, Any]
seeds = st.integers(0, 1_000_000)


def cluster_of(seed: int) -> Json:
    """A case; its gates are the defaults or others."""
    return random_case(random.Random(seed), seed)


def placed(case: Json) -> Iterator[tuple[Json, list[Json]]]:
    """PodSets with a place, and their domains."""
    outcomes = run_find(case)["podSets"]
    for pod_set in case["input"]["podSets"]:
        found = outcomes.get(pod_set["name"], {}).get("topologyAssignment")
        if found is not None:
            yield pod_set, found["domains"]


def leaf_of(case: Json, node: Json) -> tuple[str, ...]:
    """How an assignment names the domain of a node."""
    levels, labels = case["input"]["levels"], node["metadata"]["labels"]
    return tuple(labels[key] for key in (levels[-1:] if levels[-1] == HOST else levels) if key in labels)


def milli(text: str, resource: str) -> int:
    """An amount of a generated manifest in Kueue's unit."""
    if resource != "cpu":
        return int(text)
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000


def capacity_of(case: Json) -> dict[tuple[str, ...], Counter[str]]:
    """By leaf what usable nodes have, less what foreign pods and, if they stay, Workloads hold."""
    free: dict[tuple[str, ...], Counter[str]] = {}
    leaf_of_node = {}
    for node in case["objects"]["nodes"]:
        ready = node["status"]["conditions"][0]["status"] == "True" and not node["spec"]["unschedulable"]
        labels = node["metadata"]["labels"]
        zone = case["input"]["flavorNodeLabels"].get("zone", labels["zone"])
        if ready and zone == labels["zone"] and all(key in labels for key in case["input"]["levels"]):
            leaf_of_node[node["metadata"]["name"]] = leaf = leaf_of(case, node)
            for resource, text in node["status"]["allocatable"].items():
                free.setdefault(leaf, Counter())[resource] += milli(text, resource)
    for pod in case["objects"]["pods"]:
        leaf = leaf_of_node.get(pod["spec"]["nodeName"])
        if leaf is not None and pod["status"]["phase"] in ("Running", "Pending"):
            asked = pod["spec"]["containers"][0]["resources"]["requests"]["cpu"]
            free[leaf].subtract({"cpu": milli(asked, "cpu"), "pods": 1})
    for used in case["input"]["ownUsage"] if not case["input"]["simulateEmpty"] else ():
        if tuple(used["values"]) in free:
            take(free[tuple(used["values"])], used["singlePodRequests"], used["count"])
    return free


def take(free: Counter[str], requests: dict[str, int], count: int) -> None:
    """So many pods more."""
    free.subtract({resource: amount * count for resource, amount in requests.items()})
    free["pods"] -= count


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_no_domain_gets_more_pods_than_fit(seed: int) -> None:
    case = cluster_of(seed)
    free = capacity_of(case)
    asked: dict[tuple[str, ...], set[str]] = {}
    for pod_set, domains in placed(case):
        for domain in domains:
            leaf = tuple(domain["values"])
            take(free[leaf], pod_set["requestsPerPod"], domain["count"])
            positive = {name for name, amount in pod_set["requestsPerPod"].items() if amount}
            asked.setdefault(leaf, {"pods"}).update(positive)
    assert all(free[leaf][resource] >= 0 for leaf, names in asked.items() for resource in names)


def loses_pods(case: Json) -> bool:
    """Balanced placement (alpha) of slices with a leader: Kueue's own code loses pods there, and we with it.

    Seed 131072 is such a case; its answer is Kueue's.
    """
    return bool(case["featureGates"].get("TASBalancedPlacement")) and any(
        leads(case, pod_set) for pod_set in case["input"]["podSets"]
    )


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_all_pods_in_whole_slices_are_placed(seed: int) -> None:
    case = cluster_of(seed)
    if loses_pods(case):
        return
    for pod_set, domains in placed(case):
        size = 1 if leads(case, pod_set) else (layers_of(pod_set) or [("", 1)])[0][1]
        assert sum(domain["count"] for domain in domains) == pod_set["count"] // size * size


def leads(case: Json, pod_set: Json) -> bool:
    """Whether it is the leader of a group: the one with fewer pods, or the second one."""
    if "podSetGroupName" not in pod_set:
        return False
    first, second = case["input"]["podSets"]
    return bool(pod_set is (first if second["count"] > first["count"] else second))


def layers_of(pod_set: Json) -> list[tuple[str, int]]:
    """Level and size of the slices, outermost first."""
    request = pod_set.get("topologyRequest") or {}
    if "podsetSliceRequiredTopologyConstraints" in request:
        return [(one["topology"], one["size"]) for one in request["podsetSliceRequiredTopologyConstraints"]]
    if "podSetSliceSize" in request:
        return [(request["podSetSliceRequiredTopology"], request["podSetSliceSize"])]
    return []


def pods_at(case: Json, level: str, domains: list[Json]) -> Counter[tuple[str, ...]]:
    """Pods by domain of a level."""
    levels = case["input"]["levels"]
    depth = levels.index(level) + 1
    paths = {
        leaf_of(case, node): tuple(node["metadata"]["labels"].get(key, "") for key in levels[:depth])
        for node in case["objects"]["nodes"]
    }
    total: Counter[tuple[str, ...]] = Counter()
    for domain in domains:
        total[paths[tuple(domain["values"])]] += domain["count"]
    return total


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_what_is_required_is_in_one_domain_of_that_level_the_leader_with_it(seed: int) -> None:
    case = cluster_of(seed)
    together: dict[str, list[Json]] = {}
    for pod_set, domains in placed(case):
        level = (pod_set.get("topologyRequest") or {}).get("required")
        if level is not None:
            together.setdefault(pod_set.get("podSetGroupName", pod_set["name"]), []).extend(domains)
            assert len(pods_at(case, level, together[pod_set.get("podSetGroupName", pod_set["name"])])) <= 1


@settings(max_examples=150, deadline=None)
@given(seeds)
def test_slices_are_whole_at_their_level(seed: int) -> None:
    case = cluster_of(seed)
    for pod_set, domains in placed(case):
        for level, size in layers_of(pod_set) if not leads(case, pod_set) else ():
            assert all(count % size == 0 for count in pods_at(case, level, domains).values())


@settings(max_examples=60, deadline=None)
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_nodes_changes_nothing(seed: int, chance: random.Random) -> None:
    case = cluster_of(seed)
    before = run_find(case)
    chance.shuffle(case["objects"]["nodes"])
    chance.shuffle(case["objects"]["pods"])
    assert run_tas_case(case | {"want": before}) is None


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_what_a_snapshot_remembers_changes_no_answer(seed: int) -> None:
    """The same questions to one snapshot that changes between them, and to such that know nothing yet."""
    case, chance = cluster_of(seed), random.Random(seed)
    case["input"]["ownUsage"] = []
    gates = gates_of(case["featureGates"])
    snapshot, requests = snapshot_of(case, gates), [request_of(raw) for raw in case["input"]["podSets"]]
    situations = [Situation(gates=gates, simulate_empty=empty) for empty in (False, True)]
    for _ in range(6):
        for situation in situations:
            fresh = structs.replace(snapshot, matches={}, tallies={})
            answer = assign_flavor(snapshot, requests, situation)
            assert answer == assign_flavor(fresh, requests, situation)
        leaves = chance.choices(snapshot.tree.levels[-1].values or [("none",)], k=chance.randint(0, 2))
        levels = slice(-1, None) if snapshot.tree.by_hostname else slice(None)
        usages = [DomainUsage(leaf[levels], {"cpu": chance.randint(0, 3000)}, 1) for leaf in leaves]
        snapshot = snapshot.using(usages) if chance.random() < 0.6 else snapshot.without(usages)

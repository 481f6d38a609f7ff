"""Scenarios of queues: quota, cohorts, borrowing, preemption, fair sharing, topology, from a seed."""

from random import Random
from typing import Any

from tests.cluster.parity.scenario import (
    QUEUE,
    Json,
    Scenario,
    job,
    kueue,
    namespace,
    node,
    prefix_of,
    priority_class,
)

FEATURES = ("quota", "cohort", "borrowing", "preemption", "fair-sharing", "topology")
PREEMPTING = frozenset({"preemption", "fair-sharing"})
PRIORITIES = {"low": 100, "mid": 500, "high": 900}
BLOCK, RACK = "parity.test/block", "parity.test/rack"
HOST = "kubernetes.io/hostname"


def queue_scenario(seed: int, feature: str) -> Scenario:
    """A scenario of one of FEATURES; the same seed gives the same one."""
    draw, name = Random(f"{feature}/{seed}"), prefix_of(seed)
    flavors = [
        f"{name}-{each}" for each in ("a", "b")[: draw.choice((1, 1, 2)) if feature != "topology" else 1]
    ]
    count = 1 if feature == "quota" else draw.choice((2, 3))
    queues = [f"{name}-q{i}" for i in range(count)]
    objects = [
        namespace(name),
        *(priority_class(f"{name}-{each}", value) for each, value in PRIORITIES.items()),
        *_flavors(draw, name, flavors, feature),
        *_cohorts(draw, name, flavors, feature),
        *(_cluster_queue(draw, (name, each), flavors, feature) for each in queues),
        *(kueue("LocalQueue", each, {"clusterQueue": each}, namespace=name) for each in queues),
    ]
    count = draw.choice((5, 6, 7) if feature not in PREEMPTING else (6, 7, 8))
    steps = [_job(draw, (name, f"{name}-j{i}"), queues, (feature, i / count)) for i in range(count)]
    return Scenario(
        seed=seed,
        feature=feature,
        kind=QUEUE,
        objects=tuple(objects),
        steps=tuple(steps),
        fair=feature == "fair-sharing",
    )


def _flavors(draw: Random, name: str, flavors: list[str], feature: str) -> list[Json]:
    found: list[Json] = []
    for flavor in flavors:
        labels = {"parity.test/flavor": flavor}
        spec: Json = {"nodeLabels": labels}
        if feature == "topology":
            levels = [{"nodeLabel": label} for label in (BLOCK, RACK, HOST)]
            found.append(kueue("Topology", f"{name}-t", {"levels": levels}))
            spec["topologyName"] = f"{name}-t"
            for block in range(2):
                for rack in range(2):
                    places = {BLOCK: f"{name}-b{block}", RACK: f"{name}-b{block}r{rack}"}
                    for host in range(draw.choice((1, 2))):
                        named = f"{name}-b{block}r{rack}h{host}"
                        found.append(node(named, {**labels, **places}, draw.choice((2, 3, 4))))
        else:
            found.append(node(f"{flavor}-node", labels, 1000))
        found.append(kueue("ResourceFlavor", flavor, spec))
    return found


def _cohorts(draw: Random, name: str, flavors: list[str], feature: str) -> list[Json]:
    """Sometimes a cohort above with quota of its own."""
    if feature not in ("cohort", "borrowing", "fair-sharing"):
        return []
    spec: Json = {}
    if draw.random() < 0.5:
        spec["resourceGroups"] = _groups(
            flavors, [{"nominalQuota": str(draw.randint(1, 4))} for _ in flavors]
        )
    return [kueue("Cohort", f"{name}-c", spec)]


def _groups(flavors: list[str], quotas: list[Json]) -> list[Json]:
    each = [
        {"name": flavor, "resources": [{"name": "cpu", **quota}]}
        for flavor, quota in zip(flavors, quotas, strict=True)
    ]
    return [{"coveredResources": ["cpu"], "flavors": each}]


def _quota(draw: Random, feature: str) -> Json:
    least, most = {"topology": (20, 30), "preemption": (2, 4), "fair-sharing": (1, 3)}.get(feature, (2, 6))
    found: Json = {"nominalQuota": str(draw.randint(least, most))}
    if feature in ("borrowing", "preemption", "fair-sharing"):
        if draw.random() < 0.5:
            found["borrowingLimit"] = str(draw.randint(0, 4))
        if draw.random() < 0.4:
            found["lendingLimit"] = str(draw.randint(0, int(found["nominalQuota"])))
    return found


def _cluster_queue(draw: Random, named: tuple[str, str], flavors: list[str], feature: str) -> Json:
    name, queue = named
    spec: dict[str, Any] = {
        "namespaceSelector": {},
        "queueingStrategy": draw.choice(("BestEffortFIFO", "StrictFIFO")),
        "resourceGroups": _groups(flavors, [_quota(draw, feature) for _ in flavors]),
    }
    if feature not in ("quota", "topology"):
        spec["cohortName"] = f"{name}-c"
    if feature in ("preemption", "fair-sharing"):
        spec["preemption"] = _preemption(draw)
    elif feature == "quota" and draw.random() < 0.5:
        spec["preemption"] = {
            "withinClusterQueue": draw.choice(("LowerPriority", "LowerOrNewerEqualPriority"))
        }
    if len(flavors) > 1:
        spec["flavorFungibility"] = {
            "whenCanBorrow": draw.choice(("MayStopSearch", "TryNextFlavor")),
            "whenCanPreempt": draw.choice(("MayStopSearch", "TryNextFlavor")),
        }
    if feature == "fair-sharing":
        spec["fairSharing"] = {"weight": draw.choice(("1", "2", "3"))}
    return kueue("ClusterQueue", queue, spec)


def _preemption(draw: Random) -> Json:
    """Seldom Never: what is never preempted says nothing."""
    found: Json = {
        "withinClusterQueue": draw.choice(("Never", *("LowerPriority", "LowerOrNewerEqualPriority") * 2)),
        "reclaimWithinCohort": draw.choice(("Never", *("LowerPriority", "Any") * 2)),
    }
    if found["reclaimWithinCohort"] != "Never" and draw.random() < 0.3:
        found["borrowWithinCohort"] = {"policy": "LowerPriority", "maxPriorityThreshold": PRIORITIES["mid"]}
    return found


def _job(draw: Random, named: tuple[str, str], queues: list[str], when: tuple[str, float]) -> Json:
    """`when`: how far the scenario is (0 to 1). Where preemption is asked for, later jobs matter more."""
    space, name = named
    feature, part = when
    pods = draw.randint(1, 3), draw.randint(1, 2)
    annotations: Json = {}
    if feature == "topology":
        how = draw.choice(("required", "required", "preferred", "unconstrained"))
        level = draw.choice((BLOCK, RACK, HOST))
        key = f"kueue.x-k8s.io/podset-{how}-topology"
        annotations = {key: "true" if how == "unconstrained" else level}
    names = list(PRIORITIES)
    rising = feature in PREEMPTING and draw.random() < 0.6
    priority = names[min(2, int(part * 3))] if rising else draw.choice(names)
    labels = {"kueue.x-k8s.io/priority-class": f"{space}-{priority}"}
    return job(name, space, draw.choice(queues), pods, labels=labels, annotations=annotations)

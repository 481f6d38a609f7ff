"""Scenarios of queues: quota, cohorts, borrowing, preemption, fair sharing, topology, from a seed.

Each draws from what its feature has: trees of cohorts, limits and weights in them, one or two flavors with
labels and taints, one or two resources, priorities, policies, thresholds, Jobs that may start with fewer
pods; Jobs end or are deleted in between, so that quota and places come free.
"""

from random import Random
from typing import Any

from tests.cluster.parity import places
from tests.cluster.parity.scenario import (
    QUEUE,
    Json,
    Scenario,
    Step,
    job,
    kueue,
    namespace,
    node,
    prefix_of,
    priority_class,
)

FEATURES = ("quota", "cohort", "borrowing", "preemption", "fair-sharing", "topology")
TOPOLOGY, FAIR = "topology", "fair-sharing"
SHARING = frozenset({"cohort", "borrowing", "preemption", FAIR})
LIMITED = frozenset({"borrowing", "preemption", FAIR})
PREEMPTING = frozenset({"preemption", FAIR})
PRIORITIES = {"low": 100, "mid": 500, "high": 900}
TAINT = {"key": "parity.test/kept", "value": "yes", "effect": "NoSchedule"}
TOLERATION = {"key": "parity.test/kept", "operator": "Exists", "effect": "NoSchedule"}
FLAVOR = "parity.test/flavor"
ENDS = 0.3  # Of the later steps, how many end a Job instead of creating one.


class _Plan:
    """What the parts of a scenario refer to."""

    def __init__(self, draw: Random, seed: int, feature: str) -> None:
        self.draw, self.feature, self.name = draw, feature, prefix_of(seed)
        self.tight = feature in PREEMPTING  # So that somebody has to give way.
        several = 1 if feature == TOPOLOGY else draw.choice((1, 1, 1, 2) if self.tight else (1, 1, 2))
        self.flavors = [f"{self.name}-{each}" for each in ("a", "b")[:several]]
        self.resources = ("cpu", "memory") if feature != TOPOLOGY and draw.random() < 0.25 else ("cpu",)
        alone = feature in ("quota", TOPOLOGY)
        count = draw.choice((1, 2) if alone else (2, 3) if self.tight else (2, 3, 3, 4))
        self.queues = [f"{self.name}-q{i}" for i in range(count)]
        self.nested = feature in SHARING and draw.random() < 0.5
        self.shares = feature in SHARING or (feature == TOPOLOGY and count > 1)
        self.cohorts = [f"{self.name}-c{i}" for i in range(draw.choice((2, 3)) if self.nested else 1)]


def queue_scenario(seed: int, feature: str) -> Scenario:
    """A scenario of one of FEATURES; the same seed gives the same one."""
    draw = Random(f"{feature}/{seed}")
    plan = _Plan(draw, seed, feature)
    objects = [
        namespace(plan.name),
        *(priority_class(f"{plan.name}-{each}", value) for each, value in PRIORITIES.items()),
        *(item for each in plan.flavors for item in _flavor(plan, each)),
        *_cohorts(plan),
        *(_cluster_queue(plan, each) for each in plan.queues),
        *(kueue("LocalQueue", each, {"clusterQueue": each}, namespace=plan.name) for each in plan.queues),
    ]
    return Scenario(
        seed=seed,
        feature=feature,
        kind=QUEUE,
        objects=tuple(objects),
        steps=tuple(_steps(plan)),
        fair=feature == FAIR,
    )


def _steps(plan: _Plan) -> list[Step]:
    draw, found, jobs = plan.draw, list[Step](), list[Json]()
    count = draw.choice((6, 7, 8) if plan.feature not in PREEMPTING else (8, 9, 10))
    for i in range(count):
        if i >= 3 and jobs and draw.random() < (ENDS / 2 if plan.tight else ENDS):
            found.append(_end(draw, jobs))
            continue
        made = _job(plan, f"{plan.name}-j{i}", i / count)
        jobs.append(made)
        found.append(Step(create=(made,)))
    return found


def _end(draw: Random, jobs: list[Json]) -> Step:
    """A Job ends well, or somebody deletes it. One that runs with fewer pods would go on with the others."""
    one = draw.choice(jobs)
    name = one["metadata"]["name"]
    if draw.random() < 0.5 or places.MIN_PODS in one["metadata"]["annotations"]:
        jobs.remove(one)
        return Step(delete=(("batch", "Job", name),))
    return Step(finish=(("Job", name),))


def _flavor(plan: _Plan, flavor: str) -> list[Json]:
    draw, labels = plan.draw, {FLAVOR: flavor}
    spec: Json = {"nodeLabels": labels}
    if plan.feature == TOPOLOGY:
        if draw.random() < 0.3:
            spec["tolerations"] = [TOLERATION]
        spec["topologyName"] = f"{plan.name}-t"
        return [*places.topology(draw, plan.name, labels, TAINT), kueue("ResourceFlavor", flavor, spec)]
    kept = draw.random() < (0.3 if len(plan.flavors) > 1 else 0.1)
    if kept:
        spec["nodeTaints"] = [TAINT]
        if draw.random() < 0.2:
            spec["tolerations"] = [TOLERATION]
    host = node(f"{flavor}-node", labels, 1000, (TAINT,) if kept else ())
    return [host, kueue("ResourceFlavor", flavor, spec)]


def _cohorts(plan: _Plan) -> list[Json]:
    """One; or a root with one or two below, each sometimes with quota, limits and a weight of its own."""
    if not plan.shares:
        return []
    found = []
    for i, name in enumerate(plan.cohorts):
        spec: Json = {} if i == 0 else {"parentName": plan.cohorts[plan.draw.choice(range(i))]}
        if plan.draw.random() < (0.25 if plan.tight else 0.5):
            spec["resourceGroups"] = _groups(plan, (1, 4), i > 0 and plan.feature in LIMITED)
        if plan.feature == FAIR and i > 0 and plan.draw.random() < 0.5:
            spec["fairSharing"] = {"weight": plan.draw.choice(("1", "2", "3"))}
        found.append(kueue("Cohort", name, spec))
    return found


def _groups(plan: _Plan, between: tuple[int, int], limited: bool) -> list[Json]:
    flavors = [
        {"name": each, "resources": [_quota(plan, one, between, limited) for one in plan.resources]}
        for each in plan.flavors
    ]
    return [{"coveredResources": list(plan.resources), "flavors": flavors}]


def _quota(plan: _Plan, resource: str, between: tuple[int, int], limited: bool) -> Json:
    draw, unit = plan.draw, "Gi" if resource == "memory" else ""
    nominal = draw.randint(*between)
    found: Json = {"name": resource, "nominalQuota": f"{nominal}{unit}"}
    if limited and draw.random() < 0.5:
        found["borrowingLimit"] = f"{draw.randint(0, 4)}{unit}"
    if limited and draw.random() < 0.4:
        found["lendingLimit"] = f"{draw.randint(0, nominal)}{unit}"
    return found


def _cluster_queue(plan: _Plan, queue: str) -> Json:
    draw, feature = plan.draw, plan.feature
    between = {"preemption": (2, 4), FAIR: (1, 3), TOPOLOGY: (4, 12)}.get(feature, (2, 6))
    spec: dict[str, Any] = {
        "namespaceSelector": {},
        "queueingStrategy": draw.choice(("BestEffortFIFO", "StrictFIFO")),
        "resourceGroups": _groups(plan, between, feature in LIMITED),
    }
    if plan.shares:
        spec["cohortName"] = draw.choice(plan.cohorts)
    if feature in PREEMPTING or (plan.shares and draw.random() < 0.3):
        spec["preemption"] = _preemption(draw)
    elif draw.random() < 0.5:
        spec["preemption"] = {
            "withinClusterQueue": draw.choice(("LowerPriority", "LowerOrNewerEqualPriority"))
        }
    if len(plan.flavors) > 1:
        spec["flavorFungibility"] = {
            "whenCanBorrow": draw.choice(("MayStopSearch", "TryNextFlavor")),
            "whenCanPreempt": draw.choice(("MayStopSearch", "TryNextFlavor")),
        }
        if set(spec["flavorFungibility"].values()) == {"TryNextFlavor"} and draw.random() < 0.7:
            spec["flavorFungibility"]["preference"] = draw.choice(
                ("BorrowingOverPreemption", "PreemptionOverBorrowing")
            )
    if feature == FAIR:
        spec["fairSharing"] = {"weight": draw.choice(("1", "2", "3"))}
    return kueue("ClusterQueue", queue, spec)


def _preemption(draw: Random) -> Json:
    """Seldom Never: what is never preempted says nothing."""
    found: Json = {
        "withinClusterQueue": draw.choice(("Never", *("LowerPriority", "LowerOrNewerEqualPriority") * 2)),
        "reclaimWithinCohort": draw.choice(("Never", *("LowerPriority", "Any") * 2)),
    }
    if found["reclaimWithinCohort"] != "Never" and draw.random() < 0.4:
        found["borrowWithinCohort"] = {"policy": "LowerPriority"}
        if draw.random() < 0.7:
            found["borrowWithinCohort"]["maxPriorityThreshold"] = draw.choice(tuple(PRIORITIES.values()))
    return found


def _job(plan: _Plan, name: str, part: float) -> Json:
    """`part`: how far the scenario is (0 to 1). Where preemption is asked for, later jobs matter more."""
    draw, feature = plan.draw, plan.feature
    count = draw.choice((1, 1, 2, 2, 3) if plan.tight else (1, 2, 3))
    requests = {"cpu": draw.choice(("1", "2", "2") if plan.tight else ("1", "1", "2", "2", "500m", "1500m"))}
    if "memory" in plan.resources:
        requests["memory"] = f"{draw.choice((1, 1, 2))}Gi"
    annotations, notes, spec = dict[str, str](), dict[str, str](), dict[str, Any]()
    if feature == TOPOLOGY:
        count, notes = places.asked(draw, count)
    elif count > 1 and draw.random() < 0.15:
        annotations[places.MIN_PODS] = str(draw.randint(1, count - 1))
    if draw.random() < 0.4:
        spec["tolerations"] = [TOLERATION]
    if len(plan.flavors) > 1 and draw.random() < 0.15:
        spec["nodeSelector"] = {FLAVOR: draw.choice(plan.flavors)}
    names = list(PRIORITIES)
    rising = plan.tight and draw.random() < 0.7
    priority = names[min(2, int(part * 3))] if rising else draw.choice(names)
    labels = {"kueue.x-k8s.io/priority-class": f"{plan.name}-{priority}"}
    more = {"labels": labels, "annotations": annotations, "notes": notes, "spec": spec}
    return job(name, plan.name, draw.choice(plan.queues), (count, requests), **more)

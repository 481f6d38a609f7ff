"""Random manifests of Kueue's kinds and of Jobs: a good object, of which some fields are spoiled."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Json = dict[str, Any]
Draw = random.Random
KUEUE = "kueue.x-k8s.io"
NAMES = ["a", "b", "gpu", "team-a", "a.b", "x9"]
KEYS = ["zone", "example.com/rack", "example.com/block", "kubernetes.io/hostname", "gpu.model"]
RESOURCES = ["cpu", "memory", "nvidia.com/gpu", "example.com/license"]
AMOUNTS: list[Any] = [
    0,
    1,
    "0",
    "1",
    "4",
    "10",
    "500m",
    "2Gi",
    "1n",
    "2n",
    "1e3",
    "-1",
    "-500m",
    "1.5",
    "+3",
    ".5",
]
BAD_AMOUNTS: list[Any] = [1.5, "x", "", "1 ", "1Kk", "--1", "1e", True, "0x1", "1.", ".", "1e1.5", "9" * 65]
WORDS = (
    "None Never Any Exists true Pending NoExecute 2026-01-01T00:00:00Z 1 0 -1 A a_b -a a- a..b a/b a/b/c /a ä"
)
LONG = ["a" * 63, "a" * 64, "a" * 253, "a" * 254, "a" * 317, "b/" + "a" * 63, "b/" + "a" * 64, "a" * 32769]
BAD_TEXTS = ["", "a b", "x\n", *WORDS.split(), *LONG]
BAD_NUMBERS: list[Any] = [-1, 0, 1, 2, 3, 100, 2**31 - 1, -(2**31), 2**31, 1.5, "1"]
BAD_KINDS: list[Any] = [None, [], {}, "", 1, True, [1], {"a": "b"}, ["a"]]
TIME = "2026-01-01T00:00:00Z"


def some(draw: Draw, of: list[Any], most: int = 3, least: int = 0) -> list[Any]:
    """Some of them, none twice."""
    return draw.sample(of, min(len(of), draw.randint(least, most)))


def maybe(draw: Draw, fields: Json, key: str, value: Callable[[], Any], chance: float = 0.5) -> None:
    """Sets a field, or leaves it out."""
    if draw.random() < chance:
        fields[key] = value()


def groups(draw: Draw, parent: bool) -> list[Json]:
    """Resource groups, as a rule with flavors and resources of their own."""
    flavors, resources = draw.sample(NAMES, 4), draw.sample(RESOURCES, 4)
    found = []
    for _ in range(draw.randint(0, 2)):
        covered = [resources.pop() for _ in range(draw.randint(1, 2))]
        listed = []
        for name in [flavors.pop() for _ in range(draw.randint(1, 2))]:
            quotas = []
            for resource in covered:
                quota = {"name": resource, "nominalQuota": draw.choice(AMOUNTS[:12])}
                maybe(
                    draw, quota, "borrowingLimit", lambda: draw.choice(AMOUNTS[:10]), 0.3 if parent else 0.03
                )
                maybe(draw, quota, "lendingLimit", lambda: draw.choice(AMOUNTS[:10]), 0.3 if parent else 0.03)
                quotas.append(quota)
            listed.append({"name": name, "resources": quotas})
        found.append({"coveredResources": covered, "flavors": listed})
    return found


def sharing(draw: Draw) -> Json:
    """A weight."""
    return {"weight": draw.choice(AMOUNTS)}


def selector(draw: Draw) -> Json:
    """A LabelSelector."""
    operator = draw.choice(["In", "NotIn", "Exists", "DoesNotExist"])
    values = {"values": some(draw, NAMES, 2, 1)} if operator.endswith("In") != (draw.random() < 0.1) else {}
    return {
        "matchLabels": {key: draw.choice(NAMES) for key in some(draw, KEYS, 2)},
        "matchExpressions": [{"key": draw.choice(KEYS), "operator": operator, **values}],
    }


def tolerations(draw: Draw) -> list[Json]:
    """Tolerations, as a rule good ones."""
    found = []
    for _ in range(draw.randint(0, 2)):
        operator = draw.choice(["Equal", "Exists", None])
        one: Json = {} if operator is None else {"operator": operator}
        maybe(draw, one, "key", lambda: draw.choice(KEYS), 0.95)
        maybe(draw, one, "value", lambda: draw.choice(NAMES), 0.05 if operator == "Exists" else 0.8)
        maybe(draw, one, "effect", lambda: draw.choice(["NoSchedule", "PreferNoSchedule", "NoExecute"]), 0.8)
        maybe(draw, one, "tolerationSeconds", lambda: 60, 0.8 if one.get("effect") == "NoExecute" else 0.05)
        found.append(one)
    return found


def conditions(draw: Draw) -> list[Json]:
    """Conditions of a status."""
    return [
        condition(kind, draw.choice(["True", "False"]))
        for kind in some(draw, ["Active", "Admitted", "Evicted", "Finished"], 2)
    ]


def condition(kind: str, status: str) -> Json:
    """A condition with all that its CRD requires."""
    return {"type": kind, "status": status, "reason": "ByTest", "message": "", "lastTransitionTime": TIME}


def crowd(draw: Draw) -> list[Json]:
    """Resource groups about as large as they may be."""
    found = []
    for i in range(draw.choice([1, 4, 5])):
        covered = [f"example.com/r{i}-{k}" for k in range(draw.choice([1, 8, 9, 52, 64, 65]))]
        quotas = [{"name": name, "nominalQuota": 1} for name in covered]
        count = draw.choice([1, 51, 52, 64, 65]) if len(covered) < 10 else draw.choice([1, 8, 9])
        flavors = [{"name": f"f{i}-{j}", "resources": copy.deepcopy(quotas)} for j in range(count)]
        found.append({"coveredResources": covered, "flavors": flavors})
    return found


def cluster_queue(draw: Draw) -> Json:
    """A ClusterQueue's spec and status."""
    spec: Json = {}
    maybe(draw, spec, "cohortName", lambda: draw.choice(NAMES))
    spec["resourceGroups"] = crowd(draw) if draw.random() < 0.02 else groups(draw, "cohortName" in spec)
    known = [flavor["name"] for group in spec["resourceGroups"] for flavor in group["flavors"]] or ["a"]
    preemption = {
        "reclaimWithinCohort": draw.choice(["Never", "LowerPriority", "Any"]),
        "withinClusterQueue": draw.choice(["Never", "LowerPriority", "LowerOrNewerEqualPriority"]),
    }
    maybe(draw, preemption, "borrowWithinCohort", lambda: {"policy": draw.choice(["Never", "LowerPriority"])})
    fungibility = {
        key: draw.choice(["MayStopSearch", "TryNextFlavor"]) for key in ("whenCanBorrow", "whenCanPreempt")
    }
    maybe(draw, fungibility, "preference", lambda: "BorrowingOverPreemption", 0.2)
    checks = [
        {"name": name, **({"onFlavors": some(draw, known, 2)} if draw.random() < 0.5 else {})}
        for name in some(draw, NAMES, 2, 1)
    ]
    maybe(draw, spec, "queueingStrategy", lambda: draw.choice(["StrictFIFO", "BestEffortFIFO"]))
    maybe(draw, spec, "namespaceSelector", lambda: selector(draw))
    maybe(draw, spec, "preemption", lambda: preemption)
    maybe(draw, spec, "flavorFungibility", lambda: fungibility)
    maybe(draw, spec, "admissionChecksStrategy", lambda: {"admissionChecks": checks})
    maybe(draw, spec, "stopPolicy", lambda: draw.choice(["None", "Hold", "HoldAndDrain"]))
    maybe(draw, spec, "fairSharing", lambda: sharing(draw), 0.4)
    maybe(draw, spec, "admissionScope", lambda: {"admissionMode": "UsageBasedAdmissionFairSharing"}, 0.2)
    migration: Json = {"mode": draw.choice(["TryPreferredFlavors", "RetainFirstAdmission"])}
    maybe(draw, migration, "constraints", lambda: {"lastAcceptableFlavorName": draw.choice(NAMES)})
    maybe(draw, spec, "concurrentAdmissionPolicy", lambda: {"migration": migration}, 0.2)
    return {"spec": spec, "status": {"conditions": conditions(draw), "pendingWorkloads": 1}}


def cohort(draw: Draw) -> Json:
    """A Cohort's spec."""
    spec: Json = {}
    maybe(draw, spec, "parentName", lambda: draw.choice(NAMES))
    spec["resourceGroups"] = groups(draw, "parentName" in spec)
    maybe(draw, spec, "fairSharing", lambda: sharing(draw), 0.4)
    return {"spec": spec}


def local_queue(draw: Draw) -> Json:
    """A LocalQueue's spec and status."""
    spec: Json = {"clusterQueue": draw.choice(NAMES)}
    maybe(draw, spec, "stopPolicy", lambda: draw.choice(["None", "Hold", "HoldAndDrain"]))
    maybe(draw, spec, "fairSharing", lambda: sharing(draw))
    use = [{"name": name, "resources": [{"name": "cpu", "total": "1"}]} for name in some(draw, NAMES, 2)]
    return {"spec": spec, "status": {"conditions": conditions(draw), "flavorsUsage": use}}


def resource_flavor(draw: Draw) -> Json:
    """A ResourceFlavor's spec."""
    spec: Json = {"nodeLabels": {key: draw.choice(NAMES) for key in some(draw, KEYS, 3)}}
    taints = [
        {
            "key": draw.choice(KEYS),
            "effect": draw.choice(["NoSchedule", "NoExecute"]),
            "value": draw.choice(NAMES),
        }
        for _ in range(draw.randint(0, 2))
    ]
    maybe(draw, spec, "nodeTaints", lambda: taints)
    maybe(draw, spec, "tolerations", lambda: tolerations(draw))
    maybe(draw, spec, "topologyName", lambda: draw.choice(NAMES), 0.4)
    return {"spec": spec}


def topology(draw: Draw) -> Json:
    """A Topology's spec."""
    return {"spec": {"levels": [{"nodeLabel": key} for key in some(draw, KEYS, 4, 1)]}}


def admission_check(draw: Draw) -> Json:
    """An AdmissionCheck's spec and status."""
    spec: Json = {"controllerName": draw.choice(["kueue.x-k8s.io/multikueue", "x", "Own controller"])}
    maybe(
        draw,
        spec,
        "parameters",
        lambda: {"apiGroup": KUEUE, "kind": "MultiKueueConfig", "name": draw.choice(["a", "b"])},
    )
    return {"spec": spec, "status": {"conditions": conditions(draw)}}


def priority_class(draw: Draw) -> Json:
    """A WorkloadPriorityClass."""
    return {
        "value": draw.choice([0, 10, -5]),
        "description": draw.choice(["", "for training", "x" * 2048, "x" * 2049]),
    }


def pods(draw: Draw, annotations: Json) -> Json:
    """A pod template."""
    asked = {name: draw.choice([1, "2", "4"]) for name in some(draw, RESOURCES[:3], 2)}
    maybe(draw, asked, "pods", lambda: 1, 0.03)
    metadata = {
        "labels": {key: draw.choice(NAMES) for key in some(draw, KEYS, 2)},
        "annotations": annotations,
    }
    container = {"name": "main", "resources": {"requests": asked, "limits": dict(asked)}}
    return {"metadata": metadata, "spec": {"containers": [container]}}


def topology_request(draw: Draw) -> Json:
    """What a PodSet asks of a topology."""
    request: Json = {draw.choice(["required", "preferred"]): draw.choice(KEYS)}
    maybe(draw, request, "podSetSliceRequiredTopology", lambda: draw.choice(KEYS), 0.4)
    maybe(
        draw, request, "podSetSliceSize", lambda: 2, 0.9 if "podSetSliceRequiredTopology" in request else 0.1
    )
    layers = [{"topology": key, "size": draw.choice([1, 2])} for key in some(draw, KEYS, 3)]
    maybe(draw, request, "podsetSliceRequiredTopologyConstraints", lambda: layers, 0.2)
    return request


def workload(draw: Draw) -> Json:
    """A Workload's spec and status; as a rule with quota."""
    pod_sets = []
    for name in draw.sample(["main", "a", "b"], draw.randint(1, 3)):
        pod_set: Json = {"name": name, "count": draw.randint(1, 4), "template": pods(draw, {})}
        maybe(draw, pod_set, "minCount", lambda: draw.randint(1, 3), 0.15)
        maybe(draw, pod_set, "topologyRequest", lambda: topology_request(draw), 0.3)
        pod_sets.append(pod_set)
    spec: Json = {"podSets": pod_sets}
    group = draw.choice([KUEUE, "scheduling.k8s.io"])
    kind = "WorkloadPriorityClass" if (group == KUEUE) != (draw.random() < 0.05) else "PriorityClass"
    maybe(draw, spec, "queueName", lambda: draw.choice(NAMES))
    maybe(draw, spec, "priority", lambda: draw.choice([0, 10, -10]), 0.9)
    maybe(
        draw,
        spec,
        "priorityClassRef",
        lambda: {"group": group, "kind": kind, "name": draw.choice(NAMES)},
        0.3,
    )
    maybe(draw, spec, "active", lambda: draw.choice([True, False]), 0.3)
    maybe(draw, spec, "maximumExecutionTimeSeconds", lambda: 60, 0.3)
    maybe(draw, spec, "preemptionGates", lambda: [{"name": name} for name in some(draw, NAMES, 2)], 0.2)
    annotations: Json = {}
    maybe(draw, annotations, f"{KUEUE}/elastic-job", lambda: "true", 0.2)
    maybe(draw, annotations, f"{KUEUE}/admission-gated-by", lambda: draw.choice(GATES), 0.2)
    return {"metadata": {"annotations": annotations}, "spec": spec, "status": workload_status(draw, pod_sets)}


def workload_status(draw: Draw, pod_sets: list[Json]) -> Json:
    """What became of a Workload with these PodSets."""
    names = [one["name"] for one in pod_sets]
    status: Json = {"conditions": conditions(draw)}
    if draw.random() < 0.6:
        status["conditions"].append(condition("QuotaReserved", "True"))
        given = {"clusterQueue": "a", "podSetAssignments": [assignment(draw, one) for one in pod_sets]}
        maybe(draw, status, "admission", lambda: given, 0.95)
    reclaimed = [{"name": name, "count": draw.randint(0, 3)} for name in some(draw, names, 2)]
    maybe(draw, status, "reclaimablePods", lambda: reclaimed, 0.3)
    update = {
        "name": draw.choice([*names, "other"] if draw.random() < 0.1 else names),
        "labels": {"a": "b"},
        "nodeSelector": {"zone": "x"},
        "annotations": {"a/b": "any text"},
        "tolerations": tolerations(draw),
    }
    check = {"name": "a", "lastTransitionTime": TIME, "message": "", "podSetUpdates": [update]}
    check["state"] = draw.choice(["Pending", "Ready", "Retry", "Rejected"])
    maybe(draw, status, "admissionChecks", lambda: [check], 0.3)
    maybe(draw, status, "requeueState", lambda: {"count": 1, "requeueAt": TIME}, 0.2)
    maybe(draw, status, "clusterName", lambda: "one", 0.15)
    maybe(draw, status, "nominatedClusterNames", lambda: some(draw, ["one", "two"], 2), 0.15)
    maybe(draw, status, "unhealthyNodes", lambda: [{"name": "n1"}], 0.1)
    eviction = {"reason": "Preempted", "underlyingCause": "", "count": 1}
    maybe(draw, status, "schedulingStats", lambda: {"evictions": [eviction]}, 0.1)
    return status


def assignment(draw: Draw, pod_set: Json) -> Json:
    """What a PodSet has."""
    count = pod_set["count"]
    use = {"cpu": str(count * draw.randint(1, 3) + (draw.random() < 0.05))}
    found: Json = {"name": pod_set["name"], "flavors": {"cpu": "a"}, "resourceUsage": use, "count": count}
    levels, domains = some(draw, KEYS, 2, 1), draw.randint(1, 2)
    values = [
        draw.choice(
            [{"universal": "x"}, {"individual": {"roots": [str(i) for i in range(domains)], "prefix": "n"}}]
        )
        for _ in levels
    ]
    counts = draw.choice([{"universal": 1}, {"individual": [1] * domains}])
    placed = {
        "levels": levels,
        "slices": [{"domainCount": domains, "valuesPerLevel": values, "podCounts": counts}],
    }
    maybe(draw, found, "topologyAssignment", lambda: placed, 0.4)
    return found


GATES = [
    "example.com/ready",
    "example.com/ready, example.com/paid",
    "x/y,x/y",
    "nope",
    "a.b/c,",
    "A/b",
    " ",
    "",
]
LAYERS = [
    '[{"topology":"example.com/block","size":4},{"topology":"example.com/rack","size":2}]',
    '[{"topology":"example.com/block","size":3},{"topology":"example.com/rack","size":2}]',
    '[{"topology":"zone","size":2},{"topology":"zone","size":2}]',
    '[{"topology":"a b","size":0}]',
    '[{"topology":"zone","size":1}]',
    '[{"size":1}]',
    json.dumps([{"topology": name, "size": 1} for name in "abcd"]),
    "[]",
    "null",
    "{}",
    "x",
]
JOB_ANNOTATIONS: dict[str, list[str]] = {
    f"{KUEUE}/job-min-parallelism": ["1", "2", "3", "0", "-1", "x", "", "+1", "4294967297", "1.5"],
    f"{KUEUE}/job-completions-equal-parallelism": ["true", "false", "T", "0", "yes", ""],
    f"{KUEUE}/prebuilt-workload-name": ["a", "A_b", "", "a" * 254],
    f"{KUEUE}/elastic-job": ["true", "false", "True"],
    f"{KUEUE}/admission-gated-by": GATES,
}
JOB_LABELS = {
    f"{KUEUE}/queue-name": ["a", "team-a", "A_b", "", "a.b"],
    f"{KUEUE}/max-exec-time-seconds": ["60", "0", "-5", "x", "", "+7", "9223372036854775808"],
    f"{KUEUE}/prebuilt-workload-name": ["a", "A_b", ""],
    f"{KUEUE}/priority-class": ["a", "B_"],
}
POD_ANNOTATIONS = {
    f"{KUEUE}/podset-required-topology": [*KEYS, "a b", ""],
    f"{KUEUE}/podset-preferred-topology": [*KEYS, "a/b/c"],
    f"{KUEUE}/podset-unconstrained-topology": ["true", "false", "1", "yes", ""],
    f"{KUEUE}/podset-slice-required-topology": [*KEYS, "-a"],
    f"{KUEUE}/podset-slice-size": ["1", "2", "5", "0", "-1", "x", "", "2147483648", "+2"],
    f"{KUEUE}/podset-group-name": ["g", "7", "18446744073709551616", "", "-1"],
    f"{KUEUE}/podset-slice-required-topology-constraints": LAYERS,
}


def job(draw: Draw) -> Json:
    """A Job with annotations for Kueue, one of three fit to be read."""

    def of(table: dict[str, list[str]], most: int) -> Json:
        first = draw.random() < 0.6
        return {
            key: values[0] if first else draw.choice(values)
            for key, values in draw.sample(
                sorted(table.items()), min(draw.randint(0, most), draw.randint(0, most))
            )
        }

    spec: Json = {"template": pods(draw, of(POD_ANNOTATIONS, 3))}
    maybe(draw, spec, "parallelism", lambda: draw.randint(1, 4), 0.8)
    maybe(draw, spec, "completions", lambda: draw.randint(1, 4))
    maybe(draw, spec, "completionMode", lambda: draw.choice(["Indexed", "NonIndexed"]))
    return {"metadata": {"labels": of(JOB_LABELS, 2), "annotations": of(JOB_ANNOTATIONS, 2)}, "spec": spec}


KINDS: dict[str, Callable[[Draw], Json]] = {
    "AdmissionCheck": admission_check,
    "ClusterQueue": cluster_queue,
    "Cohort": cohort,
    "Job": job,
    "LocalQueue": local_queue,
    "ResourceFlavor": resource_flavor,
    "Topology": topology,
    "Workload": workload,
    "WorkloadPriorityClass": priority_class,
}
NAMESPACED = ("Job", "LocalQueue", "Workload")


def random_objects(kind: str, count: int, first: int = 0) -> Iterator[Json]:
    """`count` objects of a kind; the same number always gives the same object."""
    for seed in range(first, first + count):
        draw = random.Random(f"{kind} {seed}")
        body = KINDS[kind](draw)
        metadata = {"name": draw.choice(NAMES[1:]) + "-own", **body.pop("metadata", {})}
        for field in ("labels", "annotations") if draw.random() < 0.2 else ():
            metadata.setdefault(field, {})[draw.choice([*KEYS, *KEYS, *BAD_TEXTS])] = draw.choice(
                [*NAMES, "a b"]
            )
        if kind in NAMESPACED:
            metadata["namespace"] = "default"
        version = "batch/v1" if kind == "Job" else f"{KUEUE}/v1beta2"
        found = {"apiVersion": version, "kind": kind, "metadata": metadata, **body}
        for _ in range(draw.choice([0, 0, 1, 1, 1, 2]) if kind != "Job" else 0):
            spoil(draw, found)
        yield found


def spoil(draw: Draw, found: Json) -> None:
    """Changes one field or entry somewhere."""
    holder, key = draw.choice(
        [place for place in places(found) if place[1] not in ("apiVersion", "kind", "namespace")]
    )
    old, chance = holder[key], draw.random()
    if isinstance(holder, list) and chance < 0.3:
        holder.extend(copy.deepcopy(old) for _ in range(draw.choice([1, 1, 1, 8, 16, 20, 64, 65])))
    elif isinstance(holder, dict) and chance < 0.2:
        del holder[key]
    elif isinstance(holder, dict) and chance < 0.25:
        holder[draw.choice([*BAD_TEXTS, "unknown"])] = copy.deepcopy(old)
    elif chance < 0.3:
        holder[key] = draw.choice(BAD_KINDS)
    elif isinstance(old, str) and chance < 0.5:
        holder[key] = draw.choice([*AMOUNTS, *BAD_AMOUNTS])
    elif isinstance(old, str):
        holder[key] = draw.choice([*BAD_TEXTS, *NAMES, *KEYS])
    elif isinstance(old, bool | int | float):
        holder[key] = draw.choice([*BAD_NUMBERS, *BAD_AMOUNTS])
    elif isinstance(old, list):
        holder[key] = draw.choice([old[:-1], [*old, *copy.deepcopy(old)], []])
    else:
        holder[key] = draw.choice([{}, None, {**(old or {}), "unknown": 1}])


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """All fields and entries of an object, as what holds them and their key."""
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from places(value[key])

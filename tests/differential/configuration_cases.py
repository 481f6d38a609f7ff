"""Random Configurations of Kueue, most with a fault or two: what each part may be, good and bad."""

import random
from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
DURATIONS = ("5m", "0s", "1h30m", "-1m", "10s", "168h")
NUMBERS = (0, 1, 60, 3600, -1, -60)
FRAMEWORKS = (
    "batch/job",
    "pod",
    "deployment",
    "statefulset",
    "jobset.x-k8s.io/jobset",
    "kubeflow.org/pytorchjob",
    "ray.io/rayjob",
    "kubeflow.org/mpijob",
    "trainer.kubeflow.org/trainjob",
    "workload.codeflare.dev/appwrapper",
    "kubeflow.org/job",
    "",
)
EXTERNAL = ("Job.v1.batch", "Pod.v1.", "Workflow.v1.example.com", "Foo.v1", "JobSet.v1alpha2.jobset.x-k8s.io")
STRATEGIES = ("LessThanOrEqualToFinalShare", "LessThanInitialShare", "Other")
RESOURCES = ("cpu", "memory", "nvidia.com/gpu", "example.com/mig", "foo", "-bad-", "example.com/", "a b")
CLASSES = ("gpu.nvidia.com", "mig.nvidia.com", "tpu", "example.com/dra", "UPPER", "-bad", "")
DRIVERS = ("gpu.nvidia.com", "gpu.example.com", "Gpu.Example.Com", "", "-x", "a" * 64)
COUNTERS = ("memory", "multiprocessors", "Memory", "", "a_b")
CAPACITIES = ("memory", "gpu.example.com/memory", "a-b", "", "a/b/c", "/memory", "gpu.example.com/")
EXPRESSIONS = (
    "device.driver == 'gpu.nvidia.com'",
    "true",
    "",
    "device.",
    "1",
    "device.nothing",
    "device.allowMultipleAllocations",
)
KEYS = ("kubernetes.io/metadata.name", "team", "-bad-")
VALUES = ("kube-system", "kueue-system", "kueue", "a", "-bad-")
GATES = (
    "KueueDRAIntegrationConsumableCapacity",
    "KueueDRAIntegrationPartitionableDevices",
    "QuotaCheckStrategy",
    "DisableWaitForPodsReady",
    "TLSOptions",
    "PartialAdmission",
    "TASBalancedPlacement",
    "TASProfileMixed",
    "TopologyAwareScheduling",
    "KueueDRAIntegration",
    "KueueDRAIntegrationExtendedResource",
)


def random_configuration(seed: int, index: int) -> Json:
    """The `index`th Configuration of a seed."""
    chance = random.Random(f"{seed}/{index}")
    parts: dict[str, Callable[[random.Random], Any]] = {
        "namespace": lambda one: one.choice(("kueue", "kueue-system")),
        "manageJobsWithoutQueueName": lambda one: one.random() < 0.5,
        "managedJobsNamespaceSelector": _selector,
        "waitForPodsReady": _pods_ready,
        "integrations": _integrations,
        "fairSharing": lambda one: _some(one, {"preemptionStrategies": _list(one, STRATEGIES, 2)}),
        "admissionFairSharing": _admission_fair_sharing,
        "resources": _resources,
        "featureGates": lambda one: {
            name: one.random() < 0.6 for name in one.sample(GATES, one.randint(0, 3))
        },
        "webhook": lambda one: {"port": 9443},
        "unknownField": lambda one: 1,
    }
    rare = {"unknownField": 0.02, "webhook": 0.1}
    written = {name: make(chance) for name, make in parts.items() if chance.random() < rare.get(name, 0.4)}
    return {"apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration", **written}


def _gates(chance: random.Random) -> Json:
    return {name: chance.random() < 0.7 for name in chance.sample(GATES, chance.choice((0, 1, 1, 2)))}


def _some(chance: random.Random, fields: Json) -> Json:
    """Most of the fields."""
    return {name: value for name, value in fields.items() if chance.random() < 0.75}


def _list(chance: random.Random, values: Sequence[Any], most: int) -> list[Any]:
    return [chance.choice(values) for _ in range(chance.randint(0, most))]


def _selector(chance: random.Random) -> Json:
    expressions = [
        _some(
            chance,
            {"values": _list(chance, VALUES, 3)},
        )
        | {
            "key": chance.choice(KEYS),
            "operator": chance.choice(("In", "NotIn", "NotIn", "Exists", "DoesNotExist", "Gt")),
        }
        for _ in range(chance.randint(0, 2))
    ]
    labels = {chance.choice(KEYS): chance.choice(VALUES) for _ in range(chance.randint(0, 1))}
    return _some(chance, {"matchExpressions": expressions, "matchLabels": labels})


def _pods_ready(chance: random.Random) -> Json:
    strategy = {
        "timestamp": chance.choice(("Eviction", "Creation", "eviction", "")),
        "backoffLimitCount": chance.choice(NUMBERS),
        "backoffBaseSeconds": chance.choice(NUMBERS),
        "backoffMaxSeconds": chance.choice(NUMBERS),
    }
    return _some(
        chance,
        {
            "timeout": chance.choice(DURATIONS),
            "recoveryTimeout": chance.choice(DURATIONS),
            "blockAdmission": chance.random() < 0.5,
            "requeuingStrategy": _some(chance, strategy),
        },
    )


def _integrations(chance: random.Random) -> Json:
    return _some(
        chance,
        {
            "frameworks": _list(chance, FRAMEWORKS, 5),
            "externalFrameworks": _list(chance, EXTERNAL, 3),
            "labelKeysToCopy": ["team"],
        },
    )


def _admission_fair_sharing(chance: random.Random) -> Json:
    weights = {chance.choice(RESOURCES[:5]): chance.choice((0, 1, 2, -1)) for _ in range(2)}
    return _some(
        chance,
        {
            "usageHalfLifeTime": chance.choice(DURATIONS),
            "usageSamplingInterval": chance.choice(DURATIONS),
            "resourceWeights": weights,
        },
    )


def _resources(chance: random.Random) -> Json:
    transformations = [
        {
            "input": chance.choice(RESOURCES),
            **_some(
                chance,
                {
                    "strategy": chance.choice(("Retain", "Replace", "replace", "")),
                    "outputs": {chance.choice(RESOURCES): "2"},
                    "multiplyBy": chance.choice(RESOURCES),
                },
            ),
        }
        for _ in range(chance.randint(0, 3))
    ]
    many = chance.choice((1, 2, 2, 3, 17)) if chance.random() < 0.3 else chance.randint(0, 3)
    return _some(
        chance,
        {
            "excludeResourcePrefixes": ["example.com/"],
            "quotaCheckStrategy": chance.choice(("IgnoreUndeclared", "BlockUndeclared", "Block")),
            "transformations": transformations,
            "deviceClassMappings": [_mapping(chance) for _ in range(many)],
        },
    )


def _mapping(chance: random.Random) -> Json:
    sources = [_source(chance) for _ in range(chance.choice((0, 0, 1, 1, 2)))]
    classes = _list(chance, CLASSES, 9 if chance.random() < 0.1 else 2)
    return _some(chance, {"sources": sources}) | {
        "name": chance.choice(RESOURCES),
        "deviceClassNames": classes,
    }


def _source(chance: random.Random) -> Json:
    selector: Json = {"cel": {"expression": chance.choice(EXPRESSIONS)}}
    selector = selector if chance.random() < 0.9 else {}
    both = {
        "counter": {
            "name": chance.choice(COUNTERS),
            "driver": chance.choice(DRIVERS),
            "deviceSelector": selector,
        },
        "capacity": {
            "name": chance.choice(CAPACITIES),
            "driver": chance.choice(DRIVERS),
            "deviceSelector": selector,
        },
    }
    kinds = chance.choice((("counter",), ("counter",), ("capacity",), ("capacity", "counter"), ()))
    return {kind: both[kind] for kind in kinds}

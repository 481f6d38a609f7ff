"""doctor on a real Kubernetes recognizes what runs there by Deployments, DaemonSets and NVIDIA's switches.

Only the API server has these objects: no pod of them runs. A row is a cluster, and what doctor says of it.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster.commands import stellwerk
from tools.cluster.stack import Stack

GPU, QUEUEING = "recognized-gpu", "queueing"
Object = dict[str, Any]


def workload(kind: str, name: str, container: Object, **more: Any) -> Object:
    labels = {"app": name, **more.pop("labels", {})}
    pod = {"containers": [{"name": "main", **container}], "nodeSelector": {"no": "node"}, **more}
    wanted: Object = {"replicas": 0} if kind == "Deployment" else {}
    namespace = QUEUEING if "kueue" in container["image"] else GPU
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            **wanted,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    }


def definition(group: str, version: str, plural: str, kind: str) -> Object:
    """A cluster-wide kind with any fields."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def policy(plugin: bool | None) -> Object:
    spec = {} if plugin is None else {"devicePlugin": {"enabled": plugin}}
    metadata = {"name": "cluster-policy"}
    return {"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": metadata, "spec": spec}


OPERATOR = workload("Deployment", "gpu-operator", {"image": "nvcr.io/nvidia/gpu-operator:v26.7.0"})
CLUSTER = {
    "apiVersion": "nvidia.com/v1alpha1",
    "kind": "GPUCluster",
    "metadata": {"name": "gpus"},
    "spec": {},
}
PLUGIN = workload(
    "DaemonSet",
    "nvidia-device-plugin-daemonset",
    {"image": "nvcr.io/nvidia/k8s-device-plugin:v0.19.0", "name": "nvidia-device-plugin"},
)
DRIVER = workload(
    "DaemonSet",
    "dra-driver-kubelet-plugin",
    {
        "image": "registry.k8s.io/dra-driver-nvidia/dra-driver-nvidia-gpu:v0.4.0",
        "name": "gpus",
        "env": [{"name": "FEATURE_GATES", "value": "TimeSlicingSettings=true"}],
    },
)
EXPORTER = workload(
    "DaemonSet", "dcgm", {"image": "mirror.example:5000/nvidia/dcgm-exporter:4.5.3-4.8.2-distroless"}
)
CONTROLLER = "public.ecr.aws/karpenter/controller:1.14.1"
DIGEST = "sha256:" + "0" * 64


def karpenter(*arguments: str, image: str = CONTROLLER, **env: str) -> Object:
    container = {
        "image": image,
        "name": "controller",
        "args": list(arguments),
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    labels = {"app.kubernetes.io/name": "karpenter", "app.kubernetes.io/version": "1.14.1"}
    return workload("Deployment", "buyer", container, labels=labels)


# What doctor says with these objects there: codes that it has, with values; and codes that it has not.
CASES: dict[str, tuple[list[Object], dict[str, Object], set[str]]] = {
    "operator-device-plugin": (
        [OPERATOR, policy(None), PLUGIN],
        {"operator-known": {"version": "26.7.0", "mode": "device-plugin"}},
        {"operator-both", "operator-none", "driver-known"},
    ),
    "operator-dra": (
        [OPERATOR, CLUSTER, DRIVER],
        {
            "operator-known": {"mode": "dra (GPUCluster gpus)"},
            "driver-known": {"version": "0.4.0", "parts": "gpus", "gates": "TimeSlicingSettings=true"},
            "slices-none": {"name": "dra-driver-kubelet-plugin", "namespace": GPU},
            "classes-none": {},
        },
        {"operator-both", "operator-none"},
    ),
    "operator-without-plugin-beside-driver": (
        [OPERATOR, policy(False), DRIVER],
        {"operator-known": {"mode": "dra (the driver's own chart)"}},
        {"operator-both"},
    ),
    "both": ([OPERATOR, policy(True), DRIVER], {"operator-both": {}}, {"operator-none"}),
    "charts-without-operator": (
        [PLUGIN],
        {"operator-none": {"mode": "device-plugin"}},
        {"operator-known", "publisher-none"},
    ),
    "exporter": ([EXPORTER], {"exporter-known": {"version": "4.5.3-4.8.2-distroless"}}, {"exporter-none"}),
    "karpenter-defaults": (
        [karpenter(), DRIVER],
        {
            "karpenter-known": {"version": "1.14.1", "providers": "kwok", "ignores": "true"},
            "karpenter-flag": {},
        },
        {"karpenter-outside"},
    ),
    "karpenter-by-variable": (
        [karpenter(IGNORE_DRA_REQUESTS="false", FEATURE_GATES="NodeOverlay=true"), DRIVER],
        {"karpenter-known": {"ignores": "false", "gates": "NodeOverlay=true"}},
        {"karpenter-flag"},
    ),
    "karpenter-flag-wins": (
        [karpenter("--ignore-dra-requests=false", IGNORE_DRA_REQUESTS="true")],
        {"karpenter-known": {"ignores": "false"}},
        {"karpenter-flag"},
    ),
    "karpenter-by-digest": (
        [karpenter(image=f"mirror.example/own/controller@{DIGEST}")],
        {"karpenter-known": {"version": "1.14.1"}},
        {"karpenter-outside", "version-untold"},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def switched(stack: Stack) -> Iterator[Stack]:
    """The shared cluster with NVIDIA's kinds; taken away again."""
    kinds = [
        definition("nvidia.com", "v1", "clusterpolicies", "ClusterPolicy"),
        definition("nvidia.com", "v1alpha1", "gpuclusters", "GPUCluster"),
    ]
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (GPU, QUEUEING)
    ]
    stack.apply([*kinds, *namespaces])
    names = [f"crd/{each['metadata']['name']}" for each in kinds]
    stack.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
    yield stack
    stack.kubectl("delete", "--wait=false", *names, *(f"namespace/{name}" for name in (GPU, QUEUEING)))


@pytest.fixture
def there(switched: Stack) -> Iterator[Any]:
    """Applies objects that are taken away after the test."""
    applied: list[Object] = []

    def apply(objects: list[Object]) -> None:
        applied.extend(objects)
        switched.apply(objects)

    yield apply
    text = yaml.safe_dump_all(applied)
    switched.kubectl("delete", "--ignore-not-found", "--cascade=background", "-f", "-", stdin=text)


def findings(stack: Stack, user: str = "admin") -> dict[str, Object]:
    """The values of what doctor says, by code; with the text as `text`."""
    done = stellwerk("doctor", "--kubeconfig", str(stack.kubeconfig(user)), "-o", "json")
    assert done.returncode in (0, 1, 3), done.stderr
    layers = json.loads(done.stdout)["layers"]
    found = [each for layer in layers for each in layer["findings"]]
    return {each["code"]: {**each["values"], "text": each["text"], "next": each["next"]} for each in found}


@pytest.mark.parametrize("case", CASES)
def test_what_runs_is_recognized(switched: Stack, there: Any, case: str) -> None:
    objects, said, unsaid = CASES[case]
    there(objects)
    found = findings(switched)
    assert {code: {name: found.get(code, {}).get(name) for name in said[code]} for code in said} == said
    assert set(said) <= set(found) and not unsaid & set(found)


KUEUE_CONFIGURATION = """
apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
fairSharing: {preemptionStrategies: [LessThanOrEqualToFinalShare]}
featureGates: {TopologyAwareScheduling: true}
resources:
  deviceClassMappings: [{name: gpus, deviceClassNames: [gpu.nvidia.com]}]
"""


def kueue(volume: str = "manager-config") -> Object:
    container = {
        "image": f"mirror.example:5000/kueue/kueue@{DIGEST}",
        "name": "manager",
        "args": ["--config=/controller_manager_config.yaml"],
    }
    labels = {"app.kubernetes.io/version": "v0.19.2"}
    volumes = [{"name": volume, "configMap": {"name": "team-queueing"}}]
    return workload("Deployment", "team-controller", container, labels=labels, volumes=volumes)


CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "team-queueing", "namespace": QUEUEING},
    "data": {"controller_manager_config.yaml": KUEUE_CONFIGURATION},
}


def test_a_kueue_of_another_name_is_known_with_its_own_configuration(switched: Stack, there: Any) -> None:
    there([kueue(), CONFIG_MAP])
    found = findings(switched)["kueue-known"]
    assert (found["version"], found["classes"]) == ("0.19.2", "gpu.nvidia.com")
    assert found["gates"] == "TopologyAwareScheduling=true"


def test_a_configuration_of_another_name_is_the_exact_rule_that_is_missing(
    switched: Stack, there: Any
) -> None:
    """The printed role allows one name only; a Role for the other is what doctor says, and enough."""
    role, binding = yaml.safe_load_all(stellwerk("doctor", "--kubeconfig", "--rbac").stdout)
    role["metadata"]["name"] = binding["metadata"]["name"] = binding["roleRef"]["name"] = "recognition"
    binding["subjects"][0]["name"] = "stellwerk"
    there([kueue("configuration"), CONFIG_MAP, role, binding])
    found = findings(switched, "stellwerk")
    assert found["role-lacks"]["text"] == (
        "the role may not: get configmaps team-queueing in namespace queueing"
    )
    elsewhere = found["kueue-configuration-elsewhere"]
    assert "get on configmaps (apiGroup core) with resourceName team-queueing" in elsewhere["text"]
    command = elsewhere["next"].partition("kubectl ")[2].partition(";")[0].split()
    assert command[:2] == ["-n", QUEUEING] and "--resource-name=team-queueing" in command
    why = stellwerk("why", "nobody", "--kubeconfig", str(switched.kubeconfig("stellwerk")))
    assert why.returncode == 3 and "--resource-name=team-queueing" in why.stderr
    switched.kubectl(*command)
    bind = ("create", "rolebinding", "stellwerk-kueue", "--role=stellwerk-kueue", "--user=stellwerk")
    switched.kubectl("-n", QUEUEING, *bind)
    found = findings(switched, "stellwerk")
    assert "role-lacks" not in found and found["kueue-known"]["classes"] == "gpu.nvidia.com"
    assert stellwerk("why", "nobody", "--kubeconfig", str(switched.kubeconfig("stellwerk"))).returncode == 2

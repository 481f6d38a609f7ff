"""The cluster that the claims meet: nodes of KWOK's, devices of two drivers, queues, a NodePool.

Kueue, Karpenter and the control plane run out of cluster here; Deployments without pods and pods of KWOK's
show them as an installation shows them. NVIDIA's operator and driver cannot run: objects that look like
theirs do.
"""

from typing import Any

Json = dict[str, Any]
FAKE = {"kwok.x-k8s.io/node": "fake"}
HERE = {"claims.test/node": "yes"}
DRIVER, SMALL_DRIVER = "claims.test", "small.claims.test"
GPU, OTHER, UNMAPPED, EXTENDED = (
    "gpu.claims.test",
    "spare.claims.test",
    "unmapped.claims.test",
    "ext.claims.test",
)
EMPTY = "empty.claims.test"  # Selects what no driver has.
ACCELERATOR = "claims.test/accel"
POOL = "bought"
QUOTA, SMALL_QUOTA = 64, 3
NVIDIA = (
    "gpu.nvidia.com",
    "mig.nvidia.com",
    "compute-domain-default-channel.nvidia.com",
    "vfio.gpu.nvidia.com",
)
KUEUE = {
    "resources": {
        "deviceClassMappings": [
            {"name": "claims.test/gpu", "deviceClassNames": [GPU, OTHER, EMPTY, "absent.claims.test"]},
            {"name": "claims.test/nvidia", "deviceClassNames": list(NVIDIA)},
        ]
    }
}
PLUGIN_MODE, DRA_MODE = "device-plugin", "dra"


def dra(kind: str, name: str, spec: Json, **metadata: Any) -> Json:
    """An object of resource.k8s.io."""
    named = {"name": name, **metadata}
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, "metadata": named, "spec": spec}


def queueing(kind: str, name: str, spec: Json, **metadata: Any) -> Json:
    """An object of Kueue's."""
    named = {"name": name, **metadata}
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": named, "spec": spec}


def cluster_objects() -> list[Json]:
    """What is there for every claim."""
    return [
        *(_node(f"claims-{i}") for i in range(1, 6)),
        *(_slice(f"claims-{i}", DRIVER, [_gpu(j, i) for j in range(16)]) for i in (1, 2, 3)),
        _slice("claims-4", DRIVER, [_gpu(j, 4, tainted=True) for j in range(8)]),
        _slice("claims-5", SMALL_DRIVER, [{"name": f"small-{j}"} for j in range(2)]),
        _class(GPU, f'device.driver == "{DRIVER}"'),
        _class(OTHER, f'device.driver == "{DRIVER}"'),
        _class(UNMAPPED, f'device.driver == "{DRIVER}"'),
        _class(EMPTY, 'device.driver == "nobody.claims.test"'),
        _class("small.claims.test", f'device.driver == "{SMALL_DRIVER}"'),
        _class(EXTENDED, f'device.driver == "{DRIVER}"', extendedResourceName=ACCELERATOR),
        queueing("ResourceFlavor", "claims-flavor", {}),
        *(_cluster_queue(name, amount) for name, amount in (("wide", QUOTA), ("narrow", SMALL_QUOTA))),
        {
            **_cluster_queue("held", QUOTA),
            "spec": {**_cluster_queue("held", QUOTA)["spec"], "stopPolicy": "Hold"},
        },
        {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "claims"}},
        _pool(),
        *_shown(),
    ]


def nvidia_objects(mode: str) -> list[Json]:
    """What NVIDIA's operator and driver would have installed in one of its modes."""
    classes = [_class(name, _NVIDIA_KINDS[name]) for name in NVIDIA]
    if mode == PLUGIN_MODE:
        spec = {"devicePlugin": {"enabled": True}}
        policy = {
            "apiVersion": "nvidia.com/v1",
            "kind": "ClusterPolicy",
            "metadata": {"name": "claims"},
            "spec": spec,
        }
        plugin = _daemon_set("nvidia-device-plugin-daemonset", {"nvidia-device-plugin": _PLUGIN_IMAGE})
        # Beside it the driver for ComputeDomains only, as its chart installs it with gpus.enabled=false.
        domains = _daemon_set("dra-driver", {"compute-domains": _DRIVER_IMAGE})
        return [
            *classes,
            policy,
            plugin,
            domains,
            _node("claims-plugin", {"nvidia.com/gpu": "8"}),
            _channels("claims-3"),
        ]
    driver = _daemon_set("dra-driver", {"gpus": _DRIVER_IMAGE, "compute-domains": _DRIVER_IMAGE})
    gpus = [_nvidia_device(f"gpu-{i}", "gpu") for i in range(8)]
    parts = [_nvidia_device(f"gpu-8-mig-1g10gb-19-{i}", "mig") for i in range(7)]
    return [*classes, driver, _slice("claims-1", "gpu.nvidia.com", [*gpus, *parts]), _channels("claims-1")]


def definitions() -> list[Json]:
    """The kind of the operator's switch, as far as it is read."""
    names = {
        "plural": "clusterpolicies",
        "singular": "clusterpolicy",
        "kind": "ClusterPolicy",
        "listKind": "ClusterPolicyList",
    }
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "clusterpolicies.nvidia.com"},
            "spec": {"group": "nvidia.com", "names": names, "scope": "Cluster", "versions": [version]},
        }
    ]


_DRIVER_IMAGE = "registry.k8s.io/dra-driver-nvidia/dra-driver-nvidia-gpu:v0.4.1"
_PLUGIN_IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.19.0"
_OF_TYPE = "device.driver == '{driver}' && device.attributes['{driver}'].type == '{kind}'"
_NVIDIA_KINDS = {
    "gpu.nvidia.com": _OF_TYPE.format(driver="gpu.nvidia.com", kind="gpu"),
    "mig.nvidia.com": _OF_TYPE.format(driver="gpu.nvidia.com", kind="mig"),
    "vfio.gpu.nvidia.com": _OF_TYPE.format(driver="gpu.nvidia.com", kind="vfio"),
    "compute-domain-default-channel.nvidia.com": _OF_TYPE.format(
        driver="compute-domain.nvidia.com", kind="channel"
    ),
}


def _node(name: str, more: Json | None = None) -> Json:
    room = {"cpu": "1000", "memory": "4000Gi", "pods": "500", **(more or {})}
    labels = {**HERE, "kubernetes.io/hostname": name}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": FAKE, "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }


def _gpu(number: int, node: int, tainted: bool = False) -> Json:
    """On odd nodes model a, on even ones b; two GPUs share a root."""
    found: Json = {
        "name": f"gpu-{number}",
        "attributes": {
            "model": {"string": "ab"[(node - 1) % 2]},
            "size": {"int": 40 * (1 + number % 2)},
            "root": {"string": f"{node}-{number // 2}"},
        },
        "capacity": {"memory": {"value": "40Gi"}},
    }
    if tainted:
        found["attributes"]["model"] = {"string": "sick"}
        found["taints"] = [{"key": "claims.test/sick", "value": "yes", "effect": "NoSchedule"}]
    return found


def _nvidia_device(name: str, kind: str) -> Json:
    return {"name": name, "attributes": {"type": {"string": kind}, "uuid": {"string": f"GPU-{name}"}}}


def _channels(node: str) -> Json:
    devices = [
        {"name": f"channel-{i}", "attributes": {"type": {"string": "channel"}, "id": {"int": i}}}
        for i in range(16)
    ]
    return _slice(node, "compute-domain.nvidia.com", devices)


def _slice(node: str, driver: str, devices: list[Json]) -> Json:
    pool = {"name": f"{node}-{driver}", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": driver, "nodeName": node, "pool": pool, "devices": devices}
    return dra("ResourceSlice", f"{node}-{driver}", spec)


def _class(name: str, expression: str, **more: Any) -> Json:
    return dra("DeviceClass", name, {"selectors": [{"cel": {"expression": expression}}], **more})


def _cluster_queue(name: str, amount: int) -> Json:
    quota = {
        "cpu": "100000",
        "claims.test/gpu": str(amount),
        "claims.test/nvidia": str(amount),
        "nvidia.com/gpu": str(amount),
    }
    resources = [{"name": each, "nominalQuota": value} for each, value in quota.items()]
    group = {"coveredResources": list(quota), "flavors": [{"name": "claims-flavor", "resources": resources}]}
    return queueing("ClusterQueue", name, {"namespaceSelector": {}, "resourceGroups": [group]})


def _pool() -> Json:
    spec = {
        "nodeClassRef": {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "claims"},
        "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]}],
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": POOL},
        "spec": {"template": {"spec": spec}},
    }


def _shown() -> list[Json]:
    """Kueue and Karpenter as their charts show them, without pods."""
    volumes = [{"name": "config", "configMap": {"name": "kueue-manager-config"}}]
    kueue = _workload(
        "Deployment",
        ("kueue-system", "kueue-controller-manager"),
        {"manager": "registry.k8s.io/kueue/kueue:v0.19.2"},
    )
    kueue["spec"]["template"]["spec"]["volumes"] = volumes
    karpenter = _workload(
        "Deployment",
        ("kube-system", "karpenter"),
        {"controller": "public.ecr.aws/karpenter/controller:1.14.1"},
    )
    return [kueue, karpenter]


def static_pods(gates: dict[str, bool]) -> list[Json]:
    """API server and scheduler as kubeadm shows them."""
    flag = "--feature-gates=" + ",".join(f"{name}={str(on).lower()}" for name, on in gates.items())
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-claims-1",
                "namespace": "kube-system",
                "labels": {"component": name, "tier": "control-plane"},
            },
            "spec": {
                "nodeName": "claims-1",
                "containers": [{"name": name, "image": "none", "command": [name, flag]}],
            },
        }
        for name in ("kube-apiserver", "kube-scheduler")
    ]


def _daemon_set(name: str, containers: dict[str, str]) -> Json:
    found = _workload("DaemonSet", ("nvidia", name), containers)
    found["spec"]["template"]["spec"]["nodeSelector"] = {"claims.test/node": "never"}
    return found


def _workload(kind: str, at: tuple[str, str], containers: dict[str, str]) -> Json:
    labels = {"claims.test/app": at[1]}
    spec: Json = {"containers": [{"name": name, "image": image} for name, image in containers.items()]}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": at[1], "namespace": at[0]},
        "spec": {
            **({"replicas": 0} if kind == "Deployment" else {}),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }

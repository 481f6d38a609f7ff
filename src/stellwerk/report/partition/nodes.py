"""A plan by node, and the Node objects whose labels choose a configuration."""

from collections.abc import Mapping
from typing import Any

from stellwerk.engine.partition.inventory import Gpu, PartitionPlan
from stellwerk.report.partition.claims import joined
from stellwerk.report.partition.yaml_text import yaml_text

NAMESPACE = "gpu-operator"
POLICY_ONLY = "For the GPU operator as ClusterPolicy (device plugin); never GPUCluster (DRA) beside it."
CLUSTER_ONLY = "For the GPU operator as GPUCluster (DRA); never ClusterPolicy (device plugin) beside it."
APPLY = "kubectl apply --server-side --field-manager=stellwerk -f"


def by_node(plan: PartitionPlan) -> dict[str, list[Gpu]]:
    """The GPUs of each node, by node and index."""
    found: dict[str, list[Gpu]] = {}
    for gpu in sorted(plan.gpus, key=lambda gpu: gpu.key):
        found.setdefault(gpu.node, []).append(gpu)
    return found


def placed(gpu: Gpu) -> str:
    """A GPU's instances as `3g.40gb@0 2g.20gb@4`."""
    return " ".join(f"{each.profile}@{each.start}" for each in sorted(gpu.instances, key=lambda i: i.start))


def node_labels(head: list[str], label: str, values: Mapping[str, str]) -> str:
    """A file of Nodes, each with the label; applied on the server's side, nothing else of a Node changes."""
    nodes = [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node, "labels": {label: value}}}
        for node, value in sorted(values.items())
    ]
    return joined(head, [yaml_text(node) for node in nodes])


def config_map(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """A ConfigMap in the GPU operator's namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": dict(data),
    }


def cluster_policy(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A patch of the GPU operator's ClusterPolicy by its chart's name."""
    return {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": dict(spec),
    }

"""A plan for NVIDIA's device plugin: a configuration a method and number of replicas, and node labels.

Format: NVIDIA/k8s-device-plugin api/config/v1. Under MPS the plugin itself gives each of n replicas 1/n of
the memory and 100/n percent of the threads, and allows no request of more than one.
"""

from typing import Any

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.gpus import gpu_model
from stellwerk.engine.partition.inventory import DEVICE_PLUGIN, Gpu, PartitionPlan
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.report.partition.claims import commented
from stellwerk.report.partition.nodes import (
    APPLY,
    NAMESPACE,
    POLICY_ONLY,
    by_node,
    cluster_policy,
    config_map,
    node_labels,
)
from stellwerk.report.partition.yaml_text import yaml_text

LABEL, CONFIG_MAP = "nvidia.com/device-plugin.config", "stellwerk-device-plugin"
MAP, LABELS = "device-plugin-config.yaml", "device-plugin-node-labels.yaml"
POLICY = "device-plugin-cluster-policy.yaml"
FIELDS = {MPS: "mps", TIME_SLICING: "timeSlicing"}


def device_plugin_files(plan: PartitionPlan) -> list[tuple[str, str]]:
    """(file name, YAML): the ConfigMap, the node labels and a ClusterPolicy patch.

    Raises InvalidInput for a plan that the device plugin cannot carry out: made for DRA, several methods on a
    node, or tenants that replicas do not hold.
    """
    if plan.executor != DEVICE_PLUGIN:
        raise InvalidInput(
            "the plan is for {executor}, with a method a GPU; the device plugin has one a node",
            fix="plan for it: stellwerk partition --executor device-plugin",
            path="spec.executor",
            executor=plan.executor,
        )
    chosen = {node: _choice(node, gpus) for node, gpus in by_node(plan).items()}
    configs = {_key(*choice): yaml_text(_config(*choice)) for choice in [(WHOLE, 1), *chosen.values()]}
    labels = {node: _key(*choice) for node, choice in chosen.items()}
    plugin = {"enabled": True, "config": {"name": CONFIG_MAP, "default": WHOLE}}
    spec: dict[str, Any] = {"devicePlugin": plugin}
    if any(method == MIG for method, _ in chosen.values()):
        spec = {"mig": {"strategy": "mixed"}} | spec
    return [
        (MAP, commented(_map_head(plan), config_map(CONFIG_MAP, dict(sorted(configs.items()))))),
        (LABELS, node_labels(_label_head(), LABEL, labels)),
        (POLICY, commented(_policy_head(), cluster_policy(spec))),
    ]


def _choice(node: str, gpus: list[Gpu]) -> tuple[str, int]:
    """The node's method and replicas; raises InvalidInput where there is not one of each.

    Whole GPUs may lie beside cut ones: with migStrategy mixed the plugin offers both.
    """
    found = {gpu.method for gpu in gpus if gpu.method}
    methods = sorted(found - {WHOLE} if MIG in found else found)
    if len(methods) > 1:
        raise InvalidInput(
            "node {node} has several methods ({methods}), and the device plugin has one a node",
            fix="plan for it: stellwerk partition --executor device-plugin",
            path="spec.gpus",
            node=node,
            methods=", ".join(methods),
        )
    method = methods[0] if methods else WHOLE
    if method not in FIELDS:
        return method, 1
    replicas = {gpu.replicas for gpu in gpus if gpu.method}
    if len(replicas) > 1 or min(replicas) < 2:
        raise InvalidInput(
            "node {node} shares its GPUs, and needs one number of replicas from 2 up, not {found}",
            fix="write the same replicas for all its GPUs, or plan for it: "
            "stellwerk partition --executor device-plugin",
            path="spec.gpus",
            node=node,
            found=", ".join(map(str, sorted(replicas))),
        )
    for gpu in gpus:
        _check_tenants(gpu, max(replicas))
    return method, max(replicas)


def _check_tenants(gpu: Gpu, replicas: int) -> None:
    """Each tenant has a replica; under MPS a replica has the memory of its share only."""
    model = gpu_model(gpu.model)
    share = model.memory_bytes // replicas if gpu.method == MPS else model.memory_bytes
    most = model.mps_max_replicas if gpu.method == MPS else replicas
    large = [tenant.name for tenant in gpu.tenants if tenant.memory_bytes > share]
    if len(gpu.tenants) > replicas or replicas > most or large:
        raise InvalidInput(
            "GPU {index} of node {node}: {replicas} replicas do not hold its {tenants} tenants{large}",
            fix="plan for it: stellwerk partition --executor device-plugin",
            path="spec.gpus",
            index=gpu.index,
            node=gpu.node,
            replicas=replicas,
            tenants=len(gpu.tenants),
            large=f" ({', '.join(large)})" if large else "",
        )


def _key(method: str, replicas: int) -> str:
    return f"{method}-{replicas}" if method in FIELDS else method


def _config(method: str, replicas: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "version": "v1",
        "flags": {"migStrategy": "mixed" if method == MIG else "none"},
    }
    if method in FIELDS:
        shared = {
            "renameByDefault": False,
            "failRequestsGreaterThanOne": True,
            "resources": [{"name": "nvidia.com/gpu", "replicas": replicas}],
        }
        config["sharing"] = {FIELDS[method]: shared}
    return config


def _map_head(plan: PartitionPlan) -> list[str]:
    cut = [
        "Nodes with mig are cut by MIG Manager (stellwerk export mig-parted); their pods ask for instances,",
        "such as limits: {nvidia.com/mig-1g.10gb: 1}.",
    ]
    return [
        POLICY_ONLY,
        "The device plugin's configurations by name.",
        f"Apply: {APPLY} {MAP}",
        f"Undo: first undo {POLICY} and {LABELS}, then:",
        f"  kubectl delete configmap -n {NAMESPACE} {CONFIG_MAP}",
        "Pods ask for limits: {nvidia.com/gpu: 1}; of a shared GPU nobody gets more than one replica.",
        *(cut if any(gpu.method == MIG for gpu in plan.gpus) else []),
    ]


def _label_head() -> list[str]:
    return [
        POLICY_ONLY,
        "Which of the device plugin's configurations each node gets.",
        f"Apply: {APPLY} {LABELS}",
        f"Undo: kubectl label node NODE {LABEL}-",
    ]


def _policy_head() -> list[str]:
    return [
        POLICY_ONLY,
        "Names the configurations to the device plugin.",
        "Apply: kubectl patch clusterpolicy cluster-policy --type merge",
        f"  --patch-file {POLICY}",
        "Undo: the same with the spec.devicePlugin.config that was there before.",
    ]

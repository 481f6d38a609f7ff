"""Whether one of Karpenter's NodePools could make a node that a pod may run on.

Source: kubernetes-sigs/karpenter pkg/controllers/provisioning/scheduling/nodeclaim.go and
pkg/apis/v1/labels.go: a pool's labels, its own name, and what its requirements leave open.
"""

from collections.abc import Iterable

from stellwerk.api.groups.core import Node, NodeSpec, PodSpec
from stellwerk.api.groups.karpenter import NodePool
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.manifests import Manifest
from stellwerk.engine.allocation.pods.node_fit import node_refuses

POOL_LABEL = "karpenter.sh/nodepool"
# Labels that a provider gives its nodes, whatever the pool says.
_WELL_KNOWN = ("kubernetes.io/", "karpenter.", "topology.kubernetes.io/", "node.kubernetes.io/")


def pool_for(spec: PodSpec, manifests: Iterable[Manifest]) -> str:
    """The name of the first NodePool that could make a node for a pod of this spec, or ""."""
    for each in manifests:
        pool = each.object
        if isinstance(pool, NodePool) and node_refuses(_node_of(pool, spec), spec) is None:
            return given(pool.metadata.name, "")
    return ""


def _node_of(pool: NodePool, spec: PodSpec) -> Node:
    """A node of the pool, with those of the pod's labels that its requirements allow."""
    template = pool.spec.template
    labels = {
        **given(given(template.metadata, ObjectMeta()).labels, {}),
        POOL_LABEL: given(pool.metadata.name, ""),
    }
    for key, value in given(spec.node_selector, {}).items():
        if key not in labels and _allows(pool, key, value):
            labels[key] = value
    taints = given(template.spec.taints, ())
    return Node(
        api_version="v1", kind="Node", metadata=ObjectMeta(labels=labels), spec=NodeSpec(taints=taints)
    )


def _allows(pool: NodePool, key: str, value: str) -> bool:
    of_key = [one for one in given(pool.spec.template.spec.requirements, ()) if one.key == key]
    if not of_key:
        return any(part in key for part in _WELL_KNOWN)
    for one in of_key:
        listed = value in given(one.values, ())
        if (one.operator == "In" and not listed) or (one.operator == "NotIn" and listed):
            return False
        if one.operator == "DoesNotExist":
            return False
    return True

"""Which nodes a pod may run on, devices apart: node name, taints, node selector, required node affinity.

Source: the scheduler's nodename, nodeunschedulable, tainttoleration and nodeaffinity (Kubernetes 1.37).
"""

from collections.abc import Iterable, Sequence

from stellwerk.api.groups.core import Affinity, Node, NodeAffinity, NodeSpec, PodSpec, Taint, Toleration
from stellwerk.api.groups.meta import given
from stellwerk.engine.allocation.decision import AllocationError
from stellwerk.engine.allocation.pools.node_match import node_matches
from stellwerk.engine.decision import Reason

UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


def asked_of_nodes(spec: PodSpec) -> str:
    """All that `node_refuses` reads of a pod, as text: pods that ask the same get the same answer."""
    affinity = given(spec.affinity, Affinity()).node_affinity
    return repr((spec.node_name, spec.tolerations, spec.node_selector, affinity))


def node_refuses(node: Node, spec: PodSpec) -> Reason | None:
    """The first thing that keeps the pod from the node, None if nothing does."""
    name = given(node.metadata.name, "")
    wanted = given(spec.node_name, "")
    if wanted and wanted != name:
        return Reason("node-name", "the pod is bound to the node {node}", {"node": wanted})
    return None if wanted else _taint(node, spec) or _labels(node, spec) or _affinity(node, spec)


def _taint(node: Node, spec: PodSpec) -> Reason | None:
    rest = given(node.spec, NodeSpec())
    taints = [UNSCHEDULABLE] if given(rest.unschedulable, False) else []
    taint = untolerated((*taints, *given(rest.taints, ())), given(spec.tolerations, ()))
    if taint is None:
        return None
    shown = {"taint": taint_text(taint)}
    return Reason("node-taint", "the pod does not tolerate the node's taint {taint}", shown)


def taint_text(taint: Taint) -> str:
    """A taint as kubectl writes it: key=value:effect."""
    value = given(taint.value, "")
    return f"{taint.key}={value}:{taint.effect}" if value else f"{taint.key}:{taint.effect}"


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    """The first taint that keeps a pod with these tolerations away (PreferNoSchedule does not)."""
    for taint in taints:
        keeps_away = taint.effect in ("NoSchedule", "NoExecute")
        if keeps_away and not any(_tolerates(one, taint) for one in tolerations):
            return taint
    return None


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    effect, key = given(toleration.effect, ""), given(toleration.key, "")
    exists = given(toleration.operator, "") == "Exists"
    if (effect and effect != taint.effect) or ((key or not exists) and key != taint.key):
        return False
    return exists or given(toleration.value, "") == given(taint.value, "")


def _labels(node: Node, spec: PodSpec) -> Reason | None:
    labels = given(node.metadata.labels, {})
    for key, value in given(spec.node_selector, {}).items():
        if labels.get(key) != value:
            return Reason(
                "node-selector",
                "the node does not have the label {label} of the pod's nodeSelector",
                {"label": f"{key}={value}"},
            )
    return None


def _affinity(node: Node, spec: PodSpec) -> Reason | None:
    affinity = given(given(spec.affinity, Affinity()).node_affinity, NodeAffinity())
    required = given(affinity.required_during_scheduling_ignored_during_execution, None)
    if required is None:
        return None
    try:
        if node_matches(node, None, False, required):
            return None
    except AllocationError as error:
        return Reason("node-affinity", "the pod's node affinity cannot be read: {text}", {"text": error.text})
    keys = [
        one.key
        for term in required.node_selector_terms
        for one in (*given(term.match_expressions, ()), *given(term.match_fields, ()))
    ]
    return Reason(
        "node-affinity",
        "the node does not match the pod's required node affinity ({keys})",
        {"keys": ", ".join(dict.fromkeys(keys))[:200]},
    )

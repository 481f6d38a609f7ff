"""Required pod affinity and anti-affinity: near which pods a pod must be, from which it must keep away.

A domain is a value of the term's topologyKey among the nodes' labels. Source: plugin interpodaffinity of the
scheduler (Kubernetes 1.37). Not read: matchLabelKeys, mismatchLabelKeys, and labels of namespaces (a
namespaceSelector that is not empty selects none).
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET, Struct

from stellwerk.api.groups.core import Affinity, Node, PodAffinity, PodAffinityTerm, PodSpec
from stellwerk.api.groups.meta import LabelSelector, LabelSelectorRequirement, given
from stellwerk.engine.decision import Reason


class Placed(Struct, frozen=True):
    """A pod with its labels on a node with its labels."""

    namespace: str
    labels: Mapping[str, str]
    spec: PodSpec
    node_labels: Mapping[str, str]


def neighbours_refuse(
    node: Node, pod: tuple[str, Mapping[str, str], PodSpec], placed: Sequence[Placed]
) -> Reason | None:
    """What affinity says against the node for a pod (namespace, labels, spec); None if nothing."""
    namespace, labels, spec = pod
    near, away = _terms(spec)
    here = _node_labels(node)
    for term in away:
        if any(_together(term, here, one) and _selects(term, namespace, one) for one in placed):
            return _too_near(term, here)
    mine = Placed(namespace, labels, spec, here)
    for one in placed:
        for term in _terms(one.spec)[1]:
            if _together(term, here, one) and _selects(term, one.namespace, mine):
                return _too_near(term, here)
    return _near(near, mine, placed)


def _near(terms: Sequence[PodAffinityTerm], mine: Placed, placed: Sequence[Placed]) -> Reason | None:
    """Each term holds by pods that match all terms; the first pod of a group may match itself."""
    wanted = [one for one in placed if all(_selects(term, mine.namespace, one) for term in terms)]
    first = not wanted and all(_selects(term, mine.namespace, mine) for term in terms)
    for term in terms:
        if term.topology_key in mine.node_labels and first:
            continue
        if not any(_together(term, mine.node_labels, one) for one in wanted):
            return _not_near(term, mine.node_labels)
    return None


def has_neighbours(spec: PodSpec) -> bool:
    """Whether the pod has required affinity or anti-affinity to pods."""
    return any(_terms(spec))


def _terms(spec: PodSpec) -> tuple[tuple[PodAffinityTerm, ...], tuple[PodAffinityTerm, ...]]:
    affinity = given(spec.affinity, Affinity())
    near = given(affinity.pod_affinity, PodAffinity()).required_during_scheduling_ignored_during_execution
    away = given(
        affinity.pod_anti_affinity, PodAffinity()
    ).required_during_scheduling_ignored_during_execution
    return given(near, ()), given(away, ())


def _node_labels(node: Node) -> Mapping[str, str]:
    """The labels; every node has its name as kubernetes.io/hostname, as the kubelet sets it."""
    return {"kubernetes.io/hostname": given(node.metadata.name, "")} | dict(given(node.metadata.labels, {}))


def placed_on(node: Node, namespace: str, labels: Mapping[str, str], spec: PodSpec) -> Placed:
    """A pod as it counts for those that come after it."""
    return Placed(namespace, labels, spec, _node_labels(node))


def _together(term: PodAffinityTerm, labels: Mapping[str, str], one: Placed) -> bool:
    value = labels.get(term.topology_key)
    return value is not None and one.node_labels.get(term.topology_key) == value


def _selects(term: PodAffinityTerm, own: str, pod: Placed) -> bool:
    namespaces = given(term.namespaces, ())
    everywhere = term.namespace_selector == LabelSelector()
    if not everywhere and pod.namespace not in (namespaces or (own,)):
        return False
    selector = term.label_selector
    if selector is UNSET:
        return False
    equal = given(selector.match_labels, {}).items()
    return all(pod.labels.get(key) == value for key, value in equal) and _all_hold(
        given(selector.match_expressions, ()), pod.labels
    )


def _all_hold(requirements: Iterable[LabelSelectorRequirement], labels: Mapping[str, str]) -> bool:
    return all(_holds(one, labels) for one in requirements)


def _holds(requirement: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.key), given(requirement.values, ())
    match requirement.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
    return requirement.operator == "DoesNotExist" and value is None


def _too_near(term: PodAffinityTerm, labels: Mapping[str, str]) -> Reason:
    return Reason(
        "pod-anti-affinity",
        "a pod from which the pod must keep away runs where {key} is {value}",
        {"key": term.topology_key, "value": labels.get(term.topology_key, "") or '""'},
    )


def _not_near(term: PodAffinityTerm, labels: Mapping[str, str]) -> Reason:
    return Reason(
        "pod-affinity",
        "no pod that the pod must be near runs where {key} is {value}",
        {"key": term.topology_key, "value": labels.get(term.topology_key, "") or '""'},
    )

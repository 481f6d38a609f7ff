"""Required pod affinity and anti-affinity: near which pods a pod must be, from which it must keep away.

A domain is a value of the term's topologyKey among the nodes' labels. Source: plugin interpodaffinity of the
scheduler (Kubernetes 1.37). Not read: matchLabelKeys, mismatchLabelKeys, and labels of namespaces (a
namespaceSelector that is not empty selects none).
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Affinity, Node, PodAffinity, PodAffinityTerm, PodSpec
from stellwerk.api.groups.meta import LabelSelector, given
from stellwerk.api.selection import selects
from stellwerk.engine.decision import Reason


class Placed(Struct, frozen=True):
    """A pod with its labels on a node with its labels."""

    namespace: str
    labels: Mapping[str, str]
    spec: PodSpec
    node_labels: Mapping[str, str]


class Neighbours:
    """The pods that are placed, by the labels of their nodes: no node need look at all of them."""

    def __init__(self) -> None:
        self.all: list[Placed] = []
        self._domains: dict[str, dict[str, list[Placed]]] = {}
        self._keepers: dict[str, dict[str, list[tuple[PodAffinityTerm, Placed]]]] = {}

    def add(self, one: Placed) -> None:
        """The pod counts from now on."""
        self.all.append(one)
        for key, domains in self._domains.items():
            if key in one.node_labels:
                domains.setdefault(one.node_labels[key], []).append(one)
        for term in _terms(one.spec)[1]:
            key = term.topology_key
            if key in one.node_labels:
                keepers = self._keepers.setdefault(key, {})
                keepers.setdefault(one.node_labels[key], []).append((term, one))

    def together(self, term: PodAffinityTerm, labels: Mapping[str, str]) -> Sequence[Placed]:
        """The pods on nodes of the domain that a node with these labels is in."""
        key = term.topology_key
        if key not in labels:
            return ()
        if key not in self._domains:
            domains = self._domains[key] = {}
            for one in self.all:
                if key in one.node_labels:
                    domains.setdefault(one.node_labels[key], []).append(one)
        return self._domains[key].get(labels[key], ())

    def keepers(self, labels: Mapping[str, str]) -> Iterator[tuple[PodAffinityTerm, Placed]]:
        """Terms by which pods keep others away from the domains of a node with these labels."""
        for key, domains in self._keepers.items():
            if key in labels:
                yield from domains.get(labels[key], ())

    @property
    def keys(self) -> frozenset[str]:
        """The labels by which pods keep others away."""
        return frozenset(self._keepers)


class Visitor:
    """A pod (namespace, labels, spec) that looks for a node among its neighbours: what they say of each."""

    def __init__(self, pod: tuple[str, Mapping[str, str], PodSpec], placed: Neighbours) -> None:
        self._namespace, labels, spec = pod
        self._mine = Placed(self._namespace, labels, spec, {})
        self._near, self._away = _terms(spec)
        self._placed = placed
        own = self._namespace
        self._wanted = {
            id(one)
            for one in placed.all
            if self._near and all(_selects(term, own, one) for term in self._near)
        }
        self._first = not self._wanted and all(_selects(term, own, self._mine) for term in self._near)
        self._keys = sorted(placed.keys | {term.topology_key for term in (*self._near, *self._away)})
        self._said: dict[tuple[str | None, ...], Reason | None] = {}

    def refused_by(self, node: Node) -> Reason | None:
        """What affinity says against the node; None if nothing. Nodes of the same domains hear the same."""
        labels = _node_labels(node)
        domains = tuple(labels.get(key) for key in self._keys)
        if domains not in self._said:
            self._said[domains] = self._refused(labels)
        return self._said[domains]

    def _refused(self, labels: Mapping[str, str]) -> Reason | None:
        for term in self._away:
            if any(_selects(term, self._namespace, one) for one in self._placed.together(term, labels)):
                return _too_near(term, labels)
        for term, one in self._placed.keepers(labels):
            if _selects(term, one.namespace, self._mine):
                return _too_near(term, labels)
        return self._not_near(labels)

    def _not_near(self, labels: Mapping[str, str]) -> Reason | None:
        """Each term holds by pods that match all terms; the first pod of a group may match itself."""
        for term in self._near:
            if term.topology_key in labels and self._first:
                continue
            if not any(id(one) in self._wanted for one in self._placed.together(term, labels)):
                return _not_near(term, labels)
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


def _selects(term: PodAffinityTerm, own: str, pod: Placed) -> bool:
    namespaces = given(term.namespaces, ())
    everywhere = term.namespace_selector == LabelSelector()
    if not everywhere and pod.namespace not in (namespaces or (own,)):
        return False
    return selects(given(term.label_selector, None), pod.labels)


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

"""Whether pods could run on a flavor's nodes at all: taints, node selector and affinity, topology.

Of a selector or affinity only the labels that the flavor has are looked at.
Source: kueue pkg/scheduler/flavorassigner (checkFlavorForPodSets, flavorSelector, tas_flavorassigner.go),
component-helpers scheduling/corev1.
"""

from collections.abc import Sequence

from msgspec import UnsetType

from stellwerk.api.groups.core import Affinity, NodeAffinity, NodeSelectorTerm, PodSpec
from stellwerk.api.groups.kueue_workload import PodSet, PodSetTopologyRequest
from stellwerk.api.groups.meta import given
from stellwerk.api.selection import readable_terms, term_matches, untolerated
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.queue import Flavor, Group, Queue
from stellwerk.engine.queueing.requests.total import amounts_of_pod

_NO_PODS = PodSpec(containers=())


class UnreadableAffinity(Exception):
    """A term of the node affinity that cannot be read, and none that matches."""


def mismatch(flavor: Flavor, pod_set: PodSet) -> Reason | None:
    """What of a pod speaks against the flavor's nodes; raises UnreadableAffinity."""
    spec = given(pod_set.template.spec, _NO_PODS)
    taint = untolerated(flavor.taints, (*given(spec.tolerations, ()), *flavor.tolerations))
    if taint is not None:
        added = given(taint.time_added, "<nil>")
        written = f"{{{taint.key} {given(taint.value, '')} {taint.effect} {added}}}"
        return Reason(
            "UntoleratedTaint",
            "untolerated taint {taint} in flavor {flavor}",
            {"taint": written, "flavor": flavor.name},
        )
    if not _labels_match(flavor, spec):
        return Reason(
            "NodeAffinityMismatch", "flavor {flavor} doesn't match node affinity", {"flavor": flavor.name}
        )
    return None


def topology_mismatch(flavor: Flavor, pod_set: PodSet, queue: Queue, group: Group) -> Reason | None:
    """Whether flavor and PodSet agree on topology-aware scheduling; None if they do."""
    values = {"flavor": flavor.name}
    request = given(pod_set.topology_request, None)
    if not asks_topology(pod_set):
        if flavor.topology is None or queue.tas_only:
            return None
        return Reason("TopologyOnly", 'Flavor "{flavor}" supports only TopologyAwareScheduling', values)
    if flavor.topology is None:
        # Quota that no node gives (by resource transformations) may come from such a flavor.
        if group.resources.isdisjoint(amounts_of_pod(pod_set)):
            return None
        return Reason(
            "TopologyUnsupported", 'Flavor "{flavor}" does not support TopologyAwareScheduling', values
        )
    if flavor.levels is None:
        return Reason("TopologyUnknown", 'Flavor "{flavor}" information missing in TAS cache', values)
    if request is None or not _has_levels(request, flavor.levels):
        return Reason(
            "TopologyLevelMissing", 'Flavor "{flavor}" does not contain the requested level', values
        )
    return None


def asks_topology(pod_set: PodSet) -> bool:
    """Whether the PodSet itself asks for topology-aware scheduling."""
    request = pod_set.topology_request
    if isinstance(request, UnsetType):
        return False
    fields = (
        request.unconstrained,
        request.required,
        request.preferred,
        request.pod_set_slice_required_topology,
        request.pod_set_slice_size,
    )
    return any(given(field, None) is not None for field in fields) or bool(
        given(request.podset_slice_required_topology_constraints, ())
    )


def _has_levels(request: PodSetTopologyRequest, levels: Sequence[str]) -> bool:
    """Whether the topology has every level that is named; the first one named is the pod set's own."""
    slices = [
        given(one.topology, "") for one in given(request.podset_slice_required_topology_constraints, ())
    ]
    single = given(request.pod_set_slice_required_topology, None)
    if not slices and single is not None:
        slices = [single]
    own = given(request.required, None)
    if own is None:
        own = given(request.preferred, None)
    if own is None and not slices and not given(request.unconstrained, False):
        return False
    return bool(levels) and all(level in levels for level in (*slices, *([] if own is None else [own])))


def _labels_match(flavor: Flavor, spec: PodSpec) -> bool:
    labels = flavor.labels
    for key, value in given(spec.node_selector, {}).items():
        if key in labels and labels[key] != value:
            return False
    affinity = given(given(spec.affinity, Affinity()).node_affinity, NodeAffinity())
    required = given(affinity.required_during_scheduling_ignored_during_execution, None)
    if required is None:
        return True
    terms = []
    for term in required.node_selector_terms:
        known = _known_expressions(term, flavor)
        if known is None:
            return True
        terms.append(known)
    return not terms or _any_holds(terms, flavor)


def _known_expressions(term: NodeSelectorTerm, flavor: Flavor) -> NodeSelectorTerm | None:
    """The term without labels that the flavor lacks; None if nothing is left: it fits every flavor."""
    known = tuple(one for one in given(term.match_expressions, ()) if one.key in flavor.labels)
    return NodeSelectorTerm(match_expressions=known) if known else None


def _any_holds(terms: Sequence[NodeSelectorTerm], flavor: Flavor) -> bool:
    """Whether a term that can be read holds; only if none does, one that cannot be read matters."""
    unreadable = ""
    for term in terms:
        try:
            if any(term_matches(one, "", flavor.labels) for one in readable_terms([term])):
                return True
        except ValueError as error:
            unreadable = str(error)
    if unreadable:
        raise UnreadableAffinity(unreadable)
    return False

"""Whether pods could run on a flavor's nodes at all: taints, node selector and affinity, topology.

Of a selector or affinity only the labels that the flavor has are looked at.
Source: kueue pkg/scheduler/flavorassigner (checkFlavorForPodSets, flavorSelector, tas_flavorassigner.go),
component-helpers scheduling/corev1, api core/v1 toleration.go.
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import UnsetType

from stellwerk.api.groups.core import (
    Affinity,
    NodeAffinity,
    NodeSelectorTerm,
    PodSpec,
    Taint,
    Toleration,
)
from stellwerk.api.groups.kueue_workload import PodSet, PodSetTopologyRequest
from stellwerk.api.groups.meta import given
from stellwerk.engine.allocation.decision import AllocationError
from stellwerk.engine.allocation.pools.node_match import expression_holds
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.queue import Flavor, Group, Queue
from stellwerk.engine.queueing.requests.total import amounts_of_pod

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
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


def untolerated(taints: Iterable[Taint], tolerations: Sequence[Toleration]) -> Taint | None:
    """The first taint that no toleration fits."""
    return next((taint for taint in taints if not any(tolerates(one, taint) for one in tolerations)), None)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether it does: empty effect or key fit all; Lt and Gt compare integers (KEP-5471)."""
    if given(toleration.effect, "") not in ("", taint.effect):
        return False
    if given(toleration.key, "") not in ("", taint.key):
        return False
    have, bound = given(taint.value, ""), given(toleration.value, "")
    match given(toleration.operator, ""):
        case "" | "Equal":
            return have == bound
        case "Exists":
            return True
        case "Lt" | "Gt" as operator:
            numbers = _integer(have), _integer(bound)
            if numbers[0] is None or numbers[1] is None:
                return False
            return numbers[0] < numbers[1] if operator == "Lt" else numbers[0] > numbers[1]
    return False


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
    terms = [_known_expressions(term, flavor) for term in required.node_selector_terms]
    return not terms or not all(terms) or _any_holds(terms, flavor)


def _known_expressions(term: NodeSelectorTerm, flavor: Flavor) -> NodeSelectorTerm | None:
    """The term without labels that the flavor lacks; None if nothing is left: it fits every flavor."""
    known = tuple(one for one in given(term.match_expressions, ()) if one.key in flavor.labels)
    return NodeSelectorTerm(match_expressions=known) if known else None


def _any_holds(terms: Sequence[NodeSelectorTerm | None], flavor: Flavor) -> bool:
    unreadable: AllocationError | None = None
    for term in terms:
        expressions = () if term is None else given(term.match_expressions, ())
        try:
            # All are read, so that one which cannot be read is found wherever it stands.
            if False not in [expression_holds(one, flavor.labels) for one in expressions]:
                return True
        except AllocationError as error:
            unreadable = error
    if unreadable is not None:
        raise UnreadableAffinity(str(unreadable))
    return False


def _integer(text: str) -> int | None:
    number = int(text) if len(text) <= 20 and _INTEGER.fullmatch(text) and text != "-0" else None
    return number if number is not None and -(2**63) <= number < 2**63 else None

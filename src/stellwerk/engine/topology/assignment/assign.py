"""Assign topology domains to the PodSets of a Workload: the entry to topology-aware scheduling.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, clusterqueue_snapshot.go (ff69552e).
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, structs

from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.decision import (
    Assignment,
    Found,
    Gates,
    NotFit,
    Outcome,
    PodSetRequest,
)
from stellwerk.engine.topology.assignment.fleet.amounts import Amounts
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot
from stellwerk.engine.topology.assignment.group import groups_of, name_of, place_group
from stellwerk.engine.topology.assignment.merge import stacked
from stellwerk.engine.topology.assignment.replacement import replace_node
from stellwerk.engine.topology.assignment.search.place import Terms
from stellwerk.engine.topology.assignment.wire import unpacked

_GROUP_WORKLOAD = "kueue.x-k8s.io/is-group-workload"


class Situation(Struct, frozen=True, kw_only=True):
    """Under which circumstances is asked.

    `simulate_empty`: as if every Workload were preempted. `workload`: the Workload; if its status names
    unhealthy nodes, only their pods are placed anew. `assumed`: domain to what is taken beside the snapshot.
    """

    gates: Gates = Gates()
    simulate_empty: bool = False
    workload: Workload | None = None
    assumed: Mapping[str, Amounts] = {}


def assign_workload(
    snapshots: Mapping[str, FlavorSnapshot],
    requests: Mapping[str, Sequence[PodSetRequest]],
    situation: Situation,
) -> Found:
    """Domains for all PodSets by flavor, flavors in the order of their names; each looks at all its groups.

    Flavors whose lowest level is the hostname may share nodes: what one takes, the next has not (gate
    TASHandleOverlappingFlavors).
    """
    outcomes: dict[str, Outcome] = {}
    shared: Mapping[str, Amounts] = situation.assumed
    for flavor in sorted(requests):
        snapshot = snapshots[flavor]
        overlaps = situation.gates.handle_overlapping_flavors and snapshot.tree.by_hostname
        assumed = shared if overlaps else situation.assumed
        found = assign_flavor(snapshot, requests[flavor], structs.replace(situation, assumed=assumed))
        outcomes |= found.outcomes
        if overlaps:
            shared = found.assumed
    return Found(outcomes, shared)


def assign_flavor(snapshot: FlavorSnapshot, requests: Sequence[PodSetRequest], situation: Situation) -> Found:
    """Domains for the PodSets of one flavor, group by group, up to the first group that has no place."""
    terms = Terms(gates=situation.gates, assumed=situation.assumed, empty=situation.simulate_empty)
    outcomes: dict[str, Outcome] = {}
    for group in groups_of(requests):
        found = _assign_group(snapshot, group, terms, situation)
        outcomes |= found.outcomes
        terms = structs.replace(terms, assumed=found.assumed)
        if found.failure is not None:
            break
    return Found(outcomes, terms.assumed)


def _assign_group(
    snapshot: FlavorSnapshot, group: Sequence[PodSetRequest], terms: Terms, situation: Situation
) -> Found:
    workload = situation.workload
    unhealthy = unhealthy_nodes(workload)
    if workload is None or not unhealthy:
        return place_group(snapshot, group, terms)
    stays = situation.gates.skip_reassignment_for_pod_owned and is_of_single_pod(workload)
    outcomes: dict[str, Outcome] = {}
    for request in group:
        existing = _existing(workload, name_of(request))
        if existing is None:
            continue
        if stays:  # A single pod cannot move, and its Workload does not outlive it.
            outcomes[name_of(request)] = existing
            continue
        answer = replace_node(snapshot, request, existing, unhealthy[0], terms)
        if isinstance(answer, NotFit | Reason):
            return Found({**outcomes, name_of(request): answer}, terms.assumed)
        outcomes[name_of(request)], new = answer
        terms = structs.replace(terms, assumed=stacked(terms.assumed, new, request.requests))
    return Found(outcomes, terms.assumed)


def unhealthy_nodes(workload: Workload | None) -> tuple[str, ...]:
    """The nodes that the Workload must leave."""
    status = WorkloadStatus() if workload is None else given(workload.status, WorkloadStatus())
    return tuple(node.name for node in given(status.unhealthy_nodes, ()))


def is_of_single_pod(workload: Workload) -> bool:
    """Whether exactly one Pod, and no group of pods, owns the Workload."""
    owners = given(workload.metadata.owner_references, ())
    if len(owners) != 1 or given(workload.metadata.annotations, {}).get(_GROUP_WORKLOAD) == "true":
        return False
    return owners[0].kind == "Pod" and owners[0].api_version == "v1"


def _existing(workload: Workload, pod_set: str) -> Assignment | None:
    """What the PodSet has now."""
    admission = given(given(workload.status, WorkloadStatus()).admission, None)
    for one in given(admission.pod_set_assignments, ()) if admission is not None else ():
        if one.name == pod_set:
            assignment = given(one.topology_assignment, None)
            return None if assignment is None else unpacked(assignment)
    return None

"""Places in topologies for entries: what is asked for, what an assignment becomes, what it uses.

Source: kueue pkg/scheduler/scheduler.go (updateAssignmentForTAS, netUsage),
flavorassigner/tas_flavorassigner.go.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import PodSet, PodSetTopologyRequest, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.cycle.backlog import pod_sets_of
from stellwerk.engine.queueing.cycle.status import has_unhealthy_place, holds_reservation
from stellwerk.engine.queueing.cycle.world import Entry, Usage, World
from stellwerk.engine.queueing.flavors.assignment import Asks, Assignment, Cycle, PodSetAssignment, Question
from stellwerk.engine.queueing.flavors.mode import PREEMPT
from stellwerk.engine.queueing.flavors.places import Topologies
from stellwerk.engine.queueing.flavors.topology import (
    ask_of,
    delays,
    joined,
    needs_topology,
    refused_for_elastic,
    topology_flavor,
    unhealthy_nodes,
)
from stellwerk.engine.queueing.preemption.contest import Target
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.requests.total import WorkloadInfo, amounts_of_pod, pod_set_name
from stellwerk.engine.topology.assignment.assign import Situation, assign_workload
from stellwerk.engine.topology.assignment.decision import Assignment as Placement
from stellwerk.engine.topology.assignment.decision import DomainUsage
from stellwerk.engine.topology.assignment.wire import unpacked


class Places(Struct, frozen=True):
    """Places of one workload, tried while others are taken away; the `Topology` of a search for targets."""

    topologies: Topologies
    info: WorkloadInfo
    asks: Asks

    def remove(self, info: WorkloadInfo) -> None:
        """As if this one held no place."""
        self.topologies.remove(info.topology_usage())

    def add(self, info: WorkloadInfo) -> None:
        """As if it held its place again."""
        self.topologies.add(info.topology_usage())

    def fits(self) -> bool:
        """Whether all its pods have a place."""
        situation = Situation(gates=self.topologies.gates, workload=self.info.object)
        return assign_workload(self.topologies.flavors, self.asks, situation).failure is None


def asks_of(cycle: Cycle, queue: Queue, question: Question, assignment: Assignment) -> Asks:
    """The places that an assignment still needs, by flavor; none for those that are found later."""
    asks: Asks = {}
    if not cycle.snapshot.gates.topology_aware_scheduling:
        return asks
    assigned = {one.name: one for one in assignment.pod_sets}
    unhealthy = unhealthy_nodes(question.info)
    for pod_set in pod_sets_of(question.info.object):
        one = assigned.get(pod_set_name(pod_set))
        if one is None or not needs_topology(pod_set, queue) or one.error is not None or not one.count:
            continue
        if one.topology is not None and not _on_any(one.topology, unhealthy):
            continue
        flavor = topology_flavor(one.flavors, queue)
        if isinstance(flavor, Reason) or refused_for_elastic(cycle, question.info, pod_set) is not None:
            continue
        if not delays(queue, question.info, flavor):
            asks = joined(asks, flavor, ask_of(cycle, question, queue, pod_set, one.count))
    return asks


def with_places(
    world: World,
    cycle: Cycle,
    asked: tuple[Queue, Question],
    answer: tuple[Assignment, tuple[Target, ...]],
) -> Assignment:
    """An assignment that preempts, with the places it will have, so that nobody takes them meanwhile.

    Without targets they are looked for as if no other workload was there.
    """
    (queue, question), (assignment, targets) = asked, answer
    info = question.info
    asks_topology = queue.tas_only or any(map(_is_explicit, pod_sets_of(info.object)))
    if (
        not world.snapshot.gates.topology_aware_scheduling
        or assignment.mode != PREEMPT
        or not asks_topology
        or has_unhealthy_place(info.object)
    ):
        return assignment
    asks = asks_of(cycle, queue, question, assignment)
    holdings = [target.holding for target in targets]
    world.take(holdings)
    topologies = world.topologies
    situation = Situation(gates=topologies.gates, simulate_empty=not targets, workload=info.object)
    outcomes = assign_workload(topologies.flavors, asks, situation).outcomes
    world.give_back(holdings)
    found = {name: one if isinstance(one, Placement) else None for name, one in outcomes.items()}
    return replace(assignment, pod_sets=tuple(_placed(one, found) for one in assignment.pod_sets))


def usage_of(world: World, entry: Entry, quota: Mapping[int, int] | None = None) -> Usage:
    """What the entry adds to what it holds already; `quota`: amounts by cell, instead of the assignment's."""
    queue, assignment = entry.queue, entry.assignment
    if queue is None or assignment is None:
        return Usage((), {})
    places = {}
    if world.snapshot.gates.topology_aware_scheduling:
        places = _added_places(entry, queue, assignment)
    if holds_reservation(entry.info.object):
        return Usage((), places)
    if quota is not None:
        return Usage(tuple(quota.items()), places)
    return Usage(world.snapshot.charges(queue.name, assignment.usage), places)


def _is_explicit(pod_set: PodSet) -> bool:
    """Whether the PodSet itself says anything about its places."""
    request = given(pod_set.topology_request, None)
    if request is None:
        return False
    return any(getattr(request, name) != getattr(_NO_REQUEST, name) for name in _SAYS)


_NO_REQUEST = PodSetTopologyRequest()
_SAYS = (
    "unconstrained",
    "required",
    "preferred",
    "pod_set_slice_required_topology",
    "pod_set_slice_size",
    "podset_slice_required_topology_constraints",
)


def _on_any(placement: Placement, nodes: frozenset[str]) -> bool:
    return any(domain.values[-1] in nodes for domain in placement.domains)


def _placed(one: PodSetAssignment, found: Mapping[str, Placement | None]) -> PodSetAssignment:
    if one.name not in found:
        return one
    place = found[one.name]
    delayed = "Ready" if place is not None and one.delayed_topology is not None else one.delayed_topology
    return replace(one, topology=place, delayed_topology=delayed)


def _added_places(entry: Entry, queue: Queue, assignment: Assignment) -> dict[str, tuple[DomainUsage, ...]]:
    """By flavor, pods that have no place yet; a domain that has fewer pods than before frees nothing."""
    if all(one.topology is None for one in assignment.pod_sets):
        return {}
    objects = {pod_set_name(one): one for one in pod_sets_of(entry.info.object)}
    added: dict[str, tuple[DomainUsage, ...]] = {}
    held = _held_places(entry.info)
    for one in assignment.pod_sets:
        flavor = topology_flavor(one.flavors, queue)
        if one.topology is None or isinstance(flavor, Reason):
            continue
        before, requests = held.get(one.name, {}), amounts_of_pod(objects[one.name])
        more = [
            DomainUsage(domain.values, requests, domain.count - before.get(domain.values, 0))
            for domain in one.topology.domains
        ]
        uses = tuple(use for use in more if use.count > 0)
        if uses:
            added[flavor] = added.get(flavor, ()) + uses
    return added


def _held_places(info: WorkloadInfo) -> dict[str, dict[tuple[str, ...], int]]:
    admission = given(given(info.object.status, WorkloadStatus()).admission, None)
    if admission is None:
        return {}
    found = {}
    for one in given(admission.pod_set_assignments, ()):
        topology = given(one.topology_assignment, None)
        if topology is not None:
            found[one.name] = {domain.values: domain.count for domain in unpacked(topology).domains}
    return found

"""Flavors with a topology: what their nodes have free, less what pods of others and workloads take.

Source: kueue pkg/cache/scheduler/snapshot.go, tas_flavor.go, KEP-2724.
"""

from collections.abc import Iterable, Sequence

from stellwerk.api.groups.core import Node, Pod
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.queue import Flavor
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.topology.assignment.decision import DomainUsage, Gates
from stellwerk.engine.topology.assignment.fleet.amounts import foreign_usage
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot, take_snapshot
from stellwerk.engine.topology.assignment.fleet.tree import HOSTNAME, build_tree


def flavor_snapshots(
    flavors: Iterable[Flavor],
    nodes: Sequence[Node],
    pods: Iterable[Pod],
    held: Iterable[WorkloadInfo],
    gates: FeatureGates,
) -> dict[str, FlavorSnapshot]:
    """The flavors that have a topology: their nodes, less what others' pods and workloads with quota take.

    Flavors whose lowest level is the hostname may share nodes, and then (gate TASHandleOverlappingFlavors)
    what is held through one is missing in the others.
    """
    if not gates.topology_aware_scheduling:
        return {}
    with_levels = [flavor for flavor in flavors if flavor.levels]
    foreign = foreign_usage(pods) if with_levels else {}
    used = _used(held) if with_levels else {}
    shared = overlapping(with_levels, gates)
    found = {}
    for flavor in with_levels:
        levels = flavor.levels or ()
        tree = build_tree(levels, nodes, flavor.labels, with_unready=gates.scheduler_library_integration)
        empty = take_snapshot(flavor.topology or "", tree, flavor.tolerations, foreign)
        shares = shared if flavor.name in shared else (flavor.name,)
        found[flavor.name] = empty.using([use for name in shares for use in used.get(name, ())])
    return found


def overlapping(flavors: Iterable[Flavor], gates: FeatureGates) -> tuple[str, ...]:
    """The flavors that may have nodes in common: what is held through one is missing in the others."""
    if not (gates.topology_aware_scheduling and gates.tas_handle_overlapping_flavors):
        return ()
    return tuple(one.name for one in flavors if one.levels and one.levels[-1] == HOSTNAME)


def take(
    places: dict[str, FlavorSnapshot], info: WorkloadInfo, shared: tuple[str, ...], free: bool = False
) -> None:
    """Change `places` by what a workload with quota has there; `free`: it leaves them."""
    if not places:
        return
    for flavor, uses in info.topology_usage().items():
        for name in shared if flavor in shared else (flavor,):
            if name in places:
                places[name] = places[name].without(uses) if free else places[name].using(uses)


def topology_gates(gates: FeatureGates) -> Gates:
    """The gates that change a place."""
    return Gates(
        profile_mixed=gates.tas_profile_mixed,
        balanced_placement=gates.tas_balanced_placement,
        respect_node_affinity_preferred=gates.tas_respect_node_affinity_preferred,
        handle_overlapping_flavors=gates.tas_handle_overlapping_flavors,
        elastic_slices=gates.elastic_jobs_via_workload_slices_with_tas,
        skip_reassignment_for_pod_owned=gates.skip_reassignment_for_pod_owned_workloads,
        scheduler_library=gates.scheduler_library_integration,
    )


def _used(held: Iterable[WorkloadInfo]) -> dict[str, list[DomainUsage]]:
    used: dict[str, list[DomainUsage]] = {}
    for info in held:
        for flavor, uses in info.topology_usage().items():
            used.setdefault(flavor, []).extend(uses)
    return used

"""Node replacement: the pods of a node that failed get another one, all others stay where they are.

If a slice lost pods, the new node must be in the domain of that slice; if the topology is required, in the
domain of the others. Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go (ff69552e).
"""

from collections.abc import Mapping, Sequence

from msgspec import UNSET, structs

from stellwerk.api.groups.kueue_workload import PodSetTopologyRequest
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.decision import Assignment, PodSetRequest, Unfit
from stellwerk.engine.topology.assignment.fleet.snapshot import FlavorSnapshot
from stellwerk.engine.topology.assignment.fleet.tree import Tree
from stellwerk.engine.topology.assignment.group import name_of
from stellwerk.engine.topology.assignment.merge import gone_domain, merged
from stellwerk.engine.topology.assignment.search.place import Terms, place
from stellwerk.engine.topology.assignment.search.wish import Layer, asked_level, layers_of, slice_size_of


def replace_node(
    snapshot: FlavorSnapshot, request: PodSetRequest, existing: Assignment, node: str, terms: Terms
) -> tuple[Assignment, Assignment] | Unfit:
    """The assignment without `node`, and what was added to it; or why its pods have no other place.

    `request.count` does not matter: as many pods are placed as were on the node.
    """
    lost = [domain for domain in existing.domains if domain.values[-1] == node]
    rest = structs.replace(existing, domains=tuple(d for d in existing.domains if d.values[-1] != node))
    missing = structs.replace(request, count=lost[-1].count if lost else 0)
    stale = gone_domain(snapshot.tree, rest)
    if stale is not None:
        return Reason(
            "stale-domain",
            "Cannot replace the node, because the existing topologyAssignment is invalid, "
            "as it contains the stale domain {domain}",
            {"domain": stale},
        )
    asked = given(request.pod_set.topology_request, None)
    layers = layers_of(asked)
    within = _required_domain(snapshot.tree, missing, rest, layers)
    size = slice_size_of(layers)
    if isinstance(size, Reason):
        return size
    if asked is not None and layers and within and missing.count % size:
        asked = _narrowed(asked, layers, missing.count)
        missing = structs.replace(missing, pod_set=structs.replace(missing.pod_set, topology_request=asked))
    placed = place(snapshot, missing, None, structs.replace(terms, within=within, empty=False))
    if not isinstance(placed, Mapping):
        return placed
    added = placed[name_of(request)]
    if not added.domains:
        return Reason(
            "no-replacement",
            "cannot find replacement assignment for unhealthy node: {node}",
            {"node": node},
        )
    return merged(snapshot.tree, added, rest), added


def _narrowed(asked: PodSetTopologyRequest, layers: Sequence[Layer], count: int) -> PodSetTopologyRequest:
    """A part of a slice can only keep together what the innermost layer whose size divides it does."""
    level, size = next(((level, size) for level, size in reversed(layers) if count % size == 0), (UNSET, 1))
    return structs.replace(
        asked,
        podset_slice_required_topology_constraints=UNSET,
        pod_set_slice_required_topology=level,
        pod_set_slice_size=size,
    )


def _required_domain(tree: Tree, missing: PodSetRequest, rest: Assignment, layers: Sequence[Layer]) -> str:
    """The id of the only domain that will do, "" if there is none such."""
    asked = given(missing.pod_set.topology_request, None)
    key = asked_level(tree, asked, missing.implied)
    level = None if key is None else tree.level_of(key)
    size = slice_size_of(layers)
    if level is None or not rest.domains or isinstance(size, Reason):
        return ""
    if layers and missing.count % size:
        broken = (layer for layer in reversed(layers) if missing.count % layer[1])
        return _incomplete_domain(tree, rest, missing.count, next(broken, layers[0]))
    if asked is None or given(asked.required, None) is None:
        return ""
    leaf = tree.leaf_of[rest.domains[0].domain]
    return tree.levels[level].ids[tree.ancestor(leaf, level)]


def _incomplete_domain(tree: Tree, rest: Assignment, missing: int, layer: Layer) -> str:
    """The first domain of the layer's level that the missing pods would complete."""
    key, size = layer
    level = tree.level_of(key)
    if level is None:
        return ""
    pods: dict[str, int] = {}
    for domain in rest.domains:
        leaf = tree.leaf_of[domain.domain]
        place_id = tree.levels[level].ids[tree.ancestor(leaf, level)]
        pods[place_id] = pods.get(place_id, 0) + domain.count
    return next((place_id for place_id, count in pods.items() if (count + missing) % size == 0), "")

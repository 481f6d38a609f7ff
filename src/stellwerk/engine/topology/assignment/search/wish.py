"""What a PodSet asks of the topology, as levels and sizes of one tree; or why the tree cannot give it.

Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, pkg/util/tas/tas.go (ff69552e).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from stellwerk.api.groups.kueue_workload import PodSetTopologyRequest
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.topology.assignment.fleet.tree import Tree

Layer = tuple[str, int]  # Pods in slices of this size share a domain of this level.


class Wish(Struct, frozen=True, kw_only=True):
    """`level`: where all pods should be together; `slice_level`: where each slice of `slice_size` must be.

    `inner[level]`: the size in which pods are spread below the slice level, where more layers ask for it.
    `layers` are given in Kueue's sense only if there is such an inner one.
    """

    level: int
    slice_level: int
    slice_size: int = 1
    required: bool = False
    unconstrained: bool = False
    inner: Mapping[int, int] = {}
    layers: tuple[Layer, ...] = ()


def wish_of(tree: Tree, asked: PodSetTopologyRequest | None, implied: bool) -> Wish | Reason:
    """What is asked, or the Reason why it cannot be read in this tree."""
    layers = layers_of(asked)
    slice_size = slice_size_of(layers)
    if isinstance(slice_size, Reason):
        return slice_size
    key = asked_level(tree, asked, implied)
    if key is None:
        return Reason("no-level", "topology level not specified")
    level = tree.level_of(key)
    if level is None:
        return Reason("unknown-level", "no requested topology level: {level}", {"level": key})
    slice_key = layers[0][0] if layers else tree.levels[-1].key
    slice_level = tree.level_of(slice_key)
    if slice_level is None:
        return Reason(
            "unknown-slice-level", "no requested topology level for slices: {level}", {"level": slice_key}
        )
    if level > slice_level:
        return Reason(
            "slices-above",
            "podset slice topology {slices} is above the podset topology {level}",
            {"slices": slice_key, "level": key},
        )
    inner = _inner_sizes(tree, layers, slice_level)
    if isinstance(inner, Reason):
        return inner
    return Wish(
        level=level,
        slice_level=slice_level,
        slice_size=slice_size,
        required=asked is not None and given(asked.required, None) is not None,
        unconstrained=implied or _is_unconstrained(asked),
        inner=inner,
        layers=layers if inner else (),
    )


def has_levels(tree: Tree, asked: PodSetTopologyRequest | None) -> bool:
    """Whether the tree has every level that the request names; a request that names none has none."""
    key = asked_level(tree, asked, implied=False)
    return key is not None and all(
        tree.level_of(each) is not None for each in (key, *(level for level, _ in layers_of(asked)))
    )


def layers_of(asked: PodSetTopologyRequest | None) -> tuple[Layer, ...]:
    """The slices asked for, outermost first; the older two fields are one layer."""
    if asked is None:
        return ()
    constraints = given(asked.podset_slice_required_topology_constraints, ())
    if constraints:
        return tuple((given(one.topology, ""), given(one.size, 0)) for one in constraints)
    level = given(asked.pod_set_slice_required_topology, None)
    return () if level is None else ((level, given(asked.pod_set_slice_size, 0)),)


def slice_size_of(layers: Sequence[Layer]) -> int | Reason:
    """The size of the outermost slices; without slices each pod is one."""
    size = layers[0][1] if layers else 1
    return (
        size if size > 0 else Reason("no-slice-size", "slice topology requested, but slice size not provided")
    )


def asked_level(tree: Tree, asked: PodSetTopologyRequest | None, implied: bool) -> str | None:
    """The level in whose domain the pods should be; slices alone: the widest, unconstrained: the lowest."""
    lowest = tree.levels[-1].key
    if asked is not None:
        named = given(asked.required, None)
        named = given(asked.preferred, None) if named is None else named
        if named is not None:
            return named
        if layers_of(asked):
            return tree.levels[0].key
        if given(asked.unconstrained, False):
            return lowest
    return lowest if implied else None


def _is_unconstrained(asked: PodSetTopologyRequest | None) -> bool:
    if asked is None:
        return False
    named = given(asked.required, None) is not None or given(asked.preferred, None) is not None
    return given(asked.unconstrained, False) or (not named and bool(layers_of(asked)))


def _inner_sizes(tree: Tree, layers: Sequence[Layer], slice_level: int) -> dict[int, int] | Reason:
    """Level to slice size below the outermost layer: levels between two layers take the inner one's."""
    sizes: dict[int, int] = {}
    above = slice_level
    for (_, outer_size), (key, size) in pairwise(layers):
        level = tree.level_of(key)
        if level is None:
            return Reason(
                "unknown-layer-level",
                "no requested topology level for additional slice layer: {level}",
                {"level": key},
            )
        if level <= above:
            return Reason(
                "layer-above",
                "additional slice layer topology {level} must be at a lower level than {above}",
                {"level": key, "above": tree.levels[above].key},
            )
        if size <= 0 or outer_size % size:
            return Reason(
                "layer-size",
                "additional slice layer size {size} must evenly divide parent layer size {outer}",
                {"size": size, "outer": outer_size},
            )
        sizes |= dict.fromkeys(range(above + 1, level + 1), size)
        above = level
    return sizes

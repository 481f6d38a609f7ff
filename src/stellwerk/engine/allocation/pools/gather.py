"""The pools that a node can use: newest generation only, complete, with names and counters that add up.

Source: pools_experimental.go in structured/internal/experimental (Kubernetes 1.37), KEP-4381, KEP-4815.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import given
from stellwerk.engine.allocation.decision import AllocationError, Features
from stellwerk.engine.allocation.pools.node_match import node_matches
from stellwerk.engine.allocation.pools.offered import Offered, OfferedDevice, OfferedSlice, PoolID


class Pool(Struct, frozen=True, eq=False, kw_only=True):
    """A pool as one node sees it; an incomplete or invalid one (`invalid` says why) offers no devices.

    `devices` can be used on the node, in search order; `elsewhere` are the others, whose counters count too.
    """

    id: PoolID
    incomplete: bool = False
    invalid: str = ""
    devices: tuple[OfferedDevice, ...] = ()
    elsewhere: tuple[OfferedDevice, ...] = ()
    counter_sets: Mapping[tuple[str, str], int] = {}

    @property
    def name(self) -> str:
        """As error texts show it."""
        return "/".join(self.id)


class NodeView(Struct, frozen=True, eq=False):
    """A node's pools, and the devices of the usable ones in the order in which they are tried."""

    node: Node
    pools: tuple[Pool, ...]
    devices: tuple[OfferedDevice, ...]
    by_id: Mapping[PoolID, Pool]
    span: tuple[int, int] | None = (
        None  # Where its devices lie in columns, if all are ordinary and side by side.
    )
    problem: str = ""  # Why the pools cannot be gathered: aborts each allocation on this node.


def view_of(offered: Offered, node: Node, features: Features) -> NodeView:
    """The node's view, remembered with the slices."""
    views: dict[str, NodeView] = offered.views.setdefault(features, {})
    name = given(node.metadata.name, "")
    known = views.get(name)
    if known is None or (known.node is not node and known.node != node):
        known = views[name] = _view(offered, node, features)
    return known


def _view(offered: Offered, node: Node, features: Features) -> NodeView:
    try:
        pools = _gather(offered, node, features)
    except AllocationError as error:
        return NodeView(node, (), (), {}, None, f"gather pool information: {error.text}")
    devices = tuple(device for pool in pools for device in pool.devices)
    return NodeView(node, pools, devices, {pool.id: pool for pool in pools}, _span(pools, devices))


def _span(pools: Sequence[Pool], devices: Sequence[OfferedDevice]) -> tuple[int, int] | None:
    if not devices or any(pool.incomplete or pool.invalid for pool in pools):
        return None
    first = devices[0].index
    side_by_side = all(device.index == first + i and device.ordinary for i, device in enumerate(devices))
    return (first, first + len(devices)) if side_by_side else None


def _gather(offered: Offered, node: Node, features: Features) -> tuple[Pool, ...]:
    found: dict[PoolID, list[OfferedSlice]] = {}
    for slice_ in (*offered.on_node.get(given(node.metadata.name, ""), ()), *offered.shared):
        if _is_readable(slice_, features) and _is_relevant(slice_, node):
            _add_newest(found.setdefault(slice_.pool, []), slice_)
    pools = [
        pool for key, slices in found.items() if (pool := _pool(offered, key, slices, features)) is not None
    ]
    # Pools whose devices need preparation after the pod is bound come last.
    return tuple(sorted(pools, key=lambda pool: (_binds(pool), pool.id)))


def _is_readable(slice_: OfferedSlice, features: Features) -> bool:
    partitionable = given(slice_.spec.shared_counters, ()) or slice_.spec.per_device_node_selection in (
        True,
        False,
    )
    if partitionable and not features.partitionable_devices:
        return False
    return features.compatibility_groups or not slice_.uses_groups


def _is_relevant(slice_: OfferedSlice, node: Node) -> bool:
    spec = slice_.spec
    selector = given(spec.node_selector, None)
    all_nodes = given(spec.all_nodes, False)
    if name := given(spec.node_name, ""):
        return name == given(node.metadata.name, "")
    if all_nodes or selector is not None:
        return node_matches(node, None, all_nodes, selector)
    # Without per-device selection either, it is a kind of slice that this version does not know.
    return slice_.spec.per_device_node_selection is True and any(
        device_matches(node, device) for device in slice_.devices
    )


def device_matches(node: Node, device: OfferedDevice) -> bool:
    """Whether a device of a slice with perDeviceNodeSelection can be used on the node."""
    one = device.device
    return node_matches(
        node, given(one.node_name, None), given(one.all_nodes, False), given(one.node_selector, None)
    )


def _add_newest(slices: list[OfferedSlice], slice_: OfferedSlice) -> None:
    if slices and slice_.spec.pool.generation > slices[0].spec.pool.generation:
        slices.clear()
    if not slices or slice_.spec.pool.generation == slices[0].spec.pool.generation:
        slices.append(slice_)


def _pool(offered: Offered, key: PoolID, slices: list[OfferedSlice], features: Features) -> Pool | None:
    """The pool, or None while a newer generation, not yet usable here, replaces these slices."""
    wanted = slices[0].spec.pool
    if len(slices) == wanted.resource_slice_count:
        return _built(key, slices, (), features)
    everywhere = offered.of_pool[key]
    if any(one.spec.pool.generation > wanted.generation for one in everywhere):
        return None
    current = [one for one in everywhere if one.spec.pool.generation == wanted.generation]
    if not features.compatibility_groups:
        current = [one for one in current if not one.uses_groups]
    if len(current) != wanted.resource_slice_count:
        return Pool(id=key, incomplete=True)
    names = {one.name for one in slices}
    others = [one for one in current if one.name not in names] if len(slices) < len(current) else []
    return _built(key, slices, others, features)


def _built(
    key: PoolID, here: Sequence[OfferedSlice], others: Sequence[OfferedSlice], features: Features
) -> Pool:
    counted = features.partitionable_devices
    ordered = sorted(here, key=lambda one: one.name)
    mine = _devices(ordered, counted)
    elsewhere = _devices(others, counted)
    names = [device.id.device for device in mine]
    if twice := _twice(names):
        return Pool(id=key, invalid=f"duplicate device name {twice}")
    if not counted:
        return Pool(id=key, devices=mine)
    sets = [one for slice_ in (*ordered, *others) for one in slice_.counter_sets]
    if twice := _twice([name for name, _ in sets]):
        return Pool(id=key, invalid=f"duplicate counter set name {twice}")
    amounts = {(name, counter): amount for name, counters in sets for counter, amount in counters.items()}
    known = {name for name, _ in sets}
    if unknown := _unknown((*mine, *elsewhere), known, amounts):
        return Pool(id=key, invalid=unknown)
    return Pool(id=key, devices=mine, elsewhere=elsewhere, counter_sets=amounts)


def _devices(slices: Iterable[OfferedSlice], counted: bool) -> tuple[OfferedDevice, ...]:
    """All devices but those of slices that hold counter sets (which may have none)."""
    return tuple(
        device for slice_ in slices if not (counted and slice_.counter_sets) for device in slice_.devices
    )


def _twice(names: Sequence[str]) -> str:
    seen: set[str] = set()
    if len(set(names)) == len(names):
        return ""
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _unknown(
    devices: Iterable[OfferedDevice], sets: set[str], counters: Mapping[tuple[str, str], int]
) -> str:
    for device in devices:
        for name, _ in device.groups:
            if name not in sets:
                return f"counter set {name} not found"
        for (name, counter), _ in device.counters:
            if (name, counter) not in counters:
                return f"counter {counter} not found in counter set {name}"
    return ""


def _binds(pool: Pool) -> bool:
    return any(given(device.device.binding_conditions, None) is not None for device in pool.devices)

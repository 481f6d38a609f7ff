"""The ResourceSlices as the allocator sees them: by node and by pool, each device with a number.

What selectors and attributes say of a device never changes while the slices stay the same, so it is kept in
columns: one cell per device, filled when first asked for. A snapshot is made once and asked many times.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import UNSET, Struct

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import Device, DeviceTaint, ResourceSlice, ResourceSliceSpec
from stellwerk.cel.device import CelDevice, cel_device
from stellwerk.engine.allocation.decision import DeviceID

PoolID = tuple[str, str]  # Driver and pool.
Consumption = tuple[tuple[str, str], int]  # (counter set, counter) and billionths.
MOST_CELLS = 8_000_000  # Of all columns together, 64 MB; beyond that they are forgotten and filled anew.
_PREVENTING = ("NoSchedule", "NoExecute")  # Other effects, None among them, are only information.


class OfferedDevice(Struct, frozen=True, eq=False, kw_only=True):
    """A device with what is asked of it in the search made ready; `index` is its place in every column.

    `ordinary`: nothing but its selectors and its being in use decides on it.
    """

    index: int
    id: DeviceID
    device: Device
    spec: ResourceSliceSpec
    taints: tuple[DeviceTaint, ...]
    counters: tuple[Consumption, ...]
    groups: tuple[tuple[str, frozenset[str]], ...]
    multiple: bool
    skips_operations: bool
    per_device_nodes: bool
    ordinary: bool

    @property
    def pool(self) -> PoolID:
        """The pool's driver and name."""
        return self.id.driver, self.id.pool


class OfferedSlice(Struct, frozen=True, eq=False):
    """A slice, its devices, and its counter sets in billionths: (set, {counter: amount}) in their order."""

    name: str
    spec: ResourceSliceSpec
    devices: tuple[OfferedDevice, ...]
    counter_sets: tuple[tuple[str, dict[str, int]], ...]
    uses_groups: bool

    @property
    def pool(self) -> PoolID:
        """The pool's driver and name."""
        return self.spec.driver, self.spec.pool.name


class Column:
    """One value per device, worked out by `fill` when it is first asked for."""

    __slots__ = ("cells", "fill")

    def __init__(self, size: int, fill: Callable[[OfferedDevice], Any]) -> None:
        self.cells: list[Any] = [None] * size
        self.fill = fill

    def of(self, device: OfferedDevice) -> Any:
        """The device's value; never None."""
        value = self.cells[device.index]
        if value is None:
            value = self.cells[device.index] = self.fill(device)
        return value


class Offered:
    """All slices, indexed. Its columns and views only remember what follows from the slices."""

    def __init__(self, slices: Iterable[ResourceSlice]) -> None:
        self.devices: list[OfferedDevice] = []
        self.slices: list[OfferedSlice] = []
        self.on_node: dict[str, list[OfferedSlice]] = {}
        self.shared: list[OfferedSlice] = []
        self.of_pool: dict[PoolID, list[OfferedSlice]] = {}
        self.views: dict[Any, Any] = {}
        self._columns: dict[Any, Column] = {}
        self._by_id: dict[DeviceID, list[int]] | None = None
        self._views: list[CelDevice | None] = []
        for slice_ in slices:
            self._add(slice_)
        self._views = [None] * len(self.devices)

    def _add(self, slice_: ResourceSlice) -> None:
        offered = _offered_slice(slice_, len(self.devices))
        self.slices.append(offered)
        self.devices.extend(offered.devices)
        self.of_pool.setdefault(offered.pool, []).append(offered)
        node = given(offered.spec.node_name, "")
        (self.on_node.setdefault(node, []) if node else self.shared).append(offered)

    def column(self, key: Any, fill: Callable[[OfferedDevice], Any]) -> Column:
        """The column under `key`, made with `fill` if it is new: `key` says all that `fill` depends on."""
        column = self._columns.get(key)
        if column is None:
            if (len(self._columns) + 1) * len(self.devices) > MOST_CELLS:
                self.forget_columns()
            column = self._columns[key] = Column(len(self.devices), fill)
        return column

    def forget_columns(self) -> None:
        """Give the memory of all columns back; questions that hold some keep them."""
        self._columns.clear()

    def cel(self, device: OfferedDevice) -> CelDevice:
        """The device as CEL sees it."""
        view = self._views[device.index]
        if view is None:
            view = self._views[device.index] = cel_device(device.id.driver, device.device)
        return view

    def indexes(self, ids: Iterable[DeviceID]) -> frozenset[int]:
        """The numbers of these devices; an old generation's device of the same name counts too."""
        if self._by_id is None:
            self._by_id = {}
            for device in self.devices:
                self._by_id.setdefault(device.id, []).append(device.index)
        return frozenset(index for one in ids for index in self._by_id.get(one, ()))


def _offered_slice(slice_: ResourceSlice, first: int) -> OfferedSlice:
    spec = slice_.spec
    devices = tuple(_offered(spec, device, first + i) for i, device in enumerate(given(spec.devices, ())))
    return OfferedSlice(
        given(slice_.metadata.name, ""),
        spec,
        devices,
        tuple(
            (one.name, {name: counter.value.nanos for name, counter in given(one.counters, {}).items()})
            for one in given(spec.shared_counters, ())
        ),
        any(groups for device in devices for _, groups in device.groups),
    )


def _offered(spec: ResourceSliceSpec, device: Device, index: int) -> OfferedDevice:
    consumed = given(device.consumes_counters, ())
    taints = tuple(one for one in given(device.taints, ()) if one.effect in _PREVENTING)
    multiple = given(device.allow_multiple_allocations, False)
    skips = bool(given(spec.skip_node_operations, ()))
    per_device = given(spec.per_device_node_selection, False)
    special = (consumed, taints, multiple, skips, per_device, given(device.binding_conditions, ()))
    return OfferedDevice(
        index=index,
        id=DeviceID(spec.driver, spec.pool.name, device.name),
        device=device,
        spec=spec,
        taints=taints,
        counters=tuple(
            ((one.counter_set, name), counter.value.nanos)
            for one in consumed
            for name, counter in given(one.counters, {}).items()
        ),
        groups=tuple((one.counter_set, frozenset(given(one.compatibility_groups, ()))) for one in consumed),
        multiple=multiple,
        skips_operations=skips,
        per_device_nodes=per_device,
        ordinary=not any(special) and _takes_itself_whole(device),
    )


def _takes_itself_whole(device: Device) -> bool:
    """Whether a request without amounts takes just what the device has: nothing to compare."""
    return all(
        one.request_policy is UNSET and one.value.nanos >= 0 for one in given(device.capacity, {}).values()
    )


def offered(slices: Sequence[ResourceSlice]) -> Offered:
    """The index of these slices (any number of nodes, pools and generations)."""
    return Offered(slices)

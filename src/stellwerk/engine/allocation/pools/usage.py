"""Which of the offered devices are in use, by number: the allocated state as the search reads it."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET, Struct

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import AllocationResult
from stellwerk.engine.allocation.decision import AllocatedState, DeviceID
from stellwerk.engine.allocation.pools.gather import Pool
from stellwerk.engine.allocation.pools.offered import Offered


class Usage(Struct, frozen=True, eq=False):
    """Numbers of devices in use and of devices with shares in use; what the shares consume, in billionths."""

    used: frozenset[int]
    shared: frozenset[int]
    capacity: Mapping[int, Mapping[str, int]]
    flags: bytes  # One byte a device: whether it is in use.

    @property
    def is_plain(self) -> bool:
        """Whether no device has shares in use."""
        return not self.shared and not self.capacity

    def holds(self, index: int) -> bool:
        """Whether anything of the device is allocated, so that it consumes its counters."""
        return index in self.used or index in self.shared or index in self.capacity


def usage_of(offered: Offered, state: AllocatedState) -> Usage:
    """The state by device numbers; devices that are not offered (any more) fall away."""
    used = offered.indexes(state.devices)
    return Usage(
        used,
        offered.indexes(state.shared),
        _by_index(offered, state.capacity),
        _flags(bytes(len(offered.devices)), used),
    )


def _flags(before: bytes, used: Iterable[int]) -> bytes:
    flags = bytearray(before)
    for index in used:
        flags[index] = 1
    return bytes(flags)


def usage_after(offered: Offered, usage: Usage, results: Sequence[AllocationResult]) -> Usage:
    """The usage after these claims were allocated, as `usage_of` the state `with_results` would give it."""
    added = with_results(AllocatedState(), results)
    used = offered.indexes(added.devices)
    return Usage(
        usage.used | used,
        usage.shared | offered.indexes(added.shared),
        _with_shares(offered, usage.capacity, added.capacity) if added.capacity else usage.capacity,
        _flags(usage.flags, used),
    )


def _with_shares(
    offered: Offered, held: Mapping[int, Mapping[str, int]], more: Mapping[DeviceID, Mapping[str, int]]
) -> dict[int, Mapping[str, int]]:
    capacity = dict(held)
    for index, added in _by_index(offered, more).items():
        before = capacity.get(index, {})
        capacity[index] = {**before, **{name: before.get(name, 0) + amount for name, amount in added.items()}}
    return capacity


def _by_index(
    offered: Offered, capacity: Mapping[DeviceID, Mapping[str, int]]
) -> dict[int, Mapping[str, int]]:
    return {index: amounts for device, amounts in capacity.items() for index in offered.indexes((device,))}


def with_results(state: AllocatedState, results: Iterable[AllocationResult]) -> AllocatedState:
    """The state after these claims were allocated: admin access uses nothing up, a share its capacity."""
    devices, shared = set(state.devices), set(state.shared)
    capacity = dict(state.capacity)
    for result in results:
        given_devices = () if result.devices is UNSET else given(result.devices.results, ())
        for one in given_devices:
            device = DeviceID(one.driver, one.pool, one.device)
            if given(one.admin_access, False):
                continue
            if one.share_id is UNSET:
                devices.add(device)
                continue
            shared.add(device)
            amounts = dict(capacity.get(device, {}))
            for name, quantity in given(one.consumed_capacity, {}).items():
                amounts[name] = amounts.get(name, 0) + quantity.nanos
            capacity[device] = amounts
    return AllocatedState(frozenset(devices), frozenset(shared), capacity)


def available_counters(pool: Pool, usage: Usage) -> dict[tuple[str, str], int]:
    """What allocated devices leave of the pool's counters, in billionths; less than nothing is possible."""
    left = dict(pool.counter_sets)
    for device in (*pool.devices, *pool.elsewhere):
        if device.counters and usage.holds(device.index):
            for key, amount in device.counters:
                left[key] -= amount
    return left


class Groups(Struct, frozen=True):
    """Compatibility groups of the devices on a counter set: what all of them have in common.

    None: no device yet; `plain`: only devices without groups. Devices in use whose slice changed under them
    may have nothing in common: beside them no device can be had.
    Source: compatibility_groups.go in structured/internal/experimental (Kubernetes 1.37), KEP-5963.
    """

    common: frozenset[str] | None = None
    plain: bool = False

    def admits(self, groups: frozenset[str]) -> bool:
        """Whether a device of these groups may join: any if alone, one without groups only beside such."""
        if self.common is None:
            return True
        return self.plain if not groups else bool(self.common & groups)

    def joined(self, groups: frozenset[str]) -> "Groups":
        """The set with one device more; the kind of the first device stays."""
        if self.common is None:
            return Groups(groups, not groups)
        return self if self.plain or not groups else Groups(self.common & groups)


def groups_in_use(pool: Pool, usage: Usage) -> dict[str, Groups]:
    """The groups of allocated devices by counter set."""
    found: dict[str, Groups] = {}
    for device in (*pool.devices, *pool.elsewhere):
        if device.groups and usage.holds(device.index):
            for name, groups in device.groups:
                found[name] = found.get(name, Groups()).joined(groups)
    return found

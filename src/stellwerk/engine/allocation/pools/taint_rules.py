"""DeviceTaintRules: taints that an admin puts on devices without their driver.

Source: resourceslice/tracker of dynamic-resource-allocation (v0.37), KEP-5055.
"""

from collections.abc import Sequence

from msgspec import UNSET, structs

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    Device,
    DeviceTaintRule,
    DeviceTaintSelector,
    ResourceSlice,
    ResourceSliceSpec,
)


def patched_slices(
    slices: Sequence[ResourceSlice], rules: Sequence[DeviceTaintRule], *, none_means_all: bool = False
) -> tuple[ResourceSlice, ...]:
    """The slices with the rules' taints behind the devices' own, in the rules' order.

    A rule without a deviceSelector taints nothing, as the API says; up to 1.37.0 the scheduler took it for
    all devices (`none_means_all`).
    """
    rules = [_selecting(rule) if none_means_all else rule for rule in rules]
    return tuple(_patched(slice_, rules) for slice_ in slices)


def _selecting(rule: DeviceTaintRule) -> DeviceTaintRule:
    selector = given(rule.spec.device_selector, DeviceTaintSelector())
    return structs.replace(rule, spec=structs.replace(rule.spec, device_selector=selector))


def _patched(slice_: ResourceSlice, rules: Sequence[DeviceTaintRule]) -> ResourceSlice:
    here = [rule for rule in rules if _concerns(rule, slice_.spec)]
    if not here or not given(slice_.spec.devices, ()):
        return slice_
    devices = tuple(_tainted(device, here) for device in given(slice_.spec.devices, ()))
    return structs.replace(slice_, spec=structs.replace(slice_.spec, devices=devices))


def _concerns(rule: DeviceTaintRule, spec: ResourceSliceSpec) -> bool:
    """A rule without a selector taints nothing; an empty selector, everything."""
    selector = rule.spec.device_selector
    if selector is UNSET:
        return False
    return given(selector.driver, spec.driver) == spec.driver and (
        given(selector.pool, spec.pool.name) == spec.pool.name
    )


def _tainted(device: Device, rules: Sequence[DeviceTaintRule]) -> Device:
    taints = tuple(
        rule.spec.taint
        for rule in rules
        if rule.spec.device_selector is not UNSET
        and given(rule.spec.device_selector.device, device.name) == device.name
    )
    return structs.replace(device, taints=given(device.taints, ()) + taints) if taints else device

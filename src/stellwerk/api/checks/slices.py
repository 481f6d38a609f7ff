"""resource.k8s.io: ResourceSlices, as the API server checks them.

Source: pkg/apis/resource/validation/validation.go and types.go (Kubernetes 1.37).
"""

from collections.abc import Iterator, Mapping

from msgspec import UNSET, UnsetType

from stellwerk.api.checks.claims import check_taint
from stellwerk.api.checks.limits import (
    check_driver,
    check_most,
    check_qualified,
    check_unique,
    missing,
    one_of,
)
from stellwerk.api.checks.names import check_name, is_subdomain
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.core import NodeSelector
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import Counter, Device, DeviceAttribute, ResourceSlice, ResourceSliceSpec
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.yaml_events import key_path

MAX_DEVICES, MAX_SPECIAL_DEVICES = 128, 64
MAX_COUNTER_SETS, MAX_COUNTERS, MAX_CONSUMED_SETS, MAX_GROUPS = 8, 32, 2, 2
MAX_ATTRIBUTES, MAX_VALUES, MAX_VALUE_LENGTH, MAX_TAINTS, MAX_CONDITIONS = 32, 48, 64, 16, 4
_LISTS = ("ints", "bools", "strings", "versions")
_VALUES = ("int_", "bool_", "string", "version", *_LISTS)


def check_slice(manifest: Manifest, slice_: ResourceSlice) -> None:
    """A ResourceSlice; raises InvalidInput. Devices beside sharedCounters are let through: 1.34 had them."""
    spec = slice_.spec
    check_driver(manifest, "spec.driver", spec.driver)
    _check_pool(manifest, spec)
    _check_place(manifest, spec)
    devices, sets = given(spec.devices, ()), given(spec.shared_counters, ())
    special = any(one.taints or one.consumes_counters or any(_listed(one)) for one in devices)
    check_most(manifest, "spec.devices", devices, MAX_SPECIAL_DEVICES if special else MAX_DEVICES)
    check_unique(manifest, "spec.devices", (one.name for one in devices))
    for i, device in enumerate(devices):
        _check_device(manifest, f"spec.devices[{i}]", device, given(spec.per_device_node_selection, False))
    check_most(manifest, "spec.sharedCounters", sets, MAX_COUNTER_SETS)
    check_unique(manifest, "spec.sharedCounters", (one.name for one in sets))
    for i, one in enumerate(sets):
        check_name(manifest, f"spec.sharedCounters[{i}].name", one.name, label=True)
        _check_counters(manifest, f"spec.sharedCounters[{i}].counters", one.counters)


def _check_pool(manifest: Manifest, spec: ResourceSliceSpec) -> None:
    if len(spec.pool.name) > 253 or not all(map(is_subdomain, spec.pool.name.split("/"))):
        raise InvalidInput(
            "{name} is not a valid name of a pool",
            fix="use DNS names joined by '/', at most 253 characters",
            **manifest.at("spec.pool.name"),
            name=shown(spec.pool.name) or '""',
        )
    for field, number, least in (
        ("resourceSliceCount", spec.pool.resource_slice_count, 1),
        ("generation", spec.pool.generation, 0),
    ):
        if number < least:
            raise InvalidInput(
                "{number} is less than {least}",
                fix="write the number as the driver published it",
                **manifest.at(f"spec.pool.{field}"),
                number=number,
                least=least,
            )


def _check_place(manifest: Manifest, spec: ResourceSliceSpec) -> None:
    """One field says on which nodes the devices are; a selector has one term, so that terms can be merged."""
    there = [
        spec.node_name is not UNSET,
        spec.node_selector is not UNSET,
        spec.all_nodes is not UNSET,
        spec.per_device_node_selection is not UNSET,
    ]
    if sum(there) != 1 or False in (spec.all_nodes, spec.per_device_node_selection) or spec.node_name == "":
        raise one_of(manifest, "spec", "nodeName, nodeSelector, allNodes: true, perDeviceNodeSelection: true")
    if spec.node_selector is not UNSET:
        _check_one_term(manifest, "spec.nodeSelector", spec.node_selector)


def _check_one_term(manifest: Manifest, path: str, selector: NodeSelector) -> None:
    if len(selector.node_selector_terms) != 1:
        raise InvalidInput(
            "the node selector has {count} terms, one is needed",
            fix="keep one term",
            **manifest.at(f"{path}.nodeSelectorTerms"),
            count=len(selector.node_selector_terms),
        )


def _check_device(manifest: Manifest, path: str, device: Device, per_device: bool) -> None:
    check_name(manifest, f"{path}.name", device.name, label=True)
    attributes, capacity = given(device.attributes, {}), given(device.capacity, {})
    if len(attributes) + len(capacity) > MAX_ATTRIBUTES or _values(device) > MAX_VALUES:
        check_most(manifest, path, [*attributes, *capacity], MAX_ATTRIBUTES)
        check_most(manifest, f"{path}.attributes", range(_values(device)), MAX_VALUES)
    for name, attribute in attributes.items():
        place = key_path(f"{path}.attributes", name)
        check_qualified(manifest, place, name)
        _check_attribute(manifest, place, attribute)
    for name in capacity:
        check_qualified(manifest, key_path(f"{path}.capacity", name), name)
    for field, items, most in (
        ("taints", device.taints, MAX_TAINTS),
        ("consumesCounters", device.consumes_counters, MAX_CONSUMED_SETS),
        ("bindingConditions", device.binding_conditions, MAX_CONDITIONS),
        ("bindingFailureConditions", device.binding_failure_conditions, MAX_CONDITIONS),
    ):
        check_most(manifest, f"{path}.{field}", items, most)
    for i, taint in enumerate(given(device.taints, ())):
        check_taint(manifest, f"{path}.taints[{i}]", taint)
    for i, consumed in enumerate(given(device.consumes_counters, ())):
        _check_counters(manifest, f"{path}.consumesCounters[{i}].counters", consumed.counters)
        groups = consumed.compatibility_groups
        check_most(manifest, f"{path}.consumesCounters[{i}].compatibilityGroups", groups, MAX_GROUPS)
    places = (device.node_name, device.node_selector, device.all_nodes)
    if sum(one is not UNSET for one in places) != int(per_device):
        raise InvalidInput(
            "a device has one of nodeName, nodeSelector, allNodes with perDeviceNodeSelection, else none",
            fix="set perDeviceNodeSelection and one of the three, or none of them",
            **manifest.at(path),
        )


def _check_attribute(manifest: Manifest, path: str, attribute: DeviceAttribute) -> None:
    there = [field for field in _VALUES if getattr(attribute, field) is not UNSET]
    if len(there) != 1:
        raise one_of(manifest, path, "int, bool, string, version, ints, bools, strings, versions")
    value = getattr(attribute, there[0])
    texts = value if isinstance(value, tuple) else (value,)
    if not texts:
        raise missing(manifest, path, "value")
    for text in texts:
        if isinstance(text, str) and len(text.encode(errors="surrogatepass")) > MAX_VALUE_LENGTH:
            raise InvalidInput(
                "the value {value} is longer than {most} bytes",
                fix="shorten it",
                **manifest.at(path),
                value=shown(text),
                most=MAX_VALUE_LENGTH,
            )


def _listed(device: Device) -> Iterator[bool]:
    for attribute in given(device.attributes, {}).values():
        yield any(getattr(attribute, field) is not UNSET for field in _LISTS)


def _values(device: Device) -> int:
    """How many values the attributes have, each of a list by itself."""
    lists = (
        sum(len(given(getattr(attribute, field), ())) for field in _LISTS)
        for attribute in given(device.attributes, {}).values()
    )
    return sum(max(1, count) for count in lists)


def _check_counters(manifest: Manifest, path: str, counters: Mapping[str, Counter] | UnsetType) -> None:
    if not given(counters, {}):
        raise missing(manifest, path, "counters")
    check_most(manifest, path, counters, MAX_COUNTERS)

"""resource.k8s.io: ResourceSlices, as the API server checks them.

Source: pkg/apis/resource/validation/validation.go and types.go (Kubernetes 1.37).
"""

from collections.abc import Iterator, Mapping

from msgspec import UNSET, UnsetType

from stellwerk.api.checks.devices.claims import taint_refusals
from stellwerk.api.checks.devices.names import driver_refusal, qualified_refusal
from stellwerk.api.checks.names import is_subdomain, name_refusal
from stellwerk.api.checks.refusal import Refusal, in_set, missing, one_of, quoted, too_many
from stellwerk.api.groups.core import NodeSelector
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    Counter,
    CounterSet,
    Device,
    DeviceAttribute,
    DeviceCounterConsumption,
    ResourceSliceSpec,
)
from stellwerk.api.mismatch import shown
from stellwerk.api.yaml_events import key_path

MAX_DEVICES, MAX_SPECIAL_DEVICES = 128, 64
MAX_COUNTER_SETS, MAX_COUNTERS, MAX_CONSUMED_SETS, MAX_GROUPS = 8, 32, 2, 2
MAX_ATTRIBUTES, MAX_VALUES, MAX_VALUE_LENGTH, MAX_TAINTS, MAX_CONDITIONS = 32, 48, 64, 16, 4
_PLACE = "a device has one of nodeName, nodeSelector, allNodes with perDeviceNodeSelection, else none"
_LISTS = ("ints", "bools", "strings", "versions")
_VALUES = ("int_", "bool_", "string", "version", *_LISTS)


def slice_refusals(spec: ResourceSliceSpec) -> Iterator[Refusal]:
    """What is refused in a ResourceSlice. Devices beside sharedCounters are let through: 1.34 had them."""
    yield from driver_refusal("spec.driver", spec.driver)
    yield from _pool(spec)
    yield from _place(spec)
    devices, sets = given(spec.devices, ()), given(spec.shared_counters, ())
    special = any(one.taints or one.consumes_counters or any(_listed(one)) for one in devices)
    per_device = given(spec.per_device_node_selection, False)

    def device(at: str, each: Device) -> Iterator[Refusal]:
        yield from _device(at, each)
        yield from _device_place(at, each, per_device)

    most = MAX_SPECIAL_DEVICES if special else MAX_DEVICES
    yield from in_set("spec.devices", devices, most, device, lambda each: each.name)
    yield from in_set("spec.sharedCounters", sets, MAX_COUNTER_SETS, _counter_set, lambda each: each.name)


def _pool(spec: ResourceSliceSpec) -> Iterator[Refusal]:
    if len(spec.pool.name) > 253 or not all(map(is_subdomain, spec.pool.name.split("/"))):
        yield Refusal(
            code="no-pool-name",
            path="spec.pool.name",
            problem="{name} is not a valid name of a pool",
            fix="use DNS names joined by '/', at most 253 characters",
            values={"name": quoted(spec.pool.name)},
        )
    for field, number, least in (
        ("resourceSliceCount", spec.pool.resource_slice_count, 1),
        ("generation", spec.pool.generation, 0),
    ):
        if number < least:
            yield Refusal(
                code="too-few",
                path=f"spec.pool.{field}",
                problem="{number} is less than {least}",
                fix="write the number as the driver published it",
                values={"number": number, "least": least},
            )


def _place(spec: ResourceSliceSpec) -> Iterator[Refusal]:
    """One field says on which nodes the devices are; a selector has one term, so that terms can be merged."""
    there = [
        spec.node_name is not UNSET,
        spec.node_selector is not UNSET,
        spec.all_nodes is not UNSET,
        spec.per_device_node_selection is not UNSET,
    ]
    if sum(there) != 1 or False in (spec.all_nodes, spec.per_device_node_selection) or spec.node_name == "":
        yield one_of("spec", "nodeName, nodeSelector, allNodes: true, perDeviceNodeSelection: true")
    if spec.node_selector is not UNSET:
        yield from _one_term("spec.nodeSelector", spec.node_selector)


def _one_term(path: str, selector: NodeSelector) -> Iterator[Refusal]:
    if len(selector.node_selector_terms) != 1:
        yield Refusal(
            code="terms",
            path=f"{path}.nodeSelectorTerms",
            problem="the node selector has {count} terms, one is needed",
            fix="keep one term",
            values={"count": len(selector.node_selector_terms)},
        )


def _device(path: str, device: Device) -> Iterator[Refusal]:
    yield from name_refusal(f"{path}.name", device.name, label=True)
    attributes, capacity = given(device.attributes, {}), given(device.capacity, {})
    if len(attributes) + len(capacity) > MAX_ATTRIBUTES or _values(device) > MAX_VALUES:
        yield from too_many(path, [*attributes, *capacity], MAX_ATTRIBUTES)
        yield from too_many(f"{path}.attributes", range(_values(device)), MAX_VALUES)
    for name, attribute in attributes.items():
        place = key_path(f"{path}.attributes", name)
        yield from qualified_refusal(place, name, full=False)
        yield from _attribute(place, attribute)
    for name in capacity:
        yield from qualified_refusal(key_path(f"{path}.capacity", name), name, full=False)
    for field, items, most in (
        ("taints", device.taints, MAX_TAINTS),
        ("consumesCounters", device.consumes_counters, MAX_CONSUMED_SETS),
        ("bindingConditions", device.binding_conditions, MAX_CONDITIONS),
        ("bindingFailureConditions", device.binding_failure_conditions, MAX_CONDITIONS),
    ):
        yield from too_many(f"{path}.{field}", items, most)
    for i, taint in enumerate(given(device.taints, ())):
        yield from taint_refusals(f"{path}.taints[{i}]", taint)
    for i, consumed in enumerate(given(device.consumes_counters, ())):
        yield from _consumed(f"{path}.consumesCounters[{i}]", consumed)


def _device_place(path: str, device: Device, per_device: bool) -> Iterator[Refusal]:
    places = (device.node_name, device.node_selector, device.all_nodes)
    if sum(one is not UNSET for one in places) != int(per_device):
        yield Refusal(
            code="place",
            path=path,
            problem=_PLACE,
            fix="set perDeviceNodeSelection and one of the three, or none of them",
        )


def _attribute(path: str, attribute: DeviceAttribute) -> Iterator[Refusal]:
    there = [field for field in _VALUES if getattr(attribute, field) is not UNSET]
    if len(there) != 1:
        yield one_of(path, "int, bool, string, version, ints, bools, strings, versions")
        return
    value = getattr(attribute, there[0])
    texts = value if isinstance(value, tuple) else (value,)
    if not texts:
        yield missing("no-value", path, "value")
    for text in texts:
        if isinstance(text, str) and len(text.encode(errors="surrogatepass")) > MAX_VALUE_LENGTH:
            yield Refusal(
                code="value-too-long",
                path=path,
                problem="the value {value} is longer than {most} bytes",
                fix="shorten it",
                values={"value": shown(text), "most": MAX_VALUE_LENGTH},
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


def _counter_set(path: str, counter_set: CounterSet) -> Iterator[Refusal]:
    yield from name_refusal(f"{path}.name", counter_set.name, label=True)
    yield from _counters(f"{path}.counters", counter_set.counters)


def _consumed(path: str, consumed: DeviceCounterConsumption) -> Iterator[Refusal]:
    yield from _counters(f"{path}.counters", consumed.counters)
    yield from too_many(f"{path}.compatibilityGroups", consumed.compatibility_groups, MAX_GROUPS)


def _counters(path: str, counters: Mapping[str, Counter] | UnsetType) -> Iterator[Refusal]:
    if not given(counters, {}):
        yield missing("no-counters", path, "counters")
    yield from too_many(path, counters, MAX_COUNTERS)

"""resource.k8s.io: ResourceSlices, as the API server checks them.

Source: pkg/apis/resource/validation/validation.go and types.go (Kubernetes 1.37).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType, structs

from stellwerk.api.checks.devices.claims import taint_refusals
from stellwerk.api.checks.devices.names import driver_refusal, is_qualified, qualified_refusal
from stellwerk.api.checks.names import is_label, is_subdomain, name_refusal
from stellwerk.api.checks.refusal import Refusal, in_set, missing, one_of, quoted, too_many
from stellwerk.api.groups.core import NodeSelector
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    Counter,
    CounterSet,
    Device,
    DeviceCounterConsumption,
    ResourceSliceSpec,
)
from stellwerk.api.mismatch import shown
from stellwerk.api.yaml_events import key_path

MAX_DEVICES, MAX_SPECIAL_DEVICES = 128, 64
MAX_COUNTER_SETS, MAX_COUNTERS, MAX_CONSUMED_SETS, MAX_GROUPS = 8, 32, 2, 2
MAX_ATTRIBUTES, MAX_VALUES, MAX_VALUE_LENGTH, MAX_TAINTS, MAX_CONDITIONS = 32, 48, 64, 16, 4
_PLACE = "a device has one of nodeName, nodeSelector, allNodes with perDeviceNodeSelection, else none"
_RARE = ("taints", "consumes_counters", "binding_conditions", "binding_failure_conditions")
_NOTHING: dict[str, Any] = {}


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
    """A cluster may have 100,000 of these: places are written down only where something is wrong."""
    if not is_label(device.name):
        yield from name_refusal(f"{path}.name", device.name, label=True)
    attributes, capacity = given(device.attributes, _NOTHING), given(device.capacity, _NOTHING)
    for name, attribute in attributes.items():
        if not is_qualified(name):
            yield from qualified_refusal(key_path(f"{path}.attributes", name), name, full=False)
        values = [value for value in structs.astuple(attribute) if value is not UNSET]
        if len(values) != 1 or not _is_short(values[0]):
            yield from _attribute(key_path(f"{path}.attributes", name), values)
    for name in capacity:
        if not is_qualified(name):
            yield from qualified_refusal(key_path(f"{path}.capacity", name), name, full=False)
    if len(attributes) + len(capacity) > MAX_ATTRIBUTES:
        yield from too_many(path, [*attributes, *capacity], MAX_ATTRIBUTES)
    if len(attributes) > 1 and any(_listed(device)):
        yield from too_many(f"{path}.attributes", range(_values(device)), MAX_VALUES)
    if any(getattr(device, field) is not UNSET for field in _RARE):
        yield from _rare(path, device)


def _rare(path: str, device: Device) -> Iterator[Refusal]:
    """Taints, counters and conditions."""
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


def _is_short(value: object) -> bool:
    """Whether a value, or each of a list that is not empty, is as short as it has to be."""
    if isinstance(value, str):
        return len(value) <= MAX_VALUE_LENGTH // 4 or len(_bytes(value)) <= MAX_VALUE_LENGTH
    return not isinstance(value, tuple) or (bool(value) and all(_is_short(one) for one in value))


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _attribute(path: str, values: Sequence[object]) -> Iterator[Refusal]:
    """An attribute of no or two values, of an empty list, or of a text that is too long."""
    if len(values) != 1:
        yield one_of(path, "int, bool, string, version, ints, bools, strings, versions")
    elif values[0] == ():
        yield missing("no-value", path, "value")
    else:
        texts = values[0] if isinstance(values[0], tuple) else (values[0],)
        yield Refusal(
            code="value-too-long",
            path=path,
            problem="the value {value} is longer than {most} bytes",
            fix="shorten it",
            values={
                "value": shown(next(one for one in texts if not _is_short(one))),
                "most": MAX_VALUE_LENGTH,
            },
        )


def _listed(device: Device) -> Iterator[bool]:
    for attribute in given(device.attributes, _NOTHING).values():
        yield any(isinstance(value, tuple) for value in structs.astuple(attribute))


def _values(device: Device) -> int:
    """How many values the attributes have, each of a list by itself."""
    lists = (
        sum(len(value) for value in structs.astuple(attribute) if isinstance(value, tuple))
        for attribute in given(device.attributes, _NOTHING).values()
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

"""What Kueue refuses in resources.deviceClassMappings.

Source: kueue pkg/config/validation.go (validateDeviceClassMappings).
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.checks.devices.names import is_driver, is_qualified, label_key_refusal
from stellwerk.api.checks.names import is_label, is_subdomain
from stellwerk.api.checks.refusal import Refusal, missing, one_of, quoted, there, too_many
from stellwerk.api.groups.kueue_config import (
    DeviceClassCapacitySource,
    DeviceClassCounterSource,
    DeviceClassMapping,
    DeviceClassSource,
)
from stellwerk.api.groups.meta import given
from stellwerk.api.mismatch import shown
from stellwerk.cel.errors import CompileError
from stellwerk.cel.selector import compile_selector
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.requests.devices.selectors import STORED

MAX_MAPPINGS, MAX_CLASSES, MAX_NAME = 16, 8, 253
PARTITIONABLE, CONSUMABLE = "KueueDRAIntegrationPartitionableDevices", "KueueDRAIntegrationConsumableCapacity"
CODE = "kueue-device-class-mapping"


class _Seen(Struct):
    """What the mappings before it said: the resource of each class, and the counters of each."""

    names: set[str]
    resources: dict[str, str]
    counters: dict[str, set[str]]


def mapping_refusals(mappings: Sequence[DeviceClassMapping], gates: FeatureGates) -> Iterator[Refusal]:
    """All that Kueue would refuse, in order."""
    path = "resources.deviceClassMappings"
    yield from too_many(path, mappings, MAX_MAPPINGS)
    seen = _Seen(set(), {}, {})
    for i, mapping in enumerate(mappings):
        at, name = f"{path}[{i}]", given(mapping.name, "")
        yield from _name(f"{at}.name", name)
        if name in seen.names:
            yield _twice(f"{at}.name", name)
        seen.names.add(name)
        yield from _classes(f"{at}.deviceClassNames", mapping, seen)
        yield from _sources(f"{at}.sources", given(mapping.sources, ()), gates)


def _name(path: str, name: str) -> Iterator[Refusal]:
    yield from label_key_refusal(path, name)
    if len(name) > MAX_NAME:
        yield Refusal(
            code=CODE,
            path=path,
            problem="the name has {length} characters; the limit is {limit}",
            fix="shorten it",
            values={"length": len(name), "limit": MAX_NAME},
        )


def _twice(path: str, name: str) -> Refusal:
    return Refusal(
        code=CODE,
        path=path,
        problem="{name} is there twice",
        fix="remove one of the two",
        values={"name": quoted(name)},
    )


def _classes(path: str, mapping: DeviceClassMapping, seen: _Seen) -> Iterator[Refusal]:
    names = given(mapping.device_class_names, ())
    if not names:
        yield missing(CODE, path, "deviceClassNames")
    yield from too_many(path, names, MAX_CLASSES)
    for i, name in enumerate(names):
        at = f"{path}[{i}]"
        yield from _name(at, name)
        if name in names[:i]:
            yield _twice(at, name)
        yield from there(_claimed(at, name, mapping, seen))


def _claimed(path: str, name: str, mapping: DeviceClassMapping, seen: _Seen) -> Refusal | None:
    """A class may be in two mappings only if each counts another counter of it."""
    sources = given(mapping.sources, ())
    first = None if not sources else given(sources[0].counter, None)
    counter, resource = "" if first is None else given(first.name, ""), given(mapping.name, "")
    if name not in seen.resources:
        seen.resources[name] = resource
        seen.counters[name] = {counter} if counter else set()
    elif seen.resources[name] != resource:
        before = seen.counters[name]
        if not counter or not before or counter in before:
            return Refusal(
                code=CODE,
                path=path,
                problem="the DeviceClass {name} counts as {resource} already",
                fix="name it in one mapping, or give each mapping another counter",
                values={"name": quoted(name), "resource": quoted(seen.resources[name])},
            )
        before.add(counter)
    return None


def _sources(path: str, sources: Sequence[DeviceClassSource], gates: FeatureGates) -> Iterator[Refusal]:
    counters = capacities = 0
    for i, source in enumerate(sources):
        at, counter, capacity = f"{path}[{i}]", given(source.counter, None), given(source.capacity, None)
        if (counter is None) == (capacity is None):
            yield one_of(at, "counter, capacity")
        elif counter is not None:
            counters += 1
            if gates.kueue_dra_integration_partitionable_devices:
                yield from _counter(f"{at}.counter", counter)
            else:
                yield _off(f"{at}.counter", PARTITIONABLE)
        elif capacity is not None:
            capacities += 1
            if gates.kueue_dra_integration_consumable_capacity:
                yield from _capacity(f"{at}.capacity", capacity)
            else:
                yield _off(f"{at}.capacity", CONSUMABLE)
    if counters and capacities:
        problem = "counters and capacities are in one mapping"
        yield Refusal(code=CODE, path=path, problem=problem, fix="make a mapping for each")


def _off(path: str, gate: str) -> Refusal:
    return Refusal(
        code=CODE,
        path=path,
        problem="the gate {gate} is off",
        fix="turn it on in featureGates, or by --gate {gate}=true",
        values={"gate": gate},
    )


def _counter(path: str, counter: DeviceClassCounterSource) -> Iterator[Refusal]:
    name = given(counter.name, "")
    if not name:
        yield missing(CODE, f"{path}.name", "name")
    elif not is_label(name):
        yield Refusal(
            code=CODE,
            path=f"{path}.name",
            problem="{name} is not a valid name of a counter",
            fix="use at most 63 lower-case letters, digits and '-'",
            values={"name": quoted(name)},
        )
    yield from _devices(path, counter)


def _capacity(path: str, capacity: DeviceClassCapacitySource) -> Iterator[Refusal]:
    name = given(capacity.name, "")
    if not is_qualified(name):
        yield Refusal(
            code=CODE,
            path=f"{path}.name",
            problem="{name} is not a valid name of a capacity",
            fix="write a name, or a domain, a slash and a name, such as gpu.example.com/memory",
            values={"name": quoted(name)},
        )
    yield from _devices(path, capacity)


def _devices(path: str, source: DeviceClassCounterSource | DeviceClassCapacitySource) -> Iterator[Refusal]:
    driver = given(source.driver, "")
    if not driver:
        yield missing(CODE, f"{path}.driver", "driver")
    elif not is_driver(driver) or not is_subdomain(driver):
        yield Refusal(
            code=CODE,
            path=f"{path}.driver",
            problem="{name} is not a valid name of a driver",
            fix="write a DNS name of at most 63 characters, such as gpu.nvidia.com",
            values={"name": quoted(driver)},
        )
    selector = given(source.device_selector, None)
    cel = None if selector is None else given(selector.cel, None)
    at = f"{path}.deviceSelector.cel.expression"
    if cel is None or isinstance(cel.expression, UnsetType) or not cel.expression:
        yield missing(CODE, at, "expression")
    else:
        yield from there(_compiled(at, cel.expression))


def _compiled(path: str, expression: str) -> Refusal | None:
    """Kueue only compiles it: what it costs does not matter."""
    try:
        compile_selector(expression, STORED)
    except CompileError as error:
        return Refusal(
            code=CODE,
            path=path,
            problem="the CEL expression is not valid: {why}",
            fix="correct the expression",
            values={"why": shown(next(iter(str(error).splitlines()), ""))},
        )
    return None

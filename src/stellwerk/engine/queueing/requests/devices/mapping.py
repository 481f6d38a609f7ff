"""Device classes as resources of ClusterQueues: resources.deviceClassMappings of Kueue's Configuration.

Source: kueue pkg/dra/mapper.go.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.groups.kueue_config import (
    DeviceClassCapacitySource,
    DeviceClassCounterSource,
    DeviceClassMapping,
)
from stellwerk.api.groups.meta import given


class Source(Struct, frozen=True, kw_only=True):
    """A counter or capacity `name`, counted as `resource`, of `driver`'s devices that fit `expression`."""

    resource: str
    driver: str
    name: str
    expression: str


class DeviceClasses(Struct, frozen=True, kw_only=True):
    """By DeviceClass: the resource that a device counts as, or what is counted instead of devices."""

    resources: Mapping[str, str] = {}
    counters: Mapping[str, tuple[Source, ...]] = {}
    capacities: Mapping[str, tuple[Source, ...]] = {}


def device_classes_of(mappings: Sequence[DeviceClassMapping]) -> DeviceClasses:
    """The mappings by class; a class that is in several counts as the first, a counter as its own."""
    resources: dict[str, str] = {}
    counters: dict[str, tuple[Source, ...]] = {}
    capacities: dict[str, tuple[Source, ...]] = {}
    for mapping in mappings:
        resource, sources = given(mapping.name, ""), given(mapping.sources, ())
        counted = tuple(_source(resource, one.counter) for one in sources if given(one.counter, None))
        shared = tuple(_source(resource, one.capacity) for one in sources if given(one.capacity, None))
        for name in given(mapping.device_class_names, ()):
            first = resources.setdefault(name, resource)
            if counted:
                counters[name] = counters.get(name, ()) + counted
            if shared:
                of_first = tuple(replace(one, resource=first) for one in shared)
                capacities[name] = capacities.get(name, ()) + of_first
    return DeviceClasses(resources=resources, counters=counters, capacities=capacities)


def _source(
    resource: str, source: DeviceClassCounterSource | DeviceClassCapacitySource | UnsetType
) -> Source:
    assert not isinstance(source, UnsetType)
    selector = given(source.device_selector, None)
    cel = None if selector is None else given(selector.cel, None)
    return Source(
        resource=resource,
        driver=given(source.driver, ""),
        name=given(source.name, ""),
        expression="" if cel is None else cel.expression,
    )

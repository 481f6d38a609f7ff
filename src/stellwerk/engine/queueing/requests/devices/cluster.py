"""What a cluster has for claims: templates, DeviceClasses, ResourceSlices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from stellwerk.api.defaults import defaulted_template
from stellwerk.api.duration import parse_time
from stellwerk.api.groups.meta import ObjectMeta, given
from stellwerk.api.groups.resource import (
    Device,
    DeviceClass,
    ResourceClaimSpec,
    ResourceClaimTemplate,
    ResourceSlice,
)
from stellwerk.cel.device import CelDevice, cel_device


class Offered(Struct, frozen=True):
    """A device, and what expressions see of it."""

    device: Device
    seen: CelDevice


class Slice(Struct, frozen=True, kw_only=True):
    """A ResourceSlice: part of a pool of a driver."""

    driver: str
    pool: str
    generation: int
    slices_of_pool: int
    devices: tuple[Offered, ...]


class Devices(Struct, frozen=True, kw_only=True):
    """`templates` by namespace/name; `extended`: the class behind each extended resource.

    `slices` in the order of their names. `memo`: answers to questions that were asked before, for `claimed`.
    """

    templates: Mapping[str, ResourceClaimSpec] = {}
    classes: Mapping[str, DeviceClass] = {}
    slices: tuple[Slice, ...] = ()
    extended: Mapping[str, str] = {}
    memo: dict[tuple[int, bytes], Any] = field(default_factory=dict)

    def of_driver(self, driver: str) -> Iterator[Slice]:
        """The slices of a driver."""
        return (one for one in self.slices if one.driver == driver)


def devices_of(
    templates: Iterable[ResourceClaimTemplate],
    classes: Iterable[DeviceClass],
    slices: Iterable[ResourceSlice],
) -> Devices:
    """The view of these objects; templates get the API server's defaults."""
    by_name = {given(one.metadata.name, ""): one for one in classes}
    return Devices(
        templates={_key(one.metadata): defaulted_template(one).spec.spec for one in templates},
        classes=by_name,
        slices=tuple(map(_slice, sorted(slices, key=lambda one: given(one.metadata.name, "")))),
        extended=_extended(list(by_name.values())),
    )


def _extended(classes: Sequence[DeviceClass]) -> dict[str, str]:
    """Of two classes with one resource the newer one, of the same age the lower name.

    Source: kueue pkg/dra/extended_resources.go (selectedDeviceClass). The implicit names of classes
    (deviceclass.resource.kubernetes.io/...) Kueue does not know.
    """
    found: dict[str, str] = {}
    ordered = sorted(classes, key=lambda one: given(one.metadata.name, ""))
    for one in sorted(ordered, key=lambda one: _created(one.metadata), reverse=True):
        if resource := given(one.spec.extended_resource_name, ""):
            found.setdefault(resource, given(one.metadata.name, ""))
    return found


def _created(metadata: ObjectMeta) -> int:
    text = given(metadata.creation_timestamp, "")
    return parse_time(text) if text else -(2**63)


def _slice(one: ResourceSlice) -> Slice:
    spec = one.spec
    return Slice(
        driver=spec.driver,
        pool=spec.pool.name,
        generation=spec.pool.generation,
        slices_of_pool=spec.pool.resource_slice_count,
        devices=tuple(_offered(spec.driver, device) for device in given(spec.devices, ())),
    )


def _offered(driver: str, device: Device) -> Offered:
    """Kueue's expressions do not see whether a device can be shared."""
    return Offered(device, cel_device(driver, replace(device, allow_multiple_allocations=UNSET)))


def _key(metadata: ObjectMeta) -> str:
    return f"{given(metadata.namespace, '')}/{given(metadata.name, '')}"

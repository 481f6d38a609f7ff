"""The devices of claims as a reader knows them: request, name, type, UUID, share."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    AllocationResult,
    Device,
    DeviceAllocationResult,
    ResourceClaim,
    ResourceClaimStatus,
    ResourceSlice,
)
from stellwerk.engine.allocation.decision import DeviceID

Devices = Mapping[DeviceID, Device]


class Given(Struct, frozen=True, kw_only=True):
    """A device that a request has; type and uuid are "" where the driver says nothing of them."""

    claim: str
    request: str
    device: DeviceID
    type: str = ""
    uuid: str = ""
    share_id: str = ""
    capacity: Mapping[str, str] = {}


def offered_devices(slices: Iterable[ResourceSlice]) -> Devices:
    """The devices by name; of two generations the newer one's."""
    ordered = sorted(slices, key=lambda one: one.spec.pool.generation)
    return {
        DeviceID(one.spec.driver, one.spec.pool.name, device.name): device
        for one in ordered
        for device in given(one.spec.devices, ())
    }


def claim_label(claim: ResourceClaim) -> str:
    """Namespace and name."""
    return f"{given(claim.metadata.namespace, 'default')}/{given(claim.metadata.name, '')}"


def allocation(claim: ResourceClaim) -> AllocationResult:
    """The claim's allocation; an empty one where it has none."""
    return given(given(claim.status, ResourceClaimStatus()).allocation, AllocationResult())


def given_devices(claim: ResourceClaim, devices: Devices) -> list[Given]:
    """What the claim has, in its order."""
    found = []
    for one in given(given(allocation(claim).devices, DeviceAllocationResult()).results, ()):
        name = DeviceID(one.driver, one.pool, one.device)
        device = devices.get(name)
        found.append(
            Given(
                claim=claim_label(claim),
                request=one.request,
                device=name,
                type=_attribute(device, one.driver, "type"),
                uuid=_attribute(device, one.driver, "uuid"),
                share_id=given(one.share_id, ""),
                capacity={key: str(value) for key, value in given(one.consumed_capacity, {}).items()},
            )
        )
    return found


def _attribute(device: Device | None, driver: str, name: str) -> str:
    """A text attribute of the driver; without a domain it is the driver's own."""
    attributes = given(device.attributes, {}) if device is not None else {}
    value = attributes.get(name) or attributes.get(f"{driver}/{name}")
    return "" if value is None else given(value.string, "")

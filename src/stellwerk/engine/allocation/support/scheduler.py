"""Would the scheduler's allocator ever satisfy this claim, whatever devices there are.

Source: k8s.io/dynamic-resource-allocation structured/internal/*/allocator_*.go and
k8s.io/kubernetes pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go.
"""

from collections.abc import Iterator, Mapping

from msgspec import UnsetType

from stellwerk.api.checks.devices.requests import Asking
from stellwerk.api.defaults import ALL
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim, DeviceRequest
from stellwerk.engine.allocation.support.row import Wrong
from stellwerk.engine.decision import Reason

MAX_DEVICES = 32  # k8s.io/api resource/v1: AllocationResultsMaxSize.
ALLOCATOR = "structured/internal/stable/allocator_stable.go"


def check_allocation(claim: DeviceClaim, path: str) -> Iterator[Wrong]:
    """What keeps a claim pending for ever; the dropped fields are gone from it."""
    total = 0
    for i, request in enumerate(given(claim.requests, ())):
        total += least_devices(request)
        if total > MAX_DEVICES:
            yield Wrong(
                path=f"{path}.requests[{i}]",
                reason=Reason(
                    "too-many-devices",
                    "up to here {count} devices are asked for; a claim gets at most {limit}",
                    {"count": total, "limit": MAX_DEVICES},
                ),
                fix=Reason("split", "divide it into several claims; a pod may have more than one"),
            )
            return


def least_devices(request: DeviceRequest) -> int:
    """How many devices a request takes at least; an alternative with the fewest counts."""
    if not isinstance(request.exactly, UnsetType):
        return count_of(request.exactly) or 0
    return min((count_of(each) or 0 for each in given(request.first_available, ())), default=0)


def count_of(asked: Asking) -> int | None:
    """The devices of one request or alternative; None: all that match."""
    return None if given(asked.allocation_mode, "") == ALL else given(asked.count, 0) or 1


def classes_of(claim: DeviceClaim) -> Mapping[str, str]:
    """The DeviceClasses that a claim names, each with the place below spec.devices where it first does."""
    found: dict[str, str] = {}
    for i, request in enumerate(given(claim.requests, ())):
        if not isinstance(request.exactly, UnsetType):
            found.setdefault(request.exactly.device_class_name, f"requests[{i}].exactly.deviceClassName")
        for j, each in enumerate(given(request.first_available, ())):
            found.setdefault(each.device_class_name, f"requests[{i}].firstAvailable[{j}].deviceClassName")
    return found

"""What the API server fills into a ResourceClaim and a ResourceClaimTemplate before it stores them.

Source: pkg/apis/resource/v1/defaults.go and zz_generated.defaults.go (Kubernetes 1.37).
"""

from typing import TypeVar

from msgspec import UNSET, UnsetType, structs

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceRequest,
    DeviceSubRequest,
    DeviceToleration,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimSpec,
    ResourceClaimTemplate,
)

EXACT_COUNT, ALL, EQUAL = "ExactCount", "All", "Equal"
AnyRequest = TypeVar("AnyRequest", ExactDeviceRequest, DeviceSubRequest)


def defaulted_claim(claim: ResourceClaim) -> ResourceClaim:
    """The claim as the API server would store it."""
    return structs.replace(claim, spec=defaulted_spec(claim.spec))


def defaulted_template(template: ResourceClaimTemplate) -> ResourceClaimTemplate:
    """The template as the API server would store it."""
    spec = structs.replace(template.spec, spec=defaulted_spec(template.spec.spec))
    return structs.replace(template, spec=spec)


def defaulted_spec(spec: ResourceClaimSpec) -> ResourceClaimSpec:
    """allocationMode ExactCount, count 1 with it, and Equal as the operator of a toleration."""
    if spec.devices is UNSET or not given(spec.devices.requests, ()):
        return spec
    requests = tuple(_request(one) for one in given(spec.devices.requests, ()))
    return structs.replace(spec, devices=structs.replace(spec.devices, requests=requests))


def _request(request: DeviceRequest) -> DeviceRequest:
    if request.exactly is not UNSET:
        request = structs.replace(request, exactly=_filled(request.exactly))
    if request.first_available is not UNSET:
        listed = tuple(_filled(one) for one in request.first_available)
        request = structs.replace(request, first_available=listed)
    return request


def _filled(request: AnyRequest) -> AnyRequest:
    mode = given(request.allocation_mode, "") or EXACT_COUNT
    count: int | UnsetType = request.count
    if mode == EXACT_COUNT and not given(count, 0):
        count = 1
    tolerations: tuple[DeviceToleration, ...] | UnsetType = request.tolerations
    if tolerations is not UNSET:
        tolerations = tuple(_toleration(one) for one in tolerations)
    return structs.replace(request, allocation_mode=mode, count=count, tolerations=tolerations)


def _toleration(toleration: DeviceToleration) -> DeviceToleration:
    return structs.replace(toleration, operator=given(toleration.operator, "") or EQUAL)

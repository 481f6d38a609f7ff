"""What the API server drops from a claim before it validates it: fields whose gate is off.

Source: k8s.io/kubernetes pkg/api/resourceclaimspec/util.go; in 1.34 it is in
pkg/registry/resource/resourceclaim/strategy.go.
"""

from collections.abc import Iterator
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from stellwerk.api.checks.devices.requests import Asking
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceConstraint,
    DeviceRequest,
    DeviceSubRequest,
    ExactDeviceRequest,
)
from stellwerk.engine.allocation.support.row import Cluster, Wrong
from stellwerk.engine.decision import Reason

# Field of a request or an alternative, by the gate that it needs.
GATED = {
    "tolerations": "DRADeviceTaints",
    "admin_access": "DRAAdminAccess",
    "capacity": "DRAConsumableCapacity",
    "derived_attributes": "DRADerivedAttributes",
}
WIRE = {"admin_access": "adminAccess", "derived_attributes": "derivedAttributes"}
T = TypeVar("T", ExactDeviceRequest, DeviceSubRequest)


def dropped_fields(claim: DeviceClaim, cluster: Cluster, path: str) -> Iterator[Wrong]:
    """Every field below `path` (spec.devices) that this API server drops."""
    for i, request in enumerate(given(claim.requests, ())):
        at = f"{path}.requests[{i}]"
        alternatives = given(request.first_available, ())
        if alternatives and not cluster.on("DRAPrioritizedList"):
            yield _dropped(f"{at}.firstAvailable", "DRAPrioritizedList", cluster)
            alternatives = ()
        if not isinstance(request.exactly, UnsetType):
            yield from _of_request(request.exactly, cluster, f"{at}.exactly")
        for j, alternative in enumerate(alternatives):
            yield from _of_request(alternative, cluster, f"{at}.firstAvailable[{j}]")
    for i, constraint in enumerate(given(claim.constraints, ())):
        if given(constraint.distinct_attribute, "") and not cluster.on("DRAConsumableCapacity"):
            yield _dropped(f"{path}.constraints[{i}].distinctAttribute", "DRAConsumableCapacity", cluster)


def _of_request(request: Asking, cluster: Cluster, path: str) -> Iterator[Wrong]:
    for field, gate in GATED.items():
        value = getattr(request, field, UNSET)
        if value is not UNSET and value != () and not cluster.on(gate):
            yield _dropped(f"{path}.{WIRE.get(field, field)}", gate, cluster)


def _dropped(path: str, gate: str, cluster: Cluster) -> Wrong:
    reason = Reason(
        "dropped", "the API server drops this field: the feature gate {gate} is off", {"gate": gate}
    )
    return Wrong(path=path, reason=reason, fix=cluster.gate_fix(gate))


def without_dropped(claim: DeviceClaim, cluster: Cluster) -> DeviceClaim:
    """The claim that is left, which is then validated, stored and allocated."""
    requests = tuple(_kept_request(request, cluster) for request in given(claim.requests, ()))
    constraints = tuple(_kept_constraint(each, cluster) for each in given(claim.constraints, ()))
    return replace(claim, requests=requests, constraints=constraints)


def _kept_request(request: DeviceRequest, cluster: Cluster) -> DeviceRequest:
    exactly, alternatives = request.exactly, given(request.first_available, ())
    if not cluster.on("DRAPrioritizedList"):
        alternatives = ()
    return replace(
        request,
        exactly=UNSET if isinstance(exactly, UnsetType) else _kept(exactly, cluster),
        first_available=tuple(_kept(each, cluster) for each in alternatives),
    )


def _kept(request: T, cluster: Cluster) -> T:
    gone = {field: UNSET for field, gate in GATED.items() if hasattr(request, field) and not cluster.on(gate)}
    return replace(request, **gone)


def _kept_constraint(constraint: DeviceConstraint, cluster: Cluster) -> DeviceConstraint:
    if cluster.on("DRAConsumableCapacity"):
        return constraint
    return replace(constraint, distinct_attribute=UNSET)

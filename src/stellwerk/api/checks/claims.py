"""resource.k8s.io: ResourceClaims, templates, DeviceClasses and DeviceTaintRules, as the API server checks.

Source: pkg/apis/resource/validation/validation.go and types.go (Kubernetes 1.37). CEL is compiled when it is
used; opaque parameters are the driver's.
"""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from stellwerk.api.checks.limits import (
    MAX_REQUESTS,
    check_driver,
    check_expression,
    check_most,
    check_qualified,
    check_unique,
    missing,
    one_of,
)
from stellwerk.api.checks.names import check_choice, check_name
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClaim,
    DeviceClass,
    DeviceConstraint,
    DeviceRequest,
    DeviceSelector,
    DeviceSubRequest,
    DeviceTaint,
    DeviceTaintRule,
    DeviceToleration,
    ExactDeviceRequest,
    OpaqueDeviceConfiguration,
    ResourceClaim,
    ResourceClaimStatus,
    ResourceClaimTemplate,
)
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown

MAX_SELECTORS, MAX_CONSTRAINTS, MAX_CONFIGS, MAX_ALTERNATIVES, MAX_TOLERATIONS = 32, 32, 32, 8, 16
MAX_RESULTS, MAX_USERS = 32, 256
MODES = ("ExactCount", "All")
EFFECTS = ("NoSchedule", "NoExecute", "None")


def check_claim(manifest: Manifest, claim: ResourceClaim) -> None:
    """A ResourceClaim, its status too; raises InvalidInput."""
    _check_devices(manifest, "spec.devices", given(claim.spec.devices, DeviceClaim()))
    if claim.status is not UNSET:
        _check_status(manifest, claim.status)


def check_template(manifest: Manifest, template: ResourceClaimTemplate) -> None:
    """A ResourceClaimTemplate; raises InvalidInput."""
    _check_devices(manifest, "spec.spec.devices", given(template.spec.spec.devices, DeviceClaim()))


def check_class(manifest: Manifest, class_: DeviceClass) -> None:
    """A DeviceClass; raises InvalidInput."""
    _check_selectors(manifest, "spec.selectors", class_.spec.selectors)
    check_most(manifest, "spec.config", class_.spec.config, MAX_CONFIGS)
    for i, config in enumerate(given(class_.spec.config, ())):
        _check_opaque(manifest, f"spec.config[{i}]", config.opaque)
    name = given(class_.spec.extended_resource_name, "")
    domain, slash, _ = name.rpartition("/")
    if name and (not slash or domain == "kubernetes.io" or domain.endswith(".kubernetes.io")):
        raise InvalidInput(
            "{name} is not the name of an extended resource",
            fix="write a domain of your own, a slash and a name, such as nvidia.com/gpu",
            **manifest.at("spec.extendedResourceName"),
            name=shown(name),
        )


def check_taint_rule(manifest: Manifest, rule: DeviceTaintRule) -> None:
    """A DeviceTaintRule; raises InvalidInput."""
    check_taint(manifest, "spec.taint", rule.spec.taint)


def check_taint(manifest: Manifest, path: str, taint: DeviceTaint) -> None:
    """A taint of a device: a key, and an effect that is known."""
    if not taint.key:
        raise missing(manifest, f"{path}.key", "key")
    check_choice(manifest, f"{path}.effect", taint.effect, EFFECTS)


def _check_devices(manifest: Manifest, path: str, devices: DeviceClaim) -> None:
    requests = given(devices.requests, ())
    check_most(manifest, f"{path}.requests", requests, MAX_REQUESTS)
    check_unique(manifest, f"{path}.requests", (one.name for one in requests))
    for i, request in enumerate(requests):
        _check_request(manifest, f"{path}.requests[{i}]", request)
    known = _request_names(requests)
    check_most(manifest, f"{path}.constraints", devices.constraints, MAX_CONSTRAINTS)
    for i, constraint in enumerate(given(devices.constraints, ())):
        _check_constraint(manifest, f"{path}.constraints[{i}]", constraint, known)
    check_most(manifest, f"{path}.config", devices.config, MAX_CONFIGS)
    for i, config in enumerate(given(devices.config, ())):
        _check_references(manifest, f"{path}.config[{i}].requests", config.requests, known)
        _check_opaque(manifest, f"{path}.config[{i}]", config.opaque)


def _request_names(requests: Sequence[DeviceRequest]) -> set[str]:
    """The names by which constraints and configuration may call requests and alternatives."""
    alternatives = (
        f"{one.name}/{listed.name}" for one in requests for listed in given(one.first_available, ())
    )
    return {one.name for one in requests} | set(alternatives)


def _check_request(manifest: Manifest, path: str, request: DeviceRequest) -> None:
    check_name(manifest, f"{path}.name", request.name, label=True)
    listed = given(request.first_available, ())
    if bool(listed) == (request.exactly is not UNSET):
        raise one_of(manifest, path, "exactly, firstAvailable")
    if request.exactly is not UNSET:
        _check_exactly(manifest, f"{path}.exactly", request.exactly)
    check_most(manifest, f"{path}.firstAvailable", listed, MAX_ALTERNATIVES)
    check_unique(manifest, f"{path}.firstAvailable", (one.name for one in listed))
    for i, one in enumerate(listed):
        check_name(manifest, f"{path}.firstAvailable[{i}].name", one.name, label=True)
        _check_exactly(manifest, f"{path}.firstAvailable[{i}]", one)


def _check_exactly(manifest: Manifest, path: str, request: ExactDeviceRequest | DeviceSubRequest) -> None:
    check_name(manifest, f"{path}.deviceClassName", request.device_class_name)
    _check_selectors(manifest, f"{path}.selectors", request.selectors)
    mode, count = given(request.allocation_mode, "") or MODES[0], given(request.count, 0)
    check_choice(manifest, f"{path}.allocationMode", mode, MODES)
    if count < 0 or (mode == "All" and count):
        raise InvalidInput(
            "the count {count} does not go with allocationMode {mode}",
            fix="write a count of 1 or more for ExactCount, none for All",
            **manifest.at(f"{path}.count"),
            count=count,
            mode=mode,
        )
    check_most(manifest, f"{path}.tolerations", request.tolerations, MAX_TOLERATIONS)
    for i, toleration in enumerate(given(request.tolerations, ())):
        _check_toleration(manifest, f"{path}.tolerations[{i}]", toleration)
    derived = given(request.derived_attributes, ())
    check_most(manifest, f"{path}.derivedAttributes", derived, MAX_REQUESTS)
    check_unique(manifest, f"{path}.derivedAttributes", (one.name for one in derived))
    for i, attribute in enumerate(derived):
        check_expression(manifest, f"{path}.derivedAttributes[{i}].expression", attribute.expression)


def _check_selectors(
    manifest: Manifest, path: str, selectors: tuple[DeviceSelector, ...] | UnsetType
) -> None:
    check_most(manifest, path, selectors, MAX_SELECTORS)
    for i, selector in enumerate(given(selectors, ())):
        if selector.cel is UNSET:
            raise missing(manifest, f"{path}[{i}].cel", "cel")
        check_expression(manifest, f"{path}[{i}].cel.expression", selector.cel.expression)


def _check_toleration(manifest: Manifest, path: str, toleration: DeviceToleration) -> None:
    operator = given(toleration.operator, "") or "Equal"
    check_choice(manifest, f"{path}.operator", operator, ("Equal", "Exists"))
    if operator == "Exists" and given(toleration.value, ""):
        raise InvalidInput(
            "a toleration with operator Exists has no value",
            fix="remove the value, or write operator: Equal",
            **manifest.at(f"{path}.value"),
        )
    if effect := given(toleration.effect, ""):
        check_choice(manifest, f"{path}.effect", effect, EFFECTS)


def _check_constraint(manifest: Manifest, path: str, constraint: DeviceConstraint, known: set[str]) -> None:
    _check_references(manifest, f"{path}.requests", constraint.requests, known)
    both = (
        ("matchAttribute", constraint.match_attribute),
        ("distinctAttribute", constraint.distinct_attribute),
    )
    there = [(field, name) for field, name in both if not isinstance(name, UnsetType)]
    if len(there) != 1:
        raise one_of(manifest, path, "matchAttribute, distinctAttribute")
    field, name = there[0]
    check_qualified(manifest, f"{path}.{field}", name, full=True)


def _check_references(
    manifest: Manifest, path: str, names: tuple[str, ...] | UnsetType, known: set[str]
) -> None:
    check_most(manifest, path, names, MAX_REQUESTS)
    check_unique(manifest, path, given(names, ()))
    for i, name in enumerate(given(names, ())):
        if name not in known:
            raise InvalidInput(
                "{name} is not a request of this claim",
                fix="use one of: {known}",
                **manifest.at(f"{path}[{i}]"),
                name=shown(name),
                known=shown(", ".join(sorted(known))),
            )


def _check_opaque(manifest: Manifest, path: str, opaque: OpaqueDeviceConfiguration | UnsetType) -> None:
    if opaque is UNSET:
        raise missing(manifest, f"{path}.opaque", "opaque")
    check_driver(manifest, f"{path}.opaque.driver", opaque.driver)


def _check_status(manifest: Manifest, status: ResourceClaimStatus) -> None:
    check_most(manifest, "status.reservedFor", status.reserved_for, MAX_USERS)
    if given(status.reserved_for, ()) and status.allocation is UNSET:
        raise InvalidInput(
            "a claim that is not allocated is reserved for nobody",
            fix="remove reservedFor, or add the allocation",
            **manifest.at("status.reservedFor"),
        )
    if status.allocation is UNSET or status.allocation.devices is UNSET:
        return
    results = status.allocation.devices.results
    check_most(manifest, "status.allocation.devices.results", results, MAX_RESULTS)

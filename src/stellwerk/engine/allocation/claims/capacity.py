"""What a share of a device consumes, and whether it fits: consumable capacity with request policies.

Source: consumable_capacity.go in structured/internal/experimental (Kubernetes 1.37), KEP-5075. Go's int64
arithmetic gives up on amounts that it cannot hold; so do we, with the same error.
"""

from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    CapacityRequestPolicy,
    CapacityRequestPolicyRange,
    CapacityRequirements,
    DeviceCapacity,
)
from stellwerk.api.quantity import INT64_MAX, MILLI, NANO, Quantity
from stellwerk.engine.allocation.decision import AllocationError

_FORM_LESS = "capacity request cannot be represented in the device's range arithmetic"
Amounts = Mapping[str, int]  # By capacity name, in billionths.


def consumed_capacity(
    requested: Quantity | UnsetType, capacity: DeviceCapacity, fractional: bool
) -> Quantity:
    """What a share consumes: what is requested, rounded up by the policy, or the policy's default, or all.

    Raises AllocationError for an amount beyond Kubernetes' arithmetic (int64, thousandths if `fractional`).
    """
    policy = capacity.request_policy
    if requested is UNSET:
        return capacity.value if policy is UNSET else given(policy.default, capacity.value)
    if policy is UNSET:
        return requested
    if policy.valid_range is not UNSET and policy.valid_range.min is not UNSET:
        return _rounded_up(requested, policy.valid_range, fractional)
    for value in given(policy.valid_values, ()):
        if requested.nanos <= value.nanos:
            return value
    return requested


def consumed_capacities(
    requirements: CapacityRequirements | UnsetType, capacity: Mapping[str, DeviceCapacity], fractional: bool
) -> dict[str, Quantity]:
    """What a share consumes of each of the device's capacities. Raises as `consumed_capacity` does."""
    requests = {} if requirements is UNSET else given(requirements.requests, {})
    consumed = {}
    for name, one in capacity.items():
        try:
            amount = consumed_capacity(requests.get(name, UNSET), one, fractional)
        except AllocationError as error:
            raise AllocationError(f'capacity "{name}": {error.text}') from None
        if amount.nanos < 0:
            raise AllocationError(f'capacity "{name}": capacity value is negative')
        consumed[name] = amount
    return consumed


def asks_unknown(
    requirements: CapacityRequirements | UnsetType, capacity: Mapping[str, DeviceCapacity]
) -> bool:
    """Whether an amount of something is asked that the device does not have."""
    return requirements is not UNSET and any(
        name not in capacity for name in given(requirements.requests, {})
    )


def fits(
    consumed: Mapping[str, Quantity],
    capacity: Mapping[str, DeviceCapacity],
    in_use: tuple[Amounts, Amounts],
    fractional: bool,
) -> bool:
    """Whether a share keeps to the policies and to what allocated and tentative shares (`in_use`) leave."""
    for name, one in capacity.items():
        amount = consumed[name]
        if violates_policy(amount, one.request_policy, fractional):
            return False
        if amount.nanos + sum(used.get(name, 0) for used in in_use) > one.value.nanos:
            return False
    return True


def violates_policy(amount: Quantity, policy: CapacityRequestPolicy | UnsetType, fractional: bool) -> bool:
    """Whether the amount is none of those that the policy allows; the default is always allowed."""
    if policy is UNSET:
        return False
    default = policy.default
    if default is not UNSET and (amount.nanos, amount.form) == (default.nanos, default.form):
        return False
    if policy.valid_range is not UNSET:
        return _violates_range(amount, policy.valid_range, fractional)
    values = given(policy.valid_values, ())
    return bool(values) and all(amount.nanos != value.nanos for value in values)


def _rounded_up(requested: Quantity, bounds: CapacityRequestPolicyRange, fractional: bool) -> Quantity:
    """Up to the least of min, min + step, ...; without a step as it is."""
    least = _known(bounds.min)
    if requested.nanos < least.nanos:
        return least
    if bounds.step is UNSET:
        return requested
    milli = _uses_milli(bounds, fractional)
    unit = MILLI if milli else NANO
    if milli and not _is_milli(requested):
        raise AllocationError(f"{_FORM_LESS}: request {requested} is not a representable milli value")
    if requested.nanos > INT64_MAX * NANO:
        raise AllocationError(f"{_FORM_LESS}: request {requested} exceeds MaxInt64")
    asked, step, start = (-(-one.nanos // unit) for one in (requested, bounds.step, least))
    steps = -((start - asked) // _positive(step))
    if start + step * steps > INT64_MAX and start >= 0:
        raise AllocationError(
            f"{_FORM_LESS}: rounding request {requested} up to the next step passes MaxInt64"
        )
    return Quantity((start + step * steps) * unit, bounds.step.form)


def _violates_range(amount: Quantity, bounds: CapacityRequestPolicyRange, fractional: bool) -> bool:
    if bounds.max is not UNSET and amount.nanos > bounds.max.nanos:
        return True
    if bounds.step is UNSET:
        return False
    milli = _uses_milli(bounds, fractional)
    if milli and not _is_milli(amount):
        return True
    unit = MILLI if milli else NANO
    asked, step, start = (-(-one.nanos // unit) for one in (amount, bounds.step, _known(bounds.min)))
    return (asked - start) % _positive(step) != 0


def _known(value: Quantity | UnsetType) -> Quantity:
    if value is UNSET:
        raise AllocationError("capacity policy: validRange has no min")
    return value


def _positive(step: int) -> int:
    if step <= 0:
        raise AllocationError("capacity policy: the step of validRange is not above 0")
    return step


def _uses_milli(bounds: CapacityRequestPolicyRange, fractional: bool) -> bool:
    known = [one for one in (bounds.min, bounds.max, bounds.step) if one is not UNSET]
    return (
        fractional
        and all(_is_milli(one) for one in known)
        and (bounds.step is UNSET or bounds.step.nanos >= MILLI)
    )


def _is_milli(value: Quantity) -> bool:
    """Whether thousandths hold the value, within int64."""
    return value.nanos % MILLI == 0 and -INT64_MAX <= value.nanos // MILLI <= INT64_MAX

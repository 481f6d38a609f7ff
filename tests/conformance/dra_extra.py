"""Recorded cases of smaller DRA tables: tolerations, request policies, capacity, configs, taint rules."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from stellwerk.api.groups.resource import (
    CapacityRequestPolicy,
    CapacityRequirements,
    DeviceAllocationConfiguration,
    DeviceCapacity,
    DeviceRequestAllocationResult,
    DeviceTaint,
    DeviceTaintRule,
    DeviceToleration,
    ResourceSlice,
)
from stellwerk.api.manifests import encode
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.allocation.claims.capacity import (
    consumed_capacities,
    consumed_capacity,
    violates_policy,
)
from stellwerk.engine.allocation.claims.tolerations import tolerates
from stellwerk.engine.allocation.pools.taint_rules import patched_slices
from stellwerk.engine.allocation.search.results import config_for_result
from tests.conformance.dra_allocator import typed


def _tolerates(given: dict[str, Any]) -> Any:
    return tolerates(typed(given["toleration"], DeviceToleration), typed(given["taint"], DeviceTaint))


def _violates(given: dict[str, Any]) -> Any:
    policy = given.get("requestPolicy")
    return violates_policy(
        parse_quantity(str(given["requested"])),
        UNSET if policy is None else typed(policy, CapacityRequestPolicy),
        False,
    )


def _consumed(given: dict[str, Any]) -> Any:
    requested = given.get("requested")
    asked = UNSET if requested is None else parse_quantity(str(requested))
    return consumed_capacity(asked, typed(given["capacity"], DeviceCapacity), False).nanos


def _consumed_of_request(given: dict[str, Any]) -> Any:
    asked = given.get("capacityRequirements")
    consumed = consumed_capacities(
        UNSET if asked is None else typed(asked, CapacityRequirements),
        typed(given["deviceCapacity"], dict[str, DeviceCapacity]),
        False,
    )
    return {name: quantity.nanos for name, quantity in consumed.items()}


def _config(given: dict[str, Any]) -> Any:
    found = config_for_result(
        typed(given["config"] or [], tuple[DeviceAllocationConfiguration, ...]),
        typed(given["result"], DeviceRequestAllocationResult),
    )
    return msgspec.json.decode(encode(found)) or None


def _patched(given: dict[str, Any]) -> Any:
    """Objects of this table have neither apiVersion nor kind."""
    slices = [_named(one, "ResourceSlice") for one in given["resourceSlices"] or ()]
    rules = [_named(one, "DeviceTaintRule") for one in given["deviceTaintRules"] or ()]
    patched = patched_slices(
        [typed(one, ResourceSlice) for one in slices],
        [typed(one, DeviceTaintRule) for one in rules],
        none_means_all=given["recordedFrom"] in BEFORE_THE_FIX,
    )
    return sorted(
        (msgspec.json.decode(encode(one)) for one in patched), key=lambda one: one["metadata"]["name"]
    )


def _named(raw: dict[str, Any], kind: str) -> dict[str, Any]:
    return {"apiVersion": "resource.k8s.io/v1", "kind": kind, **raw}


def _nanos(value: Any) -> Any:
    return parse_quantity(str(value)).nanos


def _same(value: Any) -> Any:
    return value


# Kind -> what we answer, and how the recorded answer is read.
KINDS: dict[str, tuple[Callable[[dict[str, Any]], Any], Callable[[Any], Any]]] = {
    "tolerates-taint": (_tolerates, _same),
    "violates-capacity-request-policy": (_violates, _same),
    "calculate-consumed-capacity": (_consumed, _nanos),
    "consumed-capacity-from-request": (
        _consumed_of_request,
        lambda wanted: {k: _nanos(v) for k, v in wanted.items()},
    ),
    "config-for-result": (_config, lambda wanted: wanted or None),
    "patched-resource-slices": (
        _patched,
        lambda wanted: [_named(one, "ResourceSlice") for one in wanted or ()],
    ),
}


# Until v0.37.0 a DeviceTaintRule without a deviceSelector tainted everything; v0.37.2 does what the API says.
BEFORE_THE_FIX = ("3d036712930cdac0b0d46c4c21316a78147c551f",)


def run_extra_case(case: dict[str, Any]) -> str | None:
    """What differs from the recorded answer, None if nothing does."""
    answer, read = KINDS[case["kind"]]
    given = {**case["input"], "recordedFrom": (case.get("source") or {}).get("commit")}
    ours, wanted = answer(given), read(case["expected"])
    return None if ours == wanted else f"{wanted} expected, not {ours}"

"""Recorded cases of the DRA allocator (dra.md of the recording): objects in, AllocationResults compared."""

from collections.abc import Sequence
from typing import Any

import msgspec

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.resource import AllocationResult, DeviceClass, ResourceClaim, ResourceSlice
from stellwerk.api.manifests import encode
from stellwerk.api.mismatch import decode_hook
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.allocation.allocate import Snapshot, allocate_on
from stellwerk.engine.allocation.decision import (
    Aborted,
    Allocated,
    AllocatedState,
    Decision,
    DeviceID,
    Features,
    Unallocatable,
)

_STOPS = {
    "cancel": "context canceled",
    "timeout": "context deadline exceeded",
    "deadline": "context deadline exceeded",
}
_ANY_UUID = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"
_FLAGS = {
    "AdminAccess": "admin_access",
    "CompatibilityGroups": "compatibility_groups",
    "ConsumableCapacity": "consumable_capacity",
    "DerivedAttributes": "derived_attributes",
    "DeviceBindingAndStatus": "device_binding_and_status",
    "DeviceTaints": "device_taints",
    "FractionalCapacityRange": "fractional_capacity_range",
    "ListTypeAttributes": "list_type_attributes",
    "OptionalNodeOperations": "optional_node_operations",
    "PartitionableDevices": "partitionable_devices",
    "PrioritizedList": "prioritized_list",
}


def typed(raw: Any, wanted: type) -> Any:
    """The raw JSON as our type."""
    return msgspec.convert(raw, wanted, dec_hook=decode_hook)


def state_of(raw: dict[str, Any]) -> AllocatedState:
    """The recorded allocatedState."""

    def device(one: dict[str, Any]) -> DeviceID:
        return DeviceID(one["driver"], one["pool"], one["device"])

    return AllocatedState(
        frozenset(map(device, raw.get("allocatedDevices") or ())),
        frozenset(map(device, raw.get("allocatedSharedDeviceIDs") or ())),
        {
            device(one): {
                name: parse_quantity(str(amount)).nanos for name, amount in one["consumedCapacity"].items()
            }
            for one in raw.get("aggregatedCapacity") or ()
        },
    )


def features_of_case(case: dict[str, Any]) -> Features:
    """The recorded flags of structured.Features; one that we do not know is an error."""
    return Features(**{_FLAGS[flag]: value for flag, value in case["featureFlags"].items()})


def decide(case: dict[str, Any]) -> Decision:
    """What we decide of the case's input."""
    given = case["input"]
    snapshot = Snapshot(
        [typed(one, ResourceSlice) for one in given["resourceSlices"] or ()],
        [typed(one, DeviceClass) for one in given["deviceClasses"] or ()],
        features_of_case(case),
    )
    reason = _STOPS.get((case.get("info") or {}).get("contextState", ""), "")
    asked = snapshot.ask([typed(one, ResourceClaim) for one in given["resourceClaims"] or ()])
    usage = snapshot.usage(state_of(given["allocatedState"]))
    return allocate_on(typed(given["node"], Node), asked, usage, (lambda: reason) if reason else None)


def run_allocator_case(case: dict[str, Any]) -> str | None:
    """What differs from the recorded expectation, None if nothing does."""
    return difference(decide(case), case["expected"])


def difference(decision: Decision, expected: dict[str, Any]) -> str | None:
    """As upstream's own matchers compare."""
    kind = expected["kind"]
    got = {Allocated: "allocated", Unallocatable: "none", Aborted: "error"}[type(decision)]
    if got != kind:
        text = decision.text if isinstance(decision, Aborted) else ""
        return f"{kind} expected, not {got} {text}".rstrip()
    if isinstance(decision, Aborted):
        wanted = expected.get("errorContains") or ""
        only_here = expected.get("errorOnlyThisNode")
        if wanted not in decision.text:
            return f"the error has to say {wanted!r}, not {decision.text!r}"
        if only_here is not None and only_here != decision.only_this_node:
            return f"errorOnlyThisNode has to be {only_here}"
        return None
    if isinstance(decision, Unallocatable):
        return None
    return _allocations(decision.results, expected)


def _allocations(results: Sequence[AllocationResult], expected: dict[str, Any]) -> str | None:
    ordered = (expected.get("match") or "exact") == "exact"
    ours = [_normal(msgspec.json.decode(encode(one)), ordered) for one in results]
    for wanted in (expected["allocations"], *(expected.get("alternatives") or ())):
        if ours == [_normal(one, ordered) for one in wanted]:
            return None
    return f"other allocations: {msgspec.json.encode(ours).decode()[:600]}"


def _normal(result: dict[str, Any], ordered: bool) -> Any:
    """Quantities by value, share IDs as one; without order where upstream has none."""
    devices = result.get("devices") or {}
    given = [_device(one) for one in devices.get("results") or ()]
    return {
        "results": given if ordered else sorted(given, key=msgspec.json.encode),
        "config": devices.get("config") or [],
        "timestamp": result.get("allocationTimestamp"),
        "nodeSelector": _selector(result.get("nodeSelector"), ordered),
        "more": sorted(set(result) - {"devices", "nodeSelector", "allocationTimestamp"}),
    }


def _device(raw: dict[str, Any]) -> dict[str, Any]:
    one = {key: value for key, value in raw.items() if value not in ([], None)}
    if "shareID" in one:
        one["shareID"] = _ANY_UUID
    if "consumedCapacity" in one:
        one["consumedCapacity"] = {
            name: parse_quantity(str(value)).nanos for name, value in sorted(one["consumedCapacity"].items())
        }
    return dict(sorted(one.items()))


def _selector(raw: dict[str, Any] | None, ordered: bool) -> Any:
    if raw is None or ordered:
        return raw
    terms = [
        {
            key: sorted(
                ({**one, "values": sorted(one.get("values") or ())} for one in term.get(key) or ()),
                key=msgspec.json.encode,
            )
            for key in ("matchExpressions", "matchFields")
        }
        for term in raw["nodeSelectorTerms"]
    ]
    return sorted(terms, key=msgspec.json.encode)

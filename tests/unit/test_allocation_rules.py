"""Rules of the allocator that no recorded case looks at."""

from typing import Any

import pytest

from stellwerk.api.groups.resource import CapacityRequestPolicy, DeviceClass, ResourceClaim, ResourceSlice
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.allocation.allocate import Snapshot, allocate
from stellwerk.engine.allocation.claims.capacity import violates_policy
from stellwerk.engine.allocation.decision import (
    Aborted,
    Allocated,
    AllocatedState,
    Decision,
    DeviceID,
    Features,
    Unallocatable,
)
from tests.conformance.dra_allocator import typed
from tests.property.allocation_worlds import NODE

META = {"apiVersion": "resource.k8s.io/v1"}


def device(name: str, *counters: str, **attributes: int) -> dict[str, Any]:
    """A device with int attributes that takes 1 of these counters, each of its own set."""
    return {
        "name": name,
        "attributes": {key: {"int": value} for key, value in attributes.items()},
        "consumesCounters": [{"counterSet": one, "counters": {"c": {"value": "1"}}} for one in counters],
    }


def decide(
    devices: list[dict[str, Any]], claim: dict[str, Any], used: tuple[str, ...] = (), **counters: int
) -> Decision:
    """One claim on one node with one pool of these devices and counter sets."""
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 2}
    base = {"driver": "d.example.com", "nodeName": "n", "pool": pool}
    sets = [{"name": name, "counters": {"c": {"value": str(most)}}} for name, most in counters.items()]
    specs = [{**base, "devices": devices}, {**base, "sharedCounters": sets}]
    slices = [
        typed({**META, "kind": "ResourceSlice", "metadata": {"name": f"s{i}"}, "spec": spec}, ResourceSlice)
        for i, spec in enumerate(specs)
    ]
    device_class = typed({**META, "kind": "DeviceClass", "metadata": {"name": "c"}, "spec": {}}, DeviceClass)
    asked = {**META, "kind": "ResourceClaim", "metadata": {"name": "claim"}, "spec": {"devices": claim}}
    snapshot = Snapshot(slices, [device_class], Features(partitionable_devices=True))
    state = AllocatedState(frozenset(DeviceID("d.example.com", "p", name) for name in used))
    return allocate(snapshot, NODE, [typed(asked, ResourceClaim)], state)


def request(name: str = "r", count: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "exactly": {"deviceClassName": "c", "allocationMode": "ExactCount", "count": count},
    }


@pytest.mark.parametrize("most, kind", [(2, Allocated), (1, Unallocatable)])
def test_an_overdrawn_counter_stops_devices_that_do_not_use_it(most: int, kind: type) -> None:
    """Two devices in use take 2 of counter a: if that is too much, b's device is not to be had either."""
    devices = [device("x", "a"), device("y", "a"), device("z", "b")]
    assert isinstance(decide(devices, {"requests": [request()]}, ("x", "y"), a=most, b=1), kind)


def test_a_device_that_another_request_took_is_said_to_be_taken() -> None:
    decision = decide([device("x")], {"requests": [request("first"), request("second")]})
    assert isinstance(decision, Unallocatable)
    counts = {one.code: one.values for one in decision.reasons}
    assert counts["too-few-devices"]["left"] == 0 and counts["too-few-devices"]["request"] == "second"
    assert counts["taken"]["count"] == 1


def test_all_devices_that_too_few_others_match_are_counted() -> None:
    devices = [device(f"x{i}", numa=i) for i in range(128)]
    claim = {"requests": [request(count=3)], "constraints": [{"matchAttribute": "d.example.com/numa"}]}
    decision = decide(devices, claim)
    assert isinstance(decision, Unallocatable)
    assert [one.values["count"] for one in decision.reasons if one.code == "constraint"] == [128]


def test_an_invalid_pool_is_named_with_what_is_wrong_in_it() -> None:
    decision = decide([device("x"), device("x")], {"requests": [request()]})
    assert isinstance(decision, Aborted) and decision.only_this_node
    assert decision.text.endswith("encountered: d.example.com/p: duplicate device name x")


@pytest.mark.parametrize("asked, violates", [("1", False), ("1e0", True), ("2", False), ("3", True)])
def test_the_default_is_allowed_as_it_is_written(asked: str, violates: bool) -> None:
    """Kubernetes compares a default as a Go struct: the same amount in another form is held to the values."""
    policy = typed({"default": "1", "validValues": ["2"]}, CapacityRequestPolicy)
    assert violates_policy(parse_quantity(asked), policy, False) is violates

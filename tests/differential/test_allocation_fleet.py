"""Searching nodes of one kind once gives what searching each node gives."""

import random
from typing import Any

import pytest

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.resource import DeviceClass, ResourceClaim, ResourceSlice
from stellwerk.engine.allocation.allocate import Snapshot, allocate_on
from stellwerk.engine.allocation.decision import Allocated, AllocatedState, DeviceID, features_of
from stellwerk.engine.allocation.fleet import Fleet, allocate_each, allocate_first
from stellwerk.engine.allocation.pools.usage import usage_after
from tests.conformance.dra_allocator import typed

DRIVER = "gpu.example.com"
META = {"apiVersion": "resource.k8s.io/v1"}


def slice_of(rng: random.Random, node: str, lists: bool) -> dict[str, Any]:
    """Up to 5 GPUs of two models in up to two NVLink domains, some tainted, some with binding conditions."""
    devices = []
    for i in range(rng.randint(1, 5)):
        domain = f"{node}-{rng.randint(0, 1)}"
        attributes: dict[str, Any] = {
            "uuid": {"string": f"{node}-{i}"},
            "model": {"string": rng.choice(["a", "b"])},
            "domain": {"strings": [domain, node]} if lists and rng.random() < 0.3 else {"string": domain},
        }
        if rng.random() < 0.1:
            del attributes["domain"]
        device: dict[str, Any] = {
            "name": f"gpu-{i}",
            "attributes": attributes,
            "capacity": {"memory": {"value": "80Gi"}},
        }
        if rng.random() < 0.05:
            device["taints"] = [{"key": "bad", "effect": "NoSchedule"}]
        devices.append(device)
    pool = {"name": node, "generation": 1, "resourceSliceCount": rng.choice([1] * 9 + [2])}
    spec = {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": devices}
    return {**META, "kind": "ResourceSlice", "metadata": {"name": node}, "spec": spec}


def claim_of(rng: random.Random) -> dict[str, Any]:
    """One or two requests, perhaps of alternatives, perhaps in one domain."""
    requests = []
    for i in range(rng.randint(1, 2)):
        bodies = []
        for _ in range(rng.choice([1, 1, 2])):
            model = rng.choice(["a", "b"])
            selector = f'device.attributes["{DRIVER}"].model == "{model}"'
            body: dict[str, Any] = {
                "deviceClassName": "gpu",
                "allocationMode": "ExactCount",
                "count": rng.randint(1, 3),
            }
            if rng.random() < 0.6:
                body["selectors"] = [{"cel": {"expression": selector}}]
            if rng.random() < 0.2:
                body["tolerations"] = [{"key": "bad", "operator": "Exists"}]
            bodies.append(body)
        if len(bodies) == 1:
            requests.append({"name": f"r{i}", "exactly": bodies[0]})
        else:
            named = [{"name": f"s{k}", **body} for k, body in enumerate(bodies)]
            requests.append({"name": f"r{i}", "firstAvailable": named})
    devices: dict[str, Any] = {"requests": requests}
    if rng.random() < 0.6:
        kind = rng.choice(["matchAttribute", "matchAttribute", "distinctAttribute"])
        devices["constraints"] = [{kind: f"{DRIVER}/domain"}]
    return {**META, "kind": "ResourceClaim", "metadata": {"name": "claim"}, "spec": {"devices": devices}}


def world_of(rng: random.Random) -> tuple[Snapshot, Fleet, AllocatedState]:
    """Twelve nodes."""
    lists = rng.random() < 0.5
    gates = {"DRAPrioritizedList", "DRADeviceTaints"} | ({"DRAListTypeAttributes"} if lists else set())
    names = [f"n{i}" for i in range(12)]
    slices = [slice_of(rng, name, lists) for name in names]
    config = [{"opaque": {"driver": DRIVER, "parameters": {"a": 1}}}] if rng.random() < 0.3 else []
    device_class = {**META, "kind": "DeviceClass", "metadata": {"name": "gpu"}, "spec": {"config": config}}
    snapshot = Snapshot(
        [typed(one, ResourceSlice) for one in slices], [typed(device_class, DeviceClass)], features_of(gates)
    )
    nodes = [typed({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}, Node) for name in names]
    used = frozenset(
        DeviceID(DRIVER, name, f"gpu-{i}") for name in names for i in range(5) if rng.random() < 0.2
    )
    return snapshot, Fleet(snapshot, nodes), AllocatedState(used)


@pytest.mark.parametrize("seed", range(150))
def test_each_node_is_decided_as_if_it_were_alone(seed: int) -> None:
    rng = random.Random(seed)
    snapshot, fleet, state = world_of(rng)
    usage = snapshot.usage(state)
    for _ in range(4):
        asked = snapshot.ask([typed(claim_of(rng), ResourceClaim) for _ in range(rng.randint(1, 2))])
        each = list(allocate_each(fleet, asked, usage))
        assert each == [allocate_on(node, asked, usage) for node in fleet.nodes]
        first, refusals = allocate_first(fleet, asked, usage)
        position = next((i for i, one in enumerate(each) if isinstance(one, Allocated)), len(each))
        assert first == (each[position] if position < len(each) else None)
        assert sum(one.nodes for one in refusals) == position
        if first is not None:
            usage = usage_after(snapshot.offered, usage, first.results)


def test_the_worlds_hold_what_they_should() -> None:
    """Nodes are grouped in many of them, and both answers occur."""
    kinds, allocated, refused = 0, 0, 0
    for seed in range(30):
        rng = random.Random(seed)
        snapshot, fleet, state = world_of(rng)
        asked = snapshot.ask([typed(claim_of(rng), ResourceClaim)])
        each = list(allocate_each(fleet, asked, snapshot.usage(state)))
        allocated += sum(isinstance(one, Allocated) for one in each)
        refused += sum(not isinstance(one, Allocated) for one in each)
        kinds += sum(view.span is not None for view in fleet.views)
    assert kinds > 150 and allocated > 50 and refused > 50

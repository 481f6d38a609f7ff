"""Small random worlds for the allocator, and the answer found by trying everything."""

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

from hypothesis import strategies as st
from msgspec import Struct

from stellwerk.api.groups.core import Node
from stellwerk.api.groups.meta import ObjectMeta
from stellwerk.api.groups.resource import DeviceClass, ResourceClaim, ResourceSlice
from stellwerk.engine.allocation.allocate import Snapshot
from stellwerk.engine.allocation.decision import AllocatedState, DeviceID, features_of
from tests.conformance.dra_allocator import typed

DRIVER = "gpu.example.com"
GATES = ("DRAPrioritizedList", "DRAPartitionableDevices", "DRADeviceTaints")
NODE = Node(api_version="v1", kind="Node", metadata=ObjectMeta(name="n"))


class Device(Struct, frozen=True):
    """A device as the brute force sees it."""

    name: str
    memory: int
    color: int
    counter: int
    tainted: bool
    used: bool


class Request(Struct, frozen=True):
    """`alternatives`: (least memory, count), of which the first that works is given."""

    alternatives: tuple[tuple[int, int], ...]
    tolerant: bool


class World(Struct, frozen=True):
    """Claims of requests, each claim with a constraint on the color: none, match or distinct."""

    devices: tuple[Device, ...]
    total: int
    claims: tuple[tuple[tuple[Request, ...], str], ...]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """At most 6 devices and 2 claims of 2 requests."""
    small = st.integers(0, 2)
    devices = tuple(
        Device(
            f"d{i}", draw(small), draw(small), draw(small), draw(st.booleans()), draw(st.integers(0, 4)) == 0
        )
        for i in range(draw(st.integers(1, 6)))
    )
    request = st.builds(
        Request,
        st.lists(st.tuples(small, st.integers(1, 3)), min_size=1, max_size=2).map(tuple),
        st.booleans(),
    )
    claim = st.tuples(
        st.lists(request, min_size=1, max_size=2).map(tuple), st.sampled_from(["", "match", "distinct"])
    )
    return World(devices, draw(st.integers(0, 8)), tuple(draw(st.lists(claim, min_size=1, max_size=2))))


def objects_of(world: World) -> tuple[Snapshot, list[ResourceClaim], AllocatedState]:
    """The world as Kubernetes objects."""
    devices = [_device(one) for one in world.devices]
    counters: dict[str, Any] = {
        "sharedCounters": [{"name": "set", "counters": {"c": {"value": str(world.total)}}}]
    }
    slices = [
        _slice("a", {"devices": devices}),
        _slice("b", counters),
    ]
    device_class = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": "c"},
        "spec": {},
    }
    claims = [typed(_claim(i, *claim), ResourceClaim) for i, claim in enumerate(world.claims)]
    used = frozenset(DeviceID(DRIVER, "p", one.name) for one in world.devices if one.used)
    snapshot = Snapshot(
        [typed(one, ResourceSlice) for one in slices], [typed(device_class, DeviceClass)], features_of(GATES)
    )
    return snapshot, claims, AllocatedState(used)


def _slice(name: str, more: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "driver": DRIVER,
        "nodeName": "n",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 2},
    }
    meta = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": name}}
    return {**meta, "spec": {**spec, **more}}


def _device(one: Device) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "name": one.name,
        "attributes": {"color": {"int": one.color}},
        "capacity": {"memory": {"value": str(one.memory)}},
    }
    if one.counter:
        raw["consumesCounters"] = [{"counterSet": "set", "counters": {"c": {"value": str(one.counter)}}}]
    if one.tainted:
        raw["taints"] = [{"key": "k", "effect": "NoSchedule"}]
    return raw


def _claim(number: int, requests: tuple[Request, ...], constraint: str) -> dict[str, Any]:
    devices: dict[str, Any] = {"requests": [_request(f"r{i}", one) for i, one in enumerate(requests)]}
    if constraint:
        devices["constraints"] = [{f"{constraint}Attribute": f"{DRIVER}/color"}]
    meta = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": f"claim-{number}"},
    }
    return {**meta, "spec": {"devices": devices}}


def _request(name: str, one: Request) -> dict[str, Any]:
    asked = []
    for memory, count in one.alternatives:
        expression = f"device.capacity['{DRIVER}'].memory.compareTo(quantity('{memory}')) >= 0"
        body: dict[str, Any] = {
            "deviceClassName": "c",
            "allocationMode": "ExactCount",
            "count": count,
            "selectors": [{"cel": {"expression": expression}}],
        }
        if one.tolerant:
            body["tolerations"] = [{"operator": "Exists"}]
        asked.append(body)
    if len(asked) == 1:
        return {"name": name, "exactly": asked[0]}
    return {"name": name, "firstAvailable": [{"name": f"s{i}", **body} for i, body in enumerate(asked)]}


def best_by_trying(world: World) -> tuple[int, ...] | None:
    """The first choice of alternatives, as preferred, for which any devices will do; None without one."""
    requests = [(i, one) for i, (claim, _) in enumerate(world.claims) for one in claim]
    for choice in product(*(range(len(one.alternatives)) for _, one in requests)):
        wanted = [(i, one, one.alternatives[k]) for (i, one), k in zip(requests, choice, strict=True)]
        if any(_holds(world, picked) for picked in _pickings(world, wanted, ())):
            return choice
    return None


Picked = tuple[tuple[int, tuple[Device, ...]], ...]


def _pickings(
    world: World, wanted: list[tuple[int, Request, tuple[int, int]]], picked: Picked
) -> Iterator[Picked]:
    if not wanted:
        yield picked
        return
    (claim, request, (memory, count)), *rest = wanted
    taken = {one.name for _, devices in picked for one in devices}
    free = [
        one
        for one in world.devices
        if not one.used
        and one.name not in taken
        and one.memory >= memory
        and (request.tolerant or not one.tainted)
    ]
    for devices in combinations(free, count):
        yield from _pickings(world, rest, (*picked, (claim, devices)))


def _holds(world: World, picked: Picked) -> bool:
    everything = [one for _, devices in picked for one in devices]
    held = sum(one.counter for one in world.devices if one.used)
    new = sum(one.counter for one in everything)
    if any(one.counter for one in everything) and held + new > world.total:
        return False
    for number, (_, constraint) in enumerate(world.claims):
        colors = [one.color for claim, devices in picked if claim == number for one in devices]
        if constraint == "match" and len(set(colors)) > 1:
            return False
        if constraint == "distinct" and len(set(colors)) < len(colors):
            return False
    return True


def is_solution(world: World, given: list[tuple[int, int, int, str]]) -> bool:
    """Whether the devices, as (claim, request, alternative, device), satisfy the claims."""
    by_name = {one.name: one for one in world.devices}
    names = [name for *_, name in given]
    if len(set(names)) < len(names) or any(by_name[name].used for name in names):
        return False
    for claim, index, alternative, name in given:
        request, device = world.claims[claim][0][index], by_name[name]
        if device.memory < request.alternatives[alternative][0] or (device.tainted and not request.tolerant):
            return False
    return _holds(world, tuple((claim, (by_name[name],)) for claim, _, _, name in given))

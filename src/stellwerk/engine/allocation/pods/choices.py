"""What a cluster offers for a change that would help: other classes, amounts that are left, who could go."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import UNSET

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    CapacityRequestPolicy,
    DeviceCapacity,
    DeviceClaim,
    DeviceClass,
    DeviceRequest,
    DeviceTaint,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceClaimSpec,
    ResourceClaimStatus,
)
from stellwerk.api.quantity import Quantity
from stellwerk.engine.allocation.change import Choices, Run, drivers_of
from stellwerk.engine.allocation.decision import GATES
from stellwerk.engine.allocation.pods.claims import key_of
from stellwerk.engine.allocation.pods.cluster import Cluster
from stellwerk.engine.allocation.pods.extended import GATE, IMPLICIT
from stellwerk.engine.allocation.pods.places import Ask
from stellwerk.engine.allocation.pools.offered import OfferedDevice

MOST_AMOUNTS = 20  # Of one capacity, the largest.
_LOOKED_AT = 500  # Devices of a type, to see whether a class takes some of them.
_TAKEN = frozenset({"in-use", "counters", "capacity", "compatibility-groups", "constraint"})
_USEFUL_GATES = frozenset(part for gate in GATES for part in gate.split("+")) | {GATE}


def choices_of(cluster: Cluster, ask: Ask, codes: Collection[str]) -> Choices:
    """The choices for one that was refused for reasons of these codes."""
    own = {"/".join(key_of(one)) for one in (*ask.held, *ask.case.claims)}
    taken = not _TAKEN.isdisjoint(codes)
    return Choices(
        classes=drivers_of(cluster.world.classes, cluster.world.slices),
        taints=_taints(cluster) if "taint" in codes else (),
        holders=[name for name in cluster.held_before if name not in own] if taken else (),
        gates=tuple(gate for gate in cluster.rules.to_turn_on if gate in _USEFUL_GATES),
        types=_types(cluster) if len(cluster.world.classes) > 1 else {},
        runs=list(_runs(cluster, own)) if taken else (),
        left=_left(cluster) if "capacity" in codes else {},
        mappings=_mappings(cluster, ask) if "extended-resource" in codes else {},
    )


def _taints(cluster: Cluster) -> tuple[DeviceTaint, ...]:
    """The taints that keep claims away, each once, in the order of the devices."""
    offered = cluster.snapshot(cluster.gates).offered.devices
    taints: Iterable[DeviceTaint] = (taint for device in offered for taint in device.taints)
    return tuple({(one.key, given(one.value, ""), one.effect): one for one in taints}.values())


def _runs(cluster: Cluster, own: Collection[str]) -> Iterator[Run]:
    """Who alone has claims that were allocated in this run: what others use too would not become free."""
    users = {
        "/".join(key): {
            one.name for one in given(given(claim.status, ResourceClaimStatus()).reserved_for, ())
        }
        for key, claim in cluster.claims.items()
    }
    for run in cluster.runs:
        pod = {run.name.partition("/")[2]} if run.kind == "Pod" else set()
        alone = tuple(name for name in run.claims if name not in own and users[name] <= pod)
        if alone:
            yield Run(run.kind, run.name, alone)


def _left(cluster: Cluster) -> dict[str, tuple[Quantity, ...]]:
    """By capacity the amounts that can be had of a device, the largest first."""
    usage = cluster.usage(cluster.gates)
    found: dict[str, dict[int, Quantity]] = {}
    for device in cluster.snapshot(cluster.gates).offered.devices:
        if device.index in usage.used:
            continue
        consumed = usage.capacity.get(device.index, {})
        for name, one in given(device.device.capacity, {}).items():
            left = _allowed(one, one.value.nanos - consumed.get(name, 0))
            if left > 0:
                found.setdefault(name, {}).setdefault(left, Quantity(left, one.value.form))
    return {
        name: tuple(amounts[nanos] for nanos in sorted(amounts, reverse=True)[:MOST_AMOUNTS])
        for name, amounts in found.items()
    }


def _allowed(capacity: DeviceCapacity, most: int) -> int:
    """The largest amount up to `most`, in billionths, that the policy allows; 0 if it allows none."""
    policy = given(capacity.request_policy, CapacityRequestPolicy())
    if values := given(policy.valid_values, ()):
        return max((one.nanos for one in values if one.nanos <= most), default=0)
    bounds = policy.valid_range
    if bounds is UNSET or bounds.min is UNSET:
        return most
    most = min(most, bounds.max.nanos) if bounds.max is not UNSET else most
    if most < bounds.min.nanos:
        return 0
    step = bounds.step.nanos if bounds.step is not UNSET else 0
    return most - (most - bounds.min.nanos) % step if step > 0 else most


def _types(cluster: Cluster) -> dict[str, frozenset[str]]:
    """The types (attribute `type`) of the devices that each class takes; worked out once."""
    if cluster.types is None:
        by_type: dict[tuple[str, str], list[OfferedDevice]] = {}
        for device in cluster.snapshot(cluster.gates).offered.devices:
            some = by_type.setdefault((device.id.driver, _type(device)), [])
            if len(some) < _LOOKED_AT:
                some.append(device)
        cluster.types = {
            given(one.metadata.name, ""): frozenset(_types_of(cluster, one, by_type))
            for one in cluster.world.classes
        }
    return cluster.types


def _type(device: OfferedDevice) -> str:
    attribute = given(device.device.attributes, {}).get("type")
    return given(attribute.string, "") if attribute is not None else ""


def _types_of(
    cluster: Cluster, one: DeviceClass, by_type: dict[tuple[str, str], list[OfferedDevice]]
) -> Iterator[str]:
    exactly = ExactDeviceRequest(device_class_name=given(one.metadata.name, ""), count=1)
    devices = DeviceClaim(requests=(DeviceRequest(name="any", exactly=exactly),))
    claim = ResourceClaim(
        api_version="resource.k8s.io/v1", kind="ResourceClaim", spec=ResourceClaimSpec(devices=devices)
    )
    steps = [
        step
        for asked in cluster.snapshot(cluster.gates).ask((claim,)).claims
        for choice in asked.choices
        for request in choice.alternatives
        for step in request.steps
    ]
    for (_, name), some in by_type.items():
        if any(all(step.column.of(device) is True for step in steps) for device in some):
            yield name


def _mappings(cluster: Cluster, ask: Ask) -> dict[str, tuple[str, ...]]:
    """The classes for each resource that no class serves: of its domain, without a resource of their own."""
    known = cluster.by_resource(cluster.gates)
    asked = cluster.asked_by(ask.case.spec) if ask.case.spec is not None else {}
    drivers = drivers_of(cluster.world.classes, cluster.world.slices)
    free = {
        given(one.metadata.name, "")
        for one in cluster.world.classes
        if not given(one.spec.extended_resource_name, "")
    }
    found = {}
    for resource in asked:
        if resource not in known and not resource.startswith(IMPLICIT):
            near = {one: drivers[one] for one in free if one in drivers}
            found[resource] = _of_domain(resource, near)
    return found


def _of_domain(resource: str, drivers: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """The classes of the resource's domain, by name or driver; of those, if any, that begin as it does."""
    domain, _, name = resource.partition("/")
    near = sorted(
        one for one, own in drivers.items() if any(f".{text}".endswith(f".{domain}") for text in (one, *own))
    )
    alike = tuple(one for one in near if name.startswith(one.partition(".")[0]))
    return alike or tuple(near)

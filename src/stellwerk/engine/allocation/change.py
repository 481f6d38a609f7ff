"""The smallest change that helps: single changes of claims or cluster, each tried on the allocator.

In this order, and the first that works is the answer: drop one selector; lower one count; ask for less of one
capacity; tolerate one taint; drop one constraint; ask for another class; map an extended resource to a class;
free the devices of one claim; leave out a pod or claim of this run; turn one gate on. Within a kind the order
is that of the claims, then of their requests. Two changes at once are not tried.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct, structs

from stellwerk.api.defaults import ALL
from stellwerk.api.groups.core import PodSpec, ResourceRequirements
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    CapacityRequirements,
    DeviceClass,
    DeviceRequest,
    DeviceSubRequest,
    DeviceTaint,
    DeviceToleration,
    ExactDeviceRequest,
    ResourceClaim,
    ResourceSlice,
)
from stellwerk.api.quantity import NANO, Quantity
from stellwerk.engine.allocation.claims.question import claim_name
from stellwerk.engine.allocation.claims.tolerations import tolerates
from stellwerk.engine.allocation.pods.extended import IMPLICIT, extended_of
from stellwerk.engine.allocation.search.attempt import MAX_DEVICES_PER_CLAIM
from stellwerk.engine.decision import Reason

MOST_TRIES, MOST_GIVEN_UP = 200, 10
AnyRequest = ExactDeviceRequest | DeviceSubRequest


class Case(Struct, frozen=True, kw_only=True):
    """What is asked and under what: claims, gates that are on, claims whose devices are free.

    `spec`: the pod's, for its extended resources; None for a claim without a pod. `mapped`: classes of
    extended resources beside those that the classes name themselves.
    """

    claims: tuple[ResourceClaim, ...]
    gates: frozenset[str]
    freed: tuple[str, ...] = ()
    spec: PodSpec | None = None
    mapped: Mapping[str, str] = {}


class Run(Struct, frozen=True):
    """A Pod or ResourceClaim (`kind`) that got these claims in this run."""

    kind: str
    name: str
    claims: tuple[str, ...]


class Choices(Struct, frozen=True, kw_only=True):
    """What the cluster offers for a change: `classes` with their drivers and the `types` of their devices,
    taints of devices, claims that held devices before, gates that could be turned on.

    `runs`: who got devices in this run. `left`: amounts of each capacity that a device has left, the largest
    first. `mappings`: the classes that could serve an extended resource.
    """

    classes: Mapping[str, frozenset[str]]
    taints: tuple[DeviceTaint, ...]
    holders: Sequence[str]
    gates: tuple[str, ...]
    types: Mapping[str, frozenset[str]] = {}
    runs: Sequence[Run] = ()
    left: Mapping[str, tuple[Quantity, ...]] = {}
    mappings: Mapping[str, tuple[str, ...]] = {}


class Change(Struct, frozen=True):
    """A change that helps, and the node that can then have the claims."""

    reason: Reason
    node: str


class NoChange(Struct, frozen=True):
    """No single change helps, of those that were tried; `complete`: those were all."""

    tried: int
    complete: bool


class Place(Struct, frozen=True):
    """A request of a claim, or an alternative of its firstAvailable (else -1), by their numbers."""

    claim: int
    request: int
    alternative: int
    label: str
    asked: AnyRequest


def smallest_change(case: Case, choices: Choices, works: Callable[[Case], str | None]) -> Change | NoChange:
    """The first change after which `works` names a node. It says "" for none, None where it gives up."""
    tried = given_up = 0
    for reason, changed in changes_of(case, choices):
        if tried >= MOST_TRIES or given_up >= MOST_GIVEN_UP:
            return NoChange(tried, False)
        tried += 1
        node = works(changed)
        if node:
            return Change(reason, node)
        given_up += node is None
    return NoChange(tried, not given_up)


def changes_of(case: Case, choices: Choices) -> Iterator[tuple[Reason, Case]]:
    """Every single change in the stated order, each with the case that it makes."""
    places = list(_places(case.claims))
    yield from _fewer_selectors(case, places)
    yield from _lower_counts(case, places)
    yield from _fewer_extended(case)
    yield from _lower_capacities(case, places, choices.left)
    yield from _tolerations(case, places, choices.taints)
    yield from _fewer_constraints(case)
    yield from _other_classes(case, places, choices)
    yield from _mappings(case, choices.mappings)
    for holder in choices.holders:
        reason = Reason("free-claim", "free the devices of the claim {holder}", {"holder": holder})
        yield reason, structs.replace(case, freed=(holder,))
    for run in choices.runs:
        yield _without(run), structs.replace(case, freed=run.claims)
    for gate in choices.gates:
        reason = Reason("enable-gate", "turn the gate {gate} on", {"gate": gate})
        yield reason, structs.replace(case, gates=case.gates | {gate})


def drivers_of(classes: Iterable[DeviceClass], slices: Iterable[ResourceSlice]) -> dict[str, frozenset[str]]:
    """Which of the slices' drivers each class names in its selectors, by the class's name."""
    drivers = dict.fromkeys(one.spec.driver for one in slices)
    return {
        given(one.metadata.name, ""): frozenset(
            driver
            for driver in drivers
            if any(
                selector.cel is not UNSET and f"'{driver}'" in selector.cel.expression.replace('"', "'")
                for selector in given(one.spec.selectors, ())
            )
        )
        for one in classes
    }


def _places(claims: Sequence[ResourceClaim]) -> Iterator[Place]:
    for i, claim in enumerate(claims):
        for j, request in enumerate(_requests(claim)):
            if request.exactly is not UNSET:
                yield Place(i, j, -1, request.name, request.exactly)
            for k, listed in enumerate(given(request.first_available, ())):
                yield Place(i, j, k, f"{request.name}/{listed.name}", listed)


def _requests(claim: ResourceClaim) -> tuple[DeviceRequest, ...]:
    devices = claim.spec.devices
    return () if devices is UNSET else given(devices.requests, ())


def _changed(case: Case, place: Place, **fields: Any) -> Case:
    """The case with these fields of the request at `place`."""
    requests = list(_requests(case.claims[place.claim]))
    request = requests[place.request]
    if place.alternative < 0:
        assert request.exactly is not UNSET
        request = structs.replace(request, exactly=structs.replace(request.exactly, **fields))
    else:
        listed = list(given(request.first_available, ()))
        listed[place.alternative] = structs.replace(listed[place.alternative], **fields)
        request = structs.replace(request, first_available=tuple(listed))
    requests[place.request] = request
    return _with_devices(case, place.claim, requests=tuple(requests))


def _with_devices(case: Case, number: int, **fields: Any) -> Case:
    claims = list(case.claims)
    claim = claims[number]
    assert claim.spec.devices is not UNSET
    devices = structs.replace(claim.spec.devices, **fields)
    claims[number] = structs.replace(claim, spec=structs.replace(claim.spec, devices=devices))
    return structs.replace(case, claims=tuple(claims))


def _at(case: Case, place: Place) -> dict[str, str | int]:
    return {"claim": claim_name(case.claims[place.claim]), "request": place.label}


def _fewer_selectors(case: Case, places: Iterable[Place]) -> Iterator[tuple[Reason, Case]]:
    for place in places:
        selectors = given(place.asked.selectors, ())
        for number, selector in enumerate(selectors):
            expression = selector.cel.expression if selector.cel is not UNSET else ""
            values = _at(case, place) | {"number": number, "expression": expression}
            rest = selectors[:number] + selectors[number + 1 :]
            yield (
                Reason(
                    "drop-selector",
                    "claim {claim}, request {request}: drop selector #{number}: {expression}",
                    values,
                ),
                _changed(case, place, selectors=rest),
            )


def _lower_counts(case: Case, places: Iterable[Place]) -> Iterator[tuple[Reason, Case]]:
    for place in places:
        count = given(place.asked.count, 1)
        if given(place.asked.allocation_mode, "") == ALL:
            continue
        for fewer in range(min(count - 1, MAX_DEVICES_PER_CLAIM), 0, -1):
            values = _at(case, place) | {"fewer": fewer, "count": count}
            yield (
                Reason(
                    "lower-count",
                    "claim {claim}, request {request}: ask for {fewer} devices instead of {count}",
                    values,
                ),
                _changed(case, place, count=fewer),
            )


def _fewer_extended(case: Case) -> Iterator[tuple[Reason, Case]]:
    containers = case.spec.containers if case.spec is not None else ()
    for i, container in enumerate(containers):
        for resource, count in sorted(extended_of(container).items()):
            for fewer in range(min(count - 1, MAX_DEVICES_PER_CLAIM), 0, -1):
                values: dict[str, str | int] = {
                    "container": container.name,
                    "resource": resource,
                    "fewer": fewer,
                    "count": count,
                }
                yield (
                    Reason(
                        "lower-count",
                        "container {container}: ask for {fewer} of {resource} instead of {count}",
                        values,
                    ),
                    _with_amount(case, i, resource, Quantity(fewer * NANO)),
                )


def _with_amount(case: Case, number: int, resource: str, amount: Quantity) -> Case:
    assert case.spec is not None
    containers = list(case.spec.containers)
    resources = given(containers[number].resources, ResourceRequirements())
    changed = {
        field: {**amounts, resource: amount}
        for field in ("limits", "requests")
        if resource in (amounts := given(getattr(resources, field), {}))
    }
    resources = structs.replace(resources, **changed)
    containers[number] = structs.replace(containers[number], resources=resources)
    return structs.replace(case, spec=structs.replace(case.spec, containers=tuple(containers)))


def _tolerations(
    case: Case, places: Iterable[Place], taints: Iterable[DeviceTaint]
) -> Iterator[tuple[Reason, Case]]:
    for place in places:
        known = given(place.asked.tolerations, ())
        for taint in taints:
            if any(tolerates(one, taint) for one in known):
                continue
            value = given(taint.value, "")
            shown = f"{taint.key}={value}:{taint.effect}" if value else f"{taint.key}:{taint.effect}"
            added = DeviceToleration(key=taint.key, operator="Equal", value=value, effect=taint.effect)
            reason = Reason(
                "tolerate-taint",
                "claim {claim}, request {request}: tolerate the taint {taint}",
                _at(case, place) | {"taint": shown},
            )
            yield reason, _changed(case, place, tolerations=(*known, added))


def _fewer_constraints(case: Case) -> Iterator[tuple[Reason, Case]]:
    for number, claim in enumerate(case.claims):
        constraints = () if claim.spec.devices is UNSET else given(claim.spec.devices.constraints, ())
        for i, one in enumerate(constraints):
            attribute = given(one.match_attribute, given(one.distinct_attribute, ""))
            values: dict[str, str | int] = {"claim": claim_name(claim), "number": i, "attribute": attribute}
            rest = constraints[:i] + constraints[i + 1 :]
            yield (
                Reason("drop-constraint", "claim {claim}: drop constraint #{number} on {attribute}", values),
                _with_devices(case, number, constraints=rest),
            )


def _other_classes(case: Case, places: Iterable[Place], choices: Choices) -> Iterator[tuple[Reason, Case]]:
    """Classes of the same drivers and types of devices; any class in the place of one that is not there."""
    for place in places:
        own = place.asked.device_class_name
        for name in sorted(choices.classes):
            if name == own or not _is_like(name, own, choices):
                continue
            values = _at(case, place) | {"class_name": name, "own": own}
            yield (
                Reason(
                    "other-class",
                    "claim {claim}, request {request}: ask for the class {class_name} instead of {own}",
                    values,
                ),
                _changed(case, place, device_class_name=name),
            )


def _is_like(name: str, own: str, choices: Choices) -> bool:
    """Whether who asks for `own` may take `name`: a MIG device is no GPU, whoever drives both."""
    if own not in choices.classes:
        return True
    if not choices.classes[name] & choices.classes[own]:
        return False
    types = choices.types.get(own, frozenset())
    return not types or choices.types.get(name, frozenset()) <= types


def _lower_capacities(
    case: Case, places: Iterable[Place], left: Mapping[str, tuple[Quantity, ...]]
) -> Iterator[tuple[Reason, Case]]:
    for place in places:
        asked = place.asked.capacity
        requests = given(asked.requests, {}) if asked is not UNSET else {}
        pairs = [(name, fewer) for name in sorted(requests) for fewer in left.get(name, ())]
        for name, fewer in pairs:
            if fewer.nanos >= requests[name].nanos:
                continue
            values = _at(case, place) | {"capacity": name, "left": str(fewer), "amount": str(requests[name])}
            yield (
                Reason(
                    "lower-capacity",
                    "claim {claim}, request {request}: ask for {left} of {capacity}, as much as a device has "
                    "left, instead of {amount}",
                    values,
                ),
                _changed(case, place, capacity=CapacityRequirements(requests={**requests, name: fewer})),
            )


def _mappings(case: Case, mappings: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[Reason, Case]]:
    for resource, classes in mappings.items():
        for name in classes:
            values: dict[str, str | int] = {
                "resource": resource,
                "class_name": name,
                "implicit": IMPLICIT + name,
            }
            yield (
                Reason(
                    "map-extended-resource",
                    "give the class {class_name} the extendedResourceName {resource}, or ask for {implicit}",
                    values,
                ),
                structs.replace(case, mapped={resource: name}),
            )


def _without(run: Run) -> Reason:
    if run.kind == "Pod":
        text = "leave out the pod {name}, which gets its devices in this run"
        return Reason("without-pod", text, {"name": run.name})
    text = "leave out the claim {name}, which gets its devices in this run"
    return Reason("without-claim", text, {"name": run.name})

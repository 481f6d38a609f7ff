"""The smallest change that helps: single changes of claims or cluster, each tried on the allocator.

In this order, and the first that works is the answer: drop one selector; lower one count; tolerate one taint;
drop one constraint; ask for another class; free the devices of one claim; turn one gate on. Within a kind the
order is that of the claims, then of their requests. Two changes at once are not tried.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import UNSET, Struct, structs

from stellwerk.api.defaults import ALL
from stellwerk.api.groups.core import PodSpec, ResourceRequirements
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
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
from stellwerk.engine.allocation.pods.extended import extended_of
from stellwerk.engine.allocation.search.attempt import MAX_DEVICES_PER_CLAIM
from stellwerk.engine.decision import Reason

MOST_TRIES, MOST_GIVEN_UP = 200, 10
AnyRequest = ExactDeviceRequest | DeviceSubRequest


class Case(Struct, frozen=True, kw_only=True):
    """What is asked and under what: claims, gates that are on, a claim whose devices are free ("": none).

    `spec`: the pod's, for its extended resources; None for a claim without a pod.
    """

    claims: tuple[ResourceClaim, ...]
    gates: frozenset[str]
    freed: str = ""
    spec: PodSpec | None = None


class Choices(Struct, frozen=True, kw_only=True):
    """What the cluster offers for a change: `classes` with their drivers, taints of devices, claims that hold
    devices, gates that could be turned on."""

    classes: Mapping[str, frozenset[str]]
    taints: tuple[DeviceTaint, ...]
    holders: Sequence[str]
    gates: tuple[str, ...]


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
    yield from _tolerations(case, places, choices.taints)
    yield from _fewer_constraints(case)
    yield from _other_classes(case, places, choices.classes)
    for holder in choices.holders:
        reason = Reason("free-claim", "free the devices of the claim {holder}", {"holder": holder})
        yield reason, structs.replace(case, freed=holder)
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


def _other_classes(
    case: Case, places: Iterable[Place], classes: Mapping[str, frozenset[str]]
) -> Iterator[tuple[Reason, Case]]:
    """Classes of the same drivers; any class in the place of one that is not there."""
    for place in places:
        own = place.asked.device_class_name
        for name in sorted(classes):
            if name == own or (own in classes and not classes[name] & classes[own]):
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

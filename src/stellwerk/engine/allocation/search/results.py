"""The AllocationResult of each claim from what an attempt has taken.

Source: Allocate and createNodeSelector in structured/internal/experimental (Kubernetes 1.37), KEP-4381.
"""

import hashlib
from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType, structs

from stellwerk.api.groups.core import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    AllocationResult,
    DeviceAllocationConfiguration,
    DeviceAllocationResult,
    DeviceRequestAllocationResult,
)
from stellwerk.engine.allocation.claims.question import ClaimQuestion, Question, Request
from stellwerk.engine.allocation.decision import AllocationError, DeviceID
from stellwerk.engine.allocation.pools.offered import OfferedDevice
from stellwerk.engine.allocation.search.attempt import Attempt
from stellwerk.engine.allocation.search.ledger import Taken

CLASS, CLAIM = "FromClass", "FromClaim"


class _Picked(Struct, frozen=True):
    """An entry of `requests` with the alternative that was taken."""

    name: str
    request: Request


def results_of(attempt: Attempt, node_name: str) -> tuple[AllocationResult, ...]:
    """One result per claim; raises AllocationError for devices whose node selectors cannot be joined."""
    asked = attempt.site.question
    binding = asked.features.device_binding_and_status
    return tuple(
        _result(
            claim.name,
            [one.device for one in taken],
            tuple([_device(one, place, claim, binding) for place, one in enumerate(taken)]),
            (_config(claim, _picked(number, claim, attempt.chosen)), node_name),
        )
        for number, (claim, taken) in enumerate(zip(asked.claims, attempt.ledger.taken, strict=True))
    )


Config = tuple[DeviceAllocationConfiguration, ...]


def _result(
    claim: str,
    devices: Sequence[OfferedDevice],
    results: tuple[DeviceRequestAllocationResult, ...],
    rest: tuple[Config, str],
) -> AllocationResult:
    config, node_name = rest
    return AllocationResult(
        devices=DeviceAllocationResult(results=results, config=config or UNSET),
        node_selector=_node_selector(claim, devices, node_name),
    )


def results_at(
    asked: Question,
    like: Sequence[AllocationResult],
    devices: Sequence[Sequence[OfferedDevice]],
    node_name: str,
) -> tuple[AllocationResult, ...]:
    """Results `like` those of another node, for ordinary devices here in the place of those there."""
    results = []
    for claim, other, mine in zip(asked.claims, like, devices, strict=True):
        parts = given(other.devices, DeviceAllocationResult())
        renamed = [
            _renamed(one, device.id) for one, device in zip(given(parts.results, ()), mine, strict=True)
        ]
        results.append(_result(claim.name, mine, tuple(renamed), (given(parts.config, ()), node_name)))
    return tuple(results)


def _renamed(other: DeviceRequestAllocationResult, device: DeviceID) -> DeviceRequestAllocationResult:
    driver, pool, name = device.driver, device.pool, device.device
    if other.tolerations is UNSET:
        return DeviceRequestAllocationResult(request=other.request, driver=driver, pool=pool, device=name)
    return structs.replace(other, driver=driver, pool=pool, device=name)


def _picked(number: int, claim: ClaimQuestion, chosen: Mapping[tuple[int, int], int]) -> list[_Picked]:
    return [
        _Picked(choice.name, choice.alternatives[chosen.get((number, index), 0)])
        for index, choice in enumerate(claim.choices)
    ]


def _device(one: Taken, place: int, claim: ClaimQuestion, binding: bool) -> DeviceRequestAllocationResult:
    driver, pool, name = one.device.id.driver, one.device.id.pool, one.device.id.device
    request = one.request
    if one.device.ordinary and not request.tolerations and not request.says_admin:
        return DeviceRequestAllocationResult(request=request.label, driver=driver, pool=pool, device=name)
    device = one.device.device
    return DeviceRequestAllocationResult(
        request=request.label,
        driver=driver,
        pool=pool,
        device=name,
        admin_access=True if request.admin else UNSET,
        tolerations=request.tolerations or UNSET,
        binding_conditions=device.binding_conditions if binding else UNSET,
        binding_failure_conditions=device.binding_failure_conditions if binding else UNSET,
        share_id=UNSET if one.consumed is None else share_id(claim, one, place),
        consumed_capacity=one.consumed or UNSET,
        skip_node_operations=one.device.spec.skip_node_operations,
    )


def share_id(claim: ClaimQuestion, one: Taken, place: int) -> str:
    """A UUID (RFC 9562, version 8) of the share: the same for the same snapshot (Kubernetes' is random)."""
    uid = given(claim.claim.metadata.uid, "")
    text = "\n".join((str(one.device.id), uid, claim.name, one.request.label, str(place)))
    digest = bytearray(hashlib.sha256(text.encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    raw = digest.hex()
    return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))


def _config(claim: ClaimQuestion, picked: Sequence[_Picked]) -> tuple[DeviceAllocationConfiguration, ...]:
    """The classes' configuration in the order of their first request, then the claim's for what was taken."""
    devices = claim.claim.spec.devices
    of_claim = () if devices is UNSET else given(devices.config, ())
    if not of_claim and not any(one.request.class_ and one.request.class_.spec.config for one in picked):
        return ()
    by_class: dict[str, list[str]] = {}
    classes = {}
    for one in picked:
        if one.request.class_ is not None:
            name = given(one.request.class_.metadata.name, "")
            classes[name] = one.request.class_
            by_class.setdefault(name, []).append(one.request.label)
    config = [
        DeviceAllocationConfiguration(
            source=CLASS, requests=_unless_all(tuple(labels), picked), opaque=entry.opaque
        )
        for name, labels in by_class.items()
        for entry in given(classes[name].spec.config, ())
    ]
    for asked in of_claim:
        names = given(asked.requests, ())
        if not names or any(one.name in names or one.request.label in names for one in picked):
            config.append(
                DeviceAllocationConfiguration(
                    source=CLAIM, requests=_unless_all(names, picked), opaque=asked.opaque
                )
            )
    return tuple(config)


def _unless_all(names: tuple[str, ...], picked: Sequence[_Picked]) -> tuple[str, ...] | UnsetType:
    """The names, or nothing if they are all requests, since nothing means all."""
    if all(one.name in names or one.request.label in names for one in picked):
        return UNSET
    return names or UNSET


def _node_selector(claim: str, devices: Sequence[OfferedDevice], node_name: str) -> NodeSelector | UnsetType:
    """The node if a device is local to it or binds to it, else what the devices' selectors ask together."""
    fields: list[NodeSelectorRequirement] = []
    expressions: list[NodeSelectorRequirement] = []
    for one in devices:
        spec, device = one.spec, one.device
        source = device if one.per_device_nodes else spec
        if source.node_name is not UNSET or given(device.binds_to_node, False):
            return _this_node(node_name)
        terms = () if source.node_selector is UNSET else source.node_selector.node_selector_terms
        if len(terms) > 1:
            raise AllocationError(
                f"create NodeSelector for claim {claim}: unsupported ResourceSlice.NodeSelector with "
                f"{len(terms)} terms"
            )
        for term in terms:
            _add_new(fields, given(term.match_fields, ()))
            _add_new(expressions, given(term.match_expressions, ()))
    if not fields and not expressions:
        return UNSET
    term = NodeSelectorTerm(
        match_expressions=tuple(expressions) or UNSET, match_fields=tuple(fields) or UNSET
    )
    return NodeSelector(node_selector_terms=(term,))


def _this_node(name: str) -> NodeSelector:
    field = NodeSelectorRequirement(key="metadata.name", operator="In", values=(name,))
    return NodeSelector(node_selector_terms=(NodeSelectorTerm(match_fields=(field,)),))


def _add_new(known: list[NodeSelectorRequirement], more: Sequence[NodeSelectorRequirement]) -> None:
    for one in more:
        values = set(given(one.values, ()))
        same = (
            k.key == one.key and k.operator == one.operator and set(given(k.values, ())) == values
            for k in known
        )
        if not any(same):
            known.append(one)


def config_for_result(
    config: Sequence[DeviceAllocationConfiguration], result: DeviceRequestAllocationResult
) -> tuple[DeviceAllocationConfiguration, ...]:
    """The configuration that concerns one device of an allocation: what the driver on the node reads.

    A request's configuration holds for its alternatives, an alternative's for itself; none named means all.
    Source: ConfigForResult in resourceclaim/resourceclaim.go of dynamic-resource-allocation (v0.37).
    """
    names = {result.request, result.request.partition("/")[0]}
    return tuple(
        one
        for one in config
        if one.opaque is not UNSET and (not given(one.requests, ()) or names & set(given(one.requests, ())))
    )

"""Claims, templates and classes with their CEL, as the API server checks them when they are created.

An object that is allocated, and so must be stored already, is not checked again.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain

from stellwerk.api.checks.devices.claims import claim_refusals, class_refusals
from stellwerk.api.checks.devices.rules import Rules, expression_refusal
from stellwerk.api.checks.refusal import Refusal, refuse_first
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim, DeviceClass, ResourceClaim, ResourceClaimTemplate
from stellwerk.api.manifests import Manifest
from stellwerk.cel.environment import Environment
from stellwerk.engine.allocation.claims.expressions import (
    derived_cost_refusal,
    derived_refusal,
    selector_refusal,
)
from stellwerk.engine.allocation.pods.claims import allocation_of

DERIVED = "DRADerivedAttributes"


def check_expressions(manifests: Sequence[Manifest], gates: frozenset[str]) -> None:
    """Every expression compiles, and costs no more than it may. Raises InvalidInput."""
    for manifest in manifests:
        refuse_first(manifest, _refusals(manifest.object, gates))


def _refusals(of: object, gates: frozenset[str]) -> Iterator[Refusal]:
    environment = Environment(
        consumable_capacity="DRAConsumableCapacity" in gates,
        list_type_attributes="DRAListTypeAttributes" in gates,
        stored=False,
    )
    rules = Rules(
        selector=partial(selector_refusal, environment),
        derived=partial(derived_refusal, environment) if DERIVED in gates else expression_refusal,
    )

    def of_claim(path: str, claim: DeviceClaim) -> Iterator[Refusal]:
        costs = derived_cost_refusal(environment, path, claim) if DERIVED in gates else ()
        return chain(claim_refusals(path, claim, rules), costs)

    match of:
        case DeviceClass() as class_:
            yield from class_refusals("spec", class_.spec, rules)
        case ResourceClaimTemplate() as template:
            yield from of_claim("spec.spec.devices", given(template.spec.spec.devices, DeviceClaim()))
        case ResourceClaim() as claim if allocation_of(claim) is None:
            yield from of_claim("spec.devices", given(claim.spec.devices, DeviceClaim()))

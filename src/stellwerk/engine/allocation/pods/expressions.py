"""CEL in claims, templates and classes, as the API server checks it when they are created: types and cost.

An object that is allocated, and so must be stored already, is not checked again.
Source: validateCELExpression in pkg/apis/resource/validation (Kubernetes 1.37).
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import UNSET, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    DeviceClass,
    DeviceSelector,
    ResourceClaim,
    ResourceClaimSpec,
    ResourceClaimTemplate,
)
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.cel.environment import MAX_COST, Environment
from stellwerk.cel.errors import CompileError
from stellwerk.cel.selector import compile_selector
from stellwerk.engine.allocation.pods.claims import allocation_of

Found = tuple[str, str]  # Path and expression.


def check_expressions(manifests: Sequence[Manifest], gates: frozenset[str]) -> None:
    """Every selector compiles, and costs no more than it may. Raises InvalidInput."""
    environment = Environment(
        consumable_capacity="DRAConsumableCapacity" in gates,
        list_type_attributes="DRAListTypeAttributes" in gates,
        stored=False,
    )
    checked: set[str] = set()
    for manifest in manifests:
        for path, expression in _expressions(manifest):
            if expression not in checked:
                checked.add(expression)
                _check(manifest, path, expression, environment)


def _check(manifest: Manifest, path: str, expression: str, environment: Environment) -> None:
    try:
        cost = compile_selector(expression, environment).max_cost
    except CompileError as error:
        raise InvalidInput(
            "the CEL expression is not valid: {error}",
            fix="correct the expression",
            **manifest.at(path),
            error=shown(error.text),
        ) from None
    if cost is not None and cost > MAX_COST:
        raise InvalidInput(
            "the CEL expression is too complex: it could cost {cost}, and {most} is the limit",
            fix="make it shorter, with fewer loops inside one another",
            **manifest.at(path),
            cost=cost,
            most=MAX_COST,
        )


def _expressions(manifest: Manifest) -> Iterator[Found]:
    match manifest.object:
        case DeviceClass() as class_:
            yield from _of_selectors("spec.selectors", class_.spec.selectors)
        case ResourceClaimTemplate() as template:
            yield from _of_spec("spec.spec.devices", template.spec.spec)
        case ResourceClaim() as claim if allocation_of(claim) is None:
            yield from _of_spec("spec.devices", claim.spec)
        case _:
            pass


def _of_spec(path: str, spec: ResourceClaimSpec) -> Iterator[Found]:
    requests = () if spec.devices is UNSET else given(spec.devices.requests, ())
    for i, request in enumerate(requests):
        here = f"{path}.requests[{i}]"
        if request.exactly is not UNSET:
            yield from _of_selectors(f"{here}.exactly.selectors", request.exactly.selectors)
        for k, listed in enumerate(given(request.first_available, ())):
            yield from _of_selectors(f"{here}.firstAvailable[{k}].selectors", listed.selectors)


def _of_selectors(path: str, selectors: Iterable[DeviceSelector] | UnsetType) -> Iterator[Found]:
    for i, selector in enumerate(given(selectors, ())):
        if selector.cel is not UNSET:
            yield f"{path}[{i}].cel.expression", selector.cel.expression

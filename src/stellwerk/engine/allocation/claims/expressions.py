"""CEL of claims and classes as the API server checks it when they are made: types, and cost at the worst.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go (validateCELExpression), types.go.
"""

from collections.abc import Iterator
from functools import lru_cache

from msgspec import UnsetType
from msgspec.structs import replace

from stellwerk.api.checks.devices.claims import MAX_REQUESTS
from stellwerk.api.checks.devices.requests import MAX_ALTERNATIVES, MAX_DERIVED, Asking
from stellwerk.api.checks.devices.rules import expression_refusal
from stellwerk.api.checks.refusal import Refusal
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceClaim, DeviceRequest
from stellwerk.api.mismatch import shown
from stellwerk.cel.derived import compile_attribute
from stellwerk.cel.environment import MAX_COST, Environment
from stellwerk.cel.errors import CompileError
from stellwerk.cel.selector import compile_selector

MAX_DERIVED_COST = 1_000_000  # DeviceClaimDerivedAttributeCELMaxCost: all of a claim together.


def selector_refusal(environment: Environment, path: str, expression: str) -> Refusal | None:
    """Why a new selector is refused."""
    return expression_refusal(path, expression) or _at(path, _of_selector(expression, environment))


def derived_refusal(environment: Environment, path: str, expression: str) -> Refusal | None:
    """Why the expression of a new derived attribute is refused."""
    return expression_refusal(path, expression) or _at(path, _of_attribute(expression, environment))


def derived_cost_refusal(environment: Environment, path: str, claim: DeviceClaim) -> Iterator[Refusal]:
    """The derived attributes of a claim cost too much together; what does not compile costs nothing."""
    asked = [each for request in given(claim.requests, ())[:MAX_REQUESTS] for each in _asked(request)]
    derived = (one for each in asked for one in given(each.derived_attributes, ())[:MAX_DERIVED])
    cost = sum(_cost(one.expression, environment) for one in derived)
    if cost > MAX_DERIVED_COST:
        yield Refusal(
            code="derived-too-costly",
            path=path,
            problem="all derived attributes together may cost {cost}, more than the limit of {limit}",
            fix="keep fewer of them, or divide the claim into several",
            values={"cost": cost, "limit": MAX_DERIVED_COST},
        )


def _asked(request: DeviceRequest) -> tuple[Asking, ...]:
    """What the expressions of a request are compiled for: not of one that has both forms."""
    alternatives = given(request.first_available, ())
    if isinstance(request.exactly, UnsetType):
        return alternatives[:MAX_ALTERNATIVES]
    return () if alternatives else (request.exactly,)


def _at(path: str, refusal: Refusal | None) -> Refusal | None:
    return None if refusal is None else replace(refusal, path=path)


@lru_cache(maxsize=1024)
def _of_selector(expression: str, environment: Environment) -> Refusal | None:
    try:
        return _too_costly(compile_selector(expression, environment).max_cost)
    except CompileError as error:
        return _not_compiled(error)


@lru_cache(maxsize=1024)
def _of_attribute(expression: str, environment: Environment) -> Refusal | None:
    try:
        return _too_costly(compile_attribute(expression, environment).max_cost)
    except CompileError as error:
        return _not_compiled(error)


def _cost(expression: str, environment: Environment) -> int:
    try:
        return compile_attribute(expression, environment).max_cost
    except CompileError:
        return 0


def _not_compiled(error: CompileError) -> Refusal:
    """The compiler's first line, cut: an expression may be long."""
    lines = str(error).splitlines() or [""]
    return Refusal(
        code="does-not-compile",
        path="",
        problem="the CEL expression is not valid: {why}",
        fix="correct the expression",
        values={"why": lines[0] if len(lines[0]) <= 160 else shown(lines[0])},
    )


def _too_costly(cost: int | None) -> Refusal | None:
    if cost is None or cost <= MAX_COST:
        return None
    return Refusal(
        code="too-costly",
        path="",
        problem="the CEL expression is too complex: it could cost {cost}, and {most} is the limit",
        fix="make it shorter, with fewer loops inside one another",
        values={"cost": cost, "most": MAX_COST},
    )

"""Do CEL expressions compile, with what this cluster's gates declare, and within the cost that is allowed.

Source: k8s.io/kubernetes pkg/apis/resource/validation/validation.go (validateCELExpression), types.go.
"""

from collections.abc import Iterable
from functools import lru_cache

from msgspec.structs import replace

from stellwerk.api.checks.devices.rules import expression_refusal
from stellwerk.api.checks.refusal import Refusal
from stellwerk.api.mismatch import shown
from stellwerk.cel.derived import compile_attribute
from stellwerk.cel.environment import MAX_COST, Environment
from stellwerk.cel.errors import CompileError
from stellwerk.cel.selector import compile_selector
from stellwerk.engine.allocation.support.row import Cluster

MAX_DERIVED_COST = 1_000_000  # DeviceClaimDerivedAttributeCELMaxCost: all of a claim together.


def environment_of(cluster: Cluster) -> Environment:
    """What the gates of this cluster declare for a new expression."""
    return Environment(
        consumable_capacity=cluster.on("DRAConsumableCapacity"),
        list_type_attributes=cluster.on("DRAListTypeAttributes"),
        stored=False,
    )


def selector_refusal(environment: Environment, path: str, expression: str) -> Refusal | None:
    """Why a new selector is refused."""
    return expression_refusal(path, expression) or _at(path, _of_selector(expression, environment))


def derived_refusal(environment: Environment, path: str, expression: str) -> Refusal | None:
    """Why the expression of a new derived attribute is refused."""
    return expression_refusal(path, expression) or _at(path, _of_attribute(expression, environment))


def derived_cost(environment: Environment, expressions: Iterable[str]) -> int:
    """The worst case of all of them together, in cost units; what does not compile costs nothing."""
    return sum(_cost(each, environment) for each in expressions)


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
        problem="the expression does not compile: {why}",
        fix="write one expression over `device`",
        values={"why": lines[0] if len(lines[0]) <= 160 else shown(lines[0])},
    )


def _too_costly(cost: int | None) -> Refusal | None:
    if cost is None or cost <= MAX_COST:
        return None
    return Refusal(
        code="too-costly",
        path="",
        problem="the expression may cost {cost}, more than the limit of {limit}",
        fix="compare fewer lists and shorter strings",
        values={"cost": cost, "limit": MAX_COST},
    )

"""Do the CEL selectors compile, with what this cluster's gates declare, and within the cost that is allowed.

The room `cel` may not be in this tree yet, so its modules are looked up when they are asked for: without them
nothing is compiled, and `can_compile` says so.
"""

import importlib
import importlib.util
from functools import lru_cache

from stellwerk.api.mismatch import shown
from stellwerk.engine.decision import Reason

# k8s.io/kubernetes pkg/apis/resource/types.go: CELSelectorExpressionMaxLength, CELSelectorExpressionMaxCost.
MAX_LENGTH, MAX_COST = 10 * 1024, 1_000_000


def can_compile() -> bool:
    """Whether this build has the room `cel`."""
    return importlib.util.find_spec("stellwerk.cel") is not None


def length_reason(expression: str) -> Reason | None:
    """Why the expression is too long for the API server, or None."""
    if len(expression.encode("utf-8", "surrogatepass")) <= MAX_LENGTH:
        return None
    return Reason("expression-too-long", "the expression is longer than {limit} bytes", {"limit": MAX_LENGTH})


@lru_cache(maxsize=1024)
def selector_reason(expression: str, consumable_capacity: bool, list_attributes: bool) -> Reason | None:
    """Why a new selector is refused under these two gates; None: it is not, or nothing compiled it."""
    if (long := length_reason(expression)) is not None:
        return long
    if not can_compile():
        return None
    selectors = importlib.import_module("stellwerk.cel.selector")
    environment = importlib.import_module("stellwerk.cel.environment").Environment(
        consumable_capacity=consumable_capacity, list_type_attributes=list_attributes, stored=False
    )
    compile_error = importlib.import_module("stellwerk.cel.errors").CompileError
    try:
        selector = selectors.compile_selector(expression, environment)
    except compile_error as error:
        return Reason(
            "does-not-compile", "the expression does not compile: {why}", {"why": shown_error(error)}
        )
    if selector.max_cost is not None and selector.max_cost > MAX_COST:
        values = {"cost": selector.max_cost, "limit": MAX_COST}
        return Reason("too-costly", "the expression may cost {cost}, more than the limit of {limit}", values)
    return None


def shown_error(error: Exception) -> str:
    """The compiler's first line, cut: an expression may be long."""
    lines = str(error).splitlines() or [""]
    return lines[0] if len(lines[0]) <= 160 else shown(lines[0])

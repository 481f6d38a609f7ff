"""Compile a CEL selector of a device, and evaluate it."""

from functools import lru_cache
from typing import Any

from stellwerk.cel.check.checker import Checked, check
from stellwerk.cel.check.declarations import attribute_type
from stellwerk.cel.check.kinds import BOOL, Type
from stellwerk.cel.check.validators import validate
from stellwerk.cel.cost.estimate import estimate
from stellwerk.cel.device import CelDevice
from stellwerk.cel.environment import MAX_COST, MAX_LENGTH, Environment
from stellwerk.cel.errors import CompileError, CostExceeded, EvaluationError
from stellwerk.cel.run.plan import FIRST, Evaluate, Plan
from stellwerk.cel.syntax.parser import parse
from stellwerk.cel.syntax.tree import Call, Const, Ident, Node, Select, children
from stellwerk.cel.values.names import type_name

_TOO_DEEP = "compilation failed: ERROR: <input>:-1:0: max recursion depth exceeded"


class Program:
    """A compiled expression of any result. `max_cost` is the worst case in cost units."""

    __slots__ = ("_evaluate", "_places", "checked", "expression", "max_cost")

    def __init__(self, expression: str, checked: Checked) -> None:
        self.expression, self.checked = expression, checked
        self.max_cost: int = estimate(checked)
        plan = Plan(checked, counted=self.max_cost > MAX_COST)
        self._evaluate: Evaluate = plan.block(checked.root)
        self._places: list[object] = [None] * (plan.places - FIRST)

    def value(self, device: CelDevice) -> Any:
        """What the expression gives for `device`. Raises EvaluationError with cel-go's text."""
        if device.error is not None:
            raise device.error
        try:
            return self._evaluate([device.fields, 0, *self._places])
        except CostExceeded:
            raise EvaluationError("operation cancelled: actual cost limit exceeded") from None
        except RecursionError:
            raise EvaluationError("max recursion depth exceeded") from None


class Selector:
    """A compiled expression that takes a device or not.

    `max_cost` is the worst case in cost units: Kubernetes refuses objects with a selector above MAX_COST.
    `attributes` and `capacities` are the (domain, name) that it can read, None where it may read any; the
    driver's name and allowMultipleAllocations can be read besides.
    """

    __slots__ = ("_program", "attributes", "capacities", "expression", "max_cost")

    def __init__(self, program: Program) -> None:
        self.expression = program.expression
        self.max_cost: int | None = program.max_cost
        self.attributes, self.capacities = _reads(program.checked.root)
        self._program = program

    def matches(self, device: CelDevice) -> bool:
        """Whether the expression holds for `device`. Raises EvaluationError with cel-go's text."""
        value = self._program.value(device)
        if value is True or value is False:
            return value
        name = type_name(value)
        reason = f"type conversion error from {name} to 'bool'"
        raise EvaluationError(f"CEL result of type {name} could not be converted to bool: {reason}")


@lru_cache(maxsize=4096)
def compile_selector(expression: str, environment: Environment) -> Selector:
    """The selector that `expression` is. Raises CompileError with the text that Kubernetes gives."""
    program, result = compile_program(expression, environment)
    if result not in (BOOL, attribute_type(environment)):
        raise CompileError(f"must evaluate to bool or the unknown type, not {result}")
    return Selector(program)


def compile_program(expression: str, environment: Environment) -> tuple[Program, Type]:
    """The program of an expression, and the type of what it gives. Raises CompileError.

    Above MAX_LENGTH bytes the API server refuses an expression before it is compiled; so does this.
    """
    if len(expression) > MAX_LENGTH or len(expression.encode("utf-8", "surrogatepass")) > MAX_LENGTH:
        raise CompileError(f"Too long: may not be more than {MAX_LENGTH} bytes")
    try:
        checked = check(parse(expression), expression, environment)
        validate(checked, expression)
        return Program(expression, checked), checked.types[checked.root]
    except RecursionError:
        raise CompileError(_TOO_DEEP) from None


_Names = frozenset[tuple[str, str]]


def _reads(root: Node) -> tuple[_Names | None, _Names | None]:
    """The attributes and capacities that are named in full, None where the expression may read others."""
    found: dict[str, set[tuple[str, str]]] = {"attributes": set(), "capacity": set()}
    unknown: set[str] = set()
    pending, seen = [root], set()
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        known = _full_name(node)
        if known is not None:
            found[known[0]].add(known[1:])
            continue
        if isinstance(node, Select) and isinstance(node.operand, Ident) and node.operand.name == "device":
            unknown.add(node.field)
            continue
        if isinstance(node, Ident) and node.name == "device":
            unknown.update(found)
        pending.extend(children(node))
    attributes, capacities = (None if part in unknown else frozenset(found[part]) for part in found)
    return attributes, capacities


def _full_name(node: Node) -> tuple[str, str, str] | None:
    match node:
        case Select(operand=below, field=name) | Call(function="_[_]", args=(below, Const(value=str(name)))):
            match below:
                case Call(
                    function="_[_]",
                    args=(
                        Select(operand=Ident(name="device"), field="attributes" | "capacity" as part),
                        Const(value=str(domain)),
                    ),
                ):
                    return part, domain, name
    return None

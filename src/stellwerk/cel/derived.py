"""A CEL expression that makes an attribute of a device: derivedAttributes of a request.

Source: EvaluateDerivedAttribute, validateOutputType in cel/compile.go of dynamic-resource-allocation (v0.37),
KEP-5491: it must be a scalar that attributes have, or a list of such.
"""

from functools import lru_cache
from typing import Any

from stellwerk.api.groups.resource import DeviceAttribute
from stellwerk.cel.check.kinds import ANY, BOOL, DYN, INT, STRING, Type
from stellwerk.cel.device import CelDevice
from stellwerk.cel.environment import Environment
from stellwerk.cel.errors import CompileError, EvaluationError
from stellwerk.cel.selector import Program, compile_program
from stellwerk.cel.values.names import type_name
from stellwerk.cel.values.versions import Version

_SEMVER = "kubernetes.Semver"
_SCALARS = (BOOL, INT, STRING, ANY, DYN)
_GO_NAMES = {"bool": "bool", "int": "int", "string": "string", _SEMVER: "semver"}


class DerivedAttribute:
    """A compiled expression and what it says of a device. `max_cost` is the worst case in cost units."""

    __slots__ = ("_program", "expression", "max_cost")

    def __init__(self, program: Program) -> None:
        self._program, self.expression, self.max_cost = program, program.expression, program.max_cost

    def evaluate(self, device: CelDevice) -> DeviceAttribute:
        """The attribute. Raises EvaluationError where the expression fails or gives no possible value."""
        return _attribute(self._program.value(device))


@lru_cache(maxsize=4096)
def compile_attribute(expression: str, environment: Environment) -> DerivedAttribute:
    """The derived attribute that `expression` is. Raises CompileError with the text that Kubernetes gives."""
    program, result = compile_program(expression, environment)
    lists = environment.has_lists()
    if not _is_scalar(result) and not (lists and result.kind == "list" and _is_scalar(result.params[0])):
        or_list = " or a list of these scalars" if lists else ""
        scalars = "must evaluate to a primitive scalar (string, integer, boolean, semver)"
        raise CompileError(f"{scalars}{or_list}, not {result}")
    return DerivedAttribute(program)


def _is_scalar(kind: Type) -> bool:
    return kind in _SCALARS or str(kind) == _SEMVER


def _attribute(value: Any) -> DeviceAttribute:
    if value is True or value is False:
        return DeviceAttribute(bool_=value)
    if isinstance(value, list):
        return _list(value)
    match type_name(value):
        case "int":
            return DeviceAttribute(int_=value)
        case "string":
            return DeviceAttribute(string=value)
        case name if name == _SEMVER:
            return DeviceAttribute(version=str(value))
        case name:
            raise EvaluationError(f"unsupported CEL return type: {name}")


def _list(values: list[Any]) -> DeviceAttribute:
    if not values:
        return DeviceAttribute(strings=())
    kind = type_name(values[0])
    if kind not in _GO_NAMES:
        raise EvaluationError(f"unsupported list element type: {kind}")
    for place, value in enumerate(values):
        if type_name(value) != kind:
            wanted = _GO_NAMES[kind]
            found = type_name(value)
            raise EvaluationError(f"expected list element at index {place} to be {wanted}, got {found}")
    if kind == "bool":
        return DeviceAttribute(bools=tuple(values))
    if kind == "int":
        return DeviceAttribute(ints=tuple(values))
    if isinstance(values[0], Version):
        return DeviceAttribute(versions=tuple(map(str, values)))
    return DeviceAttribute(strings=tuple(values))

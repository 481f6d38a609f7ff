"""Which implementation a call runs: chosen when it is planned where types are known, else by the values' classes."""

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from stellwerk.cel.check.declarations import Overload
from stellwerk.cel.check.kinds import Type
from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.library.conversions import CONVERSIONS
from stellwerk.cel.library.kubernetes import KUBERNETES_FUNCTIONS
from stellwerk.cel.library.lists import LIST_FUNCTIONS, size
from stellwerk.cel.library.operators import OPERATORS
from stellwerk.cel.library.texts import TEXT_FUNCTIONS
from stellwerk.cel.library.times import TIME_FUNCTIONS
from stellwerk.cel.values.names import LISTS, MAPS, TYPE_NAMES, type_name

Function = Callable[..., Any]
_BY_ID: dict[str, Function] = {**TEXT_FUNCTIONS, **TIME_FUNCTIONS, **LIST_FUNCTIONS, **KUBERNETES_FUNCTIONS}
_BY_NAME: dict[str, Function] = {**OPERATORS, **CONVERSIONS, "size": size}
_CLASSES: dict[str, frozenset[type]] = {
    name: frozenset(kind for kind, known in TYPE_NAMES.items() if known == name)
    for name in set(TYPE_NAMES.values())
} | {"net.IP": frozenset({IPv4Address, IPv6Address})}
# Functions of CEL's own library that say no more than this when no signature fits.
_BRIEF = frozenset(("contains", "startsWith", "endsWith", "matches"))
_Guard = Callable[[Any], bool]


def function_for(name: str, overloads: Sequence[Overload], args: Sequence[Type]) -> Function:
    """What to call with the evaluated arguments, the receiver first. Raises EvaluationError where none fits."""
    if name in _BY_NAME:
        return _BY_NAME[name]
    if len(overloads) == 1 and all(map(_is_concrete, args)):
        return _implementation(overloads[0])
    return _guarded(name, [(tuple(map(_guard, each.args)), _implementation(each)) for each in overloads])


def _implementation(overload: Overload) -> Function:
    if overload.id in _BY_ID:
        return _BY_ID[overload.id]

    def missing(*args: Any) -> Any:  # Authorizers: declared, but no expression can get hold of one.
        raise EvaluationError("no such overload")

    return missing


def _guarded(name: str, choices: list[tuple[tuple[_Guard | None, ...], Function]]) -> Function:
    def call(*args: Any) -> Any:
        for guards, implementation in choices:
            for guard, value in zip(guards, args, strict=True):
                if guard is not None and not guard(value):
                    break
            else:
                return implementation(*args)
        if name in _BRIEF or name.startswith("get"):
            raise EvaluationError("no such overload")
        raise EvaluationError(f"no such overload: {name}({', '.join(map(type_name, args))})")

    return call


def _is_concrete(kind: Type) -> bool:
    return kind.kind not in ("dyn", "any", "error", "param") and all(map(_is_concrete, kind.params))


def _guard(kind: Type) -> _Guard | None:
    """Whether a value is of this type: of a collection the first element is looked at, as cel-go does."""
    if kind.kind in ("dyn", "any", "param", "error"):
        return None
    if kind.kind == "list":
        element = _guard(kind.params[0])
        return lambda value: value.__class__ in LISTS and (element is None or not value or element(value[0]))
    if kind.kind == "map":
        return lambda value: value.__class__ in MAPS
    classes = _CLASSES.get(kind.name, frozenset())
    return lambda value: value.__class__ in classes

"""What a call has cost, by the values it was given (apiserver pkg/cel/library/cost.go, interpreter/runtimecost.go)."""

import math
from collections.abc import Sequence
from typing import Any

from stellwerk.cel.check.kinds import Type
from stellwerk.cel.cost.calls import NOMINAL
from stellwerk.cel.cost.sizes import LIST_COST, REGEX_FACTOR, TEXT_FACTOR
from stellwerk.cel.values.equality import size_of
from stellwerk.cel.values.names import LISTS, MAPS, NamedFormat, type_name

_SEARCHES = frozenset(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf", "includes"))
_ONCE = frozenset(
    "url lowerAscii upperAscii substring trim cidr isIP isCIDR ip quantity isQuantity semver isSemver startsWith endsWith "
    "strings.quote format".split()
)
_TWICE = frozenset(("replace", "split", "ip.isCanonical"))
_ORDERS = frozenset(("_<_", "_<=_", "_>_", "_>=_"))
_SCALAR_COSTS = _ORDERS | {"_==_", "_!=_", "_+_"}
_SCALARS = frozenset(("bool", "int", "uint", "double", "timestamp", "duration", "null"))
_OWN_EQUALITY = frozenset(
    (
        "kubernetes.Quantity",
        "kubernetes.Semver",
        "net.IP",
        "net.CIDR",
        "kubernetes.NamedFormat",
        "kubernetes.URL",
    )
)


def call_cost(function: str, args: list[Any]) -> int:
    """The cost of calling `function` with these values, the receiver first."""
    if function in _SEARCHES:
        return _traversal(args[0])
    if function in NOMINAL or (function == "ip" and args[0].__class__ is not str):
        return 1
    if function in _ONCE:
        return _scan(size_of(args[0]))
    if function in _TWICE:
        return _scan(size_of(args[0]), 2 * TEXT_FACTOR)
    rule = _RULES.get(function)
    return rule(args) if rule else 1


def has_fixed_cost(function: str, kinds: Sequence[Type]) -> bool:
    """Whether `function` costs 1 whatever the values of these types are."""
    if function in _SCALAR_COSTS:
        return all(kind.kind in _SCALARS for kind in kinds)
    sized = function in _SEARCHES or function in _ONCE or function in _TWICE or function in _RULES
    return not sized and function != "join"


def join_cost(result: str) -> int:
    """join is paid by what it makes."""
    return _scan(len(result), 2 * TEXT_FACTOR)


def _scan(size: int, factor: float = TEXT_FACTOR) -> int:
    return math.ceil(size * factor)


def _traversal(value: Any) -> int:
    kind = value.__class__
    if kind is str:
        return int(len(value.encode("utf-8", "replace")) * TEXT_FACTOR)
    if kind is bytes:
        return int(len(value) * TEXT_FACTOR)
    if kind in LISTS:
        return sum(map(_traversal, value))
    if kind in MAPS:
        return sum(_traversal(key) + _traversal(each) for key, each in value.items())
    return 1


def _find(args: list[Any]) -> int:
    return _scan(size_of(args[0]) + 1) * _scan(size_of(args[1]), REGEX_FACTOR)


def _contains(args: list[Any]) -> int:
    return _scan(size_of(args[0])) * _scan(size_of(args[1]))


def _equals(args: list[Any]) -> int:
    if type_name(args[0]) in _OWN_EQUALITY:
        return 1
    return _scan(min(size_of(args[0]), size_of(args[1])))


def _order(args: list[Any]) -> int:
    return _scan(min(size_of(args[0]), size_of(args[1]))) if args[0].__class__ in (str, bytes) else 1


def _add(args: list[Any]) -> int:
    return _scan(size_of(args[0]) + size_of(args[1])) if args[0].__class__ in (str, bytes) else 1


def _in(args: list[Any]) -> int:
    return size_of(args[1]) if args[1].__class__ in LISTS else 1


def _network(args: list[Any]) -> int:
    cost = _scan(2 * size_of(args[0]))
    return cost + (_scan(size_of(args[1])) if args[1].__class__ is str else 0)


def _contains_network(args: list[Any]) -> int:
    return _network(args) + _scan(size_of(args[0])) + 1


def _validate(args: list[Any]) -> int:
    if args[0].__class__ is not NamedFormat:
        return 1
    return _scan(size_of(args[1]) + 1) * _scan(args[0].pattern_size, REGEX_FACTOR)


def _allocated(size: int, factor: float = 1.0) -> int:
    return int(size * factor) + 1 + LIST_COST


def _self_compared(args: list[Any]) -> int:
    values = args[-1]
    size = size_of(values)
    text = values.__class__ in LISTS and size > 0 and values[0].__class__ in (str, bytes)
    return _allocated(size * size, 2.0 + TEXT_FACTOR if text else 2.0)


def _flatten(args: list[Any]) -> int:
    return _allocated(size_of(args[0]), float(args[1]) if len(args) == 2 else 1.0)


def _slice(args: list[Any]) -> int:
    return _allocated(max(0, min(args[2] - args[1], size_of(args[0]))))


_RULES = {
    "find": _find,
    "findAll": _find,
    "matches": _find,
    "contains": _contains,
    "_==_": _equals,
    "_!=_": lambda args: _scan(min(size_of(args[0]), size_of(args[1]))),
    **dict.fromkeys(_ORDERS, _order),
    "_+_": _add,
    "@in": _in,
    "bytes": lambda args: _scan(size_of(args[0])) if args[0].__class__ is str else 1,
    "string": lambda args: _scan(size_of(args[0])) if args[0].__class__ is bytes else 1,
    "containsIP": _network,
    "containsCIDR": _contains_network,
    "validate": _validate,
    "slice": _slice,
    "flatten": _flatten,
    "lists.range": lambda args: _allocated(max(0, args[0])),
    "reverse": lambda args: _allocated(size_of(args[0])),
    "distinct": _self_compared,
    "sort": _self_compared,
    "@sortByAssociatedKeys": _self_compared,
    "sets.contains": lambda args: 1 + size_of(args[0]) * size_of(args[1]),
    "sets.intersects": lambda args: 1 + size_of(args[0]) * size_of(args[1]),
    "sets.equivalent": lambda args: 1 + 2 * size_of(args[0]) * size_of(args[1]),
}

"""Operators: one function for each, which looks at the classes of its arguments."""

import math
from collections.abc import Callable
from typing import Any

from stellwerk.cel.errors import CostExceeded, EvaluationError
from stellwerk.cel.library.times import add_times, subtract_times
from stellwerk.cel.values.equality import as_key, compared, contains, equal
from stellwerk.cel.values.names import LISTS, MAPS, type_name
from stellwerk.cel.values.scalars import (
    INT_MAX,
    INT_MIN,
    NONE,
    UINT_MAX,
    Duration,
    Optional,
    Timestamp,
    Uint,
    checked_int,
    checked_uint,
)

MAX_LIST = 1_000_000  # A longer list costs more than any expression may, if only to look at.
NO_OVERLOAD = "no such overload"


def add(one: Any, other: Any) -> Any:
    """one + other"""
    left = one.__class__
    if left is not other.__class__:
        if left in (Timestamp, Duration) and other.__class__ in (Timestamp, Duration):
            return add_times(one, other)
        raise EvaluationError(NO_OVERLOAD if left in _ADDED else "no such overload: _+_")
    if left is int:
        return checked_int(one + other)
    if left is Uint:
        return checked_uint(int(one) + int(other))
    if left in (str, bytes, float):
        return one + other
    if left is list:
        if len(one) + len(other) > MAX_LIST:
            raise CostExceeded
        return one + other
    if left in (Timestamp, Duration):
        return add_times(one, other)
    raise EvaluationError("no such overload: _+_")


_ADDED = (int, Uint, float, str, bytes, list, Timestamp, Duration)


def subtract(one: Any, other: Any) -> Any:
    """one - other"""
    left = one.__class__
    if left in (Timestamp, Duration):
        return subtract_times(one, other)
    if left not in (int, Uint, float):
        raise EvaluationError("no such overload: _-_")
    if left is not other.__class__:
        raise EvaluationError(NO_OVERLOAD)
    if left is float:
        return one - other
    return checked_int(one - other) if left is int else checked_uint(int(one) - int(other))


def multiply(one: Any, other: Any) -> Any:
    """one * other"""
    left = _number(one, other, "_*_")
    if left is float:
        return one * other
    return checked_int(one * other) if left is int else checked_uint(int(one) * int(other))


def divide(one: Any, other: Any) -> Any:
    """one / other, towards zero for integers."""
    left = _number(one, other, "_/_")
    if left is float:
        return _divided(one, other)
    if other == 0:
        raise EvaluationError("division by zero")
    quotient = abs(int(one)) // abs(int(other))
    return (
        Uint(quotient) if left is Uint else checked_int(quotient if (one < 0) is (other < 0) else -quotient)
    )


def modulo(one: Any, other: Any) -> Any:
    """one % other, with the sign of `one`."""
    left = one.__class__
    if left not in (int, Uint):
        raise EvaluationError("no such overload: _%_")
    if left is not other.__class__:
        raise EvaluationError(NO_OVERLOAD)
    if other == 0:
        raise EvaluationError("modulus by zero")
    if left is int and one == INT_MIN and other == -1:
        raise EvaluationError("integer overflow")
    rest = abs(int(one)) % abs(int(other))
    return Uint(rest) if left is Uint else (rest if one >= 0 else -rest)


def _number(one: Any, other: Any, function: str) -> type:
    left: type = one.__class__
    if left not in (int, Uint, float):
        raise EvaluationError(f"no such overload: {function}")
    if left is not other.__class__:
        raise EvaluationError(NO_OVERLOAD)
    return left


def _divided(one: float, other: float) -> float:
    if other != 0 or one != one:
        return one / other if other != 0 else one
    return math.nan if one == 0 else math.copysign(math.inf, one) * math.copysign(1.0, other)


def negate(value: Any) -> Any:
    """-value"""
    if value.__class__ is int:
        return checked_int(-value)
    if value.__class__ is float:
        return -value
    raise EvaluationError(NO_OVERLOAD)


def logical_not(value: Any) -> bool:
    """!value"""
    if value is True:
        return False
    if value is False:
        return True
    raise EvaluationError(NO_OVERLOAD)


def less(one: Any, other: Any) -> bool:
    """one < other"""
    return compared(one, other, "_<_") < 0


def less_equals(one: Any, other: Any) -> bool:
    """one <= other"""
    return compared(one, other, "_<=_") <= 0


def greater(one: Any, other: Any) -> bool:
    """one > other"""
    return compared(one, other, "_>_") > 0


def greater_equals(one: Any, other: Any) -> bool:
    """one >= other"""
    return compared(one, other, "_>=_") >= 0


def not_equals(one: Any, other: Any) -> bool:
    """one != other"""
    return not equal(one, other)


def within(value: Any, collection: Any) -> bool:
    """value in collection: an element of a list, or a key of a map."""
    if collection.__class__ in LISTS:
        return contains(collection, value)
    if collection.__class__ in MAPS:
        return as_key(value) in collection
    raise EvaluationError(NO_OVERLOAD)


def index(container: Any, key: Any) -> Any:
    """container[key]"""
    if container.__class__ in MAPS:
        try:
            return container[as_key(key)]
        except KeyError:
            raise EvaluationError(f"no such key: {shown(key)}") from None
    if container.__class__ is list:
        at = _position(key)
        if 0 <= at < len(container):
            return container[at]
        raise EvaluationError(f"index out of bounds: {at}")
    if container.__class__ is Optional:
        return optional_index(container, key)
    raise EvaluationError(f"no such key: {shown(key)}")


def _position(key: Any) -> int:
    if key.__class__ is float and key.is_integer() and INT_MIN <= key <= INT_MAX:
        return int(key)
    if key.__class__ is float:
        raise EvaluationError(f"unsupported index value {shown(key)} in list")
    if key.__class__ not in (int, Uint) or key > UINT_MAX:
        raise EvaluationError(f"unsupported index type '{type_name(key)}' in list")
    return int(key)


def optional_index(container: Any, key: Any) -> Optional:
    """container[?key], and container.?key: what is there, or none."""
    if container.__class__ is Optional:
        if not container.present:
            return NONE
        container = container.value
    if container.__class__ in MAPS:
        found = as_key(key)
        if found in container or container.__class__ is not dict and key.__class__ is str:
            return Optional(container[found], True)
        return NONE
    if container.__class__ is list:
        at = _position(key)
        return Optional(container[at], True) if 0 <= at < len(container) else NONE
    raise EvaluationError(f"no such key: {shown(key)}")


def has_field(container: Any, field: str) -> bool:
    """has(container.field)"""
    if container.__class__ is Optional:
        return container.present and has_field(container.value, field)
    if container.__class__ in MAPS:
        return field in container or container.__class__ is not dict
    return False


def shown(value: Any) -> str:
    """A value within a message."""
    if value.__class__ is bool:
        return "true" if value else "false"
    return f"{value:g}" if value.__class__ is float else str(value)


OPERATORS: dict[str, Callable[..., Any]] = {
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": modulo,
    "-_": negate,
    "!_": logical_not,
    "_<_": less,
    "_<=_": less_equals,
    "_>_": greater,
    "_>=_": greater_equals,
    "_==_": equal,
    "_!=_": not_equals,
    "@in": within,
    "_[_]": index,
    "_[?_]": optional_index,
    "_?._": optional_index,
}

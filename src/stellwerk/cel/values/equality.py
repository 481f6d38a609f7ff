"""Equality and order across types, and keys of maps."""

from typing import Any

from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.values.amounts import Amount
from stellwerk.cel.values.names import LISTS, MAPS, NUMBERS, TYPE_NAMES, NamedFormat
from stellwerk.cel.values.networks import Address, Prefix
from stellwerk.cel.values.scalars import Duration, Optional, Timestamp, TypeValue
from stellwerk.cel.values.urls import Url
from stellwerk.cel.values.versions import Version

_PLAIN = frozenset({str, bool, bytes, int, float, Timestamp, Duration, TypeValue})
_STRICT = (
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.URL",
    "kubernetes.NamedFormat",
    "net.IP",
    "net.CIDR",
)


class BoolKey:
    """A bool as key of a map: Python takes True and 1 for the same key, CEL does not."""

    __slots__ = ("value",)

    def __init__(self, value: bool) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BoolKey) and other.value is self.value

    def __hash__(self) -> int:
        return hash((BoolKey, self.value))


def as_key(value: Any) -> Any:
    """`value` as a key of a dict; lists and the like can be none and are never found."""
    if value.__class__ is bool:
        return BoolKey(value)
    return value if value.__class__ in NUMBERS or value.__class__ in (str, type(None)) else (id(value),)


def from_key(key: Any) -> Any:
    """The value that `key` stands for."""
    return key.value if key.__class__ is BoolKey else key


def equal(one: Any, other: Any) -> bool:
    """Whether two values are equal; numbers compare by value, values of different types are unequal.

    Raises EvaluationError where `one` is of a type of Kubernetes, which compares only with its own.
    """
    left, right = one.__class__, other.__class__
    if left is right and left in _PLAIN:
        return bool(one == other)
    if one is None or other is None:
        return one is other
    if left in NUMBERS:
        return right in NUMBERS and bool(one == other)
    if left in LISTS:
        return right in LISTS and len(one) == len(other) and all(map(equal, one, other))
    if left in MAPS:
        return right in MAPS and _equal_maps(one, other)
    if left is Optional:
        return right is Optional and _equal_optionals(one, other)
    name = TYPE_NAMES[left]
    if name in _STRICT:
        if TYPE_NAMES[right] != name:
            raise EvaluationError("no such overload")
        return _equal_own(one, other)
    return False


def _equal_maps(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(
        key in other and equal(value, other[key]) for key, value in one.items()
    )


def _equal_optionals(one: Optional, other: Optional) -> bool:
    if not one.present or not other.present:
        return one.present is other.present
    return equal(one.value, other.value)


def _equal_own(one: Any, other: Any) -> bool:
    match one:
        case Amount():
            return bool(one.nanos == other.nanos)
        case Version():
            return bool(one.key == other.key)
        case Url():
            return bool(one.text == other.text)
        case Prefix():
            return bool(one.address == other.address and one.bits == other.bits)
        case NamedFormat():
            return bool(one.name == other.name)
        case _:
            return bool(one == other)


def contains(values: list[Any], wanted: Any) -> bool:
    """Whether one of `values` equals `wanted`; what cannot be compared is not equal."""
    for each in values:
        try:
            if equal(wanted, each):
                return True
        except EvaluationError:
            continue
    return False


_ORDERED = (bool, str, bytes, Timestamp, Duration)


def compared(one: Any, other: Any, function: str) -> int:
    """-1, 0 or 1 as `one` comes before, with or after `other`."""
    left, right = one.__class__, other.__class__
    if left in NUMBERS and right in NUMBERS:
        if one != one or other != other:
            raise EvaluationError("NaN values cannot be ordered")
    elif left not in _ORDERED and left not in NUMBERS:
        raise EvaluationError(f"no such overload: {function}")
    elif left is not right:
        raise EvaluationError("no such overload")
    return (one > other) - (one < other)


def size_of(value: Any) -> int:
    """The size of a value as costs count it: characters, bytes, elements; 1 for what has no size."""
    kind = value.__class__
    if kind in (str, bytes, list) or kind in MAPS:
        return len(value)
    if kind is Optional and value.present:
        return size_of(value.value)
    if isinstance(value, Address):
        return value.max_prefixlen // 8
    return -(-value.bits // 8) if kind is Prefix else 1

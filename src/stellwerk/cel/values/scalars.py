"""Values that Python has no class for: unsigned integers, optionals, types, moments and lengths of time."""

from typing import Any

from msgspec import Struct

from stellwerk.cel.errors import EvaluationError

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
NANO = 1_000_000_000


class Uint(int):
    """An unsigned integer of 64 bits."""

    __slots__ = ()


class Optional:
    """A value, or none: the result of `?.`, `[?]` and of the functions of optional types."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any = None, present: bool = False) -> None:
        self.value, self.present = value, present


NONE = Optional()


class TypeValue(Struct, frozen=True):
    """A type as a value, as `type(x)` gives it: two are equal when their names are."""

    name: str


class Timestamp(Struct, frozen=True, order=True):
    """Nanoseconds since 1970 in UTC."""

    nanos: int


class Duration(Struct, frozen=True, order=True):
    """Nanoseconds."""

    nanos: int


def checked_int(value: int) -> int:
    """`value`, if it is an int of 64 bits."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def checked_uint(value: int) -> Uint:
    """`value` as an unsigned integer of 64 bits."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")

"""Conversions between types: int(x), string(x) and so on, by class."""

import re
from collections.abc import Callable
from typing import Any

from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.library.times import (
    length_of,
    moment_of,
    parse_duration,
    parse_timestamp,
    show_duration,
    show_timestamp,
)
from stellwerk.cel.values.names import type_name
from stellwerk.cel.values.networks import Address, Prefix
from stellwerk.cel.values.scalars import NANO, Duration, Timestamp, TypeValue, Uint, checked_int, checked_uint

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)|nan", re.I)


def to_int(value: Any) -> int:
    """int(value)"""
    kind = value.__class__
    if kind is int:
        return int(value)
    if kind is Uint:
        return checked_int(int(value))
    if kind is float:
        return checked_int(_truncated(value, "integer overflow", -(2.0**63), 2.0**63))
    if kind is str:
        return checked_int(_parsed(value, "int"))
    if kind is Timestamp:
        return int(value.nanos // NANO)
    if kind is Duration:
        return int(value.nanos)
    raise _no_overload("int", value)


def to_uint(value: Any) -> Uint:
    """uint(value)"""
    kind = value.__class__
    if kind in (int, Uint):
        return checked_uint(int(value))
    if kind is float:
        return checked_uint(_truncated(value, "unsigned integer overflow", -1e-300, 2.0**64))
    if kind is str:
        if value[:1] in ("+", "-"):
            raise _failed("string", "uint")
        return checked_uint(_parsed(value, "uint"))
    raise _no_overload("uint", value)


def to_double(value: Any) -> float:
    """double(value)"""
    kind = value.__class__
    if kind in (int, Uint, float):
        return float(value)
    if kind is str:
        if not _DECIMAL.fullmatch(value):
            raise _failed("string", "double")
        number = float(value)
        if number in (float("inf"), float("-inf")) and "n" not in value.lower():
            raise _failed("string", "double")
        return number
    raise _no_overload("double", value)


def to_bool(value: Any) -> bool:
    """bool(value)"""
    if value is True or value is False:
        return bool(value)
    if value.__class__ is str:
        if value in _TRUE or value in _FALSE:
            return value in _TRUE
        raise _failed("string", "bool")
    raise _no_overload("bool", value)


def to_string(value: Any) -> str:
    """string(value)"""
    kind = value.__class__
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in (int, Uint):
        return str(int(value))
    if kind is float:
        return show_double(value)
    if kind is bytes:
        try:
            return str(value, "utf-8")
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if kind is Timestamp:
        return show_timestamp(value)
    if kind is Duration:
        return show_duration(value)
    if isinstance(value, Address):
        return str(value)
    if kind is Prefix:
        return f"{value.address}/{value.bits}"
    raise _no_overload("string", value)


def to_bytes(value: Any) -> bytes:
    """bytes(value)"""
    if value.__class__ is bytes:
        return bytes(value)
    if value.__class__ is str:
        return bytes(value, "utf-8")
    raise _no_overload("bytes", value)


def to_timestamp(value: Any) -> Timestamp:
    """timestamp(value)"""
    if value.__class__ is Timestamp:
        return Timestamp(value.nanos)
    if value.__class__ is str:
        return parse_timestamp(value)
    if value.__class__ is int:
        return moment_of(value)
    raise _no_overload("timestamp", value)


def to_duration(value: Any) -> Duration:
    """duration(value)"""
    if value.__class__ is Duration:
        return length_of(value.nanos)
    if value.__class__ is str:
        return parse_duration(value)
    raise _no_overload("duration", value)


def show_double(value: float) -> str:
    """The shortest text that is this number, with an exponent from six digits on (Go's %g)."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    digits_and_power = f"{value:.17e}"
    sign = "-" if digits_and_power.startswith("-") else ""
    digits = repr(abs(value)).partition("e")[0].replace(".", "").strip("0") or "0"
    exponent = int(digits_and_power.partition("e")[2]) if value else 0
    return _plain(sign, digits, exponent) if -4 <= exponent < 6 else _scientific(sign, digits, exponent)


def _plain(sign: str, digits: str, exponent: int) -> str:
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}" + (f".{fraction}" if fraction else "")


def _scientific(sign: str, digits: str, exponent: int) -> str:
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _truncated(value: float, overflow: str, low: float, high: float) -> int:
    if not low < value < high:
        raise EvaluationError(overflow)
    return int(value)


def _parsed(text: str, kind: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise _failed("string", kind)
    value = int(text)
    if not (-(2**63) <= value < 2**63 if kind == "int" else 0 <= value < 2**64):
        raise _failed("string", kind)
    return value


def _failed(source: str, target: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from '{source}' to '{target}'")


def _no_overload(function: str, value: Any) -> EvaluationError:
    return EvaluationError(f"no such overload: {function}({type_name(value)})")


def _type(value: Any) -> TypeValue:
    return TypeValue(type_name(value))


CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    "int": to_int,
    "uint": to_uint,
    "double": to_double,
    "bool": to_bool,
    "string": to_string,
    "bytes": to_bytes,
    "timestamp": to_timestamp,
    "duration": to_duration,
    "type": _type,
    "dyn": lambda value: value,
}

"""text.format([...]): the clauses of ext/formatting.go of cel-go v0.29.2, for the locale en_US."""

import re
from collections.abc import Callable
from typing import Any

from stellwerk.cel.errors import CostExceeded, EvaluationError
from stellwerk.cel.library.conversions import to_string
from stellwerk.cel.values.equality import from_key
from stellwerk.cel.values.names import LISTS, MAPS, type_name
from stellwerk.cel.values.scalars import Duration, Timestamp, TypeValue, Uint

_CLAUSE = re.compile(r"%(?:%|(?:\.([0-9]+))?(.?))", re.S)
_MAX_PRECISION = 1000
_MAX_TEXT = 5_000_000


def format_text(text: str, values: list[Any]) -> str:
    """`text` with its clauses replaced; raises EvaluationError for a wrong clause or argument."""
    rest = iter(values)
    parts: list[str] = []
    end = length = 0
    for match in _CLAUSE.finditer(text):
        shown = text[end : match.start()] + ("%" if match[0] == "%%" else _clause(match, rest, len(values)))
        parts.append(shown)
        length += len(shown)
        if length > _MAX_TEXT:
            raise CostExceeded
        end = match.end()
    return "".join([*parts, text[end:]])


def _clause(match: re.Match[str], rest: Any, count: int) -> str:
    verb = match[2]
    if not verb:
        raise EvaluationError("unexpected end of string")
    if verb not in "sdfexXob":
        raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
    try:
        value = next(rest)
    except StopIteration:
        raise EvaluationError(f"index {count} out of range") from None
    precision = int(match[1][:9]) if match[1] else 6
    if precision > _MAX_PRECISION:
        raise EvaluationError("precision is too large")
    if verb in "fe":
        return _floating(verb, value, precision)
    return _VERBS[verb](value)


def _wrong(name: str, kinds: str, value: Any) -> EvaluationError:
    return EvaluationError(
        f"error during formatting: {name} clause can only be used on {kinds}, was given {type_name(value)}"
    )


def _string(value: Any) -> str:
    if value.__class__ in LISTS:
        return "[" + ", ".join(_nested(each) for each in value) + "]"
    if value.__class__ in MAPS:
        pairs = sorted((_nested(from_key(key)), _nested(each)) for key, each in value.items())
        return "{" + ", ".join(f"{key}:{each}" for key, each in pairs) + "}"
    if value is None:
        return "null"
    if value.__class__ is TypeValue:
        return str(value.name)
    try:
        return to_string(value)
    except EvaluationError:
        kinds = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
        raise _wrong("string", kinds, value) from None


def _nested(value: Any) -> str:
    kind = value.__class__
    if kind is float:
        return _floating("f", value, 6)
    if kind in (Timestamp, Duration):
        return f'{"timestamp" if kind is Timestamp else "duration"}("{_string(value)}")'
    if kind is str:
        return (
            '"'
            + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
            + '"'
        )
    return f'b"{_string(value)}"' if kind is bytes else _string(value)


def _decimal(value: Any) -> str:
    if value.__class__ not in (int, Uint):
        raise _wrong("decimal", "integers", value)
    return str(int(value))


def _floating(verb: str, value: Any, precision: int) -> str:
    special = {"NaN": "NaN", "Infinity": "\u221e", "-Infinity": "-\u221e"}
    if value.__class__ is str and value in special:
        return special[value]
    if value.__class__ is not float:
        raise _wrong("fixed-point" if verb == "f" else "scientific", "doubles", value)
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "\u221e" if value > 0 else "-\u221e"
    if verb == "f":
        return f"{value:,.{precision}f}"
    mantissa, _, power = f"{value:.{precision}e}".partition("e")
    return f"{mantissa}\u202f\u00d7\u202f10{str(int(power)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def _hexadecimal(upper: bool) -> Callable[[Any], str]:
    def show(value: Any) -> str:
        kind = value.__class__
        if kind in (int, Uint):
            shown = f"{int(value):x}"
        elif kind in (str, bytes):
            shown = (value.encode() if kind is str else value).hex()
        else:
            raise _wrong("hex", "integers, byte buffers, and strings", value)
        return shown.upper() if upper else shown

    return show


def _octal(value: Any) -> str:
    if value.__class__ not in (int, Uint):
        raise _wrong("octal", "integers", value)
    return f"{int(value):o}"


def _binary(value: Any) -> str:
    if value.__class__ is bool:
        return "1" if value else "0"
    if value.__class__ not in (int, Uint):
        raise _wrong("binary", "integers and bools", value)
    return f"{int(value):b}"


_VERBS: dict[str, Callable[[Any], str]] = {
    "s": _string,
    "d": _decimal,
    "x": _hexadecimal(upper=False),
    "X": _hexadecimal(upper=True),
    "o": _octal,
    "b": _binary,
}

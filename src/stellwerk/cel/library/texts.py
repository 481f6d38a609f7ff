"""Functions of strings, regular expressions included: RE2, whose time is linear in the length of the text."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from stellwerk.cel.errors import CostExceeded, EvaluationError
from stellwerk.cel.library.formatting import format_text

MAX_TEXT = 5_000_000  # A longer text costs more than any expression may, if only to look at.
_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)
_QUOTED = str.maketrans(
    {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        "\\": "\\\\",
        '"': '\\"',
    }
)
_UPPER = str.maketrans({chr(each): chr(each - 32) for each in range(97, 123)})
_LOWER = str.maketrans({chr(each): chr(each + 32) for each in range(65, 91)})
_GO_REASONS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "trailing \\": "trailing backslash at end of expression",
}
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


@lru_cache(maxsize=512)
def pattern_of(text: str) -> Any:
    """A compiled pattern; raises EvaluationError where it is none."""
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        what, _, where = reason.partition(": ")
        raise EvaluationError(
            f"error parsing regexp: {_GO_REASONS.get(what, what)}: `{where or text}`"
        ) from None


@lru_cache(maxsize=2048)
def matches(text: str, pattern: str) -> bool:
    """text.matches(pattern): anywhere in the text."""
    return pattern_of(pattern).search(text) is not None


@lru_cache(maxsize=2048)
def _find(text: str, pattern: str) -> str:
    found = _pattern(pattern).search(text)
    return found.group(0) if found else ""


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    found = []
    if most == 0:
        return []
    for each in _pattern(pattern).finditer(text):
        found.append(each.group(0))
        if len(found) == most:
            break
    return found


def _pattern(text: str) -> Any:
    try:
        return pattern_of(text)
    except EvaluationError as error:
        raise EvaluationError(f"Illegal regex: {error.text}") from None


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, wanted: str, start: int = 0) -> int:
    if not wanted:
        return start
    if start < 0:
        raise EvaluationError(f"index out of range: {start}")
    return text.find(wanted, start)


def _last_index_of(text: str, wanted: str, *offset: int) -> int:
    start = offset[0] if offset else len(text) - len(wanted)
    if not wanted:
        return offset[0] if offset else len(text)
    if offset and start < 0:
        raise EvaluationError(f"index out of range: {start}")
    return -1 if start < 0 else text.rfind(wanted, 0, start + len(wanted))


def _replace(text: str, old: str, new: str, most: int = -1) -> str:
    count = text.count(old) if most < 0 else min(most, text.count(old))
    if len(text) + count * len(new) > MAX_TEXT:
        raise CostExceeded
    return text.replace(old, new, most)


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if not separator:
        parts = list(text)
        return parts if most < 0 or len(parts) <= most else [*parts[: most - 1], "".join(parts[most - 1 :])]
    return text.split(separator, most - 1 if most > 0 else -1)


def _join(parts: list[Any], separator: str = "") -> str:
    for each in parts:
        if each.__class__ is not str:
            raise EvaluationError(f"join: invalid input: {each}")
    if sum(map(len, parts)) + len(separator) * len(parts) > MAX_TEXT:
        raise CostExceeded
    return separator.join(parts)


def _substring(text: str, start: int, *end: int) -> str:
    if end and start > end[0]:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {end[0]}")
    for each in (start, *end):
        if not 0 <= each <= len(text):
            raise EvaluationError(f"index out of range: {each}")
    return text[start : end[0]] if end else text[start:]


def quoted(text: str) -> str:
    """strings.quote(text)"""
    return f'"{text.translate(_QUOTED)}"'


TEXT_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "matches": matches,
    "matches_string": matches,
    "contains_string": lambda text, part: part in text,
    "starts_with_string": lambda text, part: text.startswith(part),
    "ends_with_string": lambda text, part: text.endswith(part),
    "string_find_string": _find,
    "string_find_all_string": _find_all,
    "string_find_all_string_int": _find_all,
    "string_char_at_int": _char_at,
    "string_index_of_string": _index_of,
    "string_index_of_string_int": _index_of,
    "string_last_index_of_string": _last_index_of,
    "string_last_index_of_string_int": _last_index_of,
    "string_lower_ascii": lambda text: text.translate(_LOWER),
    "string_upper_ascii": lambda text: text.translate(_UPPER),
    "string_replace_string_string": _replace,
    "string_replace_string_string_int": _replace,
    "string_split_string": _split,
    "string_split_string_int": _split,
    "string_substring_int": _substring,
    "string_substring_int_int": _substring,
    "string_trim": lambda text: text.strip(_SPACES),
    "list_join": _join,
    "list_join_string": _join,
    "strings_quote": quoted,
    "string_format": format_text,
}

"""What msgspec says of a value that does not fit its type, as an error that a user can act on."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from stellwerk.api.errors import InvalidInput
from stellwerk.api.quantity import Quantity, parse_quantity
from stellwerk.api.yaml_events import key_path

MAX_KEYS_TRIED = 1_000
_MESSAGE = re.compile(r"(.*?)(?: - at `(?:(key)` in `)?\$(.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[(\.\.\.)\]")
_EXPECTED = re.compile(r"Expected `(.+?)`(?:, got `(.+)`)?(.*)", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.+)`")
_WORDS = {
    "str": "text",
    "int": "an integer",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "decimal": "a number",
    "null": "null",
}
Place = Callable[[str], dict[str, Any]]  # A path to the keywords source, document and path of InvalidInput.


def decode_hook(wanted: type, value: Any) -> Any:
    """msgspec's door for Quantity: a text or a number. Raises ValueError as parse_quantity does."""
    if wanted is not Quantity:
        raise NotImplementedError(wanted)
    if isinstance(value, str):
        return parse_quantity(value.strip())
    if isinstance(value, bool | dict | list) or value is None:
        raise ValueError("malformed")
    return parse_quantity(str(value))


def explain_mismatch(
    error: msgspec.ValidationError, raw: dict[str, Any], wanted: type[msgspec.Struct], at: Place
) -> InvalidInput:
    """The error for the value of `raw` that made msgspec.convert(raw, wanted) fail."""
    message, key, path = _split(error)
    steps = _resolved(raw, wanted, path, str(error))
    value: Any = raw
    for step in steps:
        value = value[step]
    shown_path = _shown_path(steps)
    if missing := _MISSING.fullmatch(message):
        return InvalidInput(
            "the field {field} is missing",
            fix="add {field}",
            **at(key_path(shown_path, missing[1])),
            field=missing[1],
        )
    if unknown := _UNKNOWN.fullmatch(message):
        return InvalidInput(
            "there is no field {field} here",
            fix="remove it, or correct its name",
            **at(key_path(shown_path, unknown[1])),
            field=shown(unknown[1]),
        )
    if key or not (expected := _EXPECTED.fullmatch(message)):
        return _unfit(message, value, at(shown_path))
    return _unexpected(expected, value, at(shown_path))


def shown(value: Any) -> str:
    """A value in an error: one short line."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = " ".join(str(value)[:400].split())
    return text if len(text) <= 60 else text[:57] + "..."


def _split(error: msgspec.ValidationError) -> tuple[str, bool, str]:
    match = _MESSAGE.fullmatch(str(error))
    assert match is not None, "the pattern takes any text"
    return match[1], bool(match[2]), match[3] or ""


def _unexpected(expected: re.Match[str], value: Any, place: dict[str, Any]) -> InvalidInput:
    wanted, found, limit = expected[1].replace(" | unset", "").split(" | ")[0], expected[2], expected[3]
    if not found:
        return InvalidInput(
            "{value} is out of range: {limit} is demanded",
            fix="write a number in this range",
            **place,
            value=shown(value),
            limit=limit.strip(),
        )
    if (wanted == "str" and isinstance(value, bool | int)) or (found == "decimal" and wanted == "str"):
        return InvalidInput(
            "text is expected, not the {kind} {value}",
            fix='put it in quotes: "{value}"',
            **place,
            kind="boolean" if isinstance(value, bool) else "number",
            value=shown(value),
        )
    return InvalidInput(
        "{expected} is expected, not {found}",
        fix="write {expected} here",
        **place,
        expected=_WORDS.get(wanted, wanted),
        found=shown(value) if value is None or isinstance(value, dict | list) else f'"{shown(value)}"',
    )


def _unfit(message: str, value: Any, place: dict[str, Any]) -> InvalidInput:
    if message == "malformed":
        return InvalidInput(
            "{value} is not a quantity",
            fix="write a number with a suffix where needed, such as 2, 500m or 22Gi",
            **place,
            value=shown(value) or '""',
        )
    if message == "too large":
        return InvalidInput(
            "the quantity {value} is too large",
            fix="write at most 64 characters and an exponent of at most 64",
            **place,
            value=shown(value),
        )
    if message == "Invalid decimal string":
        return InvalidInput(
            "{value} is not a decimal number",
            fix='write a number such as "0.183", with a point and without unit',
            **place,
            value=shown(value) or '""',
        )
    return InvalidInput(
        "{value} does not fit here: {reason}",
        fix="compare the field with the reference of this kind",
        **place,
        value=shown(value),
        reason=message,
    )


def _shown_path(steps: list[str | int]) -> str:
    path = ""
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else key_path(path, step)
    return path


def _resolved(raw: dict[str, Any], wanted: type[msgspec.Struct], path: str, error: str) -> list[str | int]:
    """The path as keys and indices: msgspec writes [...] for the key of a map, so each key is tried alone."""
    steps: list[str | int] = []
    for name, index, unknown in _STEP.findall(path):
        if unknown:
            step = _failing_key(raw, wanted, steps, error)
            if step is None:
                break
            steps.append(step)
        else:
            steps.append(int(index) if index else name)
    return steps


def _failing_key(
    raw: dict[str, Any], wanted: type[msgspec.Struct], steps: list[str | int], error: str
) -> str | None:
    mapping: Any = raw
    for step in steps:
        mapping = mapping[step]
    keys = list(mapping)[:MAX_KEYS_TRIED] if isinstance(mapping, dict) else []
    for key in keys:
        try:
            msgspec.convert(_with(raw, steps, {key: mapping[key]}), wanted, dec_hook=decode_hook)
        except msgspec.ValidationError as again:
            if str(again) == error:  # Another error comes from further down the object.
                return str(key)
    return None


def _with(value: Any, steps: list[str | int], replacement: Any) -> Any:
    if not steps:
        return replacement
    copy = value.copy()
    copy[steps[0]] = _with(value[steps[0]], steps[1:], replacement)
    return copy

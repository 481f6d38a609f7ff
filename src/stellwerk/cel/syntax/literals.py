"""The values of literals."""

import re

from stellwerk.cel.values.scalars import UINT_MAX, Uint

_ESCAPED = re.compile(
    r"\\(?:[xX]([0-9a-fA-F]{2})|[uU]([0-9a-fA-F]{8}|[0-9a-fA-F]{4})|([0-3][0-7]{2})|(.))", re.S
)
_ESCAPED_NAMES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def integer(text: str) -> int:
    """An int literal without its sign; raises ValueError beyond 2^63 (2^63 itself may yet get a minus)."""
    value = int(text, 16 if text.startswith("0x") else 10) if len(text) <= 64 else 2**64
    if value > 2**63:
        raise ValueError("invalid int literal")
    return value


def unsigned(text: str) -> Uint:
    """A uint literal; raises ValueError beyond 64 bits."""
    digits = text[:-1]
    value = int(digits, 16 if digits.startswith("0x") else 10) if len(digits) <= 64 else 2**64
    if value > UINT_MAX:
        raise ValueError("invalid uint literal")
    return Uint(value)


def floating(text: str) -> float:
    """A double literal; raises ValueError when it is too large."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError("invalid double literal")
    return value


def string(text: str) -> str:
    """A string literal, with its quotes; raises ValueError for an escape of no character."""
    body, raw = _body(text)
    return body if raw else _ESCAPED.sub(_character, body)


def binary(text: str) -> bytes:
    """A bytes literal: \\x and octal escapes are bytes, all else is UTF-8."""
    body, raw = _body(text[1:])
    if raw:
        return body.encode()
    parts, end = [], 0
    for match in _ESCAPED.finditer(body):
        parts.append(body[end : match.start()].encode())
        number = int(match[1], 16) if match[1] else int(match[3], 8) if match[3] else None
        parts.append(_character(match).encode() if number is None else bytes([number]))
        end = match.end()
    return b"".join([*parts, body[end:].encode()])


def _body(text: str) -> tuple[str, bool]:
    raw = text[0] in "rR"
    text = text[raw:].replace("\r\n", "\n").replace("\r", "\n")
    quotes = 3 if text[:3] in ('"""', "'''") and len(text) >= 6 else 1
    return text[quotes:-quotes], raw


def _character(match: re.Match[str]) -> str:
    if match[4]:
        return _ESCAPED_NAMES.get(match[4], match[4])
    code = int(match[1] or match[2], 16) if not match[3] else int(match[3], 8)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError("invalid unicode code point")
    return chr(code)

"""A change of a typed view, made in the raw object: fields that no type knows survive."""

from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from stellwerk.control.queueing.events import Json


def patched(raw: Json, before: Struct, after: Struct) -> dict[str, Any]:
    """The object with what differs between two views of it; `raw` is what `before` was read from.

    Below metadata, spec and status a field is written whole.
    """
    changed = dict(raw)
    for name, written in _fields(type(after)):
        old, new = getattr(before, name), getattr(after, name)
        if old is new or old == new:
            continue
        if not isinstance(new, Struct):
            _write(changed, written, new)
            continue
        part = dict(changed.get(written) or {})
        for inner, key in _fields(type(new)):
            value = getattr(new, inner)
            if not isinstance(old, Struct) or getattr(old, inner) != value:
                _write(part, key, value)
        changed[written] = part
    return changed


@cache
def _fields(of: type[Struct]) -> tuple[tuple[str, str], ...]:
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(of))


def _write(into: dict[str, Any], key: str, value: Any) -> None:
    if value is UNSET:
        into.pop(key, None)
    else:
        into[key] = msgspec.to_builtins(value, enc_hook=str)

"""JSON merge patches (RFC 7386), and where two values differ, by path."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from stellwerk.api.yaml_events import key_path


class Difference(Struct, frozen=True):
    """One field that is not the same; None: it is not there."""

    path: str
    before: Any
    after: Any


def merge_patch(target: Any, patch: Any) -> Any:
    """`target` with `patch` applied: objects are merged key by key, null removes, all else is replaced whole.

    Neither argument is changed; the result shares parts with them.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def differences(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """The innermost fields that differ, in the order of `before`, then of `after`.

    Lists are compared place by place where they are equally long, else as a whole.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), key_path(path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{path}[{i}]")
    elif before != after:
        yield Difference(path, before, after)

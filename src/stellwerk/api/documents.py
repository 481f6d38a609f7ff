"""Bytes of a file to documents: text encoding, size, YAML or JSON."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from stellwerk.api.errors import InvalidInput
from stellwerk.api.yaml_events import MAX_DEPTH, MAX_VALUES, exact_number, read_yaml

MAX_BYTES = 64 * 1024 * 1024
_BYTE = re.compile(r"\(byte (\d+)\)")


def read_documents(data: bytes, source: str) -> Iterator[tuple[int, Any]]:
    """The documents of a file, numbered from 1: YAML (several), or one of JSON. An empty one is None.

    Values are what JSON has, with Decimal for a number that is no integer. Raises InvalidInput.
    """
    text = read_text(data, source)
    if text.lstrip()[:1] in ("{", "["):
        decoded = _json(text, source)
        if decoded is not None:
            yield 1, decoded
            return
    yield from read_yaml(text, source)


def read_text(data: bytes, source: str) -> str:
    """UTF-8 text (or UTF-16 with a byte order mark). Raises InvalidInput on anything else."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            "the file has {size} bytes; the limit is {limit}",
            fix="split the file",
            source=source,
            size=len(data),
            limit=MAX_BYTES,
        )
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _binary(error.start, data[: error.start].count(b"\n") + 1, source) from None
    if (nul := text.find("\0")) >= 0:
        raise _binary(nul, text.count("\n", 0, nul) + 1, source)
    return text


def _binary(position: int, line: int, source: str) -> InvalidInput:
    return InvalidInput(
        "the file is binary or not UTF-8 text (byte {position}, line {line})",
        fix="give a manifest as YAML or JSON, saved as UTF-8",
        source=source,
        position=position,
        line=line,
    )


def _json(text: str, source: str) -> Any:
    """The JSON value, or None if it is no JSON: YAML's reader then says what is wrong."""
    if text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise InvalidInput(
            "the file has more than {limit} values",
            fix="split the file",
            source=source,
            document=1,
            limit=MAX_VALUES,
        )
    try:
        value = msgspec.json.Decoder(float_hook=exact_number).decode(text)
    except RecursionError:
        raise _too_deep(source) from None
    except (msgspec.DecodeError, ValueError):
        return None
    level, depth = [value], 0
    while level:
        if depth >= MAX_DEPTH:
            raise _too_deep(source)
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        depth += 1
    _refuse_duplicate_keys(text, source)
    return value


def _too_deep(source: str) -> InvalidInput:
    return InvalidInput(
        "the nesting is deeper than {limit} levels",
        fix="take a level of nesting out; no Kubernetes object needs so many",
        source=source,
        document=1,
        limit=MAX_DEPTH,
    )


def _refuse_duplicate_keys(text: str, source: str) -> None:
    """msgspec keeps the last of equal keys; a user who wrote two must hear of it."""

    def check(pairs: list[tuple[str, Any]]) -> bool:
        if len({key for key, _ in pairs}) == len(pairs):
            return True
        keys = sorted(key for key, _ in pairs)
        twice = next(key for key, after in pairwise(keys) if key == after)
        raise InvalidInput(
            "the key {key} is there twice in one object",
            fix="remove one of the two",
            source=source,
            document=1,
            path=twice[:80],
            key=twice[:80],
        )

    json.loads(text, object_pairs_hook=check, parse_float=len, parse_int=len)

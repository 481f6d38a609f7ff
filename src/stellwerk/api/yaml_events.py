"""YAML as Kubernetes reads it (sigs.k8s.io/yaml on go-yaml v2), in bounded time and memory.

Values are what JSON has: dict with text keys, list, str, int, bool, None, and Decimal for a number that is no
integer, exact from its text. yes/no/on/off/y/n are booleans, 010 is octal, 1:30 and 2026-01-01 are text.

The document is built from the parser's events with a stack of its own: nothing recurses, and what an alias
repeats is counted before it can grow (an alias shares the anchor's value, it is never copied).
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import yaml

from stellwerk.api.errors import InvalidInput

MAX_DEPTH = 100
MAX_VALUES = 2_000_000
MAX_REPEATED = 100_000
MAX_TAG_DIRECTIVES = 16
MAX_NUMBER_LENGTH = 400
MAX_MAGNITUDE = 308  # A JSON number beyond the range of a double is text to Kubernetes as well.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_INTEGER = re.compile(r"([-+]?)(?:(0[xX][0-9a-fA-F]+|0[bB][01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_TAGGED = {"int": (int,), "float": (int, Decimal), "bool": (bool,), "null": (type(None),)}
_NO_KEY, _MERGE = object(), object()


def read_yaml(text: str, source: str) -> Iterator[tuple[int, Any]]:
    """The documents of `text`, numbered from 1 (empty ones are None).

    Raises InvalidInput with document, line and column.
    """
    if len(re.findall(r"^%TAG", text, re.MULTILINE)) > MAX_TAG_DIRECTIVES:
        # libyaml compares each of them with every other.
        raise InvalidInput("the file has too many %TAG directives", fix="remove them", source=source)
    builder = _Builder(source)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.DocumentStartEvent):
                builder.start_document()
            elif isinstance(event, yaml.DocumentEndEvent):
                yield builder.document, builder.root
            else:
                builder.take(event)
    except yaml.YAMLError as error:
        raise _unreadable(error, source, builder.document) from None


@lru_cache(maxsize=8192)
def plain_value(text: str) -> str | int | bool | Decimal | None:
    """What an unquoted YAML scalar stands for (go-yaml v2, resolve.go)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-." or len(text) > MAX_NUMBER_LENGTH:
        return text
    digits = text.replace("_", "")
    if match := _INTEGER.fullmatch(digits):
        return _integer(match)
    return exact_number(digits) if _FLOAT.fullmatch(digits) else text


def exact_number(text: str) -> Decimal | str:
    """A JSON or YAML number as Decimal; one beyond the range of a double stays text."""
    exponent = text.lower().partition("e")[2].lstrip("+-0")
    if len(text) > MAX_NUMBER_LENGTH or len(exponent) > 3:
        return text
    number = Decimal(text)
    return number if abs(number.adjusted()) <= MAX_MAGNITUDE else text


def key_path(path: str, key: str) -> str:
    """`path` and a key of the object there: spec.limits["nvidia.com/gpu"]."""
    short = key if len(key) <= 80 else key[:77] + "..."
    if not _PLAIN_KEY.fullmatch(key):
        return f'{path}["{short}"]'
    return f"{path}.{short}" if path else short


def _integer(match: re.Match[str]) -> int | Decimal:
    sign, prefixed, octal, decimal = match.groups()
    number = int(prefixed, 0) if prefixed else int(octal, 8) if octal else int(decimal)
    number = -number if sign == "-" else number
    return number if -(2**63) <= number < 2**64 else Decimal(number)


def _unreadable(error: yaml.YAMLError, source: str, document: int) -> InvalidInput:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
    begun, context = getattr(error, "context_mark", None), getattr(error, "context", None)
    if begun is not None and context:
        reason = f"{context} that begins in line {begun.line + 1}: {reason}"
    if mark is None:
        return InvalidInput(
            "the text is not readable as YAML: {reason} (character {position})",
            fix="save the file as plain UTF-8 text without control characters",
            source=source,
            reason=reason,
            position=getattr(error, "position", 0),
        )
    return InvalidInput(
        "line {line}, column {column} is not readable as YAML: {reason}",
        fix="correct indentation, quotes or brackets at this place",
        source=source,
        document=max(document, 1),
        line=mark.line + 1,
        column=mark.column + 1,
        reason=reason,
    )


class _Frame:
    """A mapping or sequence that is still open."""

    __slots__ = ("anchor", "first", "key", "merges", "value")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None, first: int) -> None:
        self.value, self.anchor, self.first = value, anchor, first
        self.key: Any = _NO_KEY
        self.merges: list[dict[str, Any]] = []


class _Builder:
    """Events in, one value a document out; counts over the whole file."""

    def __init__(self, source: str) -> None:
        self.source, self.document = source, 0
        self.values, self.repeated = 0, 0
        self.start_document()
        self.document = 0

    def start_document(self) -> None:
        self.document += 1
        self.root: Any = None
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int]] = {}

    def take(self, event: Any) -> None:
        """One event of the parser."""
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            self._count(1, event)
            if event.anchor:
                self.anchors[event.anchor] = (value, 1)
            self._add(value, event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._open({}, "map", event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._open([], "seq", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close(event)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)

    def path(self) -> str:
        """Where the next value goes."""
        path = ""
        for frame in self.stack:
            if isinstance(frame.value, list):
                path += f"[{len(frame.value)}]"
            elif frame.key is not _NO_KEY:
                path = key_path(path, "<<" if frame.key is _MERGE else frame.key)
        return path

    def _count(self, values: int, event: Any) -> None:
        self.values += values
        if self.values > MAX_VALUES:
            raise InvalidInput(
                "line {line}: the file has more than {limit} values",
                fix="split the file",
                source=self.source,
                document=self.document,
                line=event.start_mark.line + 1,
                limit=MAX_VALUES,
            )

    def _open(self, value: dict[str, Any] | list[Any], tag: str, event: Any) -> None:
        self._count(1, event)
        if event.tag not in (None, "!", _TAG + tag):
            raise self._bad_tag(event)
        if len(self.stack) >= MAX_DEPTH:
            raise InvalidInput(
                "line {line}: the nesting is deeper than {limit} levels",
                fix="take a level of nesting out; no Kubernetes object needs so many",
                source=self.source,
                document=self.document,
                line=event.start_mark.line + 1,
                limit=MAX_DEPTH,
            )
        if self._wants_key():
            raise InvalidInput(
                "line {line}: a mapping or list stands where a key is expected",
                fix='put text with braces or brackets in quotes; render a template first ("helm template")',
                source=self.source,
                document=self.document,
                path=self.path(),
                line=event.start_mark.line + 1,
            )
        self.stack.append(_Frame(value, event.anchor, self.values))

    def _close(self, event: Any) -> None:
        frame = self.stack.pop()
        if frame.merges and isinstance(frame.value, dict):
            merged: dict[str, Any] = {}
            for part in reversed(frame.merges):
                merged.update(part)
            frame.value = merged | frame.value
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.value, self.values - frame.first + 1)
        self._add(frame.value, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self.anchors:
            raise InvalidInput(
                "line {line}: the alias *{anchor} has no anchor before it, or stands inside its own",
                fix="define &{anchor} further up, or write the value out",
                source=self.source,
                document=self.document,
                path=self.path(),
                line=event.start_mark.line + 1,
                anchor=event.anchor,
            )
        value, size = self.anchors[event.anchor]
        self.repeated += size
        if self.repeated > MAX_REPEATED:
            raise InvalidInput(
                "line {line}: aliases repeat more than {limit} values",
                fix="write the values out instead of *{anchor}",
                source=self.source,
                document=self.document,
                path=self.path(),
                line=event.start_mark.line + 1,
                limit=MAX_REPEATED,
                anchor=event.anchor,
            )
        self._count(size, event)
        self._add(value, event)

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            if event.implicit[0]:
                plain = plain_value(event.value)
                return _MERGE if plain == "<<" and self._wants_key() else plain
            return event.value
        if tag == _TAG + "str":
            return event.value
        value = plain_value(event.value)
        if type(value) not in _TAGGED.get(tag.removeprefix(_TAG), ()):
            raise self._bad_tag(event)
        return value

    def _wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is _NO_KEY

    def _bad_tag(self, event: Any) -> InvalidInput:
        return InvalidInput(
            "line {line}: the tag {tag} is not known, or does not fit its value",
            fix="remove the tag: a manifest is plain data",
            source=self.source,
            document=self.document,
            path=self.path(),
            line=event.start_mark.line + 1,
            tag=event.tag.replace(_TAG, "!!")[:80],
        )

    def _add(self, value: Any, event: Any) -> None:
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key is _NO_KEY:
            frame.key = self._key(value, frame.value, event)
        elif frame.key is _MERGE:
            self._merge(value, frame, event)
        else:
            frame.value[frame.key] = value
            frame.key = _NO_KEY

    def _key(self, value: Any, mapping: dict[str, Any], event: Any) -> Any:
        if value is _MERGE:
            return value
        if value is None or isinstance(value, dict | list):
            raise InvalidInput(
                "line {line}: a key is empty or null",
                fix="write a key before the colon",
                source=self.source,
                document=self.document,
                path=self.path(),
                line=event.start_mark.line + 1,
            )
        key = ("true" if value else "false") if isinstance(value, bool) else str(value)
        if key in mapping:
            raise InvalidInput(
                "line {line}: the key {key} is there twice",
                fix="remove one of the two",
                source=self.source,
                document=self.document,
                path=key_path(self.path(), key),
                line=event.start_mark.line + 1,
                key=key[:80],
            )
        return key

    def _merge(self, value: Any, frame: _Frame, event: Any) -> None:
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise InvalidInput(
                "line {line}: << merges mappings only",
                fix="give << an alias of a mapping, or a list of such",
                source=self.source,
                document=self.document,
                path=self.path(),
                line=event.start_mark.line + 1,
            )
        frame.merges.extend(parts)
        frame.key = _NO_KEY

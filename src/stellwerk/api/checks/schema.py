"""Shapes of fields as a CRD's structural schema has them, and what an API server refuses in other values.

Source: k8s.io/apiextensions-apiserver pkg/apiserver (validation, schema/listtype), v0.36. A field that no
shape names is left alone, as the API server drops it; null is absent.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from stellwerk.api.checks.names import is_label, is_subdomain, name_refusal
from stellwerk.api.checks.refusal import Refusal, missing, other_word, quoted
from stellwerk.api.duration import parse_time
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import parse_quantity
from stellwerk.api.yaml_events import key_path

_AMOUNT = re.compile(
    r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))?"
)
LABEL_KEY = (
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])"
)
# Long enough for any list in a CRD of Kueue; what is longer is refused before its items are looked at.
_ANY = 1_000_000


class Text(Struct, frozen=True, kw_only=True):
    """A string of `least` to `most` characters that `form` matches, and one of `words` if there are any."""

    most: int = _ANY
    least: int = 0
    form: str = ""
    words: tuple[str, ...] = ()


class Name(Struct, frozen=True, kw_only=True):
    """A DNS-1123 subdomain, or a `label`: its form and its length are those of an object's name."""

    label: bool = False


class Moment(Struct, frozen=True, kw_only=True):
    """A time of RFC 3339."""


class Whole(Struct, frozen=True, kw_only=True):
    """An integer that is not below `least`."""

    least: int | None = None


class Flag(Struct, frozen=True, kw_only=True):
    """True or false."""


class Amount(Struct, frozen=True, kw_only=True):
    """A quantity: an integer or a text.

    With `decoded` a mutating webhook has read it first, and written it anew: any number, spaces around it.
    """

    decoded: bool = False


class Table(Struct, frozen=True, kw_only=True):
    """A mapping of at most `most` keys to values of one shape."""

    of: "Shape"
    most: int = _ANY


class Items(Struct, frozen=True, kw_only=True):
    """A list of `least` to `most` items; with `key` no two have the same fields of these names.

    `key` "" compares the items themselves; `default` is what the API server fills in for an absent field.
    """

    of: "Shape"
    most: int = _ANY
    least: int = 0
    key: tuple[str, ...] = ()
    default: str = ""


class Fields(Struct, frozen=True, kw_only=True):
    """An object with these fields, some of them required."""

    of: Mapping[str, "Shape"]
    required: tuple[str, ...] = ()


Shape = Text | Name | Moment | Whole | Flag | Amount | Table | Items | Fields


def shape_refusals(shape: Shape, value: Any, path: str) -> Iterator[Refusal]:
    """What is refused in a value of JSON that should have this shape, in the order of the shape."""
    wanted = _KINDS.get(type(shape))
    if wanted is not None and (
        not isinstance(value, wanted[0]) or (wanted[0] is int and isinstance(value, bool))
    ):
        yield _other_kind(path, value, wanted[1])
        return
    yield from _READERS[type(shape)](shape, value, path)


def _in_name(shape: Name, value: str, path: str) -> Iterator[Refusal]:
    if not is_label(value) if shape.label else not is_subdomain(value):
        yield from name_refusal(path, value, shape.label)


def _in_whole(shape: Whole, value: int, path: str) -> Iterator[Refusal]:
    if shape.least is not None and value < shape.least:
        yield Refusal(
            code="too-small",
            path=path,
            problem="{value} is less than {least}",
            fix="write {least} or more",
            values={"value": value, "least": shape.least},
        )


def _in_moment(_: Moment, value: str, path: str) -> Iterator[Refusal]:
    if not _is_time(value):
        yield Refusal(
            code="no-time",
            path=path,
            problem="{value} is not a time",
            fix='write RFC 3339, such as "2026-01-31T08:00:00Z"',
            values={"value": quoted(value)},
        )


def _in_table(shape: Table, value: dict[str, Any], path: str) -> Iterator[Refusal]:
    yield from _too_many(path, len(value), shape.most)
    for key, item in value.items():
        if item is not None and not _is_any_text(shape.of, item):
            yield from shape_refusals(shape.of, item, key_path(path, str(key)))


def _in_text(shape: Text, value: str, path: str) -> Iterator[Refusal]:
    if shape.words:
        yield from other_word("no-choice", path, value, shape.words)
    if len(value) > shape.most:
        yield _too_long(path, value, shape.most)
    elif len(value) < shape.least:
        yield Refusal(
            code="too-short",
            path=path,
            problem="the text is empty",
            fix="write at least {least} characters",
            values={"least": shape.least},
        )
    elif shape.form and not re.fullmatch(shape.form, value):
        yield _other_form(path, value, shape.form)


def _other_form(path: str, value: str, form: str) -> Refusal:
    if form == LABEL_KEY:
        return Refusal(
            code="no-label-key",
            path=path,
            problem="{key} is no key of a label",
            fix="use at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends",
            values={"key": quoted(value)},
        )
    return Refusal(
        code="no-form",
        path=path,
        problem="{value} does not have the form {form}",
        fix="write a text of this form",
        values={"value": quoted(value), "form": form},
    )


def _in_amount(shape: Amount, value: Any, path: str) -> Iterator[Refusal]:
    text = value if isinstance(value, str) else str(value)
    text = text.strip() if shape.decoded else text
    number = not isinstance(value, bool | str | list | dict) and (shape.decoded or isinstance(value, int))
    if (isinstance(value, str) or number) and _is_amount(text):
        return
    yield Refusal(
        code="no-quantity",
        path=path,
        problem="{value} is not a quantity",
        fix='write an integer, or a text such as "1500m" or "22Gi"',
        values={"value": quoted(shown(value))},
    )


def _in_fields(shape: Fields, value: dict[str, Any], path: str) -> Iterator[Refusal]:
    for name in shape.required:
        if value.get(name) is None:
            yield missing("missing", f"{path}.{name}" if path else name, name)
    for name, of in shape.of.items():
        item = value.get(name)
        if item is not None and not _is_any_text(of, item):
            yield from shape_refusals(of, item, f"{path}.{name}" if path else name)


def _in_items(shape: Items, value: list[Any], path: str) -> Iterator[Refusal]:
    if len(value) > shape.most:
        yield from _too_many(path, len(value), shape.most)
        return
    if len(value) < shape.least:
        yield Refusal(
            code="empty", path=path, problem="the list is empty", fix="write at least one entry", values={}
        )
    for i, item in enumerate(value):
        yield from shape_refusals(shape.of, item, f"{path}[{i}]")
    if shape.key:
        yield from _repeated(shape, value, path)


def _repeated(shape: Items, value: list[Any], path: str) -> Iterator[Refusal]:
    seen = set[tuple[str, ...]]()
    for i, key in enumerate(_key(shape, item) for item in value):
        if key in seen:
            yield Refusal(
                code="twice",
                path=f"{path}[{i}]",
                problem="{name} is there twice",
                fix="rename or remove one of the two",
                values={"name": quoted(", ".join(key))},
            )
        seen.add(key)


def _key(shape: Items, item: Any) -> tuple[str, ...]:
    if shape.key == ("",):
        return (_word(item, ""),)
    fields = item if isinstance(item, dict) else {}
    return tuple(_word(fields.get(name), shape.default) for name in shape.key)


def _word(value: Any, default: str) -> str:
    return value if isinstance(value, str) else default


def _is_any_text(shape: Shape, value: Any) -> bool:
    """Whether a value is a text of which nothing is asked: most fields are, and need no look."""
    return shape is ANY_TEXT and isinstance(value, str)


def _too_many(path: str, count: int, most: int) -> Iterator[Refusal]:
    if count > most:
        yield Refusal(
            code="too-many",
            path=path,
            problem="there are {count}, at most {most} are allowed",
            fix="remove some",
            values={"count": count, "most": most},
        )


def _too_long(path: str, value: str, most: int) -> Refusal:
    return Refusal(
        code="too-long",
        path=path,
        problem="{value} has {count} characters, at most {most} are allowed",
        fix="shorten it",
        values={"value": quoted(value), "count": len(value), "most": most},
    )


def _other_kind(path: str, value: Any, expected: str) -> Refusal:
    return Refusal(
        code="other-kind",
        path=path,
        problem="{expected} is expected, not {found}",
        fix="write {expected} here",
        values={"expected": expected, "found": quoted(shown(value))},
    )


@lru_cache(maxsize=4096)
def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=4096)
def _is_amount(text: str) -> bool:
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return _AMOUNT.fullmatch(text) is not None


ANY_TEXT = Text()
_KINDS: dict[type, tuple[type, str]] = {
    Text: (str, "text"),
    Name: (str, "text"),
    Moment: (str, "text"),
    Whole: (int, "an integer"),
    Flag: (bool, "true or false"),
    Table: (dict, "a mapping"),
    Items: (list, "a list"),
    Fields: (dict, "a mapping"),
}
_READERS: dict[type, Callable[[Any, Any, str], Iterator[Refusal]]] = {
    Text: _in_text,
    Name: _in_name,
    Moment: _in_moment,
    Whole: _in_whole,
    Flag: lambda *_: iter(()),
    Amount: _in_amount,
    Table: _in_table,
    Items: _in_items,
    Fields: _in_fields,
}

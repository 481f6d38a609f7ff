"""What the API server refuses, as data: `check` makes rows of it, and reading a manifest raises the first."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeVar

from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown

T = TypeVar("T")


class Refusal(Struct, frozen=True, kw_only=True):
    """One field that is refused: a `code` for programs, its path, what is wrong, the next step.

    `problem` and `fix` are English templates; `values` fills the places of both.
    """

    code: str
    path: str
    problem: str
    fix: str
    values: Mapping[str, str | int] = {}


def refuse_first(manifest: Manifest, refusals: Iterable[Refusal]) -> None:
    """Raises the first one as InvalidInput of this object; those behind it are not looked for."""
    for each in refusals:
        values: dict[str, Any] = {**manifest.at(each.path), **each.values}
        raise InvalidInput(each.problem, fix=each.fix, **values)


def quoted(text: str) -> str:
    """A value in a sentence: one short line; two quotes where it is empty."""
    return shown(text) or '""'


def there(refusal: Refusal | None) -> Iterator[Refusal]:
    """It, if it is one."""
    if refusal is not None:
        yield refusal


def too_many(path: str, items: Sized | UnsetType, most: int) -> Iterator[Refusal]:
    """A list or map is longer than the API server takes it."""
    count = len(given(items, ()))
    if count > most:
        yield Refusal(
            code="too-many",
            path=path,
            problem="{count} entries are more than the {most} that Kubernetes takes here",
            fix="shorten the list, or split the object",
            values={"count": count, "most": most},
        )


def twice(path: str, names: Iterable[str]) -> Iterator[Refusal]:
    """Names that were there before; `path` is the list's."""
    listed, seen = list(names), set[str]()
    for i, name in enumerate(listed if len(set(listed)) < len(listed) else ()):
        if name in seen:
            yield Refusal(
                code="twice",
                path=f"{path}[{i}]",
                problem="{name} is there twice",
                fix="rename or remove one of the two",
                values={"name": quoted(name)},
            )
        seen.add(name)


def in_list(
    path: str, items: Sequence[T], most: int, check: Callable[[str, T], Iterator[Refusal]]
) -> Iterator[Refusal]:
    """What is wrong with each item; a list that is too long is refused before any is looked at."""
    if len(items) > most:
        yield from too_many(path, items, most)
        return
    for i, item in enumerate(items):
        yield from check(f"{path}[{i}]", item)


def in_set(
    path: str,
    items: Sequence[T],
    most: int,
    check: Callable[[str, T], Iterator[Refusal]],
    name: Callable[[T], str],
) -> Iterator[Refusal]:
    """The same for a list of which no two items may have the same name."""
    yield from in_list(path, items, most, check)
    if len(items) <= most:
        yield from twice(path, map(name, items))


def missing(code: str, path: str, field: str) -> Refusal:
    """A field that Kubernetes requires."""
    return Refusal(
        code=code, path=path, problem="the field {field} is missing", fix="add it", values={"field": field}
    )


def one_of(path: str, choices: str) -> Refusal:
    """Exactly one of some fields has to be there."""
    return Refusal(
        code="one-of",
        path=path,
        problem="exactly one of {choices} has to be there",
        fix="keep one of them",
        values={"choices": choices},
    )


def other_word(code: str, path: str, value: str, choices: Sequence[str]) -> Iterator[Refusal]:
    """A word that is none of the few that are known."""
    if value not in choices:
        yield Refusal(
            code=code,
            path=path,
            problem="{value} is not one of {choices}",
            fix="write {first}",
            values={"value": quoted(value), "choices": ", ".join(choices), "first": choices[0]},
        )

"""The list of what was fetched from a database: which days lie in which files, and what may be missing.

`stellwerk ... --prometheus` writes it beside the days' files; read as metrics it stands for all of them.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.joining.series import Findings

KIND, API_VERSION, SUFFIX = "FetchedMetrics", "stellwerk.dev/v1alpha1", ".fetched"
_START = b'{"apiVersion":"stellwerk.dev/v1alpha1","kind":"FetchedMetrics"'


class FetchedFile(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A day's file beside the list, and the SHA-256 of its bytes."""

    name: str
    sha256: str


class FetchedMetrics(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What was asked for (times in milliseconds), and what came.

    `empty_days` have no reading of a GPU; `doubtful_days`: an answer may lack something, by the database's
    own word or by its count of samples, in `doubts`.
    """

    api_version: str = API_VERSION
    kind: str = KIND
    url: str
    start_ms: int
    end_ms: int
    files: tuple[FetchedFile, ...]
    empty_days: tuple[str, ...] = ()
    doubtful_days: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


def is_fetched(content: bytes) -> bool:
    """Whether this is such a list."""
    return content.startswith(_START)


def read_fetched(content: bytes, source: str) -> FetchedMetrics:
    """The list; raises InvalidInput for what is no list, or names files elsewhere."""
    try:
        found = msgspec.json.decode(content, type=FetchedMetrics)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "{name} is no list of fetched metrics: {words}",
            fix="fetch them again with --prometheus",
            source=source,
            name=source,
            words=shown(str(error), 200),
        ) from None
    for file in found.files:
        if Path(file.name).name != file.name or file.name in ("", ".", ".."):
            raise InvalidInput(
                "{name} names {file}, which is not beside it",
                fix="fetch the metrics again with --prometheus",
                source=source,
                name=source,
                file=shown(file.name, 200),
            )
    return found


def note_fetched(found: FetchedMetrics, findings: Findings) -> None:
    """What a figure must not hide of how the metrics came."""
    for day in found.empty_days:
        findings.add("history-short", day)
    for day in found.doubtful_days:
        findings.add("answer-partial", day)


def fetched_bytes(found: FetchedMetrics) -> bytes:
    """The list as it is written."""
    return msgspec.json.encode(found) + b"\n"


def changed_file(name: str, source: str) -> InvalidInput:
    """The error for a day's file that is not what the list says."""
    return InvalidInput(
        "{name} is not what was fetched, by its SHA-256 in {list}",
        fix="remove it and fetch again with --prometheus",
        source=source,
        name=name,
        list=source,
    )

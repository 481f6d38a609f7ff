"""Files and folders of metrics -> Usage: `load_usage`. The form of a file is told by its content."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from stellwerk.adapters.files import FILES_LIMIT, expand, read_raw, sha256
from stellwerk.adapters.metrics.exposition import read_exposition
from stellwerk.adapters.metrics.fetched import (
    FetchedFile,
    changed_file,
    is_fetched,
    note_fetched,
    read_fetched,
)
from stellwerk.adapters.metrics.intake import Intake
from stellwerk.adapters.metrics.prometheus import read_json
from stellwerk.adapters.metrics.table import PARQUET_MAGIC, is_table, read_csv, read_parquet, unknown_table
from stellwerk.adapters.rows import shown
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.joining.join import join_series
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import Usage

SUFFIXES = (
    ".json",
    ".jsonl",
    ".ndjson",
    ".txt",
    ".prom",
    ".om",
    ".openmetrics",
    ".metrics",
    ".csv",
    ".parquet",
)
_PACKED = (".xz", ".gz")


class UsageOptions(Struct, frozen=True, kw_only=True):
    """What files may not say: the scrape interval, and when exposition text without times was scraped."""

    interval_ms: int | None = None
    at_ms: int | None = None


class UsageFile(Struct, frozen=True):
    """A file that was read, as the user named it, and the SHA-256 of its bytes."""

    name: str
    sha256: str


class LoadedUsage(Struct, frozen=True):
    """What was measured, and in which files it stood."""

    usage: Usage
    inputs: tuple[UsageFile, ...]


NO_OPTIONS = UsageOptions()


def load_usage(paths: Sequence[str], options: UsageOptions = NO_OPTIONS) -> LoadedUsage:
    """All series in these files and folders as one Usage; raises InvalidInput with file and place."""
    intake, inputs = _intake(paths, options)
    source = paths[0] if len(paths) == 1 else ", ".join(paths)
    usage = join_series(intake.series(), intake.findings, source, options.interval_ms)
    return LoadedUsage(usage, inputs)


def load_series(paths: Sequence[str]) -> tuple[Series, ...]:
    """All series as they stand in these files and folders, not joined; raises as `load_usage` does."""
    return tuple(_intake(paths, NO_OPTIONS)[0].series())


def _intake(paths: Sequence[str], options: UsageOptions) -> tuple[Intake, tuple[UsageFile, ...]]:
    intake = Intake(Findings())
    inputs = []
    for path in (file for each in paths for file in _files(each)):
        raw = read_raw(path)
        inputs.append(UsageFile(path, sha256(raw)))
        if is_fetched(raw):
            inputs += _read_fetched(raw, path, intake)
        else:
            _read(expand(raw, path), path, intake, options)
    return intake, tuple(inputs)


def _read_fetched(raw: bytes, source: str, intake: Intake) -> Iterator[UsageFile]:
    """The days of a list that was fetched from a database."""
    found = read_fetched(raw, source)
    note_fetched(found, intake.findings)
    for file in found.files:
        path = str(Path(source).parent / file.name)
        read_day(path, file, source, intake)
        yield UsageFile(path, file.sha256)


def read_day(path: str, file: FetchedFile, source: str, intake: Intake) -> None:
    """Read a day's file, at `path`, that the list `source` names; raises InvalidInput where it is another."""
    content = read_raw(path)
    if sha256(content) != file.sha256:
        raise changed_file(path, source)
    _read(expand(content, path), path, intake, NO_OPTIONS)


def _read(content: bytes, source: str, intake: Intake, options: UsageOptions) -> None:
    if content.startswith(PARQUET_MAGIC):
        read_parquet(content, source, intake)
        return
    start = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise InvalidInput("{name} is empty", fix="export the series again", source=source, name=source)
    line = start.split(b"\n", 1)[0].decode("utf-8", "replace").strip()
    header = [name.strip().strip('"') for name in line.replace(";", ",").split(",")]
    if start.startswith((b"{", b"[")):
        read_json(content, source, intake)
    elif is_table(header):
        read_csv(content, source, intake)
    elif line.startswith("#") or "{" in line or len(line.split()) in (2, 3):
        read_exposition(content, source, intake, options.at_ms)
    elif len(header) > 2:
        raise unknown_table(header, source)
    else:
        raise InvalidInput(
            '{name} is in no form that is known: it begins with "{start}"',
            fix="bring Prometheus' JSON, exposition text, CSV or Parquet: see docs/reference/metrics.md",
            source=source,
            path="line 1",
            name=source,
            start=shown(line, 60),
        )


def _files(path: str) -> Iterator[str]:
    """The file itself, or the files of a folder that look like metrics, by name."""
    place = Path(path)
    try:
        if not place.is_dir():
            yield path
            return
        names = sorted(entry.name for entry in place.iterdir() if _wanted(entry))
    except (OSError, ValueError) as error:
        raise InvalidInput(
            "{name} cannot be read: {words}",
            fix="make it readable, or name another file",
            source=shown(path, 200),
            name=shown(path, 200),
            words=getattr(error, "strerror", None) or str(error),
        ) from None
    if not 0 < len(names) <= FILES_LIMIT:
        raise InvalidInput(
            "{name} has {count} files of metrics; from 1 to {limit} can be read",
            fix="name a folder with files that end in {suffixes}, perhaps with .xz or .gz",
            source=path,
            name=path,
            count=len(names),
            limit=FILES_LIMIT,
            suffixes=", ".join(SUFFIXES),
        )
    yield from (str(place / name) for name in names)


def _wanted(entry: Path) -> bool:
    plain = entry.with_suffix("") if entry.suffix in _PACKED else entry
    return plain.suffix in SUFFIXES and not entry.name.startswith(".") and entry.is_file()

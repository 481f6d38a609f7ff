"""The folder of what was fetched: files for each day of UTC, and a list for each time that was asked for.

A day is kept for good once it is over and its answers are whole: then a record beside its files (`.day`)
names them and their SHA-256. Any other is fetched again the next time, and its files have its end or the word
partial in their names. Files are whole or not there, and no file of a day that is kept is written over: lists
and receipts name it.
"""

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from stellwerk.adapters.files import MIB, read_raw, sha256
from stellwerk.adapters.metrics.fetched import SUFFIX, FetchedFile, FetchedMetrics, fetched_bytes
from stellwerk.adapters.output import write_output
from stellwerk.adapters.prometheus.endpoint import Endpoint
from stellwerk.adapters.prometheus.origin import Origin, claim
from stellwerk.adapters.prometheus.queries import DEVICE_METRICS, FORM, NODE_METRICS, POD_FACTS, Stretch
from stellwerk.api.errors import InvalidInput

DAY_MS = 86_400_000
SETTLED_MS = (
    3_600_000  # Samples may come late (remote write, out of order): a day is over an hour after its end.
)
FILE_BYTES = 200 * MIB  # A file of a day, unpacked: what is larger than 256 MiB cannot be read back.
_SUFFIX = ".jsonl.gz"
_LEVEL = 1  # gzip: the text shrinks tenfold at any level.


class Day(Struct, frozen=True):
    """A day, or what of it was asked for; `settled`: it is over."""

    stretch: Stretch
    settled: bool

    @property
    def whole(self) -> bool:
        """Whether it was asked for from midnight to midnight."""
        return self.stretch.end_ms - self.stretch.start_ms == DAY_MS

    @property
    def name(self) -> str:
        """2026-10-01, or 2026-10-31-to-142500 for what of it there is."""
        start = _moment(self.stretch.start_ms)
        if self.whole:
            return f"{start:%Y-%m-%d}"
        return f"{start:%Y-%m-%d}-to-{_moment(self.stretch.end_ms):%H%M%S}"


def days_of(period: Stretch, now_ms: int) -> list[Day]:
    """The days of UTC in a period that begins at a midnight."""
    starts = range(period.start_ms, period.end_ms, DAY_MS)
    return [
        Day(Stretch(start, min(start + DAY_MS, period.end_ms)), start + DAY_MS + SETTLED_MS <= now_ms)
        for start in starts
    ]


def default_folder(endpoint: Endpoint) -> Path:
    """Where this endpoint's days are kept, if the user names no folder: below XDG_CACHE_HOME.

    Another tenant, or other metrics to ask for, is another folder.
    """
    home = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    # A router may tell tenants apart by any header, or by the login.
    who = f"{sorted(endpoint.headers.items())} {endpoint.basic}"
    asked = f"{FORM} {DEVICE_METRICS} {NODE_METRICS} {POD_FACTS} {endpoint.url} {who}"
    host = "".join(c if c.isalnum() or c in ".-" else "-" for c in urlsplit(endpoint.url).netloc)
    return Path(
        home, "stellwerk", "metrics", f"{host[:60]}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"
    )


def list_path(folder: Path, period: Stretch) -> Path:
    """Where the list of a time that was asked for lies in the folder."""
    start, end = _moment(period.start_ms), _moment(period.end_ms)
    return folder / f"{start:%Y-%m-%d}-to-{end:%Y-%m-%dT%H%M%S}{SUFFIX}"


class Kept(Struct, frozen=True):
    """What of a day need not be fetched again: its files; or the name of one that is not what was kept."""

    files: tuple[FetchedFile, ...] = ()
    damaged: str = ""


class _Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A day that is over: whose it is, its files, and whether GPUs are in them."""

    origin: str
    gpus: bool
    files: tuple[FetchedFile, ...]


# Made here, not where days are read: threads that make msgspec's knowledge of one type at once crash it.
_RECORDS = msgspec.json.Decoder(_Record)


class Answers(Struct, frozen=True):
    """The answers of a day, a JSON text each; `whole`: none may lack something; `gpus`: some are of GPUs."""

    texts: list[bytes]
    whole: bool = True
    gpus: bool = True


class Store:
    """The days in one folder, which is made; `fresh`: what is kept of them is not taken.

    Raises InvalidInput where the folder cannot be written, or holds another database's days and not `fresh`.
    """

    def __init__(
        self, folder: Path, origin: Origin, fresh: bool = False, file_bytes: int = FILE_BYTES
    ) -> None:
        self.folder, self._origin, self._fresh, self._file_bytes = folder, origin, fresh, file_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise InvalidInput(
                "{name} cannot be made: {reason}",
                fix="name another folder with --save",
                source=str(folder),
                name=str(folder),
                reason=getattr(error, "strerror", None) or str(error),
            ) from None
        claim(folder, origin, fresh)

    def kept(self, day: Day) -> Kept:
        """The day's files, if they need not be fetched again."""
        if self._fresh or not day.settled:
            return Kept()
        path = self._record_path(day)
        record = _read_record(path)
        if record is None:
            return Kept(damaged=path.name if path.is_file() else "")
        # A day without GPUs is asked for again: they may be scraped late, by another way.
        if record.origin != self._origin.digest or not record.gpus or not record.files:
            return Kept()
        for file in record.files:
            found = _digest(self.folder / file.name)
            if found != file.sha256:
                return Kept(damaged=file.name if found is not None else "")
        return Kept(record.files)

    def keep(self, day: Day, answers: Answers) -> tuple[FetchedFile, ...]:
        """Write the day's answers, one a line; what another run kept in the meantime is taken instead."""
        if there := self.kept(day).files:
            return there
        settled = day.settled and answers.whole
        known = _read_record(self._record_path(day)) if settled else None
        files = tuple(
            self._write(_name(day, number, answers.whole and (day.settled or not day.whole)), content, known)
            for number, content in enumerate(_packed(answers.texts, self._file_bytes), start=1)
        )
        if settled:
            record = _Record(self._origin.digest, answers.gpus, files)
            write_output(str(self._record_path(day)), msgspec.json.encode(record) + b"\n")
            self._forget_parts(day)
        return files

    def write_list(self, found: FetchedMetrics) -> Path:
        """Write the list of a time that was asked for; its path."""
        path = list_path(self.folder, Stretch(found.start_ms, found.end_ms))
        write_output(str(path), fetched_bytes(found))
        return path

    def _write(self, name: str, content: bytes, known: _Record | None) -> FetchedFile:
        """Write a file; where another's bytes bear its name, and are no damage, under a name of its own."""
        digest = sha256(content)
        there = _digest(self.folder / name)
        if there == digest:
            return FetchedFile(name, digest)
        kept = known.files if known is not None else ()
        damaged = any(file.name == name and file.sha256 != there for file in kept)
        if there is not None and not damaged and ".partial." not in name:
            name = f"{name.removesuffix(_SUFFIX)}.{digest[:12]}{_SUFFIX}"
        write_output(str(self.folder / name), content)
        return FetchedFile(name, digest)

    def _record_path(self, day: Day) -> Path:
        return self.folder / f"{day.name}.day"

    def _forget_parts(self, day: Day) -> None:
        """What was fetched of the day before it was over, or whole, is of no more use."""
        records = map(_read_record, self.folder.glob(f"{day.name}*.day"))
        named = {file.name for record in records if record is not None for file in record.files}
        for path in self.folder.glob(f"{day.name}*{_SUFFIX}"):
            passing = ".partial." in path.name or path.name.startswith(f"{day.name}-to-")
            if passing and path.name not in named:
                path.unlink(missing_ok=True)


def _packed(texts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The texts, one a line, packed into as many files as it takes to stay below `limit` bytes in each."""
    packer, size = zlib.compressobj(_LEVEL, wbits=31), 0
    parts: list[bytes] = []
    for text in texts:
        if size and size + len(text) + 1 > limit:
            yield b"".join([*parts, packer.flush()])
            packer, size, parts = zlib.compressobj(_LEVEL, wbits=31), 0, []
        parts.append(packer.compress(text + b"\n"))
        size += len(text) + 1
    if size:
        yield b"".join([*parts, packer.flush()])


def _name(day: Day, number: int, for_good: bool) -> str:
    """A day's file: the first has no number; what the next run overwrites says so."""
    return f"{day.name}{'' if for_good else '.partial'}{f'.{number}' if number > 1 else ''}{_SUFFIX}"


def _digest(path: Path) -> str | None:
    """The SHA-256 of a file, "" of one that cannot be read; None where there is none."""
    if not path.is_file():
        return None
    try:
        return sha256(read_raw(path))
    except InvalidInput:
        return ""


def _read_record(path: Path) -> _Record | None:
    if not path.is_file():
        return None
    try:
        return _RECORDS.decode(read_raw(path, MIB))
    except (InvalidInput, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms // 1000, UTC)

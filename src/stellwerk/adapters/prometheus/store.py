"""The folder of what was fetched: a file for each day of UTC, and a list for each time that was asked for.

A day is kept for good once it is over and its answers are whole; any other is fetched again the next time,
and its file has its end or the word partial in its name. Files are whole or not there.
"""

import hashlib
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from stellwerk.adapters.files import read_raw, sha256
from stellwerk.adapters.metrics.fetched import SUFFIX, FetchedFile, FetchedMetrics, fetched_bytes
from stellwerk.adapters.output import write_output
from stellwerk.adapters.prometheus.endpoint import Endpoint
from stellwerk.adapters.prometheus.queries import DEVICE_METRICS, FORM, NODE_METRICS, POD_FACTS, Stretch
from stellwerk.api.errors import InvalidInput

DAY_MS = 86_400_000
SETTLED_MS = (
    3_600_000  # Samples may come late (remote write, out of order): a day is over an hour after its end.
)
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


class Store:
    """The days in one folder, which is made; raises InvalidInput where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
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

    def kept(self, day: Day) -> FetchedFile | None:
        """The day's file, if it need not be fetched again."""
        name = f"{day.name}.jsonl.gz"
        path = self.folder / name
        if not day.settled or not path.is_file():
            return None
        return FetchedFile(name, sha256(read_raw(str(path))))

    def keep(self, day: Day, answers: list[bytes], whole: bool) -> FetchedFile:
        """Write the day's answers, one a line."""
        packer = zlib.compressobj(_LEVEL, wbits=31)
        content = b"".join([*(packer.compress(answer + b"\n") for answer in answers), packer.flush()])
        name = f"{day.name}.jsonl.gz" if whole else f"{day.name}.partial.jsonl.gz"
        write_output(str(self.folder / name), content)
        if whole and day.settled:
            self._forget_parts(day, name)
        return FetchedFile(name, sha256(content))

    def write_list(self, found: FetchedMetrics) -> Path:
        """Write the list of a time that was asked for; its path."""
        path = list_path(self.folder, Stretch(found.start_ms, found.end_ms))
        write_output(str(path), fetched_bytes(found))
        return path

    def _forget_parts(self, day: Day, kept: str) -> None:
        """What was fetched of the day before it was over, or whole, is of no more use."""
        for path in self.folder.glob(f"{day.name}*.jsonl.gz"):
            if path.name != kept:
                path.unlink(missing_ok=True)


def _moment(time_ms: int) -> datetime:
    return datetime.fromtimestamp(time_ms // 1000, UTC)

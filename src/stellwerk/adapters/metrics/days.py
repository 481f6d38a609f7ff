"""Days of a database that are read again and again: a day that did not change is not parsed anew."""

from pathlib import Path

from msgspec import Struct

from stellwerk.adapters.metrics.fetched import FetchedFile, FetchedMetrics, note_fetched
from stellwerk.adapters.metrics.intake import Intake, Place
from stellwerk.adapters.metrics.load import read_day
from stellwerk.engine.joining.join import join_series
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import Usage

KEPT_SAMPLES = 20_000_000  # 320 MB.


class _Day(Struct, frozen=True):
    """What a day's file holds, read: two arrays of 8 bytes a sample for each series."""

    series: tuple[Series, ...]
    findings: Findings
    samples: int


class ReadDays:
    """The days of one endpoint, by the SHA-256 of their files: 16 bytes a sample.

    Kept are days of the last list, at most `most` samples of them; what is more is read anew each time.
    """

    def __init__(self, most: int = KEPT_SAMPLES) -> None:
        self._days: dict[str, _Day] = {}
        self._most = most
        self.read = 0  # Files that were parsed.

    def usage(self, path: Path, found: FetchedMetrics) -> Usage:
        """What `load_usage` gives for the list `found` at `path`, which is there; raises as it does."""
        findings, total, source = Findings(), Intake(Findings()), str(path)
        note_fetched(found, findings)
        kept: dict[str, _Day] = {}
        series: list[Series] = []
        room = self._most
        for file in found.files:
            day = self._days.get(file.sha256) or self._read(path, file)
            total.count(day.samples, Place(file.name))
            findings.take(day.findings)
            series += day.series
            if day.samples <= room:
                kept[file.sha256] = day
                room -= day.samples
        self._days = kept
        return join_series(series, findings, source)

    def _read(self, path: Path, file: FetchedFile) -> _Day:
        intake = Intake(Findings())
        read_day(str(path.parent / file.name), file, str(path), intake)
        self.read += 1
        return _Day(tuple(intake.series()), intake.findings, intake.samples)

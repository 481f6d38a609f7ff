"""Days of a database that are read again and again: a day that did not change is not parsed anew."""

from pathlib import Path

from msgspec import Struct

from stellwerk.adapters.metrics.fetched import FetchedFile, FetchedMetrics, note_fetched
from stellwerk.adapters.metrics.intake import Intake, Place
from stellwerk.adapters.metrics.load import read_day
from stellwerk.engine.joining.join import join_series
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import Usage


class _Day(Struct, frozen=True):
    """What a day's file holds, read: two arrays of 8 bytes a sample for each series."""

    series: tuple[Series, ...]
    findings: Findings
    samples: int


class ReadDays:
    """The days of one endpoint, by the SHA-256 of their files: 16 bytes a sample.

    Only the days of the last list are kept; together they have no more samples than one reading may have.
    """

    def __init__(self) -> None:
        self._days: dict[str, _Day] = {}
        self.read = 0  # Files that were parsed.

    def usage(self, path: Path, found: FetchedMetrics) -> Usage:
        """What `load_usage` gives for the list `found` at `path`, which is there; raises as it does."""
        findings, total, source = Findings(), Intake(Findings()), str(path)
        note_fetched(found, findings)
        days: dict[str, _Day] = {}
        for file in found.files:
            days[file.sha256] = day = self._days.get(file.sha256) or self._read(path, file)
            total.count(day.samples, Place(file.name))
            findings.take(day.findings)
        self._days = days
        series = [each for day in days.values() for each in day.series]
        return join_series(series, findings, source)

    def _read(self, path: Path, file: FetchedFile) -> _Day:
        intake = Intake(Findings())
        read_day(str(path.parent / file.name), file, str(path), intake)
        self.read += 1
        return _Day(tuple(intake.series()), intake.findings, intake.samples)

"""Where readers put what they read: each text of a number or a time once, exact, in thousandths.

Nothing passes through binary fractions: a value's decimal text becomes an integer of thousandths (half to
even), a time one of milliseconds. What is no reading (NaN, infinite, negative, DCGM's blank) is counted.
"""

import re
from array import array
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

from stellwerk.adapters.rows import shown
from stellwerk.api.duration import parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.dcgm import BLANK_INT64, dcgm_metrics
from stellwerk.engine.joining.series import Findings, Series, Shared, narrow

SAMPLES_LIMIT = 200_000_000
END_MS = 4_102_444_800_000  # The year 2100.
_CACHE_LIMIT = 200_000
_DIGITS_LIMIT = 60
# Integer blanks lie 16 below 2**63; Prometheus keeps values as doubles, which are 1,024 apart there.
_BLANK_FROM = BLANK_INT64 // 1024 * 1024 - 1024
_BLANK_FLOATS = range(1 << 47, (1 << 47) + 4)  # DCGM_FP64_BLANK, NOT_FOUND, NOT_SUPPORTED, NOT_PERMISSIONED.
_MS_FROM = 10**11  # As seconds the year 5138, as milliseconds 1973.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_NO_READING = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_EXACT = Context(prec=2 * _DIGITS_LIMIT, Emax=99_999, Emin=-99_999)
_ROUND = Context(prec=2 * _DIGITS_LIMIT, Emax=99_999, Emin=-99_999, rounding=ROUND_HALF_EVEN)


class Place:
    """Where a reader stands, for the error that refuses a value there."""

    __slots__ = ("field", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self.field = ""

    def refuse(self, template: str, value: object) -> InvalidInput:
        """The error for a `value` that is not what is needed, as the template says."""
        return InvalidInput(
            template,
            fix="correct it at {field} of {name}, or export the series again",
            source=self.source,
            path=self.field,
            value=shown(str(value)),
            field=self.field or "1",
            name=self.source,
        )


class Chunk:
    """One series of one file, while it is read."""

    __slots__ = ("metric", "times", "values")

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.times: array[int] = array("q")
        self.values: array[int] = array("q")


class Intake:
    """Series as they come, over all files; `findings` counts what was no reading."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.samples = 0
        self._chunks: dict[tuple[str, str, tuple[tuple[str, str], ...]], Chunk] = {}
        self._all: list[tuple[Chunk, Mapping[str, str]]] = []
        self._milli: dict[str, int | None] = {}
        self._times: dict[str, int] = {}
        self._moments: dict[float, int] = {}
        self._shared = Shared()

    def chunk(self, place: Place, metric: str, labels: Mapping[str, str]) -> Chunk:
        """The series of this metric with these labels in this file."""
        key = place.source, metric, tuple(sorted(labels.items()))
        if key not in self._chunks:
            self._chunks[key] = self.fresh(metric, labels)
        return self._chunks[key]

    def fresh(self, metric: str, labels: Mapping[str, str]) -> Chunk:
        """A series of its own: two answers about one thing may come in any order, and no clock went back."""
        chunk = Chunk(_known(metric))
        self._all.append((chunk, labels))
        return chunk

    def add(self, chunk: Chunk, time_ms: int, text: str, place: Place) -> None:
        """A sample whose value is decimal text."""
        try:
            milli = self._milli[text]
        except KeyError:
            milli = self._remembered(text, place)
        if milli is None:
            self.findings.add("sample-blank", chunk.metric)
            return
        chunk.times.append(time_ms)
        chunk.values.append(milli)
        self.count(1, place)

    def fill(self, chunk: Chunk, times: Sequence[float], texts: Sequence[str], place: Place) -> None:
        """All samples of an empty series at once: seconds as numbers, values as decimal text.

        What many series have in common, the times of a scrape, is kept once.
        """
        try:
            milli = [self._milli[text] for text in texts]
            moments = [self._moments[seconds] for seconds in times]
        except KeyError:
            milli = [self._milli[t] if t in self._milli else self._remembered(t, place) for t in texts]
            moments = [self._moment(seconds, place) for seconds in times]
        if None in milli:
            pairs = [(time, value) for time, value in zip(moments, milli, strict=True) if value is not None]
            self.findings.add("sample-blank", chunk.metric, len(milli) - len(pairs))
            moments, milli = [time for time, _ in pairs], [value for _, value in pairs]
        chunk.times = self._shared.one(array("q", moments))
        chunk.values = narrow([value for value in milli if value is not None])
        self.count(len(moments), place)

    def count(self, samples: int, place: Place) -> None:
        """Bound what is kept."""
        self.samples += samples
        if self.samples > SAMPLES_LIMIT:
            raise InvalidInput(
                "{name}: there are more than {limit} samples",
                fix="export fewer series or a longer step, such as step=60s",
                source=place.source,
                name=place.source,
                limit=SAMPLES_LIMIT,
            )

    def time_ms(self, text: str, place: Place) -> int:
        """A time as text: seconds or milliseconds since 1970 (told by size), or RFC 3339."""
        if text not in self._times:
            if len(self._times) > _CACHE_LIMIT:
                self._times.clear()
            self._times[text] = _time_ms(text, place)
        return self._times[text]

    def series(self) -> list[Series]:
        """All that was read, in the order of reading: of two values at one time the last counts."""
        return [
            Series(chunk.metric, labels, self._shared.one(chunk.times), narrow(chunk.values))
            for chunk, labels in self._all
        ]

    def _moment(self, seconds: float, place: Place) -> int:
        if seconds not in self._moments:
            if len(self._moments) > _CACHE_LIMIT:
                self._moments.clear()
            self._moments[seconds] = seconds_ms(seconds, place)
        return self._moments[seconds]

    def _remembered(self, text: str, place: Place) -> int | None:
        if len(self._milli) > _CACHE_LIMIT:
            self._milli.clear()
        self._milli[text] = found = _milli(text, place)
        return found


def seconds_ms(seconds: float, place: Place) -> int:
    """Milliseconds of a JSON number, half up, by its exact fraction: nothing is computed in binary."""
    numerator, denominator = seconds.as_integer_ratio()
    return checked_ms((2000 * numerator + denominator) // (2 * denominator), seconds, place)


def checked_ms(time_ms: int, value: object, place: Place) -> int:
    """A time between 1970 and 2100."""
    if 0 <= time_ms < END_MS:
        return time_ms
    raise place.refuse('"{value}" is no time between 1970 and 2100', value)


def _milli(text: str, place: Place) -> int | None:
    """Thousandths of a decimal number, None where it is no reading."""
    text = text.strip()
    if len(text) > _DIGITS_LIMIT or not _NUMBER.fullmatch(text):
        if not text or _NO_READING.fullmatch(text):
            return None
        raise place.refuse('"{value}" is no number', text)
    value = Decimal(text)
    if value < 0 or value >= _BLANK_FROM or value in _BLANK_FLOATS:
        return None
    if value.adjusted() < -4:
        return 0
    milli = int(_EXACT.scaleb(value, 3).to_integral_value(context=_ROUND))
    # An array holds 64 bits: 9.2e15 units are more than any metric of a GPU shows but a blank one.
    return milli if milli < 1 << 63 else None


def _time_ms(text: str, place: Place) -> int:
    text = text.strip()
    if len(text) <= _DIGITS_LIMIT and _NUMBER.fullmatch(text):
        value = Decimal(text)
        if value.adjusted() > 15:
            raise place.refuse('"{value}" is no time between 1970 and 2100', text)
        scale = 0 if abs(value) >= _MS_FROM else 3
        return checked_ms(int(_EXACT.scaleb(value, scale).to_integral_value(context=_ROUND)), text, place)
    try:
        return checked_ms(parse_time(text.replace(" ", "T", 1)) // 1_000_000, text, place)
    except ValueError:
        raise place.refuse('"{value}" is no time (seconds, milliseconds or RFC 3339)', text) from None


_NAMES = frozenset(metric.name for metric in dcgm_metrics())


def _known(metric: str) -> str:
    """OpenMetrics adds `_total` to a counter's name."""
    shorter = metric.removesuffix("_total")
    return shorter if shorter in _NAMES else metric

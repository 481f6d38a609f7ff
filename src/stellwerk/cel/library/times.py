"""Moments and lengths of time: RFC 3339, Go's durations, and their parts."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from stellwerk.cel.errors import EvaluationError
from stellwerk.cel.values.scalars import INT_MAX, INT_MIN, NANO, Duration, Timestamp

_MOMENT = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:[.,](\d+))?(?:Z|([+-])(\d{2}):(\d{2}))", re.ASCII
)
_UNITS = {
    "ns": 1,
    "us": 1000,
    "\u00b5s": 1000,
    "\u03bcs": 1000,
    "ms": 10**6,
    "s": NANO,
    "m": 60 * NANO,
    "h": 3600 * NANO,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{2})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = -62135596800, 253402300799  # The years 1 to 9999.


def parse_timestamp(text: str) -> Timestamp:
    """RFC 3339; raises EvaluationError."""
    failed = EvaluationError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise failed
    parts = [int(each) for each in match.groups()[:6]]
    try:
        moment = datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        raise failed from None
    offset = 0
    if match[8]:
        if int(match[9]) > 23 or int(match[10]) > 59:
            raise failed
        offset = (int(match[9]) * 60 + int(match[10])) * (60 if match[8] == "+" else -60)
    fraction = int((match[7] or "0")[:9].ljust(9, "0"))
    return moment_of((moment - _EPOCH) // timedelta(seconds=1) - offset, fraction)


def moment_of(seconds: int, nanos: int = 0) -> Timestamp:
    """Seconds since 1970; raises EvaluationError outside the years 1 to 9999."""
    if not _FIRST <= seconds <= _LAST:
        raise EvaluationError("timestamp overflow")
    return Timestamp(seconds * NANO + nanos)


def length_of(nanos: int) -> Duration:
    """Nanoseconds; raises EvaluationError beyond 64 bits."""
    if not INT_MIN <= nanos <= INT_MAX:
        raise EvaluationError("duration overflow")
    return Duration(nanos)


def parse_duration(text: str) -> Duration:
    """Go's form, such as 1h30m or -1.5s; raises EvaluationError."""
    failed = EvaluationError("type conversion error from 'string' to 'google.protobuf.Duration'")
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return Duration(0)
    if not rest or len(rest) > 1000:
        raise failed
    total, at = 0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or not (match[1] or match[2]):
            raise failed
        unit, fraction = _UNITS[match[3]], match[2] or ""
        total += int(match[1] or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        at = match.end()
    if not INT_MIN <= sign * total <= INT_MAX:
        raise failed
    return Duration(sign * total)


def show_timestamp(value: Timestamp) -> str:
    """RFC 3339 in UTC with as many digits as it has."""
    seconds, nanos = divmod(value.nanos, NANO)
    shown = (_EPOCH + timedelta(seconds=seconds)).strftime("%m-%dT%H:%M:%S")
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{(_EPOCH + timedelta(seconds=seconds)).year:04d}-{shown}{fraction}Z"


def show_duration(value: Duration) -> str:
    """Seconds."""
    sign, nanos = ("-", -value.nanos) if value.nanos < 0 else ("", value.nanos)
    seconds, rest = divmod(nanos, NANO)
    return f"{sign}{seconds}" + (f".{rest:09d}".rstrip("0") if rest else "") + "s"


def add_times(one: Any, other: Any) -> Any:
    """A moment and a length in either order, or two lengths."""
    if one.__class__ is Timestamp and other.__class__ is Timestamp:
        raise EvaluationError("no such overload")
    total = one.nanos + other.nanos
    if one.__class__ is Duration and other.__class__ is Duration:
        return length_of(total)
    return moment_of(*divmod(total, NANO))


def subtract_times(one: Any, other: Any) -> Any:
    """What `one - other` is."""
    if other.__class__ not in (Timestamp, Duration) or (
        one.__class__ is Duration and other.__class__ is Timestamp
    ):
        raise EvaluationError("no such overload")
    total = one.nanos - other.nanos
    return length_of(total) if one.__class__ is other.__class__ else moment_of(*divmod(total, NANO))


def _local(value: Timestamp, zone: str) -> datetime:
    """UTC or a fixed offset: a named zone would need the files of the time zone database."""
    offset = 0
    if zone not in ("UTC", ""):
        match = _OFFSET.fullmatch(zone)
        if match is None:
            raise EvaluationError(f"time zone {zone} is not supported")
        offset = (int(match[2]) * 60 + int(match[3])) * (-60 if match[1] == "-" else 60)
    try:
        return _EPOCH + timedelta(seconds=value.nanos // NANO + offset)
    except OverflowError:
        raise EvaluationError("timestamp overflow") from None


_FIELDS: dict[str, Callable[[datetime], int]] = {
    "timestamp_to_year": lambda at: at.year,
    "timestamp_to_month": lambda at: at.month - 1,
    "timestamp_to_day_of_year": lambda at: at.timetuple().tm_yday - 1,
    "timestamp_to_day_of_month": lambda at: at.day - 1,
    "timestamp_to_day_of_month_1_based": lambda at: at.day,
    "timestamp_to_day_of_week": lambda at: at.isoweekday() % 7,
    "timestamp_to_hours": lambda at: at.hour,
    "timestamp_to_minutes": lambda at: at.minute,
    "timestamp_to_seconds": lambda at: at.second,
}


def _field(read: Callable[[datetime], int]) -> Callable[..., int]:
    return lambda value, zone="UTC": read(_local(value, zone))


def _milliseconds(value: Timestamp, _zone: str = "UTC") -> int:
    return value.nanos % NANO // 10**6


def _whole(value: Duration, unit: int) -> int:
    return value.nanos // unit if value.nanos >= 0 else -(-value.nanos // unit)


TIME_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _field(read) for name, read in _FIELDS.items()},
    **{f"{name}_with_tz": _field(read) for name, read in _FIELDS.items()},
    "timestamp_to_seconds_tz": _field(_FIELDS["timestamp_to_seconds"]),
    "timestamp_to_milliseconds": _milliseconds,
    "timestamp_to_milliseconds_with_tz": _milliseconds,
    "duration_to_hours": lambda value: _whole(value, 3600 * NANO),
    "duration_to_minutes": lambda value: _whole(value, 60 * NANO),
    "duration_to_seconds": lambda value: _whole(value, NANO),
    "duration_to_milliseconds": lambda value: _whole(value, 10**6) % 1000,
}

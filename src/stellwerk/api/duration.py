"""Go's duration text ("3h30m", as metav1.Duration) and RFC 3339 times, as integer nanoseconds."""

import re
from datetime import UTC, datetime

MAX_NS = 2**63 - 1
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"([+-]?)((?:{_PART})+)")
_PARTS = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-][0-9]{2}:[0-9]{2}))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration (time.ParseDuration), fractions of one dropped.

    Raises ValueError "malformed", or "too large" beyond 2^63-1 ns (292 years).
    """
    if text in ("0", "+0", "-0"):
        return 0
    if len(text) > 64:
        raise ValueError("too large")
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("malformed")
    total = sum(_part_ns(*part) for part in _PARTS.findall(match[2]))
    if total > MAX_NS:
        raise ValueError("too large")
    return -total if match[1] == "-" else total


def _part_ns(whole: str, fraction: str, unit: str) -> int:
    ns = int(whole or "0") * _UNITS[unit]
    return ns + (int(fraction) * _UNITS[unit] // 10 ** len(fraction) if fraction else 0)


def parse_time(text: str) -> int:
    """Nanoseconds since 1970 (UTC) of an RFC 3339 time; the offset is required.

    Raises ValueError "malformed", also for a day that no calendar has and for leap seconds.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("malformed")
    date, clock, fraction, offset = match.groups(default="")
    try:
        since = datetime.fromisoformat(f"{date}T{clock}{offset or '+00:00'}") - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError("malformed") from None
    seconds = since.days * 86_400 + since.seconds
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or "0")

"""From when to when a bill is: days and months of a time zone, which clock changes make longer or shorter."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from stellwerk.api.duration import parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.money.measured.result import Span

_DAY = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def window(start: str, end: str, timezone: str) -> Span:
    """[start, end): each a day (`2026-03-01`), a month's first (`2026-03`), or an RFC 3339 time.

    Raises InvalidInput for a zone that is not known, for what is no date, and where nothing lies between.
    """
    zone = time_zone(timezone)
    span = Span(_moment(start, zone, "--from"), _moment(end, zone, "--to"))
    if span.start_ms >= span.end_ms:
        raise InvalidInput(
            "--to {end} is not after --from {start}",
            fix="--to is the first moment that is no longer billed: --from 2026-03 --to 2026-04 is March",
            start=start,
            end=end,
        )
    return span


def last_days(days: int, now_ms: int, timezone: str) -> tuple[str, str]:
    """The first of the last `days` whole days of a zone, and the day on which `now_ms` falls, as dates."""
    today = datetime.fromtimestamp(now_ms / 1000, time_zone(timezone)).date()
    return (today - timedelta(days=days)).isoformat(), today.isoformat()


def check_over(end: str, now_ms: int, timezone: str) -> None:
    """Raise InvalidInput where the end of a bill is still to come: nobody can have measured up to it."""
    zone = time_zone(timezone)
    if _moment(end, zone, "--to") > now_ms:
        raise InvalidInput(
            "--to {end} is still to come, so nothing was measured up to it",
            fix="bill the days that are over: --to {today}",
            end=end,
            today=last_days(0, now_ms, timezone)[1],
        )


def time_zone(name: str) -> ZoneInfo:
    """The zone of that name in the IANA database; raises InvalidInput."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise InvalidInput(
            "there is no time zone {name}", fix="use a name such as Europe/Berlin or UTC", name=name[:60]
        ) from None


def local(time_ms: int, zone: ZoneInfo) -> str:
    """`2026-03-01 00:00` as the clocks of the zone showed it."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def utc(time_ms: int) -> str:
    """`2026-03-01T00:00:00Z`, as FOCUS and JSON have it."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str, zone: ZoneInfo, option: str) -> int:
    day = _DAY.fullmatch(text)
    try:
        if day is None:
            moment = parse_time(text) // 1_000_000
        else:
            midnight = datetime(int(day[1]), int(day[2]), int(day[3] or 1), tzinfo=zone)
            moment = (midnight.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "{option} {text} is no date",
            fix="write 2026-03-01, 2026-03, or 2026-03-01T00:00:00Z",
            option=option,
            text=text[:40],
        ) from None
    if moment < 0:
        raise InvalidInput(
            "{option} {text} is before 1970: no metrics are that old",
            fix="write 2026-03-01, 2026-03, or 2026-03-01T00:00:00Z",
            option=option,
            text=text[:40],
        )
    return moment

"""What the database's answers say of it: reach, history, clocks, limits."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from stellwerk.engine.diagnosis.devices import interval_ms
from stellwerk.engine.diagnosis.facts import DatabaseFacts, Facts, HistoryFacts
from stellwerk.engine.diagnosis.findings import Finding, finding
from stellwerk.engine.usage import STALE_MS

DAY_MS = 86_400_000
CLOCK_S = 30  # Answers carry whole seconds, and may be under way for some.
LONG_INTERVAL_MS = 60_000
# Flag -> what one query of ours may need (adapters/prometheus: SAMPLES_PER_ANSWER, and the longest list of
# pods); the flags of Prometheus and of VictoriaMetrics (-search...). 0 is no limit, or one by its memory.
NEEDED = {
    "query.max-samples": 1_000_000,
    "search.maxSamplesPerQuery": 1_000_000,
    "search.maxQueryLen": 14_000,
    "query.timeout": 10,
    "search.maxQueryDuration": 10,
}
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def database_findings(facts: Facts) -> Iterator[Finding]:
    """Of the database, and of the samples' times."""
    database, history = facts.database, facts.history
    product = f"{database.product} {database.version}".strip() or "database"
    yield finding("database-answers", product=product, milliseconds=database.answer_ms)
    if database.retention:
        yield finding("retention-known", value=database.retention)
    yield from _history(facts)
    if database.clock_ahead_s is not None and abs(database.clock_ahead_s) > CLOCK_S:
        yield finding("clock-differs", seconds=abs(database.clock_ahead_s))
    if history.future:
        yield finding("samples-future")
    yield from _limits(database)
    if database.doubts:
        yield finding("answers-partial", words=", ".join(database.doubts))


def _history(facts: Facts) -> Iterator[Finding]:
    history, database = facts.history, facts.database
    if history.newest_ms is None:
        return
    if history.oldest_ms is not None:
        date = f"{datetime.fromtimestamp(history.oldest_ms // 1000, UTC):%Y-%m-%d}"
        counted = {"samples": database.day_samples or 0, "milliseconds": database.count_ms}
        yield finding("history-there", since=date, **counted)
        if history.oldest_ms > history.start_ms:
            found, days = (days_since(history, start) for start in (history.oldest_ms, history.start_ms))
            yield finding("history-short", since=date, found=found, days=days)
    age_ms = history.now_ms - history.newest_ms
    if age_ms > STALE_MS:
        yield finding("samples-old", minutes=age_ms // 60_000)
    step = interval_ms(facts.samples)
    if step is not None and step > LONG_INTERVAL_MS:
        yield finding("interval-long", seconds=step // 1000)


def days_since(history: HistoryFacts, since_ms: int) -> int:
    """Whole days of UTC before the one that is under way: as --days counts them."""
    return max(1, history.now_ms // DAY_MS - since_ms // DAY_MS)


def _limits(database: DatabaseFacts) -> Iterator[Finding]:
    for name, needed in NEEDED.items():
        value = _quantity(database.limits.get(name, ""))
        if value is not None and 0 < value < needed:
            yield finding("limit-low", name=name, value=database.limits[name], needed=needed)
    if database.count_refused:
        yield finding("count-refused", words=database.count_refused)


def _quantity(text: str) -> float | None:
    """A number, or seconds of a duration (2m, 1m30s, 500ms); None for anything else."""
    if text.isascii() and text.isdigit():
        return int(text[:18])
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", text)
    if not parts or "".join(map("".join, parts)) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)

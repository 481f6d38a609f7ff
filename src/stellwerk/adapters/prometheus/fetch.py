"""From a database to a folder of days that every verb reads as files: `fetch_metrics`."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from stellwerk.adapters.metrics.fetched import FetchedFile, FetchedMetrics
from stellwerk.adapters.prometheus.client import Client
from stellwerk.adapters.prometheus.day import Fetched, fetch_day
from stellwerk.adapters.prometheus.endpoint import Endpoint
from stellwerk.adapters.prometheus.origin import origin_of
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.adapters.prometheus.store import Answers, Day, Store, days_of, default_folder
from stellwerk.adapters.prometheus.workers import in_order
from stellwerk.api.errors import InvalidInput

AT_ONCE = 3  # A day needs several answers in turn; three days keep a database busy, and no more than that.
_DOUBTS_SHOWN = 20


class Listener(Protocol):
    """Hears of each day that is there: days done, days in all, its name, and whether it had been kept."""

    def __call__(self, done: int, total: int, day: str, kept: bool) -> None: ...


def _unheard(_day: str, _name: str) -> None:
    """Nobody wants to know."""


class Asked(Struct, frozen=True, kw_only=True):
    """What to fetch: a period that begins at midnight UTC, into `folder` (else the endpoint's own).

    `now_ms` tells which days are over. `fresh`: fetch also what is kept. `damaged` hears, from any thread, of
    a day that is fetched again since a file of it is not what was kept.
    """

    period: Stretch
    now_ms: int
    folder: Path | None = None
    fresh: bool = False
    damaged: Callable[[str, str], None] = _unheard


class _Stopped(Exception):
    """Another day failed, or the user ended it, while this one waited to ask again."""


class _Run(Struct):
    """The days to fetch, who hears of damaged ones, and what says that no more is wanted."""

    days: Sequence[Day]
    damaged: Callable[[str, str], None]
    stopped: threading.Event


class _Day(Struct):
    day: Day
    files: tuple[FetchedFile, ...] = ()
    gpus: bool = False
    doubts: Sequence[str] = ()


def fetch_metrics(
    endpoint: Endpoint, asked: Asked, listen: Listener, retry: Callable[[str], None]
) -> tuple[Path, FetchedMetrics]:
    """Fetch what is not kept yet, and write the list of it; days that are there stay, whatever comes after.

    `retry` hears, from any thread, why something is asked again. Raises Unreachable with the database's
    words, and InvalidInput where the whole period has no reading of a GPU.
    """
    store = Store(asked.folder or default_folder(endpoint), origin_of(endpoint), asked.fresh)
    days = days_of(asked.period, asked.now_ms)
    stopped = threading.Event()

    def pause(seconds: float) -> None:
        if stopped.wait(seconds):
            raise _Stopped

    with Client(endpoint, pause) as client:
        client.on_retry = retry
        found = list(_fetched(client, store, _Run(days, asked.damaged, stopped), listen))
    if not any(each.gpus for each in found):
        raise InvalidInput(
            "{url} has no series of GPUs in the {days} days that were asked for",
            fix="see what it has: stellwerk doctor --prometheus {url}",
            url=endpoint.url,
            days=len(days),
        )
    doubts = [f"{each.day.name}: {doubt}" for each in found for doubt in each.doubts]
    result = FetchedMetrics(
        url=endpoint.url,
        start_ms=asked.period.start_ms,
        end_ms=asked.period.end_ms,
        files=tuple(file for each in found for file in each.files),
        empty_days=tuple(each.day.name for each in found if not each.gpus),
        doubtful_days=tuple(each.day.name for each in found if each.doubts),
        doubts=tuple(doubts[:_DOUBTS_SHOWN]),
    )
    return store.write_list(result), result


def _fetched(client: Client, store: Store, run: _Run, listen: Listener) -> Iterator[_Day]:
    """Each day in order; the first failure ends it once the answers that are under way are there."""
    days, stopped = run.days, run.stopped

    def one(day: Day) -> tuple[_Day, bool]:
        kept = store.kept(day)
        if kept.files:
            return _Day(day, kept.files, gpus=True), True
        if stopped.is_set():
            return _Day(day), False
        if kept.damaged:
            run.damaged(day.name, kept.damaged)
        try:
            return _kept(store, day, fetch_day(client, day.stretch)), False
        except _Stopped:
            return _Day(day), False
        except BaseException:
            stopped.set()
            raise

    try:
        for done, (found, kept) in enumerate(in_order(one, days, AT_ONCE), start=1):
            listen(done, len(days), found.day.name, kept)
            yield found
    finally:
        stopped.set()


def _kept(store: Store, day: Day, found: Fetched) -> _Day:
    """A day that was fetched, written; without any series there is no file of it."""
    files: tuple[FetchedFile, ...] = ()
    if found.answers:
        files = store.keep(day, Answers(found.answers, whole=not found.doubts, gpus=found.gpus))
    return _Day(day, files, found.gpus, found.doubts)

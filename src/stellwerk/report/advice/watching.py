"""Rounds of a watch: what a database shows now, with the days that are over kept in memory."""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from msgspec import Struct

from stellwerk.adapters.metrics.days import ReadDays
from stellwerk.adapters.prometheus.endpoint import Endpoint
from stellwerk.adapters.prometheus.fetch import Asked, Listener, fetch_metrics
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.adapters.prometheus.store import days_of, default_folder, list_path
from stellwerk.engine.advice.changes import LastPod, Look, Total
from stellwerk.engine.advice.profiles import workload_names
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.usage import Usage
from stellwerk.report.advice.job import check_headroom
from stellwerk.sim.advice import Advice, advise_usage, check_model
from stellwerk.sim.intake.fleets import named_fleet


class WatchArguments(Struct, frozen=True, kw_only=True):
    """What decides the verdicts of each round, as typed; `folder`: where days are kept."""

    fleet: str | None = None
    rates: tuple[str, ...] = ()
    headroom_percent: int = 10
    folder: Path | None = None


class Watcher:
    """Looks at one database, round by round; raises InvalidInput for options that cannot be used."""

    def __init__(self, endpoint: Endpoint, arguments: WatchArguments) -> None:
        check_headroom(arguments.headroom_percent)
        rates = tuple(parse_rate(rate) for rate in arguments.rates)
        self._fleet = named_fleet(arguments.fleet, rates).fleet if arguments.fleet else None
        self._margins = Margins(arguments.headroom_percent)
        self._endpoint = endpoint
        self._folder = arguments.folder or default_folder(endpoint)
        self.days = ReadDays()
        self.damaged: Callable[[str, str], None] = lambda _day, _name: None
        self._passing: dict[Path, int] = {}

    @property
    def url(self) -> str:
        """Of the database, without credentials."""
        return self._endpoint.url

    def look(self, period: Stretch, now_ms: int, listen: Listener, retry: Callable[[str], None]) -> Look:
        """Fetch what is not kept, and advise. Raises Unreachable; InvalidInput where there is no reading."""
        asked = Asked(period=period, now_ms=now_ms, folder=self._folder, damaged=self.damaged)
        before = {path: _written_ns(path) for path in self._passing_of(asked)}
        try:
            path, found = fetch_metrics(self._endpoint, asked, listen, retry)
        finally:
            known = self._passing
            now = {path: _written_ns(path) for path in self._passing_of(asked)}
            mine = [path for path in now if before.get(path) in (None, known.get(path))]
            self.forget({path for path in mine if now[path] != before.get(path)})
            self._passing = {path: written for path in mine if (written := _written_ns(path)) is not None}
        usage = self.days.usage(path, found)
        check_model(usage, self._fleet, self._endpoint.url)
        return look_at(advise_usage(usage, self._fleet, self._margins), usage, period)

    def forget(self, but: Collection[Path] = ()) -> None:
        """Remove what the last round wrote of a day that was not over; days that are over stay."""
        for path, written_ns in self._passing.items():
            # Another command may have written it since.
            if path not in but and _written_ns(path) == written_ns:
                path.unlink(missing_ok=True)
        self._passing = {}

    def _passing_of(self, asked: Asked) -> Iterator[Path]:
        """The files of a round that the next round writes under other names: its list, a part of a day."""
        yield list_path(self._folder, asked.period)
        for day in days_of(asked.period, asked.now_ms):
            if not day.whole:
                yield from self._folder.glob(f"{day.name}*.jsonl.gz")


def _written_ns(path: Path) -> int | None:
    """When a file was written; None where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def look_at(advice: Advice, usage: Usage, period: Stretch) -> Look:
    """The advice on what was measured in the period that was asked for, as the comparison takes it."""
    owners: dict[str, str] = {}
    last: dict[str, LastPod] = {}
    for name, pod in zip(workload_names(usage), usage.pods, strict=True):
        owners[pod.name] = name
        seen = LastPod(pod.name, pod.end_ms)
        last[name] = max(last.get(name, seen), seen, key=lambda each: (each.end_ms, each.pod))
    return Look(
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        data_end_ms=advice.end_ms,
        interval_ms=usage.interval_ms,
        workloads=advice.workloads,
        last=last,
        owners=owners,
        warnings=advice.warnings,
        total=Total(
            gpus_seen=advice.gpus_seen,
            gpus_before=advice.gpus_before,
            gpus_after=advice.gpus_after,
            currency=advice.currency,
            saving_month=advice.saving_month,
        ),
    )

"""Metrics from a database instead of files: the options of every verb that reads them, and the fetching."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import Decorator
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.adapters.prometheus.endpoint import Endpoint
    from stellwerk.adapters.prometheus.queries import Stretch
    from stellwerk.report.text import Language

DEFAULT_DAYS, MOST_DAYS = 30, 400
DAY_MS = 86_400_000
ENDPOINT_OPTIONS: tuple[Decorator, ...] = (
    click.option("--prometheus", metavar="URL", help="Read Prometheus or VictoriaMetrics instead of files."),
    click.option(
        "--http-config",
        metavar="FILE",
        help="Credentials, TLS and headers, in the fields of Prometheus' http_config.",
    ),
    click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header (repeatable)."),
)
KEEPING_OPTIONS: tuple[Decorator, ...] = (
    click.option("--until", metavar="TIME", help="With --prometheus: the end (RFC 3339; else now)."),
    click.option("--save", metavar="DIR", help="Keep what is fetched here (else in the user's cache)."),
    click.option("--fresh", is_flag=True, help="Fetch also the days that were kept."),
)
DAYS: Decorator = click.option(
    "--days",
    type=int,
    help=f"With --prometheus: whole days (UTC) before the last one.  [default: {DEFAULT_DAYS}]",
)


def endpoint_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which database, and how it is asked."""
    return _all_of(ENDPOINT_OPTIONS, function)


def live_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which database, which days of it, and where they are kept."""
    return _all_of((*ENDPOINT_OPTIONS, DAYS, *KEEPING_OPTIONS), function)


def _all_of(options: tuple[Decorator, ...], function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


def metrics_paths(
    paths: tuple[str, ...],
    options: dict[str, Any],
    lang: "Language",
    period: "Stretch | None" = None,
) -> tuple[str, ...]:
    """The files of metrics: those named, or the list of what --prometheus gave, fetched now.

    Takes its own options out of `options`. `period` is fetched where --days and --until do not say another.
    """
    url, config = options.pop("prometheus"), options.pop("http_config")
    headers, days = options.pop("headers"), options.pop("days")
    until, folder, fresh = options.pop("until"), options.pop("save"), options.pop("fresh")
    if url is None:
        _check_files(
            paths,
            {
                "--http-config": config,
                "--header": headers,
                "--days": days,
                "--until": until,
                "--save": folder,
                "--fresh": fresh,
            },
        )
        return paths
    if paths:
        from stellwerk.api.errors import InvalidInput

        raise InvalidInput(
            "both files ({name}) and --prometheus are named",
            fix="name the files, or the database",
            name=paths[0],
        )
    from stellwerk.adapters.prometheus.endpoint import read_endpoint
    from stellwerk.adapters.prometheus.fetch import Asked, fetch_metrics

    now_ms = time.time_ns() // 1_000_000
    fetched = asked_period(days, until, now_ms, period)
    endpoint = read_endpoint(url, config, headers)
    with FetchLine(lang) as line:
        asked = Asked(
            period=fetched,
            now_ms=now_ms,
            folder=folder_of(folder, endpoint),
            fresh=fresh,
            damaged=line.damaged,
        )
        path, _ = fetch_metrics(endpoint, asked, line, line.retry)
    click.echo(f"metrics: {path}", err=True)
    return (str(path),)


def folder_of(save: str | None, endpoint: "Endpoint") -> Path:
    """Where days are kept: the folder of --save, else the endpoint's own; raises InvalidInput."""
    from stellwerk.adapters.prometheus.store import default_folder
    from stellwerk.api.errors import InvalidInput

    if save is not None and not save:
        raise InvalidInput("{option} names nothing", fix="name it, or leave {option} out", option="--save")
    try:
        return Path(save) if save else default_folder(endpoint)
    except RuntimeError:
        raise InvalidInput(
            "the user has no home folder in which days could be kept",
            fix="name a folder: --save DIR, or in XDG_CACHE_HOME",
        ) from None


def _check_files(paths: tuple[str, ...], given: dict[str, object]) -> None:
    """Without a database files must be named, and its options mean nothing."""
    from stellwerk.api.errors import InvalidInput

    for option, value in given.items():
        # --days 0 and --save "" were given, too.
        if value is not None and value is not False and value != ():
            raise InvalidInput(
                "{option} says how to read a database, and none is named",
                fix="name it: --prometheus http://prometheus.monitoring:9090",
                option=option,
            )
    if not paths:
        raise InvalidInput(
            "no metrics are named",
            fix="name files or folders, or a database: --prometheus http://prometheus.monitoring:9090",
        )


def check_days(days: int | None) -> None:
    """Raise InvalidInput for a number of days that nobody can ask for."""
    from stellwerk.api.errors import InvalidInput

    if days is not None and not 1 <= days <= MOST_DAYS:
        raise InvalidInput(
            "--days {value} is not between 1 and {most}",
            fix="write it as --days 30",
            value=days,
            most=MOST_DAYS,
        )


def asked_period(days: int | None, until: str | None, now_ms: int, period: "Stretch | None") -> "Stretch":
    """Whole days of UTC, and what there is of the last one; raises InvalidInput, naming the option."""
    from stellwerk.adapters.prometheus.queries import Stretch
    from stellwerk.api.errors import InvalidInput

    check_days(days)
    end_ms = now_ms // 60_000 * 60_000 if until is None else min(moment_ms("--until", until), now_ms)
    if period is not None:
        last_ms = min(-(-period.end_ms // DAY_MS) * DAY_MS, end_ms)
        first_ms = period.start_ms // DAY_MS * DAY_MS
        if first_ms >= last_ms:
            raise InvalidInput(
                "the time that is asked for has not begun yet, so nothing was measured in it",
                fix="ask for days that are over",
            )
        return Stretch(first_ms, last_ms)
    first_ms = (end_ms - 1) // DAY_MS * DAY_MS - ((days or DEFAULT_DAYS) - (end_ms % DAY_MS == 0)) * DAY_MS
    return Stretch(max(first_ms, 0), end_ms)


def moment_ms(option: str, text: str) -> int:
    """An RFC 3339 time from 1970 on, in milliseconds; raises InvalidInput, naming the option."""
    from stellwerk.adapters.metrics.intake import END_MS
    from stellwerk.api.duration import parse_time
    from stellwerk.api.errors import InvalidInput

    try:
        moment = parse_time(text) // 1_000_000
    except ValueError:
        moment = -1
    if not 0 < moment < END_MS:
        raise InvalidInput(
            '{option}: "{value}" is no RFC 3339 time from 1970 on',
            fix="write it as {option} 2026-11-23T12:00:00Z",
            option=option,
            value=text[:80],
        )
    return moment


class FetchLine:
    """How far the fetching is, on stderr: a bar on a terminal, else a line for each tenth of the days."""

    def __init__(self, lang: "Language") -> None:
        from stellwerk.report.text import translator

        self._translate = translator(lang)
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "FetchLine":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("", total=None)
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, day: str, kept: bool) -> None:
        """A day is there."""
        words = self._translate(KEPT if kept else FETCHED, done=done, total=total, day=day)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, description=words)
        elif done * 10 // total > (done - 1) * 10 // total and not kept:
            click.echo(words, err=True)

    def retry(self, words: str) -> None:
        """Something is asked again."""
        self._say(self._translate(AGAIN, words=words))

    def damaged(self, day: str, name: str) -> None:
        """A kept day is fetched again."""
        self._say(self._translate(DAMAGED, day=day, name=name))

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            click.echo(text, err=True)


FETCHED = msg("{done} of {total} days: {day}")
KEPT = msg("{done} of {total} days: {day} was kept")
DAMAGED = msg("{day} is fetched again: {name} is not what was kept")
AGAIN = msg("the database is asked again: {words}")

"""`stellwerk watch --prometheus URL`: verdicts kept up to date; only what changes is told."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.live import (
    DAMAGED,
    DAYS,
    DEFAULT_DAYS,
    FetchLine,
    asked_period,
    endpoint_options,
    folder_of,
)
from stellwerk.cli.options import LANG, RATE, language_of

if TYPE_CHECKING:
    from stellwerk.api.errors import InvalidInput, Unreachable
    from stellwerk.engine.advice.changes import Look
    from stellwerk.report.advice.watching import Watcher
    from stellwerk.report.text import Language

LEAST_EVERY_S, MOST_EVERY_S = 1, 86_400
GRACE_S = 2.0  # A request under way must not hold up Ctrl-C; files are written whole or not at all.
_NS_PER_S = 1_000_000_000
SHOW_CURSOR = "\x1b[?25h"  # What a bar on a terminal hid.


@click.command("watch", short_help="Verdicts from a database kept up to date: only what changes is told.")
@endpoint_options
@DAYS
@click.option("--save", metavar="DIR", help="Keep what is fetched here (else in the user's cache).")
@click.option(
    "--fleet",
    metavar="FLEET",
    help="Prices: a Fleet or Nodes, a built-in fleet, or COUNTxPROVIDER/TYPE[@REGION].",
)
@RATE
@click.option(
    "--headroom",
    type=int,
    default=10,
    show_default=True,
    help="Percent on top of measured memory, compute and bandwidth.",
)
@click.option("--every", default="5m", show_default=True, metavar="DURATION", help="A round begins so often.")
@click.option("--once", is_flag=True, help="One round, then end.")
@click.option("--state", metavar="FILE", help="Go on where the last run with this file ended.")
@click.option(
    "--after",
    type=click.IntRange(1, 1000),
    default=2,
    show_default=True,
    help="A change is told when so many rounds in a row show it.",
)
@click.option(
    "--threshold",
    type=click.IntRange(0, 1000),
    default=5,
    show_default=True,
    help="Percent by which a saving or an MPS share must move to be told.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A line for people, or a JSON object, for each change.",
)
@LANG
def command(every: str, once: bool, lang: str | None, **options: Any) -> int:
    """Advise on what a database shows, round after round, and tell only what changed; Ctrl-C ends it.

    The first round tells all, unless --state holds what was told before. Exit code 3: --once, and no answer.
    """
    from stellwerk.ports.clock import WallClock
    from stellwerk.runtime.rounds import Pace, run_rounds

    pace = Pace(every_ns=_every_ns(every), rounds=1 if once else None)
    rounds = Rounds(watcher_of(options), options, language_of(lang), once)
    try:
        with _until_ended() as ending:
            rounds.printing = ending.held_off
            run_rounds(WallClock(), pace, lambda: rounds.ask(time.time_ns() // 1_000_000))
    except BrokenPipeError:
        # The reader has seen enough. click would end with 1 here, before `main` sees it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        rounds.watcher.forget()
    return 0


def watcher_of(options: dict[str, Any]) -> "Watcher":
    """Who looks at the database that the options name; raises InvalidInput."""
    from stellwerk.adapters.output import check_output
    from stellwerk.adapters.prometheus.endpoint import read_endpoint
    from stellwerk.api.errors import InvalidInput
    from stellwerk.report.advice.watching import WatchArguments, Watcher

    if options["prometheus"] is None:
        raise InvalidInput(
            "no database is named",
            fix="name it: --prometheus http://prometheus.monitoring:9090",
        )
    if options["state"]:
        check_output(options["state"])
    asked_period(options["days"], None, 0, None)
    endpoint = read_endpoint(options["prometheus"], options["http_config"], options["headers"])
    arguments = WatchArguments(
        fleet=options["fleet"],
        rates=options["rates"],
        headroom_percent=options["headroom"],
        folder=folder_of(options["save"], endpoint),
    )
    return Watcher(endpoint, arguments)


class Rounds:
    """Asks, compares with what was told, tells what changed, and keeps that for the next round."""

    def __init__(self, watcher: "Watcher", options: dict[str, Any], lang: "Language", once: bool) -> None:
        from stellwerk.adapters.watch_state import read_state
        from stellwerk.engine.advice.changes import Bounds, Told

        self.watcher, self._lang, self._once = watcher, lang, once
        watcher.damaged = self._tell_damaged
        self._days, self._state, self._json = options["days"], options["state"], options["output"] == "json"
        self._bounds: Bounds = Bounds(after=options["after"], percent=options["threshold"])
        self._asked = {
            "--prometheus": watcher.url,
            "--days": str(options["days"] or DEFAULT_DAYS),
            "--fleet": options["fleet"] or "",
            "--rate": " ".join(options["rates"]),
            "--headroom": str(options["headroom"]),
        }
        self.told: Told = read_state(self._state, self._asked) if self._state else Told()
        self._failed, self._answered = 0, False
        self.printing: Callable[[], Any] = _nothing

    def ask(self, now_ms: int) -> bool:
        """One round at this time; whether an answer came. With --once it raises instead, as for bad input."""
        from stellwerk.api.errors import InvalidInput, Unreachable

        try:
            look = self._look(now_ms)
        except (InvalidInput, Unreachable) as error:
            if self._once or (isinstance(error, InvalidInput) and self.told.total is None):
                raise
            with self.printing():
                self._tell_failure(error, now_ms)
            return False
        with self.printing():
            self._tell(look)
        return True

    def _look(self, now_ms: int) -> "Look":
        period = asked_period(self._days, None, now_ms, None)
        if self._answered:
            return self.watcher.look(period, now_ms, _unheard, _unheard)
        with FetchLine(self._lang) as line:
            return self.watcher.look(period, now_ms, line, _unheard)

    def _tell(self, look: "Look") -> None:
        from stellwerk.adapters.watch_state import write_state
        from stellwerk.engine.advice.changes import changes_of
        from stellwerk.report.advice import changes
        from stellwerk.report.advice.changes import Moment

        if self._failed:
            self._tell_recovery(look.data_end_ms)
        found = changes_of(self.told, look, self._bounds)
        at = Moment(look.data_end_ms, look.total.currency, found.doubts)
        for change in found.changes:
            if self._json:
                _out(changes.change_json(change, at))
            else:
                _out(changes.change_line(change, at, self._lang))
        self.told, self._failed, self._answered = found.told, 0, True
        if self._state:
            write_state(self._state, self._asked, self.told)

    def _tell_failure(self, error: "InvalidInput | Unreachable", now_ms: int) -> None:
        from stellwerk.report.advice.changes import unreachable_json, unreachable_line

        self._failed += 1
        if self._failed > 1:
            return
        end_ms = asked_period(self._days, None, now_ms, None).end_ms
        if self._json:
            _out(unreachable_json(error, end_ms))
        else:
            click.echo(unreachable_line(error, end_ms, self._lang), nl=False, err=True)

    def _tell_damaged(self, day: str, name: str) -> None:
        from stellwerk.report.text import translator

        click.echo(translator(self._lang)(DAMAGED, day=day, name=name), err=True)

    def _tell_recovery(self, data_end_ms: int) -> None:
        from stellwerk.report.advice.changes import recovered_json, recovered_line

        if self._json:
            _out(recovered_json(data_end_ms, self._failed))
        else:
            click.echo(recovered_line(data_end_ms, self._failed, self._lang), nl=False, err=True)


class _Ending:
    """What a signal does: it ends what is under way, but not in the middle of a line or a file."""

    def __init__(self) -> None:
        self._held_off = self._came = False

    def obey(self, _number: int, _frame: object) -> None:
        """Ctrl-C or SIGTERM."""
        timer = threading.Timer(GRACE_S, _leave)
        timer.daemon = True
        timer.start()
        self._came = True
        if not self._held_off:
            raise KeyboardInterrupt

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """While lines are printed and the state is written, a signal waits."""
        self._held_off = True
        try:
            yield
        finally:
            self._held_off = False
        if self._came:
            raise KeyboardInterrupt


def _leave() -> None:
    if sys.stderr.isatty():
        sys.stderr.write(SHOW_CURSOR)
    os._exit(0)


@contextmanager
def _until_ended() -> Iterator[_Ending]:
    """Ctrl-C and SIGTERM end the block; outside the main thread they cannot be heard."""
    ending = _Ending()
    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, ending.obey) for number in numbers}
    try:
        yield ending
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _unheard(*_words: object, **_more: object) -> None:
    """After the first round days and repeated questions are not told of."""


def _out(line: str) -> None:
    """A line is there when it is written: another program may read it."""
    sys.stdout.write(line)
    sys.stdout.flush()


def _every_ns(text: str) -> int:
    from stellwerk.api.duration import parse_duration
    from stellwerk.api.errors import InvalidInput

    try:
        found = parse_duration(text)
    except ValueError:
        found = 0
    if not LEAST_EVERY_S <= found / _NS_PER_S <= MOST_EVERY_S:
        raise InvalidInput(
            '--every "{value}" is no duration from 1s to 24h',
            fix="write it as --every 5m",
            value=text[:80],
        )
    return found

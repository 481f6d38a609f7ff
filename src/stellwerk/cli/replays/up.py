"""`stellwerk up`: run the main job, and serve its report while it fills: on loopback, unless told else."""

import threading
import time
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, arguments_from, job_options, language_of
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stellwerk.adapters.metrics.family import Family
    from stellwerk.engine.decision import Reason
    from stellwerk.report.text import Language
    from stellwerk.report.view import PageView
    from stellwerk.server.serve import Listening
    from stellwerk.sim.exposed.timeline import Moment, Timeline
    from stellwerk.sim.main_job import Arguments, Prepared
    from stellwerk.sim.result import Replay


@click.command("up", short_help="Run the main job and serve its report on loopback.")
@click.argument("demand", default="demo")
@job_options
@click.option("--size/--no-size", default=True, help="Seek each policy's smallest fleet.  [default: size]")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on: else only this machine can connect. Nothing asks for a password.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8765,
    show_default=True,
    help="Port; if it is taken, the next free one.",
)
@click.option(
    "--metrics-policy",
    default="whole",
    show_default=True,
    metavar="NAME",
    help="Policy whose fleet /metrics shows.",
)
@click.option(
    "--speed",
    type=click.IntRange(1, 1_000_000),
    default=60,
    show_default=True,
    help="/metrics: how many times as fast as the clock the demand is played.",
)
@LANG
def command(demand: str, size: bool, host: str, port: int, **options: Any) -> int:
    """Run the main job on DEMAND (demo) and serve its report; Ctrl-C stops.

    The page answers at once and fills while the job runs. It offers the report, result.json and receipt.json.
    /metrics shows Prometheus the figures, and the simulated GPUs as DCGM exporter would.
    """
    from stellwerk.server.page import create_app
    from stellwerk.server.serve import serve

    lang = language_of(options.pop("lang"))
    show = options.pop("metrics_policy"), options.pop("speed")
    arguments = arguments_from(demand, size, options)
    check_replayed(show[0], arguments)
    board = Board(arguments, lang, show)
    threading.Thread(target=board.work, daemon=True, name="main job").start()
    app = create_app(board.view, board.file, lang, board.metrics, lambda line: click.echo(line, err=True))
    serve(app, host, port, announce=lambda listening: _announce(listening, port, lang))
    return board.exit_code


def _announce(listening: "Listening", port: int, lang: "Language") -> None:
    from stellwerk.report.text import translator

    _, url = translator(lang), listening.url
    if listening.moved:
        click.echo(_("port {port} is taken, so the next free one is used", port=port), err=True)
    if listening.open:
        click.echo(_(OPEN), err=True)
    click.echo(_("Stellwerk's report: {url}  (Ctrl-C stops)", url=url))
    click.echo(_("Metrics for Prometheus: {url}metrics", url=url))


OPEN = msg(
    "everybody who reaches this address can read the report and /metrics: no password is asked for, and "
    "nothing is encrypted"
)


def check_replayed(policy: str, arguments: "Arguments") -> None:
    """Raise InvalidInput where the job does not replay the policy that /metrics shall show."""
    from stellwerk.api.errors import InvalidInput
    from stellwerk.engine.partition.policy import POLICIES

    replayed = {"whole", *(arguments.policies or (each.name for each in POLICIES))}
    if policy not in replayed:
        raise InvalidInput(
            "the policy {policy} is not replayed, so /metrics cannot show it",
            fix="name one of them: {policies}",
            path="--metrics-policy",
            policy=policy[:80],
            policies=", ".join(sorted(replayed)),
        )


class Board:
    """What the page and /metrics show now; filled by the job's thread, read by the server's.

    `show` is the policy whose fleet /metrics shows, and how many times as fast as the clock it is played.
    """

    def __init__(
        self, arguments: "Arguments", lang: "Language", show: tuple[str, int] = ("whole", 60)
    ) -> None:
        from stellwerk.report.view import PageView, Progress

        self._arguments, self._lang, self._show = arguments, lang, show
        self._played: Played | None = None
        self._files: dict[str, bytes] = {}
        self._view: PageView = PageView(title=arguments.demand, state="running", progress=Progress(0, 1))
        self.exit_code = 0

    def view(self) -> "PageView":
        """The page's content now."""
        return self._view

    def file(self, name: str) -> bytes | None:
        """A finished file by name (report.html, receipt.json, result.json), or None while there is none."""
        return self._files.get(name)

    def metrics(self) -> "Sequence[Family]":
        """What /metrics shows now: the replay as far as it is, and the fleet once it is played."""
        from stellwerk.report.exposed.replay import Shown, exposed

        played = self._played
        return exposed(self._view, None if played is None else Shown(played.timeline, played.moment()))

    def work(self) -> None:
        """Run the job to its end; a user's mistake is shown on the page and on stderr."""
        from stellwerk.api.errors import InvalidInput
        from stellwerk.report.text import error_text
        from stellwerk.sim.main_job import prepare, run

        try:
            prepared = prepare(self._arguments)
            replay = run(prepared, self._hear)
            self._finish(prepared, replay)
            self._played = Played(prepared, replay, self._show)
        except InvalidInput as error:
            self._fail(error_text(error, self._lang), 2)
        except Exception as error:
            # A mistake of ours must not leave the page on "running" for ever.
            problem = InvalidInput(
                "the job failed by a mistake of Stellwerk's own: {reason}",
                fix="run stellwerk replay with the same options, and report what it prints",
                reason=f"{type(error).__name__}: {error}",
            )
            self._fail(error_text(problem, self._lang), 1)

    def _fail(self, text: str, exit_code: int) -> None:
        from stellwerk.report.view import PageView

        click.echo(text, err=True)
        self.exit_code = exit_code
        self._view = PageView(title=self._arguments.demand, state="failed", error=text)

    def _hear(self, done: int, total: int, what: "Reason", so_far: "Replay") -> None:
        from stellwerk.report.text import translator
        from stellwerk.report.view import PageView, Progress

        words = translator(self._lang)(what.text, **what.values)
        self._view = PageView(
            title=so_far.demand, state="running", progress=Progress(done, total, words), replay=so_far
        )

    def _finish(self, prepared: "Prepared", replay: "Replay") -> None:
        from stellwerk.report.export import to_json
        from stellwerk.report.html import render_page
        from stellwerk.report.proof import receipt_of
        from stellwerk.report.receipt import receipt_bytes
        from stellwerk.report.view import PageView

        receipt = receipt_of(prepared, replay)
        view = PageView(
            title=replay.demand, state="done", replay=replay, receipt_sha256=receipt["resultSha256"]
        )
        self._files = {
            "report.html": render_page(view, self._lang).encode(),
            "receipt.json": receipt_bytes(receipt),
            "result.json": to_json(replay),
        }
        self._view = view


class Played:
    """A replayed fleet that is played along the wall's clock from now on, again and again."""

    def __init__(self, prepared: "Prepared", replay: "Replay", show: tuple[str, int]) -> None:
        from stellwerk.sim.exposed.timeline import replayed

        policy, self._speed = show
        self.timeline: Timeline = replayed(prepared.scenario, prepared.policies, replay, policy)
        self._begun_ns, self._origin_ns = time.time_ns(), time.monotonic_ns()

    def moment(self) -> "Moment":
        """The moment of the demand that is shown now."""
        from stellwerk.sim.exposed.timeline import moment_of

        elapsed = time.monotonic_ns() - self._origin_ns
        return moment_of(self._begun_ns, elapsed, self._speed, self.timeline.demand.period_ns)

"""Options that several verbs share, and how a job's progress is shown."""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stellwerk.engine.decision import Reason
    from stellwerk.report.text import Language
    from stellwerk.sim.main_job import Arguments
    from stellwerk.sim.result import Replay

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

RATE = click.option(
    "--rate",
    "rates",
    multiple=True,
    metavar="EURUSD=1.08@2026-11-01",
    help="Exchange rate with its date (repeatable).",
)
RECEIPT = click.option(
    "--receipt",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a receipt, for: stellwerk verify FILE.",
)
OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml"]),
    default="table",
    show_default=True,
    help="Form of what goes to stdout.",
)
SHARING_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--fleet",
        metavar="FLEET",
        help="File or folder with a Fleet or Nodes, a built-in fleet, or COUNTxPROVIDER/TYPE[@REGION].",
    ),
    click.option(
        "--seed", type=int, default=1, show_default=True, help="Seed of built-in demands and of faults."
    ),
    click.option(
        "--policy", "policies", multiple=True, metavar="NAME", help="Only these policies (repeatable)."
    ),
    click.option(
        "--slowdown",
        default="range",
        show_default=True,
        metavar="FILE|none|proportional|range",
        help="What sharing costs: a sourced Interference file, or a bound.",
    ),
    RATE,
    click.option(
        "--replicas", type=int, default=4, show_default=True, help="Time-slicing: replicas of a GPU."
    ),
    click.option(
        "--headroom",
        type=int,
        default=0,
        show_default=True,
        help="Percent on top of measured memory before sharing.",
    ),
    click.option(
        "--geometry",
        default="",
        metavar="3g.40gb,2g.20gb:2",
        help="mig-fixed: how a GPU is cut (else mig-parted's all-balanced).",
    ),
    click.option(
        "--communication-share",
        metavar="SHARE",
        help="Part of a step that waits for other GPUs, of gangs that do not say it (else as published).",
    ),
)
DEMAND_OPTIONS: tuple[Decorator, ...] = (
    click.option("--days", type=int, help="Last days of a trace to replay (openb: 14)."),
    click.option(
        "--plan-hours",
        type=int,
        default=12,
        show_default=True,
        help="Measured use: hours that the plan knows; the rest is judged.",
    ),
)
LANG = click.option("--lang", metavar="en|de", help="Language of tables, report and errors (else from LANG).")


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that decide a replay's result."""
    return sharing_options(_all_of(DEMAND_OPTIONS, function))


def sharing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Those of them that do not say how to read a demand."""
    return _all_of(SHARING_OPTIONS, function)


def _all_of(options: tuple[Decorator, ...], function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        function = option(function)
    return function


def arguments_from(demand: str, size: bool, options: dict[str, Any], metrics: bool = False) -> "Arguments":
    """The job's arguments from the command line's; takes its own options out of `options`."""
    from msgspec import UNSET

    from stellwerk.sim.main_job import Arguments

    share = options.pop("communication_share")
    return Arguments(
        demand=demand,
        metrics=metrics,
        size=size,
        fleet=options.pop("fleet"),
        seed=options.pop("seed"),
        days=options.pop("days", None),
        plan_hours=options.pop("plan_hours", 12),
        policies=tuple(options.pop("policies")),
        slowdown=options.pop("slowdown"),
        rates=tuple(options.pop("rates")),
        replicas=options.pop("replicas"),
        headroom_percent=options.pop("headroom"),
        geometry=options.pop("geometry"),
        communication_share=UNSET if share is None else share,
    )


def language_of(lang: str | None) -> "Language":
    """The language that the user asked for, or the environment's."""
    from stellwerk.report.text import resolve_language

    return resolve_language(lang, os.environ)


class ProgressLine:
    """A progress bar on stderr while a job runs; only on a terminal, so that logs stay clean."""

    def __init__(self, lang: "Language", quiet: bool = False) -> None:
        self._lang = lang
        self._shown = sys.stderr.isatty() and not quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "ProgressLine":
        if self._shown:
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

    def __call__(self, done: int, total: int, what: "Reason", so_far: "Replay") -> None:
        """Show how far the job is."""
        if self._bar is None:
            return
        from stellwerk.report.text import translator

        words = translator(self._lang)(what.text, **what.values)
        self._bar.update(self._task, completed=done, total=total, description=words)

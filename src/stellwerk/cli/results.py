"""What becomes of a replay on the command line: the table or JSON on stdout, the receipt, the report."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import OUTPUT, Decorator

if TYPE_CHECKING:
    from stellwerk.report.text import Language
    from stellwerk.report.view import PageView
    from stellwerk.sim.main_job import Prepared
    from stellwerk.sim.result import Replay

RESULT_OPTIONS: tuple[Decorator, ...] = (
    OUTPUT,
    click.option("--report", type=click.Path(dir_okay=False), help="Write the HTML report to this file."),
    click.option(
        "--receipt",
        type=click.Path(dir_okay=False),
        default="receipt.json",
        show_default=True,
        help="Where the receipt goes.",
    ),
    click.option(
        "--explain", "figure", metavar="FIGURE", help="Print a figure's formula with its numbers instead."
    ),
    click.option(
        "--explain-policy", metavar="NAME", help="The policy whose figure is explained (else the best)."
    ),
    click.option("-v", "--verbose", is_flag=True, help="Say on stderr what was read and written."),
)


def result_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what becomes of a replay."""
    for option in reversed(RESULT_OPTIONS):
        function = option(function)
    return function


def check_results(prepared: "Prepared", options: dict[str, Any]) -> None:
    """A wrong name or an unwritable file is an error before the job, not after it."""
    from stellwerk.adapters.output import check_output
    from stellwerk.report.explain import check_figure, check_policy

    if options["figure"]:
        check_figure(options["figure"])
    check_policy(options["explain_policy"], [policy.name for policy in prepared.policies])
    for path in filter(None, (options["receipt"], options["report"])):
        check_output(path)


def show_results(prepared: "Prepared", replay: "Replay", options: dict[str, Any], lang: "Language") -> None:
    """Write the receipt and the report, then print the payload."""
    _write_files(prepared, replay, options, lang)
    _print(replay, options, lang)


def write_receipt(receipt: dict[str, Any], path: str) -> None:
    """Write a receipt where the user asked for one, and say so on stderr."""
    from stellwerk.adapters.output import write_output
    from stellwerk.report.receipt import receipt_bytes

    write_output(path, receipt_bytes(receipt))
    click.echo(f"wrote {path}", err=True)


def _write_files(prepared: "Prepared", replay: "Replay", options: dict[str, Any], lang: "Language") -> None:
    from stellwerk.adapters.output import write_output
    from stellwerk.report.proof import receipt_of
    from stellwerk.report.receipt import receipt_bytes

    receipt = receipt_of(prepared, replay)
    path = options["receipt"]
    write_output(path, receipt_bytes(receipt))
    written = [path]
    if options["report"]:
        from stellwerk.report.html import render_page

        write_output(options["report"], render_page(_finished(replay, receipt, path), lang).encode())
        written.append(options["report"])
    if options["verbose"]:
        for item in prepared.inputs:
            click.echo(f"read {item.role}: {item.name} (sha256 {item.sha256})", err=True)
    for name in written:
        if options["verbose"] or name != path:
            click.echo(f"wrote {name}", err=True)


def _finished(replay: "Replay", receipt: dict[str, Any], path: str) -> "PageView":
    from stellwerk.report.view import PageView

    return PageView(
        title=replay.demand,
        state="done",
        replay=replay,
        receipt_sha256=receipt["resultSha256"],
        verify_command=f"stellwerk verify {path}",
    )


def _print(replay: "Replay", options: dict[str, Any], lang: "Language") -> None:
    """Only the payload goes to stdout."""
    if options["figure"]:
        from stellwerk.report.explain import explain

        click.echo(explain(replay, options["figure"], options["explain_policy"], lang))
    elif options["output"] == "json":
        from stellwerk.report.export import to_json

        sys.stdout.write(to_json(replay).decode())
    elif options["output"] == "yaml":
        from stellwerk.report.export import to_yaml

        sys.stdout.write(to_yaml(replay))
    else:
        import shutil

        from stellwerk.report.sentence import first_sentence
        from stellwerk.report.tables import render_table

        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(first_sentence(replay, lang, f"stellwerk verify {options['receipt']}"))
        click.echo()
        click.echo(render_table(replay, lang, width), nl=False)

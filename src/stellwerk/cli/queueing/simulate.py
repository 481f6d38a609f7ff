"""`stellwerk simulate -f DIR --with CHANGE.yaml`: the same demand before and after a change of quota."""

import sys
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, OUTPUT, RATE, RECEIPT, language_of

if TYPE_CHECKING:
    from stellwerk.report.queueing.simulated.job import PreparedSimulation
    from stellwerk.report.text import Language
    from stellwerk.sim.queueing.outcome.result import Simulation


@click.command("simulate", short_help="The same Jobs under another quota, cohort or weight: waits, EUR.")
@click.option(
    "-f",
    "--file",
    "paths",
    required=True,
    multiple=True,
    metavar="DIR|FILE",
    help="Queues, quota, flavors, Jobs, a Fleet for prices (repeatable).",
)
@click.option(
    "--with",
    "changes",
    multiple=True,
    metavar="DIR|FILE",
    help="What changes, as merge patches; each is a course of its own (repeatable).",
)
@click.option("--until", metavar="TIME", help="When the simulation ends (else the Period's end, or all).")
@click.option("--fair-sharing", is_flag=True, help="Kueue's Configuration has fairSharing, by default rules.")
@click.option(
    "--gate", "gates", multiple=True, metavar="NAME=true|false", help="Turn a gate on or off (repeatable)."
)
@RATE
@RECEIPT
@click.option("--detail", is_flag=True, help="All figures, and every LocalQueue.")
@OUTPUT
@LANG
def command(output: str, detail: bool, receipt: str | None, lang: str | None, **options: Any) -> int:
    """Play the Jobs through Kueue's queues as they are, and under each change: waits, shares, EUR.

    Jobs say when they come and how long they take in the annotations stellwerk.dev/arrival and
    stellwerk.dev/duration, as for `stellwerk replay`.
    """
    from stellwerk.cli.queueing.decide import gates_of, time_of
    from stellwerk.report.queueing.simulated.job import SimulateArguments, prepare_simulation

    spoken = language_of(lang)
    if receipt:
        from stellwerk.adapters.output import check_output

        check_output(receipt)
    prepared = prepare_simulation(
        SimulateArguments(
            paths=options["paths"],
            changes=options["changes"],
            until_ns=time_of(options["until"]),
            fair_sharing=options["fair_sharing"],
            gates=gates_of(options["gates"]),
            rates=options["rates"],
        )
    )
    found = prepared.simulation()
    if receipt:
        _write_receipt(prepared, found, receipt)
    sys.stdout.write(_text(found, (output, detail), spoken))
    return 0


def _write_receipt(prepared: "PreparedSimulation", found: "Simulation", path: str) -> None:
    from stellwerk.cli.results import write_receipt
    from stellwerk.report.queueing.simulated.job import simulation_receipt

    write_receipt(simulation_receipt(prepared, found), path)


def _text(found: "Simulation", shown: tuple[str, bool], lang: "Language") -> str:
    import shutil

    form, detail = shown
    if form != "table":
        from stellwerk.report.queueing.simulated.document import simulation_text

        return simulation_text(found, form)
    from stellwerk.report.queueing.simulated.table import Shown, render_simulation

    return render_simulation(found, Shown(lang, shutil.get_terminal_size((100, 24)).columns, detail))

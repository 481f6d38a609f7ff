"""`stellwerk advise PATH...`: a verdict for each workload from its measured use."""

from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.live import live_options, metrics_paths
from stellwerk.cli.options import LANG, OUTPUT, RATE, RECEIPT, language_of

if TYPE_CHECKING:
    from stellwerk.sim.advice import Advice


@click.command("advise", short_help="From measured use: who should share, how, who must not, what it saves.")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@live_options
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
@click.option("--manifests", metavar="DIR", help="Write a manifest for each workload that may share.")
@click.option("--brief", metavar="FILE", help="Write one page for management (HTML).")
@RECEIPT
@OUTPUT
@LANG
def command(paths: tuple[str, ...], lang: str | None, output: str, **options: Any) -> int:
    """Advise on each workload in the metrics of PATH...: whole GPU, MIG, MPS, time-slicing or another model.

    PATH is a file or folder of metrics, as `stellwerk usage` reads them.
    """
    from stellwerk.cli.results import write_receipt
    from stellwerk.report.advice.job import AdviseArguments, advice_receipt, prepare_advice
    from stellwerk.report.advice.verdicts import render_advice, to_text

    spoken = language_of(lang)
    for path in filter(None, (options["brief"], options["receipt"])):
        from stellwerk.adapters.output import check_output

        check_output(path)
    prepared = prepare_advice(
        AdviseArguments(
            paths=metrics_paths(paths, options, spoken),
            fleet=options["fleet"],
            rates=options["rates"],
            headroom_percent=options["headroom"],
        )
    )
    advice = prepared.advice()
    if options["receipt"]:
        write_receipt(advice_receipt(prepared, advice), options["receipt"])
    if options["manifests"]:
        _write_manifests(advice, options["manifests"])
    if options["brief"]:
        from stellwerk.adapters.output import write_output
        from stellwerk.report.advice.brief import render_brief

        write_output(options["brief"], render_brief(advice, spoken).encode())
        click.echo(f"wrote {options['brief']}", err=True)
    click.echo(render_advice(advice, spoken) if output == "table" else to_text(advice, output), nl=False)
    return 0


def _write_manifests(advice: "Advice", output: str) -> None:
    from stellwerk.adapters.output import write_folder
    from stellwerk.report.advice.manifests import advice_manifests

    files = advice_manifests(advice)
    write_folder(output, "--manifests", files)
    click.echo(f"wrote {len(files)} manifests to {output}", err=True)

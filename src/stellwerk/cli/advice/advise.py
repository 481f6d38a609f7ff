"""`stellwerk advise PATH...`: a verdict for each workload from its measured use."""

from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, OUTPUT, RATE, language_of

if TYPE_CHECKING:
    from stellwerk.sim.advice import Advice

MOST_HEADROOM = 1000


@click.command("advise", short_help="From measured use: who should share, how, who must not, what it saves.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
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
@OUTPUT
@LANG
def command(paths: tuple[str, ...], lang: str | None, output: str, **options: Any) -> int:
    """Advise on each workload in the metrics of PATH...: whole GPU, MIG, MPS, time-slicing or another model.

    PATH is a file or folder of metrics, as `stellwerk usage` reads them.
    """
    from stellwerk.report.advice.verdicts import render_advice, to_text

    spoken = language_of(lang)
    if options["brief"]:
        from stellwerk.adapters.output import check_output

        check_output(options["brief"])
    advice = _advice(paths, options)
    if options["manifests"]:
        _write_manifests(advice, options["manifests"])
    if options["brief"]:
        from stellwerk.adapters.output import write_output
        from stellwerk.report.advice.brief import render_brief

        write_output(options["brief"], render_brief(advice, spoken).encode())
        click.echo(f"wrote {options['brief']}", err=True)
    click.echo(render_advice(advice, spoken) if output == "table" else to_text(advice, output), nl=False)
    return 0


def _advice(paths: tuple[str, ...], options: dict[str, Any]) -> "Advice":
    from stellwerk.adapters.metrics.load import load_usage
    from stellwerk.api.errors import InvalidInput
    from stellwerk.engine.advice.rules import Margins
    from stellwerk.engine.money.exchange import parse_rate
    from stellwerk.sim.advice import advise_usage, check_model
    from stellwerk.sim.intake.fleets import named_fleet

    headroom = options["headroom"]
    if not 0 <= headroom <= MOST_HEADROOM:
        raise InvalidInput(
            "--headroom {value} is not between 0 and {most}",
            fix="give a percentage such as --headroom 10",
            value=headroom,
            most=MOST_HEADROOM,
        )
    rates = tuple(parse_rate(rate) for rate in options["rates"])
    fleet = named_fleet(options["fleet"], rates).fleet if options["fleet"] else None
    usage = load_usage(paths).usage
    check_model(usage, fleet, ", ".join(paths))
    return advise_usage(usage, fleet, Margins(headroom))


def _write_manifests(advice: "Advice", output: str) -> None:
    from stellwerk.adapters.output import write_folder
    from stellwerk.report.advice.manifests import advice_manifests

    files = advice_manifests(advice)
    write_folder(output, "--manifests", files)
    click.echo(f"wrote {len(files)} manifests to {output}", err=True)

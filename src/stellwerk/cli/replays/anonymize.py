"""`stellwerk anonymize PATH -o FILE`: a case that may be shared, with the same figures."""

from typing import Any

import click

from stellwerk.cli.options import LANG, arguments_from, language_of, sharing_options
from stellwerk.report.text import msg


@click.command("anonymize", short_help="Write a case without names that gives the same figures.")
@click.argument("path")
@sharing_options
@click.option("--metrics", is_flag=True, help="PATH holds metrics, as for whatif.")
@click.option("--series", is_flag=True, help="Write the metrics themselves, for advise, whatif and usage.")
@click.option(
    "-o", "--output", required=True, metavar="FILE", help="Where the manifests go: one file of JSON, a List."
)
@LANG
def command(path: str, metrics: bool, series: bool, output: str, **options: Any) -> int:
    """Write the jobs and nodes of a replay as manifests, with numbers for the names of teams, jobs and nodes.

    `stellwerk replay FILE` gives the figures of the original. What stays: times, sizes, GPU models, prices.
    With --series FILE holds the metrics: advise and whatif give the same verdicts and figures.
    """
    import msgspec

    from stellwerk.adapters.output import check_output, write_output
    from stellwerk.report.text import translator
    from stellwerk.sim.main_job import prepare
    from stellwerk.sim.observed.anonymous import anonymous_case

    _ = translator(language_of(options.pop("lang")))
    check_output(output)
    if series:
        from stellwerk.adapters.metrics.load import load_series
        from stellwerk.sim.observed.anonymous_series import anonymous_series

        found = load_series([path])
        write_output(output, msgspec.json.encode(anonymous_series(found)) + b"\n")
        click.echo(_(SERIES_WRITTEN, name=output, count=len(found)), err=True)
        return 0
    scenario = prepare(arguments_from(path, False, options, metrics=metrics)).scenario
    items = anonymous_case(scenario.demand, scenario.fleet)
    content = {"apiVersion": "v1", "kind": "List", "items": items}
    write_output(output, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
    click.echo(_(WRITTEN, name=output, jobs=len(scenario.demand.jobs)), err=True)
    return 0


WRITTEN = msg("wrote {name} with {jobs} jobs; read it before you share it: stellwerk replay {name}")
SERIES_WRITTEN = msg("wrote {name} with {count} series; read it before you share it: stellwerk advise {name}")

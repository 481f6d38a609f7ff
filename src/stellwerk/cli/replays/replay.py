"""`stellwerk replay DEMAND`: the main job."""

from typing import Any

import click

from stellwerk.cli.options import LANG, ProgressLine, arguments_from, job_options, language_of
from stellwerk.cli.results import check_results, result_options, show_results


@click.command("replay", short_help="Replay a demand under each sharing policy, side by side.")
@click.argument("demand")
@job_options
@click.option("--size", is_flag=True, help="Seek each policy's smallest fleet with the same p95 wait.")
@result_options
@LANG
def command(demand: str, size: bool, **options: Any) -> int:
    """Replay DEMAND on a fleet under each sharing policy, and print what each costs and how long jobs wait.

    DEMAND is demo, mittelstand or openb; a folder or file of Kubernetes manifests; a CSV or Parquet file of
    jobs, of openb's columns, or of measured use (pod, minute, duty_pct, mem_mib).
    """
    from stellwerk.sim.main_job import prepare, run

    lang = language_of(options.pop("lang"))
    prepared = prepare(arguments_from(demand, size, options))
    check_results(prepared, options)
    with ProgressLine(lang) as progress:
        replay = run(prepared, progress)
    show_results(prepared, replay, options, lang)
    return 0

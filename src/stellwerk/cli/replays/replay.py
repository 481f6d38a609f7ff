"""`stellwerk replay DEMAND`: the main job."""

from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, ProgressLine, arguments_from, job_options, language_of
from stellwerk.cli.results import check_results, result_options, show_results

if TYPE_CHECKING:
    from stellwerk.sim.main_job import Prepared


@click.command("replay", short_help="Replay a demand under each sharing policy, side by side.")
@click.argument("demand")
@job_options
@click.option("--size", is_flag=True, help="Seek each policy's smallest fleet with the same p95 wait.")
@click.option(
    "--objects-at",
    metavar="TIME",
    help="Print one policy's ResourceSlices and Nodes at this time instead (RFC 3339, or from the start).",
)
@result_options
@LANG
def command(demand: str, size: bool, **options: Any) -> int:
    """Replay DEMAND on a fleet under each sharing policy, and print what each costs and how long jobs wait.

    DEMAND is demo, mittelstand or openb; a folder or file of Kubernetes manifests; a CSV or Parquet file of
    jobs, of openb's columns, or of measured use (pod, minute, duty_pct, mem_mib).
    """
    from stellwerk.sim.main_job import prepare, run

    lang = language_of(options.pop("lang"))
    at = options.pop("objects_at")
    prepared = prepare(arguments_from(demand, size, options))
    if at is not None:
        _check_alone({"--size": size, "--report": options["report"], "--explain": options["figure"]})
        _print_objects(prepared, at, options["output"])
        return 0
    check_results(prepared, options)
    with ProgressLine(lang) as progress:
        replay = run(prepared, progress)
    show_results(prepared, replay, options, lang)
    return 0


def _check_alone(others: dict[str, Any]) -> None:
    from stellwerk.api.errors import InvalidInput

    for option in (option for option, value in others.items() if value):
        raise InvalidInput(
            "--objects-at prints objects, and no result for {option}",
            fix="leave out one of the two",
            path="--objects-at",
            option=option,
        )


def _print_objects(prepared: "Prepared", at: str, output: str) -> None:
    """Objects go to stdout; nothing is written, since they are no result that a receipt could prove."""
    from stellwerk.report.export import objects_json, objects_yaml
    from stellwerk.sim.published.publisher import objects_at

    found = objects_at(prepared.scenario, prepared.policies, at)
    click.echo(objects_json(found) if output == "json" else objects_yaml(found), nl=False)

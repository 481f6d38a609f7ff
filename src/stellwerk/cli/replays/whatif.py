"""`stellwerk whatif PATH`: measured use, replayed unchanged and then shared."""

from typing import Any

import click

from stellwerk.cli.live import live_options, metrics_paths
from stellwerk.cli.options import LANG, ProgressLine, arguments_from, language_of, sharing_options
from stellwerk.cli.results import check_results, result_options, show_results
from stellwerk.report.text import msg

MOST_OFF_PERCENT = 3


@click.command("whatif", short_help="Replay measured use unchanged, then under each way of sharing.")
@click.argument("path", required=False)
@live_options
@sharing_options
@click.option("--size/--no-size", default=True, help="Seek each policy's smallest fleet.  [default: size]")
@result_options
@LANG
def command(path: str | None, size: bool, **options: Any) -> int:
    """Rebuild jobs from the metrics in PATH, replay them as they ran, and then under each way of sharing.

    The unchanged replay must meet what was measured within 3 %; else the exit code is 1, without a saving.
    """
    from stellwerk.report.text import number, translator
    from stellwerk.sim.main_job import prepare, run
    from stellwerk.sim.observed.measured import agreement, shared_pods

    lang = language_of(options.pop("lang"))
    _ = translator(lang)
    (metrics,) = metrics_paths(() if path is None else (path,), options, lang)
    prepared = prepare(arguments_from(metrics, size, options, metrics=True))
    assert prepared.measured is not None, "whatif always reads metrics"
    check_results(prepared, options)
    with ProgressLine(lang) as progress:
        replay = run(prepared, progress)
    found = agreement(prepared.measured, replay)
    values = (
        number(found.measured, lang, 1),
        number(found.replayed, lang, 1),
        number(found.off_percent, lang, 1),
    )
    click.echo(_(AGREES, measured=values[0], replayed=values[1], off=values[2]), err=True)
    shared = shared_pods(prepared.measured.usage)
    if shared:
        click.echo(_(SHARED, count=len(shared), example=min(shared)), err=True)
    if found.off_percent > MOST_OFF_PERCENT:
        click.echo(_(TOO_FAR, most=MOST_OFF_PERCENT), err=True)
        return 1
    show_results(prepared, replay, options, lang)
    return 0


AGREES = msg("unchanged replay: {replayed} GPU-hours held, measured {measured}: {off} % off")
SHARED = msg(
    "{count} pods shared a GPU when they were measured, such as {example}; here they begin with whole ones"
)
TOO_FAR = msg(
    "that is more than {most} %: this fleet does not run the jobs as they ran, so no saving is shown"
)

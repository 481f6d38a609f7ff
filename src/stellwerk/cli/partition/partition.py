"""`stellwerk partition -f DEMAND`: which GPU is cut or shared how, the steps to it, and what it saves."""

import sys
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, OUTPUT, RATE, language_of

if TYPE_CHECKING:
    from stellwerk.report.text import Language
    from stellwerk.sim.partitions.plan_job import Partitioned


@click.command(
    "partition", short_help="Plan how each GPU is cut or shared: layout, steps, EUR, proven optimum."
)
@click.option(
    "-f",
    "--file",
    "demand",
    required=True,
    metavar="DEMAND",
    help="Manifests, a table of jobs, measured use, or a built-in demand.",
)
@click.option(
    "--fleet",
    metavar="FLEET",
    help="File or folder with a Fleet or Nodes, a built-in fleet, or COUNTxPROVIDER/TYPE[@REGION].",
)
@click.option(
    "--state", metavar="FILE", help="Today's instances and pods: a PartitionPlan, or ResourceSlices."
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="whole|mig|mps|time-slicing",
    help="Only these ways of sharing (repeatable).  [default: whole, mig, mps]",
)
@click.option(
    "--executor",
    type=click.Choice(["dra", "device-plugin"]),
    default="dra",
    show_default=True,
    help="Who carries it out: dra shares each GPU in its own way, the device plugin a whole node in one.",
)
@click.option("--drain", is_flag=True, help="Pods may be moved, where that pays.")
@click.option(
    "--restart-minutes",
    type=int,
    default=10,
    show_default=True,
    help="Minutes in which a moved pod does nothing.",
)
@click.option("--replicas", type=int, default=4, show_default=True, help="Time-slicing: replicas of a GPU.")
@click.option("--headroom", type=int, default=0, show_default=True, help="Percent on top of measured memory.")
@click.option(
    "--plan-hours", type=int, help="Measured use: hours that the plan knows; the rest is judged (else all)."
)
@click.option("--picture", metavar="FILE", help="Draw the plan to this SVG file.")
@RATE
@OUTPUT
@LANG
def command(output: str, lang: str | None, **options: Any) -> int:
    """Plan a partition of the fleet for DEMAND: the layout of each GPU with the fewest GPUs in use.

    What is in use stays as it is. `-o yaml` is a PartitionPlan: --state reads it, and so does
    `stellwerk export --plan`.

    Exit code 0: every pod has a place; 1: not all.
    """
    from stellwerk.adapters.output import check_output, write_output
    from stellwerk.sim.partitions.plan_job import PartitionArguments, plan_job

    spoken, picture = language_of(lang), options.pop("picture")
    if picture:
        check_output(picture)
    found = plan_job(
        PartitionArguments(**{name: value for name, value in options.items() if value is not None})
    )
    if picture:
        from stellwerk.report.partition.picture import partition_svg

        write_output(picture, partition_svg(found.plan.gpus, spoken).encode())
        click.echo(f"wrote {picture}", err=True)
    sys.stdout.write(_text(found, output, spoken))
    return 1 if found.plan.unserved else 0


def _text(found: "Partitioned", output: str, lang: "Language") -> str:
    import shutil

    if output != "table":
        from stellwerk.report.partition.claims import object_name
        from stellwerk.report.partition.plan_file import plan_text

        return plan_text(found.plan, object_name(found.name), output)
    from stellwerk.report.partition.table import render_partition

    return render_partition(found, lang, shutil.get_terminal_size((100, 24)).columns)

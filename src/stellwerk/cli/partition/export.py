"""`stellwerk export mig-parted|device-plugin|dra -o DIR`: a partition plan as files of NVIDIA's tools."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from stellwerk.cli.options import LANG

if TYPE_CHECKING:
    from stellwerk.engine.partition.inventory import PartitionPlan

MIG_PARTED, DEVICE_PLUGIN, DRA = "mig-parted", "device-plugin", "dra"
Export = Callable[["PartitionPlan"], list[tuple[str, str]]]


@click.command("export", short_help="Write a partition plan for mig-parted, the device plugin or DRA.")
@click.argument("target", type=click.Choice([MIG_PARTED, DEVICE_PLUGIN, DRA]))
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the files, made if missing.")
@click.option("--plan", metavar="FILE", help="A PartitionPlan (else the demo's plan).")
@LANG
def command(target: str, output: str, plan: str | None, lang: str | None) -> int:
    """Write a plan for TARGET; each file says whom it is for, how to apply it and how to undo it.

    A file that is the same already is left alone.
    """
    from stellwerk.adapters.output import write_folder

    for path, written in write_folder(output, "-o", _files(target, plan)):
        click.echo(f"{'wrote' if written else 'unchanged'} {path}")
    return 0


def _files(target: str, path: str | None) -> list[tuple[str, str]]:
    from stellwerk.api.errors import InvalidInput

    try:
        return _export(target)(_plan(target, path))
    except InvalidInput as error:
        error.source = error.source or path or ""
        raise


def _plan(target: str, path: str | None) -> "PartitionPlan":
    if path is not None:
        from stellwerk.sim.intake.partitions import read_plan

        return read_plan(path)
    # The planner's module is not in this tree yet, so its name is looked up when it is asked for.
    from stellwerk.sim.partitions.plan_job import demo_plan

    # mig-parted cuts GPUs and does nothing else: its example is a plan of instances.
    methods = ("mig",) if target == MIG_PARTED else ()
    return demo_plan(DRA if target == DRA else DEVICE_PLUGIN, methods)


def _export(target: str) -> Export:
    if target == MIG_PARTED:
        from stellwerk.report.partition.mig_parted import mig_parted_files

        return mig_parted_files
    if target == DEVICE_PLUGIN:
        from stellwerk.report.partition.device_plugin import device_plugin_files

        return device_plugin_files
    from stellwerk.report.partition.dra import dra_files

    return dra_files

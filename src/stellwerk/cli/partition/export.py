"""`stellwerk export TARGET -o DIR`: a partition plan as files of NVIDIA's tools, or what monitoring needs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from stellwerk.cli.options import LANG, language_of
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.engine.partition.inventory import PartitionPlan

MIG_PARTED, DEVICE_PLUGIN, DRA, MONITORING = "mig-parted", "device-plugin", "dra", "monitoring"
WROTE, UNCHANGED = msg("wrote {name}"), msg("unchanged {name}")
Export = Callable[["PartitionPlan"], list[tuple[str, str]]]


@click.command("export", short_help="Write a plan for NVIDIA's tools, or rules, scrapes and a dashboard.")
@click.argument("target", type=click.Choice([MIG_PARTED, DEVICE_PLUGIN, DRA, MONITORING]))
@click.option("-o", "--output", required=True, metavar="DIR", help="Folder for the files, made if missing.")
@click.option("--plan", metavar="FILE", help="A PartitionPlan (else the demo's plan).")
@click.option(
    "--idle-below",
    default="5",
    show_default=True,
    metavar="PERCENT",
    help="monitoring: use of a GPU that is no use.",
)
@click.option(
    "--idle-after",
    default="30m",
    show_default=True,
    metavar="DURATION",
    help="monitoring: shorter is a pause.",
)
@click.option(
    "--wait-target",
    default="1h",
    show_default=True,
    metavar="DURATION",
    help="monitoring: longer is too long in a queue.",
)
@LANG
@click.pass_context
def command(ctx: click.Context, /, target: str, output: str, lang: str | None, **options: str | None) -> int:
    """Write files for TARGET; each says whom it is for, how to apply it and how to undo it.

    A file that is the same already is left alone; another one of that name is written over.
    """
    from stellwerk.adapters.output import write_folder
    from stellwerk.report.text import translator

    _check_options(ctx, target)
    said = translator(language_of(lang))
    files = _monitoring(options) if target == MONITORING else _files(target, options["plan"])
    for path, written in write_folder(output, "-o", files):
        click.echo(said(WROTE if written else UNCHANGED, name=path))
    return 0


def _check_options(ctx: click.Context, target: str) -> None:
    """An option that TARGET does not read would be taken as obeyed."""
    from stellwerk.api.errors import InvalidInput

    others = ("idle_below", "idle_after", "wait_target") if target != MONITORING else ("plan",)
    for name in others:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise InvalidInput(
                "{option} says nothing to stellwerk export {target}",
                fix="leave it out; see stellwerk export --help",
                option="--" + name.replace("_", "-"),
                target=target,
            )


def _monitoring(options: dict[str, str | None]) -> list[tuple[str, str]]:
    from stellwerk.report.monitoring.files import monitoring_files
    from stellwerk.report.monitoring.thresholds import read_thresholds

    texts = (options[name] or "" for name in ("idle_below", "idle_after", "wait_target"))
    return monitoring_files(read_thresholds(*texts))


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

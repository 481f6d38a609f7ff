"""`stellwerk compare -f FILE`: the ways of sharing side by side for a workload."""

import sys
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, OUTPUT, RATE, language_of

if TYPE_CHECKING:
    from stellwerk.engine.advice.comparison import Comparison


@click.command(
    "compare", short_help="Whole GPU, time-slicing, MPS, MIG and vGPU side by side for a workload."
)
@click.option(
    "-f", "--file", metavar="FILE", required=True, help="File or folder with Jobs, Pods or Deployments."
)
@click.option("--gpu", metavar="MODEL", help="GPU model (else the fleet's; without one H100-PCIE-80GB).")
@click.option(
    "--fleet",
    metavar="FLEET",
    help="Where the price comes from: a Fleet or Nodes, a built-in fleet, or COUNTxPROVIDER/TYPE[@REGION].",
)
@click.option("--tenants", type=int, help="Equal tenants of each workload (else its replicas).")
@click.option("--latency", is_flag=True, help="There is a latency objective: no time-slicing.")
@click.option(
    "--use",
    type=click.Choice(["containers", "vdi"]),
    default="containers",
    show_default=True,
    help="Containers, or virtual desktops.",
)
@click.option(
    "--licence-price",
    "licence_prices",
    multiple=True,
    metavar="PRICE",
    help='Price of a licence: "4500 USD/gpu/year@2026-11-01", or /user/ (repeatable).',
)
@click.option(
    "--slowdown",
    default="range",
    show_default=True,
    metavar="FILE|none|proportional|range",
    help="What sharing costs: a sourced Interference file, or a bound.",
)
@click.option("--replicas", type=int, default=4, show_default=True, help="Time-slicing: replicas of a GPU.")
@RATE
@OUTPUT
@LANG
def command(output: str, lang: str | None, **options: Any) -> int:
    """Compare the ways of sharing a GPU for the workloads of a manifest: what fits, isolates, costs.

    Replicas are equal tenants; measured memory and compute stand in annotations of the workload. Exit code 0:
    every workload fits some way; 1: one of them fits none.
    """
    from stellwerk.sim.intake.comparison import CompareArguments, run_comparison

    spoken = language_of(lang)
    arguments = CompareArguments(**{name: value for name, value in options.items() if value is not None})
    found = run_comparison(arguments)
    sys.stdout.write(_text(found, output, spoken))
    return 0 if all(any(o.fits == "yes" for o in each.options) for each in found.workloads) else 1


def _text(found: "Comparison", output: str, lang: Any) -> str:
    import shutil

    from stellwerk.report.advice.compare import render_comparison, to_json, to_yaml

    if output == "json":
        return to_json(found)
    if output == "yaml":
        return to_yaml(found)
    return render_comparison(found, lang, shutil.get_terminal_size((100, 24)).columns)

"""`stellwerk plan --kubeconfig`: one plan over all layers of a cluster, its price, proof and files."""

import gc
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.cluster import cluster_options
from stellwerk.cli.live import live_options, metrics_paths
from stellwerk.cli.options import LANG, OUTPUT, RATE, language_of
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from stellwerk.report.planning.job import PlanArguments, Planned, PreparedPlan
    from stellwerk.report.text import Language

PROOF, STATE, RECEIPT = "proof", "cluster.json", "receipt.json"
WROTE = msg("wrote {count} files to {folder}; see what they change: kubectl diff -f {folder}")
PROVE = msg("the proof: stellwerk verify {path}")
# --prometheus and what belongs to it: given at all, metrics are meant.
_MEASURED = ("prometheus", "http_config", "headers", "days", "until", "save", "fresh")


@click.command("plan", short_help="One plan for a cluster: MIG, sharing, classes, quotas, node pools, EUR.")
@cluster_options
@click.option(
    "-f", "--file", "state", metavar="STATE", help="Objects of a cluster in a file or folder instead."
)
@click.option("--metrics", metavar="PATH", help="Measured use, as stellwerk usage reads it.")
@live_options
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="mig|mps|time-slicing",
    help="Ways of sharing that the plan may take (repeatable).  [default: mig]",
)
@click.option(
    "--executor",
    type=click.Choice(["dra", "device-plugin"]),
    help="Who hands out NVIDIA's devices (else as the cluster shows).",
)
@click.option("--headroom", type=int, default=10, show_default=True, help="Percent on top of measured use.")
@click.option(
    "--restart-minutes",
    type=int,
    default=10,
    show_default=True,
    help="Minutes in which a restarted pod does nothing.",
)
@click.option("--replicas", type=int, default=4, show_default=True, help="Time-slicing: replicas of a GPU.")
@RATE
@click.option("--manifests", metavar="DIR", help="Write the plan's objects, the state and the receipt here.")
@OUTPUT
@LANG
def command(output: str, lang: str | None, **options: Any) -> int:
    """Plan a cluster: how its GPUs are cut, who gets a part, which quotas and node pools follow.

    Nothing is changed: `kubectl diff -f DIR` on the files of --manifests shows exactly the plan.
    """
    from stellwerk.api.errors import InvalidInput

    spoken = language_of(lang)
    if (options["state"] is None) == (options["kubeconfig"] is None):
        raise InvalidInput(
            "plan is to be told which cluster: one of --kubeconfig and -f STATE",
            fix="write: stellwerk plan --kubeconfig, or -f with a file of its objects",
        )
    metrics = _metrics(options, spoken)
    folder = options.pop("manifests")
    with tempfile.TemporaryDirectory() as temporary:
        # A large cluster is millions of objects that all stay: walking them for garbage takes long.
        gc.disable()
        try:
            state = options["state"] or _read(options, Path(folder or temporary), spoken)
            prepared, planned = _planned(_arguments(options, state, metrics), live=options["state"] is None)
        finally:
            gc.enable()
    if folder is not None:
        _write(prepared, planned, Path(folder), spoken)
    sys.stdout.write(_text(planned, output, spoken))
    return 0


def _metrics(options: dict[str, Any], lang: "Language") -> str:
    """The metrics' path: named, or what the database gave; "" where none are meant."""
    named = options.pop("metrics")
    if named is None and not any(options[name] for name in _MEASURED):
        for name in _MEASURED:
            options.pop(name)
        return ""
    (path,) = metrics_paths(() if named is None else (named,), options, lang)
    return path


def _read(options: dict[str, Any], folder: Path, lang: "Language") -> str:
    """Read the cluster, and keep what a plan reads of it; the file's path."""
    from stellwerk.adapters.output import write_folder
    from stellwerk.cli.cluster import PLANNED, kinds_of, open_cluster, read_live
    from stellwerk.sim.planning.trimmed import kept_state

    with open_cluster(options["kubeconfig"], options["context"], lang) as client:
        found = read_live(client, kinds_of(PLANNED), as_raw=True)
    text = kept_state(one.raw for one in found.manifests)
    write_folder(str(folder / PROOF), "--manifests", [(STATE, text)])
    return str(folder / PROOF / STATE)


def _arguments(options: dict[str, Any], state: str, metrics: str) -> "PlanArguments":
    from stellwerk.report.planning.job import PlanArguments, check_methods

    return PlanArguments(
        state=state,
        metrics=metrics,
        methods=check_methods(options["methods"]),
        executor=options["executor"] or "",
        rates=options["rates"],
        headroom_percent=options["headroom"],
        restart_minutes=options["restart_minutes"],
        replicas=options["replicas"],
    )


def _planned(arguments: "PlanArguments", *, live: bool) -> "tuple[PreparedPlan, Planned]":
    from stellwerk.report.planning.job import make_plan, prepare_plan

    prepared = prepare_plan(arguments, checked=live)
    return prepared, make_plan(prepared)


def _write(prepared: "PreparedPlan", planned: "Planned", folder: Path, lang: "Language") -> None:
    from stellwerk.adapters.output import remove_files, write_folder
    from stellwerk.report.planning.files import NAMES
    from stellwerk.report.planning.job import plan_receipt
    from stellwerk.report.receipt import receipt_bytes
    from stellwerk.report.text import translator

    _ = translator(lang)
    write_folder(str(folder), "--manifests", planned.files.objects)
    remove_files(str(folder), [name for name in NAMES if name not in dict(planned.files.objects)])
    receipt = receipt_bytes(plan_receipt(prepared, planned)).decode()
    write_folder(str(folder / PROOF), "--manifests", [*planned.files.beside, (RECEIPT, receipt)])
    click.echo(_(WROTE, count=len(planned.files.objects), folder=folder), err=True)
    click.echo(_(PROVE, path=folder / PROOF / RECEIPT), err=True)


def _text(planned: "Planned", output: str, lang: "Language") -> str:
    if output == "table":
        from stellwerk.report.planning.table import render_plan

        return render_plan(planned, lang)
    from stellwerk.report.diagnosis.document import document_text
    from stellwerk.report.planning.document import plan_plain

    return document_text(plan_plain(planned), output)

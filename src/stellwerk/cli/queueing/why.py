"""`stellwerk why JOB`: why it waits, its place in the queue, what it waits for; live over all layers."""

import sys
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, OUTPUT, language_of
from stellwerk.cli.queueing.decide import Settings, check_source, decide, decided_options, one_of

if TYPE_CHECKING:
    from stellwerk.report.text import Language


@click.command("why", short_help="Why a job waits: one reason, its place in the queue, what it waits for.")
@click.argument("job", metavar="JOB")
@decided_options
@OUTPUT
@LANG
def command(job: str, output: str, lang: str | None, **options: Any) -> int:
    """Say why JOB waits: a Job's or Workload's name, or NAMESPACE/NAME.

    Decided as by `stellwerk admit` on the same files. With --kubeconfig every layer of the cluster is asked
    (queue, making of pods, gates, topology, nodes, devices, Karpenter), and one reason is the dominant one.
    JOB may then also be a Deployment, StatefulSet, ReplicaSet or Pod: NAME, KIND/NAME, NAMESPACE/NAME or
    NAMESPACE/KIND/NAME.

    Exit code 0: it is admitted, or nothing keeps it from running; 1: it waits.
    """
    import shutil

    from stellwerk.engine.queueing.course.verdict import ADMITTED

    spoken, settings = language_of(lang), Settings(**options)
    check_source(settings)
    if settings.kubeconfig is not None:
        return _live(job, settings, (spoken, output))
    course, found = decide(settings, spoken)
    one = one_of(found, job)
    if output != "table":
        from stellwerk.report.queueing.document import why_text

        sys.stdout.write(why_text(course, one, output))
    else:
        from stellwerk.report.queueing.table import render_why

        width = shutil.get_terminal_size((100, 24)).columns
        sys.stdout.write(render_why(course, one, (spoken, width)))
    return 0 if one.state == ADMITTED else 1


def _live(job: str, settings: Settings, shown: "tuple[Language, str]") -> int:
    import shutil

    from stellwerk.cli.cluster import open_cluster
    from stellwerk.cli.queueing.live import explain_live
    from stellwerk.report.queueing.layers import layers_text, render_layers

    lang, form = shown
    assert settings.kubeconfig is not None, "only a live cluster is explained"
    with open_cluster(settings.kubeconfig, settings.context, lang) as client:
        found = explain_live(client, job, settings)
    if form != "table":
        sys.stdout.write(layers_text(found, form))
    else:
        sys.stdout.write(render_layers(found, (lang, shutil.get_terminal_size((100, 24)).columns)))
    return 1 if found.dominant else 0

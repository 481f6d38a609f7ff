"""`stellwerk doctor`: layer by layer, is there what the verbs need that read a database or a live cluster."""

import shutil
import time
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, structs

from stellwerk.adapters.prometheus.endpoint import Patience, read_endpoint
from stellwerk.api.errors import InvalidInput
from stellwerk.cli.cluster import cluster_options
from stellwerk.cli.live import DAYS, asked_period, endpoint_options
from stellwerk.cli.options import LANG, OUTPUT, language_of
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stellwerk.adapters.prometheus.asked import Query
    from stellwerk.adapters.prometheus.endpoint import Endpoint
    from stellwerk.adapters.prometheus.queries import Stretch
    from stellwerk.engine.diagnosis.diagnose import Diagnosis
    from stellwerk.report.text import Language

DAY_MS = 86_400_000
PATIENCE = Patience(timeout_s=60, tries=2)  # Who asks whether somebody answers does not wait for long.


@click.command("doctor", short_help="Which layers are there, which fields are missing, and for what.")
@endpoint_options
@DAYS
@click.option("--queries", is_flag=True, help="Print what the database would be asked, and ask nothing.")
@cluster_options
@click.option(
    "--rbac",
    is_flag=True,
    help="With --kubeconfig: print the ClusterRole that is needed, and ask nothing.",
)
@OUTPUT
@LANG
def command(queries: bool, rbac: bool, days: int | None, output: str, **options: Any) -> int:
    """Look at a database of measured GPUs, a live cluster, or both: one line a layer, and the next step.

    Exit code 0 where every verb that reads them can work, 1 where one of them cannot, 3 where the role of the
    kubeconfig lacks a rule.
    """
    lang = language_of(options["lang"])
    if options["prometheus"] is None and options["kubeconfig"] is None:
        raise InvalidInput(
            "doctor is not told what to look at",
            fix="name a database: stellwerk doctor --prometheus http://prometheus.monitoring:9090; or a "
            "cluster: stellwerk doctor --kubeconfig",
        )
    if rbac:
        _print_role(options["kubeconfig"], output)
        return 0
    period = endpoint = None
    if options["prometheus"] is not None:
        now_ms = time.time_ns() // 1_000_000
        period = structs.replace(asked_period(days, None, now_ms, None), end_ms=now_ms)
        endpoint = read_endpoint(options["prometheus"], options["http_config"], options["headers"])
        if queries:
            _print_queries(period, output, lang)
            return 0
    looked = []
    if options["kubeconfig"] is not None:
        looked.append(_look_at_cluster(options, lang))
    if endpoint is not None and period is not None:
        looked.append(_look_at_database(endpoint, period))
    _print(looked, output, lang)
    return max(each.code for each in looked)


class _Looked(Struct, frozen=True):
    """One part: its name in a document of both, what was found, as a document too, and the exit code."""

    name: str
    diagnosis: "Diagnosis"
    document: dict[str, Any]
    code: int


def _look_at_database(endpoint: "Endpoint", period: "Stretch") -> _Looked:
    from stellwerk.adapters.prometheus.client import Client
    from stellwerk.adapters.prometheus.probe import probe
    from stellwerk.engine.diagnosis.diagnose import diagnose
    from stellwerk.report.diagnosis.document import diagnosis_document

    with Client(structs.replace(endpoint, patience=PATIENCE)) as client:
        facts = probe(client, period)
    diagnosis = diagnose(facts)
    document = diagnosis_document(endpoint.url, facts, diagnosis)
    return _Looked("database", diagnosis, document, 0 if diagnosis.works else 1)


def _look_at_cluster(options: "Mapping[str, Any]", lang: "Language") -> _Looked:
    from stellwerk.cli.cluster import EVERYTHING, READ_BY, kinds_of, open_cluster, reading
    from stellwerk.engine.diagnosis.live.diagnose import diagnose
    from stellwerk.engine.diagnosis.live.role import plural_of
    from stellwerk.report.diagnosis.live import live_document

    with open_cluster(options["kubeconfig"], options["context"], lang) as client:
        from stellwerk.adapters.kube_store.components import read_components

        facts = reading(client, lambda: read_components(client, kinds_of(EVERYTHING)))
    read_by = {
        verb: [(plural_of(kind), group) for group, kind, *_ in kinds] for verb, kinds in READ_BY.items()
    }
    diagnosis = diagnose(facts, read_by)
    code = 3 if facts.lacking else 0 if diagnosis.works else 1
    return _Looked("cluster", diagnosis, live_document(facts, diagnosis), code)


def _print(looked: "Sequence[_Looked]", output: str, lang: "Language") -> None:
    from stellwerk.report.diagnosis.document import document_text
    from stellwerk.report.diagnosis.table import diagnosis_table

    if output == "table":
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo("\n".join(diagnosis_table(each.diagnosis, lang, width) for each in looked), nl=False)
    else:
        document = {each.name: each.document for each in looked} if len(looked) > 1 else looked[0].document
        click.echo(document_text(document, output), nl=False)


def _print_role(kubeconfig: str | None, output: str) -> None:
    """The ClusterRole that every verb on a live cluster needs, and a binding to be filled in."""
    from stellwerk.cli.cluster import EVERYTHING
    from stellwerk.engine.diagnosis.live.role import cluster_role, cluster_role_binding
    from stellwerk.report.diagnosis.document import document_text

    if kubeconfig is None:
        raise InvalidInput(
            "--rbac is about a live cluster", fix="write: stellwerk doctor --kubeconfig --rbac"
        )
    objects = [cluster_role(EVERYTHING), cluster_role_binding()]
    if output == "json":
        whole = {"apiVersion": "v1", "kind": "List", "items": objects}
        click.echo(document_text(whole, "json"), nl=False)
    else:
        click.echo("---\n".join(document_text(each, "yaml") for each in objects), nl=False)


def _print_queries(period: "Stretch", output: str, lang: "Language") -> None:
    """What a fetch asks about the last whole day of the period, and what doctor asks."""
    from stellwerk.adapters.prometheus.asked import fetch_queries, probe_queries
    from stellwerk.adapters.prometheus.queries import Stretch
    from stellwerk.report.diagnosis.document import document_text, queries_document
    from stellwerk.report.text import translator

    midnight = period.end_ms // DAY_MS * DAY_MS
    day = Stretch(midnight - DAY_MS, midnight)
    asked = {
        "fetch": fetch_queries(day),
        "fetchRenamed": fetch_queries(day, renamed=True),
        "doctor": probe_queries(period),
    }
    if output != "table":
        click.echo(document_text(queries_document(day, asked), output), nl=False)
        return
    _ = translator(lang)
    click.echo(_(FETCH_ASKS, days=-(-(period.end_ms - period.start_ms) // DAY_MS)))
    _print_each(asked["fetch"])
    click.echo("\n" + _(RENAMED_ASKS))
    _print_each([each for each in asked["fetchRenamed"] if each not in asked["fetch"]])
    click.echo("\n" + _(DOCTOR_ASKS))
    _print_each(asked["doctor"])


def _print_each(asked: "Sequence[Query]") -> None:
    from stellwerk.report.diagnosis.document import moment_text

    for each in asked:
        click.echo(f"  GET {each.path}" if each.path else f"  {moment_text(each.at_ms)}  {each.expression}")


FETCH_ASKS = msg(
    "advise, bill and whatif ask this about each of {days} days (POST /api/v1/query, time and expression). "
    "POD stands for names of pods, up to 200 in a query, REPLICASET and JOB for their owners. A day of more "
    "than 500,000 samples, or one that the database refuses, is asked in parts."
)
RENAMED_ASKS = msg(
    "Where kube-state-metrics is scraped with honorLabels: false, of pods and owners this instead:"
)
DOCTOR_ASKS = msg(
    "doctor asks this; where it searches (the newest sample, the first day), it asks the same at other times:"
)

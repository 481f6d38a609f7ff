"""`stellwerk doctor`: layer by layer, is there what advise, bill and whatif need, and what is missing."""

import shutil
import time
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from stellwerk.adapters.prometheus.endpoint import Patience, read_endpoint
from stellwerk.api.errors import InvalidInput
from stellwerk.cli.live import DAYS, asked_period, endpoint_options
from stellwerk.cli.options import LANG, OUTPUT, language_of
from stellwerk.report.text import msg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stellwerk.adapters.prometheus.asked import Query
    from stellwerk.adapters.prometheus.queries import Stretch
    from stellwerk.report.text import Language

DAY_MS = 86_400_000
PATIENCE = Patience(timeout_s=60, tries=2)  # Who asks whether somebody answers does not wait for long.


@click.command("doctor", short_help="Which layers are there, which fields are missing, and for what.")
@endpoint_options
@DAYS
@click.option("--queries", is_flag=True, help="Print what would be asked, and ask nothing.")
@OUTPUT
@LANG
def command(queries: bool, days: int | None, output: str, **options: Any) -> int:
    """Ask a database of measured GPUs what it has: one line a layer, with what is missing and the next step.

    Exit code 0 where advise, bill and whatif can work, 1 where one of them cannot.
    """
    lang = language_of(options["lang"])
    if options["prometheus"] is None:
        raise InvalidInput(
            "doctor is not told what to look at",
            fix="name a database: stellwerk doctor --prometheus http://prometheus.monitoring:9090",
        )
    now_ms = time.time_ns() // 1_000_000
    period = structs.replace(asked_period(days, None, now_ms, None), end_ms=now_ms)
    endpoint = read_endpoint(options["prometheus"], options["http_config"], options["headers"])
    if queries:
        _print_queries(period, output, lang)
        return 0
    from stellwerk.adapters.prometheus.client import Client
    from stellwerk.adapters.prometheus.probe import probe
    from stellwerk.engine.diagnosis.diagnose import diagnose
    from stellwerk.report.diagnosis.document import diagnosis_document, document_text
    from stellwerk.report.diagnosis.table import diagnosis_table

    with Client(structs.replace(endpoint, patience=PATIENCE)) as client:
        facts = probe(client, period)
    diagnosis = diagnose(facts)
    if output == "table":
        width = shutil.get_terminal_size((100, 24)).columns
        click.echo(diagnosis_table(diagnosis, lang, width), nl=False)
    else:
        click.echo(document_text(diagnosis_document(endpoint.url, facts, diagnosis), output), nl=False)
    return 0 if diagnosis.works else 1


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

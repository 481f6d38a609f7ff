"""A diagnosis, and the questions that a database is asked, as documents for programs; English always."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from stellwerk.adapters.prometheus.asked import Query
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.engine.diagnosis.diagnose import Diagnosis
from stellwerk.engine.diagnosis.facts import Facts
from stellwerk.engine.diagnosis.findings import Finding
from stellwerk.report.partition.yaml_text import yaml_text


def diagnosis_document(url: str, facts: Facts, diagnosis: Diagnosis) -> dict[str, Any]:
    """The database's URL (without credentials), the layers, the verbs, and what was found out."""
    history, cluster = facts.history, facts.cluster
    return {
        "url": url,
        "startTime": moment_text(history.start_ms),
        "endTime": moment_text(history.now_ms),
        **layers_document(diagnosis),
        "facts": {
            "database": _plain(facts.database),
            "oldestDay": moment_text(history.oldest_ms),
            "newestSample": moment_text(history.newest_ms),
            "fields": dict(sorted(facts.fields.items())),
            "series": dict(sorted(cluster.series.items())),
            "nodes": list(cluster.nodes),
            "rules": list(facts.rules.names),
            "own": dict(sorted(facts.own.items())),
        },
    }


def layers_document(diagnosis: Diagnosis) -> dict[str, Any]:
    """Whether all works, each layer with its findings, and each verb with what stops it."""
    return {
        "works": diagnosis.works,
        "layers": [
            {"layer": layer.name, "verdict": layer.verdict, "findings": list(map(_finding, layer.findings))}
            for layer in diagnosis.layers
        ],
        "verbs": [
            {"verb": verb, "works": not codes, "stoppedBy": list(codes)}
            for verb, codes in diagnosis.stopped_by.items()
        ],
    }


def queries_document(day: Stretch, asked: Mapping[str, Sequence[Query]]) -> dict[str, Any]:
    """What is asked, by who asks: `fetch` and `fetchRenamed` about the day, and `doctor`."""
    named = {who: [_query(each) for each in queries] for who, queries in asked.items()}
    return {"day": {"startTime": moment_text(day.start_ms), "endTime": moment_text(day.end_ms)}, **named}


def document_text(document: dict[str, Any], form: str) -> str:
    """The document as text; `form` is json or yaml."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    return yaml_text(document)


def moment_text(time_ms: int | None) -> str | None:
    """RFC 3339 in UTC, with milliseconds where there are any."""
    if time_ms is None:
        return None
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    rest = f".{time_ms % 1000:03d}" if time_ms % 1000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{rest}Z"


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "code": found.code,
        "verdict": found.verdict,
        "text": str(found.reason),
        "next": str(found.step) if found.step is not None else "",
        "stops": list(found.stops),
        "metrics": list(found.metrics),
        "values": dict(found.reason.values),
    }


def _query(query: Query) -> dict[str, Any]:
    if query.path:
        return {"path": query.path}
    return {"time": moment_text(query.at_ms), "query": query.expression}


def _plain(facts: Any) -> dict[str, Any]:
    """Fields in camel case; a mapping's keys are names of flags and stay."""
    plain: dict[str, Any] = {}
    for each in msgspec.structs.fields(facts):
        head, *rest = each.name.split("_")
        plain[head + "".join(map(str.capitalize, rest))] = msgspec.to_builtins(getattr(facts, each.name))
    return plain

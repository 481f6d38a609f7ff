"""What a database says of itself: product, version, flags, clock, rules; each only where it tells.

Prometheus has /api/v1/status/buildinfo, /flags and /runtimeinfo (its documentation, querying/api).
VictoriaMetrics answers buildinfo with the version of a Prometheus that it stands in for, and shows its own
version and flags at /metrics. Others (Mimir, Thanos) have some of it.
"""

import json
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from prometheus_client.parser import text_string_to_metric_families

from stellwerk.adapters.prometheus.client import Page
from stellwerk.adapters.rows import shown
from stellwerk.engine.diagnosis.database import NEEDED
from stellwerk.engine.diagnosis.facts import DatabaseFacts, RuleFacts

STATUS = "/api/v1/status"
_OWN = ("stellwerk:", "Stellwerk")  # Recording rules, alerts.


class Paged(Protocol):
    """What answers a GET."""

    def page(self, path: str) -> Page | None:
        """What a path answers, if it does."""
        ...


def build_facts(database: Paged) -> DatabaseFacts:
    """Product, version, retention, limits and clock."""
    page = database.page(f"{STATUS}/buildinfo")
    ahead_s = _ahead_s(page)
    built, flags = _data(page), _data(database.page(f"{STATUS}/flags"))
    runtime = _data(database.page(f"{STATUS}/runtimeinfo"))
    if flags:
        product = _text(built, "application") or "Prometheus"
        version, retention = _text(built, "version"), _text(runtime, "storageRetention")
    else:
        product, version, flags = _by_metrics(built, database.page("/metrics"))
        retention = _months(_text(flags, "retentionPeriod"))
    return DatabaseFacts(
        product=product,
        version=version,
        retention=retention,
        limits={name: value for name in NEEDED if (value := _text(flags, name))},
        clock_ahead_s=ahead_s,
    )


def rule_facts(database: Paged) -> RuleFacts:
    """Stellwerk's own rules among those that the database (or vmalert behind it) evaluates."""
    groups = _data(database.page("/api/v1/rules")).get("groups")
    rules = [
        rule
        for group in (groups if isinstance(groups, list) else [])
        if isinstance(group, dict) and isinstance(group.get("rules"), list)
        for rule in group["rules"]
        if isinstance(rule, dict) and _text(rule, "name").startswith(_OWN)
    ]
    failing = ((_text(rule, "name"), _text(rule, "lastError")) for rule in rules)
    return RuleFacts(
        names=tuple(sorted({_text(rule, "name") for rule in rules})),
        failing=tuple(sorted((name, error) for name, error in failing if error)),
    )


def _by_metrics(built: Mapping[str, Any], page: Page | None) -> tuple[str, str, dict[str, str]]:
    """Product, version and flags of a database that has no path for flags."""
    flags: dict[str, str] = {}
    version = None
    for name, labels in _samples(page):
        if name == "flag":
            flags[labels.get("name", "")] = labels.get("value", "")
        elif name == "vm_app_version":
            version = labels.get("short_version", "")
    if version is not None:
        return "VictoriaMetrics", version, flags
    if application := _text(built, "application"):
        return application, _text(built, "version"), flags
    if set(built) == {"version"}:  # Behind a path prefix its /metrics is not there.
        return "VictoriaMetrics", "", flags
    return ("Prometheus" if built else ""), _text(built, "version"), flags


def _samples(page: Page | None) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Names and labels of exposition text, up to where it cannot be read."""
    if page is None:
        return
    try:
        for family in text_string_to_metric_families(page.content.decode("utf-8", "replace")):
            for sample in family.samples:
                yield sample.name, sample.labels
    except ValueError:
        return


def _data(page: Page | None) -> dict[str, Any]:
    """The `data` of an answer of the API; {} for anything else."""
    try:
        found = json.loads(page.content) if page is not None else {}
    except (ValueError, RecursionError):
        return {}
    data = found.get("data") if isinstance(found, dict) else None
    return data if isinstance(data, dict) else {}


def _text(found: Mapping[str, Any], name: str) -> str:
    """A text that may be shown; "" where there is none."""
    value = found.get(name)
    return shown(value, 120) if isinstance(value, str) else ""


def _months(retention: str) -> str:
    """VictoriaMetrics counts in months where no unit is named."""
    return f"{retention} months" if retention.isdigit() else retention


def _ahead_s(page: Page | None) -> int | None:
    """The server's clock less ours, in whole seconds."""
    if page is None or not page.date:
        return None
    try:
        return round(parsedate_to_datetime(page.date).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None

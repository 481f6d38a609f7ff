"""What databases say of themselves, as each of them says it, and what cannot be read."""

import json
import time
from email.utils import formatdate

import pytest

from stellwerk.adapters.prometheus.build import build_facts, rule_facts
from stellwerk.adapters.prometheus.client import Page

BUILD, FLAGS = "/api/v1/status/buildinfo", "/api/v1/status/flags"
RUNTIME, RULES = "/api/v1/status/runtimeinfo", "/api/v1/rules"


class Pages:
    """Paths with their bodies; any other is not there."""

    def __init__(self, bodies: dict[str, object], date: str = "") -> None:
        self.bodies, self.date = bodies, date

    def page(self, path: str) -> Page | None:
        body = self.bodies.get(path)
        if body is None:
            return None
        text = body if isinstance(body, str) else json.dumps({"status": "success", "data": body})
        return Page(text.encode(), self.date)


def test_prometheus_tells_version_retention_and_limits() -> None:
    """As Prometheus 2.42 answers."""
    pages = Pages(
        {
            BUILD: {"version": "2.42.0+ds", "revision": "x", "goVersion": "go1.19.8"},
            FLAGS: {"query.max-samples": "50000000", "query.timeout": "2m", "web.page-title": "a"},
            RUNTIME: {"storageRetention": "15d or 10GiB"},
        }
    )
    found = build_facts(pages)
    assert (found.product, found.version, found.retention) == ("Prometheus", "2.42.0+ds", "15d or 10GiB")
    assert found.limits == {"query.max-samples": "50000000", "query.timeout": "2m"}


def test_victoriametrics_is_known_by_its_metrics_and_counts_in_months() -> None:
    metrics = (
        'vm_app_version{version="victoria-metrics-v1.138.0", short_version="v1.138.0"} 1\n'
        'flag{name="retentionPeriod", value="13", is_set="true"} 1\n'
        'flag{name="search.maxQueryDuration", value="30s", is_set="false"} 1\n'
    )
    found = build_facts(Pages({BUILD: {"version": "2.24.0"}, "/metrics": metrics}))
    assert (found.product, found.version, found.retention) == ("VictoriaMetrics", "v1.138.0", "13 months")
    assert found.limits == {"search.maxQueryDuration": "30s"}


@pytest.mark.parametrize(
    ("bodies", "product", "version"),
    [
        ({BUILD: {"version": "2.24.0"}}, "VictoriaMetrics", ""),
        (
            {BUILD: {"application": "Grafana Mimir", "version": "2.16.0", "features": {}}},
            "Grafana Mimir",
            "2.16.0",
        ),
        ({BUILD: {"version": "0.39.2", "revision": "x"}}, "Prometheus", "0.39.2"),
        ({}, "", ""),
        ({BUILD: "<html>", FLAGS: "[1]", RUNTIME: "null", "/metrics": "a{b 1"}, "", ""),
        ({BUILD: "[" * 100_000, "/metrics": "\x00"}, "", ""),
        ({BUILD: {"version": ["2"], "revision": "x"}}, "Prometheus", ""),
    ],
)
def test_others_are_known_by_what_they_tell(bodies: dict[str, object], product: str, version: str) -> None:
    found = build_facts(Pages(bodies))
    assert (found.product, found.version, found.limits) == (product, version, {})


@pytest.mark.parametrize(
    ("date", "ahead_s"),
    [(3600, 3600), (-90, -90), (None, None)],
)
def test_the_servers_clock_is_compared_with_ours(date: int | None, ahead_s: int | None) -> None:
    said = "yesterday" if date is None else formatdate(time.time() + date, usegmt=True)
    found = build_facts(Pages({BUILD: {"version": "1"}}, said)).clock_ahead_s
    if ahead_s is None:
        assert found is None
    else:
        assert found is not None and abs(found - ahead_s) <= 1


def test_only_rules_of_stellwerk_count() -> None:
    rules = [
        {"name": "stellwerk:gpu:pods", "lastError": ""},
        {"name": "StellwerkGpuIdleHeld", "lastError": "found duplicate series"},
        {"name": "KubePodCrashLooping", "lastError": "x"},
        {"alert": "no name"},
        "no rule",
    ]
    found = rule_facts(Pages({RULES: {"groups": [{"rules": rules}, {"rules": None}, 1]}}))
    assert found.names == ("StellwerkGpuIdleHeld", "stellwerk:gpu:pods")
    assert found.failing == (("StellwerkGpuIdleHeld", "found duplicate series"),)
    for body in ("", "{", {"groups": 3}, {}):
        assert rule_facts(Pages({RULES: body})).names == ()

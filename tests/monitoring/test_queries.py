"""Every query of rules and dashboard runs on both databases, says something, and says the same.

VictoriaMetrics evaluates the recording rules in their order, as vmalert does, and gets what they say. Then
Prometheus has the same samples, and each rule and query must have the same answer in both.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.monitoring.exported import export, rules
from tests.monitoring.measured_hours import SPAN_S, lines
from tests.servers.databases import KINDS, PROMETHEUS, VICTORIAMETRICS, Database, backfill, running
from tests.servers.fixtures import need

DAY_S = 86_400
# Rules are evaluated a few times, so that what is summed over minutes has minutes, and an hour before.
MOMENTS_S = (-3_600, -60, 0)
Answer = dict[str, float]


class Cluster(Struct, frozen=True):
    """The databases by kind, with the same samples up to `end_s`; what was exported."""

    databases: Mapping[str, Database]
    end_s: int
    folder: Path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    for kind in KINDS:
        need(kind)
    folder = export(tmp_path_factory.mktemp("monitoring"))
    end_s = int(time.time()) // DAY_S * DAY_S
    samples = [*lines(end_s), *_gone(end_s)]
    with ExitStack() as stack:
        victoria = stack.enter_context(running(VICTORIAMETRICS, tmp_path_factory.mktemp("vm")))
        victoria.add(samples)
        recorded = list(_record(victoria, folder, end_s))
        store = tmp_path_factory.mktemp("prometheus")
        backfill(PROMETHEUS, store, [*samples, *recorded])
        prometheus = stack.enter_context(running(PROMETHEUS, store))
        yield Cluster({PROMETHEUS: prometheus, VICTORIAMETRICS: victoria}, end_s, folder)


def _gone(end_s: int) -> Iterator[str]:
    """A node that was measured an hour before all others begin, and is no more."""
    labels = '{node="n3",gpu="0",UUID="GPU-9"}'
    yield f"stellwerk:gpu:pods{labels} 1 {(end_s - SPAN_S - 3_600) * 1000}"


def _record(database: Database, folder: Path, end_s: int) -> Iterator[str]:
    for moment in MOMENTS_S:
        waiting: dict[str, list[str]] = {}
        for rule in rules(folder)[0]:
            if any(name in rule["expr"] for name in (*waiting, "__name__")):
                yield from _added(database, waiting)
            found = database.get("query", query=rule["expr"], time=end_s + moment)["result"]
            waiting[rule["record"]] = [
                _line(rule["record"], each["metric"], each["value"][1], end_s + moment) for each in found
            ]
        yield from _added(database, waiting)


def _added(database: Database, waiting: dict[str, list[str]]) -> list[str]:
    """What the next rule asks for is put in before it; all at once, since each time costs a flush."""
    made = [line for lines in waiting.values() for line in lines]
    database.add(made)
    waiting.clear()
    return made


def _line(name: str, labels: Mapping[str, str], value: str, at_s: int) -> str:
    text = ",".join(f"{key}={json.dumps(each)}" for key, each in sorted(labels.items()) if key != "__name__")
    return f"{name}{{{text}}} {value} {at_s * 1000}"


def answer(database: Database, query: str, at_s: int) -> Answer:
    """Value by labels; the name of a metric apart, and what is not a number: MetricsQL leaves that out."""
    found = database.get("query", query=query, time=at_s)["result"]
    values = {
        json.dumps({k: v for k, v in each["metric"].items() if k != "__name__"}, sort_keys=True): float(
            each["value"][1]
        )
        for each in found
    }
    assert len(values) == len(found), query
    return {labels: value for labels, value in values.items() if value == value}


def dashboard_queries(folder: Path) -> list[tuple[str, str, bool]]:
    """(panel, query with Grafana's variables filled in, whether it is over a range)."""
    dashboard: dict[str, Any] = json.loads((folder / "grafana-dashboard.json").read_text(encoding="utf-8"))
    filled = {"__range": f"{SPAN_S}s", "__rate_interval": "2m", "__interval": "1m"}
    return [
        (
            panel["title"],
            re.sub(r"\$(\w+)", lambda found: filled.get(found[1], ".*"), target["expr"]),
            target["range"],
        )
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def same(cluster: Cluster, query: str) -> Answer:
    """The answer, which both databases give."""
    found = {kind: answer(each, query, cluster.end_s) for kind, each in cluster.databases.items()}
    assert found[VICTORIAMETRICS] == pytest.approx(found[PROMETHEUS]), query
    return found[PROMETHEUS]


def test_each_recording_rule_says_the_same_on_both(cluster: Cluster) -> None:
    for rule in rules(cluster.folder)[0]:
        assert same(cluster, rule["expr"]), rule["record"]
        # What was recorded at that moment is what the rule says: no rule met another's older value.
        assert same(cluster, rule["record"]) == pytest.approx(same(cluster, rule["expr"])), rule["record"]


def test_each_alert_holds_for_the_same_on_both(cluster: Cluster) -> None:
    for rule in rules(cluster.folder)[1]:
        assert same(cluster, rule["expr"]), f"{rule['alert']} has nothing to fire for in this cluster"


def test_each_query_of_the_dashboard_answers_the_same_on_both(cluster: Cluster) -> None:
    for title, query, _ in dashboard_queries(cluster.folder):
        assert same(cluster, query), title


def test_each_graph_of_the_dashboard_has_a_line_on_both(cluster: Cluster) -> None:
    over = [(title, query) for title, query, ranged in dashboard_queries(cluster.folder) if ranged]
    assert over
    for title, query in over:
        for database in cluster.databases.values():
            times = {"start": cluster.end_s - 120, "end": cluster.end_s, "step": 60}
            found = database.get("query_range", query=query, **times)["result"]
            assert found and found[0]["values"], f"{title} on {database.kind}"


def test_each_variable_of_the_dashboard_finds_its_values(cluster: Cluster) -> None:
    """label_values(SELECTOR, LABEL) is how Grafana asks /api/v1/label/LABEL/values with match[]."""
    dashboard = json.loads((cluster.folder / "grafana-dashboard.json").read_text(encoding="utf-8"))
    # n3 has left, but an index of a day or a block still knows it.
    expected = {"cluster": [], "node": ["n1", "n2", "n3"], "namespace": ["lab", "web"]}
    for variable in dashboard["templating"]["list"][1:]:
        query = variable["definition"].replace("$cluster", ".*")
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert found, query
        for database in cluster.databases.values():
            path, span = f"label/{found[2]}/values", {"start": cluster.end_s - 600, "end": cluster.end_s}
            assert database.get(path, **{"match[]": found[1]}, **span) == expected[variable["name"]]


def test_what_this_cluster_must_show(cluster: Cluster) -> None:
    """Known by hand, so that both databases may not be wrong together."""
    assert same(cluster, "count(stellwerk:gpu:info)") == {"{}": 7}
    assert same(cluster, "count(stellwerk:gpu:pods > 0)") == {"{}": 5}
    assert same(cluster, "sum(stellwerk:gpu:idle_held)") == {"{}": 1}
    assert same(cluster, 'stellwerk:gpu_pod:use_ratio{pod="api-0"} < 0.05')
    assert same(cluster, 'sum(stellwerk:gpu:use_ratio{UUID="GPU-3"})') == {"{}": 0.4}
    assert same(cluster, 'sum(stellwerk:gpu:use_ratio{UUID="GPU-4"})') == {"{}": pytest.approx(0.72)}
    assert same(cluster, 'sum(stellwerk:node:power_watts{node="n2"})') == {"{}": 300}
    assert same(cluster, "sum(stellwerk:cluster:waiting)") == {"{}": 6}
    assert same(cluster, "sum(stellwerk:namespace:held_gpus)") == {"{}": 5}
    assert same(cluster, "sum(stellwerk:queue:admission_wait_late_ratio)") == {"{}": 1}
    assert same(cluster, "sum(stellwerk:gpu:thermal_throttle_ratio)") == {"{}": pytest.approx(0.1)}


def test_what_a_demand_costs_and_decides_is_of_its_own_time(cluster: Cluster) -> None:
    """It goes by 60 times as fast as the database's: 1 EUR in 1000 s is 1 EUR in 60,000 s of the demand."""
    panels = {title: query for title, query, _ in dashboard_queries(cluster.folder)}
    month = same(cluster, panels["Cost of a month at this rate, to hold a budget against"])
    assert list(month.values()) == pytest.approx([0.001 * 3_600 * 730 / 60] * 2)
    decided = same(cluster, panels["Decisions in an hour of the demand"])
    assert list(decided.values()) == pytest.approx([2 * 120 / 60])


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_database_is_no_error(tmp_path: Path, kind: str) -> None:
    """Before the first scrape, and where Kueue, kube-state-metrics or Stellwerk are not there."""
    need(kind)
    folder = export(tmp_path / "exported")
    recording, alerts = rules(folder)
    with running(kind, tmp_path / "store") as database:
        for rule in (*recording, *alerts):
            assert answer(database, rule["expr"], 1_700_000_000) == {}, rule
        for title, query, _ in dashboard_queries(folder):
            assert set(answer(database, query, 1_700_000_000).values()) <= {0.0}, title

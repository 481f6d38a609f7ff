"""The dashboard's JSON: by Grafana's published schema, and by what an import needs.

Grafana itself is under the AGPL and is not run here. Its grafana-foundation-sdk (Apache-2.0) is generated
from the same schema: its strict decoder refuses unknown fields, wrong types and missing fields, in panels,
options and queries. It is built once a run, where Go and the module can be had.
"""

import json
import os
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.exported import export, rules

GRAFANA = Path(__file__).parent / "grafana"
MODULE = "github.com/grafana/grafana-foundation-sdk/go"
# Panels that Grafana 11 took out (Angular): graph, table-old, singlestat, worldmap.
KINDS = {"row", "timeseries", "stat", "table", "bargauge"}
# dashboard.jsonschema.json of grafana-foundation-sdk@f178d5a4, FieldConfig.
FIELD_CONFIG = {"unit", "decimals", "min", "max", "thresholds", "color", "custom", "mappings", "noValue"}
BUILT_IN = {"__range", "__interval", "__rate_interval"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("monitoring"))


@pytest.fixture(scope="module")
def dashboard(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "grafana-dashboard.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    if not shutil.which("go"):
        _missing("Grafana's schema is read by its Go SDK, and there is no go")
    built = tmp_path_factory.mktemp("grafana")
    for name in ("go.mod", "go.sum"):
        (built / name).write_bytes((GRAFANA / name).read_bytes())
    (built / "main.go").write_bytes((GRAFANA / "main.go.txt").read_bytes())
    if _go(built, "mod", "download", MODULE).returncode:
        _missing(f"Grafana's schema is read by {MODULE}, which cannot be had here")
    done = _go(built, "build", "-mod=readonly", "-o", "decoder", ".")
    assert done.returncode == 0, done.stderr
    return str(built / "decoder")


def _missing(what: str) -> None:
    """One clear line; CI skips nothing."""
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(what)
    pytest.fail(f"CI skips nothing: {what}", pytrace=False)


def _go(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["go", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def decode(decoder: str, dashboard: dict[str, Any]) -> str:
    """What the strict decoder complains of; the import's own fields are no part of the schema."""
    stored = {name: value for name, value in dashboard.items() if not name.startswith("__")}
    done = subprocess.run(
        [decoder], input=json.dumps(stored), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode == 0) == (not done.stdout), done.stderr
    return done.stdout


def test_grafanas_schema_takes_the_dashboard(decoder: str, dashboard: dict[str, Any]) -> None:
    assert decode(decoder, dashboard) == ""


def test_grafanas_schema_refuses_a_wrong_one(decoder: str, dashboard: dict[str, Any]) -> None:
    at = next(at for at, panel in enumerate(dashboard["panels"]) if panel["type"] == "timeseries")
    for path in (("options", "legendd"), ("gridPos", "z"), ("targets", 0, "exprr"), ("grid",)):
        broken = json.loads(json.dumps(dashboard))
        place = broken["panels"][at]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = 1
        assert str(path[-1]) in decode(decoder, broken)
    missing = json.loads(json.dumps(dashboard))
    del missing["panels"][at]["type"]
    assert "type" in decode(decoder, missing)


def test_fields_of_a_panels_values_are_the_schemas(panels: list[dict[str, Any]]) -> None:
    """The SDK reads `fieldConfig` with Go's own decoder, which lets unknown fields pass."""
    for panel in panels:
        assert set(panel["fieldConfig"]) == {"defaults", "overrides"}
        assert set(panel["fieldConfig"]["defaults"]) <= FIELD_CONFIG, panel["title"]


def test_an_import_asks_for_a_data_source_and_finds_one_uid(dashboard: dict[str, Any]) -> None:
    [asked] = dashboard["__inputs"]
    assert (asked["type"], asked["pluginId"]) == ("datasource", "prometheus")
    assert dashboard["uid"] == "stellwerk-gpus" and len(dashboard["uid"]) <= 40
    assert "id" not in dashboard  # An id of another Grafana would overwrite a dashboard there.
    assert dashboard["schemaVersion"] >= 36  # From there on a data source is {type, uid}.
    text = json.dumps(dashboard)
    assert set(re.findall(r"\$\{(DS_\w+)\}", text)) == {asked["name"]}
    first = dashboard["templating"]["list"][0]
    assert (first["type"], first["query"]) == ("datasource", "prometheus")


def test_every_panel_has_a_place_a_data_source_and_queries(
    dashboard: dict[str, Any], panels: list[dict[str, Any]]
) -> None:
    every = dashboard["panels"]
    ids = [panel["id"] for panel in every]
    assert sorted(ids) == list(range(1, len(every) + 1))
    assert {panel["type"] for panel in every} <= KINDS
    titles = [panel["title"] for panel in panels]
    assert len(set(titles)) == len(titles)
    for panel in panels:
        assert panel["description"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references)
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["instant"] != target["range"] for target in panel["targets"])


def test_no_panel_overlaps_another_or_the_edge(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    for place in places:
        assert place["x"] >= 0 and place["w"] >= 1 and place["h"] >= 1 and place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


def test_every_variable_in_a_query_exists_and_is_used(
    dashboard: dict[str, Any], panels: list[dict[str, Any]]
) -> None:
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    queries = [target["expr"] for panel in panels for target in panel["targets"]]
    queries += [variable.get("definition", "") for variable in dashboard["templating"]["list"]]
    used = {name for query in queries for name in re.findall(r"\$\{?(\w+)", query)}
    assert used <= known | BUILT_IN
    assert known <= used | {"datasource"}
    for variable in dashboard["templating"]["list"][1:]:
        assert variable["allValue"] == ".*"  # Also where the label is missing: a single cluster has none.


def test_what_the_dashboard_asks_of_stellwerks_rules_is_recorded(
    folder: Path, dashboard: dict[str, Any]
) -> None:
    recorded = {rule["record"] for rule in rules(folder)[0]}
    assert set(re.findall(r"stellwerk:[a-z0-9_:]+", json.dumps(dashboard))) <= recorded


def test_what_the_rules_ask_of_each_other_is_recorded_before(folder: Path) -> None:
    recording, alerts = rules(folder)
    before: set[str] = set()
    for rule in (*recording, *alerts):
        asked = set(re.findall(r"stellwerk:[a-z0-9_]+:[a-z0-9_:]+", rule["expr"]))
        assert asked <= before, rule
        before.add(rule.get("record", ""))

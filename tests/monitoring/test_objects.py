"""Counters, values and scrape objects: fields by the CRDs, names by the catalog, how to apply and undo."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from stellwerk.catalog.dcgm import dcgm_metrics
from stellwerk.catalog.series.kubernetes import kube_state_series, kueue_series
from stellwerk.engine import usage
from stellwerk.engine.joining.series import COUNTERS
from stellwerk.report.monitoring.counters import CSV, KIND_LABEL
from stellwerk.sim.exposed.metrics import OWN
from tests.monitoring.exported import documents, export, rules

FACTS = json.loads((Path(__file__).parent / "crds.json").read_text(encoding="utf-8"))
OBJECTS = {
    "prometheus-servicemonitors.yaml": "ServiceMonitor",
    "vm-servicescrapes.yaml": "VMServiceScrape",
    "prometheus-rule.yaml": "PrometheusRule",
    "vm-rule.yaml": "VMRule",
}
DCGM = re.compile(r"\bDCGM_[A-Z0-9_]+")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("monitoring"))


def faults(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    """What a CRD's schema would refuse or prune: unknown and missing fields, types, words, patterns."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    if "anyOf" in schema:
        tried = [faults(value, each, path) for each in schema["anyOf"]]
        return [] if [] in tried else tried[0]
    kind = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}[type(value)]
    if schema.get("type") != kind:
        return [f"{path} is {kind}, not {schema.get('type')}"]
    if isinstance(value, list):
        return [
            line for at, each in enumerate(value) for line in faults(each, schema["items"], f"{path}[{at}]")
        ]
    if isinstance(value, dict):
        return _object_faults(value, schema, path)
    found = [f"{path}: {value} is not one of the words"] if value not in schema.get("enum", [value]) else []
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, value):
        found.append(f"{path}: {value} is not as {pattern}")
    return found


def _object_faults(value: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    found = [f"{path}.{name} is missing" for name in schema.get("required", []) if name not in value]
    for name, each in value.items():
        if name in known or more:
            found += faults(each, known.get(name) or more, f"{path}.{name}")
        else:
            found.append(f"{path}.{name} is no field")
    return found


def faults_of(document: dict[str, Any]) -> list[str]:
    crd = FACTS["crds"][document["kind"]]
    schema = {**crd["schema"], "properties": {**crd["schema"]["properties"], "metadata": ANY}}
    wrong = [] if document["apiVersion"] == crd["apiVersion"] else [f"apiVersion is not {crd['apiVersion']}"]
    return wrong + faults(document, schema, document["kind"])


ANY = {"x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_has_the_fields_of_its_crd(folder: Path, name: str) -> None:
    found = documents(folder, name)
    assert {each["kind"] for each in found} == {OBJECTS[name]}
    assert [line for each in found for line in faults_of(each)] == []
    names = [each["metadata"]["name"] for each in found]
    assert len(set(names)) == len(names)


def test_a_wrong_field_is_found(folder: Path) -> None:
    monitor = documents(folder, "prometheus-servicemonitors.yaml")[0]
    endpoint = monitor["spec"]["endpoints"][0]
    for field, value in (("honorlabels", True), ("interval", "30"), ("port", 9400), ("relabelConfigs", [])):
        monitor["spec"]["endpoints"][0] = {**endpoint, field: value}
        assert faults_of(monitor), field
    scrape = documents(folder, "vm-servicescrapes.yaml")[0]
    scrape["spec"]["endpoints"][0]["relabelings"] = []
    assert faults_of(scrape) == ["VMServiceScrape.spec.endpoints[0].relabelings is no field"]
    rule = documents(folder, "prometheus-rule.yaml")[0]
    rule["spec"]["groups"][0]["rules"][0]["for"] = "1 hour"
    assert faults_of(rule)
    rule = documents(folder, "vm-rule.yaml")[0]
    del rule["spec"]["groups"][0]["name"]
    assert faults_of(rule) == ["VMRule.spec.groups[0].name is missing"]


def test_the_exporter_says_who_holds_a_gpu(folder: Path) -> None:
    """honorLabels keeps the exporter's pod; the target's own pod is dropped, or it would hold free GPUs."""
    for name, field in (
        ("prometheus-servicemonitors.yaml", "relabelings"),
        ("vm-servicescrapes.yaml", "relabelConfigs"),
    ):
        for each in documents(folder, name):
            for endpoint in each["spec"]["endpoints"]:
                assert endpoint["honorLabels"] is True
                drop = endpoint[field][-1]
                assert drop["action"] == "labeldrop"
                dropped = {
                    label
                    for label in ("pod", "namespace", "container", "node", "job")
                    if re.fullmatch(drop["regex"], label)
                }
                assert dropped == {"pod", "namespace", "container"}


def test_the_counters_are_those_that_are_read_and_ruled(folder: Path) -> None:
    asked = {name for query in queries(folder) for name in DCGM.findall(query)}
    read = {value for value in vars(usage).values() if isinstance(value, str) and DCGM.fullmatch(value)}
    assert {row[0] for row in counter_rows(folder)} == asked | read | COUNTERS


# Facts of the same sources as the catalog's (kueue pkg/metrics/metrics.go, kube-state-metrics docs/metrics),
# and the series that a scrape itself makes.
MORE = {
    "kueue_admission_wait_time_seconds_bucket",
    "kube_pod_status_unschedulable",
    "kube_node_info",
    "up",
}


def test_every_name_of_others_is_known(folder: Path) -> None:
    known = {fact.name for facts in (kueue_series(), kube_state_series()) for fact in facts.metrics}
    known |= {metric.name for metric in OWN} | MORE
    text = " ".join(queries(folder))
    assert set(re.findall(r"\b(?:kueue|kube|stellwerk)_[a-z_]+|\bup\b", text)) <= known


def queries(folder: Path) -> list[str]:
    """Of rules and panels."""
    recording, alerts = rules(folder)
    dashboard = json.loads((folder / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return [rule["expr"] for rule in recording + alerts] + asked


def counter_rows(folder: Path) -> list[list[str]]:
    """As the exporter reads the file: comments dropped, three fields, spaces around them trimmed."""
    lines = (folder / CSV).read_text(encoding="utf-8").splitlines()
    return [
        [field.strip(" ") for field in row]
        for row in csv.reader(line for line in lines if not line.startswith("#"))
    ]


def test_every_counter_is_the_catalogs(folder: Path) -> None:
    catalog = {metric.name: metric.kind for metric in dcgm_metrics()}
    for row in counter_rows(folder):
        assert len(row) == 3, row
        assert catalog[row[0]] == row[1]
        assert row[2]


def test_the_charts_get_the_same_counters(folder: Path) -> None:
    text = (folder / CSV).read_text(encoding="utf-8")
    [config] = documents(folder, "dcgm-counters-configmap.yaml")
    [operator] = documents(folder, "gpu-operator-values.yaml")
    [chart] = documents(folder, "dcgm-exporter-values.yaml")
    assert config["data"] == {"dcgm-metrics.csv": text, "metrics": text}
    assert operator["dcgmExporter"]["config"]["name"] == config["metadata"]["name"]
    assert chart["customMetrics"] == text
    for values in (operator["dcgmExporter"], chart):
        assert values["serviceMonitor"] == {"enabled": False}
        assert values["hostPID"] is True
    [state] = documents(folder, "kube-state-metrics-values.yaml")
    assert state == {"metricLabelsAllowlist": [f"pods=[{KIND_LABEL}]"]}


def test_who_gives_the_exporter_the_hosts_processes_is_told_what_for_and_where_it_is_forbidden(
    folder: Path,
) -> None:
    operator, chart = (
        "".join(line for line in (folder / name).read_text(encoding="utf-8").split("\n") if line[:1] == "#")
        for name in ("gpu-operator-values.yaml", "dcgm-exporter-values.yaml")
    )
    assert "hostPID lets the exporter see processes" in operator
    assert "hostPID lets the exporter see processes" in chart
    assert "OpenShift: the constraints nvidia-dcgm-exporter forbid it" in operator


def test_every_file_says_how_to_apply_and_undo_it(folder: Path) -> None:
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            head = json.loads(text)["description"]
            assert "Import:" in head
        else:
            head = "\n".join(line for line in text.split("\n") if line.startswith("#"))
            assert "# Apply: " in head, path.name
        assert "For " in head and "Undo: " in head, path.name
        assert text.endswith("\n")


def test_the_same_options_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = export(tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in again.iterdir()
    }

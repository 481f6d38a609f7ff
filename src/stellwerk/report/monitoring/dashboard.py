"""The dashboard for Grafana: use, memory, idle-held GPUs, queues, faults; what Stellwerk itself exposes."""

import json
from typing import Any

from stellwerk.report.monitoring.panels import DATASOURCE, laid_out
from stellwerk.report.monitoring.recording import PODS, TEAM_HELD
from stellwerk.report.monitoring.views import views

DASHBOARD = "grafana-dashboard.json"
UID, TITLE, SCHEMA_VERSION = "stellwerk-gpus", "Stellwerk: GPUs", 39
INPUT = "DS_PROMETHEUS"
_ABOUT = (
    "For Grafana 10 and newer, on Prometheus or VictoriaMetrics with Stellwerk's recording rules. Import: "
    "Dashboards, New, Import, this file; the data source is asked for. In a file provider it works as it is, "
    "with the first Prometheus data source. Undo: delete the dashboard by its uid " + UID + "."
)


def dashboard_files() -> list[tuple[str, str]]:
    """(file name, JSON)."""
    return [(DASHBOARD, json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n")]


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's import takes it: a data source as input, and a stable uid."""
    return {
        "__inputs": [_input()],
        "__requires": [{"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"}],
        "uid": UID,
        "title": TITLE,
        "description": _ABOUT,
        "tags": ["gpu", "stellwerk"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "timezone": "browser",
        "time": {"from": "now-24h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": variables()},
        "panels": laid_out(views()),
    }


def _input() -> dict[str, str]:
    about = "Where DCGM exporter's series are"
    plugin = {"type": "datasource", "pluginId": "prometheus", "pluginName": "Prometheus"}
    return {"name": INPUT, "label": "Prometheus or VictoriaMetrics", "description": about, **plugin}


def variables() -> list[dict[str, Any]]:
    """The data source, then filters; each filter is narrowed by those before it, and All takes any."""
    chosen = "${" + INPUT + "}"
    source = {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "current": {"text": chosen, "value": chosen},
    }
    device = 'cluster=~"$cluster"'
    return [
        source,
        _filter("cluster", "Cluster", f"label_values({PODS}, cluster)"),
        _filter("node", "Node", f"label_values({PODS}{{{device}}}, node)"),
        _filter("namespace", "Team (namespace)", f"label_values({TEAM_HELD}{{{device}}}, namespace)"),
    ]


def _filter(name: str, label: str, query: str) -> dict[str, Any]:
    return {
        "type": "query",
        "name": name,
        "label": label,
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }

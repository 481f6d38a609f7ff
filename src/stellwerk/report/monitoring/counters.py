"""The counters that DCGM exporter must collect: the file of its option -f, and how both charts get it.

Only what Stellwerk reads (engine/usage.py, engine/joining) and what the rules use: profiling counters cost
the GPU a little, and each series costs the database.
"""

from typing import Any

from stellwerk.adapters.prometheus.queries import DEVICE_METRICS
from stellwerk.catalog.dcgm import DcgmMetric, dcgm_exporter, dcgm_metrics
from stellwerk.engine.diagnosis.exporter import ALERTED
from stellwerk.report.partition.claims import comment_lines, commented
from stellwerk.report.partition.nodes import APPLY, NAMESPACE, config_map
from stellwerk.report.partition.yaml_text import yaml_text

CSV, MAP = "dcgm-counters.csv", "dcgm-counters-configmap.yaml"
OPERATOR_VALUES, CHART_VALUES = "gpu-operator-values.yaml", "dcgm-exporter-values.yaml"
KUBE_STATE_VALUES = "kube-state-metrics-values.yaml"
CONFIG_MAP = "stellwerk-dcgm-counters"
OPERATOR_KEY = (
    "dcgm-metrics.csv"  # The GPU operator's MetricsConfigFileName (controllers/object_controls.go).
)
EXPORTER_KEY = "metrics"  # What the exporter's option -m reads (internal/pkg/counters/counter_config.go).
# Names every pod of a shared GPU, where the exporter else names one (from 4.1.1-4.0.3 on).
SHARED = {"name": "KUBERNETES_VIRTUAL_GPUS", "value": "true"}
KIND_LABEL = "stellwerk.dev/workload-kind"
# Since 25.10.0 of the operator (04d6fe27) and 4.4.1-4.6.0 of the chart (d526905).
_HOST_PID = (
    "hostPID lets the exporter see processes; else each pod of a shared GPU shows 0. Older charts ignore it."
)
ALLOWLIST = f"pods=[{KIND_LABEL}]"


def counter_metrics() -> tuple[DcgmMetric, ...]:
    """The catalog's entries of the counters, in the catalog's order."""
    wanted = {*DEVICE_METRICS, *ALERTED}
    return tuple(metric for metric in dcgm_metrics() if metric.name in wanted)


def counters_csv() -> str:
    """Lines of field, type and help, as the exporter splits them: three fields, no comma in the help."""
    lines = [f"{each.name}, {each.kind}, {_help(each)}\n" for each in counter_metrics()]
    return comment_lines(_csv_head()) + "".join(lines)


def counter_files() -> list[tuple[str, str]]:
    """(file name, text): the counters, and values for the GPU operator, the exporter and "
    "kube-state-metrics."""
    csv = counters_csv()
    data = {OPERATOR_KEY: csv, EXPORTER_KEY: csv}
    return [
        (CSV, csv),
        (MAP, commented(_map_head(), config_map(CONFIG_MAP, data))),
        (OPERATOR_VALUES, commented(_operator_head(), _operator_values())),
        (CHART_VALUES, commented(_chart_head(), _chart_values(csv))),
        (KUBE_STATE_VALUES, comment_lines(_kube_state_head()) + yaml_text(_kube_state_values())),
    ]


def _help(metric: DcgmMetric) -> str:
    return f"{metric.meaning} ({metric.unit})".replace(", ", "; ").replace(",", ";")


def _operator_values() -> dict[str, Any]:
    return {
        "dcgmExporter": {
            "config": {"name": CONFIG_MAP},
            "env": [SHARED],
            "enablePodUID": True,
            "hostPID": True,
            "serviceMonitor": {"enabled": False},
        }
    }


def _chart_values(csv: str) -> dict[str, Any]:
    return {
        "customMetrics": csv,
        "extraEnv": [SHARED],
        "kubernetes": {"enablePodUID": True},
        "hostPID": True,
        "serviceMonitor": {"enabled": False},
    }


def _kube_state_values() -> dict[str, Any]:
    return {"metricLabelsAllowlist": [ALLOWLIST]}


def _csv_head() -> list[str]:
    return [
        "For DCGM exporter: its counters, all of them (the file replaces the exporter's own).",
        f"Names and types by {dcgm_exporter().source}.",
        "POWER_VIOLATION and THERMAL_VIOLATION count nanoseconds; older files call them us by mistake.",
        "Fields that start with DCGM_FI_PROF need a data center GPU; elsewhere the exporter skips them.",
        f"Apply: dcgm-exporter -f {CSV}, or {MAP} with {OPERATOR_VALUES}, or {CHART_VALUES}.",
        "Undo: start the exporter with the -f that it had before.",
    ]


def _map_head() -> list[str]:
    return [
        f"For the GPU operator (key {OPERATOR_KEY}), and for dcgm-exporter -m NAMESPACE:NAME (key "
        f"{EXPORTER_KEY}).",
        f"Apply: {APPLY} {MAP}",
        f"Undo: first undo {OPERATOR_VALUES}, then:",
        f"  kubectl delete configmap -n {NAMESPACE} {CONFIG_MAP}",
    ]


def _operator_head() -> list[str]:
    return [
        "For the chart of the GPU operator, which then starts the exporter with the counters.",
        f"Apply: first {MAP}, then:",
        f"  helm upgrade gpu-operator nvidia/gpu-operator -n {NAMESPACE} --reuse-values -f {OPERATOR_VALUES}",
        "Undo: helm rollback gpu-operator",
        "enablePodUID tells two pods of one name apart (the operator 26.7 and newer); older ones ignore it.",
        _HOST_PID,
        "OpenShift: the constraints nvidia-dcgm-exporter forbid it, and the exporter would not start. Allow",
        "it to the exporter's service account, or set hostPID to false.",
        "The operator's own ServiceMonitor is off: with honorLabels: false it hides who holds a GPU.",
    ]


def _chart_head() -> list[str]:
    return [
        "For the chart of DCGM exporter, where no GPU operator is.",
        "Apply: helm upgrade --install dcgm-exporter gpu-helm-charts/dcgm-exporter --reuse-values",
        f"  -f {CHART_VALUES}",
        "Undo: helm rollback dcgm-exporter",
        _HOST_PID,
        "The chart's own ServiceMonitor is off: with honorLabels: false it hides who holds a GPU.",
    ]


def _kube_state_head() -> list[str]:
    return [
        "For the chart of kube-state-metrics: it must show the label with the kind of a pod.",
        f"Without the chart: --metric-labels-allowlist={ALLOWLIST}",
        "It replaces a list that is there: add your own entries. In kube-prometheus-stack these values",
        "go below the key kube-state-metrics.",
        "Apply: helm upgrade kube-state-metrics prometheus-community/kube-state-metrics --reuse-values",
        f"  -f {KUBE_STATE_VALUES}",
        "Undo: helm rollback kube-state-metrics",
    ]

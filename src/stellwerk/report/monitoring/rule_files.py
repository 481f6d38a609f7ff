"""The rules as a file for Prometheus, vmalert and promtool, and as objects of both operators."""

from typing import Any

from stellwerk.report.monitoring.alerts import AlertRule, alert_rules
from stellwerk.report.monitoring.recording import INTERVAL_S, RecordingRule, recording_rules
from stellwerk.report.monitoring.thresholds import Thresholds, promql_duration
from stellwerk.report.partition.claims import commented
from stellwerk.report.partition.nodes import APPLY

RULES, PROMETHEUS_RULE, VM_RULE = "stellwerk-rules.yaml", "prometheus-rule.yaml", "vm-rule.yaml"
NAME = "stellwerk"
_NOT_BOTH = "Use one of the three rule files: the same alert from two would fire twice."


def rule_files(thresholds: Thresholds, namespace: str) -> list[tuple[str, str]]:
    """(file name, YAML): a plain rule file, a PrometheusRule and a VMRule with the same groups."""
    groups = rule_groups(thresholds)
    objects = (
        (PROMETHEUS_RULE, "monitoring.coreos.com/v1", "PrometheusRule", _prometheus_head()),
        (VM_RULE, "operator.victoriametrics.com/v1beta1", "VMRule", _vm_head()),
    )
    return [
        (RULES, commented(_plain_head(), {"groups": groups})),
        *(
            (file, commented(head, rule_object(api, kind, namespace, groups)))
            for file, api, kind, head in objects
        ),
    ]


def rule_groups(thresholds: Thresholds) -> list[dict[str, Any]]:
    """Prometheus' rule groups; recording rules first, since the alerts read them."""
    recorded = [_recorded(rule) for rule in recording_rules(thresholds)]
    alerts = [_alert(rule) for rule in alert_rules(thresholds)]
    interval = promql_duration(INTERVAL_S)
    return [
        {"name": "stellwerk-recording", "interval": interval, "rules": recorded},
        {"name": "stellwerk-alerts", "interval": interval, "rules": alerts},
    ]


def rule_object(api: str, kind: str, namespace: str, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The groups as an object of an operator."""
    metadata = {"name": NAME, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": NAME}}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": {"groups": groups}}


def _recorded(rule: RecordingRule) -> dict[str, Any]:
    return {"record": rule.record, "expr": rule.expr}


def _alert(rule: AlertRule) -> dict[str, Any]:
    annotations = {
        "summary": rule.summary,
        "description": rule.description,
        "next_step": rule.next_step,
    }
    waits = {"for": promql_duration(rule.wait_s)} if rule.wait_s else {}
    labels = {"severity": rule.severity}
    return {"alert": rule.alert, "expr": rule.expr, **waits, "labels": labels, "annotations": annotations}


def _plain_head() -> list[str]:
    return [
        "For Prometheus (rule_files) and vmalert (-rule), where no operator is; promtool reads it too.",
        "What each rule means: docs/reference/monitoring.md of Stellwerk.",
        _NOT_BOTH,
        f"Check: promtool check rules {RULES}",
        "Apply: name it under rule_files, and reload. vmalert: -rule FILE, with -datasource.url, "
        "-remoteWrite.url and",
        "-remoteRead.url, since the alerts read what the recording rules write.",
        "Undo: take it out again, and reload.",
    ]


def _prometheus_head() -> list[str]:
    return [
        "For the Prometheus operator; add the labels that your Prometheus' ruleSelector asks for.",
        _NOT_BOTH,
        f"Apply: {APPLY} {PROMETHEUS_RULE}",
        f"Undo: kubectl delete -f {PROMETHEUS_RULE}",
    ]


def _vm_head() -> list[str]:
    return [
        "For the VictoriaMetrics operator; add the labels that your VMAlert's ruleSelector asks for.",
        "vmalert needs remoteWrite and remoteRead: the alerts read what the recording rules write.",
        _NOT_BOTH,
        f"Apply: {APPLY} {VM_RULE}",
        f"Undo: kubectl delete -f {VM_RULE}",
    ]

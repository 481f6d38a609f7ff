"""Who is scraped, and how: ServiceMonitors for Prometheus' operator, VMServiceScrapes for VictoriaMetrics'.

Fields by both operators' CRDs: ServiceMonitor monitoring.coreos.com/v1 of prometheus-operator@6adcebc5,
VMServiceScrape operator.victoriametrics.com/v1beta1 of VictoriaMetrics/operator@d0d258c8.
"""

from typing import Any

from msgspec import Struct

from stellwerk.report.partition.claims import joined
from stellwerk.report.partition.nodes import APPLY
from stellwerk.report.partition.yaml_text import yaml_text

MONITORS, SCRAPES = "prometheus-servicemonitors.yaml", "vm-servicescrapes.yaml"
# What the operators add of the exporter's own pod; on a GPU that nobody holds it would look like its holder.
OWN_LABELS = "pod|container|namespace"


# Stellwerk shows a simulated fleet in the names of real exporters: beside real GPUs it must not count.
OWN_METRICS = "(stellwerk|process)_.+"


class Target(Struct, frozen=True):
    """Services whose `label` has `value`, and the name of their port; `only`: which metrics are kept."""

    name: str
    label: str
    value: str
    port: str
    only: str = ""


TARGETS = (
    Target("stellwerk-gpu-operator-exporter", "app", "nvidia-dcgm-exporter", "gpu-metrics"),
    Target("stellwerk-dcgm-exporter", "app.kubernetes.io/name", "dcgm-exporter", "metrics"),
    Target("stellwerk", "app.kubernetes.io/name", "stellwerk", "metrics", OWN_METRICS),
)


def scrape_files(namespace: str) -> list[tuple[str, str]]:
    """(file name, YAML) for both operators, each with the same targets."""
    monitors = [yaml_text(service_monitor(target, namespace)) for target in TARGETS]
    scrapes = [yaml_text(vm_service_scrape(target, namespace)) for target in TARGETS]
    return [
        (MONITORS, joined(_head("the Prometheus operator", "serviceMonitorSelector", MONITORS), monitors)),
        (
            SCRAPES,
            joined(_head("the VictoriaMetrics operator", "serviceScrapeSelector", SCRAPES), scrapes),
        ),
    ]


def service_monitor(target: Target, namespace: str) -> dict[str, Any]:
    """A ServiceMonitor for Services of any namespace."""
    endpoint = {**_endpoint(target), "relabelings": _relabelings()}
    if target.only:
        endpoint["metricRelabelings"] = _kept(target.only)
    return _object("monitoring.coreos.com/v1", "ServiceMonitor", target, namespace) | {
        "spec": _spec(target, endpoint)
    }


def vm_service_scrape(target: Target, namespace: str) -> dict[str, Any]:
    """A VMServiceScrape for Services of any namespace."""
    endpoint = {**_endpoint(target), "relabelConfigs": _relabelings()}
    if target.only:
        endpoint["metricRelabelConfigs"] = _kept(target.only)
    return _object("operator.victoriametrics.com/v1beta1", "VMServiceScrape", target, namespace) | {
        "spec": _spec(target, endpoint)
    }


def _object(api: str, kind: str, target: Target, namespace: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/part-of": "stellwerk"}
    metadata = {"name": target.name, "namespace": namespace, "labels": labels}
    return {"apiVersion": api, "kind": kind, "metadata": metadata}


def _spec(target: Target, endpoint: dict[str, Any]) -> dict[str, Any]:
    return {
        "jobLabel": target.label,
        "namespaceSelector": {"any": True},
        "selector": {"matchLabels": {target.label: target.value}},
        "endpoints": [endpoint],
    }


def _endpoint(target: Target) -> dict[str, Any]:
    return {
        "port": target.port,
        "path": "/metrics",
        "interval": "30s",
        "scrapeTimeout": "10s",
        "honorLabels": True,
    }


def _relabelings() -> list[dict[str, Any]]:
    """The node first, then away with what names the exporter's own pod."""
    node = {"action": "replace", "sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
    return [node, {"action": "labeldrop", "regex": OWN_LABELS}]


def _kept(pattern: str) -> list[dict[str, Any]]:
    return [{"action": "keep", "sourceLabels": ["__name__"], "regex": pattern}]


def _head(operator: str, selector: str, file: str) -> list[str]:
    return [
        f"For {operator}; add the labels that its {selector} asks for.",
        "DCGM exporter of the GPU operator, the same of its own chart, and Stellwerk's /metrics; what is not",
        "there is not scraped. Switch off the ServiceMonitor of the exporter's chart: GPUs would come twice.",
        "honorLabels: true, since the exporter's pod and namespace say who holds the GPU: with false they",
        "would be exported_pod, and pod the exporter's own. What the operator adds of that pod is dropped:",
        "it would look like the holder of every GPU that nobody holds.",
        "Of Stellwerk only its own figures are kept: GPUs that it simulates would stand beside real ones.",
        "Kueue and kube-state-metrics are scraped by the monitors of their own charts.",
        f"Apply: {APPLY} {file}",
        f"Undo: kubectl delete -f {file}",
    ]

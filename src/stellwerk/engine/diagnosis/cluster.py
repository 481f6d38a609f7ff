"""What kube-state-metrics and Kueue give, and what each missing series costs."""

from collections.abc import Iterator, Mapping

from stellwerk.engine.diagnosis.devices import devices_of
from stellwerk.engine.diagnosis.facts import Facts
from stellwerk.engine.diagnosis.findings import Finding, finding, named
from stellwerk.engine.joining.cluster import CREATED, KUEUE_PENDING, REQUESTS, UNSCHEDULABLE

# Code -> the series of which one must be there.
SERIES: Mapping[str, tuple[str, ...]] = {
    "owner-missing": ("kube_pod_owner", "kube_pod_info"),
    "requests-missing": (REQUESTS,),
    "start-missing": ("kube_pod_start_time",),
    "end-missing": ("kube_pod_completion_time",),
    "pending-missing": ("kube_pod_status_phase",),
    "node-life-missing": (CREATED,),
    "cordon-missing": (UNSCHEDULABLE,),
}


def kube_findings(facts: Facts) -> Iterator[Finding]:
    """Of kube-state-metrics."""
    cluster = facts.cluster
    if not any(name.startswith("kube_") for name in cluster.series):
        yield finding("kube-missing")
        return
    yield finding("pods-known", pods=len(cluster.running), nodes=len(cluster.nodes), kinds=cluster.kinds)
    for code, metrics in SERIES.items():
        if not any(metric in cluster.series for metric in metrics):
            yield finding(code, metrics)
    if not cluster.kinds:
        yield finding("kind-missing")
    measured = {device.labels.node for device in devices_of(facts.samples).values()}
    if cluster.nodes and (unmatched := measured - set(cluster.nodes) - {""}):
        yield finding("node-unmatched", **named(unmatched))


def kueue_findings(facts: Facts) -> Iterator[Finding]:
    """Of Kueue."""
    count = facts.cluster.series.get(KUEUE_PENDING, 0)
    yield finding("queues-known", count=count) if count else finding("kueue-missing")

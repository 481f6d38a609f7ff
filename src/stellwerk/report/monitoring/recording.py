"""Recording rules: GPUs counted once, with one spelling of labels, for alerts and dashboard.

They hold for PromQL and MetricsQL. Each is a fact of one moment; hours come from counting moments, which are
one minute apart (INTERVAL_S): a hole in the data is then no hour of anybody.
"""

from msgspec import Struct

from stellwerk.report.monitoring.labels import (
    DEVICE,
    HOLDER,
    KEY,
    NAMES,
    by_device,
    by_device_and_pod,
    by_pod,
)
from stellwerk.report.monitoring.thresholds import Thresholds

INTERVAL_S = 60
USE, MEMORY = "stellwerk:gpu:use_ratio", "stellwerk:gpu:memory_used_ratio"
PODS, INFO, IDLE_HELD = "stellwerk:gpu:pods", "stellwerk:gpu:info", "stellwerk:gpu:idle_held"
XID = "stellwerk:gpu:xid"
THERMAL, POWER = "stellwerk:gpu:thermal_throttle_ratio", "stellwerk:gpu:power_throttle_ratio"
POD_USE, HOLDS = "stellwerk:gpu_pod:use_ratio", "stellwerk:gpu_pod:holds"
SERIES_UTIL = "stellwerk:gpu_series:gpu_util_ratio"
SERIES_USE, SERIES_MEMORY = "stellwerk:gpu_series:use_ratio", "stellwerk:gpu_series:memory_used_mib"
PENDING, WAITING = "stellwerk:queue:pending_workloads", "stellwerk:cluster:waiting"
NODE_POWER = "stellwerk:node:power_watts"
WAIT = "stellwerk:queue:admission_wait_seconds:p95"
WAIT_LATE = "stellwerk:queue:admission_wait_late_ratio"
TEAM_HELD, TEAM_IDLE = "stellwerk:namespace:held_gpus", "stellwerk:namespace:idle_held_gpus"
GPU_COST, TEAM_IDLE_COST = "stellwerk:node:gpu_cost_per_hour", "stellwerk:namespace:idle_held_cost_per_hour"
# DCGM's blanks are beyond these: no percentage, no GPU's MiB, no XID is as large.
_RATIO_LIMIT, _PERCENT_LIMIT, _MIB_LIMIT, _XID_LIMIT, _WATT_LIMIT = "1.5", "150", "1e9", "100000", "100000"


_SERIES = (SERIES_USE, SERIES_MEMORY, SERIES_UTIL)


class RecordingRule(Struct, frozen=True):
    """A series that the database computes every minute; `meaning` is for its reader."""

    record: str
    expr: str
    meaning: str


def recording_rules(thresholds: Thresholds) -> tuple[RecordingRule, ...]:
    """In the order in which they need each other."""
    return (
        *_series_rules(),
        *_device_rules(),
        *_pod_rules(thresholds),
        *_health_rules(),
        *_queue_rules(thresholds),
    )


def _series_rules() -> tuple[RecordingRule, ...]:
    engine = by_device_and_pod(f"(DCGM_FI_PROF_GR_ENGINE_ACTIVE <= {_RATIO_LIMIT})")
    percent = by_device_and_pod(f"(DCGM_FI_DEV_GPU_UTIL <= {_PERCENT_LIMIT})")
    used = by_device_and_pod(f"(DCGM_FI_DEV_FB_USED < {_MIB_LIMIT})")
    return (
        RecordingRule(
            SERIES_UTIL,
            f"{percent} / 100",
            "GPU_UTIL from 0 to 1, with one spelling of labels: of a pod alone, where the exporter tells "
            "pods of a GPU apart",
        ),
        RecordingRule(
            SERIES_USE,
            f"{engine} or on ({KEY}) {SERIES_UTIL}",
            "use from 0 to 1 as the exporter gives it, with one spelling of labels: GR_ENGINE_ACTIVE, else "
            "GPU_UTIL",
        ),
        RecordingRule(SERIES_MEMORY, used, "FB_USED in MiB, with one spelling of labels"),
    )


def _device_rules() -> tuple[RecordingRule, ...]:
    """Joins are by KEY alone, and topk leaves one row a key: two exporters on a node break no rule."""
    seen = f'count by ({DEVICE}) ({{__name__=~"stellwerk:gpu_series:.+",UUID!=""}})'
    info = f"group by ({DEVICE}) (topk by ({KEY}) (1, {seen}))"
    named = '{UUID!="",pod!=""}'
    holds = f"group by ({HOLDER}) ({' or '.join(f'{one}{named}' for one in _SERIES)})"
    free = by_device(f"(DCGM_FI_DEV_FB_FREE < {_MIB_LIMIT})")
    used = f"({_once(SERIES_MEMORY)})"
    return (
        RecordingRule(INFO, info, "1 for each GPU or MIG instance, with node, index, model and profile"),
        RecordingRule(HOLDS, holds, "1 for each pod and GPU or MIG instance that it holds"),
        RecordingRule(
            PODS,
            f"({_named(f'count by ({KEY}) ({HOLDS})')}) or ({INFO} * 0)",
            "pods that hold the GPU or MIG instance; 0: nobody",
        ),
        RecordingRule(
            USE,
            _named(f"clamp_max({_once(SERIES_USE)}, 1)"),
            "use of the GPU or MIG instance, each once: values that pods repeat count once, values per "
            "process are summed",
        ),
        RecordingRule(
            MEMORY,
            _named(f"({used} / ({used} + max by ({KEY}) ({free})))"),
            "FB_USED / (FB_USED + FB_FREE) of the GPU or MIG instance",
        ),
    )


def _once(series: str) -> str:
    """A device's own value; else what its pods repeat; else, where they differ, their sum."""
    repeated = f"(max by ({KEY}) ({series}) == min by ({KEY}) ({series}))"
    return f'max by ({KEY}) ({series}{{pod=""}}) or {repeated} or sum by ({KEY}) ({series})'


def _named(by_key: str) -> str:
    """A value by KEY, with the names of INFO."""
    return f"{INFO} * 0 + on ({KEY}) group_left () ({by_key})"


def _pod_rules(thresholds: Thresholds) -> tuple[RecordingRule, ...]:
    # DCGM_FI_PROF_GR_ENGINE_ACTIVE is the GPU's, which pods repeat; GPU_UTIL is the only one of a pod alone.
    util = f'{SERIES_UTIL}{{pod!=""}}'
    own = f"(max by ({HOLDER}) ({util}) and on ({KEY}) (max by ({KEY}) ({util}) != min by ({KEY}) ({util})))"
    devices = f"({HOLDS} * on ({KEY}) group_left () max by ({KEY}) ({USE}))"
    part = f"/ on ({KEY}) group_left () max by ({KEY}) ({PODS} > 0)"
    return (
        RecordingRule(
            POD_USE,
            f"(({own} or {devices}) * on ({KEY}) group_left ({NAMES}) {INFO})",
            "use that a pod makes of a GPU that it holds: its GPU_UTIL where that differs between the GPU's "
            "pods, else the GPU's use",
        ),
        RecordingRule(
            IDLE_HELD,
            f"({USE} < bool {thresholds.idle_below}) and on ({KEY}) ({PODS} > 0)",
            "of a GPU or MIG instance that a pod holds: 1 if it is used less than --idle-below now, else 0",
        ),
        RecordingRule(
            TEAM_HELD,
            f"sum by (cluster, namespace) ({HOLDS} {part})",
            "GPUs and MIG instances that a namespace holds; one that several pods share is divided equally",
        ),
        RecordingRule(
            TEAM_IDLE,
            f"sum by (cluster, namespace) (({POD_USE} < bool {thresholds.idle_below}) {part})",
            "those of them that its pods use less than --idle-below now",
        ),
        RecordingRule(
            GPU_COST,
            "sum by (cluster, node, currency) (max by (cluster, node, model, term, currency) "
            "(stellwerk_node_cost_per_hour)) / on (cluster, node) group_left () "
            f"count by (cluster, node) ({INFO})",
            "what an hour of one of the node's GPUs or MIG instances costs, where Stellwerk has its price",
        ),
        RecordingRule(
            TEAM_IDLE_COST,
            f"sum by (cluster, namespace, currency) (({POD_USE} < bool {thresholds.idle_below}) {part} * on "
            f"(cluster, node) group_left (currency) {GPU_COST})",
            "what an hour of the GPUs that a namespace holds idle costs, where prices are there",
        ),
    )


def _health_rules() -> tuple[RecordingRule, ...]:
    codes = by_device(f"(DCGM_FI_DEV_XID_ERRORS < {_XID_LIMIT})")
    thermal = by_device("rate(DCGM_FI_DEV_THERMAL_VIOLATION[10m])")
    power = by_device("rate(DCGM_FI_DEV_POWER_VIOLATION[10m])")
    boards = by_device(f"(DCGM_FI_DEV_POWER_USAGE < {_WATT_LIMIT})")
    return (
        RecordingRule(
            XID,
            f'count_values by ({DEVICE}) ("xid", {codes})',
            "1 for each GPU and the last XID that it reported, in the label xid; 0: none",
        ),
        RecordingRule(
            THERMAL, f"{thermal} / 1e9", "part of the last 10 minutes that heat held the clocks down"
        ),
        RecordingRule(
            POWER, f"{power} / 1e9", "part of the last 10 minutes that the power limit held the clocks down"
        ),
        RecordingRule(
            NODE_POWER,
            f"sum by (cluster, node) (max by (cluster, node, UUID) ({boards}))",
            "power that a node's GPUs draw, in W: each board once, also where its MIG instances repeat it",
        ),
    )


def _queue_rules(thresholds: Thresholds) -> tuple[RecordingRule, ...]:
    """Kueue's replicas all report (label replica_role): the largest counts, not the sum."""
    pods = "cluster, namespace, pod"
    gpu_request = 'kube_pod_container_resource_requests{resource=~"nvidia_com_.+"}'
    unschedulable = (
        f"count by (cluster) ({by_pod('kube_pod_status_unschedulable')} == 1 and on ({pods}) "
        f"{by_pod(gpu_request)} > 0)"
    )
    every = _waits("", '{le="+Inf"}')
    # Prometheus 3 writes le="5120.0" for what Prometheus 2 kept as le="5120", and so does OpenMetrics.
    in_time = _waits("", f'{{le=~"{thresholds.wait_border_s}([.]0)?"}}')
    return (
        RecordingRule(
            PENDING,
            "sum by (cluster, cluster_queue) (max by (cluster, cluster_queue, status) "
            "(kueue_pending_workloads))",
            "workloads that wait in a ClusterQueue, active and inadmissible",
        ),
        RecordingRule(
            WAITING,
            f"(sum by (cluster) ({PENDING}) > 0) or {unschedulable} or (sum by (cluster) ({PENDING}))",
            "workloads that wait (Kueue), else pods with GPUs that no node takes (kube-state-metrics)",
        ),
        RecordingRule(
            WAIT,
            f"histogram_quantile(0.95, {_waits('le', '')})",
            "wait of 95 % of the workloads that a ClusterQueue admitted in the last hour, in seconds",
        ),
        RecordingRule(
            WAIT_LATE,
            f"({every} - {in_time}) / {every}",
            "part of the workloads that a ClusterQueue admitted in the last hour that waited longer than "
            "--wait-target and the next border of Kueue's histogram",
        ),
    )


def _waits(label: str, selector: str) -> str:
    """Admissions a second of each ClusterQueue, by the label too, from the chosen buckets."""
    kept = ", ".join(filter(None, ("cluster", "cluster_queue", label)))
    return f"sum by ({kept}) (rate(kueue_admission_wait_time_seconds_bucket{selector}[1h]))"

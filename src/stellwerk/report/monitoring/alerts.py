"""Alert rules: what each means, when it fires, and the next command."""

from msgspec import Struct

from stellwerk.catalog.published.xid import xids
from stellwerk.report.monitoring.labels import DEVICE, KEY, by_node
from stellwerk.report.monitoring.recording import (
    GPU_COST,
    HOLDS,
    MEMORY,
    PENDING,
    POD_USE,
    PODS,
    POWER,
    THERMAL,
    USE,
    WAIT_LATE,
    WAITING,
    XID,
)
from stellwerk.report.monitoring.thresholds import Thresholds, promql_duration

CRITICAL, WARNING, INFO_SEVERITY = "critical", "warning", "info"
_GPU = "GPU {{ $labels.gpu }} of {{ $labels.node }}"
_SLICE = (
    "{{ with $labels.GPU_I_PROFILE }}, MIG instance {{ $labels.GPU_I_ID }} ({{ . }}){{ end }}"
    "{{ with $labels.modelName }}, {{ . }}{{ end }}"
)
_PERCENT = "{{ $value | humanizePercentage }}"
_COST = (
    f'{{{{ range printf "{GPU_COST}{{node=%q}}" $labels.node | query }}}} An hour of it costs '
    '{{ printf "%.2f" .Value }} {{ .Labels.currency }}.{{ end }}'
)


class AlertRule(Struct, frozen=True, kw_only=True):
    """`wait_s` is how long `expr` must hold (0: at once); `next_step` says what to do, with a command."""

    alert: str
    expr: str
    wait_s: int
    severity: str
    summary: str
    description: str
    next_step: str


def alert_rules(thresholds: Thresholds) -> tuple[AlertRule, ...]:
    """Of money first, then of GPUs, of queues, and of the measurement itself."""
    return (
        _idle_held(thresholds),
        _memory_pressure(),
        *_throttling(),
        *_xid(),
        _stranded(),
        *_waits(thresholds),
        *_measurement(),
    )


def _idle_held(thresholds: Thresholds) -> AlertRule:
    percent, after = f"{thresholds.idle_below_percent:f}", promql_duration(thresholds.idle_after_s)
    return AlertRule(
        alert="StellwerkGpuIdleHeld",
        expr=f"{POD_USE} < {thresholds.idle_below}",
        wait_s=thresholds.idle_after_s,
        severity=WARNING,
        summary="Pod {{ $labels.namespace }}/{{ $labels.pod }} holds a GPU and does not use it",
        description=f"{_GPU}{_SLICE}: use {_PERCENT}, below {percent} % for {after} at least. Nobody else "
        "can have it. The bill of the namespace counts this time as idle-held." + _COST,
        next_step="stellwerk advise --prometheus URL says who should share and what that saves; stellwerk "
        "bill --prometheus URL --by workload says what it costs.",
    )


def _memory_pressure() -> AlertRule:
    shared = f"({MEMORY} and on ({KEY}) ({PODS} > 1))"
    return AlertRule(
        alert="StellwerkSliceMemoryPressure",
        expr=f'({MEMORY}{{GPU_I_ID!=""}} or {shared}) > 0.95',
        wait_s=600,
        severity=WARNING,
        summary="Memory of a slice or shared GPU is nearly full on {{ $labels.node }}",
        description=f"{_GPU}{_SLICE}: {_PERCENT} of its memory is used. The next allocation may fail, and "
        "on a GPU shared without limits it fails for whoever asks next.",
        next_step="stellwerk fit CONFIG says what the model needs; stellwerk partition -f PATH --fleet FLEET "
        "plans a larger slice.",
    )


def _throttling() -> tuple[AlertRule, ...]:
    """Short power capping is how a GPU finds its clock, so only lasting one is told, and as information."""
    return (
        AlertRule(
            alert="StellwerkGpuThermalThrottling",
            expr=f"{THERMAL} > 0.05",
            wait_s=900,
            severity=WARNING,
            summary="Heat holds down the clocks of a GPU of {{ $labels.node }}",
            description=f"{_GPU}{_SLICE}: {_PERCENT} of the time (DCGM_FI_DEV_THERMAL_VIOLATION). Jobs on "
            "it take longer at the same price.",
            next_step="Check cooling and inlet temperature, and cordon the node if it lasts; stellwerk "
            "whatif --prometheus URL replays the measured jobs.",
        ),
        AlertRule(
            alert="StellwerkGpuPowerThrottling",
            expr=f"{POWER} > 0.5",
            wait_s=3_600,
            severity=INFO_SEVERITY,
            summary="The power limit holds down the clocks of a GPU of {{ $labels.node }}",
            description=f"{_GPU}{_SLICE}: {_PERCENT} of the time (DCGM_FI_DEV_POWER_VIOLATION). Under full "
            "load that is usual, with a limit below the board's default it is a choice.",
            next_step="Compare the limit with the board's default (nvidia-smi -q -d POWER); stellwerk bill "
            "--prometheus URL shows the energy.",
        ),
    )


def _xid() -> tuple[AlertRule, ...]:
    """Severity by NVIDIA's XID catalog (catalog/data/xid.json); a code that it does not list is a warning."""
    lost = "|".join(str(xid.code) for xid in xids() if xid.device_lost)
    quiet = "|".join(["0", *(str(xid.code) for xid in xids() if xid.quiet)])
    return (
        AlertRule(
            alert="StellwerkGpuXidCritical",
            expr=f'{XID}{{xid=~"{lost}"}}',
            wait_s=0,
            severity=CRITICAL,
            summary="XID {{ $labels.xid }}: a GPU of {{ $labels.node }} must be reset or serviced",
            description=f"{_GPU}{_SLICE} reported XID {{{{ $labels.xid }}}}. NVIDIA's XID catalog asks for "
            "a reset, a restart of the node or service. The alert lasts until the driver reports another XID "
            "or starts anew.",
            next_step="kubectl cordon the node, drain the GPU and reset it; then stellwerk partition -f PATH "
            "--fleet FLEET plans without it.",
        ),
        AlertRule(
            alert="StellwerkGpuXid",
            expr=f'{XID}{{xid!~"{quiet}|{lost}"}} unless on ({DEVICE}, xid) ({XID} offset 1h)',
            wait_s=0,
            severity=WARNING,
            summary="XID {{ $labels.xid }} on {{ $labels.node }}: an application failed on its GPU",
            description=f"{_GPU}{_SLICE} reported XID {{{{ $labels.xid }}}} in the last hour. By NVIDIA's "
            "XID catalog the application is restarted, and the GPU goes on; or the catalog does not list the "
            "code.",
            next_step="Look at the pod's log, and at kubectl describe pod; stellwerk usage --prometheus URL "
            "says which pod had the GPU.",
        ),
    )


def _stranded() -> AlertRule:
    """Only where some pod is named in the cluster: else nobody knows who holds what."""
    named = f"count by (cluster) ({HOLDS})"
    waits = f"{WAITING} > 0"
    return AlertRule(
        alert="StellwerkSliceStranded",
        expr=f'({PODS}{{GPU_I_ID!=""}} == 0) and on (cluster) ({waits}) and on (cluster) ({named})',
        wait_s=7_200,
        severity=WARNING,
        summary="A MIG instance of {{ $labels.node }} serves nobody while workloads wait",
        description=f"{_GPU}{_SLICE}: no pod has held it for 2 hours, and workloads wait. Those that wait "
        "need another profile, or are not allowed here.",
        next_step="stellwerk partition -f PATH --fleet FLEET plans layouts for what waits; stellwerk why JOB "
        "-f PATH says what a job waits for.",
    )


def _waits(thresholds: Thresholds) -> tuple[AlertRule, ...]:
    target = promql_duration(thresholds.wait_target_s)
    border = promql_duration(thresholds.wait_border_s)
    admitted = f"sum by (cluster, cluster_queue) (increase(kueue_admitted_workloads_total[{target}])) > 0"
    return (
        AlertRule(
            alert="StellwerkQueueWaitAboveTarget",
            expr=f"{WAIT_LATE} > 0.05",
            wait_s=900,
            severity=WARNING,
            summary="ClusterQueue {{ $labels.cluster_queue }}: workloads wait longer than " + target,
            description=f"{_PERCENT} of the workloads that were admitted in the last hour waited longer than "
            f"{border}, the border of Kueue's histogram that is next to the target of {target}.",
            next_step="stellwerk simulate -f PATH --with FILE shows the same jobs under another quota, "
            "cohort or weight.",
        ),
        AlertRule(
            alert="StellwerkQueueStuck",
            expr=f"({PENDING} > 0) unless on (cluster, cluster_queue) ({admitted})",
            wait_s=thresholds.wait_target_s,
            severity=WARNING,
            summary="ClusterQueue {{ $labels.cluster_queue }}: workloads wait, and none was admitted for "
            + target,
            description="{{ $value }} workloads are pending. A wait counts in Kueue's histogram only when it "
            "ends, so the other alert cannot see these.",
            next_step="stellwerk why JOB -f PATH says what a job waits for.",
        ),
    )


def _measurement() -> tuple[AlertRule, ...]:
    """What would make a wrong bill. A node that left is no fault, where kube-state-metrics tells."""
    seen = f"group by (cluster, node) (last_over_time({PODS}[1d]))"
    gone = f"({seen} unless on (cluster, node) {PODS})"
    node = by_node("kube_node_info")
    alive = f"({gone} and on (cluster, node) {node}) or ({gone} unless on (cluster) {node})"
    return (
        AlertRule(
            alert="StellwerkExporterDown",
            expr='up{job=~".*dcgm-exporter.*"} == 0',
            wait_s=600,
            severity=WARNING,
            summary="The DCGM exporter at {{ $labels.instance }} does not answer",
            description="Its GPUs are not measured. A bill has a hole there: who held them is unknown.",
            next_step="Look at the exporter's log; stellwerk usage --prometheus URL names the holes.",
        ),
        AlertRule(
            alert="StellwerkGpuSeriesGone",
            expr=alive,
            wait_s=600,
            severity=WARNING,
            summary="GPUs of {{ $labels.node }} are not measured any more",
            description="The node had GPU series within the last day, has none now, and is still in the "
            "cluster.",
            next_step="Look at the node's exporter and its target; stellwerk usage --prometheus URL names "
            "the holes.",
        ),
        AlertRule(
            alert="StellwerkGpuUsedByNoPod",
            expr=f"({USE} > 0.1) and on ({KEY}) ({PODS} == 0)",
            wait_s=900,
            severity=WARNING,
            summary="A GPU of {{ $labels.node }} is used, and no pod is named",
            description=f"{_GPU}{_SLICE}: use {_PERCENT}, and no series has a pod. Either the exporter does "
            "not map pods (DCGM_EXPORTER_KUBERNETES, the kubelet's socket, kubernetesDRA), or something "
            "outside Kubernetes uses it. A bill would give this time to nobody.",
            next_step="Check the exporter's values (stellwerk export monitoring -o DIR writes them); "
            "stellwerk usage --prometheus URL says which pods were named.",
        ),
    )

"""What the dashboard shows: rows of panels with their queries."""

from stellwerk.report.monitoring.labels import KEY
from stellwerk.report.monitoring.panels import Panel, Query, Row
from stellwerk.report.monitoring.recording import (
    IDLE_HELD,
    INFO,
    MEMORY,
    NODE_POWER,
    PENDING,
    POD_USE,
    PODS,
    POWER,
    TEAM_HELD,
    TEAM_IDLE,
    TEAM_IDLE_COST,
    THERMAL,
    USE,
    WAIT,
    WAITING,
    XID,
)

CLUSTER = 'cluster=~"$cluster"'
DEVICES = f'{{{CLUSTER},node=~"$node"}}'
TEAMS = f'{{{CLUSTER},namespace=~"$namespace"}}'
QUEUES = f"{{{CLUSTER}}}"
_GPU = "{{node}} GPU {{gpu}} {{GPU_I_PROFILE}} {{GPU_I_ID}}"
# Recording rules run once a minute: a sum of their values over minutes is hours times 60.
_HOURS = "[$__range]) / 60"


def views() -> tuple[Row, ...]:
    """From what costs money now to whether the figures can be trusted."""
    return (_now(), _use(), _waste(), _money(), _memory(), _queues(), _faults(), _measurement())


def _now() -> Row:
    used_by_nobody = f"count(({USE}{DEVICES} > 0.1) and on ({KEY}) ({PODS}{DEVICES} == 0)) or vector(0)"
    return Row(
        "Now",
        (
            _stat("GPUs and MIG instances", f"count({INFO}{DEVICES})", "What is measured now."),
            _stat("Held", f"count({PODS}{DEVICES} > 0) or vector(0)", "A pod has it, alone or with others."),
            _stat(
                "Use of what is held",
                f"avg({USE}{DEVICES} and on ({KEY}) ({PODS}{DEVICES} > 0))",
                "Mean of all that a pod holds, each GPU once.",
                "percentunit",
            ),
            _stat(
                "Held and idle",
                f"sum({IDLE_HELD}{DEVICES}) or vector(0)",
                "Held, used less than --idle-below.",
            ),
            _stat("Waiting", f"sum({WAITING}{QUEUES}) or vector(0)", "Workloads, or pods without Kueue."),
            _stat(
                "Used by no pod", used_by_nobody, "Above 0 a bill would be wrong: see the alert of that name."
            ),
        ),
    )


def _use() -> Row:
    return Row(
        "Use",
        (
            _lines(
                "Use by GPU", Query(f"{USE}{DEVICES}", _GPU), "Each GPU or MIG instance once.", "percentunit"
            ),
            _lines(
                "Use by team",
                Query(f"avg by (namespace) ({POD_USE}{TEAMS})", "{{namespace}}"),
                "Mean over the GPUs that its pods hold; a GPU whose values pods repeat counts for each of "
                "them.",
                "percentunit",
            ),
            _lines(
                "GPUs held by team",
                Query(f"sum by (namespace) ({TEAM_HELD}{TEAMS})", "{{namespace}}"),
                "GPUs and MIG instances; one that pods share is divided equally.",
            ),
            _lines(
                "Power by node",
                Query(f"sum by (node) ({NODE_POWER}{DEVICES})", "{{node}}"),
                "Each board once, also where MIG instances repeat it.",
                "watt",
            ),
        ),
    )


def _waste() -> Row:
    idle = f"sum by (namespace) (sum_over_time({TEAM_IDLE}{TEAMS}{_HOURS})"
    held = f"sum by (namespace) (sum_over_time({TEAM_HELD}{TEAMS}{_HOURS})"
    return Row(
        "Idle-held",
        (
            _lines(
                "Held and idle by team",
                Query(f"sum by (namespace) ({TEAM_IDLE}{TEAMS})", "{{namespace}}"),
                "GPUs that pods hold and use less than --idle-below.",
            ),
            _bars(
                "Idle-held GPU-hours in the time shown",
                Query(idle, "{{namespace}}"),
                "Minutes counted, so a hole in the data is no hour of anybody. A MIG instance counts as one. "
                "The bill counts only pauses of --idle-after and longer, and by cost.",
            ),
            _bars("Held GPU-hours in the time shown", Query(held, "{{namespace}}"), "Counted the same way."),
        ),
    )


def _money() -> Row:
    """Stellwerk's own /metrics (docs/reference/exporter.md); without them these panels are empty."""
    spent = f"sum by (team, cause, currency) (increase(stellwerk_cost_total{QUEUES}[$__range]))"
    # The demand's own time goes by --speed times as fast as the database's.
    speed = "/ on () group_left () max(stellwerk_shown_speed_ratio)"
    month = f"sum by (team, currency) (rate(stellwerk_cost_total{QUEUES}[1h])) * 3600 * 730 {speed}"
    decided = f"sum by (decision) (increase(stellwerk_decisions_total{QUEUES}[1h])) {speed}"
    policies = f"max by (policy, fleet, currency) (stellwerk_policy_month_cost{QUEUES})"
    return Row(
        "Money and decisions (Stellwerk's /metrics)",
        (
            _lines(
                "Cost of held and idle GPUs, per hour",
                Query(
                    f"sum by (namespace, currency) ({TEAM_IDLE_COST}{TEAMS})", "{{namespace}} {{currency}}"
                ),
                "Idle GPUs of a team by what their node costs.",
            ),
            _bars(
                "Cost in the time shown",
                Query(spent, "{{team}} {{cause}} {{currency}}"),
                "By team and cause; what nobody held is idle. Of the demand that Stellwerk plays.",
            ),
            _bars(
                "Cost of a month by policy",
                Query(policies, "{{policy}} {{fleet}} {{currency}}"),
                "730 hours of each policy's fleet, as the report has it.",
            ),
            _lines(
                "Cost of a month at this rate, to hold a budget against",
                Query(month, "{{team}} {{currency}}"),
                "The last hour times 730. Stellwerk knows no budgets yet, so there is no line to cross.",
            ),
            _lines(
                "Decisions in an hour of the demand",
                Query(decided, "{{decision}}"),
                "Jobs started, finished, interrupted, refused; the mean over the hour before.",
            ),
        ),
    )


def _memory() -> Row:
    return Row(
        "Memory",
        (
            _lines(
                "Memory in use",
                Query(f"{MEMORY}{DEVICES}", _GPU),
                "FB_USED / (FB_USED + FB_FREE) of each GPU or MIG instance.",
                "percentunit",
            ),
            _lines("Pods on a GPU", Query(f"{PODS}{DEVICES}", _GPU), "Above 1 it is shared; 0 is free."),
        ),
    )


def _queues() -> Row:
    waits = f"sum by (cluster_queue, le) (rate(kueue_admission_wait_time_seconds_bucket{QUEUES}[1h]))"
    admitted = f"sum by (cluster_queue) (increase(kueue_admitted_workloads_total{QUEUES}[1h]))"
    quota = (
        f"sum by (cluster_queue, resource) (max by (cluster, cluster_queue, flavor, resource) (%s{QUEUES}))"
    )
    used, nominal = (quota % f"kueue_cluster_queue_{name}" for name in ("resource_usage", "nominal_quota"))
    return Row(
        "Queues (Kueue)",
        (
            _lines(
                "Pending workloads",
                Query(f"sum by (cluster_queue) ({PENDING}{QUEUES})", "{{cluster_queue}}"),
                "Active and inadmissible.",
            ),
            Panel(
                title="Wait until admission",
                kind="timeseries",
                unit="s",
                queries=(
                    Query(f"histogram_quantile(0.5, {waits})", "{{cluster_queue}} half"),
                    Query(f"max by (cluster_queue) ({WAIT}{QUEUES})", "{{cluster_queue}} 95 %"),
                ),
                description="Of workloads admitted in the hour before. Who still waits is not in it.",
            ),
            _lines(
                "Admitted in the hour before",
                Query(admitted, "{{cluster_queue}}"),
                "Workloads that got quota.",
            ),
            _lines(
                "Quota in use",
                Query(f"{used} / ({nominal} > 0)", "{{cluster_queue}} {{resource}}"),
                "Needs metrics.enableClusterQueueResources in Kueue's Configuration. Above 100 %: borrowed.",
                "percentunit",
            ),
        ),
    )


def _faults() -> Row:
    return Row(
        "Faults and clocks",
        (
            Panel(
                title="XID errors",
                kind="table",
                queries=(
                    Query(f'max by (node, gpu, modelName, xid) ({XID}{{{CLUSTER},node=~"$node",xid!="0"}})'),
                ),
                description="The last XID that each GPU reported.",
            ),
            Panel(
                title="Clocks held down",
                kind="timeseries",
                unit="percentunit",
                queries=(
                    Query(f"{THERMAL}{DEVICES} > 0", f"{_GPU} heat"),
                    Query(f"{POWER}{DEVICES} > 0", f"{_GPU} power limit"),
                ),
                description="Part of the last 10 minutes.",
            ),
        ),
    )


def _measurement() -> Row:
    return Row(
        "Measurement",
        (
            _lines(
                "Exporters that answer",
                Query('sum by (job) (up{job=~".*dcgm-exporter.*"})', "{{job}}"),
                "DCGM exporters that were scraped.",
            ),
            _lines(
                "GPUs measured by node",
                Query(f"count by (node) ({INFO}{DEVICES})", "{{node}}"),
                "A step down is a GPU that is not measured any more.",
            ),
        ),
    )


def _stat(title: str, expr: str, description: str, unit: str = "short") -> Panel:
    return Panel(
        title=title,
        kind="stat",
        queries=(Query(expr),),
        description=description,
        unit=unit,
        width=4,
        height=4,
    )


def _lines(title: str, query: Query, description: str, unit: str = "short") -> Panel:
    most = 1 if unit == "percentunit" else None
    return Panel(
        title=title, kind="timeseries", queries=(query,), description=description, unit=unit, most=most
    )


def _bars(title: str, query: Query, description: str) -> Panel:
    return Panel(
        title=title, kind="bargauge", queries=(query,), description=description, unit="none", decimals=1
    )

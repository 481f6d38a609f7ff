"""Every metric that Stellwerk exposes: those of others as the catalog has them, and its own.

Our own follow Prometheus' rules for names (https://prometheus.io/docs/practices/naming/): base units, and
`_total` on what only grows. Money has the label `currency`, since a fleet's currency is an input.
"""

from collections.abc import Mapping
from functools import cache

from stellwerk.adapters.metrics.family import Metric
from stellwerk.catalog.dcgm import dcgm_exporter
from stellwerk.catalog.series.kubernetes import SeriesFacts, kube_state_series, kueue_series
from stellwerk.engine.usage import FB_USED, GR_ENGINE, UTIL

FB_FREE = "DCGM_FI_DEV_FB_FREE"
DEVICE_METRICS = (UTIL, GR_ENGINE, FB_USED, FB_FREE)
# Of the exporter's labels those that a simulated GPU has: no PCI bus id, no driver.
DEVICE_LABELS = ("gpu", "UUID", "device", "modelName", "GPU_I_PROFILE", "GPU_I_ID", "Hostname")
HOLDER_LABELS = ("namespace", "pod", "container")
_UNITS = {"%": "percent", "ratio 0-1": "ratio"}


def _own(name: str, labels: tuple[str, ...], unit: str, meaning: str) -> Metric:
    kind = "counter" if name.endswith("_total") else "gauge"
    return Metric(name=f"stellwerk_{name}", kind=kind, labels=labels, help=meaning, unit=unit)  # type: ignore[arg-type]


_RUN = ("policy", "fleet", "slowdown")
OWN = (
    _own("build_info", ("version",), "", "1, with Stellwerk's version."),
    _own("replay_done", (), "", "1 when every policy was replayed, else 0."),
    _own("replay_failed", (), "", "1 when the replay ended with an error, else 0."),
    _own("replay_steps_done", (), "", "Steps of the replay that are done."),
    _own("replay_steps_planned", (), "", "Steps that the replay has."),
    _own("shown_policy_info", ("policy", "slowdown"), "", "1, with the policy whose run is shown."),
    _own("shown_time_seconds", (), "seconds", "The moment of the demand that is shown, since 1970."),
    _own("shown_speed_ratio", (), "ratio", "How many times as fast as the clock the demand is shown."),
    _own("shown_rounds_total", (), "", "How often the demand was shown to its end, and began again."),
    _own("node_up", ("node",), "", "1 while the node is there, 0 while it is lost."),
    _own(
        "decisions_total",
        ("team", "decision"),
        "",
        "Jobs that were started, finished, interrupted or refused.",
    ),
    _own("gpu_held_seconds_total", ("team",), "seconds", "GPU-time that a team's jobs held."),
    _own("gpu_paid_seconds_total", (), "seconds", "GPU-time of the fleet, held or not."),
    _own(
        "cost_total",
        ("team", "cause", "currency"),
        "currency",
        "Cost so far: a team's for what it held, or idle.",
    ),
    _own(
        "node_cost_per_hour",
        ("node", "model", "term", "currency"),
        "currency",
        "What an hour of the node costs, by term: rent, depreciation, energy and others.",
    ),
    _own("policy_recommended", ("policy",), "", "1 for the policy that the report recommends, else 0."),
    _own(
        "policy_gpus",
        ("policy", "fleet"),
        "",
        "GPUs of the fleet: declared, or smallest that holds the wait.",
    ),
    _own(
        "policy_month_cost",
        ("policy", "fleet", "currency"),
        "currency",
        "What that fleet costs in 730 hours.",
    ),
    _own(
        "policy_month_saving",
        ("policy", "currency"),
        "currency",
        "What the policy's smallest fleet saves in 730 hours against the declared fleet with whole GPUs.",
    ),
    _own(
        "policy_wait_seconds", (*_RUN, "percentile"), "seconds", "From arrival to first start, nearest rank."
    ),
    _own("policy_jobs", (*_RUN, "state"), "", "Jobs at the end of the period, by what became of them."),
    _own("policy_gpu_seconds", (*_RUN, "part"), "seconds", "GPU-time of the period: paid, held, used."),
)


@cache
def device_metrics() -> tuple[Metric, ...]:
    """DCGM exporter's metrics that a simulated GPU has."""
    exporter = dcgm_exporter()
    known = {metric.name: metric for metric in exporter.metrics}
    return tuple(
        Metric(
            name=name,
            kind="gauge",
            labels=(*DEVICE_LABELS, *HOLDER_LABELS),
            help=f"{known[name].meaning} ({known[name].unit})",
            unit=_UNITS.get(known[name].unit, known[name].unit),
            source="DCGM exporter",
        )
        for name in DEVICE_METRICS
    )


@cache
def pod_metrics() -> tuple[Metric, ...]:
    """kube-state-metrics' metrics of a simulated pod: without uid and node, as nothing reads them."""
    units = {"kube_pod_start_time": "seconds", "kube_pod_completion_time": "seconds"}
    return _of_others(kube_state_series(), "kube-state-metrics", ("uid", "node"), units)


@cache
def queue_metrics() -> tuple[Metric, ...]:
    """Kueue's metrics of a simulated fleet's queue."""
    return _of_others(kueue_series(), "Kueue", (), {})


@cache
def all_metrics() -> tuple[Metric, ...]:
    """Every metric, in the order of the text; the process's own figures come from its library."""
    return (*OWN, *device_metrics(), *pod_metrics(), *queue_metrics())


def _of_others(
    facts: SeriesFacts, source: str, without: tuple[str, ...], units: Mapping[str, str]
) -> tuple[Metric, ...]:
    return tuple(
        Metric(
            name=fact.name,
            kind=fact.kind,
            labels=tuple(label for label in fact.labels if label not in without),
            help=f"{fact.meaning}.",
            unit=units.get(fact.name, ""),
            source=source,
        )
        for fact in facts.metrics
    )

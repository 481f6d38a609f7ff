"""Measured series without names: the same values and times, numbers for names, what verdicts need kept.

Names become numbers in their old order, of one length, because ties end in a name: so nothing is decided
otherwise. A label that is not known here is left out: its name alone may tell something.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from stellwerk.engine.joining.devices import PREFIX
from stellwerk.engine.joining.identity import (
    CONTAINER_LABELS,
    NAMESPACE_LABELS,
    NODE_LABELS,
    POD_LABELS,
    exporters_of,
    pod_name,
)
from stellwerk.engine.joining.series import Series

# Label -> whose name it is. Of the exporter, of kube-state-metrics, and as Prometheus renames them. A
# workload is named by its owner or its pod: their numbers are of one row.
NAMES: Mapping[str, str] = {
    label: whose
    for whose, labels in (
        ("node", (*NODE_LABELS, "exported_node")),
        ("team", NAMESPACE_LABELS),
        ("name", (*POD_LABELS, "owner_name", "created_by_name", "replicaset", "exported_replicaset")),
        ("name", ("job_name", "exported_job_name")),
        ("container", CONTAINER_LABELS),
        ("gpu", ("UUID", "uuid", "gpu_uuid")),
        ("uid", ("pod_uid",)),
        ("claim", ("dra_claim_name",)),
        ("instance", ("dra_mig_device_uuid",)),
    )
    for label in labels
}
# Labels whose values name nothing: what a device is, what is asked for, what kind an owner is.
KEPT = frozenset(
    (
        *("gpu", "minor_number", "device", "modelName", "model_name", "nvlink", "vgpu"),
        *("GPU_I_PROFILE", "GPU_I_ID", "dra_mig_profile"),
        *("resource", "unit", "owner_kind", "created_by_kind"),
    )
)
GUARDS = "stellwerk_dev_"  # stellwerk.dev/workload-kind, isolation, whole-gpu, latency-objective.
EXPORTER = "dcgm-exporter"  # Its pod holds no GPU, which its name tells: that stays.


def anonymous_series(series: Sequence[Series]) -> dict[str, Any]:
    """An answer of Prometheus' /api/v1/query_range, as plain data."""
    numbers = _numbers(series)
    matrix: list[dict[str, Any]] = [
        {
            "metric": {"__name__": each.metric} | _labels(each.labels, numbers),
            "values": [
                [_seconds(time), _value(value)]
                for time, value in zip(each.times_ms, each.values_milli, strict=True)
            ],
        }
        for each in series
        if each.metric.startswith(("DCGM_", "kube_"))
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": matrix}}


def _labels(labels: Mapping[str, str], numbers: Mapping[tuple[str, str], str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for label, value in labels.items():
        if label in NAMES:
            kept[label] = numbers.get((NAMES[label], _bare(label, value)), value)
        elif label in KEPT or label.removeprefix("label_").startswith(GUARDS):
            kept[label] = value
    return kept


def _numbers(series: Sequence[Series]) -> dict[tuple[str, str], str]:
    """(whose, name) -> its number among all such names, by the order that "name/" has in namespace/pod."""
    exporters = exporters_of(each.labels for each in series if each.metric.startswith(PREFIX))
    found: dict[str, set[str]] = {}
    for each in series:
        for label, value in each.labels.items():
            if label in NAMES and value not in ("", "<none>"):
                found.setdefault(NAMES[label], set()).add(_bare(label, value))
    own = {each.labels.get("pod", "") for each in series if _is_own_pod(each, exporters)}
    numbers: dict[tuple[str, str], str] = {}
    for whose, names in found.items():
        digits = len(str(len(names)))
        for number, name in enumerate(sorted(names, key=lambda name: (f"{name}/", name)), 1):
            exporter = f"-{EXPORTER}" if whose == "name" and (EXPORTER in name or name in own) else ""
            numbers[whose, name] = f"{whose}-{number:0{digits}d}{exporter}"
    return numbers


def _is_own_pod(series: Series, exporters: Collection[tuple[str, str]]) -> bool:
    """Whether its `pod` is the exporter's own, whatever that is called: its number says so as well."""
    if not series.metric.startswith(PREFIX):
        return False
    return bool(series.labels.get("exported_pod")) or not pod_name(series.labels, exporters)


def _bare(label: str, value: str) -> str:
    """An instance's address without its port is its node."""
    return value.rpartition(":")[0] or value if label == "instance" else value


def _seconds(time_ms: int) -> int | float:
    """Seconds, in full where they are; thousandths are exact in a double's shortest text."""
    return time_ms // 1000 if time_ms % 1000 == 0 else time_ms / 1000


def _value(milli: int) -> str:
    whole, rest = divmod(milli, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)

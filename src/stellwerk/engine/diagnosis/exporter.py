"""What DCGM exporter gives, what each missing field costs, and how its labels are spelled."""

from collections.abc import Iterator, Mapping

from stellwerk.catalog.dcgm import HOSTNAME_LABELS
from stellwerk.engine.diagnosis.database import days_since
from stellwerk.engine.diagnosis.devices import (
    Device,
    devices_of,
    interval_ms,
    labels_seen,
    renamed,
    without,
)
from stellwerk.engine.diagnosis.facts import Facts
from stellwerk.engine.diagnosis.findings import Finding, finding, named
from stellwerk.engine.joining.gaps import ENERGY
from stellwerk.engine.joining.identity import NODE_LABELS, catalog_model, clusters_of
from stellwerk.engine.usage import (
    DRAM_ACTIVE,
    FB_USED,
    GR_ENGINE,
    NVLINK,
    POWER,
    SM_ACTIVE,
    TENSOR,
    UTIL,
)

# What of the exporter the last minutes of are looked at: labels and values of each device.
SAMPLED = (UTIL, GR_ENGINE, FB_USED)
# What the alert rules read beside the fields that the verbs read.
ALERTED = (
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_XID_ERRORS",
    "DCGM_FI_DEV_THERMAL_VIOLATION",
    "DCGM_FI_DEV_POWER_VIOLATION",
)
COMPUTE = (SM_ACTIVE, GR_ENGINE, UTIL)
# Code -> the fields that it is about: it is found where none of them is there, for `alerts-missing` any.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "compute-missing": COMPUTE,
    "memory-missing": (FB_USED,),
    "bandwidth-missing": (DRAM_ACTIVE,),
    "tensor-missing": (TENSOR,),
    "nvlink-missing": (NVLINK,),
    "power-missing": (POWER,),
    "energy-missing": (ENERGY,),
}
_DRIVER = "DCGM_FI_DRIVER_VERSION"


def exporter_findings(facts: Facts) -> Iterator[Finding]:
    """Of DCGM exporter; only one where there are no series of GPUs."""
    if facts.history.newest_ms is None:
        yield finding("history-none", SAMPLED, days=days_since(facts.history, facts.history.start_ms))
        return
    devices = devices_of(facts.samples)
    yield finding(
        "gpus-measured",
        gpus=len(devices),
        nodes=len({device.labels.node for device in devices.values()}),
        fields=len(facts.fields),
        seconds=(interval_ms(facts.samples) or 0) // 1000,
    )
    if drivers := labels_seen(facts.samples, _DRIVER):
        yield finding("driver-known", version=str(named(drivers)["names"]))
    yield from _fields(facts)
    yield from _pods(facts, devices)
    yield from _labels(facts, devices)
    yield from _values(devices)


def _fields(facts: Facts) -> Iterator[Finding]:
    for code, metrics in FIELDS.items():
        if not any(metric in facts.fields for metric in metrics):
            yield finding(code, metrics)
    if UTIL in facts.fields and not {SM_ACTIVE, GR_ENGINE} & set(facts.fields):
        yield finding("profiling-missing", (SM_ACTIVE, GR_ENGINE))
    if lacking := tuple(metric for metric in ALERTED if metric not in facts.fields):
        yield finding("alerts-missing", lacking)


def _pods(facts: Facts, devices: Mapping[str, Device]) -> Iterator[Finding]:
    pods = {pod for device in devices.values() for pod in device.pods}
    if renamed(facts.samples):
        yield finding("labels-renamed")
    if clusters := clusters_of(series.labels for series in facts.samples):
        yield finding("clusters-merged", **named(clusters))
    if not pods:
        # A cluster in which no pod has a GPU now looks alike; kube-state-metrics tells them apart.
        if facts.cluster.running or not facts.cluster.series:
            yield finding("pods-missing")
        return
    unnamed = set(facts.cluster.running) - pods
    if unnamed:
        yield finding("pods-unnamed", count=len(facts.cluster.running), **named(unnamed))
    if repeated := [key for key, device in devices.items() if device.repeated]:
        yield finding("pods-repeated", **named(repeated))
    if blind := [key for key, device in devices.items() if device.blind]:
        yield finding("pods-zero", (UTIL,), **named(blind))
    if split := sum(device.split for device in devices.values()):
        yield finding("pods-split", things=split)


def _labels(facts: Facts, devices: Mapping[str, Device]) -> Iterator[Finding]:
    if all(labels_seen(facts.samples, label) for label in HOSTNAME_LABELS):
        yield finding("hostname-mixed")
    if lacking := without(devices, NODE_LABELS[:-1], facts.samples):
        yield finding("node-unnamed", **named(lacking))
    if lacking := {key for key, device in devices.items() if not device.labels.uuid}:
        yield finding("uuid-missing", **named(lacking))
    if lacking := {key for key, device in devices.items() if not device.labels.model}:
        yield finding("model-missing", **named(lacking))
    models = {device.labels.model for device in devices.values() if device.labels.model}
    if unknown := {model for model in models if not catalog_model(model)[1]}:
        yield finding("model-unknown", **named(unknown))


def _values(devices: Mapping[str, Device]) -> Iterator[Finding]:
    instances = {key: device for key, device in devices.items() if device.labels.instance}
    if lacking := {key for key, device in instances.items() if GR_ENGINE not in device.metrics}:
        yield finding("mig-compute", (GR_ENGINE,), **named(lacking))
    if blank := {key for key, device in devices.items() if device.blank}:
        yield finding("values-blank", **named(blank))

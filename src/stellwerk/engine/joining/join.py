"""Join series to devices and pods: the one entry of this folder."""

from array import array
from collections.abc import Iterable, Sequence

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.dcgm import dcgm_exporter
from stellwerk.engine.joining import devices, objects
from stellwerk.engine.joining.attribution import Attributed, attribute
from stellwerk.engine.joining.clocks import note_clock_jumps
from stellwerk.engine.joining.cluster import KUEUE_PREFIX, cluster_of
from stellwerk.engine.joining.devices import Device, known_model, scraped
from stellwerk.engine.joining.gaps import ENERGY, count_resets, gaps_within, holes_of, median_step
from stellwerk.engine.joining.identity import clusters_of
from stellwerk.engine.joining.objects import pod_objects
from stellwerk.engine.joining.pods import Joined, pods_of
from stellwerk.engine.joining.series import Findings, Series, union
from stellwerk.engine.joining.warnings import warnings_of
from stellwerk.engine.usage import DeviceUse, Usage


class _Scrapes(Struct, frozen=True):
    """When each device and each node was scraped, and the interval."""

    devices: "dict[str, array[int]]"
    nodes: "dict[str, array[int]]"
    interval_ms: int
    assumed: bool


def join_series(
    series: Iterable[Series], findings: Findings, source: str, interval_ms: int | None = None
) -> Usage:
    """The usage that these series show; `findings` holds what the reader already found.

    `interval_ms` replaces the measured one (the median step). Raises InvalidInput, naming `source`, where no
    series is of a GPU.
    """
    kept = list(series)
    own = [each for each in kept if each.metric.startswith(devices.PREFIX)]
    found = scraped(own, findings)
    _note_origin(kept, findings)
    by_key = {key: found.devices[key] for key in sorted(found.devices) if found.devices[key].streams}
    if not by_key:
        raise InvalidInput(
            "{name} has no reading of a GPU: no sample of a DCGM_ metric with the label UUID or gpu",
            fix="export DCGM exporter's series, such as {query}",
            source=source,
            name=source,
            query='{__name__=~"DCGM_.*"}',
        )
    scrapes = _scrapes(by_key, interval_ms or median_step(each.times_ms for each in own))
    attributed = {key: attribute(by_key[key].streams, key, findings) for key in by_key}
    end_ms = max(max(times) for times in scrapes.nodes.values()) + scrapes.interval_ms
    joined = Joined(
        attributed=attributed,
        node_times=scrapes.nodes,
        device_nodes={key: by_key[key].node for key in by_key},
        said=found.pods,
        objects=pod_objects(each for each in kept if each.metric.startswith(objects.PREFIX)),
        start_ms=min(min(times) for times in scrapes.nodes.values()),
        end_ms=end_ms,
        interval_ms=scrapes.interval_ms,
    )
    cluster = cluster_of(kept, scrapes.nodes, scrapes.interval_ms, findings)
    made = tuple(_device(by_key[key], attributed[key], scrapes, findings) for key in by_key)
    pods = pods_of(joined, findings)
    holes = holes_of(scrapes.nodes, scrapes.interval_ms)
    findings.take(note_clock_jumps(made, holes, scrapes.nodes, scrapes.interval_ms))
    return Usage(
        start_ms=joined.start_ms,
        end_ms=end_ms,
        interval_ms=scrapes.interval_ms,
        devices=made,
        pods=pods,
        holes=holes,
        cluster=cluster,
        warnings=warnings_of(findings, holes, scrapes.interval_ms if scrapes.assumed else None),
    )


def _note_origin(series: Sequence[Series], findings: Findings) -> None:
    known = (devices.PREFIX, objects.PREFIX, KUEUE_PREFIX)
    for each in series:
        findings.add("metric-ignored", each.metric, not each.metric.startswith(known))
    for cluster in clusters_of(each.labels for each in series if each.metric.startswith(known)):
        findings.add("clusters-merged", cluster)


def _scrapes(by_key: dict[str, Device], interval_ms: int | None) -> _Scrapes:
    """`interval_ms` is what one series shows: two Prometheus side by side do not make it shorter."""
    seen = {key: by_key[key].times() for key in by_key}
    nodes: dict[str, list[array[int]]] = {}
    for key, times in seen.items():
        nodes.setdefault(by_key[key].node, []).append(times)
    measured = interval_ms or median_step(seen.values())
    assumed = dcgm_exporter().default_collect_interval_ms
    return _Scrapes(
        seen, {node: union(times) for node, times in nodes.items()}, measured or assumed, measured is None
    )


def _device(device: Device, found: Attributed, scrapes: _Scrapes, findings: Findings) -> DeviceUse:
    labels = device.labels
    findings.add(
        "device-gap", labels.key, gaps_within(scrapes.devices[labels.key], scrapes.nodes[device.node])
    )
    count_resets(device.node or labels.key, found.series.get(ENERGY), findings)
    return DeviceUse(
        key=labels.key,
        node=device.node,
        uuid=labels.uuid,
        index=labels.index,
        model=known_model(device, findings),
        profile=labels.profile,
        instance=labels.instance,
        series={metric: found.series[metric] for metric in sorted(found.series)},
    )

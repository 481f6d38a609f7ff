"""The devices in a pile of series: who they are, and their series by metric and pod."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from stellwerk.engine.joining.identity import (
    CONTAINER_LABELS,
    LIFE,
    DeviceLabels,
    catalog_model,
    device_labels,
    exporters_of,
    first,
    pod_name,
)
from stellwerk.engine.joining.series import Findings, Series, Shared, ascending, merged, summed, union
from stellwerk.engine.usage import FB_USED, GR_ENGINE, POWER, SM_ACTIVE, UTIL, Samples

PREFIX = "DCGM_"
_KIND = "stellwerk_dev_workload_kind"
_COMPUTE = (UTIL, GR_ENGINE, SM_ACTIVE)


class Device(Struct):
    """A device and what was scraped of it: metric -> pod ("" for none) -> samples."""

    labels: DeviceLabels
    model: str = ""
    names: set[tuple[int, str]] = field(default_factory=set)
    streams: dict[str, dict[str, Samples]] = field(default_factory=dict)

    @property
    def node(self) -> str:
        """The node's name by the best label that any series had."""
        return min(self.names)[1]

    def times(self) -> "array[int]":
        """When anything was scraped of it, ascending."""
        return union(each.times_ms for by_pod in self.streams.values() for each in by_pod.values())


class PodLabels(Struct):
    """What the exporter itself says of a pod."""

    container: str = ""
    claim: str = ""
    kind: str = ""


class Scraped(Struct):
    """Devices by key, and what the exporter said of pods by name."""

    devices: dict[str, Device] = field(default_factory=dict)
    pods: dict[str, PodLabels] = field(default_factory=dict)


def scraped(series: Sequence[Series], findings: Findings) -> Scraped:
    """The exporter's series, sorted out: ascending, one stream for each device, metric and pod."""
    exporters = exporters_of(each.labels for each in series)
    names = _lives((pod_name(each.labels, exporters), each.labels.get("pod_uid", "")) for each in series)
    result = Scraped()
    piles: dict[str, dict[str, dict[str, list[tuple[str, Samples]]]]] = {}
    for each in series:
        found = device_labels(each.labels)
        if found is None:
            findings.add("device-unnamed", each.metric)
            continue
        device = result.devices.setdefault(found.key, Device(found))
        device.names.add((found.node_rank, found.node))
        device.model = device.model or found.model
        pod = names[pod_name(each.labels, exporters), each.labels.get("pod_uid", "")]
        if pod:
            _note_pod(result.pods.setdefault(pod, PodLabels()), each.labels)
        elif own := each.labels.get("pod"):
            findings.add("exporter-pod", own)
        samples = ascending(each, found.node or found.key, findings)
        pile = piles.setdefault(found.key, {}).setdefault(each.metric, {}).setdefault(pod, [])
        pile.append((each.labels.get("nvlink", ""), samples))
    shared = Shared()
    for key, metrics in piles.items():
        for metric, pods in metrics.items():
            joined = {pod: _one(parts, key, findings) for pod, parts in pods.items()}
            streams = {
                pod: Samples(shared.one(samples.times_ms), samples.values_milli)
                for pod, samples in joined.items()
                if samples.times_ms
            }
            if streams:
                result.devices[key].streams[metric] = streams
    _check(result.devices.values(), findings)
    return result


def known_model(device: Device, findings: Findings) -> str:
    """The catalog's id of the device's model, else the exporter's name."""
    if not device.model:
        findings.add("model-missing", device.labels.key)
        return ""
    model, known = catalog_model(device.model)
    findings.add("model-unknown", model, not known)
    return model


def _lives(pods: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """How each (pod, uid) is told apart: a name that several pods bore one after another gets the uid."""
    known = set(pods)
    uids = Counter(pod for pod, uid in known if uid)
    return {(pod, uid): pod + LIFE + uid if pod and uids[pod] > 1 else pod for pod, uid in known}


def _one(parts: Sequence[tuple[str, Samples]], name: str, findings: Findings) -> Samples:
    """The parts of one stream: links of NVLink are summed, all else is the same thing said again."""
    links: dict[str, list[Samples]] = {}
    for link, samples in parts:
        links.setdefault(link, []).append(samples)
    each = [
        merged(links[link], name, findings) for link in sorted(links) if any(s.times_ms for s in links[link])
    ]
    if not each:
        return parts[0][1]
    return each[0] if len(each) == 1 else summed(each)


def _note_pod(pod: PodLabels, labels: Mapping[str, str]) -> None:
    pod.container = pod.container or first(labels, CONTAINER_LABELS)
    pod.claim = pod.claim or labels.get("dra_claim_name", "")
    pod.kind = pod.kind or first(labels, (_KIND, f"label_{_KIND}"))


def _check(devices: Iterable[Device], findings: Findings) -> None:
    """Name the devices of which something is missing or odd."""
    for device in devices:
        key = device.labels.key
        for code in _lacking(device):
            findings.add(code, key)
        best = {name for rank, name in device.names if rank == min(device.names)[0]}
        findings.add("two-nodes", key, len(best) > 1)
        findings.add(
            "board-value", device.labels.uuid, bool(device.labels.profile) and POWER in device.streams
        )


def _lacking(device: Device) -> Iterator[str]:
    if not any(metric in device.streams for metric in _COMPUTE):
        yield "compute-missing"
    if FB_USED not in device.streams:
        yield "memory-missing"
    if POWER not in device.streams:
        yield "power-missing"

"""The GPUs behind the last minutes of some of the exporter's series: names, labels, pods, sharing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field

from stellwerk.engine.diagnosis.facts import Series
from stellwerk.engine.joining.gaps import median_step
from stellwerk.engine.joining.identity import DeviceLabels, device_labels, exporters_of, first, pod_name
from stellwerk.engine.usage import FB_USED, UTIL

PER_PROCESS = (UTIL, FB_USED)
# DCGM's blanks of every type are above it, and no percentage, ratio or MiB is (dcgm_structs.h).
BLANK_FROM = 1 << 47
# Percent of a GPU that pods at 0 cannot be: the rounding of processes' shares is below it.
BUSY_FROM = 10


class Device(Struct):
    """A GPU or MIG instance: its labels, which metrics it has, and the pods on it.

    `values`: (metric, time) -> pod ("" for none) -> value; `blank`: one of them is none.
    """

    labels: DeviceLabels
    metrics: set[str] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    values: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    blank: bool = False

    @property
    def shared(self) -> bool:
        """Whether several pods had it at one time."""
        return any(len(_named(pods)) > 1 for pods in self.values.values())

    @property
    def split(self) -> bool:
        """Whether its values are per pod, for they differ at one time."""
        return any(len(values) > 1 for values in self._told())

    @property
    def repeated(self) -> bool:
        """Whether its pods have one value whenever it is not 0, which tells nothing."""
        return not self.split and any(values != {"0"} for values in self._told())

    @property
    def blind(self) -> bool:
        """Whether it was busy by its own value, and no pod on it ever was: processes are not seen."""
        moments = [pods for (metric, _), pods in self.values.items() if metric == UTIL and _named(pods)]
        idle = all(_read(value) == 0 for pods in moments for value in _named(pods).values())
        return idle and any((_read(pods.get("", "0")) or 0) >= BUSY_FROM for pods in moments)

    def _told(self) -> Iterator[set[str]]:
        for (metric, _), pods in self.values.items():
            if metric in PER_PROCESS and len(_named(pods)) > 1:
                yield set(_named(pods).values())


def devices_of(samples: Iterable[Series]) -> dict[str, Device]:
    """Every device by its key; series that name none are left out."""
    found: dict[str, Device] = {}
    samples = tuple(samples)
    exporters = exporters_of(series.labels for series in samples)
    for series in samples:
        labels = device_labels(series.labels)
        if labels is None:
            continue
        device = found.setdefault(labels.key, Device(labels))
        device.metrics.add(series.metric)
        pod = pod_name(series.labels, exporters)
        if pod:
            device.pods.add(pod)
        for time, value in series.points:
            device.values.setdefault((series.metric, time), {})[pod] = value
            device.blank = device.blank or _blank(value)
    return found


def renamed(samples: Iterable[Series]) -> bool:
    """Whether the scrape has honorLabels: false, so that the exporter's labels begin with exported_."""
    return any("exported_pod" in series.labels for series in samples)


def labels_seen(samples: Iterable[Series], name: str) -> set[str]:
    """The values of a label over all series."""
    return {series.labels[name] for series in samples if series.labels.get(name)}


def interval_ms(samples: Sequence[Series]) -> int | None:
    """The median step between samples of a series."""
    return median_step([time for time, _ in series.points] for series in samples)


def without(devices: Mapping[str, Device], names: tuple[str, ...], samples: Iterable[Series]) -> set[str]:
    """The devices of which no series has any of these labels."""
    having: set[str] = set()
    for series in samples:
        labels = device_labels(series.labels)
        if labels is not None and first(series.labels, names):
            having.add(labels.key)
    return set(devices) - having


def _named(pods: Mapping[str, str]) -> dict[str, str]:
    return {pod: value for pod, value in pods.items() if pod}


def _blank(value: str) -> bool:
    return _read(value) is None


def _read(value: str) -> float | None:
    """The number, or None: no number, or one of DCGM's blanks."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if -1 < number < BLANK_FROM else None

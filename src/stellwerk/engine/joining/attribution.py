"""Whose is a value? A device's series once, and of each pod what is its alone.

The exporter gives a device that several pods share one series a pod. Utilization and memory may be of the
pod's own processes; everything else, and older exporters' all, is the device's value repeated. The two are
told apart by the values: if they differ (in 5 % of the scrapes that are not idle) between pods that hold the
device at the same time, they are the pods' own, and their sum is the device's. Else they count as repeated:
counted once, and split between nobody. A value without a pod is the device's own.

A pod keeps its device as long as it lives. So pods that are seen in turn on one device share it: an exporter
without `--kubernetes-virtual-gpus` names only one of them at a time.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import pairwise

from msgspec import Struct, field

from stellwerk.engine.joining.identity import LIFE
from stellwerk.engine.joining.series import Findings, merged, samples_of, union
from stellwerk.engine.usage import FB_USED, GR_ENGINE, UTIL, Samples

PER_PROCESS = (UTIL, FB_USED)
_RARE = 20  # Two scrapes that were mixed up differ more rarely than once in so many.
_FULL_MILLI = 100_000  # 100 percent: rounding of processes' shares may add up to more.
# Metric -> pod ("" for none) -> samples.
Streams = Mapping[str, Mapping[str, Samples]]
Group = tuple[str, ...]


class Attributed(Struct):
    """A device's `series`; of pods: `alone` their own, when `seen`, who was `together`, who is `unsplit`."""

    series: dict[str, Samples] = field(default_factory=dict)
    alone: dict[str, dict[str, Samples]] = field(default_factory=dict)
    seen: "dict[str, array[int]]" = field(default_factory=dict)
    together: set[Group] = field(default_factory=set)
    unsplit: set[str] = field(default_factory=set)


def attribute(streams: Streams, name: str, findings: Findings) -> Attributed:
    """A device's streams, attributed; `name` is what warnings name."""
    result = Attributed()
    times: dict[str, list[array[int]]] = {}
    for by_pod in streams.values():
        for pod, samples in by_pod.items():
            if pod:
                times.setdefault(pod, []).append(samples.times_ms)
    result.seen = {pod: union(parts) for pod, parts in times.items()}
    holders = _holders(result.seen)
    result.together = {group for group in holders.values() if len(group) > 1}
    if not result.together:
        _unshared(streams, result, name, findings)
        return result
    _note_turns(result, findings)
    own = _tells_processes(streams)
    for metric, by_pod in streams.items():
        _shared(_Metric(metric, by_pod, holders, own), result, name, findings)
    result.unsplit = _unsplit(streams, result, own)
    return result


def _holders(seen: "Mapping[str, array[int]]") -> dict[int, Group]:
    """Who held the device at each time: a pod keeps it from its first sample to its last, also unseen."""
    spans = sorted((times[0], times[-1], pod) for pod, times in seen.items())
    if all(before[1] < after[0] for before, after in pairwise(spans)):
        return {}
    times = sorted(set[int]().union(*seen.values()))
    holders: dict[int, Group] = {}
    for first, last, pod in sorted(spans, key=lambda span: span[2]):
        for time in times[bisect_left(times, first) : bisect_right(times, last)]:
            holders[time] = (*holders.get(time, ()), pod)
    return holders


def _note_turns(result: Attributed, findings: Findings) -> None:
    """Name pods that hold a device with others, and were never seen beside any of them."""
    beside = {pod: set[str]() for group in result.together for pod in group}
    for group in result.together:
        for pod in group:
            beside[pod].update(other for other in group if other != pod)
    for pod, others in beside.items():
        own = set(result.seen[pod])
        alone = all(own.isdisjoint(result.seen[other]) for other in others)
        findings.add("pods-in-turn", pod.partition(LIFE)[0], alone)


def _unshared(streams: Streams, result: Attributed, name: str, findings: Findings) -> None:
    """One pod at a time: what the device shows is the pod's, and of a pod alone the device's.

    An exporter without hostPID sees no processes: its pods then have 0 beside a device that is busy
    (dcgm-exporter, deployment/values.yaml).
    """
    for metric, by_pod in streams.items():
        device = by_pod.get("")
        parts = {pod: samples for pod, samples in by_pod.items() if pod}
        if device is not None:
            parts = {pod: _corrected(samples, device) for pod, samples in parts.items()}
        for pod, samples in parts.items():
            result.alone.setdefault(pod, {})[metric] = samples
        own = [device] if device is not None else []
        result.series[metric] = merged([*(parts[pod] for pod in sorted(parts)), *own], name, findings)


def _corrected(samples: Samples, device: Samples) -> Samples:
    """The pod's samples, with the device's value wherever it has one at the same time."""
    known = dict(zip(device.times_ms, device.values_milli, strict=True))
    own = zip(samples.times_ms, samples.values_milli, strict=True)
    return samples_of({time: known.get(time, value) for time, value in own})


class _Metric(Struct, frozen=True):
    """One metric of a shared device; `own`: its pods' values are of their own processes."""

    metric: str
    by_pod: Mapping[str, Samples]
    holders: Mapping[int, Group]
    own: bool

    def moments(self) -> Iterator[tuple[int, dict[str, int], int | None]]:
        """Each time with the pods' values and the device's, if it has one of its own."""
        moments: dict[int, dict[str, int]] = {}
        for pod in sorted(self.by_pod):
            samples = self.by_pod[pod]
            for time, value in zip(samples.times_ms, samples.values_milli, strict=True):
                moments.setdefault(time, {})[pod] = value
        for time, values in moments.items():
            device = values.pop("", None)
            yield time, values, device


def _shared(asked: _Metric, result: Attributed, name: str, findings: Findings) -> None:
    """Series of one metric for the device and for each pod."""
    device: dict[int, int] = {}
    pods: dict[str, dict[int, int]] = {}
    for time, values, measured in asked.moments():
        group = asked.holders.get(time, ())
        split = len(group) < 2 or (asked.own and asked.metric in PER_PROCESS)
        if split:
            for pod, value in values.items():
                pods.setdefault(pod, {})[time] = value
        if measured is not None:
            device[time] = measured
        elif split and len(values) == len(group):
            total = sum(values.values())
            device[time] = min(total, _FULL_MILLI) if asked.metric == UTIL and len(group) > 1 else total
        elif split:
            findings.add("sum-incomplete", name)
        else:
            findings.add("values-differ", name, len(set(values.values())) > 1)
            device[time] = max(values.values())
    result.series[asked.metric] = samples_of(device)
    for pod, found in pods.items():
        result.alone.setdefault(pod, {})[asked.metric] = samples_of(found)


def _tells_processes(streams: Streams) -> bool:
    """Whether pods that hold the device at one time show different values, and not by a rare accident."""
    for metric in PER_PROCESS:
        compared = differ = 0
        for _, values, _ in _Metric(metric, streams.get(metric, {}), {}, False).moments():
            if len(values) > 1 and any(values.values()):  # An idle GPU shows 0 either way.
                compared += 1
                differ += len(set(values.values())) > 1
        if differ and differ * _RARE >= compared:
            return True
    return False


def _unsplit(streams: Streams, result: Attributed, own: bool) -> set[str]:
    """Pods that lack a value of compute or memory for a time at which they shared the device."""
    compute = UTIL if UTIL in streams else GR_ENGINE
    if own and {compute, FB_USED} & set(streams) <= set(PER_PROCESS):
        return set()
    return {pod for group in result.together for pod in group}

"""Whose is a value? A device's series once, and of each pod what is its alone.

The exporter gives a device that several pods share one series a pod. Utilization and memory may be of the
pod's own processes; everything else, and older exporters' all, is the device's value repeated. The two are
told apart by the values: if they ever differ between pods that hold the device at the same time, they are the
pods' own, and their sum is the device's. Values that never differ are taken as repeated: counted once, and
split between nobody. A value without a pod is the device's own.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from stellwerk.engine.joining.series import Findings, merged, samples_of
from stellwerk.engine.usage import FB_USED, GR_ENGINE, UTIL, Samples

PER_PROCESS = (UTIL, FB_USED)
_FULL_MILLI = 100_000  # 100 percent: rounding of processes' shares may add up to more.
# Metric -> pod ("" for none) -> samples.
Streams = Mapping[str, Mapping[str, Samples]]
Group = tuple[str, ...]


class Attributed(Struct):
    """A device's `series`; of pods: `alone` their own, when `seen`, who was `together`, who is `unsplit`."""

    series: dict[str, Samples] = field(default_factory=dict)
    alone: dict[str, dict[str, Samples]] = field(default_factory=dict)
    seen: dict[str, set[int]] = field(default_factory=dict)
    together: set[Group] = field(default_factory=set)
    unsplit: set[str] = field(default_factory=set)


def attribute(streams: Streams, name: str, findings: Findings) -> Attributed:
    """A device's streams, attributed; `name` is what warnings name."""
    result = Attributed()
    for by_pod in streams.values():
        for pod, samples in by_pod.items():
            if pod:
                result.seen.setdefault(pod, set()).update(samples.times_ms)
    holders: dict[int, Group] = {}
    if len(result.seen) > 1:
        for pod in sorted(result.seen):
            for time in result.seen[pod]:
                holders[time] = (*holders.get(time, ()), pod)
        result.together = {group for group in holders.values() if len(group) > 1}
    if not result.together:
        _unshared(streams, result, name, findings)
        return result
    own = _own_values(streams, holders)
    for metric, by_pod in streams.items():
        _shared(_Metric(metric, by_pod, holders, own), result, name, findings)
    result.unsplit = _unsplit(streams, result, own)
    return result


def _unshared(streams: Streams, result: Attributed, name: str, findings: Findings) -> None:
    """One pod at a time: what it shows is its own and the device's."""
    for metric, by_pod in streams.items():
        for pod, samples in by_pod.items():
            if pod:
                result.alone.setdefault(pod, {})[metric] = samples
        # The device's own value comes last, so that it counts where both are there.
        parts = [by_pod[pod] for pod in sorted(by_pod, reverse=True)]
        result.series[metric] = merged(parts, name, findings)


class _Metric(Struct, frozen=True):
    """One metric of a shared device; `own` are the groups of pods whose values are their own."""

    metric: str
    by_pod: Mapping[str, Samples]
    holders: Mapping[int, Group]
    own: frozenset[Group]

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
        split = len(group) < 2 or (asked.metric in PER_PROCESS and group in asked.own)
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


def _own_values(streams: Streams, holders: Mapping[int, Group]) -> frozenset[Group]:
    """The groups of pods that showed different values at one time: those of their own processes."""
    own: set[Group] = set()
    for metric in PER_PROCESS:
        for time, values, _ in _Metric(metric, streams.get(metric, {}), holders, frozenset()).moments():
            if len(set(values.values())) > 1:
                own.add(holders[time])
    return frozenset(own)


def _unsplit(streams: Streams, result: Attributed, own: frozenset[Group]) -> set[str]:
    """Pods that lack a value of compute or memory for a time at which they shared the device."""
    split = set(PER_PROCESS) & set(streams)
    compute = UTIL if UTIL in streams else GR_ENGINE
    whole = own if split >= {compute, FB_USED} & set(streams) else frozenset[Group]()
    return {pod for group in result.together - whole for pod in group}

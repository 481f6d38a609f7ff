"""The pods of a usage: what they held and when, what is theirs alone, and what kube-state-metrics adds."""

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

from msgspec import Struct, field

from stellwerk.catalog.dcgm import dcgm_metrics
from stellwerk.engine.demand import KINDS
from stellwerk.engine.joining.attribution import Attributed
from stellwerk.engine.joining.devices import PodLabels
from stellwerk.engine.joining.gaps import gaps_within
from stellwerk.engine.joining.identity import LIFE
from stellwerk.engine.joining.objects import PodObject
from stellwerk.engine.joining.series import Findings, samples_of, union
from stellwerk.engine.usage import FB_USED, NVLINK, POWER, PodUse, Samples

_KIND = "stellwerk_dev_workload_kind"


class Joined(Struct, frozen=True, kw_only=True):
    """All that is known before pods are made; a device's times are those of its node's scrapes, ascending."""

    attributed: Mapping[str, Attributed]
    node_times: Mapping[str, Sequence[int]]
    device_nodes: Mapping[str, str]
    said: Mapping[str, PodLabels]
    objects: Mapping[str, PodObject]
    start_ms: int
    end_ms: int
    interval_ms: int


class _Held(Struct):
    """What a pod held, gathered over its devices."""

    devices: list[str] = field(default_factory=list)
    times: "list[array[int]]" = field(default_factory=list)
    parts: dict[str, list[Samples]] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    attributed: bool = True

    @property
    def seen(self) -> "array[int]":
        """When any of its devices was scraped with it, ascending."""
        return union(self.times) if self.times else array("q")


def pods_of(joined: Joined, findings: Findings) -> tuple[PodUse, ...]:
    """Every pod that held a device, and those that asked for GPUs and ran unseen, by name and start."""
    held: dict[tuple[str, int], _Held] = {}
    stays = _stays(joined.attributed)
    for key in sorted(joined.attributed):
        _gather(key, joined.attributed[key], stays, held)
    moved = {life for life, stay in held if stay}
    for life in sorted(moved):
        findings.add("pod-moved", _name(life))
    pods = [_pod(life, each, joined, findings, life in moved) for (life, _), each in held.items()]
    shown = {_name(life) for life, _ in held}
    pods += [_pod(name, _Held(), joined, findings) for name in _unseen(shown, joined)]
    return tuple(sorted(pods, key=lambda pod: (pod.name, pod.start_ms, pod.devices)))


def _name(life: str) -> str:
    """namespace/pod, also of one of several pods of that name."""
    return life.partition(LIFE)[0]


def _stays(attributed: Mapping[str, Attributed]) -> dict[tuple[str, str], int]:
    """(pod, device) -> which stay of the pod: devices that it had in turn were never held at once."""
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for key, found in attributed.items():
        for life, seen in found.seen.items():
            if seen:
                spans.setdefault(life, []).append((seen[0], seen[-1], key))
    stays: dict[tuple[str, str], int] = {}
    for life, devices in spans.items():
        stay, until = 0, None
        for start, end, key in sorted(devices):
            stay += until is not None and start > until
            until = end if until is None else max(until, end)
            stays[life, key] = stay
    return stays


def _gather(
    key: str,
    found: Attributed,
    stays: Mapping[tuple[str, str], int],
    held: dict[tuple[str, int], _Held],
) -> None:
    for pod, seen in found.seen.items():
        each = held.setdefault((pod, stays.get((pod, key), 0)), _Held())
        each.devices.append(key)
        each.times.append(seen)
        each.attributed &= pod not in found.unsplit
        for metric, samples in found.alone.get(pod, {}).items():
            each.parts.setdefault(metric, []).append(samples)
    for group in found.together:
        for pod in group:
            stay = held.setdefault((pod, stays.get((pod, key), 0)), _Held())
            stay.others.update(other for other in group if other != pod)


def _unseen(shown: Collection[str], joined: Joined) -> Iterator[str]:
    """Pods with GPUs asked for that began within the time that was measured, and that no scrape shows."""
    for name in sorted(joined.objects):
        started = joined.objects[name].started_ms
        if name in shown or not joined.objects[name].gpus or started is None:
            continue
        ended = joined.objects[name].ended_ms
        if started < joined.end_ms and (ended is None or ended > joined.start_ms):
            yield name


def _pod(life: str, held: _Held, joined: Joined, findings: Findings, moved: bool = False) -> PodUse:
    name = _name(life)
    namespace, _, pod = name.partition("/")
    said, found = joined.said.get(life, PodLabels()), joined.objects.get(name, PodObject())
    # What kube-state-metrics says of a name fits no one of several pods, or stays, that bore it.
    seen = held.seen
    span = _span(seen, PodObject() if moved or life != name else found, joined)
    _check(name, held, joined, findings)
    findings.add("pod-seen-once", name, len(seen) == 1 and not (span.start_told and span.end_told))
    if joined.objects and not found.owner:
        findings.add("owner-missing", name)
    kind = found.labels.get(_KIND) or said.kind
    if kind and kind not in KINDS:
        findings.add("kind-unknown", name)
    return PodUse(
        namespace=namespace,
        pod=pod,
        container=said.container,
        owner_kind=found.owner_kind,
        owner=found.owner,
        team=namespace,
        kind=kind if kind in KINDS else "unknown",
        devices=tuple(held.devices),
        start_ms=span.start_ms,
        end_ms=span.end_ms,
        start_told=span.start_told,
        end_told=span.end_told,
        gpus_requested=found.gpus,
        resources=tuple(sorted({resource for _, resource in found.requests})),
        labels=dict(sorted(found.labels.items())),
        claim=said.claim,
        series={metric: _over_devices(metric, held.parts[metric]) for metric in sorted(held.parts)},
        shared_with=tuple(sorted({_name(other) for other in held.others} - {name})),
        attributed=held.attributed,
    )


class _Span(Struct, frozen=True):
    """From when to when a pod held its devices, and whether kube-state-metrics told it."""

    start_ms: int
    end_ms: int
    start_told: bool
    end_told: bool


def _span(seen: Sequence[int], found: PodObject, joined: Joined) -> _Span:
    """From the first sample to one interval after the last, or as kube-state-metrics has it, if that fits.

    A GPU is held from the pod's start, before the first scrape, to its completion, after the last.
    """
    first, last = (seen[0], seen[-1]) if seen else (joined.end_ms, joined.start_ms)
    start, end = first, min(last + joined.interval_ms, joined.end_ms)
    start_told = end_told = False
    if found.started_ms is not None and found.started_ms <= first:
        start, start_told = max(joined.start_ms, found.started_ms), True
    # Whole seconds: an end in the second of the last sample is that second.
    if found.ended_ms is not None and found.ended_ms >= last and found.ended_ms > start:
        end, end_told = min(joined.end_ms, found.ended_ms), True
    elif not seen:
        end = joined.end_ms
    return _Span(start, max(end, start), start_told, end_told)


def _check(name: str, held: _Held, joined: Joined, findings: Findings) -> None:
    seen = held.seen
    if not seen:
        findings.add("pod-not-scraped", name)
        return
    findings.add("shared-not-split", name, not held.attributed)
    nodes = {joined.device_nodes[key] for key in held.devices}
    each = [joined.node_times[node] for node in sorted(nodes)]
    times = each[0] if len(each) == 1 else sorted({time for times in each for time in times})
    findings.add("pod-gap", name, gaps_within(seen, times))


@cache
def _added() -> frozenset[str]:
    """Metrics that add up over GPUs: power, counters and rates; the others are per GPU."""
    found = {each.name for each in dcgm_metrics() if each.kind == "counter" or each.unit == "B/s"}
    return frozenset(found | {POWER, NVLINK})


def _over_devices(metric: str, parts: Sequence[Samples]) -> Samples:
    """A pod's value over its GPUs where all that have the metric then show it: per GPU, or summed.

    Memory is the fullest GPU's, power and counters are summed, all else is the mean (rounded half to even).
    """
    if len(parts) == 1:
        return parts[0]
    values: dict[int, list[int]] = {}
    due = Counter[int]()
    for part in parts:
        for time, value in zip(part.times_ms, part.values_milli, strict=True):
            values.setdefault(time, []).append(value)
    for part in parts:
        due.update(time for time in values if part.times_ms[0] <= time <= part.times_ms[-1])
    complete = {time: found for time, found in values.items() if len(found) == due[time]}
    return samples_of({time: _joint(metric, found) for time, found in complete.items()})


def _joint(metric: str, values: Sequence[int]) -> int:
    if metric == FB_USED:
        return max(values)
    total = sum(values)
    return total if metric in _added() else _half_even(total, len(values))


def _half_even(total: int, count: int) -> int:
    quotient, rest = divmod(total, count)
    return quotient + (2 * rest > count or (2 * rest == count and quotient % 2))

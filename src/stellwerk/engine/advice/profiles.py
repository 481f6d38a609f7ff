"""From measured use to profiles: the pods of one owner together, in one pass over each of their series."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from msgspec import Struct

from stellwerk.api.duration import parse_duration
from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.gpus import gpu_model
from stellwerk.engine.advice.profile import (
    ACTIVE_MILLI,
    COMPUTE_METRICS,
    HOUR_MS,
    LEAST_COVERAGE_MILLI,
    Pattern,
    Profile,
    quantiles,
)
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.usage import (
    DRAM_ACTIVE,
    FB_USED,
    NVLINK,
    TENSOR,
    UTIL,
    DeviceUse,
    PodUse,
    Samples,
    Usage,
)

ISOLATION, WHOLE_GPU = "stellwerk.dev/isolation", "stellwerk.dev/whole-gpu"
LATENCY_OBJECTIVE = "stellwerk.dev/latency-objective"
MIB = 1024 * 1024
FULL_MILLI = 900
UTIL_DIVISOR = 100  # Thousandths of a percent to thousandths of a GPU.
SUSTAINED_MS = HOUR_MS // 2
STOPPED_PERCENT = 95  # A counter with fewer samples than a coarser one stopped before it.
GROWTH_MS = HOUR_MS  # A shorter pod still loads its model.
NS_PER_MS = 1_000_000
Series = list[tuple[Sequence[int], Sequence[int]]]


class Scale(Struct, frozen=True):
    """Of an instance's values to thousandths of its whole GPU: compute slices, and memory slices."""

    compute: tuple[int, int] = (1, 1)
    memory: tuple[int, int] = (1, 1)


def workload_name(pod: PodUse) -> str:
    """namespace/owner of a pod, or namespace/pod of one without owner."""
    return f"{pod.namespace}/{pod.owner}" if pod.owner else pod.name


def workload_names(usage: Usage) -> tuple[str, ...]:
    """The workload of each pod; owners of one name and different kinds are told apart."""
    kinds: dict[str, set[str]] = {}
    for pod in usage.pods:
        kinds.setdefault(workload_name(pod), set()).add(pod.owner_kind)
    return tuple(
        name if len(kinds[name]) == 1 else f"{name} ({pod.owner_kind})"
        for pod in usage.pods
        for name in [workload_name(pod)]
    )


def profiles_of(usage: Usage, model: str = "") -> tuple[Profile, ...]:
    """One profile for each workload, by name; `model` stands in where the exporter named no GPU model."""
    groups: dict[str, list[PodUse]] = {}
    for name, pod in zip(workload_names(usage), usage.pods, strict=True):
        groups.setdefault(name, []).append(pod)
    devices = {device.key: device for device in usage.devices}
    return tuple(
        _profile(name, pods, devices, (usage.interval_ms, model)) for name, pods in sorted(groups.items())
    )


def _profile(
    name: str, pods: list[PodUse], devices: Mapping[str, DeviceUse], given: tuple[int, str]
) -> Profile:
    interval_ms, default_model = given
    first = pods[0]
    used = [devices[key] for pod in pods for key in pod.devices if key in devices]
    model = min((device.model for device in used if device.model), default=default_model)
    instance = min((device.profile for device in used if device.profile), default="")
    scale = scale_of(model, instance)
    metric = _compute_metric(pods, devices)
    compute = _values(pods, devices, COMPUTE_METRICS[metric]) if metric else []
    expected = sum((pod.end_ms - pod.start_ms) * max(1, len(pod.devices)) for pod in pods) // interval_ms
    memory = _values(pods, devices, FB_USED)
    bandwidth = _covering(_values(pods, devices, DRAM_ACTIVE), expected)
    tensor = _covering(_values(pods, devices, TENSOR), expected)
    counts = [_samples(series) for series in (compute, memory) if series]
    divisor = UTIL_DIVISOR if metric == "UTIL" else 1
    raw = quantiles(_scaled(compute, (1, divisor)))
    return Profile(
        name=name,
        team=first.team or first.namespace,
        namespace=first.namespace,
        owner_kind=first.owner_kind,
        kind_label=first.kind,
        pods=len(pods),
        at_once=most_at_once((pod.start_ms, pod.end_ms, 1) for pod in pods),
        gpus=max(_gpus(pod, devices) for pod in pods),
        gpus_idle=min(_idle_devices(pod, devices) for pod in pods),
        model=model,
        instance=instance,
        full_instance=bool(instance) and raw is not None and raw.p95 >= FULL_MILLI,
        compute_metric=metric,
        compute=quantiles(_scaled(compute, (scale.compute[0], scale.compute[1] * divisor))),
        memory=quantiles([value * MIB // 1000 for _, values in memory for value in values]),
        bandwidth=quantiles(_scaled(bandwidth, scale.memory)),
        tensor=quantiles(_scaled(tensor, scale.compute)),
        nvlink=_nvlink(_values(pods, devices, NVLINK)),
        mixed=len({(device.model, device.profile) for device in used}) > 1,
        pattern=_pattern((compute, memory, bandwidth), divisor, scale, interval_ms),
        interval_ms=interval_ms,
        measured_ms=_union_ms(pods),
        coverage_milli=min(1000, min(counts, default=0) * 1000 // max(1, expected)),
        attributed=all(pod.attributed for pod in pods),
        shared_with=tuple(sorted({other for pod in pods for other in pod.shared_with})),
        latency_ms=min(
            (_latency_ms(pod.labels) for pod in pods if _label(pod, LATENCY_OBJECTIVE)), default=None
        ),
        isolated=any(_is_set(_label(pod, ISOLATION)) for pod in pods),
        whole=any(_is_set(_label(pod, WHOLE_GPU)) for pod in pods),
    )


def _is_set(label: str) -> bool:
    """Whether a guard label holds: whatever is not clearly a no is a yes, since it forbids."""
    return label.casefold() not in ("", "false", "none", "no", "0")


def _samples(series: Series) -> int:
    return sum(len(times) for times, _ in series)


def _covering(series: Series, expected: int) -> Series:
    """The series, if it was there (nearly) all the time: ten minutes of a counter say nothing of a day."""
    return series if _samples(series) * 1000 >= LEAST_COVERAGE_MILLI * expected else []


def _label(pod: PodUse, key: str) -> str:
    """A pod's label, also in the spelling that Prometheus allows in label names."""
    return pod.labels.get(key) or pod.labels.get("".join(c if c.isalnum() else "_" for c in key), "")


def _latency_ms(labels: Mapping[str, str]) -> int:
    """A latency objective in ms; one that cannot be read counts as the strictest."""
    text = next(
        (value for key, value in labels.items() if key.endswith(("latency-objective", "latency_objective"))),
        "",
    )
    try:
        return parse_duration(text) // NS_PER_MS
    except ValueError:
        return 0


def scale_of(model: str, instance: str) -> Scale:
    """The scale of a MIG profile of a model; 1 where there is none."""
    if not instance:
        return Scale()
    try:
        table = gpu_facts(model).mig
    except InvalidInput:
        return Scale()
    found = [each for each in table.profiles if each.name == instance] if table else []
    if not found or table is None:
        return Scale()
    return Scale((found[0].compute_slices, table.compute_slices), (found[0].size, table.memory_slices))


def known_model(name: str) -> bool:
    """Whether the catalog has this GPU model, by id or product label."""
    try:
        gpu_model(name)
    except InvalidInput:
        return False
    return True


def _compute_metric(pods: list[PodUse], devices: Mapping[str, DeviceUse]) -> str:
    """The finest counter that the most pods have, unless it stopped while a coarser one went on."""
    counts = {
        name: sum(bool(_values([pod], devices, metric)) for pod in pods)
        for name, metric in COMPUTE_METRICS.items()
    }
    most = max(counts.values())
    if not most:
        return ""
    found = next(name for name, count in counts.items() if count == most)
    longest = max(COMPUTE_METRICS, key=lambda name: _samples(_values(pods, devices, COMPUTE_METRICS[name])))
    here, there = (_samples(_values(pods, devices, COMPUTE_METRICS[name])) for name in (found, longest))
    return longest if here * 100 < there * STOPPED_PERCENT else found


def _values(pods: list[PodUse], devices: Mapping[str, DeviceUse], metric: str) -> Series:
    """Each pod's own series; where it has none and shares nothing, its devices' while it held them."""
    found: Series = []
    for pod in pods:
        own = pod.series.get(metric)
        if own is not None and len(own.times_ms) and len(pod.devices) < 2:
            found.append((own.times_ms, own.values_milli))
            continue
        if pod.shared_with or not pod.attributed:
            continue
        parts = [devices[key].series.get(metric) for key in pod.devices if key in devices]
        clipped = [_clip(part, pod) for part in parts if part is not None]
        found += [part for part in clipped if len(part[0])]
        if own is not None and not clipped:
            found.append((own.times_ms, own.values_milli))
    return found


def _clip(samples: Samples, pod: PodUse) -> tuple[Sequence[int], Sequence[int]]:
    start = bisect_left(samples.times_ms, pod.start_ms)
    end = bisect_left(samples.times_ms, pod.end_ms)
    return samples.times_ms[start:end], samples.values_milli[start:end]


def _scaled(series: Series, ratio: tuple[int, int]) -> list[int]:
    """All values times a ratio, rounded up, so that a plan never promises less than was measured."""
    times, by = ratio
    return [-(-value * times // by) for _, values in series for value in values]


def _nvlink(series: Series) -> bool | None:
    """Whether the counter ever rose while a pod ran: its unit differs by GPU, so any rise is traffic."""
    if not series:
        return None
    return any(later > earlier for _, values in series for earlier, later in pairwise(values))


def _gpus(pod: PodUse, devices: Mapping[str, DeviceUse]) -> int:
    held = len(pod.devices)
    if any(devices[key].profile for key in pod.devices if key in devices):
        return max(1, held)
    return max(1, held, pod.gpus_requested or 0)


def _idle_devices(pod: PodUse, devices: Mapping[str, DeviceUse]) -> int:
    """Devices of a pod with several that were never active while it ran."""
    if len(pod.devices) < 2:
        return 0
    idle = 0
    for key in pod.devices:
        series = devices[key].series if key in devices else {}
        metric = next((each for each in COMPUTE_METRICS.values() if each in series), "")
        limit = ACTIVE_MILLI * UTIL_DIVISOR if metric == UTIL else ACTIVE_MILLI
        values = _clip(series[metric], pod)[1] if metric else ()
        idle += bool(values) and max(values) < limit
    return idle


def _pattern(
    measured: tuple[Series, Series, Series], divisor: int, scale: Scale, interval_ms: int
) -> Pattern:
    compute, memory, bandwidth = measured
    sums, counts = [0] * 24, [0] * 24
    active = bursts = idle_ms = 0
    limit = ACTIVE_MILLI * divisor
    for times, values in compute:
        was_active, idle_since = False, times[0]
        for at, value in zip(times, values, strict=True):
            hour = at // HOUR_MS % 24
            sums[hour] += value
            counts[hour] += 1
            if value < limit:
                was_active = False
                continue
            active += 1
            idle_ms = max(idle_ms, at - idle_since)
            idle_since = at
            bursts += not was_active
            was_active = True
        idle_ms = max(idle_ms, times[-1] - idle_since)
    total = sum(counts)
    return Pattern(
        hours=tuple(s // (n * divisor) if n else None for s, n in zip(sums, counts, strict=True))
        if total
        else (),
        duty_milli=active * 1000 // total if total else 0,
        bursts=bursts,
        idle_ms=idle_ms,
        memory_grows=any(_grows(times, values) for times, values in memory),
        sustained_compute=_sustained(compute, scale.compute, interval_ms) // divisor,
        sustained_bandwidth=_sustained(bandwidth, scale.memory, interval_ms),
    )


def _sustained(series: Series, ratio: tuple[int, int], interval_ms: int) -> int:
    """The highest mean over half an hour of a pod, of a whole GPU; a sample stands for one interval."""
    highest = 0
    for times, values in series:
        first = total = 0
        for at, value in enumerate(values):
            total += value
            while first < at and times[at] - times[first + 1] + interval_ms >= SUSTAINED_MS:
                total -= values[first]
                first += 1
            if times[at] - times[first] + interval_ms >= SUSTAINED_MS * 9 // 10:
                highest = max(highest, total // (at - first + 1))
    return highest * ratio[0] // ratio[1]


def _grows(times: Sequence[int], values: Sequence[int]) -> bool:
    """Whether each quarter's peak is above the one before, and the last by 3 % still."""
    if len(values) < 40 or times[-1] - times[0] < GROWTH_MS:
        return False
    quarter = len(values) // 4
    peaks = [max(values[at * quarter : (at + 1) * quarter]) for at in range(3)]
    peaks.append(max(values[3 * quarter :]))
    rising = all(later > earlier for earlier, later in pairwise(peaks))
    return rising and peaks[3] * 100 >= peaks[2] * 103 and peaks[3] * 100 >= peaks[1] * 105


def most_at_once(spans: Iterable[tuple[int, int, int]]) -> int:
    """The most that (start, end, amount) spans hold at one time; an end frees before a start takes."""
    changes = [change for start, end, n in spans for change in ((start, 1, n), (end, 0, -n))]
    most = held = 0
    for _, _, change in sorted(changes):
        held += change
        most = max(most, held)
    return most


def _union_ms(pods: list[PodUse]) -> int:
    total, reached = 0, -1
    for start, end in sorted((pod.start_ms, pod.end_ms) for pod in pods):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total

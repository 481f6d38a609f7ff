"""Read a workload case (docs/reference/advice.md): strict about fields, tolerant in series."""

from array import array
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from stellwerk.api.duration import parse_duration
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.advice.profile import Profile, Quantiles
from stellwerk.engine.advice.profiles import (
    ISOLATION,
    LATENCY_OBJECTIVE,
    WHOLE_GPU,
    Scale,
    profiles_of,
    scale_of,
)
from stellwerk.engine.usage import (
    DRAM_ACTIVE,
    FB_USED,
    GR_ENGINE,
    NVLINK,
    SM_ACTIVE,
    TENSOR,
    UTIL,
    DeviceUse,
    PodUse,
    Samples,
    Usage,
)

METRICS = {
    "smActive": SM_ACTIVE,
    "grEngineActive": GR_ENGINE,
    "gpuUtil": UTIL,
    "memory": FB_USED,
    "dramActive": DRAM_ACTIVE,
    "tensorActive": TENSOR,
    "nvlink": NVLINK,
}
NAMES = METRICS | {metric: metric for metric in METRICS.values()}
MIB = 1024 * 1024
START_MS = 1_772_409_600_000  # Monday 2026-03-02 00:00 UTC: hours of a series count from a midnight.
NVLINK_NOISE = Decimal("0.1")  # GB/s: below it is housekeeping.
NS_PER_MS = 1_000_000
Number = int | float | str


class Workload(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What runs, and what its owner says about it."""

    gpu_model: str
    gpus: int = 1
    pods: int = 1
    kind: Literal["training", "inference", "notebook", "batch", "unknown"] = "unknown"
    owner_kind: str = "Deployment"
    labels: Mapping[str, str] = {}
    latency_objective: str = ""
    isolation: Literal["", "required"] = ""
    whole_gpu: bool = False
    mig_profile: str = ""
    shared_with: tuple[str, ...] = ()
    attributed: bool = True


class Burst(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`value` for `length`, again after `every`; first after `offset`."""

    every: str
    length: str
    value: Number
    offset: str = "0s"


class Generator(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`base`, or that of `hours` of the day ("9-17"), or larger `bursts`; plus `noise` and `growth`."""

    base: Number
    noise: Number = 0
    hours: Mapping[str, Number] = {}
    bursts: tuple[Burst, ...] = ()
    growth: Number = 0


class Summary(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Percentiles of one metric; a missing one is the next larger that is given."""

    max: Number
    p99: Number | None = None
    p95: Number | None = None
    p50: Number | None = None
    mean: Number | None = None


class Measured(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How long, how often, how complete; then a summary or a series of each metric."""

    duration: str
    interval: str = "30s"
    coverage: Number = 1
    summary: Mapping[str, Summary] = {}
    series: Mapping[str, Generator | tuple[Number | None, ...] | Number] = {}


class Truth(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of: `share` with the methods that are safe; `exclusive` or `unknown` with why."""

    share: tuple[Literal["mig", "mps", "time-slicing", "other-model"], ...] = ()
    mig_profiles: tuple[str, ...] = ()
    exclusive: str = ""
    unknown: str = ""


class Case(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A workload, what was measured of it, and what is true."""

    name: str
    about: str = ""
    workload: Workload
    measured: Measured
    truth: Truth


def read_cases(text: str) -> list[Case]:
    """All cases of a YAML text: documents, or lists of cases. Raises ValueError that says what is wrong."""
    found: list[Case] = []
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    for document in documents:
        for entry in document if isinstance(document, list) else [document]:
            if entry is None:
                continue
            name = entry.get("name", "?") if isinstance(entry, dict) else "?"
            try:
                case = msgspec.convert(entry, Case)
                _check(case)
            except ValueError as error:  # msgspec's, too.
                raise ValueError(f"case {name}: {error}") from None
            found.append(case)
    return found


def _check(case: Case) -> None:
    given = [bool(case.truth.share), bool(case.truth.exclusive), bool(case.truth.unknown)]
    if sum(given) != 1:
        raise ValueError("truth has exactly one of share, exclusive and unknown")
    measured = case.measured
    for name in (*measured.summary, *measured.series):
        if name not in NAMES:
            raise ValueError(f"there is no metric {name}; use one of {', '.join(METRICS)}")
    if measured.summary and measured.series:
        raise ValueError("measured has a summary or series, not both")
    _ms(measured.duration), _ms(measured.interval)


def profile_of(case: Case) -> Profile:
    """The usage profile: from the series by the engine's own reader, or as the summary states it."""
    return _from_series(case) if case.measured.series else _from_summary(case)


def _labels(workload: Workload) -> dict[str, str]:
    own = {
        LATENCY_OBJECTIVE: workload.latency_objective,
        ISOLATION: workload.isolation,
        WHOLE_GPU: "true" if workload.whole_gpu else "",
    }
    return {**workload.labels, **{key: value for key, value in own.items() if value}}


def _usage(case: Case, series: Mapping[str, Sequence[int | None]]) -> Usage:
    workload, measured = case.workload, case.measured
    interval, duration = _ms(measured.interval), _ms(measured.duration)
    devices: list[DeviceUse] = []
    pods: list[PodUse] = []
    for pod in range(workload.pods):
        keys = []
        for gpu in range(workload.gpus):
            keys.append(f"node-{pod}/GPU-{gpu}")
            devices.append(
                DeviceUse(
                    key=keys[-1],
                    node=f"node-{pod}",
                    uuid=f"GPU-{pod}-{gpu}",
                    index=str(gpu),
                    model=workload.gpu_model,
                    profile=workload.mig_profile,
                    series={name: _samples(values, interval) for name, values in series.items()},
                )
            )
        pods.append(
            PodUse(
                namespace="team",
                pod=f"{case.name}-{pod}",
                owner_kind=workload.owner_kind,
                owner=case.name,
                team="team",
                kind=workload.kind,
                devices=tuple(keys),
                start_ms=START_MS,
                end_ms=START_MS + duration,
                gpus_requested=workload.gpus,
                labels=_labels(workload),
                series={n: _samples(v, interval) for n, v in series.items()} if workload.gpus == 1 else {},
                shared_with=workload.shared_with,
                attributed=workload.attributed,
            )
        )
    return Usage(
        start_ms=START_MS,
        end_ms=START_MS + duration,
        interval_ms=interval,
        devices=tuple(devices),
        pods=tuple(pods),
    )


def _samples(values: Sequence[int | None], interval: int) -> Samples:
    there = [(START_MS + at * interval, value) for at, value in enumerate(values) if value is not None]
    return Samples(array("q", [at for at, _ in there]), array("q", [value for _, value in there]))


def _from_series(case: Case) -> Profile:
    measured = case.measured
    count = _ms(measured.duration) // _ms(measured.interval)
    keep = Decimal(str(measured.coverage))
    series: dict[str, list[int | None]] = {}
    for name, given in measured.series.items():
        values = _cut(_generated(name, given, count, _ms(measured.interval)), keep)
        series[NAMES[name]] = _counter(values) if NAMES[name] == NVLINK else values
    [found] = profiles_of(_usage(case, series))
    return msgspec.structs.replace(found, name=case.name)


def _cut(values: list[int | None], keep: Decimal) -> list[int | None]:
    """Leave out evenly what coverage says is missing."""
    return [v if int((at + 1) * keep) > int(at * keep) else None for at, v in enumerate(values)]


def _counter(rates: list[int | None]) -> list[int | None]:
    """NVLink is given as a rate in GB/s, and the exporter's counter only rises."""
    total, found = 0, list[int | None]()
    for rate in rates:
        total += rate if rate is not None and rate >= NVLINK_NOISE * 1000 else 0
        found.append(None if rate is None else total)
    return found


def _generated(name: str, given: Any, count: int, interval: int) -> list[int | None]:
    if isinstance(given, tuple | list):
        values = [None if value is None else _milli(name, value) for value in given]
        # A short list is repeated over the duration, so that one day can stand for a week.
        return [values[at % len(values)] for at in range(count)] if values else []
    if not isinstance(given, Generator):
        return [_milli(name, given)] * count
    base, noise, growth = (_milli(name, value) for value in (given.base, given.noise, given.growth))
    hours = [(_hours(span), _milli(name, value)) for span, value in given.hours.items()]
    bursts = [
        (_ms(each.every), _ms(each.length), _ms(each.offset), _milli(name, each.value))
        for each in given.bursts
    ]
    found: list[int | None] = []
    for at in range(count):
        time = at * interval
        hour = time // 3_600_000 % 24
        value = next((level for (start, end), level in hours if _within(hour, start, end)), base)
        for every, length, offset, level in bursts:
            if time >= offset and (time - offset) % every < length:
                value = max(value, level)
        # Noise without chance: a saw of seven steps from -noise to +noise.
        value += noise * (at * 5 % 7 - 3) // 3 + growth * at // max(1, count)
        found.append(max(0, value))
    return found


def _within(hour: int, start: int, end: int) -> bool:
    return start <= hour < end if start <= end else hour >= start or hour < end


def _hours(span: str) -> tuple[int, int]:
    start, _, end = span.partition("-")
    return int(start), int(end)


def _milli(name: str, value: Number) -> int:
    """Thousandths of the metric's unit; memory from a quantity ("22Gi") or a number of MiB."""
    if NAMES[name] == FB_USED and isinstance(value, str) and not value.replace(".", "").isdigit():
        return parse_quantity(value).value() * 1000 // MIB
    return int(Decimal(str(value)) * 1000)


def _from_summary(case: Case) -> Profile:
    measured = case.measured
    duration, interval = _ms(measured.duration), _ms(measured.interval)
    coverage = Decimal(str(measured.coverage))
    [empty] = profiles_of(_usage(case, {}))
    samples = int(duration // interval * coverage) * case.workload.pods
    found: dict[str, Quantiles] = {}
    scale = scale_of(case.workload.gpu_model, case.workload.mig_profile)
    for name, summary in measured.summary.items():
        ratio = {DRAM_ACTIVE: scale.memory, FB_USED: (1, 1)}.get(NAMES[name], scale.compute)
        found[NAMES[name]] = _quantiles(name, summary, samples, ratio)
    shown = {"SM": SM_ACTIVE, "GR_ENGINE": GR_ENGINE, "UTIL": UTIL}
    metric = next((each for each, full in shown.items() if full in found), "")
    compute = found.get(shown[metric]) if metric else None
    nvlink = found.get(NVLINK)
    return msgspec.structs.replace(
        empty,
        name=case.name,
        compute_metric=metric,
        compute=compute,
        memory=found.get(FB_USED),
        bandwidth=found.get(DRAM_ACTIVE),
        tensor=found.get(TENSOR),
        nvlink=None if nvlink is None else nvlink.most >= NVLINK_NOISE * 1000,
        full_instance=compute is not None and _fills(compute.p95, case.workload.mig_profile, scale),
        coverage_milli=int(coverage * 1000),
    )


def _fills(p95: int, instance: str, scale: Scale) -> bool:
    """Whether p95 compute is at 90 % of the instance that it was measured on."""
    return bool(instance) and p95 * scale.compute[1] >= 900 * scale.compute[0]


def _quantiles(name: str, given: Summary, samples: int, ratio: tuple[int, int]) -> Quantiles:
    p99 = given.max if given.p99 is None else given.p99
    p95 = p99 if given.p95 is None else given.p95
    p50 = p95 if given.p50 is None else given.p50
    mean = p50 if given.mean is None else given.mean
    divisor = 100 if NAMES[name] == UTIL else 1
    values = [_milli(name, each) for each in (mean, p50, p95, p99, given.max)]
    if NAMES[name] == FB_USED:
        values = [each * MIB // 1000 for each in values]
    values = [-(-each * ratio[0] // (divisor * ratio[1])) for each in values]
    if not values[1] <= values[2] <= values[3] <= values[4]:
        raise ValueError(f"{name}: p50 <= p95 <= p99 <= max does not hold")
    return Quantiles(
        samples=samples, mean=values[0], p50=values[1], p95=values[2], p99=values[3], most=values[4]
    )


def _ms(text: str) -> int:
    days = text.removesuffix("d")
    if days != text and days.isdigit():
        return int(days) * 86_400_000
    found = parse_duration(text) // NS_PER_MS
    if found < 0:
        raise ValueError(f"{text} is below zero")
    return found

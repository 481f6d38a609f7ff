"""Hard rules: what is missing before anything may be said, and what forbids to share, with evidence.

Percent in reasons are of one whole GPU. Thresholds are ours, on the safe side: docs/reference/advice.md.
"""

from collections.abc import Iterator

from msgspec import Struct

from stellwerk.engine.advice.profile import COARSE, HOUR_MS, LEAST_COVERAGE_MILLI, MINUTE_MS, Profile
from stellwerk.engine.decision import Reason
from stellwerk.engine.partition.geometry import MigProfile
from stellwerk.engine.partition.need import GpuFacts

SERVICE_HOURS = 22  # A service is known after a day; two hours are for a scrape that began late.
RUN_HOURS = 2  # A run of a batch or a training; three runs may be an hour together.
LEAST_SAMPLES = 100
LONGEST_INTERVAL_MS = 5 * MINUTE_MS  # Longer ones step over bursts.
BANDWIDTH_BOUND_MILLI = 500
COMPUTE_BOUND_MILLI = 700
TENSOR_BOUND_MILLI = 300
ABOVE_SLICE = "its peak memory of {used} GiB and {headroom} % are above the largest share of {limit} GiB"
NEEDS_MIG = "it must be isolated, and {model} has no MIG"
NO_OBJECTIVE = "a latency objective of {ms} ms does not go with time-slicing or MPS, and {model} has no MIG"
TENSOR_BUSY = "bound by compute: {metric} p95 {percent} %, tensor cores p95 {tensor} %"
RUNS = frozenset({"training", "batch"})


class Margins(Struct, frozen=True):
    """`headroom_percent` is added to measured memory, compute and bandwidth before they must fit."""

    headroom_percent: int = 10

    def on(self, value: int) -> int:
        """The value with head-room, rounded up."""
        return -(-value * (100 + self.headroom_percent) // 100)


def must_be_whole(profile: Profile) -> Iterator[Reason]:
    """What forbids sharing whatever was measured: several GPUs, NVLink traffic, the owner's word."""
    if profile.nvlink:
        yield Reason("NvlinkTraffic", "NVLink carries traffic between its GPUs, and a MIG instance has none")
    elif profile.gpus > 1:
        yield Reason("SeveralGpus", "a pod works on {gpus} GPUs together", {"gpus": profile.gpus})
    if profile.gpus > 1 and profile.gpus_idle:
        idle: dict[str, str | int] = {"idle": profile.gpus_idle, "gpus": profile.gpus}
        yield Reason("IdleGpus", "{idle} of its {gpus} GPUs never ran: ask for fewer", idle)
    if profile.whole:
        yield Reason("WholeAsked", "its label stellwerk.dev/whole-gpu asks for whole GPUs")


def missing(profile: Profile, kind: str, facts: GpuFacts | None) -> Iterator[Reason]:
    """What the measurement lacks; with one of these nothing is advised."""
    if facts is None:
        values: dict[str, str | int] = {"model": profile.model or "?"}
        yield Reason("UnknownModel", "the catalog does not know its GPU model {model}", values)
    if not profile.attributed:
        names = {"names": ", ".join(profile.shared_with[:3]) or "?"}
        yield Reason("NotAttributed", "it shares its GPU with {names}, and the values were not split", names)
        return  # That its own values are missing follows from it.
    if profile.mixed:
        yield Reason("MixedDevices", "its pods ran on different GPUs or instances, whose values do not mix")
    if profile.memory is None or not profile.memory.most:
        yield Reason("NoMemory", "GPU memory (DCGM_FI_DEV_FB_USED) was not measured")
    if profile.compute is None:
        yield Reason("NoCompute", "no compute activity was measured: add DCGM_FI_PROF_SM_ACTIVE")
    if profile.full_instance:
        full = {"instance": profile.instance}
        yield Reason("FullInstance", "it fills its instance {instance}: what it would use is not known", full)
    if profile.pattern.memory_grows:
        yield Reason("MemoryGrows", "its memory still grew when the measurement ended")
    yield from _too_little(profile, kind)


def _too_little(profile: Profile, kind: str) -> Iterator[Reason]:
    needed = RUN_HOURS if kind in RUNS else SERVICE_HOURS
    if kind in RUNS and profile.pods >= 3:
        needed = 1
    if profile.measured_ms < needed * HOUR_MS:
        minutes: dict[str, str | int] = {"minutes": profile.measured_ms // MINUTE_MS, "hours": needed}
        yield Reason("TooShort", "measured for {minutes} min, {hours} h are needed", minutes)
    found = [each.samples for each in (profile.compute, profile.memory) if each is not None]
    if found and min(found) < LEAST_SAMPLES:
        few: dict[str, str | int] = {"samples": min(found), "needed": LEAST_SAMPLES}
        yield Reason("TooFewSamples", "{samples} samples, {needed} are needed", few)
    if profile.interval_ms > LONGEST_INTERVAL_MS:
        minutes = {"minutes": profile.interval_ms // MINUTE_MS}
        yield Reason("TooCoarse", "a sample every {minutes} min steps over bursts", minutes)
    if profile.coverage_milli < LEAST_COVERAGE_MILLI:
        share: dict[str, str | int] = {"percent": profile.coverage_milli // 10}
        yield Reason("Holes", "only {percent} % of the samples are there", share)


def must_not_share(profile: Profile, facts: GpuFacts, margins: Margins) -> Iterator[Reason]:
    """What the measurement forbids; the profile has memory and compute."""
    assert profile.memory is not None and profile.compute is not None, "missing() was asked before"
    limit = largest_share(facts)
    if margins.on(profile.memory.most) > limit:
        values: dict[str, str | int] = {
            "used": _gib(profile.memory.most),
            "limit": _gib(limit),
            "headroom": margins.headroom_percent,
        }
        yield Reason("MemoryAboveSlice", ABOVE_SLICE, values)
    if profile.bandwidth is not None and profile.bandwidth.p95 >= BANDWIDTH_BOUND_MILLI:
        percent: dict[str, str | int] = {"percent": profile.bandwidth.p95 // 10}
        yield Reason("BandwidthBound", "bound by memory bandwidth: DRAM active p95 {percent} %", percent)
    yield from _compute_bound(profile)
    if profile.isolated and facts.mig is None:
        yield Reason("IsolationNeedsMig", NEEDS_MIG, {"model": facts.model})
    if profile.latency_ms is not None and facts.mig is None:
        latency: dict[str, str | int] = {"ms": profile.latency_ms, "model": facts.model}
        yield Reason("LatencyNeedsMig", NO_OBJECTIVE, latency)


def _compute_bound(profile: Profile) -> Iterator[Reason]:
    assert profile.compute is not None, "missing() was asked before"
    if profile.compute.p95 < COMPUTE_BOUND_MILLI:
        return
    tensor = profile.tensor.p95 if profile.tensor is not None else 0
    values: dict[str, str | int] = {"metric": profile.compute_metric, "percent": profile.compute.p95 // 10}
    if profile.compute_metric not in COARSE:
        yield Reason("ComputeBound", "bound by compute: {metric} active p95 {percent} %", values)
    elif tensor >= TENSOR_BOUND_MILLI:
        values["tensor"] = tensor // 10
        yield Reason("ComputeBound", TENSOR_BUSY, values)


def largest_share(facts: GpuFacts) -> int:
    """Bytes of the largest part that leaves room for another tenant: a MIG instance, else half of the GPU."""
    below = partial_profiles(facts)
    return max((each.memory_bytes for each in below), default=facts.memory_bytes // 2)


def partial_profiles(facts: GpuFacts) -> tuple[MigProfile, ...]:
    """The MIG profiles that leave room for others, smallest first; () where the model has none."""
    if facts.mig is None:
        return ()
    return tuple(each for each in facts.mig.profiles if each.size < facts.mig.memory_slices)


def _gib(memory_bytes: int) -> str:
    tenths = memory_bytes * 10 // 1024**3
    return f"{tenths // 10}.{tenths % 10}"

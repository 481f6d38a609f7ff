"""What a pod's own values say: when it held a GPU and did not use it, and its part of a GPU under MPS."""

from collections.abc import Mapping

from stellwerk.catalog.gpus import MIB
from stellwerk.engine.money.measured.result import BillFacts, Span
from stellwerk.engine.money.measured.spans import clip
from stellwerk.engine.usage import FB_USED, GR_ENGINE, SM_ACTIVE, UTIL, PodUse, Samples, Usage

# Each metric's thousandths in one thousandth of a GPU: GPU_UTIL is percent, the others are ratios.
_COMPUTE = {UTIL: 100, GR_ENGINE: 1, SM_ACTIVE: 1}


def compute_of(series: Mapping[str, Samples]) -> tuple[Samples, int] | None:
    """The first of GPU_UTIL, GR_ENGINE_ACTIVE and SM_ACTIVE, and its units in a thousandth of a GPU."""
    for metric, units in _COMPUTE.items():
        samples = series.get(metric)
        if samples is not None and samples.times_ms:
            return samples, units
    return None


def idle_spans(pod: PodUse, usage: Usage, facts: BillFacts, tolerance: int) -> tuple[Span, ...]:
    """When every sample was below the threshold for at least the facts' minutes; never across a gap."""
    found = compute_of(pod.series)
    if found is None:
        return ()
    samples, units = found
    spans: list[Span] = []
    start: int | None = None
    before = 0
    for time, value in zip(samples.times_ms, samples.values_milli, strict=True):
        if start is not None and time - before > tolerance:
            spans.append(Span(start, before + usage.interval_ms))
            start = None
        low = value < facts.idle_below_milli * units
        if low and start is None:
            start = time
        elif not low and start is not None:
            spans.append(Span(start, time))
            start = None
        before = time
    if start is not None:
        spans.append(Span(start, before + usage.interval_ms))
    held = clip(spans, Span(pod.start_ms, pod.end_ms))
    return tuple(span for span in held if span.end_ms - span.start_ms >= facts.idle_after_ms)


def mps_share_milli(pod: PodUse, gpu_memory_bytes: int) -> int | None:
    """Thousandths of a GPU: the mean of the peak's memory share and the p95 of compute, as in a replay.

    None where either was not measured for this pod alone.
    """
    memory = pod.series.get(FB_USED)
    compute = compute_of(pod.series)
    if memory is None or not memory.values_milli or compute is None:
        return None
    part = max(memory.values_milli) * MIB // gpu_memory_bytes
    samples, units = compute
    ordered = sorted(samples.values_milli)
    p95 = ordered[-(-95 * len(ordered) // 100) - 1] // units
    return max(1, (part + p95) // 2)

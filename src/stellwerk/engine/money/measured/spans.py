"""Sets of time spans: joined, cut, and read from the times of samples."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from stellwerk.engine.money.measured.result import Span
from stellwerk.engine.usage import STALE_MS, DeviceUse, Usage


def tolerance_ms(usage: Usage) -> int:
    """How far apart two samples may be and still say that nothing was missed between them."""
    return max(STALE_MS, 2 * usage.interval_ms)


def join(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time as disjoint spans in order; empty ones are dropped."""
    joined: list[Span] = []
    for span in sorted(each for each in spans if each.start_ms < each.end_ms):
        if joined and span.start_ms <= joined[-1].end_ms:
            joined[-1] = Span(joined[-1].start_ms, max(joined[-1].end_ms, span.end_ms))
        else:
            joined.append(span)
    return tuple(joined)


def clip(spans: Iterable[Span], within: Span) -> tuple[Span, ...]:
    """The part of each span that lies within one."""
    cut = (Span(max(s.start_ms, within.start_ms), min(s.end_ms, within.end_ms)) for s in spans)
    return tuple(span for span in cut if span.start_ms < span.end_ms)


def length_ms(spans: Iterable[Span]) -> int:
    """Milliseconds of disjoint spans."""
    return sum(span.end_ms - span.start_ms for span in spans)


def sampled(times: Sequence[int], interval_ms: int, tolerance: int) -> tuple[Span, ...]:
    """When there were samples: from each to the next, if that is near; else one interval."""
    if not times:
        return ()
    gaps = [at for at, (time, after) in enumerate(pairwise(times), 1) if after - time > tolerance]
    firsts, lasts = [0, *gaps], [*(at - 1 for at in gaps), len(times) - 1]
    return tuple(
        Span(times[first], times[last] + interval_ms) for first, last in zip(firsts, lasts, strict=True)
    )


def measured(device: DeviceUse, usage: Usage) -> tuple[Span, ...]:
    """When the device was measured, by its longest series; without series: the usage's whole time."""
    longest = max(device.series.values(), key=lambda samples: len(samples.times_ms), default=None)
    if longest is None or not longest.times_ms:
        return (Span(usage.start_ms, usage.end_ms),)
    return sampled(longest.times_ms, usage.interval_ms, tolerance_ms(usage))

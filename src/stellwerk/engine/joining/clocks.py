"""Jumps of a clock, told from holes by what does not follow the clock: the energy counter, the scrapes' grid.

Energy divided by power is time. A GPU at rest draws no less than about a twelfth of its most. So a hole in
which the counter grew by less than a twentieth of what either neighbor's power gives was no hole: the clock
jumped. So much more than the step allows, and the clock stood back. Between the two a hole stays a hole.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from stellwerk.engine.joining.gaps import ENERGY, MISSING_STEPS
from stellwerk.engine.joining.series import Findings
from stellwerk.engine.usage import POWER, DeviceUse, Hole, Samples

_RANGE = 20  # Power at rest and at most differ by less than this.
_REGULAR = 3  # Steps on each side of a hole that show the grid.
_OFF_GRID = 10  # A phase that moved by a tenth of the interval is another grid.


def note_clock_jumps(
    devices: Sequence[DeviceUse], holes: Iterable[Hole], times: Mapping[str, Collection[int]], step_ms: int
) -> Findings:
    """What tells of jumps: "clock-forward" and "clock-back" by energy, "off-grid" by scrapes after a hole."""
    findings = Findings()
    real: set[tuple[str, int]] = set()
    for device in devices:
        for start, found in _by_energy(device, step_ms):
            if found:
                findings.add(found, device.node or device.key)
            real.add((device.node, start))
    for hole in holes:
        for node in [hole.node] if hole.node else sorted(times):
            told = (node, hole.start_ms - step_ms) in real
            if not told and _off_grid(sorted(times[node]), hole, step_ms):
                findings.add("off-grid", node or "*")
    return findings


def _by_energy(device: DeviceUse, step_ms: int) -> Iterable[tuple[int, str]]:
    """(time, code, or "" for a real hole) of each step that the counter can judge."""
    energy, power = device.series.get(ENERGY), device.series.get(POWER)
    if energy is None or power is None:
        return
    readings = zip(energy.times_ms, energy.values_milli, strict=True)
    for (before, least), (after, most) in pairwise(readings):
        drawn = [_at(power, before), _at(power, after)]
        # mJ in thousandths by W in thousandths: ms.
        if most <= least or None in drawn or not all(drawn):
            continue
        longest = (most - least) // min(each for each in drawn if each)
        shortest = (most - least) // max(each for each in drawn if each)
        if after - before > max(_RANGE * longest, MISSING_STEPS * step_ms):
            yield before, "clock-forward"
        elif shortest > _RANGE * (after - before):
            yield before, "clock-back"
        elif 2 * longest >= after - before > MISSING_STEPS * step_ms:
            yield before, ""


def _at(samples: Samples, time: int) -> int | None:
    at = bisect_left(samples.times_ms, time)
    found = at < len(samples.times_ms) and samples.times_ms[at] == time
    return samples.values_milli[at] if found else None


def _off_grid(times: Sequence[int], hole: Hole, step_ms: int) -> bool:
    """Whether scrapes came each interval before and after the hole, but not on one grid."""
    at = bisect_left(times, hole.end_ms)
    before, after = times[max(0, at - _REGULAR - 1) : at], times[at : at + _REGULAR + 1]
    if len(before) <= _REGULAR or len(after) <= _REGULAR:
        return False
    steps = [late - early for side in (before, after) for early, late in pairwise(side)]
    if any(abs(step - step_ms) * 50 > step_ms for step in steps):
        return False
    phase = (after[0] - before[-1]) % step_ms
    return min(phase, step_ms - phase) * _OFF_GRID > step_ms

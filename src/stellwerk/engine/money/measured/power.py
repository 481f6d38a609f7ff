"""Energy from DCGM_FI_DEV_POWER_USAGE: a step function, each sample holds until the next one."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from stellwerk.engine.usage import POWER, DeviceUse


class Power:
    """A GPU's power over time. Instances repeat their GPU's value: of one moment one value counts."""

    def __init__(self, devices: Sequence[DeviceUse], interval_ms: int, tolerance: int) -> None:
        values: dict[int, int] = {}
        for device in sorted(devices, key=lambda device: (device.profile != "", device.key)):
            samples = device.series.get(POWER)
            if samples is not None:
                for time, value in zip(samples.times_ms, samples.values_milli, strict=True):
                    values.setdefault(time, value)
        self._times = sorted(values)
        self._values = [values[time] for time in self._times]
        self._lasts = [
            after - time if after - time <= tolerance else interval_ms
            for time, after in pairwise(self._times)
        ]
        self._lasts += [interval_ms] if self._times else []
        self._before = [0]
        for value, lasts in zip(self._values, self._lasts, strict=True):
            self._before.append(self._before[-1] + value * lasts)

    def energy_uj(self, start_ms: int, end_ms: int) -> int:
        """Microjoules in [start_ms, end_ms), exact for the step function; 0 where nothing was measured."""
        return self._until(end_ms) - self._until(start_ms)

    def _until(self, time: int) -> int:
        at = bisect_right(self._times, time) - 1
        if at < 0:
            return 0
        return self._before[at] + self._values[at] * min(time - self._times[at], self._lasts[at])

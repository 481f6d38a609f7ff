"""A series as a reader gives it, and its samples in order: ascending, one value for each time."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice, pairwise
from operator import lt

from msgspec import Struct

from stellwerk.engine.usage import Samples

COUNTERS = frozenset({"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"})


class Series(Struct, frozen=True):
    """One series of one file: its samples in the order of the file, values in thousandths of its unit."""

    metric: str
    labels: Mapping[str, str]
    times_ms: "array[int]"
    values_milli: "array[int]"


class Findings:
    """What is to be warned of: by code, how often for which name."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}

    def add(self, code: str, name: str, count: int = 1) -> None:
        """Count something that a figure must not hide."""
        if count:
            self.counts.setdefault(code, Counter())[name] += count

    def take(self, other: "Findings") -> None:
        """All that another one found."""
        for code, counts in other.counts.items():
            for name, count in counts.items():
                self.add(code, name, count)


class Shared:
    """Times that many series have in common, kept once: those of one scrape of one exporter."""

    def __init__(self) -> None:
        self._known: dict[int, list[array[int]]] = {}

    def one(self, times: "array[int]") -> "array[int]":
        """The times that were met first among equal ones."""
        alike = self._known.setdefault(hash(times.tobytes()), [])
        for known in alike:
            if known == times:
                return known
        alike.append(times)
        return times


def narrow(values: "array[int] | list[int]") -> "array[int]":
    """The values in half the memory, where each fits into 32 bits."""
    try:
        return array("i", values)
    except OverflowError:
        return array("q", values)


def union(parts: Iterable["array[int]"]) -> "array[int]":
    """All times of the parts (each ascending), ascending, each once."""
    different = {id(part): part for part in parts}
    if len(different) == 1:
        return next(iter(different.values()))
    return array("q", sorted(set[int]().union(*different.values())))


def ascending(series: Series, name: str, findings: Findings) -> Samples:
    """The samples sorted by time; of two at one time the later in the file. `name` is what warnings name."""
    times = series.times_ms
    if all(map(lt, times, islice(times, 1, None))):
        return Samples(times, series.values_milli)
    back = [at for at, (before, after) in enumerate(pairwise(times)) if after < before]
    findings.add("times-back", name, len(back))
    if series.metric in COUNTERS:
        values = series.values_milli
        # A counter only grows: where it did while the time fell, the clock went back, not the file's order.
        findings.add("clock-back", name, sum(values[at + 1] > values[at] for at in back))
    return _latest([Samples(times, series.values_milli)], name, findings)


def merged(parts: Sequence[Samples], name: str, findings: Findings) -> Samples:
    """Series of one thing as one; where two have a value at one time, that of the later part."""
    ordered = sorted((part for part in parts if part.times_ms), key=lambda part: part.times_ms[0])
    if len(ordered) == 1:
        return ordered[0]
    if all(before.times_ms[-1] < after.times_ms[0] for before, after in pairwise(ordered)):
        times = array("q", chain.from_iterable(part.times_ms for part in ordered))
        return Samples(times, narrow(list(chain.from_iterable(part.values_milli for part in ordered))))
    return _latest(parts, name, findings)


def summed(parts: Sequence[Samples]) -> Samples:
    """The sum at each time that all parts have: a part of a sum would be too little."""
    sums, counts = Counter[int](), Counter[int]()
    for part in parts:
        counts.update(part.times_ms)
        for time, value in zip(part.times_ms, part.values_milli, strict=True):
            sums[time] += value
    return samples_of({time: sums[time] for time, count in counts.items() if count == len(parts)})


def samples_of(values: Mapping[int, int]) -> Samples:
    """Samples of values by time."""
    times = sorted(values)
    return Samples(array("q", times), narrow([values[time] for time in times]))


def only(samples: Samples, kept: Iterable[int]) -> Samples:
    """The samples at these times."""
    wanted = set(kept)
    pairs = zip(samples.times_ms, samples.values_milli, strict=True)
    return samples_of({time: value for time, value in pairs if time in wanted})


def _latest(parts: Sequence[Samples], name: str, findings: Findings) -> Samples:
    values: dict[int, int] = {}
    conflicts = 0
    for part in parts:
        for time, value in zip(part.times_ms, part.values_milli, strict=True):
            conflicts += values.get(time, value) != value
            values[time] = value
    findings.add("values-conflict", name, conflicts)
    return samples_of(values)

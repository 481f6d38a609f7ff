"""Scrapes: how often, where they are missing, and where a counter began anew."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice, pairwise
from operator import lt, sub

from stellwerk.engine.joining.series import Findings
from stellwerk.engine.usage import Hole, Samples

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
MISSING_STEPS = 2  # From so many intervals on, a step between two samples surely misses one.


def median_step(times: Iterable[Sequence[int]]) -> int | None:
    """The lower median of the steps between samples, in ms; None where nothing was seen twice."""
    steps = Counter[int]()
    # Series of one scrape share their times: these are counted once, and as often as they are there.
    alike: dict[int, list[Sequence[int]]] = {}
    for each in times:
        alike.setdefault(id(each), []).append(each)
    for same in alike.values():
        ordered = _ascending(same[0])
        for step, count in Counter(map(sub, islice(ordered, 1, None), ordered)).items():
            steps[step] += count * len(same)
    half = sum(steps.values())
    for step in sorted(steps):
        half -= 2 * steps[step]
        if half <= 0:
            return step
    return None


def _ascending(times: Sequence[int]) -> Sequence[int]:
    return times if all(map(lt, times, islice(times, 1, None))) else sorted(set(times))


def holes_of(times: Mapping[str, Collection[int]], interval_ms: int) -> tuple[Hole, ...]:
    """Where a node (by name) was not scraped for more than one and a half intervals between two scrapes.

    A hole that all of several nodes have alike is one of node "".
    """
    holes = {node: set(_missing(sorted(seen), interval_ms)) for node, seen in times.items()}
    shared = set.intersection(*holes.values()) if len(holes) > 1 else set[tuple[int, int]]()
    found = [Hole("", start, end) for start, end in shared]
    found += [Hole(node, *each) for node, missing in holes.items() for each in missing - shared]
    return tuple(sorted(found, key=lambda hole: (hole.start_ms, hole.end_ms, hole.node)))


def gaps_within(seen: Collection[int], all_times: Sequence[int]) -> int:
    """How many of `all_times` (ascending) between the first and the last of `seen` are not among them."""
    if len(seen) < 2:
        return 0
    return bisect_right(all_times, max(seen)) - bisect_left(all_times, min(seen)) - len(seen)


def count_resets(node: str, energy: Samples | None, findings: Findings) -> None:
    """The energy counter only grows; where it falls, exporter, driver or node began anew."""
    values = array("q") if energy is None else energy.values_milli
    findings.add("counter-reset", node, sum(after < before for before, after in pairwise(values)))


def _missing(times: Sequence[int], interval_ms: int) -> Iterable[tuple[int, int]]:
    for before, after in pairwise(times):
        if 2 * (after - before) > 3 * interval_ms:
            yield before + interval_ms, after

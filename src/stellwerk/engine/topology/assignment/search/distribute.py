"""Second phase, second part: how many pods each of the chosen domains gets, with as few domains as possible.

The counts of domains turn from what they hold into what they get.
Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go, updateCountsToMinimumGeneric (ff69552e).
"""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts
from stellwerk.engine.topology.assignment.search.order import leader_first, tightest


class Share(Struct, frozen=True):
    """What several domains of a level are to take together: `units` slices of `size` pods, or single pods.

    `best_fit`: the last domain is the tightest one that is enough.
    """

    units: int
    leaders: int
    size: int
    by_slice: bool
    best_fit: bool


def share_of(count: int, leaders: int, size: int, *, by_slice: bool, best_fit: bool) -> Share:
    """The share of `count` pods; those beyond whole slices are dropped."""
    return Share(count // size if by_slice else count, leaders, size if by_slice else 1, by_slice, best_fit)


def distribute(counts: LevelCounts, domains: Sequence[int], share: Share) -> list[int]:
    """The domains that get something, in the order in which they are filled; [] if they cannot take all."""
    domains = leader_first(counts, domains, share.units, share.leaders, by_slice=share.by_slice)
    left, leaders = share.units, share.leaders
    chosen: list[int] = []
    for place, domain in enumerate(domains):
        column = _column(counts, share, leaders)
        enough = column[domain] >= left and counts.leaders[domain] >= leaders
        if enough and share.best_fit:
            domain = tightest(counts, domains[place:], column, left, leaders)
        chosen.append(domain)
        if column[domain] >= left and counts.leaders[domain] >= leaders:
            _give(counts, domain, share, left, leaders)
            return chosen
        taken, taken_leaders = min(column[domain], left), min(counts.leaders[domain], leaders)
        if leaders > 0:
            column[domain] = taken
        _give(counts, domain, share, taken, taken_leaders)
        left, leaders = left - taken, leaders - taken_leaders
    return []


def _column(counts: LevelCounts, share: Share, leaders: int) -> list[int]:
    """What counts: beside a leader as long as one is to be placed."""
    if leaders > 0:
        return counts.led_slices if share.by_slice else counts.led_pods
    return counts.slices if share.by_slice else counts.pods


def _give(counts: LevelCounts, domain: int, share: Share, units: int, leaders: int) -> None:
    counts.leaders[domain] = leaders
    counts.pods[domain] = units * share.size
    if share.by_slice:
        counts.slices[domain] = units

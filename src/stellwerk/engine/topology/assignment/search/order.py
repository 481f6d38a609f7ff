"""In which order domains are tried, and which one is the tightest that is enough.

BestFit begins with the domain that holds most and ends in the tightest; LeastFreeCapacity begins with the one
that holds least (KEP-2724). Domains are indices of one level; the smaller index settles ties.
Source: Kueue pkg/cache/scheduler/tas_flavor_snapshot.go (ff69552e).
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts


class Profile(Struct, frozen=True):
    """`least_free`: LeastFreeCapacity, not BestFit. `by_affinity`: preference comes before capacity."""

    least_free: bool
    by_affinity: bool


def sorted_domains(counts: LevelCounts, domains: Iterable[int], profile: Profile) -> list[int]:
    """By slices (most first, or least first), then by pods, fewest first, so that little is left over."""
    sign = 1 if profile.least_free else -1
    slices, pods, affinity = counts.slices, counts.pods, counts.affinity
    if profile.by_affinity:
        return sorted(domains, key=lambda d: (-affinity[d], sign * slices[d], pods[d], d))
    return sorted(domains, key=lambda d: (sign * slices[d], pods[d], d))


def sorted_for_leader(counts: LevelCounts, domains: Iterable[int], profile: Profile) -> list[int]:
    """Those that hold a leader first, then as sorted_domains by what fits beside it."""
    sign = 1 if profile.least_free else -1
    slices, pods, leaders = counts.led_slices, counts.led_pods, counts.leaders
    affinity = counts.affinity if profile.by_affinity else [0] * len(pods)
    return sorted(domains, key=lambda d: (-leaders[d], -affinity[d], sign * slices[d], pods[d], d))


def tightest(
    counts: LevelCounts, domains: Sequence[int], capacity: Sequence[int], needed: int, leaders: int
) -> int:
    """The first domain with the smallest capacity that is enough, of those preferred most; else the first.

    `domains` are sorted; `capacity` is the column of `counts` that counts here.
    """
    best, least = domains[0], None
    preferred = counts.affinity[best]
    for domain in domains:
        if counts.affinity[domain] != preferred:
            break
        enough = counts.leaders[domain] >= leaders and capacity[domain] >= needed
        if enough and (least is None or capacity[domain] < least):
            best, least = domain, capacity[domain]
    return best


def leader_first(
    counts: LevelCounts, domains: Sequence[int], needed: int, leaders: int, *, by_slice: bool
) -> Sequence[int]:
    """The same order, but in front the first domain that takes the leader and leaves room for all `needed`.

    A domain's counts reckon with the child where the leader costs least, so the descent must find such a one.
    `needed` counts slices, or pods if not `by_slice`.
    """
    if leaders == 0 or len(domains) < 2:
        return domains
    all_of, led = (counts.slices, counts.led_slices) if by_slice else (counts.pods, counts.led_pods)
    room = sum(all_of[domain] for domain in domains)
    for place, domain in enumerate(domains):
        if counts.leaders[domain] >= leaders and room - (all_of[domain] - led[domain]) >= needed:
            return [domain, *domains[:place], *domains[place + 1 :]]
    return domains

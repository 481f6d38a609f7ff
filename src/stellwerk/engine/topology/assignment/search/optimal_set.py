"""As few domains as a greedy choice needs, and of those sets the one that leaves least unused.

Source: Kueue pkg/cache/scheduler/tas_balanced_placement.go (ff69552e).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from functools import lru_cache
from itertools import accumulate, repeat
from math import gcd, inf

from msgspec import Struct

from stellwerk.engine.topology.assignment.fleet.tally import LevelCounts
from stellwerk.engine.topology.assignment.search.order import Profile, sorted_domains, sorted_for_leader

_EXACT = Context(prec=40)
_EQUAL = Decimal("1e-25")  # Finer than any two entropies of counts differ, coarser than what is rounded.

State = tuple[int, int]  # Leaders and pods that are left to place.
Chosen = tuple["Chosen", int] | tuple[()]  # The last domain, behind those chosen before it.
Reached = dict[int, dict[State, Chosen]]  # By how many domains were taken.
Likeness = tuple[int, int, int, bool]


class Need(Struct, frozen=True):
    """Slices of `size` pods, and leaders."""

    slices: int
    leaders: int
    size: int


class Greedy(Struct, frozen=True):
    """How many domains a greedy choice takes, the last one that takes a leader, and the last one without."""

    domains: int
    last_led: int | None
    last: int | None


def try_greedy(
    counts: LevelCounts, domains: Iterable[int], slices: int, leaders: int, profile: Profile
) -> Greedy | None:
    """The largest domains first, those for leaders before the others; None if all together are too small."""
    taken, last_led, last = 0, None, None
    rest = list(domains)
    if leaders > 0:
        rest = sorted_for_leader(counts, rest, profile)
        while leaders > 0 and taken < len(rest) and counts.leaders[rest[taken]] > 0:
            last_led = rest[taken]
            leaders -= counts.leaders[last_led]
            slices -= counts.led_slices[last_led]
            taken += 1
        if leaders > 0:
            return None
        rest = rest[taken:]
    for domain in sorted_domains(counts, rest, profile):
        if slices <= 0 or counts.slices[domain] <= 0:
            break
        taken, last = taken + 1, domain
        slices -= counts.slices[domain]
    return Greedy(taken, last_led, last) if slices <= 0 else None


def optimal_set(
    counts: LevelCounts, ordered: Sequence[int], need: Need, profile: Profile
) -> list[int] | None:
    """The set as the order has it, earlier domains preferred; None if all together are too small.

    By dynamic programming: `reached` knows what may be left after so many domains, and by which domains it
    was reached first. A domain that is like the one before it can only extend what that one has added. What
    the domains still to come cannot hold is given up, which no set that is found depends on.
    """
    greedy = try_greedy(counts, ordered, need.slices, need.leaders, profile)
    if greedy is None:
        return None
    reached: Reached = {0: {(need.leaders, need.slices * need.size): ()}}
    likes = [_likeness(counts, domain) for domain in ordered]
    before, fresh = None, reached
    for domain, like, limit in zip(ordered, likes, _limits(likes, greedy.domains), strict=False):
        fresh = _extend(reached, fresh if like == before else reached, (domain, like), limit)
        before = like
    found = reached.get(greedy.domains, {})
    ends = [(pods, chosen) for (leaders, pods), chosen in found.items() if leaders == 0 and pods <= 0]
    return _listed(max(ends, key=lambda end: end[0])[1]) if ends else None


def _likeness(counts: LevelCounts, domain: int) -> Likeness:
    """Leaders, pods beside a leader, pods, and whether a slice fits: all that the choice depends on."""
    columns = (counts.leaders, counts.led_pods, counts.pods)
    leaders, led_pods, pods = (column[domain] for column in columns)
    return leaders, led_pods, pods, counts.slices[domain] > 0


def _limits(likes: Sequence[Likeness], most: int) -> Iterator[list[float]]:
    """Behind each domain: by how many are taken, how many pods those to come can hold; `most` will be taken.

    Not known, since not needed, where all domains are alike.
    """
    if len(set(likes)) == 1:
        yield from repeat([inf] * (most + 1))
    holds = [max(pods, led_pods) for _, led_pods, pods, _ in likes]
    to_come = sorted(holds)
    for pods in holds:
        to_come.pop(bisect_left(to_come, pods))
        sums = list(accumulate(reversed(to_come[-most:]), initial=0))
        yield [*repeat(-inf, most + 1 - len(sums)), *sums[::-1]]


def _extend(
    reached: Reached, sources: Reached, step: tuple[int, Likeness], limit: Sequence[float]
) -> Reached:
    """Take the domain, with a leader or without, wherever something is left; returns what is reached anew.

    From many domains to few, so that none is taken twice.
    """
    domain, like = step
    fresh: Reached = {}
    for taken in sorted(sources, reverse=True):
        if taken + 1 == len(limit):
            continue
        here, most = reached.setdefault(taken + 1, {}), limit[taken + 1]
        for state in sorted(sources[taken]):
            new = [each for each in _afterwards(state, like) if each[1] <= most and each not in here]
            chosen = dict.fromkeys(new, (sources[taken][state], domain))
            here.update(chosen)
            fresh.setdefault(taken + 1, {}).update(chosen)
        if sources is reached:
            bound = limit[taken]
            reached[taken] = {s: chosen for s, chosen in reached[taken].items() if s[1] <= bound}
    return fresh


def _afterwards(state: State, like: Likeness) -> list[State]:
    """What may be left behind one more domain: with a leader on it first, then without."""
    (leaders, pods), (leads, led_pods, pods_here, has_slice) = state, like
    if leaders <= 0 and pods <= 0:
        return []
    led = [(leaders - leads, pods - led_pods)] if leaders > 0 and leads > 0 else []
    return led + ([(leaders, pods - pods_here)] if has_slice else [])


def _listed(chosen: Chosen) -> list[int]:
    domains: list[int] = []
    while chosen:
        chosen, domain = chosen
        domains.append(domain)
    return domains[::-1]


def by_evenness(counts: LevelCounts, below: LevelCounts, first: Sequence[int], domains: range) -> list[int]:
    """Domains for leaders first, then by what fits beside one, then by how evenly children are filled."""
    entropy = {d: entropy_of(tuple(below.pods[first[d] : first[d + 1]])) for d in domains}
    return sorted(domains, key=lambda d: (-counts.leaders[d], -counts.led_slices[d], -entropy[d], d))


@lru_cache(maxsize=4096)
def entropy_of(pods: tuple[int, ...]) -> Decimal:
    """Shannon's entropy, in nats, of the children's pods.

    Decimal, since a float's last bits depend on the machine and on the order of the children.
    """
    total = sum(pods)
    if total == 0:
        return Decimal(0)
    part = gcd(*pods)
    return _entropy(tuple(sorted(each // part for each in pods if each)), total // part)


@lru_cache(maxsize=4096)
def _entropy(shares: tuple[int, ...], total: int) -> Decimal:
    weighted = sum((each * _ln(each) for each in shares), Decimal(0))
    return (_ln(total) - _EXACT.divide(weighted, Decimal(total))).quantize(_EQUAL, context=_EXACT)


@lru_cache(maxsize=4096)
def _ln(number: int) -> Decimal:
    return _EXACT.ln(Decimal(number))

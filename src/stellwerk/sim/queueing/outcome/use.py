"""Who held how much of what for how long, from the stays of a ledger: amounts times nanoseconds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from msgspec import Struct

from stellwerk.engine.queueing.amounts import UNLIMITED, FlavorResource
from stellwerk.sim.queueing.ledger import EVICTED, Stay, Step


class Use(Struct, frozen=True):
    """Amounts times nanoseconds: all that was held, the part that evictions threw away, the part in quota."""

    held: int = 0
    lost: int = 0
    own: int = 0


def held_of(stays: Iterable[Stay]) -> dict[FlavorResource, Use]:
    """What these stays held; nothing of it counts as within a quota."""
    held: dict[FlavorResource, int] = defaultdict(int)
    lost: dict[FlavorResource, int] = defaultdict(int)
    for stay in stays:
        for flavor_resource, amount in _amounts(stay):
            held[flavor_resource] += amount
        for flavor_resource, amount in _amounts(stay, stay.kept_ns) if stay.ended == EVICTED else ():
            lost[flavor_resource] += amount
    return {flavor_resource: Use(held[flavor_resource], lost[flavor_resource]) for flavor_resource in held}


def used_of(stays: Iterable[Stay], nominal: Mapping[FlavorResource, int]) -> dict[FlavorResource, Use]:
    """What the stays of one ClusterQueue held, and how much of it within its nominal quota at each moment."""
    found = list(stays)
    held = held_of(found)
    return {
        flavor_resource: Use(use.held, use.lost, _within(found, flavor_resource, nominal))
        for flavor_resource, use in held.items()
    }


def _within(stays: list[Stay], of: FlavorResource, nominal: Mapping[FlavorResource, int]) -> int:
    """The integral of min(held, nominal)."""
    limit = nominal.get(of, 0)
    changes: dict[int, int] = defaultdict(int)
    for stay in stays:
        for old, new in pairwise((Step(stay.start_ns, {}), *_steps(stay))):
            changes[new.at_ns] += new.usage.get(of, 0) - old.usage.get(of, 0)
    total = level = before = 0
    for at in sorted(changes):
        total += (level if limit == UNLIMITED else min(level, limit)) * (at - before)
        level += changes[at]
        before = at
    return total


def _amounts(stay: Stay, since_ns: int = 0) -> Iterator[tuple[FlavorResource, int]]:
    """What it held of each, times how long, from one step to the next, of the time since then."""
    for now, then in pairwise(_steps(stay)):
        span = max(0, then.at_ns - max(now.at_ns, since_ns))
        for flavor_resource, amount in now.usage.items():
            yield flavor_resource, amount * span


def _steps(stay: Stay) -> tuple[Step, ...]:
    """What it held from when on; at its end nothing."""
    return (Step(stay.start_ns, stay.usage), *stay.steps, Step(stay.end_ns, {}))

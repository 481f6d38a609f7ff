"""Every layout that a GPU can have: which GPU instances fit beside one another, by NVML's placement rules.

Two instances never overlap (nvmlGpuInstancePlacement_t), a profile has at most `most` instances
(nvmlGpuInstanceProfileInfo_t.instanceCount), and media engines are counted (DRA's shared counters do the
same): that is why one instance only can be `+me`. A layout is maximal when no further instance fits in it.
NVIDIA's MIG user guide shows 19 maximal layouts of an A100's five base profiles.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

from stellwerk.engine.partition.geometry import Instance, MigProfile, MigTable


class Room:
    """What is left on a GPU while a layout is built: free memory slices, engines, and instances a profile."""

    __slots__ = ("counts", "engines", "graphics", "table", "used")

    def __init__(self, table: MigTable, instances: Iterable[Instance] = ()) -> None:
        self.table, self.used = table, 0
        self.engines = list(table.engines)
        self.counts: dict[str, int] = {}
        self.graphics: bool | None = None
        for instance in instances:
            self.take(instance)

    def holds(self, instance: Instance) -> bool:
        """Whether the instance fits beside those that are there.

        Graphics instances beside others were never seen to work, so the two are not mixed.
        """
        profile = instance.profile
        if instance.mask & self.used or instance.start not in profile.starts:
            return False
        if self.counts.get(profile.name, 0) >= profile.most:
            return False
        if self.graphics is not None and self.graphics != profile.graphics:
            return False
        return all(need <= left for need, left in zip(profile.engines, self.engines, strict=True))

    def take(self, instance: Instance) -> None:
        """Put the instance in; `holds` must be true."""
        assert self.holds(instance), f"{instance.profile.name} at {instance.start} does not fit"
        profile = instance.profile
        self.used |= instance.mask
        self.counts[profile.name] = self.counts.get(profile.name, 0) + 1
        self.engines = [left - need for left, need in zip(self.engines, profile.engines, strict=True)]
        self.graphics = profile.graphics

    def copy(self) -> "Room":
        """The same room, to try on."""
        twin = Room(self.table)
        twin.used, twin.engines, twin.graphics = self.used, list(self.engines), self.graphics
        twin.counts = dict(self.counts)
        return twin


def placements(table: MigTable) -> tuple[Instance, ...]:
    """Every instance that the model can have, by start, then by size and name."""
    found = [Instance(profile, start) for profile in table.profiles for start in profile.starts]
    return tuple(sorted(found, key=_order))


def _order(instance: Instance) -> tuple[int, int, str]:
    return instance.start, instance.profile.size, instance.profile.name


def is_valid(table: MigTable, instances: Iterable[Instance]) -> bool:
    """Whether the instances may be on one GPU together."""
    room = Room(table)
    for instance in instances:
        if not room.holds(instance):
            return False
        room.take(instance)
    return True


@lru_cache(maxsize=256)
def layouts(table: MigTable, kept: tuple[Instance, ...] = ()) -> tuple[tuple[Instance, ...], ...]:
    """The maximal layouts that contain `kept`, each sorted by start; without `kept`, all of the model."""
    return tuple(sorted(_maximal(table, kept), key=lambda found: [_order(item) for item in found]))


def _maximal(table: MigTable, kept: tuple[Instance, ...]) -> Iterator[tuple[Instance, ...]]:
    """Depth first in the order of `placements`, so that each set is built once; maximal ones are given."""
    options = placements(table)
    stack: list[tuple[int, tuple[Instance, ...], Room]] = [(0, kept, Room(table, kept))]
    while stack:
        position, chosen, room = stack.pop()
        if not any(room.holds(option) for option in options):
            yield tuple(sorted(chosen, key=_order))
        for at in range(position, len(options)):
            if room.holds(options[at]):
                further = room.copy()
                further.take(options[at])
                stack.append((at + 1, (*chosen, options[at]), further))


@lru_cache(maxsize=65536)
def patterns(table: MigTable, kept: tuple[Instance, ...] = ()) -> tuple[tuple[tuple[str, int], ...], ...]:
    """What may be cut beside `kept`: each distinct maximal ((profile, count), ...), sorted.

    A pattern that another one contains is left out, since whoever needs less cuts less.
    """
    have = _counts(kept)
    found: set[tuple[tuple[str, int], ...]] = set()
    for layout in layouts(table, kept):
        new = _counts(layout)
        rest = {name: count - have.get(name, 0) for name, count in new.items() if count > have.get(name, 0)}
        found.add(tuple(sorted(rest.items())))
    return tuple(sorted(item for item in found if not any(_inside(item, other) for other in found)))


def _inside(small: tuple[tuple[str, int], ...], large: tuple[tuple[str, int], ...]) -> bool:
    counts = dict(large)
    return small != large and all(count <= counts.get(name, 0) for name, count in small)


def _counts(instances: Iterable[Instance]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for instance in instances:
        counts[instance.profile.name] = counts.get(instance.profile.name, 0) + 1
    return counts


def cut(
    table: MigTable, kept: tuple[Instance, ...], idle: tuple[Instance, ...], wanted: tuple[MigProfile, ...]
) -> tuple[Instance, ...] | None:
    """Instances for `wanted` beside `kept`: as many of the `idle` ones as possible stay; None: no room.

    Of equal ones, that which leaves the most placements to others, then the lowest starts. Complete: every
    start is tried, which is few, since a GPU holds few instances.
    """
    best: tuple[tuple[int, int, list[tuple[int, int, str]]], tuple[Instance, ...]] | None = None
    for found in _cuts(Room(table, kept), tuple(sorted(wanted, key=lambda item: (-item.size, item.name)))):
        stays = sum(instance in idle for instance in found)
        room = Room(table, (*kept, *found))
        left = sum(option.profile.size for option in placements(table) if room.holds(option))
        rank = (-stays, -left, [_order(item) for item in found])
        if best is None or rank < best[0]:
            best = rank, found
    return None if best is None else best[1]


def _cuts(room: Room, wanted: tuple[MigProfile, ...], after: int = -1) -> Iterator[tuple[Instance, ...]]:
    """All ways to place `wanted` in its order; equal profiles in a row only with rising starts."""
    if not wanted:
        yield ()
        return
    profile, rest = wanted[0], wanted[1:]
    for start in profile.starts:
        instance = Instance(profile, start)
        if start <= after or not room.holds(instance):
            continue
        further = room.copy()
        further.take(instance)
        again = start if rest and rest[0] == profile else -1
        for others in _cuts(further, rest, again):
            yield tuple(sorted((instance, *others), key=_order))

"""Where the next MIG instance goes, one request after another, without moving anybody.

`online_place` is ours: the placement that costs the others least. `first_fit` is what today's executors do:
the first GPU with room, the lowest start (Kubernetes' DRA allocator takes devices in the order of the
ResourceSlice, and NVIDIA's driver lists a profile's placements by start).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from stellwerk.engine.partition.geometry import MigProfile, MigTable, slice_mask

# (table, used memory slices by GPU, the profile) -> (GPU, start); None: no GPU has room.
OnlinePlace = Callable[[MigTable, Sequence[int], MigProfile], tuple[int, int] | None]


def first_fit(table: MigTable, used: Sequence[int], profile: MigProfile) -> tuple[int, int] | None:
    """The first GPU with room for the profile, and the lowest start there."""
    for gpu, mask in enumerate(used):
        for start in profile.starts:
            if not mask & slice_mask(start, profile.size):
                return gpu, start
    return None


def online_place(table: MigTable, used: Sequence[int], profile: MigProfile) -> tuple[int, int] | None:
    """The GPU and start that take the least from what others could still have; an empty GPU only if none has.

    Of equal ones the fuller GPU, then the first one.
    """
    best: tuple[tuple[int, int, int], int] | None = None
    for mask in dict.fromkeys(used):
        found = _cheapest(table, mask, profile)
        if found is not None:
            loss, start = found
            rank = (mask == 0, loss, -mask.bit_count())
            if best is None or rank < best[0]:
                best = rank, mask
                chosen = start
    return None if best is None else (used.index(best[1]), chosen)


@lru_cache(maxsize=65536)
def _cheapest(table: MigTable, used: int, profile: MigProfile) -> tuple[int, int] | None:
    """(what others lose, start) of the best start on a GPU with these slices in use."""
    found = [
        (reach(table, used) - reach(table, used | slice_mask(start, profile.size)), -start)
        for start in profile.starts
        if not used & slice_mask(start, profile.size)
    ]
    if not found:
        return None
    loss, start = min(found)
    return loss, -start


@lru_cache(maxsize=65536)
def reach(table: MigTable, used: int) -> int:
    """What the GPU can still give: for each profile its slices times how many instances still fit."""
    return sum(
        profile.size * _most(profile.starts, profile.size, used)
        for profile in table.profiles
        if not profile.variant
    )


def _most(starts: tuple[int, ...], size: int, used: int) -> int:
    """How many instances of one profile fit at once: starts in order, each as early as it can be."""
    count = 0
    for start in sorted(starts):
        mask = slice_mask(start, size)
        if not used & mask:
            count += 1
            used |= mask
    return count

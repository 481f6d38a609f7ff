"""MIG placements as bit masks: where a GPU instance may start, and what it leaves for others.

A GPU has memory slices (8 on A100 and H100); an instance covers [start, start + size) of them, and two
instances on one GPU never overlap (NVML's nvmlGpuInstancePlacement_t). Bit i of a mask is memory slice i.
"""

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct


class MigProfile(Struct, frozen=True, kw_only=True):
    """A GPU instance profile of one model; `starts` are its allowed first memory slices.

    `engines` are its decoders, encoders, JPEG and OFA engines; a GPU holds `most` of it at once.
    `variant`: media or graphics, which only a request by name gets. `graphics`: a `+gfx` profile.
    """

    name: str
    compute_slices: int
    reported_bytes: int | None  # Memory of the instance; None: not published.
    size: int
    starts: tuple[int, ...]
    engines: tuple[int, ...] = ()
    most: int = 64
    variant: bool = False
    graphics: bool = False

    @property
    def memory_bytes(self) -> int:
        """Memory that the instance reports; asserts that it is published (the plain table has no other)."""
        assert self.reported_bytes is not None, f"the memory of {self.name} is not published"
        return self.reported_bytes


class MigTable(Struct, frozen=True, kw_only=True):
    """Profiles of one GPU model, smallest first: the plain ones, or all (`gpu_facts`, `mig_table`).

    `memory_slices`, `compute_slices` and `engines` are the GPU's own (8 and 7 slices on A100 and H100).
    """

    memory_slices: int
    compute_slices: int
    profiles: tuple[MigProfile, ...]
    engines: tuple[int, ...] = ()

    def profile(self, name: str) -> MigProfile | None:
        """The profile of this name; None: the model has no such profile."""
        return next((profile for profile in self.profiles if profile.name == name), None)


class Instance(Struct, frozen=True):
    """A GPU instance in place: `profile` on memory slices [start, start + profile.size)."""

    profile: MigProfile
    start: int

    @property
    def mask(self) -> int:
        """The memory slices it covers."""
        return slice_mask(self.start, self.profile.size)


def slice_mask(start: int, size: int) -> int:
    """Bits [start, start + size)."""
    return ((1 << size) - 1) << start


@lru_cache(maxsize=65536)
def best_start(table: MigTable, profile: MigProfile, used: int) -> int | None:
    """The start that leaves most placements open to every profile, the highest of equals; None: no room.

    Highest of equals, because large profiles start at slice 0 and 4: small instances gather at the end.
    """
    free = [start for start in profile.starts if not slice_mask(start, profile.size) & used]
    if not free:
        return None
    return max(free, key=lambda start: (_open(table, used | slice_mask(start, profile.size)), start))


@lru_cache(maxsize=65536)
def _open(table: MigTable, used: int) -> int:
    """Memory slices that each profile could still reach, summed: large profiles weigh by their size."""
    return sum(
        profile.size
        for profile in table.profiles
        for start in profile.starts
        if not slice_mask(start, profile.size) & used
    )


def lay_out(table: MigTable, counts: Mapping[str, int]) -> tuple[Instance, ...] | None:
    """Place a geometry ({profile: count}) on one GPU; None when no placement holds it.

    Largest instances first, every start tried: complete for the few instances a GPU can hold.
    """
    by_name = {profile.name: profile for profile in table.profiles}
    if any(name not in by_name for name in counts):
        return None
    if sum(by_name[name].size * count for name, count in counts.items()) > table.memory_slices:
        return None
    wanted = [by_name[name] for name, count in counts.items() for _ in range(count)]
    wanted.sort(key=lambda profile: (-profile.size, profile.name))
    placed = _place_all(tuple(wanted), 0)
    return None if placed is None else tuple(sorted(placed, key=lambda instance: instance.start))


def _place_all(wanted: tuple[MigProfile, ...], used: int) -> tuple[Instance, ...] | None:
    if not wanted:
        return ()
    first, rest = wanted[0], wanted[1:]
    for start in first.starts:
        mask = slice_mask(start, first.size)
        if mask & used:
            continue
        placed = _place_all(rest, used | mask)
        if placed is not None:
            return (Instance(first, start), *placed)
    return None

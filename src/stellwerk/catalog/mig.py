"""MIG: which profiles a GPU model can be cut into, and where each may start.

Placements are in memory slices (`nvmlGpuInstancePlacement_t`): two GPU instances conflict where their
[start, start + size) overlap. go-nvml's mocks of H100, H200 and B200 are wrong and are not used here.
"""

from functools import cache

import msgspec
from msgspec import Struct

from stellwerk.catalog.data import read
from stellwerk.catalog.gpus import MIB, gpu_model


class Placement(Struct, frozen=True):
    """A GPU instance may take the memory slices [start, start + size)."""

    start: int
    size: int


class MigProfile(Struct, frozen=True, kw_only=True):
    """A way to cut; None: not published. `memory_mib` is what the instance reports, and differs by driver."""

    name: str
    max_instances: int
    gi_profile_id: int | None = None
    nvml_profile_enum: int | None = None
    memory_slices: int | None = None
    sm_count: int | None = None
    memory_mib: int | None = None
    copy_engines: int | None = None
    nvdec: int | None = None
    nvenc: int | None = None
    jpeg: int | None = None
    ofa: int | None = None
    placements: tuple[Placement, ...] = ()
    k8s_resource: str = ""
    memory_fraction: str = ""
    double_memory: bool = False

    @property
    def compute_slices(self) -> int:
        """NVIDIA's name begins with it: `3g.40gb` has 3."""
        return int(self.name.partition("g.")[0])

    @property
    def me(self) -> bool:
        """Takes media engines of the GPU (`+me`, `+me.all`): at most one such instance a GPU is assumed."""
        return "+me" in self.name

    @property
    def graphics(self) -> bool:
        """A graphics profile (`+gfx`); mixing these with compute profiles on one GPU was not verified."""
        return "+gfx" in self.name

    @property
    def memory_bytes(self) -> int | None:
        """What the instance reports; None where no output of nvidia-smi was found."""
        return None if self.memory_mib is None else self.memory_mib * MIB


def left_sms(gpu: str, profile: MigProfile) -> int | None:
    """SMs of a GPU model outside its instances where it holds as many of the profile as it can.

    None: the profile's SMs are not published, or it takes engines that only few instances can have.
    """
    if profile.sm_count is None or profile.me or profile.graphics or profile.name.endswith("-me"):
        return None
    return gpu_model(gpu).sm_count - profile.max_instances * profile.sm_count


class MigCounts(Struct, frozen=True, kw_only=True):
    """How many maximal geometries there are, to check an enumeration by (NVIDIA shows 19 for an A100)."""

    base_profiles: tuple[str, ...]
    base_maximal_placements: int
    base_distinct_multisets: int
    with_double_memory_1g_maximal_placements: int
    with_double_memory_1g_distinct_multisets: int
    all_profiles_maximal_placements: int
    all_profiles_distinct_multisets: int


class MigModel(Struct, frozen=True, kw_only=True):
    """MIG tables that some GPU models share. `memory_slices` None: placements are unknown, so do not cut."""

    name: str = ""
    applies_to: tuple[str, ...]
    memory_slices: int | None = msgspec.field(name="memory_slice_units", default=None)
    compute_slices: int
    profiles: tuple[MigProfile, ...]
    placement_source: str | None = None
    source: tuple[str, ...]
    confidence: str
    notes: str | None = None
    counts: MigCounts | None = None
    date: str = ""


class _File(Struct, frozen=True):
    generated: str
    models: dict[str, MigModel]
    geometries: dict[str, MigCounts]


@cache
def mig_models() -> tuple[MigModel, ...]:
    """All groups of models that share their tables, in the catalog's order."""
    file = msgspec.json.decode(read("mig_profiles.json"), type=_File)
    return tuple(
        msgspec.structs.replace(
            model,
            name=name,
            date=file.generated,
            counts=file.geometries.get(name),
            profiles=_with_double_memory(model.profiles),
        )
        for name, model in file.models.items()
    )


def _with_double_memory(profiles: tuple[MigProfile, ...]) -> tuple[MigProfile, ...]:
    """Mark the 1g profiles with more memory than the smallest 1g (`1g.20gb` beside `1g.10gb`)."""
    ones = [p.memory_slices for p in profiles if p.memory_slices and p.compute_slices == 1]
    smallest = min(ones, default=0)
    return tuple(
        msgspec.structs.replace(p, double_memory=p.compute_slices == 1 and (p.memory_slices or 0) > smallest)
        for p in profiles
    )


@cache
def mig_model(gpu: str) -> MigModel | None:
    """The MIG tables of a GPU model (id or product label); None: no MIG, or no table published.

    Raises InvalidInput for an unknown model.
    """
    model = gpu_model(gpu)
    found = next((group for group in mig_models() if model.id in group.applies_to), None)
    if found is None or all((p.sm_count or 0) <= model.sm_count for p in found.profiles):
        return found
    # An H20 shares names and memory with a GH200, but has 78 SMs: another chip's counts are no facts.
    unknown = tuple(msgspec.structs.replace(p, sm_count=None) for p in found.profiles)
    return msgspec.structs.replace(found, profiles=unknown)

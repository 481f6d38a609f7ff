"""From the catalog to what sharing must know: a GPU model's memory, MPS limit and MIG table."""

from functools import cache
from typing import Any

from msgspec import structs

from stellwerk.catalog.gpus import gpu_model
from stellwerk.catalog.labels import label_facts
from stellwerk.catalog.mig import MigProfile as CatalogProfile
from stellwerk.catalog.mig import mig_model
from stellwerk.engine.partition.geometry import MigProfile, MigTable
from stellwerk.engine.partition.need import GpuFacts


@cache
def gpu_facts(model: str) -> GpuFacts:
    """Facts of a catalog model (id or product label); raises InvalidInput for an unknown one."""
    gpu = gpu_model(model)
    return GpuFacts(
        model=gpu.id,
        memory_bytes=gpu.memory_bytes,
        mps_clients=gpu.mps_max_replicas,
        mig=_plain(mig_table(gpu.id)),
        geometry=_balanced(gpu.pci_device_ids),
    )


def _balanced(pci_device_ids: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """mig-parted's configuration "all-balanced" for a chip, as (profile, count); () where it has none."""
    entries: Any = label_facts().mig_parted.default_configs["all-balanced"]
    for entry in entries:
        chips = entry["device-filter"]
        chips = [chips] if isinstance(chips, str) else chips
        if set(chips) & set(pci_device_ids):
            return tuple(sorted(entry["mig-devices"].items()))
    return ()


@cache
def mig_table(model: str) -> MigTable | None:
    """All profiles of a catalog model (id or product label), with media and graphics variants.

    None: the model cannot be cut, or its placements are not published. InvalidInput for an unknown model.
    """
    group = mig_model(model)
    if group is None or group.memory_slices is None:
        return None
    profiles = [
        _profile(profile) for profile in group.profiles if profile.memory_slices and profile.placements
    ]
    profiles.sort(key=lambda profile: (profile.size, profile.compute_slices, profile.name))
    # The largest instance has what the GPU has; engines that nobody published bound nothing.
    whole = max(profiles, key=lambda profile: (profile.size, not profile.variant))
    return MigTable(
        memory_slices=group.memory_slices,
        compute_slices=group.compute_slices,
        profiles=tuple(profiles),
        engines=whole.engines,
    )


def _profile(profile: CatalogProfile) -> MigProfile:
    assert profile.memory_slices is not None, "only profiles with their size are taken"
    return MigProfile(
        name=profile.name,
        compute_slices=profile.compute_slices,
        reported_bytes=profile.memory_bytes,
        size=profile.memory_slices,
        starts=tuple(placement.start for placement in profile.placements),
        engines=(profile.nvdec or 0, profile.nvenc or 0, profile.jpeg or 0, profile.ofa or 0),
        most=profile.max_instances,
        variant=profile.me or profile.graphics or profile.name.endswith("-me"),
        graphics=profile.graphics,
    )


def _plain(table: MigTable | None) -> MigTable | None:
    """The profiles that a policy may choose: memory is published, no media or graphics variant."""
    if table is None:
        return None
    plain = (item for item in table.profiles if item.reported_bytes is not None and not item.variant)
    return structs.replace(table, profiles=tuple(plain))

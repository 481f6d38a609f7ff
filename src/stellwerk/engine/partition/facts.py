"""From the catalog to what sharing must know: a GPU model's memory, MPS limit and MIG table."""

from functools import cache
from typing import Any

from stellwerk.catalog.gpus import gpu_model
from stellwerk.catalog.labels import label_facts
from stellwerk.catalog.mig import MigModel, mig_model
from stellwerk.engine.partition.geometry import MigProfile, MigTable
from stellwerk.engine.partition.need import GpuFacts


@cache
def gpu_facts(model: str) -> GpuFacts:
    """Facts of a catalog model (id or product label); raises InvalidInput for an unknown one."""
    gpu, group = gpu_model(model), mig_model(model)
    return GpuFacts(
        model=gpu.id,
        memory_bytes=gpu.memory_bytes,
        mps_clients=gpu.mps_max_replicas,
        mig=None if group is None else _table(group),
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


def _table(group: MigModel) -> MigTable | None:
    """Profiles whose memory and placements are published; media and graphics variants are left out.

    None where the GPU's own slices are unknown.
    """
    if group.memory_slices is None:
        return None
    profiles = [
        MigProfile(
            name=profile.name,
            compute_slices=profile.compute_slices,
            memory_bytes=profile.memory_bytes,
            size=profile.memory_slices,
            starts=tuple(placement.start for placement in profile.placements),
        )
        for profile in group.profiles
        if profile.memory_bytes is not None
        and profile.memory_slices is not None
        and profile.placements
        and not (profile.me or profile.graphics or profile.name.endswith("-me"))
    ]
    profiles.sort(key=lambda profile: (profile.size, profile.compute_slices, profile.name))
    return MigTable(
        memory_slices=group.memory_slices, compute_slices=group.compute_slices, profiles=tuple(profiles)
    )

"""What must be done to a GPU before a job can start on it: its MIG mode, instances that go and that come.

An instance stays when its tenant left: who needs the same one takes it without a cut. What is in the way of a
new one and has no tenant is destroyed. MIG mode goes off only for a tenant without MIG.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.placement.place import Grant, Site


class Layout(Struct, frozen=True):
    """What a GPU has, whoever is on it: its MIG mode, and its GPU instances by start."""

    mig: bool = False
    instances: tuple[Instance, ...] = ()


class Cut(Struct, frozen=True):
    """One reconfiguration of a GPU: destroy, then the MIG mode that it shall have, then create."""

    mig: bool
    destroy: tuple[Instance, ...] = ()
    create: tuple[Instance, ...] = ()


def first_layout(site: Site) -> Layout:
    """A GPU as it comes: cut beforehand (`mig-fixed`), else whole, with MIG mode off."""
    return Layout(bool(site.layout), site.layout)


def instance_of(site: Site, grant: Grant) -> Instance:
    """The GPU instance that a grant of the method `mig` stands for."""
    assert grant.profile is not None, "a MIG grant names its profile"
    lowest = (grant.mask & -grant.mask).bit_length() - 1
    return site.layout[lowest] if site.layout else Instance(grant.profile, lowest)


def cut_for(site: Site, layout: Layout, grants: Sequence[Grant]) -> Cut | None:
    """What one job's grants on this GPU still need of it; None: they can start as it is.

    Only instances that overlap a new one are destroyed: nobody is on them, since the slices are the job's.
    """
    if grants[0].method != MIG:
        return Cut(False, layout.instances) if layout.mig else None
    wanted = sorted((instance_of(site, grant) for grant in grants), key=lambda instance: instance.start)
    create = tuple(instance for instance in wanted if instance not in layout.instances)
    if layout.mig and not create:
        return None
    destroy = tuple(old for old in layout.instances if any(old.mask & new.mask for new in create))
    return Cut(True, destroy, create)


def after(layout: Layout, cut: Cut) -> Layout:
    """The layout once the cut is done."""
    kept = [instance for instance in layout.instances if instance not in cut.destroy]
    return Layout(cut.mig, tuple(sorted((*kept, *cut.create), key=lambda instance: instance.start)))


def disturbs(layout: Layout, cut: Cut, site: Site, grants: Sequence[Grant]) -> bool:
    """Whether a cut that runs takes away what these grants could start on now."""
    if cut.mig != layout.mig:
        return True
    return any(grant.method == MIG and instance_of(site, grant) in cut.destroy for grant in grants)


def on_idle_instance(site: Site, layout: Layout, used: int, grant: Grant) -> Grant:
    """The grant on an idle instance of its profile on the same GPU, where there is one; else as it is.

    `used` are the memory slices of everybody else. Of several, the one that begins highest, as `best_start`.
    """
    if grant.method != MIG or site.layout or site.facts.mig is None:
        return grant
    idle = [old for old in layout.instances if old.profile == grant.profile and not old.mask & used]
    if not idle or instance_of(site, grant) in idle:
        return grant
    best = max(idle, key=lambda instance: instance.start)
    return replace(grant, mask=best.mask, start_milli=best.start * 1000 // site.facts.mig.memory_slices)

"""The Gpus port: tenants on GPUs, and its in-memory form, which refuses what hardware could not do.

The memory form keeps its own books, apart from the controller's, so that a wrong decision is caught where
it would do harm: a device given twice, memory promised twice, MIG instances that overlap, a cut below a
tenant.
"""

from collections.abc import Sequence
from typing import Protocol

from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.layouts import is_valid
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.placement.cuts import Cut, Layout, after, cut_for, first_layout, instance_of
from stellwerk.engine.placement.place import Grant, Site


class Conflict(Exception):
    """A grant that the GPU cannot give: the caller decided on a wrong view. Never shown as a user's error."""


class Gpus(Protocol):
    """What the loop needs of GPUs."""

    def prepare(self, tenant: str, grants: Sequence[Grant]) -> None:
        """Give the grants to a tenant; raises Conflict, and then changes nothing."""

    def unprepare(self, tenant: str) -> None:
        """Take back all that the tenant has."""

    def configure(self, gpu: int, cut: Cut) -> None:
        """Cut a GPU; raises Conflict, and then changes nothing."""


class MemoryGpus:
    """GPUs of a simulated fleet; `tenants[gpu]` are (tenant, grant), in order of coming.

    `layouts[gpu]` is what the GPU has: MIG mode and instances. `at_once`: a tenant's GPU is cut in the moment
    in which it is prepared; else a tenant is refused whose instances are not there.
    """

    def __init__(self, sites: Sequence[Site], at_once: bool = True) -> None:
        self.sites, self._at_once = sites, at_once
        self.layouts: list[Layout] = [first_layout(site) for site in sites]
        self.tenants: list[list[tuple[str, Grant]]] = [[] for _ in sites]
        self.touched: set[int] = set()  # GPUs that changed since somebody cleared it.
        self._held: dict[str, tuple[Grant, ...]] = {}
        self.down: set[int] = set()

    def prepare(self, tenant: str, grants: Sequence[Grant]) -> None:
        """Give the grants, after checking each GPU as a whole; raises Conflict and changes nothing."""
        if tenant in self._held:
            raise Conflict(f"{tenant} runs already")
        for grant in grants:
            others = [held for _, held in self.tenants[grant.gpu]]
            also = [other for other in grants if other is not grant and other.gpu == grant.gpu]
            problem = conflict(self.sites[grant.gpu], [*others, *also], grant)
            if grant.gpu in self.down:
                problem = "its node is lost"
            if problem:
                raise Conflict(f"{tenant} on GPU {grant.gpu}: {problem}")
        for gpu in {grant.gpu for grant in grants if grant.method == MIG or self.layouts[grant.gpu].mig}:
            self._shape(tenant, gpu, [grant for grant in grants if grant.gpu == gpu])
        for grant in grants:
            self.tenants[grant.gpu].append((tenant, grant))
            self.touched.add(grant.gpu)
        self._held[tenant] = tuple(grants)

    def unprepare(self, tenant: str) -> None:
        """Take back all that the tenant has; raises Conflict for a tenant that has nothing."""
        if tenant not in self._held:
            raise Conflict(f"{tenant} has no GPU to give back")
        for grant in self._held.pop(tenant):
            self.tenants[grant.gpu].remove((tenant, grant))
            self.touched.add(grant.gpu)

    def configure(self, gpu: int, cut: Cut) -> None:
        """Cut a GPU; raises Conflict and changes nothing where `refusal` says why not."""
        problem = self.refusal(gpu, cut)
        if problem:
            raise Conflict(f"GPU {gpu}: {problem}")
        self.layouts[gpu] = after(self.layouts[gpu], cut)
        self.touched.add(gpu)

    def refusal(self, gpu: int, cut: Cut) -> str:
        """Why the GPU cannot be cut so now; "" when it can."""
        site, layout = self.sites[gpu], self.layouts[gpu]
        if gpu in self.down:
            return "its node is lost"
        if cut.mig != layout.mig and self.tenants[gpu]:
            return "MIG mode changes under a tenant"
        if set(cut.destroy) & self.busy_instances(gpu):
            return "an instance with a tenant is destroyed"
        if not set(cut.destroy) <= set(layout.instances):
            return "an instance is destroyed that is not there"
        table = site.facts.mig
        if table is None or (not cut.mig and after(layout, cut).instances):
            return "instances without MIG mode"
        # What is on the way to a valid layout is part of it, and so is valid itself.
        return "" if is_valid(table, after(layout, cut).instances) else "no valid MIG layout"

    def busy_instances(self, gpu: int) -> set[Instance]:
        """The GPU's instances that have a tenant."""
        site = self.sites[gpu]
        return {instance_of(site, grant) for _, grant in self.tenants[gpu] if grant.method == MIG}

    def reset(self, gpu: int) -> None:
        """Another GPU comes in its place, as new."""
        self.layouts[gpu] = first_layout(self.sites[gpu])
        self.touched.add(gpu)

    def _shape(self, tenant: str, gpu: int, grants: Sequence[Grant]) -> None:
        """Cut the GPU for the tenant; raises Conflict where that is not to be done here."""
        cut = cut_for(self.sites[gpu], self.layouts[gpu], grants)
        if cut is None:
            return
        if not self._at_once:
            raise Conflict(f"{tenant} on GPU {gpu}: what it was given does not exist")
        self.configure(gpu, cut)

    def grants_of(self, tenant: str) -> tuple[Grant, ...]:
        """What the tenant has."""
        return self._held[tenant]


def conflict(site: Site, others: Sequence[Grant], grant: Grant) -> str:
    """Why `grant` cannot join `others` on this GPU; "" when it can."""
    if any(other.method != grant.method for other in others):
        return f"{grant.method} beside {others[0].method}"
    if grant.method == WHOLE:
        return "the whole GPU is given twice" if others else "a cut GPU has no whole" if site.layout else ""
    if grant.method == TIME_SLICING:
        return "no replica is left" if len(others) >= site.replicas else ""
    if grant.method == MPS:
        return _mps_conflict(site, [*others, grant])
    return _mig_conflict(site, others, grant)


def _mps_conflict(site: Site, grants: Sequence[Grant]) -> str:
    if sum(grant.memory_bytes for grant in grants) > site.facts.memory_bytes:
        return "the memory limits add up to more than the GPU has"
    if sum(grant.compute_milli for grant in grants) > 1000:
        return "the compute shares add up to more than the GPU"
    return "too many MPS clients" if len(grants) > site.facts.mps_clients else ""


def _mig_conflict(site: Site, others: Sequence[Grant], grant: Grant) -> str:
    table = site.facts.mig
    if table is None or grant.profile is None:
        return "this model has no MIG"
    if any(other.mask & grant.mask for other in others):
        return "MIG instances overlap"
    if site.layout:
        wanted = [slot for slot in range(len(site.layout)) if grant.mask == 1 << slot]
        known = bool(wanted) and site.layout[wanted[0]].profile == grant.profile
        return "" if known else "no such instance was cut"
    start = (grant.mask & -grant.mask).bit_length() - 1
    contiguous = grant.mask == ((1 << grant.profile.size) - 1) << start
    return "" if contiguous and start in grant.profile.starts else "no valid MIG placement"

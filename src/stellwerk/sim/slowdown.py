"""How fast a job runs beside others: from a sourced factor, or between the two bounds of not knowing.

"none": sharing costs nothing, as long as the GPU can do what its tenants ask for together. "proportional": a
tenant gets no more than its part of the GPU (one of n tenants 1/n, a GPU instance its compute slices).
Measurements lie between; which of the two is nearer depends on the workload, so a replay without a source
gives both ends. No end lets tenants compute more than one GPU can.
"""

from collections.abc import Mapping
from fractions import Fraction

from msgspec import Struct

from stellwerk.engine.demand import Job
from stellwerk.engine.partition.policy import MIG, WHOLE
from stellwerk.engine.placement.place import Grant, Site

FULL = (1, 1)


class Slowdown(Struct, frozen=True, kw_only=True):
    """`factors` by method ("mps": 1.075 means 7.5 % longer beside others); `rest` for methods without one."""

    rest: str = "none"
    factors: Mapping[str, Fraction] = {}


class Tenants(Struct, frozen=True):
    """Who is on a GPU: how many, and what they compute together when alone (milli of the GPU)."""

    count: int
    load_milli: int

    @property
    def limit(self) -> tuple[int, int]:
        """The part of its load that one GPU can do, as (numerator, denominator)."""
        return (1000, self.load_milli) if self.load_milli > 1000 else FULL


def load_milli(job: Job) -> int:
    """What a job computes on each GPU: its measured mean, else its p95, else the share it was measured on."""
    if job.used_milli is not None:
        return job.used_milli
    return job.observed_share_milli if job.compute_milli is None else job.compute_milli


def speed(slowdown: Slowdown, job: Job, site: Site, grant: Grant, tenants: Tenants) -> tuple[int, int]:
    """(numerator, denominator) of the job's speed on this GPU; 1 is the speed at which it was measured."""
    if grant.method == WHOLE or (grant.method != MIG and tenants.count == 1):
        return FULL
    return slower(_bound(slowdown, job, site, grant, tenants), limit_of(site, grant, job, tenants))


def limit_of(site: Site, grant: Grant, job: Job, tenants: Tenants) -> tuple[int, int]:
    """The part of a job's load that its part of the GPU can do at all, whatever is assumed on slowdown."""
    if grant.method == WHOLE:
        return FULL
    if grant.method != MIG:
        return tenants.limit
    assert site.facts.mig is not None and grant.profile is not None, "a MIG grant names its profile"
    room = 1000 * grant.profile.compute_slices, site.facts.mig.compute_slices * load_milli(job)
    return room if room[0] < room[1] else FULL


def slower(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The smaller of two speeds."""
    return a if a[0] * b[1] <= b[0] * a[1] else b


def _bound(slowdown: Slowdown, job: Job, site: Site, grant: Grant, tenants: Tenants) -> tuple[int, int]:
    factor = slowdown.factors.get(grant.method)
    if factor is not None:
        return factor.denominator, factor.numerator
    if slowdown.rest == "none":
        return FULL
    if grant.method == MIG:
        assert site.facts.mig is not None and grant.profile is not None, "a MIG grant names its profile"
        part = 1000 * grant.profile.compute_slices, site.facts.mig.compute_slices * job.observed_share_milli
    else:
        part = 1000, tenants.count * job.observed_share_milli
    return slower(part, FULL)

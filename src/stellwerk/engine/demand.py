"""Demand: jobs with arrival, duration, request and measured use, as every world and every policy sees them.

Times are integer nanoseconds from the start of the period; memory is bytes; compute is thousandths of one
GPU ("milli"). What was not measured is None, never 0: a policy must not share what it does not know.
"""

from msgspec import UNSET, Struct, UnsetType

NS_PER_S = 1_000_000_000
NS_PER_HOUR = 3_600 * NS_PER_S
SERVICES = frozenset({"inference", "notebook"})
KINDS = ("training", "inference", "notebook", "batch", "unknown")


class Job(Struct, frozen=True, kw_only=True):
    """`pods` equal pods that start together or not at all, each with `gpus` GPUs on one node.

    `duration_ns` was observed on `observed_share_milli` of each GPU (1000: a whole GPU). `memory_bytes` and
    `compute_milli` (measured peak and p95 per GPU) are what a plan may rely on; `used_milli` is the mean, for
    useful GPU-hours; `judged_memory_bytes` is what it really took in the judged period (None: as planned).
    `communication_milli` of each step waited for other GPUs, where these reached one another with a bus
    bandwidth of `measured_bus_mb_s` (MB/s); both are not set where nobody measured them.
    `whole`: must not share. `isolated`: may share only where hardware separates tenants (MIG). `advised`: the
    way of sharing that advice chose for it ("": none, or not asked).
    """

    name: str
    team: str
    arrival_ns: int
    duration_ns: int
    kind: str = "unknown"
    pods: int = 1
    gpus: int = 1
    memory_bytes: int | None = None
    compute_milli: int | None = None
    used_milli: int | None = None
    judged_memory_bytes: int | None = None
    observed_share_milli: int = 1000
    whole: bool = False
    isolated: bool = False
    advised: str = ""
    communication_milli: int | UnsetType = UNSET
    measured_bus_mb_s: int | UnsetType = UNSET

    @property
    def is_service(self) -> bool:
        """A service ends by the clock (an office day, a month); a batch ends when its work is done."""
        return self.kind in SERVICES


class LeftOut(Struct, frozen=True):
    """Part of a demand that is not replayed: how many objects, and why."""

    count: int
    text: str


class Demand(Struct, frozen=True, kw_only=True):
    """Jobs sorted by (arrival_ns, name) within a period that starts at `start_ns` (UTC, since 1970).

    `notes` say in one English sentence each what was substituted and what the source does not know.
    """

    name: str
    start_ns: int
    period_ns: int
    jobs: tuple[Job, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()


def demand_of(name: str, start_ns: int, period_ns: int, jobs: list[Job]) -> Demand:
    """A Demand with its jobs in order; asserts unique names and arrivals inside the period."""
    ordered = tuple(sorted(jobs, key=lambda job: (job.arrival_ns, job.name)))
    assert len({job.name for job in ordered}) == len(ordered), "job names are unique"
    assert all(0 <= job.arrival_ns < period_ns for job in ordered), "jobs arrive inside the period"
    return Demand(name=name, start_ns=start_ns, period_ns=period_ns, jobs=ordered)

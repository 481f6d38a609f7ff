"""The sharing policies that a replay sets side by side, as data."""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.engine.demand import Job

WHOLE, TIME_SLICING, MPS, MIG = "whole", "time-slicing", "mps", "mig"


class Policy(Struct, frozen=True, kw_only=True):
    """How jobs may share: `services` and `batches` list the methods tried for them, best first.

    `replicas` is the device plugin's timeSlicing.resources[].replicas. `headroom_percent` is added to the
    measured memory before it becomes a limit. `geometry` ({profile: count}, of mig-parted's mig-devices) is
    set where instances are cut once and for all; otherwise an instance is cut when its job starts.
    `fixed`: the fleet is divided once into whole and cut GPUs. `as_advised`: each job the way it was advised.
    """

    name: str
    services: tuple[str, ...] = ()
    batches: tuple[str, ...] = ()
    replicas: int = 4
    headroom_percent: int = 0
    fixed: bool = False
    as_advised: bool = False
    geometry: Mapping[str, int] = {}

    def methods(self, job: Job) -> tuple[str, ...]:
        """The methods for this job, best first; a job that must not share gets none but the whole GPU.

        No memory at all was not measured either: a process that only holds a context takes some.
        """
        if job.whole or job.gpus > 1 or not job.memory_bytes or job.compute_milli is None:
            return (WHOLE,)
        tried = self.services if job.is_service else self.batches
        if self.as_advised:
            tried = tuple(method for method in tried if method == job.advised)
        if job.isolated:
            tried = tuple(method for method in tried if method == MIG)
        return tried or (WHOLE,)


# The mix: a service keeps its latency in hardware (MIG), what only computes is packed by MPS.
POLICIES = (
    Policy(name="whole"),
    Policy(name="time-slicing", services=(TIME_SLICING,), batches=(TIME_SLICING,)),
    Policy(name="mps", services=(MPS,), batches=(MPS,)),
    Policy(name="mig-fixed", services=(MIG,), batches=(MIG,), fixed=True),
    Policy(name="mig-chosen", services=(MIG,), batches=(MIG,)),
    Policy(name="mix", services=(MIG, MPS), batches=(MPS, MIG)),
)
# Only where advice was asked: `whatif` on measured use.
ANY = (MIG, MPS, TIME_SLICING)
ADVISED = Policy(name="advised", services=ANY, batches=ANY, as_advised=True)

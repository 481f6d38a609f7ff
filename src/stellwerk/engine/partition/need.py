"""What one pod of a job takes from a GPU under a policy: whole GPUs, a replica, an MPS share, an instance."""

from msgspec import Struct

from stellwerk.engine.demand import Job
from stellwerk.engine.partition.geometry import MigProfile, MigTable
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE, Policy


class GpuFacts(Struct, frozen=True, kw_only=True):
    """What sharing must know of a GPU model; `mig` is None where the model cannot be cut."""

    model: str
    memory_bytes: int
    mps_clients: int
    mig: MigTable | None
    geometry: tuple[tuple[str, int], ...] = ()  # mig-parted's "all-balanced" for this model.


class Need(Struct, frozen=True, kw_only=True):
    """One way to serve a pod. `memory_bytes` and `compute_milli` are limits of the share (MPS).

    `accepts` are the MIG profiles that would do, smallest first; only an instance that was cut beforehand
    may be larger than the first. `held_milli` is the part of the GPU that the tenant pays for.
    """

    method: str
    gpus: int = 1
    memory_bytes: int = 0
    compute_milli: int = 0
    accepts: tuple[MigProfile, ...] = ()
    held_milli: int = 1000


def needs(job: Job, facts: GpuFacts, policy: Policy) -> tuple[Need, ...]:
    """The ways this policy serves one pod of `job` on a GPU of this model, best first.

    Where no allowed way of sharing holds it, the answer is the whole GPU, as an operator would give it.
    Empty when not even the whole GPU has the memory.
    """
    if (job.memory_bytes or 0) > facts.memory_bytes:
        return ()
    found: list[Need] = []
    for method in policy.methods(job):
        need = _need(method, job, facts, policy)
        if need is None or need.method == WHOLE:
            continue
        found.append(need)
    return tuple(found) or (Need(method=WHOLE, gpus=job.gpus),)


def _need(method: str, job: Job, facts: GpuFacts, policy: Policy) -> Need | None:
    compute = job.compute_milli or 0
    memory = _with_headroom(job.memory_bytes or 0, policy)
    if memory > facts.memory_bytes:
        return None  # With its head-room it needs more than a GPU: it gets one of its own.
    if method == TIME_SLICING:
        return Need(method=TIME_SLICING)
    if method == MPS:
        part = memory * 1000 // facts.memory_bytes
        held = max(1, (part + compute) // 2)
        return Need(method=MPS, memory_bytes=memory, compute_milli=compute, held_milli=held)
    if method == MIG and facts.mig is not None:
        return _instance(facts.mig, memory, compute)
    return None


def _instance(table: MigTable, memory_bytes: int, compute_milli: int) -> Need | None:
    """The smallest profile with the memory and the compute slices; None when that is the whole GPU."""
    accepts = tuple(
        profile
        for profile in table.profiles
        if profile.size < table.memory_slices
        and profile.memory_bytes >= memory_bytes
        and profile.compute_slices * 1000 >= compute_milli * table.compute_slices
    )
    if not accepts:
        return None
    return Need(method=MIG, accepts=accepts, held_milli=accepts[0].size * 1000 // table.memory_slices)


def _with_headroom(memory_bytes: int, policy: Policy) -> int:
    return memory_bytes * (100 + policy.headroom_percent) // 100

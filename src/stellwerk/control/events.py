"""What can happen, and what a controller may ask for: data, so that every world speaks of the same things."""

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.placement.cuts import Cut, Layout
from stellwerk.engine.placement.place import Grant


class JobArrived(Struct, frozen=True):
    """A job was created; `job` is its name."""

    job: str


class JobFinished(Struct, frozen=True):
    """The pods of a running job ended."""

    job: str


class NodeLost(Struct, frozen=True):
    """A node went away with all that ran on it; `node` is its position in the fleet."""

    node: int


class NodeReady(Struct, frozen=True):
    """A lost node is back, empty."""

    node: int


class Configured(Struct, frozen=True):
    """A cut reports success; `published` is what the GPU shows now, which may be another thing."""

    gpu: int
    attempt: int
    published: Layout


class ConfigureFailed(Struct, frozen=True):
    """A cut reports that it failed, or did not answer in time; `published` is what the GPU shows now."""

    gpu: int
    attempt: int
    published: Layout


class GpuRepaired(Struct, frozen=True):
    """A GPU that could not be cut is in order again."""

    gpu: int
    attempt: int


class PeriodEnded(Struct, frozen=True):
    """The replayed period is over: what still runs or waits is counted as such."""


class StartJob(Struct, frozen=True):
    """Start a job's pods on these GPUs."""

    job: str
    grants: tuple[Grant, ...]


class StopJob(Struct, frozen=True):
    """A running job lost its node: end what is left of it; it waits again."""

    job: str


class RejectJob(Struct, frozen=True):
    """No empty fleet under this policy could ever start the job."""

    job: str
    reason: Reason


class ReplaceNode(Struct, frozen=True):
    """Ask the cloud (or the technician) to bring a node back."""

    node: int


class ConfigureGpu(Struct, frozen=True):
    """Cut a GPU; ends in one Configured or ConfigureFailed of the same attempt, or with its node."""

    gpu: int
    attempt: int
    cut: Cut


class RepairGpu(Struct, frozen=True):
    """Have a GPU repaired that could not be cut; ends in GpuRepaired."""

    gpu: int
    attempt: int


CutEvent = Configured | ConfigureFailed
Event = JobArrived | JobFinished | NodeLost | NodeReady | CutEvent | GpuRepaired | PeriodEnded
Effect = StartJob | StopJob | RejectJob | ReplaceNode | ConfigureGpu | RepairGpu

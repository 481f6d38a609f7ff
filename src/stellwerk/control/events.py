"""What can happen, and what a controller may ask for: data, so that every world speaks of the same things."""

from msgspec import Struct

from stellwerk.engine.decision import Reason
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


Event = JobArrived | JobFinished | NodeLost | NodeReady | PeriodEnded
Effect = StartJob | StopJob | RejectJob | ReplaceNode

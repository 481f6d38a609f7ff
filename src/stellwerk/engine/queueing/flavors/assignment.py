"""What the flavor assigner answers, and what it needs to know beside the snapshot."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.flavors.mode import Mode, Offer
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Snapshot
from stellwerk.engine.topology.assignment.decision import Assignment as Placement
from stellwerk.engine.topology.assignment.decision import DomainUsage, PodSetRequest

NO_MATCHING_FLAVOR, EXCEEDS_MAX_QUOTA = "NoMatchingFlavor", "ExceedsMaxQuota"
WAITING_FOR_QUOTA, TOPOLOGY_PLACEMENT_FAILED = "WaitingForQuota", "TopologyPlacementFailed"
SEVERITY = {
    reason: place
    for place, reason in enumerate(
        ("", TOPOLOGY_PLACEMENT_FAILED, WAITING_FOR_QUOTA, EXCEEDS_MAX_QUOTA, NO_MATCHING_FLAVOR)
    )
}
LastTried = tuple[Mapping[str, int], ...]  # By PodSet, then resource: index of the flavor, -1 after the last.


class NotPlaced(Struct, frozen=True):
    """The first PodSet that has no place."""

    pod_set: str
    flavor: str
    reason: Reason


Asks = Mapping[str, tuple[PodSetRequest, ...]]  # By flavor.
# All places that are asked for, and whether to look as if no other workload was there.
FindTopology = Callable[[WorkloadInfo, Asks, bool], Mapping[str, Placement] | NotPlaced]
# What preempting for so much would achieve (NO_CANDIDATES, PREEMPT, RECLAIM), and the borrowing level then.
Oracle = Callable[[Queue, WorkloadInfo, FlavorResource, int], Offer]


class Cycle(Struct, frozen=True, kw_only=True):
    """What every question of a cycle shares."""

    snapshot: Snapshot
    ledger: Ledger
    oracle: Oracle
    find_topology: FindTopology


class Question(Struct, frozen=True, kw_only=True):
    """The workload to assign flavors to.

    `counts`: fewer pods, by PodSet (partial admission). `last_tried`: where the last search ended.
    `nominated`: by PodSet and resource, the flavors to keep to when an assignment is made again. `replaced`:
    the slice whose quota is taken over, and whose flavors are kept.
    """

    info: WorkloadInfo
    counts: tuple[int, ...] = ()
    last_tried: LastTried = ()
    nominated: Mapping[str, Mapping[str, str]] = {}
    replaced: WorkloadInfo | None = None


class FlavorAssignment(Struct, frozen=True):
    """A flavor for one resource; `tried`: index of the last one looked at, -1: start anew next time."""

    flavor: str
    mode: Mode
    tried: int = 0
    borrowing_level: int = 0


class Attempt(Struct, frozen=True, kw_only=True):
    """A flavor that was looked at: the worst of its resources, and why."""

    flavor: str
    mode: Mode
    borrowing_level: int = 0
    possibility: Mode | None = None
    reasons: tuple[Reason, ...] = ()
    no_fit_reason: str = ""


class PodSetAssignment(Struct, frozen=True, kw_only=True):
    """Flavors of one PodSet by resource (none: it does not fit), with the reasons against the others.

    `error`: why its place in a topology could not even be looked for. `delayed_topology`: Pending or Ready.
    """

    name: str
    count: int
    requests: Mapping[str, int]
    flavors: Mapping[str, FlavorAssignment]
    reasons: tuple[Reason, ...] = ()
    error: Reason | None = None
    attempts: tuple[Attempt, ...] = ()
    topology: Placement | None = None
    delayed_topology: str | None = None


class Assignment(Struct, frozen=True, kw_only=True):
    """The answer: `mode` is the worst of all PodSets', `borrowing_level` the highest.

    `usage` is what it would add (less what a replaced slice holds), `topology_usage` the same by flavor in
    the topology. `no_fit_reason` is Kueue's reason of the condition, for NO_FIT only.
    """

    pod_sets: tuple[PodSetAssignment, ...]
    mode: Mode
    borrowing_level: int
    usage: Mapping[FlavorResource, int]
    last_tried: LastTried
    topology_usage: Mapping[str, tuple[DomainUsage, ...]] = {}
    no_fit_reason: str = ""


def most_severe(one: str, other: str) -> str:
    """The reason that would still hold if the other was gone."""
    return one if SEVERITY[one] >= SEVERITY[other] else other

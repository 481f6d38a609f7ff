"""What orders Workloads among each other: priority, times, whether one is being evicted already.

Source: kueue pkg/workload (Ordering), pkg/util/priority.
"""

from msgspec import Struct

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.priority import effective_priority
from stellwerk.engine.queueing.requests.total import WorkloadInfo

MILLISECOND = 1_000_000
_BEFORE_ALL = -(2**63)  # Kueue's zero time, for a creation timestamp that is missing.


class Standing(Struct, frozen=True, kw_only=True):
    """Times in ns; `reserved_at` None: it is not written yet. `holds`: the flavors and resources it has.

    `rank`: among those who may be preempted, lower priority first, then who was admitted later, UID; None
    while it is not written when it was admitted.
    """

    priority: int
    queue_time: int
    reserved_at: int | None
    evicted: bool
    uid: str
    holds: frozenset[FlavorResource]
    rank: tuple[int, int, str] | None


def standing_of(info: WorkloadInfo, gates: FeatureGates) -> Standing:
    """The standing of a workload that holds what its `info` says."""
    workload = info.object
    reserved = true_condition(workload, "QuotaReserved")
    reserved_at = None if reserved is None else _time(reserved)
    priority, uid = effective_priority(workload, gates), given(workload.metadata.uid, "")
    return Standing(
        priority=priority,
        queue_time=queue_time(workload, gates),
        reserved_at=reserved_at,
        evicted=is_evicted(workload),
        uid=uid,
        rank=None if reserved_at is None else (priority, -reserved_at, uid),
        holds=frozenset(
            FlavorResource(flavor, resource)
            for pod_set in info.pod_sets
            for resource, flavor in pod_set.flavors.items()
        ),
    )


def true_condition(workload: Workload, kind: str) -> Condition | None:
    """The condition of this type, if it is True."""
    for one in given(given(workload.status, WorkloadStatus()).conditions, ()):
        if one.type == kind:
            return one if one.status == "True" else None
    return None


def is_evicted(workload: Workload) -> bool:
    """Whether it is being evicted: its quota comes back without another preemption."""
    return true_condition(workload, "Evicted") is not None


def queue_time(workload: Workload, gates: FeatureGates) -> int:
    """The time (ns) that orders it in its queue: of an eviction that sends it back, or its creation."""
    evicted = true_condition(workload, "Evicted")
    if evicted is not None and given(evicted.reason, "") in ("PodsReadyTimeout", "AdmissionCheck"):
        return _time(evicted) or _BEFORE_ALL
    preempted = true_condition(workload, "Preempted")
    if (
        not gates.priority_sorting_within_cohort
        and preempted is not None
        and given(preempted.reason, "") == "InCohortReclaimWhileBorrowing"
    ):
        return (_time(preempted) or _BEFORE_ALL) + MILLISECOND
    created = given(workload.metadata.creation_timestamp, "")
    return parse_time(created) if created else _BEFORE_ALL


def _time(condition: Condition) -> int | None:
    text = given(condition.last_transition_time, "")
    return parse_time(text) if text else None

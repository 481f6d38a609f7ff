"""Who may be preempted at all, and in which order.

Source: kueue pkg/scheduler/preemption/common, pkg/workload (Ordering), KEP-83, KEP-1714.
"""

from collections.abc import Callable, Mapping
from functools import cmp_to_key

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.priority import effective_priority
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Holding

ANY, LOWER, LOWER_OR_NEWER = "Any", "LowerPriority", "LowerOrNewerEqualPriority"
MILLISECOND = 1_000_000
_BEFORE_ALL = -(2**63)  # Kueue's zero time, for a creation timestamp that is missing.


def true_condition(workload: Workload, kind: str) -> Condition | None:
    """The condition of this type, if it is True."""
    for one in given(given(workload.status, WorkloadStatus()).conditions, ()):
        if one.type == kind:
            return one if one.status == "True" else None
    return None


def is_evicted(workload: Workload) -> bool:
    """Whether it is being evicted: its quota comes back without another preemption."""
    return true_condition(workload, "Evicted") is not None


def reserved_at(workload: Workload, now: int) -> int:
    """When it got its quota, in ns; `now` where that is not written yet."""
    found = true_condition(workload, "QuotaReserved")
    return now if found is None else _time(found, now)


def queue_time(workload: Workload, gates: FeatureGates) -> int:
    """The time (ns) that orders it in its queue: of an eviction that sends it back, or its creation."""
    evicted = true_condition(workload, "Evicted")
    if evicted is not None and given(evicted.reason, "") in ("PodsReadyTimeout", "AdmissionCheck"):
        return _time(evicted, _BEFORE_ALL)
    preempted = true_condition(workload, "Preempted")
    if (
        not gates.priority_sorting_within_cohort
        and preempted is not None
        and given(preempted.reason, "") == "InCohortReclaimWhileBorrowing"
    ):
        return _time(preempted, _BEFORE_ALL) + MILLISECOND
    created = given(workload.metadata.creation_timestamp, "")
    return parse_time(created) if created else _BEFORE_ALL


def _time(condition: Condition, missing: int) -> int:
    text = given(condition.last_transition_time, "")
    return parse_time(text) if text else missing


def satisfies_policy(preemptor: Workload, candidate: Workload, policy: str, gates: FeatureGates) -> bool:
    """Whether the policy lets the one preempt the other, by priority and age."""
    mine, theirs = effective_priority(preemptor, gates), effective_priority(candidate, gates)
    if policy == LOWER:
        return mine > theirs
    if policy == LOWER_OR_NEWER:
        newer = mine == theirs and queue_time(preemptor, gates) < queue_time(candidate, gates)
        return mine > theirs or newer
    return policy == ANY


def uses_any(info: WorkloadInfo, needed: frozenset[FlavorResource]) -> bool:
    """Whether it holds any of what is needed."""
    return any(
        FlavorResource(flavor, resource) in needed
        for pod_set in info.pod_sets
        for resource, flavor in pod_set.flavors.items()
    )


Order = Callable[[Holding], object]


def candidate_order(
    queue: str, now: int, gates: FeatureGates, usage: Mapping[str, float] | None = None
) -> Order:
    """A sort key: evicted ones first, then other queues', lower priority, admitted later, UID.

    `usage`: of LocalQueues ("namespace/name") under admission fair sharing; of two workloads of a
    ClusterQueue the one whose LocalQueue used more goes before priority is looked at.
    """

    def key(one: Holding) -> tuple[object, ...]:
        workload = one.info.object
        return (
            not is_evicted(workload),
            one.info.cluster_queue == queue,
            effective_priority(workload, gates),
            -reserved_at(workload, now),
            given(workload.metadata.uid, ""),
        )

    if not usage:
        return key

    def compare(a: Holding, b: Holding) -> int:
        first, second = key(a), key(b)
        if first[:2] != second[:2]:
            return -1 if first[:2] < second[:2] else 1
        used_a, used_b = usage.get(local_queue(a.info)), usage.get(local_queue(b.info))
        of_one_queue = a.info.cluster_queue == b.info.cluster_queue
        if of_one_queue and used_a is not None and used_b is not None and used_a != used_b:
            return -1 if used_a > used_b else 1
        return (first > second) - (first < second)

    return cmp_to_key(compare)


def local_queue(info: WorkloadInfo) -> str:
    """namespace/name of the workload's LocalQueue."""
    return f"{given(info.object.metadata.namespace, '')}/{given(info.object.spec.queue_name, '')}"

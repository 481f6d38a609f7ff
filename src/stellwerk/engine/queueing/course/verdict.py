"""What became of each workload, and of one that waits the one dominant reason and its place in the queue."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.course.run import Course
from stellwerk.engine.queueing.cycle.backlog import (
    ADMISSION_GATED_BY,
    STRICT_FIFO,
    Pending,
    Waiting,
    backoff_ends,
)
from stellwerk.engine.queueing.cycle.decision import (
    ADMISSION_GATED,
    MISCONFIGURED,
    PENDING_EVALUATION,
    SUSPENDED,
    WAITING_FOR_PREEMPTED,
    WAITING_FOR_QUOTA,
    Evicted,
    NotAdmitted,
)
from stellwerk.engine.queueing.cycle.status import check_states
from stellwerk.engine.queueing.flavors.assignment import (
    EXCEEDS_MAX_QUOTA,
    NO_MATCHING_FLAVOR,
    TOPOLOGY_PLACEMENT_FAILED,
)
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Snapshot, holds_quota
from stellwerk.engine.queueing.standing import true_condition

# ADMITTED may start. RESERVED has quota and lacks a check or a place. PREEMPTED must give its quota back.
# PREEMPTING waits for others to do so. INACTIVE was switched off by its owner.
ADMITTED, RESERVED, PREEMPTED = "Admitted", "QuotaReserved", "Preempted"
PREEMPTING, PENDING, INACTIVE, FINISHED = "Preempting", "Pending", "Inactive", "Finished"
# Kueue's reason of the condition -> what it says of the workload.
_SENTENCES = {
    WAITING_FOR_QUOTA: Reason(WAITING_FOR_QUOTA, "the quota that it needs is in use"),
    EXCEEDS_MAX_QUOTA: Reason(EXCEEDS_MAX_QUOTA, "it asks for more than its ClusterQueue can ever have"),
    NO_MATCHING_FLAVOR: Reason(NO_MATCHING_FLAVOR, "no flavor of its ClusterQueue is for these pods"),
    TOPOLOGY_PLACEMENT_FAILED: Reason(
        TOPOLOGY_PLACEMENT_FAILED, "there is quota, but no place in the topology"
    ),
    WAITING_FOR_PREEMPTED: Reason(
        WAITING_FOR_PREEMPTED, "it waits until the workloads that it preempts have stopped"
    ),
    MISCONFIGURED: Reason(MISCONFIGURED, "its queue, namespace or resources are not as they must be"),
    SUSPENDED: Reason(SUSPENDED, "its queue is stopped or inactive"),
    ADMISSION_GATED: Reason(ADMISSION_GATED, "it would have to preempt, and its preemption gate is closed"),
    PENDING_EVALUATION: Reason(PENDING_EVALUATION, "it was not decided in this cycle"),
}


class Place(Struct, frozen=True):
    """How many pending workloads are before it, and how many there are, itself too."""

    before: int
    of: int


class Verdict(Struct, frozen=True, kw_only=True):
    """One workload after the last cycle. `cycle`: in which it was admitted; None: before the first, or not.

    `reason`: the dominant one, of a workload that may not start; `message`: Kueue's own words for it.
    `behind`: of a queue in strict order, whom it waits for; `preempts`: for it, in these cycles, by key with
    the reason; `evicted`: the last time that it was itself.
    """

    workload: Workload
    state: str
    cluster_queue: str
    cycle: int | None = None
    before: bool = False
    reason: Reason | None = None
    message: str = ""
    behind: str = ""
    in_cluster_queue: Place | None = None
    in_local_queue: Place | None = None
    preempts: Mapping[str, str] = {}
    evicted: Evicted | None = None

    @property
    def key(self) -> str:
        """namespace/name."""
        return workload_key(self.workload)


class _Why(Struct, frozen=True):
    reason: Reason
    message: str = ""
    behind: str = ""


def job_key(one: Verdict) -> str:
    """namespace/name of the Job that the Workload stands for ("": none)."""
    owners = given(one.workload.metadata.owner_references, ())
    namespace = given(one.workload.metadata.namespace, "")
    return next((f"{namespace}/{owner.name}" for owner in owners if owner.kind == "Job"), "")


def holders(course: Course, one: Verdict) -> tuple[tuple[str, str], ...]:
    """Who holds what it waits for: (ClusterQueue, key), in its cohorts, with the same resources."""
    snapshot = course.snapshot
    tree = snapshot.tree
    if one.reason is None or one.reason.code != WAITING_FOR_QUOTA or one.cluster_queue not in tree.queues:
        return ()
    root = tree.root(tree.queues[one.cluster_queue])
    waiting = [
        each
        for each in _all(course.backlog.queues.get(one.cluster_queue, Pending()))
        if each.info.key == one.key
    ]
    asked = {
        resource
        for each in waiting
        for pod_set in each.info.pod_sets
        for resource, amount in pod_set.requests.items()
        if amount
    }
    found = [
        (queue, key)
        for queue, held in snapshot.held.items()
        if tree.root(tree.queues[queue]) == root
        for key, holding in held.items()
        if any(cell.resource in asked for cell, amount in holding.info.usage().items() if amount)
    ]
    return tuple(sorted(found))


def verdicts(course: Course) -> tuple[Verdict, ...]:
    """One for each workload that is not finished, in their order."""
    places, like = _places(course), _answers_of_like(course)
    preempts: dict[str, dict[str, str]] = {}
    evicted: dict[str, Evicted] = {}
    for _, one in course.evictions:
        preempts.setdefault(one.by, {})[one.key] = one.preempted or one.reason
        evicted[one.key] = one
    found = []
    for key, workload in course.workloads.items():
        state = _state(course, workload, evicted)
        if state == FINISHED:
            continue
        why = _why(course, workload, state, like)
        mine = places.get(key, (None, None))
        found.append(
            Verdict(
                workload=workload,
                state=state,
                cluster_queue=_queue_name(course.snapshot, workload),
                cycle=course.admitted.get(key),
                before=key in course.before and key not in course.admitted and holds_quota(workload),
                reason=None if why is None else why.reason,
                message="" if why is None else why.message,
                behind="" if why is None else why.behind,
                in_cluster_queue=mine[0],
                in_local_queue=mine[1],
                preempts=preempts.get(key, {}),
                evicted=evicted.get(key),
            )
        )
    return tuple(found)


def _state(course: Course, workload: Workload, evicted: Mapping[str, Evicted]) -> str:
    if true_condition(workload, "Finished") is not None:
        return FINISHED
    if not given(workload.spec.active, True):
        return INACTIVE
    if holds_quota(workload):
        if true_condition(workload, "Evicted") is not None:
            return PREEMPTED
        return RESERVED if true_condition(workload, "Admitted") is None else ADMITTED
    answer = course.answers.get(workload_key(workload))
    waits = answer is not None and answer.reason == WAITING_FOR_PREEMPTED
    return PREEMPTING if waits else PENDING


def _queue_name(snapshot: Snapshot, workload: Workload) -> str:
    """Of its admission, or where its LocalQueue leads ("": nowhere)."""
    status = workload.status
    if status and status.admission:
        return status.admission.cluster_queue
    local = snapshot.local_queues.get(_local_key(workload))
    return "" if local is None else given(local.spec.cluster_queue, "")


def _local_key(workload: Workload) -> str:
    return f"{given(workload.metadata.namespace, '')}/{given(workload.spec.queue_name, '')}"


def _why(course: Course, workload: Workload, state: str, like: Mapping[str, NotAdmitted]) -> _Why | None:
    if state == ADMITTED:
        return None
    if state == INACTIVE:
        return _Why(Reason("Inactive", "it is switched off (spec.active: false)"))
    if state == RESERVED:
        return _lacking(workload)
    if state == PREEMPTED:
        condition = true_condition(workload, "Evicted")
        return _Why(
            Reason("Evicted", "it must give its quota back"),
            given(condition.message, "") if condition else "",
        )
    return _blocked(course, workload) or _waiting(course, workload, like)


def _lacking(workload: Workload) -> _Why:
    pending = [name for name, state in check_states(workload).items() if state != "Ready"]
    if pending:
        return _Why(
            Reason(
                "UnsatisfiedAdmissionChecks",
                "it has quota and waits for AdmissionCheck {checks}",
                {"checks": ", ".join(sorted(pending))},
            )
        )
    return _Why(Reason("PendingTopology", "it has quota and waits for its place in the topology"))


def _blocked(course: Course, workload: Workload) -> _Why | None:
    """What keeps it out of every queue. Source: kueue workload_controller.go (getQueueBlocker)."""
    snapshot, name = course.snapshot, given(workload.spec.queue_name, "")
    local = snapshot.local_queues.get(_local_key(workload))
    if local is None:
        return _Why(Reason(MISCONFIGURED, "there is no LocalQueue {name}", {"name": _local_key(workload)}))
    if given(local.spec.stop_policy, "None") not in ("None", ""):
        return _Why(Reason(SUSPENDED, "the LocalQueue {name} is stopped", {"name": name}))
    queue = given(local.spec.cluster_queue, "")
    activity = snapshot.activity.get(queue)
    if activity is None:
        return _Why(Reason(MISCONFIGURED, "there is no ClusterQueue {name}", {"name": queue}))
    if activity.reasons:
        first = activity.reasons[0]
        return _Why(
            Reason(
                SUSPENDED, "the ClusterQueue {name} is inactive ({code})", {"name": queue, "code": first.code}
            ),
            str(first),
        )
    if queue not in snapshot.queues:
        return _Why(
            Reason(MISCONFIGURED, "the cohorts above the ClusterQueue {name} form a cycle", {"name": queue})
        )
    gates = given(workload.metadata.annotations, {}).get(ADMISSION_GATED_BY, "")
    if gates and snapshot.gates.admission_gated_by:
        return _Why(
            Reason(
                ADMISSION_GATED,
                "it is held back by {names} (annotation admission-gated-by)",
                {"names": gates},
            )
        )
    return None


def _waiting(course: Course, workload: Workload, like: Mapping[str, NotAdmitted]) -> _Why:
    """Why the last cycle that saw it, or one like it, said no; or why none saw it."""
    key = workload_key(workload)
    queue = _queue_name(course.snapshot, workload)
    pending = course.backlog.queues.get(queue, Pending())
    if course.now < backoff_ends(workload):
        return _Why(Reason("BackOff", "it was evicted and may not be tried again yet"))
    answer = course.answers.get(key) or like.get(key)
    if answer is not None:
        other = Reason(answer.reason, "it was not admitted")
        return _Why(_SENTENCES.get(answer.reason, other), answer.message)
    if true_condition(workload, "Evicted") is not None and key not in course.answers:
        condition = true_condition(workload, "Evicted")
        return _Why(
            Reason(PENDING_EVALUATION, "it was preempted and waits for its turn"),
            given(condition.message, "") if condition else "",
        )
    spec = course.snapshot.queues[queue].spec
    head = pending.active[0].info.key if pending.active else ""
    if given(spec.queueing_strategy, "") == STRICT_FIFO and head and head != key:
        return _Why(
            Reason(
                "BehindHead",
                "the order is strict, and {name} at the head of the queue is not admitted",
                {"name": head},
            ),
            behind=head,
        )
    return _Why(
        Reason(PENDING_EVALUATION, "its turn did not come in the cycles that were decided"),
        behind=head if head != key else "",
    )


def _answers_of_like(course: Course) -> dict[str, NotAdmitted]:
    """For those that were parked unseen, the answer to one of the same shape."""
    found = {}
    for pending in course.backlog.queues.values():
        parked = pending.inadmissible.values()
        seen = {one.shape: one.info.key for one in parked if one.info.key in course.answers}
        for one in parked:
            if one.shape is not None and one.shape in seen:
                found[one.info.key] = course.answers[seen[one.shape]]
    return found


def _places(course: Course) -> dict[str, tuple[Place | None, Place | None]]:
    """By key, the place in ClusterQueue and LocalQueue, as Kueue's visibility API counts them."""
    found: dict[str, tuple[Place | None, Place | None]] = {}
    for pending in course.backlog.queues.values():
        ordered = sorted(_all(pending), key=lambda one: one.order)
        local: dict[str, list[str]] = {}
        for one in ordered:
            local.setdefault(_local_key(one.info.object), []).append(one.info.key)
        index = {key: (place, keys) for keys in local.values() for place, key in enumerate(keys)}
        for place, one in enumerate(ordered):
            in_local, keys = index[one.info.key]
            found[one.info.key] = (Place(place, len(ordered)), Place(in_local, len(keys)))
    return found


def _all(pending: Pending) -> Iterator[Waiting]:
    yield from pending.active
    yield from pending.inadmissible.values()

"""What waits: by ClusterQueue those that are tried again, and those that are parked until something changes.

A backlog is data; a cycle takes one and gives the next. Order in a queue: who preempts for it already,
then priority, queue time, UID.
Source: kueue pkg/cache/queue/cluster_queue.go, pending_workloads.go, second_pass_queue.go.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.core import Container, PodSpec
from stellwerk.api.groups.kueue_workload import PodSet, RequeueState, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, ResourceList, given
from stellwerk.api.quantity import Quantity
from stellwerk.engine.queueing.flavors.assignment import LastTried
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.local_usage import LocalUse
from stellwerk.engine.queueing.priority import effective_priority
from stellwerk.engine.queueing.requests.limits import Bounds, adjusted, excesses, out_of_bounds
from stellwerk.engine.queueing.requests.total import WorkloadInfo, workload_info
from stellwerk.engine.queueing.snapshot import Snapshot
from stellwerk.engine.queueing.standing import Standing, standing_of

ADMISSION_GATED_BY = "kueue.x-k8s.io/admission-gated-by"
ALLOWED_FLAVORS = "kueue.x-k8s.io/workload-allowed-resource-flavors"
PARENT_LABEL = "kueue.x-k8s.io/concurrent-admission-parent"
BEST_EFFORT_FIFO, STRICT_FIFO = "BestEffortFIFO", "StrictFIFO"
SECOND_PASS_FIRST_NS, SECOND_PASS_MOST = 1_000_000_000, 30
NEVER = 2**63 - 1
Shape = bytes  # What decides which flavors a workload gets; equal ones get the same answer.


class Progress(Struct, frozen=True, kw_only=True):
    """Where the search for flavors ended, in which `generation` of the queue and cycle, for which shape."""

    last_tried: LastTried
    generation: int
    cycle: int
    shape: Shape | None

    @property
    def flavors_left(self) -> bool:
        """Whether a flavor of some resource was not tried yet."""
        return any(tried != -1 for pod_set in self.last_tried for tried in pod_set.values())


class Waiting(Struct, frozen=True, kw_only=True):
    """A workload that waits. `order` puts it in its queue; `passes`: how often a second pass was tried.

    `problem`: why its requests are not valid, whatever the quota; mostly empty. `not_before`: when (ns) it
    may be tried again; mostly 0.
    """

    info: WorkloadInfo
    standing: Standing
    problem: str
    not_before: int
    order: tuple[int, int, str, str]
    shape: Shape | None
    progress: Progress | None = None
    passes: int = 0


class Preempting(Struct, frozen=True):
    """The workload for which others are being preempted; `sticky`: it stays the first of its queue."""

    key: str
    generation: int
    sticky: bool


class Pending(Struct, frozen=True, kw_only=True):
    """One ClusterQueue's. `active` in their order. `hopeless`: shapes that had no fit, and the reason."""

    active: tuple[Waiting, ...] = ()
    inadmissible: Mapping[str, Waiting] = {}
    preempting: Preempting | None = None
    hopeless: Mapping[Shape, str] = {}

    def with_active(self, waiting: Waiting) -> "Pending":
        """One more to be tried, if it is not among them."""
        active, place = self.active, bisect_left(self.active, waiting.order, key=_order)
        if place < len(active) and active[place].order == waiting.order:
            return self  # An order ends in the key.
        return replace(self, active=(*active[:place], waiting, *active[place:]))

    def with_all_active(self, waiting: Sequence[Waiting]) -> "Pending":
        """The same of many that are not among them."""
        return replace(self, active=tuple(sorted((*self.active, *waiting), key=_order)))

    def without(self, key: str) -> "Pending":
        """Less this workload."""
        return replace(
            self,
            active=tuple(one for one in self.active if one.info.key != key),
            inadmissible={name: one for name, one in self.inadmissible.items() if name != key},
            preempting=None if self.preempting and self.preempting.key == key else self.preempting,
        )


class SecondPass(Struct, frozen=True):
    """A workload with quota that is looked at again, for its place; `ready_at` in ns."""

    waiting: Waiting
    ready_at: int


class Backlog(Struct, frozen=True, kw_only=True):
    """All that wait. `cycle` counts cycles.

    `generations`: by ClusterQueue, how often its quota changed or a workload gave it back; `Progress` is
    compared with it. `local_use`: of LocalQueues ("namespace/name"), under admission fair sharing.
    """

    queues: Mapping[str, Pending] = {}
    second_pass: Mapping[str, SecondPass] = {}
    cycle: int = 0
    generations: Mapping[str, int] = {}
    local_use: Mapping[str, LocalUse] = {}


def backlog_of(
    workloads: Iterable[Workload], snapshot: Snapshot, overheads: Mapping[str, ResourceList] | None = None
) -> Backlog:
    """The backlog of these workloads, nothing tried yet; those of unknown queues, and those with quota,
    are not in it.

    `overheads`: of pods, by the name of their RuntimeClass.
    """
    ordered: dict[str, list[Waiting]] = {}
    for workload in workloads:
        queue = cluster_queue_of(workload, snapshot)
        if queue is None or not is_admissible(workload, snapshot.gates):
            continue
        if snapshot.gates.concurrent_admission and is_parent(workload):
            continue
        ordered.setdefault(queue, []).append(waiting_of(workload, queue, snapshot, overheads))
    return Backlog(
        queues={
            name: Pending(active=tuple(sorted(of_queue, key=_order))) for name, of_queue in ordered.items()
        }
    )


def waiting_of(
    workload: Workload, queue: str, snapshot: Snapshot, overheads: Mapping[str, ResourceList] | None = None
) -> Waiting:
    """The workload as its queue sees it: with requests from RuntimeClass, LimitRange and limits."""
    bounds = snapshot.bounds.get(given(workload.metadata.namespace, ""), {})
    complete = adjusted(workload, bounds, overheads or {})
    info = workload_info(complete, snapshot.configuration.counting, queue)
    gates = snapshot.gates
    standing = standing_of(info, gates)
    return Waiting(
        info=info,
        standing=standing,
        problem=_problem(complete, bounds),
        not_before=backoff_ends(complete),
        order=(-standing.priority, standing.queue_time, standing.uid, info.key),
        shape=shape_of(info, gates),
    )


def _problem(workload: Workload, bounds: Mapping[str, Bounds]) -> str:
    """Requests above limits, or out of the namespace's LimitRanges."""
    pod_sets = pod_sets_of(workload)
    above = [str(one) for one in excesses(pod_sets)]
    if above:
        return "resources validation failed: " + ", ".join(above)
    outside = [str(one) for one in out_of_bounds(pod_sets, bounds)]
    return "resources didn't satisfy LimitRange constraints: " + ", ".join(outside) if outside else ""


def cluster_queue_of(workload: Workload, snapshot: Snapshot) -> str | None:
    """Where the workload's LocalQueue leads, if both are there and the LocalQueue is not stopped."""
    name = f"{given(workload.metadata.namespace, '')}/{given(workload.spec.queue_name, '')}"
    local = snapshot.local_queues.get(name)
    if local is None or given(local.spec.stop_policy, "None") not in ("None", ""):
        return None
    queue = given(local.spec.cluster_queue, "")
    return queue if queue in snapshot.activity else None


def is_admissible(workload: Workload, gates: FeatureGates) -> bool:
    """Whether it may wait in a queue at all: active, not finished, without quota, not on hold."""
    conditions = {one.type: one for one in conditions_of(workload)}
    gated = gates.admission_gated_by and given(workload.metadata.annotations, {}).get(ADMISSION_GATED_BY, "")
    true = {name for name, one in conditions.items() if one.status == "True"}
    return (
        not gated
        and given(workload.spec.active, True)
        and not true & {"Finished", "QuotaReserved", "WaitingForReplacementPods"}
        and not is_on_hold(workload)
    )


def is_on_hold(workload: Workload) -> bool:
    """Whether its owner took it out of the queue for now."""
    return any(
        one.type == "QuotaReserved" and one.status == "False" and given(one.reason, "") == "OnHold"
        for one in conditions_of(workload)
    )


def conditions_of(workload: Workload) -> tuple[Condition, ...]:
    """The conditions of its status."""
    return given(given(workload.status, WorkloadStatus()).conditions, ())


def is_parent(workload: Workload) -> bool:
    """Whether its variants wait in its place (ConcurrentAdmission)."""
    return given(workload.metadata.labels, {}).get(PARENT_LABEL) == "true"


def backoff_ends(workload: Workload) -> int:
    """From when on (ns) an evicted workload may be tried again; NEVER: not before somebody says so."""
    if any(one.type == "Requeued" and one.status == "False" for one in conditions_of(workload)):
        return NEVER
    state = given(given(workload.status, WorkloadStatus()).requeue_state, RequeueState())
    at = given(state.requeue_at, "")
    return parse_time(at) if at else 0


def shape_of(info: WorkloadInfo, gates: FeatureGates) -> Shape | None:
    """What the flavors of a workload depend on; None: equal workloads are not put together."""
    if not gates.scheduling_equivalence_hashing:
        return None
    pod_sets = [
        (
            each.name,
            _spec_shape(given(pod_set.template.spec, PodSpec(containers=()))),
            each.count,
            sorted(each.requests.items()),
            pod_set.min_count,
            pod_set.topology_request,
        )
        for pod_set, each in zip(given(info.object.spec.pod_sets, ()), info.pod_sets, strict=False)
    ]
    allowed = None
    if gates.concurrent_admission:
        allowed = given(info.object.metadata.annotations, {}).get(ALLOWED_FLAVORS)
    shape = [pod_sets, effective_priority(info.object, gates), allowed]
    return msgspec.json.encode(shape, enc_hook=_written, order="deterministic")


def _spec_shape(spec: PodSpec) -> list[object]:
    """Names and images do not matter."""
    at_pod_level = None if not given(spec.resources, None) else given(spec.resources, None)
    return [
        [_container_shape(one) for one in given(spec.init_containers, ())],
        [_container_shape(one) for one in spec.containers],
        spec.node_selector,
        spec.affinity,
        spec.tolerations,
        spec.runtime_class_name,
        spec.topology_spread_constraints,
        spec.overhead,
        spec.resource_claims,
        None if at_pod_level is None else at_pod_level.requests,
    ]


def _container_shape(container: Container) -> object:
    resources = given(container.resources, None)
    return None if resources is None else given(resources.requests, None)


def _written(value: object) -> object:
    """Quantities as text; a field that is not there as null."""
    return str(value) if isinstance(value, Quantity) else None


def _order(waiting: Waiting) -> tuple[int, int, str, str]:
    return waiting.order


def pod_sets_of(workload: Workload) -> tuple[PodSet, ...]:
    """The PodSets of its spec."""
    return given(workload.spec.pod_sets, ())

"""What must hold after each event of a simulation of queues, whatever is lost, late, or written by others.

Quota is never exceeded; a Job has one Workload at most, and runs only while that is admitted; the controller
loses nobody who waits. What is stored is counted here once more, by its text.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stellwerk.api.quantity import parse_quantity
from stellwerk.control.queueing.controller import QueueController
from stellwerk.control.queueing.events import Json
from stellwerk.control.queueing.kinds import CLUSTER_QUEUE, JOB, WORKLOAD
from stellwerk.engine.queueing.cycle.backlog import cluster_queue_of, is_admissible
from stellwerk.engine.queueing.snapshot import holds_quota
from stellwerk.ports.store import Store
from stellwerk.sim.world import Violation

Cell = tuple[str, str]  # flavor, resource


class QueueSafety:
    """Checks a Store; `controller` gives the one that runs now. `excused`: UIDs of Jobs whose Workload somebody
    else deleted: their pods may end after it.
    """

    def __init__(self, store: Store, controller: Callable[[], QueueController]) -> None:
        self._store, self._controller = store, controller
        self._version = -1
        self.excused: set[str] = set()

    def check(self, event: object, now: int) -> None:
        """Raise Violation, naming the event and the time, if something does not hold."""
        problem = self._lost()
        workloads, version = self._store.list(*WORKLOAD)
        if not problem and version != self._version:
            self._version = version
            jobs = self._store.list(*JOB)[0]
            queues = self._store.list(*CLUSTER_QUEUE)[0]
            problem = over_quota(queues, workloads) or self._runs_alone(jobs, workloads)
        if problem:
            raise Violation(f"{problem}; at {now} ns, after {event}")

    def _runs_alone(self, jobs: Sequence[Json], workloads: Sequence[Json]) -> str:
        of_job: dict[str, list[Json]] = {}
        for workload in workloads:
            for owner in workload["metadata"].get("ownerReferences") or ():
                of_job.setdefault(owner["uid"], []).append(workload)
        for job in jobs:
            uid, name = job["metadata"]["uid"], job["metadata"]["name"]
            found = of_job.get(uid, [])
            if len(found) > 1:
                return f"Job {name} has {len(found)} Workloads"
            active = (job.get("status") or {}).get("active", 0)
            queued = "kueue.x-k8s.io/queue-name" in (job["metadata"].get("labels") or {})
            admitted = bool(found) and is_true(found[0], "Admitted")
            going = any(one["metadata"].get("deletionTimestamp") for one in found)
            if not active and not going:
                self.excused.discard(uid)
            stopping = job["spec"].get("suspend") and uid in self.excused
            if active and queued and not admitted and not stopping:
                return f"Job {name} runs without an admitted Workload"
        return ""

    def _lost(self) -> str:
        """Somebody whom the controller knows, and who is neither in a queue nor holds quota."""
        queues = self._controller().queues
        if queues is None:
            return ""
        state = queues.state
        for key, workload in state.workloads.items():
            if holds_quota(workload):
                continue
            queue = cluster_queue_of(workload, state.snapshot)
            if queue is None or not is_admissible(workload, state.snapshot.gates):
                continue
            pending = state.backlog.queues.get(queue)
            if pending is None or not (
                key in pending.inadmissible or any(one.info.key == key for one in pending.active)
            ):
                return f"Workload {key} waits in no queue"
        return ""


def over_quota(queues: Sequence[Json], workloads: Sequence[Json]) -> str:
    """Which quota is exceeded: of a ClusterQueue with what it may borrow, or of a Cohort together; "" if none.

    Cohorts are only named here, without quota of their own and without parents.
    """
    used: dict[str, Counter[Cell]] = {}
    for workload in workloads:
        if is_true(workload, "QuotaReserved") and not is_true(workload, "Finished"):
            admission = (workload.get("status") or {}).get("admission") or {}
            if admission and workload["spec"].get("active", True):
                used.setdefault(admission["clusterQueue"], Counter()).update(_usage(workload, admission))
    cohorts: dict[str, list[Json]] = {}
    for queue in queues:
        name = queue["metadata"]["name"]
        cohorts.setdefault(queue["spec"].get("cohortName") or f"/{name}", []).append(queue)
    for cohort, members in cohorts.items():
        total: Counter[Cell] = Counter()
        quota: Counter[Cell] = Counter()
        for queue in members:
            own = used.get(queue["metadata"]["name"], Counter())
            total.update(own)
            for cell, (nominal, borrowing) in _quotas(queue).items():
                quota[cell] += nominal
                if borrowing is not None and own[cell] > nominal + borrowing:
                    return f"ClusterQueue {queue['metadata']['name']} uses {own[cell]} of {cell}"
        for cell, amount in total.items():
            if amount > quota[cell]:
                return f"{cohort} uses {amount} of {quota[cell]} of {cell}"
    return ""


def is_true(item: Json, kind: str) -> bool:
    """Whether the object's condition of this type is True."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def _usage(workload: Json, admission: Json) -> dict[Cell, int]:
    """In billionths; pods that are not needed any more do not count."""
    reclaimed = {one["name"]: one["count"] for one in workload["status"].get("reclaimablePods") or ()}
    asked = {one["name"]: one["count"] for one in workload["spec"]["podSets"]}
    used: Counter[Cell] = Counter()
    for one in admission.get("podSetAssignments") or ():
        left = min(one["count"], asked[one["name"]] - reclaimed.get(one["name"], 0))
        for resource, amount in (one.get("resourceUsage") or {}).items():
            share = parse_quantity(str(amount)).nanos * left // max(1, one["count"])
            used[one["flavors"][resource], resource] += share
    return dict(used)


def _quotas(queue: Json) -> Mapping[Cell, tuple[int, int | None]]:
    found: dict[Cell, tuple[int, int | None]] = {}
    for group in queue["spec"].get("resourceGroups") or ():
        for flavor in group["flavors"]:
            for resource in flavor["resources"]:
                limit: Any = resource.get("borrowingLimit")
                found[flavor["name"], resource["name"]] = (
                    parse_quantity(str(resource["nominalQuota"])).nanos,
                    None if limit is None else parse_quantity(str(limit)).nanos,
                )
    return found

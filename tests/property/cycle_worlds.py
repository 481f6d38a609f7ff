"""Random queues in a tree of Cohorts with Workloads, and cycles on them whose effects are written."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET, Struct
from msgspec.structs import replace

from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.kueue import ClusterQueue, Cohort, LocalQueue, ResourceFlavor
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.course.arrivals import with_arrival
from stellwerk.engine.queueing.cycle.admit import admit
from stellwerk.engine.queueing.cycle.backlog import Backlog, backlog_of
from stellwerk.engine.queueing.cycle.decision import Decision
from stellwerk.engine.queueing.cycle.requeue import reconsidered
from stellwerk.engine.queueing.cycle.status import with_eviction, with_pending
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.requests.total import Counting, workload_key
from stellwerk.engine.queueing.snapshot import Configuration, Objects, Snapshot, holds_quota, snapshot_of
from tests.property.flavor_worlds import typed

NOW = 1_800_000_000_000_000_000
FLAVORS, QUEUES = ("a", "b"), ("q0", "q1", "q2", "q3")
Draw = Callable[[st.SearchStrategy[Any]], Any]
STRATEGIES = ("LessThanOrEqualToFinalShare", "LessThanInitialShare")


class CycleWorld(Struct):
    """Objects as they are now; `step` runs a cycle and writes what it decides."""

    objects: Objects
    configuration: Configuration
    backlog: Backlog
    now: int = NOW

    @property
    def snapshot(self) -> Snapshot:
        """The moment."""
        return snapshot_of(self.objects, self.configuration)

    def workload(self, key: str) -> Workload:
        """The Workload as it is now."""
        return next(one for one in self.objects.workloads if workload_key(one) == key)

    def step(self) -> Decision:
        """One cycle; who is preempted stops at once, and goes."""
        snapshot = self.snapshot
        decision = admit(snapshot, self.backlog, self.now)
        found = {workload_key(one): one for one in self.objects.workloads}
        for admitted in decision.admitted:
            found[admitted.key] = admitted.workload
        for waits in decision.not_admitted:
            found[waits.key] = with_pending(found[waits.key], waits, snapshot.gates, self.now)
        freed = []
        for evicted in decision.evicted:
            gone = with_eviction(found.pop(evicted.key), evicted, self.now)
            freed.append(gone.status.admission.cluster_queue)  # type: ignore[union-attr]
        self.objects = replace(self.objects, workloads=list(found.values()))
        self.backlog = reconsidered(decision.backlog, snapshot, freed, self.now)
        self.now += 1_000_000_000
        return decision

    def finish(self, count: int, queue: str = "") -> None:
        """The first of those that hold quota, of this queue or of any, are done and gone."""
        held = [one for one in self.objects.workloads if holds_quota(one)]
        if queue:
            held = [one for one in held if one.spec.queue_name == queue]
        done = [workload_key(one) for one in held][:count]
        left = [one for one in self.objects.workloads if workload_key(one) not in done]
        self.objects = replace(self.objects, workloads=left)
        self.backlog = reconsidered(self.backlog, self.snapshot, QUEUES, self.now)

    def arrive(self, draw: Draw, number: int, first: int = 0, always: bool = False) -> None:
        """A small Workload may come, or comes `always`, to each queue from `first` on; `number` names it."""
        for index, name in enumerate(QUEUES[first : len(self.objects.cluster_queues)]):
            if always or draw(st.booleans()):
                raw = _workload(draw, 1000 + 10 * number + index, 1, name)
                raw["spec"]["podSets"] = [_pod_set(0, draw(st.integers(1, 2)), draw(st.integers(1, 3)))]
                self.add(typed(raw, Workload))

    def add(self, new: Workload) -> None:
        """One more Workload that waits."""
        self.objects = replace(self.objects, workloads=[*self.objects.workloads, new])
        self.backlog = with_arrival(self.backlog, new, self.snapshot, self.now)


@st.composite
def cycle_worlds(draw: st.DrawFn, *, strict: bool = False, alone: bool = False) -> CycleWorld:
    """Up to four queues under up to three Cohorts, two flavors, up to twelve Workloads of one or two PodSets.

    `strict`: all queues are StrictFIFO. `alone`: no Cohorts, and nobody is preempted.
    """
    cohorts = [] if alone else [_cohort(draw, index) for index in range(3)]
    queues = [_queue(draw, name, strict, alone) for name in QUEUES[: draw(st.integers(1, 4))]]
    return _world(draw, queues, cohorts, 12, not alone and draw(st.booleans()))


@st.composite
def contested_worlds(draw: st.DrawFn, fair: bool = False) -> CycleWorld:
    """Queues under Cohorts of one tree that got all they could, and then comes a Workload to q0.

    Queue q0 is StrictFIFO, reclaims from anybody, preempts lower priorities of its own, and its quota in its
    only flavor is enough for the newcomer, which is the first of it. `fair`: with fair sharing.
    """
    need = draw(st.integers(1, 8))
    q0 = _contested(draw, QUEUES[0], need + draw(st.integers(0, 3)))
    q0["spec"] |= {
        "queueingStrategy": "StrictFIFO",
        "preemption": {"withinClusterQueue": "LowerPriority", "reclaimWithinCohort": "Any"},
    }
    others = QUEUES[1 : draw(st.integers(2, 4))]
    queues = [q0, *(_contested(draw, name, draw(st.integers(0, 3))) for name in others)]
    for one in queues:
        one["spec"]["cohortName"] = draw(st.sampled_from(["c0", "c1", "c2"]))
    parents = ["", "c0", draw(st.sampled_from(["c0", "c1"]))]
    cohorts = [
        {"metadata": {"name": f"c{index}"}, "spec": {"parentName": parent}}
        for index, parent in enumerate(parents)
    ]
    world = _world(draw, queues, cohorts, 0, fair)
    for number in range(draw(st.integers(1, 7))):
        world.arrive(draw, 100 + number, first=min(1, draw(st.integers(0, 4))), always=True)
        world.step()
    head = _workload(draw, 999, 1, QUEUES[0])
    head["spec"] |= {"podSets": [_pod_set(0, 1, need)], "priority": 2}
    head["metadata"]["creationTimestamp"] = "2025-01-01T00:00:00Z"
    world.add(typed(head, Workload))
    return world


@st.composite
def lent_worlds(draw: st.DrawFn) -> CycleWorld:
    """A Cohort of three queues; q1 and q2 hold all there is, also what is q0's, and then q0 wants it back."""
    nominal = [draw(st.integers(1, 6)), draw(st.integers(0, 4)), draw(st.integers(0, 4))]
    named = zip(QUEUES, nominal, strict=False)
    queues = [_contested(draw, name, quota, limits=False) for name, quota in named]
    for one in queues:
        one["spec"] |= {"cohortName": "c0", "preemption": {"reclaimWithinCohort": "Any"}}
    world = _world(draw, queues, [{"metadata": {"name": "c0"}, "spec": {}}], 0, False)
    left, holders = sum(nominal), []
    while left > 0:
        gpus = min(left, draw(st.integers(1, 3)))
        raw = _workload(draw, len(holders), 1, draw(st.sampled_from(QUEUES[1:3])))
        holders.append(typed(_held(raw, gpus, draw(st.integers(0, 9))), Workload))
        left -= gpus
    world.objects = replace(world.objects, workloads=holders)
    head = _workload(draw, 999, 1, QUEUES[0])
    head["spec"]["podSets"] = [_pod_set(0, 1, draw(st.integers(1, nominal[0])))]
    world.add(typed(head, Workload))
    return world


def _held(raw: dict[str, Any], gpus: int, second: int) -> dict[str, Any]:
    """The Workload of one pod as it is once admitted."""
    raw["spec"]["podSets"] = [_pod_set(0, 1, gpus)]
    assigned = {
        "name": "p0",
        "flavors": {"gpu": FLAVORS[0]},
        "resourceUsage": {"gpu": str(gpus)},
        "count": 1,
    }
    at = f"2026-01-01T00:01:{second:02}Z"
    raw["status"] = {
        "admission": {"clusterQueue": raw["spec"]["queueName"], "podSetAssignments": [assigned]},
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": at}
            for kind in ("QuotaReserved", "Admitted")
        ],
    }
    return raw


def _contested(draw: Draw, name: str, nominal: int, limits: bool = True) -> dict[str, Any]:
    """A queue with one flavor, that seldom has limits."""
    raw = _queue(draw, name, False, False)
    quota: dict[str, Any] = {"name": "gpu", "nominalQuota": str(nominal)}
    for limit in ("borrowingLimit", "lendingLimit"):
        if limits and draw(st.integers(0, 4)) == 0:
            quota[limit] = str(draw(st.integers(0, 4)))
    flavors = [{"name": FLAVORS[0], "resources": [quota]}]
    raw["spec"]["resourceGroups"] = [{"coveredResources": ["gpu"], "flavors": flavors}]
    return raw


def _world(
    draw: Draw, queues: list[dict[str, Any]], cohorts: list[dict[str, Any]], most: int, fair: bool
) -> CycleWorld:
    """These queues and Cohorts, and up to so many Workloads that wait; none with `most` 0."""
    gates = feature_gates({"PrioritySortingWithinCohort": draw(st.booleans())})
    configuration = Configuration(counting=Counting(gates=gates), fair_sharing=STRATEGIES if fair else None)
    count = draw(st.integers(1, most)) if most else 0
    workloads = [_workload(draw, index, len(queues)) for index in range(count)]
    objects = Objects(
        cluster_queues=[typed(one, ClusterQueue) for one in queues],
        cohorts=[typed(one, Cohort) for one in cohorts],
        flavors=[typed({"metadata": {"name": name}, "spec": {}}, ResourceFlavor) for name in FLAVORS],
        local_queues=[
            typed({"metadata": {"name": name, "namespace": "ns"}, "spec": {"clusterQueue": name}}, LocalQueue)
            for name in QUEUES
        ],
        namespaces=[typed({"metadata": {"name": "ns"}}, Namespace)],
        workloads=[typed(one, Workload) for one in workloads],
    )
    return CycleWorld(
        objects, configuration, backlog_of(objects.workloads, snapshot_of(objects, configuration))
    )


def _cohort(draw: st.DrawFn, index: int) -> dict[str, Any]:
    parents = ["", *(f"c{i}" for i in range(index))]
    spec: dict[str, Any] = {"parentName": draw(st.sampled_from(parents))}
    if draw(st.booleans()):
        spec["resourceGroups"] = [_group(draw)]
    return {"metadata": {"name": f"c{index}"}, "spec": spec}


def _group(draw: st.DrawFn) -> dict[str, Any]:
    flavors = []
    for name in FLAVORS[: draw(st.integers(1, 2))]:
        quota = {"name": "gpu", "nominalQuota": str(draw(st.integers(0, 6)))}
        for limit in ("borrowingLimit", "lendingLimit"):
            if draw(st.integers(0, 2)) == 0:
                quota[limit] = str(draw(st.integers(0, 4)))
        flavors.append({"name": name, "resources": [quota]})
    return {"coveredResources": ["gpu"], "flavors": flavors}


def _queue(draw: st.DrawFn, name: str, strict: bool, alone: bool) -> dict[str, Any]:
    policy = st.sampled_from(["Never", "LowerPriority", "Any"])
    within = st.sampled_from(["Never", "LowerPriority", "LowerOrNewerEqualPriority"])
    strategies = ["StrictFIFO"] if strict else ["BestEffortFIFO", "StrictFIFO"]
    spec: dict[str, Any] = {
        "namespaceSelector": {},
        "queueingStrategy": draw(st.sampled_from(strategies)),
        "resourceGroups": [_group(draw)],
    }
    if not alone:
        spec["cohortName"] = draw(st.sampled_from(["", "c0", "c1", "c2"]))
        spec["preemption"] = {
            "withinClusterQueue": draw(within),
            "reclaimWithinCohort": draw(policy),
            "borrowWithinCohort": {"policy": draw(st.sampled_from(["Never", "LowerPriority"]))},
        }
        spec["fairSharing"] = {"weight": str(draw(st.integers(1, 3)))}
    return {"metadata": {"name": name}, "spec": spec}


def _pod_set(place: int, count: int, gpus: int) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"gpu": str(gpus)}}}
    return {"name": f"p{place}", "count": count, "template": {"spec": {"containers": [container]}}}


def _workload(draw: Draw, index: int, queues: int, queue: str = "") -> dict[str, Any]:
    pod_sets = []
    for place in range(draw(st.integers(1, 2))):
        count = draw(st.integers(1, 3))
        one = _pod_set(place, count, draw(st.integers(0, 3)))
        if draw(st.integers(0, 3)) == 0:
            one["minCount"] = draw(st.integers(1, count))
        pod_sets.append(one)
    return {
        "metadata": {
            "name": f"w{index}",
            "namespace": "ns",
            "uid": f"u{index}",
            "creationTimestamp": f"2026-01-01T00:00:{draw(st.integers(0, 9)):02}Z",
        },
        "spec": {
            "podSets": pod_sets,
            "queueName": queue or QUEUES[draw(st.integers(0, queues - 1))],
            "priority": draw(st.integers(0, 2)),
        },
    }


def pod_counts(workload: Workload) -> list[tuple[int, int, int]]:
    """Of each PodSet: pods that were admitted, the least that may be, and all."""
    admission = workload.status.admission if workload.status else UNSET
    assigned = admission.pod_set_assignments if admission else ()
    counts = {one.name: one.count for one in assigned or ()}
    return [
        (counts.get(one.name, 0) or 0, one.min_count or one.count, one.count)
        for one in workload.spec.pod_sets or ()
    ]

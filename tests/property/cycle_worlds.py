"""Random queues in a tree of Cohorts with Workloads, and cycles on them whose effects are written."""

from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET, Struct
from msgspec.structs import replace

from stellwerk.api.groups.core import Namespace
from stellwerk.api.groups.kueue import ClusterQueue, Cohort, LocalQueue, ResourceFlavor
from stellwerk.api.groups.kueue_workload import Workload
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

    def finish(self, count: int) -> None:
        """The first of those that hold quota are done and gone."""
        done = [workload_key(one) for one in self.objects.workloads if holds_quota(one)][:count]
        left = [one for one in self.objects.workloads if workload_key(one) not in done]
        self.objects = replace(self.objects, workloads=left)
        self.backlog = reconsidered(self.backlog, self.snapshot, QUEUES, self.now)


@st.composite
def cycle_worlds(draw: st.DrawFn, *, strict: bool = False, alone: bool = False) -> CycleWorld:
    """Up to four queues under up to three Cohorts, two flavors, up to twelve Workloads of one or two PodSets.

    `strict`: all queues are StrictFIFO. `alone`: no Cohorts, and nobody is preempted.
    """
    fair = None if alone else draw(st.sampled_from([None, STRATEGIES]))
    gates = feature_gates({"PrioritySortingWithinCohort": draw(st.booleans())})
    configuration = Configuration(counting=Counting(gates=gates), fair_sharing=fair)
    cohorts = [] if alone else [_cohort(draw, index) for index in range(3)]
    queues = [_queue(draw, name, strict, alone) for name in QUEUES[: draw(st.integers(1, 4))]]
    workloads = [_workload(draw, index, len(queues)) for index in range(draw(st.integers(1, 12)))]
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


def _workload(draw: st.DrawFn, index: int, queues: int) -> dict[str, Any]:
    pod_sets = []
    for place in range(draw(st.integers(1, 2))):
        count = draw(st.integers(1, 3))
        container = {"name": "c", "resources": {"requests": {"gpu": str(draw(st.integers(0, 3)))}}}
        one = {"name": f"p{place}", "count": count, "template": {"spec": {"containers": [container]}}}
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
            "queueName": QUEUES[draw(st.integers(0, queues - 1))],
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

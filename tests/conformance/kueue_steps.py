"""Recorded steps of Kueue's cycle: the order of entries, what one holds back, whether it starts over."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from stellwerk.api.groups.kueue import AdmissionScope, ClusterQueue, ClusterQueueSpec
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.cycle.backlog import Backlog, Progress, waiting_of
from stellwerk.engine.queueing.cycle.nominate import is_outdated
from stellwerk.engine.queueing.cycle.order import fair_rank, last_rank, ordered
from stellwerk.engine.queueing.cycle.process import reserved
from stellwerk.engine.queueing.cycle.world import Entry, World
from stellwerk.engine.queueing.flavors.assignment import Assignment
from stellwerk.engine.queueing.flavors.mode import FIT, NO_FIT, PREEMPT
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.local_usage import pays_at_entry
from stellwerk.engine.queueing.quota.share import Share
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Objects, snapshot_of
from tests.conformance.kueue_objects import (
    Case,
    amounts_in,
    configuration_of,
    objects_of,
    ordering_of,
    typed,
    unlike,
)

_MODES = {"Fit": FIT, "Preempt": PREEMPT, "NoFit": NO_FIT}
_UNKNOWN = "unknown"  # Kueue's hash of what has none.


def entry_order(case: Case) -> str | None:
    """The entries in the order in which they are decided, without fair sharing."""
    world = World(snapshot_of(Objects(), ordering_of(case)), Backlog(), 0, {})
    entries = [_entry(world, one) for one in case["input"]["entries"]]
    names = [one.info.key.rpartition("/")[2] for one in ordered(world, entries)]
    return unlike("order", names, case["want"]["order"])


def entry_less(case: Case) -> str | None:
    """Whether the one entry wins against the other in the tournament of shares."""
    raw = case["input"]
    world = World(snapshot_of(Objects(), configuration_of(case)), Backlog(), 0, {})
    shares = {
        one["workloadKey"]: _share(one["value"])
        for one in raw.get("drsValues") or ()
        if one["parentCohort"] == raw["cohort"]
    }
    requested = {key: amounts_in(rows) for key, rows in (raw.get("requestedFlavorResources") or {}).items()}

    def rank(side: str) -> tuple[object, ...]:
        entry = _entry(world, raw[side])
        key = entry.info.key
        share = shares.get(key, _share({}))
        last = last_rank(world, entry)
        return fair_rank(world.snapshot.gates, entry, share, requested.get(key, {}), last)

    return unlike("less", rank("a") < rank("b"), case["want"]["less"])


def resources_to_reserve(case: Case) -> str | None:
    """What an entry holds back that fits, or that waits for a preemption."""
    raw = case["input"]
    objects = replace(objects_of(case), cluster_queues=[typed(raw["clusterQueue"], ClusterQueue)])
    snapshot = snapshot_of(objects, configuration_of(case))
    world = World(snapshot, Backlog(), 0, {})
    ((name, queue),) = snapshot.queues.items()
    world.ledger.add(snapshot.charges(name, amounts_in(raw["cqUsage"])))
    workload = typed({"metadata": {}, "spec": {}}, Workload)
    entry = Entry(waiting=(waiting := waiting_of(workload, name, snapshot)), info=waiting.info, queue=queue)
    mode, usage = _MODES[raw["assignmentMode"]], amounts_in(raw["assignmentUsage"])
    entry.assignment = _assignment(raw["borrowing"], mode, usage)
    what = snapshot.tree.flavor_resource
    ours = {what[cell]: amount for cell, amount in reserved(world, entry, queue).charges}
    return unlike("reserved", ours, amounts_in(case["want"]["reserved"]))


def last_assignment_outdated(case: Case) -> str | None:
    """Whether the search for flavors starts over."""
    raw = case["input"]
    given = raw["arguments"]
    gates = feature_gates(
        {
            **(case.get("featureGates") or {}),
            "FlavorFungibilityPreserveScanProgress": raw["preserveProgress"],
        }
    )
    last = given["last"]
    before = _progress(last["clusterQueueGeneration"], last["schedulingCycle"], last["schedulingHash"])
    now = _progress(
        given["currentCQGeneration"], given["currentSchedulingCycle"], given["currentSchedulingHash"]
    )
    return unlike("result", is_outdated(before, now, gates), case["want"]["result"])


def entry_penalty_applies(case: Case) -> str | None:
    """Whether a LocalQueue pays at once for an admission."""
    configuration = configuration_of(case)
    mode = case["input"]["admissionMode"]
    spec = ClusterQueueSpec(admission_scope=AdmissionScope(admission_mode=mode) if mode else UNSET)
    workload = typed(case["input"]["workload"], Workload)
    ours = pays_at_entry(workload, spec, configuration.admission_fair_sharing, configuration.gates)
    return unlike("result", ours, case["want"]["result"])


def _entry(world: World, raw: dict[str, Any]) -> Entry:
    workload = typed(raw["workload"], Workload)
    waiting = waiting_of(workload, "", world.snapshot)
    assert waiting.info.key == workload_key(workload)
    return Entry(
        waiting=waiting,
        info=waiting.info,
        queue=None,
        preempting=raw["isPreemptor"],
        assignment=_assignment(raw["borrowing"], FIT, {}),
    )


def _assignment(level: int, mode: Any, usage: Mapping[FlavorResource, int]) -> Assignment:
    return Assignment(pod_sets=(), mode=mode, borrowing_level=level, usage=usage, last_tried=())


def _share(raw: dict[str, Any]) -> Share:
    return Share(
        weight=float(raw.get("fairWeight", 0)),
        ratio=float(raw.get("unweightedRatio", 0)),
        borrowing=raw.get("borrowing", False),
        borrowed=tuple(
            FlavorResource(one["flavor"], one["resource"]) for one in raw.get("borrowedFRs") or ()
        ),
    )


def _progress(generation: int, cycle: int, shape: str) -> Progress:
    written = None if shape == _UNKNOWN else shape.encode()
    return Progress(last_tried=(), generation=generation, cycle=cycle, shape=written)


STEPS = {
    "entryOrderWithoutFairSharing": entry_order,
    "fairSharingEntryLess": entry_less,
    "resourcesToReserve": resources_to_reserve,
    "lastAssignmentOutdated": last_assignment_outdated,
    "shouldApplyEntryPenalty": entry_penalty_applies,
}

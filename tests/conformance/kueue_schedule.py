"""Recorded scheduling cycles of Kueue: who is admitted, preempted, left in the queue, parked."""

from typing import Any

from msgspec import UNSET, Struct
from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue import ClusterQueue
from stellwerk.api.groups.kueue_workload import Admission, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.queueing.amounts import request_amount
from stellwerk.engine.queueing.cycle.admit import admit, refused, with_second_pass
from stellwerk.engine.queueing.cycle.backlog import (
    Backlog,
    backlog_of,
    cluster_queue_of,
    conditions_of,
    waiting_of,
)
from stellwerk.engine.queueing.cycle.decision import Decision
from stellwerk.engine.queueing.cycle.requeue import reconsidered
from stellwerk.engine.queueing.cycle.status import needs_second_pass, with_eviction, with_pending
from stellwerk.engine.queueing.local_usage import LocalUse
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Objects, Snapshot, holds_quota, snapshot_of
from stellwerk.engine.queueing.standing import true_condition
from stellwerk.engine.topology.assignment.wire import unpacked
from tests.conformance.kueue_objects import Case, configuration_of, first, objects_of, unlike

_START = "2026-01-01T00:00:00Z"
_SECOND = 1_000_000_000


class _Run(Struct):
    """A case while its cycles run: objects as they are written, and what the cycles decided together."""

    case: Case
    objects: Objects
    snapshot: Snapshot
    backlog: Backlog
    now: int
    decisions: list[Decision]


def schedule(case: Case) -> str | None:
    """One cycle."""
    run = _started(case)
    _cycle(run)
    return _compared(run)


def two_cycles(case: Case) -> str | None:
    """One cycle, workloads go, and another one."""
    run = _started(case)
    _cycle(run)
    difference = _compared(run)
    _delete(run, set(_input(case).get("deleteWorkloadsAfterFirstCycle") or ()))
    _cycle(run)
    want = case["want"]
    return first(
        (
            difference,
            unlike(
                "admissionsAfterSecondCycle",
                _admissions(run, fully=True),
                _plain_admissions(want.get("admissionsAfterSecondCycle")),
            ),
        )
    )


def _delete(run: _Run, keys: set[str]) -> None:
    """These workloads go: their quota is free, and who is parked in their cohorts is tried again."""
    gone = [one for one in run.objects.workloads if workload_key(one) in keys]
    generations = dict(run.backlog.generations)
    for one in gone:
        if holds_quota(one):
            name = one.status.admission.cluster_queue
            generations[name] = generations.get(name, 0) + 1
    queues = [name for one in gone if (name := cluster_queue_of(one, run.snapshot)) is not None]
    left = [one for one in run.objects.workloads if workload_key(one) not in keys]
    run.objects = replace(run.objects, workloads=left)
    run.snapshot = snapshot_of(run.objects, run.snapshot.configuration)
    backlog = replace(run.backlog, generations=generations)
    run.backlog = reconsidered(backlog, run.snapshot, queues, run.now)


def fair_admission(case: Case) -> str | None:
    """Cycles under admission fair sharing, with usage from before. The LocalQueue that is deleted from
    the API only is still known to Kueue's queues."""
    run = _started(case)
    usage = _input(case).get("initialLocalQueueUsage") or {}
    run.backlog = replace(
        run.backlog,
        local_use={
            f"default/{name}": LocalUse(
                consumed={resource: parse_quantity(str(amount)) for resource, amount in used.items()}
            )
            for name, used in usage.items()
        },
    )
    for _ in range(_input(case)["cycles"]):
        _cycle(run)
    return _compared(run)


def several_cycles(case: Case) -> str | None:
    """Cycles in which the second flavor's quota changes, and parked workloads go back each time."""
    run = _started(case)
    changes = _input(case).get("changeQuotaOfSecondFlavorEachCycle")
    for index in range(_input(case)["cycles"]):
        _cycle(run)
        if changes:
            _change_quota(run, "5" if index % 2 == 0 else "4")
        run.backlog = reconsidered(run.backlog, run.snapshot, run.snapshot.queues, run.now)
    flavors = {workload_key(one): _first_flavor(one) for one in _reserved(run)}
    want = case["want"]
    return first(
        unlike(f"{name}WorkloadFlavor", flavors.get(f"default/{name}"), want[f"{name}WorkloadFlavor"])
        for name in ("pending", "blocker")
        if f"{name}WorkloadFlavor" in want
    )


def _input(case: Case) -> dict[str, Any]:
    return case.get("input") or {}


def _started(case: Case) -> _Run:
    objects = objects_of(case)
    snapshot = snapshot_of(objects, configuration_of(case))
    now = parse_time(case.get("now") or _START)
    backlog = backlog_of(objects.workloads, snapshot)
    for workload in objects.workloads:
        if needs_second_pass(workload) and case["procedure"] == "tas":
            admission = given(given(workload.status, WorkloadStatus()).admission, None)
            queue = admission.cluster_queue if admission is not None else ""
            backlog = with_second_pass(backlog, waiting_of(workload, queue, snapshot), now - _SECOND)
    return _Run(case, objects, snapshot, backlog, now, [])


def _cycle(run: _Run) -> None:
    """A cycle, and its effects written."""
    before = {workload_key(one): one for one in run.objects.workloads}
    decision = admit(run.snapshot, run.backlog, run.now)
    error = (run.case.get("config") or {}).get("statusUpdateError")
    if error:
        touched = [one.key for one in (*decision.admitted, *decision.evicted)]
        decision = refused(decision, run.snapshot, touched, run.now, missing="not found" in error)
    run.decisions.append(decision)
    run.backlog = decision.backlog
    for one in decision.admitted:
        before[one.key] = one.workload
    for evicted in decision.evicted:
        if not evicted.ongoing:
            before[evicted.key] = with_eviction(before[evicted.key], evicted, run.now)
    for waits in decision.not_admitted if not error else ():
        before[waits.key] = with_pending(before[waits.key], waits, run.snapshot.gates, run.now)
    run.objects = replace(run.objects, workloads=list(before.values()))
    run.snapshot = snapshot_of(run.objects, run.snapshot.configuration)


def _change_quota(run: _Run, amount: str) -> None:
    queues = [_with_quota(one, amount) for one in run.objects.cluster_queues]
    run.objects = replace(run.objects, cluster_queues=queues)
    run.snapshot = snapshot_of(run.objects, run.snapshot.configuration)
    generations = {name: run.backlog.generations.get(name, 0) + 1 for name in run.snapshot.queues}
    run.backlog = replace(run.backlog, generations=generations)


def _with_quota(queue: ClusterQueue, amount: str) -> ClusterQueue:
    group = queue.spec.resource_groups[0]
    second = group.flavors[1]
    quota = replace(second.resources[0], nominal_quota=parse_quantity(amount))
    second = replace(second, resources=(quota, *second.resources[1:]))
    group = replace(group, flavors=(group.flavors[0], second, *group.flavors[2:]))
    return replace(queue, spec=replace(queue.spec, resource_groups=(group, *queue.spec.resource_groups[1:])))


def _compared(run: _Run) -> str | None:
    """Every key of `want` but messages and full objects."""
    want = run.case["want"]
    before = {workload_key(one): one for one in objects_of(run.case).workloads}
    after = {workload_key(one): one for one in run.objects.workloads}
    ours = {
        "newlyReserved": sorted(_became(before, after, "QuotaReserved")),
        "newlyAdmitted": sorted(_became(before, after, "Admitted")),
        "preempted": _rows(
            {"workload": one.key, "reason": one.preempted}
            for decision in run.decisions
            for one in decision.evicted
            if one.preempted is not None and not one.ongoing
        ),
        "evicted": _rows(
            {"workload": one.key, "reason": one.reason}
            for decision in run.decisions
            for one in decision.evicted
            if not one.ongoing
        ),
        "pending": _rows(_pending(before, after)),
        "admissions": _admissions(run),
        "newAdmissions": _admissions(run, new_to=before),
        "pendingInQueue": {
            name: sorted(one.info.key for one in pending.active)
            for name, pending in run.backlog.queues.items()
            if pending.active
        },
        "inadmissible": {
            name: sorted(pending.inadmissible)
            for name, pending in run.backlog.queues.items()
            if pending.inadmissible
        },
    }
    last, skipped = run.decisions[-1], want.get("skippedPreemptions") or {}
    recomputed = want.get("preemptionTargetRecomputations") or {}
    differences = [
        unlike(key, ours[key], _plain(key, want[key])) for key in sorted(ours.keys() & want.keys())
    ]
    differences += [
        unlike(f"skippedPreemptions of {name}", last.skipped_preemptions.get(name, 0), count)
        for name, count in skipped.items()
    ]
    differences += [
        unlike(f"{result} of {name}", last.recomputed_targets.get(name, {}).get(result, 0), count)
        for name, counts in recomputed.items()
        for result, count in counts.items()
    ]
    return first(differences)


def _pending(before: dict[str, Workload], after: dict[str, Workload]) -> list[dict[str, Any]]:
    """Conditions QuotaReserved=False that are other ones than before."""
    found = []
    for key, workload in after.items():
        new, old = _reserved_condition(workload), _reserved_condition(before[key])
        if new is not None and new.status == "False" and new != old:
            found.append({"workload": key, "reason": new.reason})
    return found


def _reserved_condition(workload: Workload) -> Condition | None:
    return next((one for one in conditions_of(workload) if one.type == "QuotaReserved"), None)


def _became(before: dict[str, Workload], after: dict[str, Workload], kind: str) -> list[str]:
    return [
        key
        for key, one in after.items()
        if true_condition(one, kind) is not None and true_condition(before[key], kind) is None
    ]


def _reserved(run: _Run) -> list[Workload]:
    return [one for one in run.objects.workloads if holds_quota(one)]


def _admissions(
    run: _Run, *, fully: bool = False, new_to: dict[str, Workload] | None = None
) -> dict[str, Any]:
    """What holds quota; `fully`: is admitted. `new_to`: less those that were admitted, with all nodes
    healthy.
    """
    found = {}
    for one in _reserved(run):
        key = workload_key(one)
        if fully and true_condition(one, "Admitted") is None:
            continue
        if new_to is not None and _was_admitted(new_to[key], run.case["procedure"]):
            continue
        found[key] = short_admission(one.status.admission)
    return found


def _was_admitted(workload: Workload, procedure: str) -> bool:
    unhealthy = given(given(workload.status, WorkloadStatus()).unhealthy_nodes, ())
    return true_condition(workload, "Admitted") is not None and not (unhealthy and procedure == "tas")


def short_admission(admission: Admission) -> dict[str, Any]:
    """The recording's short form, quantities as amounts."""
    return {
        "clusterQueue": admission.cluster_queue,
        "podSets": [
            {
                "name": one.name,
                "count": given(one.count, None),
                "flavors": dict(given(one.flavors, {})),
                "resourceUsage": {
                    name: request_amount(name, quantity)
                    for name, quantity in given(one.resource_usage, {}).items()
                },
                "topologyAssignment": None
                if one.topology_assignment is UNSET
                else _short_topology(one.topology_assignment),
                "delayedTopologyRequest": given(one.delayed_topology_request, None),
            }
            for one in given(admission.pod_set_assignments, ())
        ],
    }


def _short_topology(topology: Any) -> dict[str, Any]:
    found = unpacked(topology)
    domains = [{"values": [*one.values], "count": one.count} for one in found.domains]
    return {"levels": [*found.levels], "domains": domains}


def _plain_admissions(raw: Any) -> Any:
    if not isinstance(raw, dict):
        return raw or {}
    return {key: _plain_admission(one) for key, one in raw.items()}


def _plain_admission(raw: dict[str, Any]) -> dict[str, Any]:
    """The recorded admission with every field, quantities as amounts."""
    pod_sets = []
    for one in raw.get("podSets") or ():
        usage = {
            name: request_amount(name, parse_quantity(str(quantity)))
            for name, quantity in (one.get("resourceUsage") or {}).items()
        }
        empty = {"count": None, "flavors": {}, "topologyAssignment": None, "delayedTopologyRequest": None}
        pod_sets.append({**empty, **one, "resourceUsage": usage})
    return {**{key: value for key, value in raw.items() if key != "podSets"}, "podSets": pod_sets}


def _plain(key: str, want: Any) -> Any:
    """What is wanted, in our form; texts are left out."""
    if key in ("admissions", "newAdmissions"):
        return _plain_admissions(want)
    if key in ("preempted", "evicted", "pending"):
        return _rows(want or ())
    if isinstance(want, dict):
        return {name: sorted(keys) for name, keys in want.items()}
    return sorted(want or ())


def _rows(rows: Any) -> list[Any]:
    short = [
        {name: value for name, value in row.items() if name != "message"} if isinstance(row, dict) else row
        for row in rows
    ]
    return sorted(short, key=str)


def _first_flavor(workload: Workload) -> str | None:
    for one in given(workload.status.admission.pod_set_assignments, ()):
        for flavor in given(one.flavors, {}).values():
            return flavor
    return None


SCHEDULE = {
    "schedule": schedule,
    "tas": schedule,
    "tasPreemption": schedule,
    "twoCycles": two_cycles,
    "afs": fair_admission,
    "multiCycle": several_cycles,
}

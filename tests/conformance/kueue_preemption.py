"""Recorded cases of Kueue's preemption: whom an assignment preempts, and whose turn it is in fair sharing."""

from typing import Any

from msgspec.structs import replace

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.amounts import FlavorResource, add
from stellwerk.engine.queueing.preemption.candidate import candidate_order, local_queue, satisfies_policy
from stellwerk.engine.queueing.preemption.contest import Contest, Target
from stellwerk.engine.queueing.preemption.fair import Tournament
from stellwerk.engine.queueing.preemption.preempt import Preemptor, targets_for
from stellwerk.engine.queueing.requests.total import WorkloadInfo, workload_info
from stellwerk.engine.queueing.snapshot import Holding, Snapshot, snapshot_of
from stellwerk.engine.queueing.standing import Standing, is_evicted, standing_of
from tests.conformance.kueue_objects import Case, configuration_of, first, objects_of, typed, unlike

_START = "2026-01-01T00:00:00Z"


def targets(case: Case) -> str | None:
    """Whom the incoming workload preempts, and why."""
    snapshot, preemptor = _preemptor(case)
    found = _targets(case, snapshot, preemptor)
    want = case["want"]
    # One that is evicted already gets no new condition.
    preempted = [
        {"workload": one.holding.info.key, "reason": one.reason}
        for one in found
        if not is_evicted(one.holding.info.object)
    ]
    evicted = _sorted({**one, "reason": "Preempted"} for one in preempted)
    return first(
        (
            unlike("preempted", _sorted(preempted), _sorted(want.get("preempted") or ())),
            None if "evicted" not in want else unlike("evicted", evicted, _sorted(want["evicted"] or ())),
            None
            if "preemptedCount" not in want
            else unlike("preemptedCount", len(found), want["preemptedCount"]),
        )
    )


def queue_order(case: Case) -> str | None:
    """Which queue gives way next, again and again."""
    snapshot, preemptor = _preemptor(case)
    given = case["input"]
    queue = snapshot.queues[given["preemptorClusterQueue"]]
    order = candidate_order(queue.name, preemptor.now)
    candidates = [one for name in given["candidateClusterQueues"] for one in snapshot.held[name].values()]
    contest = Contest(
        snapshot=snapshot,
        ledger=preemptor.ledger,
        info=candidates[0].info,
        standing=candidates[0].standing,
        queue=queue,
        charges=(),
        needed=frozenset(),
        order=order,
        order_of_tournament=order,
    )
    tournament = Tournament(contest, candidates)
    actions = iter(given.get("actions") or ())
    turns = []
    for node in tournament.queues():
        turns.append(snapshot.tree.names[node])
        if next(actions, "pop") == "drop":
            tournament.drop(node)
        else:
            tournament.pop(node)
    return unlike("order", turns, case["want"]["clusterQueueOrder"])


def _preemptor(case: Case) -> tuple[Snapshot, Preemptor]:
    snapshot = snapshot_of(objects_of(case), configuration_of(case))
    now = parse_time(case.get("now") or _START)
    return snapshot, Preemptor(snapshot=snapshot, ledger=snapshot.ledger(), now=now)


def _targets(case: Case, snapshot: Snapshot, preemptor: Preemptor) -> list[Target]:
    given = case["input"]
    counting = snapshot.configuration.counting
    # One of the recorded workloads holds quota elsewhere already; the queue that is asked is the target's.
    info = replace(
        workload_info(typed(given["incoming"], Workload), counting), cluster_queue=given["targetClusterQueue"]
    )
    return targets_for(preemptor, info, _wanted(info, given["assignment"]))


def _wanted(
    info: WorkloadInfo, assignment: dict[str, Any]
) -> tuple[dict[FlavorResource, int], frozenset[FlavorResource]]:
    """The usage of the assigned flavors, scaled to the assigned counts, and which of them preempt."""
    usage: dict[FlavorResource, int] = {}
    needed = set()
    for pod_set, assigned in zip(info.pod_sets, assignment["podSets"], strict=True):
        asked = pod_set.scaled_to(assigned["count"]) if "count" in assigned else pod_set
        for resource, one in (assigned.get("flavors") or {}).items():
            key = FlavorResource(one["flavor"], resource)
            usage[key] = add(usage.get(key, 0), asked.requests.get(resource, 0))
            if one["mode"] == "Preempt":
                needed.add(key)
    return usage, frozenset(needed)


def _sorted(rows: Any) -> list[Any]:
    short = [
        {name: value for name, value in row.items() if name != "message"} if isinstance(row, dict) else row
        for row in rows
    ]
    return sorted(short, key=str)


def policy(case: Case) -> str | None:
    """Whether the policy lets the one preempt the other."""
    given, configuration = case["input"], configuration_of(case)

    def standing(raw: Any) -> Standing:
        info = workload_info(typed(raw, Workload), configuration.counting)
        return standing_of(info, configuration.gates)

    ours = satisfies_policy(standing(given["preemptor"]), standing(given["candidate"]), given["policy"])
    return unlike("result", ours, case["want"]["result"])


def order(case: Case) -> str | None:
    """Who is preempted first; LocalQueues of these cases have their usage beside the workload."""
    given, configuration = case["input"], configuration_of(case)
    holdings, usage = [], {}
    for raw in given["candidates"]:
        info = workload_info(typed(raw["workload"], Workload), configuration.counting)
        info = replace(info, cluster_queue=raw["clusterQueue"])
        holdings.append(Holding(info, (), standing_of(info, configuration.gates)))
        if raw.get("localQueueFairSharingUsage") is not None:
            usage[local_queue(info)] = float(raw["localQueueFairSharingUsage"])
    now = parse_time(case.get("now") or _START)
    holdings.sort(key=candidate_order(given["preemptorClusterQueue"], now, usage))  # type: ignore[arg-type]
    names = [one.info.key.rpartition("/")[2] for one in holdings]
    return unlike("candidates", names, case["want"]["candidates"])


PREEMPTION = {
    "satisfiesPreemptionPolicy": policy,
    "candidateOrder": order,
    "getTargets": targets,
    "getTargetsFairSharing": targets,
    "fairSharingTargetQueueOrder": queue_order,
}

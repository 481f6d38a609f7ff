"""A plan for programs: English, camelCase, money as decimal strings, integers and null."""

from typing import TYPE_CHECKING, Any

from stellwerk.engine.decision import Reason
from stellwerk.engine.planning.decided import ClusterPlan
from stellwerk.report.export import to_plain

if TYPE_CHECKING:
    from stellwerk.report.planning.job import Planned


def plan_plain(planned: "Planned") -> dict[str, Any]:
    """The plan of `-o json`, and a receipt's result."""
    plan, today = planned.plan, planned.today
    replayed = planned.replayed
    return {
        "executor": today.executor,
        "gpus": len(today.gpus),
        "gpusBefore": plan.partition.gpus_before,
        "gpusAfter": plan.partition.gpus_used,
        "proven": plan.partition.gap == 0,
        "money": to_plain(plan.money),
        "disruption": {
            "pods": list(plan.restarted),
            "minutes": plan.disruption_minutes,
        },
        "emptied": list(plan.emptied),
        "returned": list(plan.returned),
        "byHand": list(plan.by_hand),
        "workloads": _workloads(plan),
        "quotas": [{**to_plain(each), "reason": _reason(each.reason)} for each in plan.quotas],
        "nodePools": [{**to_plain(each), "reason": _reason(each.reason)} for each in plan.pools],
        "steps": [to_plain(step) for step in plan.partition.steps],
        "changes": [to_plain(each) for each in planned.changes],
        "files": [name for name, _ in planned.files.objects],
        "replay": None if replayed is None else {**to_plain(replayed), "proves": replayed.proves},
        "unmeasured": planned.unmeasured,
        "notes": [_reason(each) for each in plan.notes],
    }


def _workloads(plan: ClusterPlan) -> list[dict[str, Any]]:
    return [
        {
            "kind": each.owner.kind,
            "name": each.owner.key,
            "pods": [pod.name for pod in each.owner.pods],
            "method": each.method,
            "profile": each.profile,
            "reason": _reason(each.reason),
        }
        for each in plan.moved
    ]


def _reason(reason: Reason) -> dict[str, Any]:
    return {"code": reason.code, "text": str(reason)}

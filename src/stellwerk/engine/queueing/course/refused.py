"""Workloads that wait in no queue, since the devices that they claim cannot be counted.

Source: kueue pkg/controller/core/workload_controller.go (Reconcile, markDRAInadmissible).
"""

from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.engine.queueing.cycle.backlog import cluster_queue_of, conditions_of
from stellwerk.engine.queueing.cycle.decision import MISCONFIGURED, NotAdmitted
from stellwerk.engine.queueing.cycle.status import time_text, with_pending
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.requests.devices.claimed import NAMED_CLAIM
from stellwerk.engine.queueing.requests.devices.problem import Refused
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Snapshot

INADMISSIBLE = "Inadmissible"
_MOST = 32 * 1024  # Kubernetes' limit of a condition's message; Kueue cuts a longer one.
_CUT = " ..."


def with_devices_looked_at(workload: Workload, snapshot: Snapshot, now: int) -> tuple[Workload, bool]:
    """A Workload that would wait, as it is written once its devices are looked at, and whether it may.

    One whose devices can be counted loses the conditions of an earlier refusal. `now` in ns.
    """
    claimed = snapshot.claimed(workload)
    if isinstance(claimed, Refused):
        key, queue = workload_key(workload), cluster_queue_of(workload, snapshot) or ""
        return with_refusal(workload, _answer(key, queue, claimed), snapshot.gates, now), False
    return (_cleared(workload) if claimed else workload), True


def refusal_of(workload: Workload) -> str:
    """The message of QuotaReserved=False."""
    found = (one for one in conditions_of(workload) if one.type == "QuotaReserved")
    return next((given(one.message, "") for one in found if one.status == "False"), "")


def is_refused(workload: Workload) -> bool:
    """Whether its status says so."""
    return any(
        (one.type, one.status, one.reason) == ("Requeued", "False", INADMISSIBLE)
        for one in conditions_of(workload)
    )


def _cleared(workload: Workload) -> Workload:
    kept = tuple(
        one
        for one in conditions_of(workload)
        if one.type not in ("QuotaReserved", "Requeued") or one.status != "False"
    )
    status = workload.status
    return replace(workload, status=replace(status, conditions=kept)) if status else workload


def _answer(key: str, queue: str, refused: Refused) -> NotAdmitted:
    """Kueue's condition QuotaReserved=False."""
    message = refused.message if len(refused.message) <= _MOST else refused.message[: _MOST - 4] + _CUT
    return NotAdmitted(key=key, queue=queue, reason=MISCONFIGURED, message=message, written=True)


def with_refusal(workload: Workload, answer: NotAdmitted, gates: FeatureGates, now: int) -> Workload:
    """The Workload that is inadmissible: QuotaReserved=False, Requeued=False. `now` in ns."""
    changed = with_pending(workload, answer, gates, now)
    status = given(changed.status, WorkloadStatus())
    reason = MISCONFIGURED if gates.unadmitted_workloads_observability else INADMISSIBLE
    conditions = [
        replace(one, reason=reason) if one.type == "QuotaReserved" else one
        for one in given(status.conditions, ())
        if one.type != "Requeued"
    ]
    named = answer.message == NAMED_CLAIM.message
    conditions.append(
        Condition(
            type="Requeued",
            status="False",
            reason=INADMISSIBLE,
            message="DRA resource claims not supported" if named else answer.message,
            last_transition_time=time_text(now),
            observed_generation=workload.metadata.generation,
        )
    )
    return replace(changed, status=replace(status, conditions=tuple(conditions)))

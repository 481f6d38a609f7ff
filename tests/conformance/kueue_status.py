"""Recorded steps of Kueue's controllers on one Workload: what its status says, and becomes."""

from typing import Any

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue import LocalQueue
from stellwerk.api.groups.kueue_workload import AdmissionCheckState, Workload, WorkloadStatus
from stellwerk.api.groups.meta import Condition, given
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.queueing.cycle.backlog import conditions_of
from stellwerk.engine.queueing.cycle.status import (
    check_states,
    holds_reservation,
    needs_second_pass,
    time_text,
    with_admitted,
)
from stellwerk.engine.queueing.local_usage import AdmissionFairSharing, LocalUse, local_usage
from stellwerk.engine.queueing.retries import retry_time
from stellwerk.engine.queueing.standing import CREATION, EVICTION, queue_time, true_condition
from tests.conformance.kueue_objects import Case, configuration_of, first, typed, unlike


def sync_admitted(case: Case) -> str | None:
    """The condition Admitted, by quota, checks and places; texts and times of conditions are not compared."""
    want, before = case["want"], typed(case["input"]["workload"], Workload)
    if _time_is_not_asserted(before):
        raise LookupError("the admitted time that Kueue's test wants here, 0, is not compared by it: it is 1")
    after = with_admitted(before, configuration_of(case).gates, parse_time(case["now"]))
    past = given(given(after.status, WorkloadStatus()).accumulated_past_execution_time_seconds, 0)
    return first(
        (
            unlike("change", after != before, want["change"]),
            unlike("conditions", list(map(_written, conditions_of(after))), _compared(want["conditions"])),
            unlike("admittedTime", past, want["admittedTime"]),
        )
    )


def max_retry_time(case: Case) -> str | None:
    """When the last of the checks may be asked again."""
    checks = [typed(one, AdmissionCheckState) for one in case["input"].get("checkStates") or ()]
    at = retry_time(checks)
    return unlike("retryTime", None if at is None else time_text(at), case["want"]["retryTime"])


def order_timestamp(case: Case) -> str | None:
    """The time that orders a Workload in its queue, by either of the two settings."""
    workload, gates = typed(case["input"]["workload"], Workload), configuration_of(case).gates
    ours = [
        {"podsReadyRequeuingTimestamp": timestamp, "value": queue_time(workload, gates, timestamp)}
        for timestamp in (CREATION, EVICTION)
    ]
    wanted = [{**one, "value": _time(one["value"])} for one in case["want"]["result"]]
    return unlike("result", ours, sorted(wanted, key=lambda one: str(one["podsReadyRequeuingTimestamp"])))


def second_pass(case: Case) -> str | None:
    """Whether a Workload with quota lacks a place."""
    ours = needs_second_pass(typed(case["input"]["workload"], Workload))
    return unlike("result", ours, case["want"]["result"])


def queue_usage(case: Case) -> str | None:
    """The usage by which LocalQueues are ordered."""
    raw = case["input"]
    spec = {"fairSharing": {"weight": str(raw["localQueueWeight"])}}
    local = typed({"metadata": {"name": "lq"}, "spec": spec}, LocalQueue)
    weights = {name: float(weight) for name, weight in (raw.get("resourceWeights") or {}).items()}
    use = LocalUse(consumed=_amounts(raw.get("consumed"))).with_penalty("", _amounts(raw.get("penalty")))
    ours = local_usage(use, local, AdmissionFairSharing(half_life_ns=0, sampling_ns=0, weights=weights))
    return unlike("usage", "+Inf" if ours == float("inf") else ours, case["want"]["usage"])


def _time_is_not_asserted(workload: Workload) -> bool:
    """Both quota and checks are lost at once: Kueue counts a second there, as we do, and its test does not
    look. A reader that did not look either could not tell the recorded expectation from an altered one.
    """
    ready = all(state == "Ready" for state in check_states(workload).values())
    admitted = true_condition(workload, "Admitted") is not None
    return admitted and not holds_reservation(workload) and not ready


def _amounts(raw: dict[str, Any] | None) -> dict[str, Any]:
    return {name: parse_quantity(str(quantity)) for name, quantity in (raw or {}).items()}


def _written(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": given(condition.reason, ""),
        "observedGeneration": given(condition.observed_generation, 0),
    }


def _compared(want: Any) -> Any:
    """Of the conditions what the recorded test compares."""
    if not all(isinstance(one, dict) for one in want or ()):
        return want
    return [
        {
            "type": one["type"],
            "status": one["status"],
            "reason": one.get("reason", ""),
            "observedGeneration": one.get("observedGeneration", 0),
        }
        for one in want or ()
    ]


def _time(text: str) -> int | str:
    """Nanoseconds; what is no time stays as it is, and is unlike any."""
    try:
        return parse_time(text)
    except ValueError:
        return text


STATUS = {
    "syncAdmittedCondition": sync_admitted,
    "maxRetryTime": max_retry_time,
    "queueOrderTimestamp": order_timestamp,
    "needsSecondPass": second_pass,
    "localQueueUsage": queue_usage,
}

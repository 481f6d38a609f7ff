"""What is compared after each step: who is admitted with what, who was preempted, who has which devices."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.cluster.parity.scenario import DEVICE, Json, Scenario

# Name of a Job or Pod -> what became of it.
Record = dict[str, Json]


def queue_record(workloads: Iterable[Mapping[str, Any]]) -> Record:
    """By the Job's name: flavors, pods and places of an admission, and evictions by cause."""
    found: Record = {}
    for each in workloads:
        status = each.get("status", {})
        owner = each["metadata"]["ownerReferences"][0]["name"]
        admission = status.get("admission") if _is_true(status, "QuotaReserved") else None
        found[owner] = {
            "admitted": _is_true(status, "Admitted"),
            "podSets": [_pod_set(one) for one in (admission or {}).get("podSetAssignments", ())],
            "preempted": _reason(status, "Preempted"),
            "evictions": _evictions(status),
        }
    return found


def device_record(pods: Iterable[Mapping[str, Any]], claims: Iterable[Mapping[str, Any]]) -> Record:
    """By the pod's name: its node ("": none), and the devices of the claim of its name, as a set."""
    devices = {each["metadata"]["name"]: _devices(each) for each in claims}
    return {
        name: {"node": each["spec"].get("nodeName", ""), "devices": devices.get(name, [])}
        for each in pods
        for name in (each["metadata"]["name"],)
    }


def differences(scenario: Scenario, real: list[Record], ours: list[Record]) -> list[str]:
    """One line for each difference of the first step that has one: what follows it is its consequence."""
    for step, (there, here) in enumerate(zip(real, ours, strict=True)):
        lines = [
            f"{scenario.feature} seed {scenario.seed}, step {step + 1}, {name}: "
            f"real {there.get(name)}, ours {here.get(name)}"
            for name in sorted({*there, *here})
            if there.get(name) != here.get(name)
        ]
        if lines:
            return lines
    return []


def is_device(scenario: Scenario) -> bool:
    """Whether devices are compared, and not queues."""
    return scenario.kind == DEVICE


def _is_true(status: Mapping[str, Any], name: str) -> bool:
    return any(each["type"] == name and each["status"] == "True" for each in status.get("conditions", ()))


def _reason(status: Mapping[str, Any], name: str) -> str:
    """Of a condition that is true ("": it is not): by which rule it was preempted last."""
    found = (
        each for each in status.get("conditions", ()) if each["type"] == name and each["status"] == "True"
    )
    return next((str(each["reason"]) for each in found), "")


def _pod_set(one: Mapping[str, Any]) -> Json:
    return {
        "count": one.get("count", 0),
        "flavors": dict(one.get("flavors", {})),
        "places": one.get("topologyAssignment"),
    }


def _evictions(status: Mapping[str, Any]) -> list[list[Any]]:
    stats = status.get("schedulingStats", {}).get("evictions", ())
    return sorted([each["reason"], each.get("underlyingCause", ""), each["count"]] for each in stats)


def _devices(claim: Mapping[str, Any]) -> list[list[str]]:
    results = claim.get("status", {}).get("allocation", {}).get("devices", {}).get("results", ())
    return sorted([each["request"], each["pool"], each["device"]] for each in results)

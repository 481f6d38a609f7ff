"""What is compared after each step: who is admitted with what, who was preempted, who has which devices."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.cluster.parity.scenario import DEVICE, Json, Scenario

# Name of a Job or Pod -> what became of it.
Record = dict[str, Json]
RESTLESS: Record = {"all": {"at rest": False}}  # Workloads preempt one another without end.
ENDED = ("Succeeded", "Failed")


def queue_record(workloads: Iterable[Mapping[str, Any]]) -> Record:
    """By the Job's name: flavors, pods and places of an admission, and evictions by cause."""
    found: Record = {}
    for each in workloads:
        status = each.get("status", {})
        owner = each["metadata"]["ownerReferences"][0]["name"]
        admission = status.get("admission") if is_true(status, "QuotaReserved") else None
        found[owner] = {
            "admitted": is_true(status, "Admitted"),
            "finished": is_true(status, "Finished"),
            "podSets": [_pod_set(one) for one in (admission or {}).get("podSetAssignments", ())],
            "preempted": _reason(status, "Preempted"),
            "evictions": _evictions(status),
        }
    return found


def uids_of(*kinds: Iterable[Json]) -> dict[tuple[str, str, str], str]:
    """By kind, namespace and name."""
    return {
        (each["kind"], each["metadata"]["namespace"], each["metadata"]["name"]): each["metadata"]["uid"]
        for some in kinds
        for each in some
    }


def device_record(pods: Iterable[Mapping[str, Any]], claims: Sequence[Mapping[str, Any]]) -> Record:
    """By the pod's name: its node ("": none), and the devices of all its claims, as a set.

    Pods of a Job, whose names are random, are numbered by what they have.
    """
    found: Record = {}
    of_jobs: dict[str, list[Json]] = {}
    for each in pods:
        if each.get("status", {}).get("phase") in ENDED:
            continue
        devices = sorted(device for claim in claims if _uses(each, claim) for device in _devices(claim))
        one = {"node": each["spec"].get("nodeName", ""), "devices": devices}
        owner = next(iter(each["metadata"].get("ownerReferences", ())), None)
        if owner is None:
            found[each["metadata"]["name"]] = one
        else:
            of_jobs.setdefault(owner["name"], []).append(one)
    for job, some in of_jobs.items():
        ordered = sorted(some, key=lambda one: (one["node"], one["devices"]))
        found.update({f"{job}#{number}": one for number, one in enumerate(ordered)})
    return found


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


def is_true(status: Mapping[str, Any], name: str) -> bool:
    """Whether a condition is True."""
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


def _uses(pod: Mapping[str, Any], claim: Mapping[str, Any]) -> bool:
    """By name, or made for it."""
    owners = claim["metadata"].get("ownerReferences", ())
    if owners:
        return any(one["name"] == pod["metadata"]["name"] for one in owners)
    named = (one.get("resourceClaimName") for one in pod["spec"].get("resourceClaims", ()))
    return claim["metadata"]["name"] in named


def _devices(claim: Mapping[str, Any]) -> list[list[Any]]:
    """Request, pool, device, and how much of it (text) where it is shared."""
    results = claim.get("status", {}).get("allocation", {}).get("devices", {}).get("results", ())
    return [
        [each["request"], each["pool"], each["device"], *sorted(each.get("consumedCapacity", {}).items())]
        for each in results
    ]

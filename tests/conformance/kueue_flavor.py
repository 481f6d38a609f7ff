"""Recorded cases of Kueue's flavor assigner."""

from typing import Any

from stellwerk.api.groups.kueue import ClusterQueueSpec, FlavorFungibility
from stellwerk.api.groups.kueue_workload import PodSet, Workload
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.flavors.assign import assign_flavors
from stellwerk.engine.queueing.flavors.assignment import (
    Assignment,
    Attempt,
    Cycle,
    Oracle,
    PodSetAssignment,
    Question,
)
from stellwerk.engine.queueing.flavors.mode import (
    FIT,
    NAMES,
    NO_CANDIDATES,
    NO_FIT,
    PREEMPT,
    RECLAIM,
    Mode,
    Offer,
    is_preferred,
)
from stellwerk.engine.queueing.flavors.places import Topologies
from stellwerk.engine.queueing.flavors.reduce import reduce_pod_sets
from stellwerk.engine.queueing.queue import fungibility_of
from stellwerk.engine.queueing.requests.total import PodSetRequests, WorkloadInfo, workload_info
from stellwerk.engine.queueing.snapshot import Configuration, Snapshot, snapshot_of
from tests.conformance.kueue_objects import (
    Case,
    amounts_in,
    configuration_of,
    first,
    objects_of,
    requests_in,
    typed,
    unlike,
)

_MODES = {name: Mode(place) for place, name in enumerate(NAMES)}
_WAYS = {
    "noFit": NO_FIT,
    "noPreemptionCandidates": NO_CANDIDATES,
    "preempt": PREEMPT,
    "reclaim": RECLAIM,
    "fit": FIT,
}


def assign(case: Case) -> str | None:
    """The whole assignment, as the recorded test compares it."""
    ours, want = _assigned(case), case["want"]
    wanted = want["assignment"]
    pod_sets = wanted.get("podSets") or []
    return first(
        (
            unlike("representativeMode", NAMES[ours.mode], want["representativeMode"]),
            unlike("borrowingLevel", ours.borrowing_level, wanted["borrowingLevel"]),
            unlike("usage", ours.usage, amounts_in(wanted["usage"])),
            unlike("noFitReason", ours.no_fit_reason, wanted.get("noFitReason", "")),
            unlike("podSets", [one.name for one in ours.pod_sets], [one["name"] for one in pod_sets]),
            *(_pod_set(one, raw) for one, raw in zip(ours.pod_sets, pod_sets, strict=False)),
        )
    )


def two_queues(case: Case) -> str | None:
    """Mode, and the flavors of the first PodSet."""
    ours, want = _assigned(case), case["want"]
    flavors = {resource: one.flavor for resource, one in ours.pod_sets[0].flavors.items()}
    return first(
        (
            unlike("representativeMode", NAMES[ours.mode], want["representativeMode"]),
            unlike("flavors", flavors, want["flavors"] or {}),
        )
    )


def allowed_flavors(case: Case) -> str | None:
    """Mode, and if it fits the flavor for cpu."""
    ours, want = _assigned(case), case["want"]
    one = ours.pod_sets[0].flavors.get("cpu")
    flavor = one.flavor if one is not None and ours.mode == FIT else None
    return first(
        (
            unlike("representativeMode", NAMES[ours.mode], want["representativeMode"]),
            unlike("cpuFlavor", flavor, want["cpuFlavor"]),
        )
    )


def no_fit_reason(case: Case) -> str | None:
    """Kueue's reason of the condition, and that of each flavor which was looked at."""
    ours, want = _assigned(case), case["want"]
    attempts = {one.flavor: one.no_fit_reason for pod_set in ours.pod_sets for one in pod_set.attempts}
    by_flavor = want.get("noFitReasonByFlavor") or {}
    return first(
        (
            unlike("noFitReason", ours.no_fit_reason, want["noFitReason"]),
            *(
                unlike(f"noFitReason of {flavor}", reason, by_flavor[flavor])
                for flavor, reason in attempts.items()
                if flavor in by_flavor
            ),
        )
    )


def leader_worker_set(case: Case) -> str | None:
    """Flavors of each PodSet, and why no topology could be looked for."""
    ours, want = _assigned(case), case["want"]
    errors = {one.name: str(one.error) for one in ours.pod_sets if one.error is not None}
    flavors = {
        one.name: {
            resource: {"flavor": each.flavor, "mode": NAMES[each.mode]}
            for resource, each in one.flavors.items()
        }
        for one in ours.pod_sets
    }
    return first(
        (
            unlike("podSetErrors", errors, want["podSetErrors"]),
            unlike("podSetFlavors", flavors, want["podSetFlavors"]),
        )
    )


def preferred(case: Case) -> str | None:
    """Whether one mode is better than another."""
    given = case["input"]
    spec = ClusterQueueSpec(flavor_fungibility=typed(given.get("flavorFungibility") or {}, FlavorFungibility))
    a, b = (Offer(_WAYS[given[one]["mode"]], given[one]["borrowingLevel"]) for one in ("a", "b"))
    return unlike("preferred", is_preferred(a, b, fungibility_of(spec)), case["want"]["preferred"])


def pod_set_reducer(case: Case) -> str | None:
    """The largest number of pods within a limit."""
    limit = case["input"]["countLimit"]
    pod_sets = [typed(raw, PodSet) for raw in case["input"]["podSets"] or ()]

    def fits(counts: tuple[int, ...]) -> int | None:
        return sum(counts) if sum(counts) <= limit else None

    count, want = reduce_pod_sets(pod_sets, fits), case["want"]
    return first(
        (
            unlike("found", count is not None, want["found"]),
            unlike("count", 0 if count is None else count, want["count"]),
        )
    )


def _assigned(case: Case) -> Assignment:
    given, configuration = case["input"], configuration_of(case)
    snapshot = _snapshot(case, configuration)
    ledger = snapshot.ledger()
    for queue, rows in (given.get("usage") or {}).items():
        ledger.add(snapshot.charges(queue, amounts_in(rows)))
    workload = typed(given["workload"], Workload)
    question = Question(
        info=workload_info(workload, configuration.counting, given["clusterQueue"]),
        counts=tuple(given.get("counts") or ()),
        last_tried=tuple(given.get("lastTriedFlavorIndex") or ()),
        replaced=_replaced(given.get("replacedWorkloadSlice"), configuration, workload),
    )
    cycle = Cycle(
        snapshot=snapshot,
        ledger=ledger,
        oracle=_oracle(given),
        find_topology=Topologies(snapshot.places, configuration.gates).find,
    )
    return assign_flavors(cycle, snapshot.queues[given["clusterQueue"]], question)


def _snapshot(case: Case, configuration: Configuration) -> Snapshot:
    """A cohort without quota is an object in these cases; that is the same as one that is only named."""
    return snapshot_of(objects_of(case), configuration)


def _replaced(raw: dict[str, Any] | None, configuration: Configuration, new: Workload) -> WorkloadInfo | None:
    if raw is None:
        return None
    workload = typed(raw["workload"], Workload) if "workload" in raw else new
    pod_sets = tuple(
        PodSetRequests(
            name=one.get("name", ""),
            count=one["count"],
            requests={name: int(amount) for name, amount in (one.get("requests") or {}).items()},
            flavors=one.get("flavors") or {},
        )
        for one in raw["totalRequests"]
    )
    info = workload_info(workload, configuration.counting)
    return WorkloadInfo(object=workload, key=info.key, cluster_queue=info.cluster_queue, pod_sets=pod_sets)


def _oracle(given: dict[str, Any]) -> Oracle:
    """The recorded answers; what is not listed can be preempted for, and borrows nothing after it."""
    answers = {
        FlavorResource(one["flavor"], one["resource"]): Offer(
            _MODES[one["possibility"]], one["borrowingLevelAfter"]
        )
        for one in given.get("preemptionOracle") or ()
    }
    return lambda queue, info, wanted, amount: answers.get(wanted, Offer(PREEMPT))


def _pod_set(ours: PodSetAssignment, want: dict[str, Any]) -> str | None:
    flavors = {
        resource: {"flavor": one.flavor, "mode": NAMES[one.mode], "triedFlavorIndex": one.tried}
        for resource, one in ours.flavors.items()
    }
    error = None if ours.error is None else str(ours.error)
    return first(
        (
            unlike("count", ours.count, want["count"]),
            unlike("flavors", flavors, want.get("flavors") or {}),
            unlike("requests", ours.requests, requests_in(want.get("requests"))),
            unlike("error", error, want.get("error")),
            None
            if error
            else unlike("reasons", sorted(map(str, ours.reasons)), sorted(want.get("reasons") or ())),
            _attempts(ours.attempts, want.get("attempts") or ()),
        )
    )


def _attempts(ours: tuple[Attempt, ...], want: Any) -> str | None:
    """If one fits, each of ours must be among the wanted; if none does, each wanted among ours."""
    if not want:
        return None
    known, wanted = {one.flavor: _attempt(one) for one in ours}, {one["flavor"]: _plain(one) for one in want}
    if any(one.mode == FIT for one in ours):
        return first(
            unlike(f"attempt at {flavor}", one, wanted.get(flavor))
            for flavor, one in known.items()
            if not (one["mode"] == "Fit" and _not_provided_only(wanted.get(flavor)))
        )
    return first(unlike(f"attempt at {flavor}", known.get(flavor), one) for flavor, one in wanted.items())


def _not_provided_only(want: dict[str, Any] | None) -> bool:
    reasons = want["reasons"] if want and want["mode"] == "NoFit" else []
    return bool(reasons) and all("does not provide resource" in reason for reason in reasons)


def _attempt(one: Attempt) -> dict[str, Any]:
    return {
        "flavor": one.flavor,
        "mode": NAMES[one.mode],
        "borrowingLevel": one.borrowing_level,
        "preemptionMode": None if one.possibility is None else NAMES[one.possibility],
        "reasons": sorted(map(str, one.reasons)),
        "noFitReason": one.no_fit_reason,
    }


def _plain(raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "flavor": raw["flavor"],
        "mode": raw["mode"],
        "borrowingLevel": raw["borrowingLevel"],
        "preemptionMode": raw.get("preemptionMode"),
        "reasons": sorted(raw.get("reasons") or ()),
        "noFitReason": raw.get("noFitReason", ""),
    }


FLAVOR = {
    "assignFlavors": assign,
    "twoQueues": two_queues,
    "allowedFlavors": allowed_flavors,
    "noFitReason": no_fit_reason,
    "leaderWorkerSet": leader_worker_set,
    "isPreferred": preferred,
    "podSetReducer": pod_set_reducer,
}

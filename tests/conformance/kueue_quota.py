"""Recorded cases of Kueue's quota: the tree, its usage, and whether a ClusterQueue is active."""

from collections.abc import Callable
from typing import Any

from stellwerk.api.groups.kueue import ClusterQueue, ClusterQueueSpec, ResourceFlavor, ResourceFlavorSpec
from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.activity import ACTIVE, TERMINATING, Activity, Check, Known, activity_of
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.snapshot import Snapshot, snapshot_of
from tests.conformance.kueue_objects import (
    Case,
    amounts_in,
    configuration_of,
    first,
    objects_of,
    typed,
    unlike,
)


def available(case: Case) -> str | None:
    """What is available after the usage, and what could ever be, for each quota of each queue."""
    snapshot = snapshot_of(objects_of(case), configuration_of(case))
    ledger, want = snapshot.ledger(), case["want"]
    fresh = _by_queue(snapshot, lambda cell: max(0, ledger.available(cell)))
    before = unlike("available before usage", fresh, _wanted(want["potentiallyAvailable"]))
    charges = [
        snapshot.charges(queue, amounts_in(rows))
        for queue, rows in case["input"]["usageOfClusterQueue"].items()
    ]
    for one in charges:
        ledger.add(one)
    now = _by_queue(snapshot, lambda cell: max(0, ledger.available(cell)))
    ever = _by_queue(snapshot, lambda cell: snapshot.tree.potential[cell])
    for one in charges:
        ledger.remove(one)
    again = _by_queue(snapshot, lambda cell: max(0, ledger.available(cell)))
    return first(
        (
            before,
            unlike("available", now, _wanted(want["available"])),
            unlike("potentiallyAvailable", ever, _wanted(want["potentiallyAvailable"])),
            unlike("available after removal", again, fresh),
        )
    )


def add_remove(case: Case) -> str | None:
    """Usage and quota of every node, after workloads were removed and added again."""
    snapshot = snapshot_of(objects_of(case), configuration_of(case))
    ledger = snapshot.ledger()
    held = {key: one for holdings in snapshot.held.values() for key, one in holdings.items()}
    for key in case["input"]["removeWorkloads"] or ():
        ledger.remove(held[key].charges)
    for key in case["input"]["thenAddWorkloads"] or ():
        ledger.add(held[key].charges)
    nodes = case["want"]["nodes"]
    tree = snapshot.tree
    return first(
        (
            unlike("kinds", sorted(nodes), ["clusterQueues", "cohorts"]),
            _nodes(ledger, tree.queues, nodes["clusterQueues"]),
            _nodes(ledger, tree.cohorts, nodes.get("cohorts", {})),
        )
    )


def lendable(case: Case) -> str | None:
    """All that a Cohort's members could have, by resource."""
    tree = snapshot_of(objects_of(case), configuration_of(case)).tree
    ours = tree.lendable(tree.cohorts[case["input"]["cohort"]])
    return unlike("lendable", ours, case["want"]["lendable"])


def status_by_flavors(case: Case) -> str | None:
    """Whether a queue is active, by the flavors that are there."""
    given_flavors = case["input"].get("flavors") or {}
    flavors = {name: typed(raw, ResourceFlavor) for name, raw in given_flavors.items()}
    known = Known(
        flavors={
            name: given(given(flavor.spec, ResourceFlavorSpec()).topology_name, None)
            for name, flavor in flavors.items()
        },
        topologies=frozenset(),
    )
    return unlike("status", _activity(case, known).status, case["want"]["status"])


def status_by_checks(case: Case) -> str | None:
    """Whether a queue is active, by the AdmissionChecks that are there, and the reason."""
    checks = {
        name: Check(raw.get("controller", ""), raw.get("active", False))
        for name, raw in (case["input"].get("admissionChecks") or {}).items()
    }
    # The recorded test knows no flavors, and asks of none.
    spec = _spec(case)
    flavors = {
        flavor.name: None for group in given(spec.resource_groups, ()) for flavor in given(group.flavors, ())
    }
    activity = _activity(case, Known(flavors=flavors, checks=checks))
    code = activity.reasons[0].code if activity.reasons else "Ready"
    want = case["want"]
    return first(
        (
            unlike("status", activity.status, want["status"]),
            unlike("reason", code, want["reason"]),
            unlike("message", _message(activity), want["message"]),
        )
    )


def _message(activity: Activity) -> str:
    """Kueue's sentence around the reasons."""
    if activity.status == ACTIVE:
        return "Can admit new workloads"
    if activity.status == TERMINATING:
        return "Can't admit new workloads; clusterQueue is terminating"
    return f"Can't admit new workloads: {', '.join(map(str, activity.reasons))}."


def _activity(case: Case, known: Known) -> Activity:
    return activity_of(_spec(case), known, case["input"].get("currentStatus") == TERMINATING)


def _spec(case: Case) -> ClusterQueueSpec:
    queue = typed(case["input"]["clusterQueue"], ClusterQueue)
    return given(queue.spec, ClusterQueueSpec())


def _by_queue(snapshot: Snapshot, of: Callable[[int], int]) -> dict[str, Any]:
    tree = snapshot.tree
    return {
        name: {tree.flavor_resource[cell]: of(cell) for cell in tree.declared[node]}
        for name, node in tree.queues.items()
    }


def _wanted(rows: dict[str, Any]) -> dict[str, Any]:
    return {name: amounts_in(amounts) for name, amounts in rows.items()}


def _nodes(ledger: Ledger, places: dict[str, int], wanted: dict[str, Any]) -> str | None:
    tree = ledger.tree
    ours = {
        name: (
            _present({tree.flavor_resource[cell]: ledger.usage(cell) for cell in tree.cells[node].values()}),
            _present({tree.flavor_resource[cell]: tree.subtree[cell] for cell in tree.cells[node].values()}),
        )
        for name, node in places.items()
    }
    theirs = {
        name: (_present(amounts_in(raw.get("usage"))), _present(amounts_in(raw.get("subtreeQuota"))))
        for name, raw in wanted.items()
    }
    return unlike("nodes", ours, theirs)


def _present(amounts: dict[Any, int]) -> dict[Any, int]:
    """Without zeros: 0 is the same as absent."""
    return {key: amount for key, amount in amounts.items() if amount}


QUOTA = {
    "available": available,
    "addRemove": add_remove,
    "lendable": lendable,
    "clusterQueueStatusFlavors": status_by_flavors,
    "clusterQueueStatusAdmissionChecks": status_by_checks,
}

"""Recorded cases of Kueue's dominant resource share."""

from typing import Any

from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.quota.share import Share, dominant_resource_share, share_text
from stellwerk.engine.queueing.snapshot import Snapshot, snapshot_of
from tests.conformance.kueue_objects import Case, amounts_in, configuration_of, first, objects_of, unlike


def shares(case: Case) -> str | None:
    """The share of every queue and cohort, `extraUsage` added at each that is asked about."""
    snapshot, ledger = _used(case)
    extra = amounts_in(case["input"].get("extraUsage"))
    tree = snapshot.tree
    ours = [
        _row(name, kind, dominant_resource_share(ledger, node, extra))
        for kind, places in (("ClusterQueue", tree.queues), ("Cohort", tree.cohorts))
        for name, node in places.items()
    ]
    return unlike("shares", _sorted(ours), _sorted(case["want"]["shares"]))


def is_borrowing_on(case: Case) -> str | None:
    """Whether the queue borrows at all, and of what is requested."""
    snapshot, ledger = _used(case)
    share = dominant_resource_share(ledger, snapshot.tree.queues["cq"])
    requested = amounts_in(case["input"].get("requestedFlavorResources"))
    want = case["want"]
    return first(
        (
            unlike("borrowing", share.borrowing, want["borrowing"]),
            unlike("borrowingOnRequested", share.borrows_any(requested), want["borrowingOnRequested"]),
        )
    )


def weighted_share(case: Case) -> str | None:
    """The share as text."""
    raw = case["input"]["dominantResourceShare"]
    share = Share(weight=float(raw["fairWeight"]), ratio=float(raw["unweightedRatio"]))
    return unlike("weightedShare", share_text(share), case["want"]["weightedShare"])


def _used(case: Case) -> tuple[Snapshot, Ledger]:
    snapshot = snapshot_of(objects_of(case), configuration_of(case))
    ledger = snapshot.ledger()
    for queue, rows in (case["input"].get("usageOfClusterQueue") or {}).items():
        ledger.add(snapshot.charges(queue, amounts_in(rows)))
    return snapshot, ledger


def _row(name: str, kind: str, share: Share) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "weightedShare": share.rounded,
        "dominantResource": share.dominant,
        "borrowing": share.borrowing,
    }


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["kind"], row["name"]))


FAIRSHARE = {
    "dominantResourceShare": shares,
    "isBorrowingOn": is_borrowing_on,
    "weightedShare": weighted_share,
}

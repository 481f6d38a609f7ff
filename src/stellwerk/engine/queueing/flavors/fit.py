"""How one flavor could give one resource: from unused quota, by preemption, or not at all.

Source: kueue pkg/scheduler/flavorassigner/flavorassigner.go (fitsResourceQuota, canPreemptWhileBorrowing).
"""

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.amounts import FlavorResource, add, amount_text, quantity_of, subtract
from stellwerk.engine.queueing.flavors.assignment import (
    EXCEEDS_MAX_QUOTA,
    WAITING_FOR_QUOTA,
    Cycle,
)
from stellwerk.engine.queueing.flavors.mode import BEST, FIT, NO_FIT, Offer
from stellwerk.engine.queueing.queue import NEVER, Queue
from stellwerk.engine.queueing.requests.total import WorkloadInfo


class Want(Struct, frozen=True):
    """So much of a flavor and resource, on top of what PodSets before are going to use of it."""

    flavor_resource: FlavorResource
    cell: int
    assumed: int
    amount: int


class Answer(Struct, frozen=True):
    """The offer, the reason if it is not to be had at once, and Kueue's word for it if never."""

    offer: Offer
    reason: Reason | None = None
    no_fit_reason: str = ""


_FITS = Answer(BEST)


def fit(cycle: Cycle, queue: Queue, info: WorkloadInfo, want: Want) -> Answer:
    """What the flavor offers for this resource."""
    ledger = cycle.ledger
    needed = add(want.assumed, want.amount) if want.assumed else want.amount
    if needed > ledger.tree.potential[want.cell]:
        return Answer(
            Offer(NO_FIT, 0), _beyond_capacity(want, ledger.tree.potential[want.cell]), EXCEEDS_MAX_QUOTA
        )
    available = max(0, ledger.available(want.cell))
    level, may_reclaim = ledger.borrowing_level(want.cell, needed)
    if needed <= available:
        return Answer(Offer(FIT, level)) if level else _FITS
    flavor, resource = want.flavor_resource.flavor, want.flavor_resource.resource
    reason = Reason(
        "InsufficientUnusedQuota",
        "insufficient unused quota for {resource} in flavor {flavor}, {more} more needed",
        {"resource": resource, "flavor": flavor, "more": amount_text(resource, subtract(needed, available))},
    )
    nominal = ledger.tree.subtree[want.cell]
    if nominal >= needed or may_reclaim or _may_preempt_while_borrowing(cycle, queue):
        return Answer(cycle.oracle(queue, info, want.flavor_resource, needed), reason)
    return Answer(Offer(NO_FIT, level), reason, WAITING_FOR_QUOTA)


def _beyond_capacity(want: Want, most: int) -> Reason:
    flavor, resource = want.flavor_resource.flavor, want.flavor_resource.resource
    return Reason(
        "ExceedsMaximumCapacity",
        "insufficient quota for {resource} in flavor {flavor}, previously considered podsets requests "
        "({assumed}) + current podset request ({amount}) > maximum capacity ({most})",
        {
            "resource": resource,
            "flavor": flavor,
            "assumed": amount_text(resource, want.assumed),
            "amount": str(quantity_of(resource, want.amount)),
            "most": amount_text(resource, most),
        },
    )


def _may_preempt_while_borrowing(cycle: Cycle, queue: Queue) -> bool:
    policy = queue.preemption
    if policy.borrow_within_cohort != NEVER:
        return True
    return cycle.snapshot.configuration.fair_sharing is not None and policy.reclaim_within_cohort != NEVER

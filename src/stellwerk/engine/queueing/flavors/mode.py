"""How a flavor could be assigned, and which of two ways is better.

One scale, the worst first. An assignment says no more than NO_FIT, PREEMPT, DEFERRED_FIT or FIT (`shown`);
what preemption would achieve is told apart while flavors are compared.
Source: kueue pkg/scheduler/flavorassigner/flavorassigner.go (isPreferred, shouldTryNextFlavor), KEP-582.
"""

from typing import NewType

from msgspec import Struct

from stellwerk.engine.queueing.queue import Fungibility

Mode = NewType("Mode", int)
NO_FIT = Mode(0)
NO_CANDIDATES = Mode(1)  # The quota would hold it, but there is nobody to preempt.
PREEMPT = Mode(2)
RECLAIM = Mode(3)  # By preempting workloads of other queues only.
DEFERRED_FIT = Mode(4)  # It fits once preemptions that run are over.
FIT = Mode(5)
NAMES = ("NoFit", "NoCandidates", "Preempt", "Reclaim", "DeferredFit", "Fit")


class Offer(Struct, frozen=True):
    """A way to have a flavor, and how far up the tree its quota comes from (0: the queue's own)."""

    mode: Mode
    borrowing_level: int = 0


WORST = Offer(NO_FIT, 2**63 - 1)
BEST = Offer(FIT)


def shown(mode: Mode) -> Mode:
    """The mode that an assignment says."""
    return PREEMPT if NO_FIT < mode < DEFERRED_FIT else mode


def possibility(mode: Mode) -> Mode | None:
    """What preemption could achieve; None where it is not the question."""
    return mode if NO_FIT < mode < DEFERRED_FIT else None


def is_preferred(a: Offer, b: Offer, fungibility: Fungibility) -> bool:
    """Whether `a` is better than `b`; only NO_FIT is worse than preemption without candidates."""
    if a.mode == NO_FIT or b.mode == NO_FIT:
        return a.mode != NO_FIT
    if (a.mode == NO_CANDIDATES) != (b.mode == NO_CANDIDATES):
        return b.mode == NO_CANDIDATES
    if fungibility.preemption_over_borrowing:
        return (-a.borrowing_level, a.mode) > (-b.borrowing_level, b.mode)
    return (a.mode, -a.borrowing_level) > (b.mode, -b.borrowing_level)


def should_try_next(offer: Offer, fungibility: Fungibility) -> bool:
    """Whether the search goes on to the next flavor although this one could be had so."""
    if offer.mode <= NO_CANDIDATES:
        return True
    if offer.mode <= RECLAIM and fungibility.try_next_before_preempting:
        return True
    return offer.borrowing_level > 0 and fungibility.try_next_before_borrowing

"""Which alternatives of firstAvailable a node gives: the scheduler prefers nodes that give better ones.

Source: computeScore of the scheduler's dynamicresources plugin (Kubernetes 1.35 to 1.37).
"""

from collections.abc import Iterable, Sequence

from msgspec import UNSET

from stellwerk.api.checks.devices.requests import MAX_ALTERNATIVES
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import (
    AllocationResult,
    DeviceAllocationResult,
    DeviceRequest,
    ResourceClaim,
)
from stellwerk.engine.allocation.decision import Aborted, Allocated, Decision
from stellwerk.engine.allocation.fleet import Refusal


def highest_score(claims: Iterable[ResourceClaim]) -> int:
    """The score of a node that gives the first alternative of each request; 0 without firstAvailable."""
    return MAX_ALTERNATIVES * sum(len(_listed(claim)) for claim in claims)


def _listed(claim: ResourceClaim) -> list[DeviceRequest]:
    devices = claim.spec.devices
    requests = () if devices is UNSET else given(devices.requests, ())
    return [one for one in requests if given(one.first_available, ())]


def score_of(claims: Sequence[ResourceClaim], results: Sequence[AllocationResult]) -> int:
    """8 for each first alternative that is taken, 7 for each second one, and so on."""
    score = 0
    for claim, result in zip(claims, results, strict=True):
        taken = {one.request for one in given(given(result.devices, DeviceAllocationResult()).results, ())}
        for request in _listed(claim):
            for place, one in enumerate(given(request.first_available, ())):
                score += MAX_ALTERNATIVES - place if f"{request.name}/{one.name}" in taken else 0
    return score


def best_of(
    decisions: Iterable[Decision], claims: Sequence[ResourceClaim], highest: int
) -> tuple[Allocated | None, list[Refusal]]:
    """The first node with the best alternatives; one with the best possible ones ends the search."""
    best: tuple[int, Allocated] | None = None
    refused = []
    for decision in decisions:
        if not isinstance(decision, Allocated):
            refused.append(Refusal(decision, 1))
            if isinstance(decision, Aborted) and not decision.only_this_node:
                break
            continue
        score = score_of(claims, decision.results)
        if best is None or score > best[0]:
            best = (score, decision)
        if score >= highest:
            break
    return (best[1] if best is not None else None), refused

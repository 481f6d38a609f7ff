"""Find the flavor of one resource group for PodSets that get the same: in order, until one is good enough.

Source: kueue pkg/scheduler/flavorassigner/flavorassigner.go (findFlavorForPodSets), KEP-582 (flavor
fungibility).
"""

from collections.abc import Mapping

from msgspec import UNSET, Struct

from stellwerk.api.groups.kueue_workload import PodSet
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.flavors.assignment import (
    NO_MATCHING_FLAVOR,
    Attempt,
    Cycle,
    FlavorAssignment,
    Question,
    most_severe,
)
from stellwerk.engine.queueing.flavors.fit import Want, fit
from stellwerk.engine.queueing.flavors.match import UnreadableAffinity, mismatch, topology_mismatch
from stellwerk.engine.queueing.flavors.mode import (
    BEST,
    FIT,
    NO_FIT,
    WORST,
    Offer,
    is_preferred,
    possibility,
    should_try_next,
    shown,
)
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.queue import Group, Queue
from stellwerk.engine.queueing.requests.total import pod_set_name

ALLOWED_FLAVORS = "kueue.x-k8s.io/workload-allowed-resource-flavors"


class Search(Struct, frozen=True):
    """What is looked for: flavors for these PodSets (their indices) of the workload, together."""

    cycle: Cycle
    gates: FeatureGates
    queue: Queue
    question: Question
    pod_sets: tuple[int, ...]
    objects: tuple[PodSet, ...]


class Found(Struct, frozen=True, kw_only=True):
    """The flavors by resource, none if there are none; reasons against those before or instead."""

    flavors: Mapping[str, FlavorAssignment] = {}
    reasons: tuple[Reason, ...] = ()
    error: Reason | None = None
    attempts: tuple[Attempt, ...] = ()


class _Weighed(Struct, frozen=True):
    """One flavor, looked at for all resources of the group: the offer of each, and the worst."""

    flavor: str
    offers: dict[str, Offer]
    offer: Offer
    reasons: list[Reason]
    attempt: Attempt


def find_flavor(
    search: Search, requests: Mapping[str, int], resource: str, assumed: Mapping[FlavorResource, int]
) -> Found:
    """Flavors for all these resources that are in the group of `resource`.

    `assumed`: what PodSets before are going to use.
    """
    group = search.queue.group_of.get(resource)
    if group is None:
        return Found(
            reasons=(
                Reason(
                    "ResourceUnavailable",
                    "resource {resource} unavailable in ClusterQueue",
                    {"resource": resource},
                ),
            )
        )
    wanted = {name: amount for name, amount in requests.items() if name in group.resources}
    fungible, fungibility = search.gates.flavor_fungibility, search.queue.fungibility
    best: _Weighed | None = None
    reasons: list[Reason] = []
    attempts: list[Attempt] = []
    looked_at = -1
    for index in range(_first(search, resource), len(group.flavors)):
        looked_at = index
        flavor = group.flavors[index]
        passed_over = _passed_over(search, flavor, resource)
        if passed_over is not None:
            reasons.append(passed_over)
            continue
        try:
            against = _against(search, flavor, group)
        except UnreadableAffinity as error:
            attempts.append(_no_match(flavor, ()))
            unreadable = Reason(
                "UnreadableNodeAffinity",
                "the node affinity cannot be read: {problem}",
                {"problem": str(error)},
            )
            return Found(reasons=tuple(reasons), error=unreadable, attempts=tuple(attempts))
        if against is not None:
            reasons.append(against)
            attempts.append(_no_match(flavor, (against,)))
            continue
        weighed = _weigh(search, flavor, group.cells[index], wanted, assumed)
        reasons += weighed.reasons
        attempts.append(weighed.attempt)
        if fungible and not should_try_next(weighed.offer, fungibility):
            best = weighed
            break
        before = WORST if best is None else best.offer
        if is_preferred(weighed.offer, before, fungibility) if fungible else weighed.offer.mode > before.mode:
            best = weighed
            if not fungible and best.offer.mode == FIT:
                break
    return _found(best, reasons, attempts, _tried(looked_at, group) if fungible else 0)


def _found(best: _Weighed | None, reasons: list[Reason], attempts: list[Attempt], tried: int) -> Found:
    if best is None:
        return Found(reasons=tuple(reasons), attempts=tuple(attempts))
    flavors = {
        name: FlavorAssignment(best.flavor, shown(offer.mode), tried, offer.borrowing_level)
        for name, offer in best.offers.items()
    }
    kept = () if best.offer.mode == FIT else tuple(reasons)
    return Found(flavors=flavors, reasons=kept, attempts=tuple(attempts))


def _tried(looked_at: int, group: Group) -> int:
    """After the last flavor the next search begins with the first."""
    return -1 if looked_at == len(group.flavors) - 1 else looked_at


def _first(search: Search, resource: str) -> int:
    """The flavor after the one that was tried last."""
    last, first = search.question.last_tried, search.pod_sets[0]
    if not last or not search.gates.flavor_fungibility or first >= len(last):
        return 0
    return last[first].get(resource, -1) + 1


def _passed_over(search: Search, flavor: str, resource: str) -> Reason | None:
    """Flavors that this workload must not even try now."""
    question, gates = search.question, search.gates
    if question.nominated and (
        gates.recompute_assignment_upon_preemption_targets_overlap
        or (gates.topology_aware_scheduling and gates.tas_recompute_assignment_within_scheduling_cycle)
    ):
        names = [pod_set_name(pod_set) for pod_set in search.objects]
        if not any(question.nominated.get(name, {}).get(resource) == flavor for name in names):
            return Reason(
                "NotNominated",
                "skipping flavor {flavor} as it is not found in the nomination mapping "
                "for resource {resource}",
                {"flavor": flavor, "resource": resource},
            )
    if gates.concurrent_admission:
        allowed = given(question.info.object.metadata.annotations, {}).get(ALLOWED_FLAVORS)
        if allowed is not None and flavor not in [name.strip() for name in allowed.split(",")]:
            return Reason(
                "FlavorNotAllowed",
                "skipping flavor {flavor} due to WorkloadAllowedResourceFlavorAnnotation annotation",
                {"flavor": flavor},
            )
    return None


def _against(search: Search, name: str, group: Group) -> Reason | None:
    """Why no quota could help: the flavor is gone, or its nodes are not for these pods."""
    flavor = search.cycle.snapshot.flavors.get(name)
    if flavor is None:
        return Reason("FlavorNotFound", "flavor {flavor} not found", {"flavor": name})
    topology = search.gates.topology_aware_scheduling
    for pod_set in search.objects:
        if flavor.for_any_pod and (
            not topology or (flavor.topology is None and pod_set.topology_request is UNSET)
        ):
            continue
        against = topology_mismatch(flavor, pod_set, search.queue, group) if topology else None
        if against is None and not flavor.for_any_pod:
            against = mismatch(flavor, pod_set)
        if against is not None:
            return against
    return None


def _weigh(
    search: Search,
    flavor: str,
    cells: Mapping[str, int],
    wanted: Mapping[str, int],
    assumed: Mapping[FlavorResource, int],
) -> _Weighed:
    """The worst over all resources."""
    worst, level, word = BEST, 0, ""
    offers: dict[str, Offer] = {}
    reasons: list[Reason] = []
    fungibility, info = search.queue.fungibility, search.question.info
    for resource, amount in wanted.items():
        if search.question.replaced is not None:
            amount, others = _beside_slice(search, flavor, resource, amount)
            if others:
                worst, word = WORST, NO_MATCHING_FLAVOR
                reasons += others
        flavor_resource = FlavorResource(flavor, resource)
        want = Want(flavor_resource, cells[resource], assumed.get(flavor_resource, 0), amount)
        answer = fit(search.cycle, search.queue, info, want)
        if answer.reason is not None:
            reasons.append(answer.reason)
            word = most_severe(word, answer.no_fit_reason)
        offer = answer.offer
        level = max(level, offer.borrowing_level)
        if offer is not BEST and is_preferred(worst, offer, fungibility):
            worst = offer
        if worst.mode != NO_FIT:
            offers[resource] = offer
    attempt = Attempt(
        flavor=flavor,
        mode=shown(worst.mode),
        borrowing_level=level,
        possibility=possibility(worst.mode),
        reasons=tuple(reasons),
        no_fit_reason=word,
    )
    return _Weighed(flavor, offers, worst, reasons, attempt)


def _beside_slice(search: Search, flavor: str, resource: str, amount: int) -> tuple[int, list[Reason]]:
    """What is needed beyond the slice that is replaced, and reasons if that has other flavors."""
    replaced = search.question.replaced
    if replaced is None or not search.gates.elastic_jobs_via_workload_slices:
        return amount, []
    for index in search.pod_sets:
        old = replaced.pod_sets[index]
        held = old.flavors.get(resource, "")
        if held != flavor:
            return amount, [
                Reason(
                    "OtherFlavorOfSlice",
                    "could not assign {flavor} flavor since the original workload is assigned: {held}",
                    {"flavor": flavor, "held": held},
                )
            ]
        amount -= old.requests.get(resource, 0)
    return amount, []


def _no_match(flavor: str, reasons: tuple[Reason, ...]) -> Attempt:
    return Attempt(flavor=flavor, mode=NO_FIT, reasons=reasons, no_fit_reason=NO_MATCHING_FLAVOR)

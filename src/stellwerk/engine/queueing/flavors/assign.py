"""Assign flavors to the PodSets of a workload, one after the other, each on top of those before.

Source: kueue pkg/scheduler/flavorassigner/flavorassigner.go (assignFlavors).
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.api.groups.kueue_workload import PodSet
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.amounts import PODS, FlavorResource, add, in_order, within
from stellwerk.engine.queueing.flavors.assignment import (
    TOPOLOGY_PLACEMENT_FAILED,
    Asks,
    Assignment,
    Attempt,
    Cycle,
    FlavorAssignment,
    NotPlaced,
    PodSetAssignment,
    Question,
)
from stellwerk.engine.queueing.flavors.at_once import assign_at_once
from stellwerk.engine.queueing.flavors.attempts import merge_attempts, no_fit_reason
from stellwerk.engine.queueing.flavors.mode import FIT, NO_FIT, PREEMPT, Mode
from stellwerk.engine.queueing.flavors.search import Search, find_flavor
from stellwerk.engine.queueing.flavors.topology import (
    ask_of,
    delays,
    group_name,
    joined,
    needs_topology,
    refused_for_elastic,
    topology_flavor,
    unhealthy_nodes,
    uses,
)
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.requests.total import PodSetRequests
from stellwerk.engine.topology.assignment.decision import Assignment as Placement
from stellwerk.engine.topology.assignment.decision import DomainUsage
from stellwerk.engine.topology.assignment.group import name_of


class _Draft(Struct):
    """A PodSet's assignment while it is made."""

    object: PodSet
    asked: PodSetRequests
    flavors: dict[str, FlavorAssignment]
    reasons: tuple[Reason, ...] = ()
    error: Reason | None = None
    attempts: tuple[Attempt, ...] = ()
    topology: Placement | None = None
    delayed_topology: str | None = None

    @property
    def mode(self) -> Mode:
        """The worst of its resources; without reasons it fits."""
        if self.error is not None:
            return NO_FIT
        if not self.reasons:
            return FIT
        return min((one.mode for one in self.flavors.values()), default=NO_FIT)

    @property
    def failed(self) -> bool:
        """Whether there is no way to go on: no flavors for what is requested."""
        return self.error is not None or (bool(self.asked.requests) and not self.flavors)


class _Work(Struct):
    """The whole assignment while it is made; `mode`: once it is known, or not the worst any more."""

    cycle: Cycle
    gates: FeatureGates
    queue: Queue
    question: Question
    drafts: list[_Draft]
    usage: dict[FlavorResource, int]
    mode: Mode | None = None
    topology_usage: Mapping[str, tuple[DomainUsage, ...]] = {}

    @property
    def representative(self) -> Mode:
        """The mode of the assignment."""
        if self.mode is None:
            self.mode = min([draft.mode for draft in self.drafts], default=NO_FIT)
        return self.mode


def assign_flavors(cycle: Cycle, queue: Queue, question: Question) -> Assignment:
    """The flavors for the workload in this queue; nothing is charged to the cycle's ledger."""
    at_once = assign_at_once(cycle, queue, question)
    return assign_in_full(cycle, queue, question) if at_once is None else at_once


def assign_in_full(cycle: Cycle, queue: Queue, question: Question) -> Assignment:
    """The same by search, PodSet by PodSet; it ends with the first that get none."""
    gates = cycle.snapshot.configuration.counting.gates
    work = _Work(cycle, gates, queue, question, [], {})
    objects = given(question.info.object.spec.pod_sets, ())
    pending = [_draft(work, *both) for both in zip(objects, _asked(question), strict=False)]
    for together in _groups(pending):
        drafts = [pending[index] for index in together]
        _assign_group(work, together, drafts)
        for draft in drafts:
            if draft.failed:
                return _answer(work)
    if gates.topology_aware_scheduling and _topology_matters(work) and work.representative != NO_FIT:
        _find_places(work)
    return _answer(work)


def _asked(question: Question) -> Sequence[PodSetRequests]:
    pod_sets = question.info.pod_sets
    if not question.counts:
        return pod_sets
    return [one.scaled_to(count) for one, count in zip(pod_sets, question.counts, strict=True)]


def _topology_matters(work: _Work) -> bool:
    """Whether any PodSet needs a place, or has one."""
    for draft in work.drafts:
        if draft.topology is not None or needs_topology(draft.object, work.queue):
            return True
    return False


def _draft(work: _Work, pod_set: PodSet, asked: PodSetRequests) -> _Draft:
    """What the PodSet asks for in this queue; in a second pass with the flavors that it has."""
    if PODS in work.queue.group_of:
        asked = replace(asked, requests={**asked.requests, PODS: asked.count})
    draft = _Draft(pod_set, asked, {})
    if work.gates.topology_aware_scheduling:
        if asked.flavors:
            draft.flavors = {name: FlavorAssignment(flavor, FIT) for name, flavor in asked.flavors.items()}
        draft.delayed_topology = asked.delayed_topology
        draft.topology = asked.topology
    return draft


def _groups(drafts: Sequence[_Draft]) -> list[list[int]]:
    """Indices of PodSets that get the same flavors, in the order of the first of each group."""
    if len(drafts) == 1:
        return [[0]]
    groups: dict[str, list[int]] = {}
    for index, draft in enumerate(drafts):
        name = group_name(draft.object)
        # Kueue's key of a PodSet without group is its place: a group called "1" takes it in.
        groups.setdefault(str(index) if name is None else name, []).append(index)
    return list(groups.values())


def _assign_group(work: _Work, together: Sequence[int], drafts: Sequence[_Draft]) -> None:
    """One flavor for each resource that these PodSets ask for, all of them together."""
    requests = _total(drafts)
    flavors: dict[str, FlavorAssignment] = {}
    for draft in drafts:
        flavors.update(draft.flavors)
    reasons: tuple[Reason, ...] = ()
    error: Reason | None = None
    merged: dict[str, Attempt] = {}
    objects = tuple([draft.object for draft in drafts])
    search = Search(work.cycle, work.gates, work.queue, work.question, tuple(together), objects)
    for resource, amount in requests.items():
        if resource in flavors or _needs_no_quota(work, resource, amount):
            continue
        found = find_flavor(search, requests, resource, work.usage)
        merge_attempts(merged, found.attempts, resource, work.queue)
        if found.error is not None or not found.flavors:
            flavors, reasons, error = {}, found.reasons, found.error
            break
        flavors.update(found.flavors)
        reasons += found.reasons
    attempts = tuple([merged[flavor] for flavor in sorted(merged)])
    for draft in drafts:
        draft.flavors = _own(work, draft, flavors)
        draft.reasons, draft.error, draft.attempts = reasons, error, attempts
        _use(work, draft)


def _total(drafts: Sequence[_Draft]) -> dict[str, int]:
    """All requests of the PodSets, in Kueue's order of resources."""
    if len(drafts) == 1:
        return in_order(drafts[0].asked.requests)
    total: dict[str, int] = {}
    for draft in drafts:
        for resource, amount in draft.asked.requests.items():
            total[resource] = within(total.get(resource, 0) + amount)
    return in_order(total)


def _needs_no_quota(work: _Work, resource: str, amount: int) -> bool:
    if resource in work.queue.group_of:
        return False
    configuration = work.cycle.snapshot.configuration
    return amount == 0 or (configuration.gates.quota_check_strategy and configuration.ignore_undeclared)


def _own(work: _Work, draft: _Draft, flavors: Mapping[str, FlavorAssignment]) -> dict[str, FlavorAssignment]:
    """The PodSet's own part; one that asks for nothing (a leader) goes where its group's topology is."""
    if draft.asked.requests:
        return {name: one for name, one in flavors.items() if name in draft.asked.requests}
    if group_name(draft.object) is None:
        return {}
    return {name: one for name, one in flavors.items() if one.flavor in work.queue.tas_flavors}


def _use(work: _Work, draft: _Draft) -> None:
    """Count the PodSet's usage for those that come after it, less what the replaced slice has."""
    work.drafts.append(draft)
    replaced = work.question.replaced
    held: Mapping[str, int] = {}
    if replaced is not None and work.gates.elastic_jobs_via_workload_slices:
        held = next((one.requests for one in replaced.pod_sets if one.name == draft.asked.name), {})
    requests, usage = draft.asked.requests, work.usage
    for resource, one in draft.flavors.items():
        key = FlavorResource(one.flavor, resource)
        usage[key] = add(usage.get(key, 0), requests.get(resource, 0) - held.get(resource, 0))


def _find_places(work: _Work) -> None:
    """Places in the topology as it is, or, if there are none, as if all others were preempted."""
    asks = _asks(work)
    if work.representative == FIT:
        found = work.cycle.find_topology(work.question.info, asks, False) if asks else {}
        if isinstance(found, NotPlaced):
            draft = _named(work, found.pod_set)
            draft.reasons = (*draft.reasons, found.reason)
            _set_mode(work, draft, PREEMPT)
        else:
            _place(work, found)
    if work.representative == PREEMPT and not unhealthy_nodes(work.question.info) and asks:
        found = work.cycle.find_topology(work.question.info, asks, True)
        if isinstance(found, NotPlaced):
            draft = _named(work, found.pod_set)
            if work.gates.unadmitted_workloads_observability:
                draft.attempts = tuple(_not_placed(one, found.flavor) for one in draft.attempts)
            _set_mode(work, draft, NO_FIT)
            return
        for ask in (ask for of_flavor in asks.values() for ask in of_flavor):
            # Enough quota may be unused, but in pieces: then a resource that fits needs preemption all the
            # same.
            _set_mode(work, _named(work, name_of(ask)), PREEMPT)


def _asks(work: _Work) -> Asks:
    asks: Asks = {}
    unhealthy = unhealthy_nodes(work.question.info)
    for draft in work.drafts:
        if not needs_topology(draft.object, work.queue) or draft.error is not None or not draft.asked.count:
            continue
        if draft.topology is not None and not _on_any(draft.topology, unhealthy):
            continue
        refused = refused_for_elastic(work.cycle, work.question.info, draft.object)
        flavor = refused or topology_flavor(draft.flavors, work.queue)
        if isinstance(flavor, Reason):
            draft.error, work.mode = flavor, None
        elif delays(work.queue, work.question.info, flavor):
            draft.delayed_topology = "Pending"
        else:
            ask = ask_of(work.cycle, work.question, work.queue, draft.object, draft.asked.count)
            asks = joined(asks, flavor, ask)
    return asks


def _on_any(placement: Placement, nodes: frozenset[str]) -> bool:
    return any(domain.values[-1] in nodes for domain in placement.domains)


def _named(work: _Work, name: str) -> _Draft:
    return next(draft for draft in work.drafts if draft.asked.name == name)


def _set_mode(work: _Work, draft: _Draft, mode: Mode) -> None:
    """All resources of the PodSet get the mode, and so do those of its group, whose flavors are the same."""
    changed = {id(one): replace(one, mode=mode) for one in draft.flavors.values()}
    for each in work.drafts:
        each.flavors = {name: changed.get(id(one), one) for name, one in each.flavors.items()}
    work.mode = mode


def _place(work: _Work, found: Mapping[str, Placement]) -> None:
    if not work.queue.tas_flavors:
        return
    used: dict[str, tuple[DomainUsage, ...]] = {}
    for draft in work.drafts:
        if draft.asked.name in found:
            draft.topology = found[draft.asked.name]
            draft.delayed_topology = None if draft.delayed_topology is None else "Ready"
        flavor = topology_flavor(draft.flavors, work.queue)
        if draft.topology is not None and isinstance(flavor, str):
            used[flavor] = used.get(flavor, ()) + uses(draft.object, draft.topology)
    work.topology_usage = used


def _not_placed(attempt: Attempt, flavor: str) -> Attempt:
    if attempt.flavor != flavor:
        return attempt
    return replace(attempt, mode=NO_FIT, no_fit_reason=TOPOLOGY_PLACEMENT_FAILED)


def _answer(work: _Work) -> Assignment:
    mode = work.representative
    explained = work.gates.unadmitted_workloads_observability
    if not explained:
        for draft in work.drafts:
            draft.attempts = tuple(replace(one, no_fit_reason="") for one in draft.attempts)
    reason = ""
    if explained and mode == NO_FIT:
        attempts = [draft.attempts for draft in work.drafts if draft.mode == NO_FIT]
        reason = no_fit_reason(attempts, work.queue)
    levels = [one.borrowing_level for draft in work.drafts for one in draft.flavors.values()]
    return Assignment(
        pod_sets=tuple(map(_finished, work.drafts)),
        mode=mode,
        borrowing_level=max(levels, default=0),
        usage=work.usage,
        last_tried=tuple([{name: one.tried for name, one in draft.flavors.items()} for draft in work.drafts]),
        topology_usage=work.topology_usage,
        no_fit_reason=reason,
    )


def _finished(draft: _Draft) -> PodSetAssignment:
    return PodSetAssignment(
        name=draft.asked.name,
        count=draft.asked.count,
        requests=draft.asked.requests,
        flavors=draft.flavors,
        reasons=draft.reasons,
        error=draft.error,
        attempts=draft.attempts,
        topology=draft.topology,
        delayed_topology=draft.delayed_topology,
    )

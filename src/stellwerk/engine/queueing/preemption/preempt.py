"""`preempt`: whom a workload preempts so that its assignment fits; `oracle_of`: what preempting would
achieve.

Source: kueue pkg/scheduler/preemption/preemption.go, preemption_oracle.go.
"""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.engine.queueing.amounts import FlavorResource, Usage
from stellwerk.engine.queueing.flavors.assignment import Assignment, Oracle
from stellwerk.engine.queueing.flavors.mode import NO_CANDIDATES, PREEMPT, RECLAIM, Offer, shown
from stellwerk.engine.queueing.preemption.candidate import candidate_order
from stellwerk.engine.queueing.preemption.classical import classical_targets
from stellwerk.engine.queueing.preemption.contest import Contest, Target, Topology
from stellwerk.engine.queueing.preemption.fair import fair_targets
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.quota.ledger import Ledger
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Snapshot
from stellwerk.engine.queueing.standing import Standing, standing_of


class Preemptor(Struct, frozen=True, kw_only=True):
    """What all searches of one moment share. `now` in ns; `local_usage`: of LocalQueues, with admission
    fair sharing. `standing`: of the workload, where it is known.

    `known`: what was found of this workload at this moment, by what it wants; it is asked twice, first by the
    oracle.
    """

    snapshot: Snapshot
    ledger: Ledger
    now: int
    local_usage: Mapping[str, float] | None = None
    standing: Standing | None = None
    known: dict[
        tuple[str, frozenset[tuple[FlavorResource, int]], frozenset[FlavorResource]], list[Target]
    ] = {}


def preempt(
    preemptor: Preemptor, info: WorkloadInfo, assignment: Assignment, topology: Topology | None = None
) -> list[Target]:
    """Whom to preempt for this assignment, whose flavors of mode Preempt are short; empty if it does not
    help.
    """
    needed = frozenset(
        FlavorResource(one.flavor, resource)
        for pod_set in assignment.pod_sets
        for resource, one in pod_set.flavors.items()
        if shown(one.mode) == PREEMPT
    )
    # Of what nothing is asked there may be too much in use already.
    usage = {what: amount for what, amount in assignment.usage.items() if amount}
    return targets_for(preemptor, info, (usage, needed), topology)


def targets_for(
    preemptor: Preemptor,
    info: WorkloadInfo,
    wanted: tuple[Usage, frozenset[FlavorResource]],
    topology: Topology | None = None,
) -> list[Target]:
    """Whom to preempt for a usage, where others must give way in `needed`."""
    usage, needed = wanted
    key = info.key, frozenset(usage.items()), needed
    if topology is None and key in preemptor.known:
        return preemptor.known[key]
    targets = _search(preemptor, info, wanted, topology)
    if topology is None:
        preemptor.known[key] = targets
    return targets


def _search(
    preemptor: Preemptor,
    info: WorkloadInfo,
    wanted: tuple[Usage, frozenset[FlavorResource]],
    topology: Topology | None,
) -> list[Target]:
    usage, needed = wanted
    snapshot = preemptor.snapshot
    queue = snapshot.queues[info.cluster_queue]
    contest = Contest(
        snapshot=snapshot,
        ledger=preemptor.ledger,
        info=info,
        standing=preemptor.standing
        or standing_of(info, snapshot.gates, snapshot.configuration.requeuing_timestamp),
        queue=queue,
        charges=snapshot.charges(queue.name, usage),
        needed=needed,
        order=candidate_order(queue.name, preemptor.now, preemptor.local_usage),
        order_of_tournament=candidate_order(queue.name, preemptor.now),
        topology=topology,
        by_rank=not preemptor.local_usage,
    )
    strategies = snapshot.configuration.fair_sharing
    return classical_targets(contest) if strategies is None else fair_targets(contest, strategies)


def oracle_of(preemptor: Preemptor) -> Oracle:
    """Answers the flavor assigner: can so much of a flavor and resource be had by preempting, and from
    whom.
    """

    def oracle(queue: Queue, info: WorkloadInfo, flavor_resource: FlavorResource, amount: int) -> Offer:
        ledger = preemptor.ledger
        cell = preemptor.snapshot.tree.cell(queue.node, flavor_resource)
        targets = targets_for(preemptor, info, ({flavor_resource: amount}, frozenset({flavor_resource})))
        for target in targets:
            ledger.remove(target.holding.charges)
        level, _ = ledger.borrowing_level(cell, amount)
        for target in targets:
            ledger.add(target.holding.charges)
        if not targets:
            return Offer(NO_CANDIDATES, level)
        own = any(target.holding.info.cluster_queue == queue.name for target in targets)
        return Offer(PREEMPT if own else RECLAIM, level)

    return oracle

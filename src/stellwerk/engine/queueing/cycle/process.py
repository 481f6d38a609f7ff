"""One entry, in its turn: it takes what it was nominated for, or has it found anew, or waits, and why.

Source: kueue pkg/scheduler/scheduler.go (processEntry, updateAssignmentIfNeeded, resourcesToReserve).
"""

from collections.abc import Iterable

from msgspec.structs import replace

from stellwerk.api.groups.meta import given
from stellwerk.engine.queueing.amounts import subtract
from stellwerk.engine.queueing.cycle.decision import (
    ADMISSION_GATED,
    DEFERRED_FIT,
    FLAVOR_MIGRATION,
    NEW_TARGETS,
    NODE_FAILURES,
    PENDING_EVALUATION,
    PREEMPTED,
    SKIPPED,
    WAITING_FOR_PREEMPTED,
    WAITING_FOR_QUOTA,
    Admitted,
    Evicted,
)
from stellwerk.engine.queueing.cycle.nominate import SLICE_REPLACEMENT_FOR, nominate, nomination
from stellwerk.engine.queueing.cycle.placing import usage_of
from stellwerk.engine.queueing.cycle.requeue import NO_CANDIDATES, PENDING_MIGRATION, PENDING_PREEMPTION
from stellwerk.engine.queueing.cycle.requeue import NO_FIT as BACK_NO_FIT
from stellwerk.engine.queueing.cycle.requeue import PREEMPTION_GATED as BACK_GATED
from stellwerk.engine.queueing.cycle.status import (
    JOB_UID,
    admission_of,
    has_unhealthy_place,
    preemption_is_gated,
    unhealthy_names,
    with_admission,
)
from stellwerk.engine.queueing.cycle.variants import better_sibling, is_variant, may_migrate, worse_sibling
from stellwerk.engine.queueing.cycle.world import ASSUMED, EVICTED, GATED, Entry, Usage, World
from stellwerk.engine.queueing.flavors.assignment import Assignment
from stellwerk.engine.queueing.flavors.mode import DEFERRED_FIT as DEFERRED
from stellwerk.engine.queueing.flavors.mode import FIT, NO_FIT, PREEMPT
from stellwerk.engine.queueing.preemption.contest import Target
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.requests.total import workload_info
from stellwerk.engine.queueing.snapshot import Holding
from stellwerk.engine.queueing.standing import is_evicted

OVERLAPS = "Workload has overlapping preemption targets with another workload"
DEFERS = OVERLAPS + ", but will fit after these preemptions complete"
NO_LONGER_FITS = "Workload no longer fits after processing another workload"
BETTER_ADMITTED = "A more favorable variant is already admitted"
PREEMPTION_GATED = "Workload requires preemption, but it's gated"
_CAUSES = {
    "InClusterQueue": "prioritization in the ClusterQueue",
    "InCohortReclamation": "reclamation within the cohort",
    "InCohortFairSharing": "Fair Sharing within the cohort",
    "InCohortReclaimWhileBorrowing": "reclamation within the cohort while borrowing",
}
NOT_ACCEPTABLE = "Target flavor is below LastAcceptableFlavorName"


def process(world: World, entry: Entry, queue: Queue) -> None:
    """Decide the entry; the world is then as those after it find it."""
    gates = world.snapshot.gates
    keeps = gates.flavor_fungibility_preserve_scan_progress
    if is_variant(world, entry.info.object) and better_sibling(world, entry) is not None:
        entry.skip(PENDING_EVALUATION, BETTER_ADMITTED, keeps)
        return
    fits, usage = _refreshed(world, entry, queue)
    assignment = _assignment(entry)
    unhealthy = has_unhealthy_place(entry.info.object)
    if gates.tas_failed_node_replacement_fail_fast and unhealthy and assignment.mode != FIT:
        entry.status = EVICTED
        nodes = ",".join(sorted(unhealthy_names(entry.info.object)))
        world.evicted.append(
            Evicted(
                key=entry.info.key,
                reason=NODE_FAILURES,
                message=f"Workload was evicted as there was no replacement for unhealthy node(s): {nodes}",
                waiting=entry.waiting,
            )
        )
    elif assignment.mode == NO_FIT:
        entry.why, entry.reason = BACK_NO_FIT, assignment.no_fit_reason
    elif assignment.mode == PREEMPT and not entry.targets:
        entry.why, entry.reason = NO_CANDIDATES, WAITING_FOR_QUOTA
        _reserve(world, entry, queue)
    elif assignment.mode == PREEMPT and _is_gated(world, entry):
        entry.status, entry.reason, entry.message = GATED, ADMISSION_GATED, PREEMPTION_GATED
        entry.why, entry.starts_anew = BACK_GATED, True
    elif assignment.mode == DEFERRED:
        entry.message, entry.reason, entry.why = DEFERS, WAITING_FOR_PREEMPTED, PENDING_PREEMPTION
        entry.starts_anew = True
        world.use(usage)
    elif world.overlaps(entry.targets):
        entry.skip(WAITING_FOR_QUOTA, OVERLAPS, keeps)
        _count_skipped(world, queue)
    elif not fits:
        entry.skip(WAITING_FOR_QUOTA, NO_LONGER_FITS, keeps)
        if assignment.mode == PREEMPT:
            _count_skipped(world, queue)
    else:
        world.preempt(entry.targets)
        world.use(usage)
        _take(world, entry, queue)


def _take(world: World, entry: Entry, queue: Queue) -> None:
    """The entry gets what it was nominated for: admission, or the preemptions before it."""
    sliced = _slice_key(world, entry)
    if _assignment(entry).mode == PREEMPT:
        _issue(world, entry, [one for one in entry.targets if one.holding.info.key != sliced])
        return
    if is_variant(world, entry.info.object):
        victim = worse_sibling(world, entry)
        if victim is not None:
            _migrate(world, entry, queue, victim)
            return
    replaced = any(target.holding.info.key == sliced for target in entry.targets)
    _admit(world, entry, queue, sliced if replaced else None)


def _admit(world: World, entry: Entry, queue: Queue, replaced: str | None) -> None:
    admission = admission_of(queue.name, _assignment(entry))
    workload = with_admission(entry.info.object, admission, queue, world.now)
    if replaced is not None:
        old = world.preempted[replaced].info.object
        name = old.status.cluster_name if old.status else None
        if name and workload.status:
            workload = replace(workload, status=replace(workload.status, cluster_name=name))
    entry.status = ASSUMED
    world.admitted.append(
        Admitted(
            workload=workload,
            admission=admission,
            info=workload_info(workload, world.snapshot.configuration.counting),
            waiting=entry.waiting,
            replaced=replaced,
        )
    )


def _issue(world: World, entry: Entry, targets: Iterable[Target]) -> None:
    """Others are evicted; the entry waits for that, and then begins with the first flavor."""
    entry.reason, entry.starts_anew = WAITING_FOR_PREEMPTED, True
    count = 0
    for target in targets:
        count += 1
        world.evicted.append(
            Evicted(
                key=target.holding.info.key,
                reason=PREEMPTED,
                message=_preemption_text(world, entry, target),
                by=entry.info.key,
                preempted=target.reason,
                ongoing=is_evicted(target.holding.info.object),
            )
        )
    if count:
        entry.message += f". Pending the preemption of {count} workload(s)"
        entry.why = PENDING_PREEMPTION


def _preemption_text(world: World, entry: Entry, target: Target) -> str:
    """Kueue's condition message; it is not translated."""
    metadata = entry.info.object.metadata
    uid = given(metadata.uid, "") or "UNKNOWN"
    job = given(metadata.labels, {}).get(JOB_UID) or "UNKNOWN"
    mine, theirs = (
        _path(world, queue) for queue in (entry.info.cluster_queue, target.holding.info.cluster_queue)
    )
    return (
        f"Preempted to accommodate a workload (UID: {uid}, JobUID: {job}) "
        f"due to {_CAUSES.get(target.reason, 'UNKNOWN')}; preemptor path: {mine}; preemptee path: {theirs}"
    )


def _path(world: World, queue: str) -> str:
    """From the root Cohort down to the ClusterQueue."""
    tree = world.snapshot.tree
    above = [tree.names[node] for node in tree.ancestors(tree.queues[queue])]
    return "/" + "/".join([*reversed(above), queue])


def _migrate(world: World, entry: Entry, queue: Queue, victim: Holding) -> None:
    """The variant with the worse flavor goes; this one is admitted in a later cycle."""
    if not may_migrate(entry, queue):
        entry.reason, entry.message = PENDING_EVALUATION, NOT_ACCEPTABLE
        return
    entry.reason, entry.why, entry.starts_anew = WAITING_FOR_PREEMPTED, PENDING_MIGRATION, True
    entry.message += ". Pending the migration of 1 workload(s)"
    uid = given(entry.info.object.metadata.uid, "")
    world.evicted.append(
        Evicted(
            key=victim.info.key,
            reason=FLAVOR_MIGRATION,
            message=f"Evicted to accommodate a workload (UID: {uid}) "
            "due to migration to more favorable resource flavor",
            by=entry.info.key,
        )
    )


def _refreshed(world: World, entry: Entry, queue: Queue) -> tuple[bool, Usage]:
    """Whether the entry still fits, and what it uses; what others took of it is found anew.

    Nominations are made apart from each other, so heads of several queues may have the same place or
    target. With
    overlapping targets it is asked what fits once they are gone: that is a fit which has to wait for them.
    """
    gates = world.snapshot.gates
    usage = usage_of(world, entry)
    fits, no_place = world.fits(usage, entry.targets)
    overlaps = world.overlaps(entry.targets) and gates.recompute_assignment_upon_preemption_targets_overlap
    if not overlaps and not (no_place and gates.tas_recompute_assignment_within_scheduling_cycle):
        return fits, usage
    entry.nominated = nomination(_assignment(entry))
    entry.starts_anew = True
    if overlaps:
        _nominate_without(world, entry, queue)
    else:
        nominate(world, entry, queue)
    entry.nominated = {}
    usage = usage_of(world, entry)
    fits, _ = world.fits(usage, entry.targets)
    if overlaps:
        result = SKIPPED
        if _assignment(entry).mode == DEFERRED:
            result = DEFERRED_FIT
        elif entry.targets and fits and not world.overlaps(entry.targets):
            result = NEW_TARGETS
        counts = world.recomputed.setdefault(queue.name, {})
        counts[result] = counts.get(result, 0) + 1
    return fits, usage


def _nominate_without(world: World, entry: Entry, queue: Queue) -> None:
    """Nominate as if all who are preempted in this cycle were gone."""
    before = world.snapshot, world.ledger, world.topologies
    world.snapshot, world.ledger, world.topologies = world.after_preemptions()
    nominate(world, entry, queue)
    world.snapshot, world.ledger, world.topologies = before
    if _assignment(entry).mode == FIT:
        entry.assignment = replace(_assignment(entry), mode=DEFERRED)


def _reserve(world: World, entry: Entry, queue: Queue) -> None:
    """Hold quota back, so that no lower priority takes what the queue could not always reclaim."""
    waits = world.snapshot.gates.prioritize_preemptor_workloads and entry.preempting
    if queue.preemption.reclaim_within_cohort != "Any" or waits:
        world.use(_reserved(world, entry, queue))


def _reserved(world: World, entry: Entry, queue: Queue) -> Usage:
    """Of what the entry needs, as much as the queue's own quota, or its borrowing limit, leaves."""
    assignment, tree, ledger = _assignment(entry), world.snapshot.tree, world.ledger
    quota = {}
    for cell, amount in world.snapshot.charges(queue.name, assignment.usage):
        nominal, limit = tree.subtree[cell], tree.borrowing_limit[cell]
        if assignment.borrowing_level == 0:
            quota[cell] = max(0, min(amount, subtract(nominal, ledger.usage(cell))))
        elif limit is None:
            quota[cell] = amount
        else:
            quota[cell] = min(amount, subtract(nominal + limit, ledger.usage(cell)))
    return usage_of(world, entry, quota)


def _is_gated(world: World, entry: Entry) -> bool:
    gates = world.snapshot.gates
    looked_at = gates.concurrent_admission or gates.multi_kueue_orchestrated_preemption
    return looked_at and preemption_is_gated(entry.info.object)


def _slice_key(world: World, entry: Entry) -> str | None:
    if not world.snapshot.gates.elastic_jobs_via_workload_slices:
        return None
    return given(entry.info.object.metadata.annotations, {}).get(SLICE_REPLACEMENT_FOR)


def _count_skipped(world: World, queue: Queue) -> None:
    world.skipped[queue.name] = world.skipped.get(queue.name, 0) + 1


def _assignment(entry: Entry) -> Assignment:
    assert entry.assignment is not None  # Every entry that is processed was nominated.
    return entry.assignment

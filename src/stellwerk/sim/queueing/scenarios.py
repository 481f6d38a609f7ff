"""`simulate`: the same demand as it is, and under each change, judged over the same time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.kueue import (
    ClusterQueue,
    ClusterQueueSpec,
    Cohort,
    CohortSpec,
    LocalQueue,
    ResourceGroup,
)
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.jobs.workload import QUEUE_NAME
from stellwerk.engine.queueing.snapshot import quotas_of
from stellwerk.sim.queueing.changes import Changed, apply_changes
from stellwerk.sim.queueing.ledger import QueueLedger
from stellwerk.sim.queueing.outcome.costs import Billed, Costs, Fleets, costs_of, flavor_labels, fleets_of
from stellwerk.sim.queueing.outcome.figures import (
    Parts,
    Period,
    Quotas,
    figures_of,
    never_started,
    parts_of,
    shown_resource,
)
from stellwerk.sim.queueing.outcome.result import BASE, Cost, Outcome, QueueFigures, Simulation
from stellwerk.sim.queueing.outcome.use import Use, held_of

UNQUEUED = (
    "Jobs that Kueue does not manage, mostly without the label kueue.x-k8s.io/queue-name, left out: {count}"
)

NO_JOBS = "Pods, Deployments and others with a queue are not played, only Jobs are; left out: {count}"


class Change(Struct, frozen=True, kw_only=True):
    """A change file as it was read; `name` is what tables call it."""

    name: str
    source: str
    documents: Sequence[Manifest]


class Rules(Struct, frozen=True, kw_only=True):
    """What is the same in all courses. `play`: what happens under such manifests."""

    play: Callable[[Sequence[Manifest]], QueueLedger]
    rates: Sequence[ExchangeRate] = ()
    fair_sharing: bool = False


class _Asked(Struct, frozen=True):
    """One course: its name, the change file, and the manifests that it is played on."""

    name: str
    source: str
    changed: Changed


def simulate(manifests: Sequence[Manifest], changes: Sequence[Change], rules: Rules) -> Simulation:
    """The base and each change; `manifests` are valid.

    Raises InvalidInput for a change that cannot be made, before anything is played.
    """
    asked = [_Asked(BASE, "", Changed(tuple(manifests), ())), *(_asked(manifests, one) for one in changes)]
    fleets = [fleets_of(one.changed.manifests, rules.rates) for one in asked]
    ledgers = [_played(one, rules) for one in asked]
    period = Period(min(one.start_ns for one in ledgers), max(one.end_ns for one in ledgers))
    outcomes = tuple(
        _outcome(one, ledger, (period, fleet))
        for one, ledger, fleet in zip(asked, ledgers, fleets, strict=True)
    )
    return Simulation(
        start_ns=period.start_ns,
        end_ns=period.end_ns,
        resource=shown_resource(name for one in outcomes for name in one.total.hours),
        fair_sharing=rules.fair_sharing,
        outcomes=outcomes,
    )


def _played(asked: _Asked, rules: Rules) -> QueueLedger:
    """Without the change all could be played: what cannot be under it is its error too, and says so."""
    try:
        return rules.play(asked.changed.manifests)
    except InvalidInput as error:
        if asked.source and error.source:
            error.source = f"{error.source} ({asked.source})"
        raise


def _asked(manifests: Sequence[Manifest], change: Change) -> _Asked:
    return _Asked(change.name, change.source, apply_changes(manifests, change.documents))


def _outcome(asked: _Asked, ledger: QueueLedger, under: tuple[Period, Fleets]) -> Outcome:
    period, fleets = under
    manifests = asked.changed.manifests
    queues, cohorts = _queue_quotas(manifests), _cohort_quotas(manifests)
    parts = parts_of(ledger, queues, _local_queues(manifests))
    billed = Billed(local_queues=parts.local_queues, quotas=[*queues.values(), *cohorts], period=period)
    costs = costs_of(billed, flavor_labels(manifests), fleets)
    total, cluster_queues, local_queues = _figures(parts, period, costs)
    return Outcome(
        name=asked.name,
        source=asked.source,
        edits=asked.changed.edits,
        cycles=ledger.cycles,
        total=total,
        cluster_queues=cluster_queues,
        local_queues=local_queues,
        bill=costs.bill,
        notes=(*_left_out(manifests, ledger), *costs.notes),
        never_started=never_started(ledger),
    )


def _left_out(manifests: Sequence[Manifest], ledger: QueueLedger) -> list[Reason]:
    """What is no part of the simulation, counted."""
    others = sum(one.kind not in ("Job", "Workload") and _has_queue(one.raw) for one in manifests)
    found = (
        Reason("Unqueued", UNQUEUED, {"count": ledger.unqueued}),
        Reason("NoJobs", NO_JOBS, {"count": others}),
    )
    return [reason for reason in found if reason.values["count"]]


def _has_queue(raw: Mapping[str, Any]) -> bool:
    metadata = raw.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    return isinstance(labels, dict) and QUEUE_NAME in labels


def _figures(
    parts: Parts, period: Period, costs: Costs
) -> tuple[QueueFigures, tuple[QueueFigures, ...], tuple[QueueFigures, ...]]:
    known = {of: Use() for part in parts.cluster_queues for of in part.nominal or ()}
    whole = known | held_of(parts.total.stays)  # Of what nobody held: 0 hours, not none.
    total = figures_of(parts.total, period, whole)
    if costs.bill is not None:
        total = costs.of(total, {"": Cost(held=costs.bill.held, lost=costs.bill.lost)})
    return (
        total,
        tuple(
            costs.of(figures_of(part, period, whole), costs.by_cluster_queue) for part in parts.cluster_queues
        ),
        tuple(costs.of(figures_of(part, period, whole), costs.by_local_queue) for part in parts.local_queues),
    )


def _queue_quotas(manifests: Sequence[Manifest]) -> dict[str, Quotas]:
    """The nominal quotas of each ClusterQueue."""
    return {
        given(one.object.metadata.name, ""): _nominal(
            given(given(one.object.spec, ClusterQueueSpec()).resource_groups, ())
        )
        for one in manifests
        if isinstance(one.object, ClusterQueue)
    }


def _cohort_quotas(manifests: Sequence[Manifest]) -> list[Quotas]:
    return [
        _nominal(given(given(one.object.spec, CohortSpec()).resource_groups, ()))
        for one in manifests
        if isinstance(one.object, Cohort)
    ]


def _nominal(groups: Sequence[ResourceGroup]) -> Quotas:
    return {of: quota.nominal for of, quota in quotas_of(groups).items()}


def _local_queues(manifests: Sequence[Manifest]) -> Mapping[str, str]:
    """namespace/name -> ClusterQueue."""
    return {
        f"{given(one.object.metadata.namespace, 'default')}/{given(one.object.metadata.name, '')}": given(
            one.object.spec.cluster_queue, ""
        )
        for one in manifests
        if isinstance(one.object, LocalQueue)
    }

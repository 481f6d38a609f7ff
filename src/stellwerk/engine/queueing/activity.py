"""Whether a ClusterQueue admits workloads at all, and if not, why.

Source: kueue pkg/cache/scheduler/clusterqueue.go (updateQueueStatus, inactiveReason).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.api.groups.kueue import (
    AdmissionCheck,
    AdmissionChecksStrategy,
    AdmissionCheckStatus,
    ClusterQueueSpec,
)
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason

MULTI_KUEUE = "kueue.x-k8s.io/multikueue"
PROVISIONING_REQUEST = "kueue.x-k8s.io/provisioning-request"
ACTIVE, PENDING, TERMINATING = "active", "pending", "terminating"


class Check(Struct, frozen=True):
    """An AdmissionCheck: its controller, and whether that works."""

    controller: str
    active: bool


class Known(Struct, frozen=True, kw_only=True):
    """What ClusterQueues may refer to. `flavors`: name -> its Topology's name, or None; checks None: not
    looked at.

    `topologies` None: topology-aware scheduling is off.
    """

    flavors: Mapping[str, str | None]
    checks: Mapping[str, Check] | None = None
    topologies: frozenset[str] | None = None


class Activity(Struct, frozen=True):
    """`status`: active, pending or terminating; `reasons`: none for an active queue, the first one dominates.

    The reasons' codes are those of the condition Active.
    """

    status: str
    reasons: tuple[Reason, ...] = ()


def check_of(check: AdmissionCheck) -> Check:
    """The check as queues see it: active by its condition."""
    conditions = given(given(check.status, AdmissionCheckStatus()).conditions, ())
    active = any(one.type == "Active" and one.status == "True" for one in conditions)
    return Check(check.spec.controller_name, active)


def checks_of(spec: ClusterQueueSpec) -> dict[str, frozenset[str]]:
    """AdmissionCheck -> the flavors for which the queue asks it; all of its flavors where none is named."""
    every = frozenset(flavors_of(spec))
    strategy = given(spec.admission_checks_strategy, AdmissionChecksStrategy())
    return {
        rule.name: frozenset(given(rule.on_flavors, ())) or every
        for rule in given(strategy.admission_checks, ())
    }


def checks_for(spec: ClusterQueueSpec, flavors: Iterable[str] | None) -> frozenset[str]:
    """The AdmissionChecks that a workload with these flavors must pass; None: it has no flavors yet.

    Without flavors only those are sure that are asked for every flavor of the queue. (Source: kueue
    pkg/workload/workload.go, AdmissionChecksForWorkload.)
    """
    checks = checks_of(spec)
    if flavors is None:
        every = frozenset(flavors_of(spec))
        return frozenset(name for name, asked in checks.items() if asked >= every)
    assigned = frozenset(flavors)
    return frozenset(name for name, asked in checks.items() if asked & assigned)


def flavors_of(spec: ClusterQueueSpec) -> list[str]:
    """The names of all its flavors, group by group."""
    return [flavor.name for group in given(spec.resource_groups, ()) for flavor in given(group.flavors, ())]


def controlled_by(spec: ClusterQueueSpec, known: Known, controller: str) -> list[str]:
    """The queue's AdmissionChecks of this controller, by name."""
    checks = known.checks or {}
    return [
        name for name in sorted(checks_of(spec)) if name in checks and checks[name].controller == controller
    ]


def activity_of(spec: ClusterQueueSpec, known: Known, terminating: bool = False) -> Activity:
    """Whether the queue admits; a queue that is being deleted does not, whatever else holds."""
    if terminating:
        return Activity(TERMINATING, (Reason("Terminating", "the ClusterQueue is terminating"),))
    reasons = (*_stopped(spec), *_flavors(spec, known), *_checks(spec, known), *_topologies(spec, known))
    return Activity(PENDING if reasons else ACTIVE, reasons)


def _stopped(spec: ClusterQueueSpec) -> Iterator[Reason]:
    if given(spec.stop_policy, "None") not in ("None", ""):
        yield Reason("Stopped", "is stopped")


def _flavors(spec: ClusterQueueSpec, known: Known) -> Iterator[Reason]:
    missing = [name for name in flavors_of(spec) if name not in known.flavors]
    if missing:
        yield Reason(
            "FlavorNotFound", "references missing ResourceFlavor(s): {names}", {"names": ",".join(missing)}
        )


def _checks(spec: ClusterQueueSpec, known: Known) -> Iterator[Reason]:
    if known.checks is None:
        return
    checks = checks_of(spec)
    missing = sorted(name for name in checks if name not in known.checks)
    if missing:
        yield Reason(
            "AdmissionCheckNotFound",
            "references missing AdmissionCheck(s): {names}",
            {"names": ",".join(missing)},
        )
    inactive = sorted(name for name in checks if name in known.checks and not known.checks[name].active)
    if inactive:
        yield Reason(
            "AdmissionCheckInactive",
            "references inactive AdmissionCheck(s): {names}",
            {"names": ",".join(inactive)},
        )
    multi_kueue = controlled_by(spec, known, MULTI_KUEUE)
    yield from _multi_kueue(spec, multi_kueue, controlled_by(spec, known, PROVISIONING_REQUEST))


def _multi_kueue(
    spec: ClusterQueueSpec, multi_kueue: Sequence[str], provisioning: Sequence[str]
) -> Iterator[Reason]:
    """One MultiKueue check, for all flavors, and then no nodes provisioned here."""
    names = ",".join(multi_kueue)
    if len(multi_kueue) > 1:
        yield Reason(
            "MultipleMultiKueueAdmissionChecks",
            "Cannot use multiple MultiKueue AdmissionChecks on the same ClusterQueue, found: {names}",
            {"names": names},
        )
    every, checks = frozenset(flavors_of(spec)), checks_of(spec)
    per_flavor = [name for name in multi_kueue if checks[name] != every]
    if per_flavor:
        yield Reason(
            "MultiKueueAdmissionCheckAppliedPerFlavor",
            "Cannot specify MultiKueue AdmissionCheck per flavor, found: {names}",
            {"names": ",".join(per_flavor)},
        )
    if multi_kueue and provisioning:
        yield Reason(
            "MultiKueueWithProvisioningRequest",
            "Cannot use both MultiKueue and ProvisioningRequest AdmissionChecks together, "
            "found: {names}, {others}",
            {"names": names, "others": ",".join(provisioning)},
        )


def _topologies(spec: ClusterQueueSpec, known: Known) -> Iterator[Reason]:
    """Where the topology is that of another cluster, MultiKueue, nothing is asked of it here."""
    if known.topologies is None or controlled_by(spec, known, MULTI_KUEUE):
        return
    for flavor in sorted(set(flavors_of(spec))):
        topology = known.flavors.get(flavor)
        if topology is not None and topology not in known.topologies:
            yield Reason(
                "TopologyNotFound",
                'there is no Topology "{topology}" for TAS flavor "{flavor}"',
                {"topology": topology, "flavor": flavor},
            )

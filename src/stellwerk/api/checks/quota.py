"""Kueue's own rules for ClusterQueues and Cohorts: what its CRDs and its webhook refuse, with the same cause.

Source: kueue pkg/webhooks (clusterqueue_webhook.go, cohort_webhook.go, common.go), apis/kueue/v1beta2. A
weight of 0 is valid; so are names of flavors and checks that are not there, which make a queue inactive.
"""

from collections.abc import Sequence

from msgspec import UnsetType

from stellwerk.api.checks.names import check_choice
from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.kueue import (
    AdmissionChecksStrategy,
    BorrowWithinCohort,
    ClusterQueuePreemption,
    ClusterQueueSpec,
    FairSharing,
    FlavorFungibility,
    ResourceGroup,
    ResourceQuota,
)
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest
from stellwerk.api.mismatch import shown
from stellwerk.api.quantity import Quantity

NEVER, TRY_NEXT = "Never", "TryNextFlavor"
MOST_GROUPS, MOST_IN_GROUP, MOST_IN_ALL, MOST_COMBINATIONS = 16, 64, 256, 512
_FUNGIBILITY = ("MayStopSearch", TRY_NEXT)


def check_queue_rules(manifest: Manifest, spec: ClusterQueueSpec) -> None:
    """All of a ClusterQueue but its quotas; raises InvalidInput."""
    check_choice(
        manifest,
        "spec.queueingStrategy",
        given(spec.queueing_strategy, "BestEffortFIFO"),
        ("StrictFIFO", "BestEffortFIFO"),
    )
    stop = given(spec.stop_policy, "None")
    check_choice(manifest, "spec.stopPolicy", stop, ("None", "Hold", "HoldAndDrain"))
    check_weight(manifest, spec.fair_sharing)
    if not isinstance(spec.preemption, UnsetType):
        _check_preemption(manifest, spec.preemption)
    if not isinstance(spec.flavor_fungibility, UnsetType):
        _check_fungibility(manifest, spec.flavor_fungibility)
    _check_on_flavors(manifest, spec)


def check_weight(manifest: Manifest, sharing: FairSharing | UnsetType) -> None:
    """A weight is 0 or more, and not so small that it would count as 0."""
    weight = Quantity(0) if isinstance(sharing, UnsetType) else given(sharing.weight, Quantity(0))
    if weight.nanos < 0:
        raise InvalidInput(
            "{field} {amount} is negative",
            fix="write 0 or more",
            **manifest.at("spec.fairSharing.weight"),
            field="weight",
            amount=str(weight),
        )
    if weight.nanos == 1:
        raise InvalidInput(
            "the weight {amount} is too small",
            fix="write 0, or more than 1n",
            **manifest.at("spec.fairSharing.weight"),
            amount=str(weight),
        )


def check_sizes(manifest: Manifest, groups: Sequence[ResourceGroup]) -> None:
    """How many groups, resources and flavors there may be, and that each flavor has all of its resources."""
    _at_most(manifest, "spec.resourceGroups", len(groups), MOST_GROUPS)
    for i, group in enumerate(groups):
        path = f"spec.resourceGroups[{i}]"
        covered, flavors = given(group.covered_resources, ()), given(group.flavors, ())
        for field, count in (("coveredResources", len(covered)), ("flavors", len(flavors))):
            if not count:
                raise InvalidInput("{field} is empty", fix="name one", **manifest.at(path), field=field)
            _at_most(manifest, f"{path}.{field}", count, MOST_IN_GROUP)
        _at_most(manifest, path, sum(len(given(one.resources, ())) for one in flavors), MOST_COMBINATIONS)
        for j, flavor in enumerate(flavors):
            names = [one.name for one in given(flavor.resources, ())]
            if names != list(covered):
                raise InvalidInput(
                    "the resources are {found}, but coveredResources are {covered}",
                    fix="write the same resources in the same order",
                    **manifest.at(f"{path}.flavors[{j}].resources"),
                    found=shown(", ".join(names)) or "-",
                    covered=shown(", ".join(covered)),
                )
    for count in (
        sum(len(given(one.covered_resources, ())) for one in groups),
        sum(len(given(one.flavors, ())) for one in groups),
    ):
        _at_most(manifest, "spec.resourceGroups", count, MOST_IN_ALL)


def check_limits(manifest: Manifest, path: str, quota: ResourceQuota, parent: str | None) -> None:
    """`parent`: the field that would name the parent, where it is empty: nothing is borrowed or lent."""
    limits = {"borrowingLimit": quota.borrowing_limit, "lendingLimit": quota.lending_limit}
    for field, limit in limits.items():
        if parent is not None and not isinstance(limit, UnsetType):
            raise InvalidInput(
                "{field} must be left out where {parent} is empty",
                fix="remove it, or write {parent}",
                **manifest.at(f"{path}.{field}"),
                field=field,
                parent=parent,
            )


def check_lending(manifest: Manifest, path: str, quota: ResourceQuota) -> None:
    """A ClusterQueue lends no more than it has."""
    nominal, lent = given(quota.nominal_quota, Quantity(0)), given(quota.lending_limit, None)
    if lent is not None and lent.nanos > nominal.nanos:
        raise InvalidInput(
            "lendingLimit {amount} is above nominalQuota {nominal}",
            fix="write {nominal} or less",
            **manifest.at(f"{path}.lendingLimit"),
            amount=str(lent),
            nominal=str(nominal),
        )


def _at_most(manifest: Manifest, path: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidInput(
            "there are {count}, at most {most} are allowed",
            fix="remove some",
            **manifest.at(path),
            count=count,
            most=most,
        )


def _check_preemption(manifest: Manifest, preemption: ClusterQueuePreemption) -> None:
    reclaim = given(preemption.reclaim_within_cohort, NEVER)
    within = given(preemption.within_cluster_queue, NEVER)
    policy = given(given(preemption.borrow_within_cohort, BorrowWithinCohort()).policy, NEVER)
    path = "spec.preemption"
    check_choice(manifest, f"{path}.reclaimWithinCohort", reclaim, (NEVER, "LowerPriority", "Any"))
    check_choice(
        manifest,
        f"{path}.withinClusterQueue",
        within,
        (NEVER, "LowerPriority", "LowerOrNewerEqualPriority"),
    )
    check_choice(manifest, f"{path}.borrowWithinCohort.policy", policy, (NEVER, "LowerPriority"))
    if reclaim == NEVER and policy != NEVER:
        raise InvalidInput(
            "reclaimWithinCohort is Never, but borrowWithinCohort.policy is {policy}",
            fix="write reclaimWithinCohort: LowerPriority or Any, or policy: Never",
            **manifest.at(path),
            policy=policy,
        )


def _check_fungibility(manifest: Manifest, fungibility: FlavorFungibility) -> None:
    borrow = given(fungibility.when_can_borrow, "MayStopSearch")
    preempt = given(fungibility.when_can_preempt, TRY_NEXT)
    path = "spec.flavorFungibility"
    check_choice(manifest, f"{path}.whenCanBorrow", borrow, _FUNGIBILITY)
    check_choice(manifest, f"{path}.whenCanPreempt", preempt, _FUNGIBILITY)
    preference = given(fungibility.preference, None)
    if preference is None:
        return
    check_choice(
        manifest, f"{path}.preference", preference, ("BorrowingOverPreemption", "PreemptionOverBorrowing")
    )
    if (borrow, preempt) != (TRY_NEXT, TRY_NEXT):
        raise InvalidInput(
            "preference needs both whenCanBorrow and whenCanPreempt to be TryNextFlavor",
            fix="write TryNextFlavor for both, or remove preference",
            **manifest.at(f"{path}.preference"),
        )


def _check_on_flavors(manifest: Manifest, spec: ClusterQueueSpec) -> None:
    known = {flavor.name for group in given(spec.resource_groups, ()) for flavor in given(group.flavors, ())}
    strategy = given(spec.admission_checks_strategy, AdmissionChecksStrategy())
    for i, rule in enumerate(given(strategy.admission_checks, ())):
        for j, flavor in enumerate(given(rule.on_flavors, ())):
            if flavor not in known:
                raise InvalidInput(
                    "the ClusterQueue has no flavor {name}",
                    fix="write one of: {known}",
                    **manifest.at(f"spec.admissionChecksStrategy.admissionChecks[{i}].onFlavors[{j}]"),
                    name=shown(flavor),
                    known=", ".join(sorted(known)[:5]) or "-",
                )

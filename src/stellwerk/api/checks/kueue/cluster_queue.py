"""ClusterQueues: what Kueue's CRD and its webhook refuse.

Source: kueue pkg/webhooks/clusterqueue_webhook.go and kueue.x-k8s.io_clusterqueues.yaml. A mutating
webhook decodes a ClusterQueue before the CRD is checked: a quota of 1.5, and none for 0, are taken here, and
not in a Cohort, which has no such webhook.
"""

from collections.abc import Iterator

from msgspec import UnsetType

from stellwerk.api.checks.kueue.groups import (
    group_refusals,
    groups_shape,
    lending_refusals,
    size_refusals,
    total_refusals,
    weight_refusals,
)
from stellwerk.api.checks.kueue.shapes import (
    CONDITIONS,
    FLAVORS_USE,
    LABELS,
    NUMBER,
    STOP_POLICIES,
    SUBDOMAIN,
    TEXT,
    selector_refusals,
)
from stellwerk.api.checks.refusal import Refusal, quoted
from stellwerk.api.checks.schema import Amount, Fields, Items, Shape, Text
from stellwerk.api.groups.kueue import (
    AdmissionChecksStrategy,
    BorrowWithinCohort,
    ClusterQueue,
    ClusterQueuePreemption,
    ClusterQueueSpec,
    FlavorFungibility,
)
from stellwerk.api.groups.meta import LabelSelector, given

NEVER, TRY_NEXT = "Never", "TryNextFlavor"
_FUNGIBILITY = Text(words=("MayStopSearch", TRY_NEXT))
_SPEC: dict[str, Shape] = {
    "resourceGroups": groups_shape(decoded=True),
    "cohortName": SUBDOMAIN,
    "queueingStrategy": Text(words=("StrictFIFO", "BestEffortFIFO")),
    "namespaceSelector": Fields(
        of={
            "matchLabels": LABELS,
            "matchExpressions": Items(
                of=Fields(
                    of={"key": TEXT, "operator": TEXT, "values": Items(of=TEXT)}, required=("key", "operator")
                )
            ),
        }
    ),
    "flavorFungibility": Fields(
        of={
            "whenCanBorrow": _FUNGIBILITY,
            "whenCanPreempt": _FUNGIBILITY,
            "preference": Text(words=("BorrowingOverPreemption", "PreemptionOverBorrowing")),
        }
    ),
    "preemption": Fields(
        of={
            "reclaimWithinCohort": Text(words=(NEVER, "LowerPriority", "Any")),
            "withinClusterQueue": Text(words=(NEVER, "LowerPriority", "LowerOrNewerEqualPriority")),
            "borrowWithinCohort": Fields(
                of={"policy": Text(words=(NEVER, "LowerPriority")), "maxPriorityThreshold": NUMBER}
            ),
        }
    ),
    "admissionChecksStrategy": Fields(
        of={
            "admissionChecks": Items(
                of=Fields(
                    of={
                        "name": Text(least=1, most=316),
                        "onFlavors": Items(of=SUBDOMAIN, most=64, key=("",)),
                    },
                    required=("name",),
                ),
                most=64,
                least=1,
                key=("name",),
            )
        },
        required=("admissionChecks",),
    ),
    "stopPolicy": Text(words=STOP_POLICIES),
    "fairSharing": Fields(of={"weight": Amount(decoded=True)}),
    "admissionScope": Fields(
        of={"admissionMode": Text(words=("UsageBasedAdmissionFairSharing", "NoAdmissionFairSharing"))},
        required=("admissionMode",),
    ),
    "concurrentAdmissionPolicy": Fields(
        of={
            "migration": Fields(
                of={
                    "mode": Text(words=("TryPreferredFlavors", "RetainFirstAdmission")),
                    "constraints": Fields(of={"lastAcceptableFlavorName": SUBDOMAIN}),
                },
                required=("mode",),
            )
        },
        required=("migration",),
    ),
}
CLUSTER_QUEUE = Fields(
    of={
        "spec": Fields(of=_SPEC),
        "status": Fields(
            of={
                "conditions": CONDITIONS,
                "flavorsReservation": FLAVORS_USE,
                "flavorsUsage": FLAVORS_USE,
                "pendingWorkloads": NUMBER,
                "reservingWorkloads": NUMBER,
                "admittedWorkloads": NUMBER,
                "fairSharing": Fields(of={"weightedShare": NUMBER}, required=("weightedShare",)),
            }
        ),
    }
)


def cluster_queue_refusals(queue: ClusterQueue) -> Iterator[Refusal]:
    """What is refused beyond the shape: first what the CRD's rules say, then the webhook."""
    spec = given(queue.spec, ClusterQueueSpec())
    groups = given(spec.resource_groups, ())
    yield from size_refusals(groups)
    if not isinstance(spec.preemption, UnsetType):
        yield from _preemption_refusals(spec.preemption)
    if not isinstance(spec.flavor_fungibility, UnsetType):
        yield from _fungibility_refusals(spec.flavor_fungibility)
    yield from group_refusals(groups, None if given(spec.cohort_name, "") else "cohortName")
    yield from lending_refusals(groups)
    yield from selector_refusals("spec.namespaceSelector", given(spec.namespace_selector, LabelSelector()))
    yield from weight_refusals(spec.fair_sharing)
    yield from total_refusals(groups)
    yield from _on_flavors_refusals(spec)


def _preemption_refusals(preemption: ClusterQueuePreemption) -> Iterator[Refusal]:
    reclaim = given(preemption.reclaim_within_cohort, NEVER)
    policy = given(given(preemption.borrow_within_cohort, BorrowWithinCohort()).policy, NEVER)
    if reclaim == NEVER and policy != NEVER:
        yield Refusal(
            code="borrows-without-reclaiming",
            path="spec.preemption",
            problem="reclaimWithinCohort is Never, but borrowWithinCohort.policy is {policy}",
            fix="write reclaimWithinCohort: LowerPriority or Any, or policy: Never",
            values={"policy": policy},
        )


def _fungibility_refusals(fungibility: FlavorFungibility) -> Iterator[Refusal]:
    borrow = given(fungibility.when_can_borrow, "MayStopSearch")
    preempt = given(fungibility.when_can_preempt, TRY_NEXT)
    if isinstance(fungibility.preference, str) and (borrow, preempt) != (TRY_NEXT, TRY_NEXT):
        yield Refusal(
            code="preference-without-next",
            path="spec.flavorFungibility.preference",
            problem="preference needs both whenCanBorrow and whenCanPreempt to be TryNextFlavor",
            fix="write TryNextFlavor for both, or remove preference",
        )


def _on_flavors_refusals(spec: ClusterQueueSpec) -> Iterator[Refusal]:
    known = {flavor.name for group in given(spec.resource_groups, ()) for flavor in given(group.flavors, ())}
    strategy = given(spec.admission_checks_strategy, AdmissionChecksStrategy())
    for i, rule in enumerate(given(strategy.admission_checks, ())):
        for j, flavor in enumerate(given(rule.on_flavors, ())):
            if flavor not in known:
                yield Refusal(
                    code="no-flavor",
                    path=f"spec.admissionChecksStrategy.admissionChecks[{i}].onFlavors[{j}]",
                    problem="the ClusterQueue has no flavor {name}",
                    fix="write one of: {known}",
                    values={"name": quoted(flavor), "known": ", ".join(sorted(known)[:5]) or "-"},
                )

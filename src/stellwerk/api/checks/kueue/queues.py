"""Cohorts and LocalQueues: their CRDs, the Cohort's webhook, and where queues lead.

Source: kueue pkg/webhooks/cohort_webhook.go; kueue.x-k8s.io_cohorts.yaml and _localqueues.yaml. LocalQueues
have no webhook. Kueue takes a circle of Cohorts, and makes its queues inactive (pkg/cache/hierarchy), and a
LocalQueue whose ClusterQueue comes later: both are mistakes in a set of manifests, refused as such here.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, UnsetType

from stellwerk.api.checks.kueue.groups import group_refusals, groups_shape, size_refusals, weight_refusals
from stellwerk.api.checks.kueue.shapes import (
    AMOUNT,
    CONDITIONS,
    FAIR_SHARING,
    FLAVORS_USE,
    MOMENT,
    NUMBER,
    STOP_POLICIES,
    SUBDOMAIN,
)
from stellwerk.api.checks.refusal import Refusal, quoted
from stellwerk.api.checks.schema import Fields, Table, Text
from stellwerk.api.groups.kueue import ClusterQueue, Cohort, CohortSpec, LocalQueue
from stellwerk.api.groups.meta import given
from stellwerk.api.manifests import Manifest

COHORT = Fields(
    of={
        "spec": Fields(
            of={"parentName": SUBDOMAIN, "resourceGroups": groups_shape(), "fairSharing": FAIR_SHARING}
        ),
        "status": Fields(
            of={"fairSharing": Fields(of={"weightedShare": NUMBER}, required=("weightedShare",))}
        ),
    }
)
LOCAL_QUEUE = Fields(
    of={
        "spec": Fields(
            of={
                "clusterQueue": SUBDOMAIN,
                "stopPolicy": Text(words=STOP_POLICIES),
                "fairSharing": FAIR_SHARING,
            }
        ),
        "status": Fields(
            of={
                "conditions": CONDITIONS,
                "flavorsReservation": FLAVORS_USE,
                "flavorsUsage": FLAVORS_USE,
                "pendingWorkloads": NUMBER,
                "reservingWorkloads": NUMBER,
                "admittedWorkloads": NUMBER,
                "fairSharing": Fields(
                    of={
                        "weightedShare": NUMBER,
                        "admissionFairSharingStatus": Fields(
                            of={"consumedResources": Table(of=AMOUNT), "lastUpdate": MOMENT},
                            required=("consumedResources", "lastUpdate"),
                        ),
                    },
                    required=("weightedShare",),
                ),
            }
        ),
    }
)


class Queues(Struct, frozen=True, kw_only=True):
    """What queues refer to: the ClusterQueues that are there, and the parent of each Cohort."""

    cluster_queues: frozenset[str] = frozenset()
    parents: Mapping[str, str] = {}


def queues_of(manifests: Sequence[Manifest]) -> Queues:
    """The index of all manifests of a run."""
    objects = [manifest.object for manifest in manifests]
    return Queues(
        cluster_queues=frozenset(
            given(item.metadata.name, "") for item in objects if isinstance(item, ClusterQueue)
        ),
        parents={
            given(item.metadata.name, ""): given(item.spec.parent_name, "")
            for item in objects
            if isinstance(item, Cohort) and not isinstance(item.spec, UnsetType)
        },
    )


def cohort_refusals(cohort: Cohort, queues: Queues) -> Iterator[Refusal]:
    """What is refused of a Cohort beyond its shape, and a circle that it is in."""
    spec = given(cohort.spec, CohortSpec())
    groups = given(spec.resource_groups, ())
    yield from size_refusals(groups)
    yield from weight_refusals(spec.fair_sharing)
    yield from group_refusals(groups, None if given(spec.parent_name, "") else "parentName")
    name = given(cohort.metadata.name, "")
    seen, above = [name], queues.parents.get(name, "")
    met = {name}
    while above and above not in met:
        seen.append(above)
        met.add(above)
        above = queues.parents.get(above, "")
    if above == name:
        yield Refusal(
            code="circle-of-cohorts",
            path="spec.parentName",
            problem="the cohorts form a cycle: {cycle}",
            fix="remove parentName from one of them",
            values={"cycle": " -> ".join([*seen[:5], *(["..."] if len(seen) > 5 else []), name])},
        )


def local_queue_refusals(queue: LocalQueue, queues: Queues) -> Iterator[Refusal]:
    """A ClusterQueue that is not there, in a set that has any."""
    target = given(queue.spec.cluster_queue, "")
    if queues.cluster_queues and target not in queues.cluster_queues:
        yield Refusal(
            code="no-cluster-queue",
            path="spec.clusterQueue",
            problem="there is no ClusterQueue {name}",
            fix="write one of: {known}",
            values={"name": quoted(target), "known": ", ".join(sorted(queues.cluster_queues)[:5])},
        )

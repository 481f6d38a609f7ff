"""The places in a topology that an assignment needs, and what becomes of it with them or without.

The places themselves are found by the function that the cycle brings along.
Source: kueue pkg/scheduler/flavorassigner/tas_flavorassigner.go, flavorassigner.go (ComputeTASNetUsage),
KEP-2724.
"""

from collections.abc import Mapping

from msgspec import UnsetType

from stellwerk.api.groups.kueue_workload import PodSet, PodSetTopologyRequest, PodSetUpdate, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.flavors.assignment import (
    Asks,
    Cycle,
    FlavorAssignment,
    Question,
)
from stellwerk.engine.queueing.flavors.match import asks_topology
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.requests.total import WorkloadInfo, amounts_of_pod, pod_set_name
from stellwerk.engine.topology.assignment.decision import Assignment as Placement
from stellwerk.engine.topology.assignment.decision import DomainUsage, PodSetRequest

ELASTIC_JOB = "kueue.x-k8s.io/elastic-job"


def group_name(pod_set: PodSet) -> str | None:
    """PodSets with the same name get the same flavor and a place together."""
    request = pod_set.topology_request
    return None if isinstance(request, UnsetType) else given(request.pod_set_group_name, None)


def needs_topology(pod_set: PodSet, queue: Queue) -> bool:
    """Whether a place is needed: asked for, or all flavors of the queue have a topology."""
    return queue.tas_only or asks_topology(pod_set)


def topology_flavor(flavors: Mapping[str, FlavorAssignment], queue: Queue) -> str | Reason:
    """The one flavor with a topology; a PodSet with several of them, or none, has no place."""
    found = sorted({one.flavor for one in flavors.values()} & queue.tas_flavors)
    if not queue.tas_flavors:
        return Reason(
            "NoTopologyInformation", "workload requires Topology, but there is no TAS cache information"
        )
    if not found:
        return Reason("NoTopologyFlavor", "no TAS flavor assigned")
    if len(found) > 1:
        return Reason(
            "SeveralTopologyFlavors",
            "more than one TAS flavor assigned: {flavors}",
            {"flavors": ", ".join(found)},
        )
    return found[0]


def refused_for_elastic(cycle: Cycle, info: WorkloadInfo, pod_set: PodSet) -> Reason | None:
    """A workload that may grow has its places unconstrained."""
    if not _elastic(cycle, info):
        return None
    request = given(pod_set.topology_request, PodSetTopologyRequest())
    if given(request.required, None) is not None:
        return Reason(
            "RequiredTopologyOfElastic",
            "required topology is not supported with ElasticJobsViaWorkloadSlices",
        )
    if given(request.preferred, None) is not None:
        return Reason(
            "PreferredTopologyOfElastic",
            "preferred topology is not supported with ElasticJobsViaWorkloadSlices",
        )
    return None


def delays(queue: Queue, info: WorkloadInfo, flavor: str) -> bool:
    """Whether the place is found later: on another cluster, or once the nodes are provisioned."""
    if queue.multi_kueue:
        return True
    return flavor in queue.provisioned_flavors and not reserves_quota(info)


def reserves_quota(info: WorkloadInfo) -> bool:
    """Whether the workload holds quota already: this is its second pass."""
    status = given(info.object.status, WorkloadStatus())
    return any(one.type == "QuotaReserved" and one.status == "True" for one in given(status.conditions, ()))


def unhealthy_nodes(info: WorkloadInfo) -> frozenset[str]:
    """Nodes whose pods must move."""
    status = given(info.object.status, WorkloadStatus())
    return frozenset(node.name for node in given(status.unhealthy_nodes, ()))


def ask_of(cycle: Cycle, question: Question, queue: Queue, pod_set: PodSet, count: int) -> PodSetRequest:
    """The question for the places of so many pods of a PodSet."""
    return PodSetRequest(
        pod_set=pod_set,
        count=count,
        requests=amounts_of_pod(pod_set),
        implied=not asks_topology(pod_set) and queue.tas_only,
        group=group_name(pod_set),
        updates=_updates(question.info, pod_set_name(pod_set)),
        previous=_previous(cycle, question, pod_set_name(pod_set)),
    )


def joined(asks: Asks, flavor: str, ask: PodSetRequest) -> Asks:
    """The questions, by flavor, and one more."""
    return {**asks, flavor: (*asks.get(flavor, ()), ask)}


def uses(pod_set: PodSet, placement: Placement) -> tuple[DomainUsage, ...]:
    """What pods in these places use there."""
    requests = amounts_of_pod(pod_set)
    return tuple(DomainUsage(domain.values, requests, domain.count) for domain in placement.domains)


def _updates(info: WorkloadInfo, pod_set: str) -> tuple[PodSetUpdate, ...]:
    status = given(info.object.status, WorkloadStatus())
    return tuple(
        update
        for check in given(status.admission_checks, ())
        if given(check.state, "") == "Ready"
        for update in given(check.pod_set_updates, ())
        if update.name == pod_set
    )


def _previous(cycle: Cycle, question: Question, name: str) -> Placement | None:
    if question.replaced is None or not _elastic(cycle, question.info):
        return None
    held = question.replaced.pod_sets
    return next((one.topology for one in held if one.name == name and one.topology is not None), None)


def _elastic(cycle: Cycle, info: WorkloadInfo) -> bool:
    gates = cycle.snapshot.gates
    if not (gates.elastic_jobs_via_workload_slices and gates.elastic_jobs_via_workload_slices_with_tas):
        return False
    return given(info.object.metadata.annotations, {}).get(ELASTIC_JOB) == "true"

"""A Workload and what all its pods ask for, or hold once it is admitted.

Source: kueue pkg/workload/workload.go (Info, totalRequestsFromPodSets, totalRequestsFromAdmission).
"""

from collections.abc import Mapping

from msgspec import Struct, UnsetType

from stellwerk.api.groups.kueue_workload import Admission, PodSetAssignment, Workload, WorkloadStatus
from stellwerk.api.groups.kueue_workload import PodSet as ApiPodSet
from stellwerk.api.groups.meta import ResourceList, given
from stellwerk.engine.queueing.amounts import FlavorResource, add, request_amount, within
from stellwerk.engine.queueing.gates import FeatureGates
from stellwerk.engine.queueing.requests.pod import pod_amounts
from stellwerk.engine.queueing.requests.transformation import Transformation, transformed, without_prefixes
from stellwerk.engine.topology.assignment.decision import Assignment as Placement
from stellwerk.engine.topology.assignment.decision import DomainUsage
from stellwerk.engine.topology.assignment.fleet.pod import pod_requests, summed
from stellwerk.engine.topology.assignment.wire import unpacked

EMPTY: Mapping[str, str] = {}


class Counting(Struct, frozen=True, kw_only=True):
    """How requests are counted: Kueue's gates and the parts of its configuration about resources."""

    gates: FeatureGates
    transformations: tuple[Transformation, ...] = ()
    excluded_prefixes: tuple[str, ...] = ()


class ClaimedDevices(Struct, frozen=True):
    """What the ResourceClaims of a PodSet count as: quota to add, extended resources that they stand for."""

    added: ResourceList = {}
    replaced: frozenset[str] = frozenset()


class PodSetRequests(Struct, frozen=True, kw_only=True):
    """All pods of one PodSet: requests are of them together; `flavors` by resource, once they are assigned.

    `topology`: where its pods are, once they have their place; `delayed_topology`: "Pending", "Ready" or
    None.
    """

    name: str
    count: int
    requests: Mapping[str, int]
    flavors: Mapping[str, str] = EMPTY
    topology: Placement | None = None
    delayed_topology: str | None = None

    def scaled_to(self, count: int) -> "PodSetRequests":
        """The same for another number of pods; pods that have their place are not changed."""
        if self.topology is not None or self.count in (0, count):
            return self
        requests = scaled(self.requests, self.count, count)
        return PodSetRequests(name=self.name, count=count, requests=requests, flavors=self.flavors)


class WorkloadInfo(Struct, frozen=True, kw_only=True):
    """A Workload with what it asks for; `cluster_queue` is that of its admission, or of its LocalQueue."""

    object: Workload
    key: str
    cluster_queue: str
    pod_sets: tuple[PodSetRequests, ...]

    def usage(self) -> dict[FlavorResource, int]:
        """What it holds, by flavor and resource; what has no flavor counts nowhere."""
        used: dict[FlavorResource, int] = {}
        for pod_set in self.pod_sets:
            for resource, amount in pod_set.requests.items():
                flavor = pod_set.flavors.get(resource, "")
                if flavor:
                    key = FlavorResource(flavor, resource)
                    used[key] = add(used.get(key, 0), amount)
        return used

    def topology_usage(self) -> dict[str, tuple[DomainUsage, ...]]:
        """What it holds of topologies, by flavor."""
        one_pod = {pod_set_name(each): each for each in given(self.object.spec.pod_sets, ())}
        used: dict[str, tuple[DomainUsage, ...]] = {}
        for pod_set in self.pod_sets:
            if pod_set.topology is None:
                continue
            spec = one_pod.get(pod_set.name)
            requests = scaled(pod_set.requests, pod_set.count, 1) if spec is None else amounts_of_pod(spec)
            uses = tuple(DomainUsage(each.values, requests, each.count) for each in pod_set.topology.domains)
            for flavor in dict.fromkeys(pod_set.flavors.values()):
                used[flavor] = used.get(flavor, ()) + uses
        return used


def workload_info(
    workload: Workload,
    counting: Counting,
    cluster_queue: str = "",
    claimed: Mapping[str, ClaimedDevices] | None = None,
) -> WorkloadInfo:
    """What the Workload holds by its status.admission; without one what its PodSets ask for.

    `cluster_queue`: where its LocalQueue leads, for a Workload without admission. `claimed`: by PodSet, what
    DRA device classes count as.
    """
    admission = given(given(workload.status, WorkloadStatus()).admission, None)
    if admission is None:
        pod_sets = _asked(workload, counting, claimed or {})
    else:
        cluster_queue, pod_sets = admission.cluster_queue, _held(workload, admission, counting)
    return WorkloadInfo(
        object=workload, key=workload_key(workload), cluster_queue=cluster_queue, pod_sets=pod_sets
    )


def pod_set_name(pod_set: ApiPodSet) -> str:
    """The PodSet's name; one without is `main`, the API's default."""
    return given(pod_set.name, "main")


def workload_key(workload: Workload) -> str:
    """namespace/name."""
    return f"{given(workload.metadata.namespace, '')}/{given(workload.metadata.name, '')}"


def scaled(requests: Mapping[str, int], old: int, new: int) -> dict[str, int]:
    """Requests of `old` pods as those of `new`, by way of one pod's (rounded towards zero)."""
    return {
        resource: within((abs(amount) // old if amount >= 0 else -(abs(amount) // old)) * new) if old else 0
        for resource, amount in requests.items()
    }


def _asked(
    workload: Workload, counting: Counting, claimed: Mapping[str, ClaimedDevices]
) -> tuple[PodSetRequests, ...]:
    counts = _counts_after_reclaim(workload, counting)
    found = []
    for pod_set in given(workload.spec.pod_sets, ()):
        name = pod_set_name(pod_set)
        requests = _of_one_pod(pod_set, counting, claimed.get(name))
        found.append(
            PodSetRequests(
                name=name,
                count=counts[name],
                requests={resource: within(amount * counts[name]) for resource, amount in requests.items()},
            )
        )
    return tuple(found)


def _of_one_pod(pod_set: ApiPodSet, counting: Counting, claimed: ClaimedDevices | None) -> dict[str, int]:
    spec = pod_set.template.spec
    requests: ResourceList = {} if isinstance(spec, UnsetType) else pod_requests(spec)
    requests = without_prefixes(requests, counting.excluded_prefixes)
    requests = transformed(requests, counting.transformations)
    if claimed is not None and counting.gates.kueue_dra_integration:
        left = {name: quantity for name, quantity in requests.items() if name not in claimed.replaced}
        requests = summed(left, claimed.added)
    return {resource: max(0, request_amount(resource, quantity)) for resource, quantity in requests.items()}


def _held(workload: Workload, admission: Admission, counting: Counting) -> tuple[PodSetRequests, ...]:
    now = _counts_after_reclaim(workload, counting)
    counts = _counts(workload)
    return tuple(
        _held_by(assignment, counts, now, counting) for assignment in given(admission.pod_set_assignments, ())
    )


def _held_by(
    assignment: PodSetAssignment, counts: Mapping[str, int], now: Mapping[str, int], counting: Counting
) -> PodSetRequests:
    """Fewer pods than were admitted: the others were reclaimed. More: it was admitted in part."""
    name = assignment.name
    count = given(assignment.count, counts.get(name, 0))
    usage = given(assignment.resource_usage, {})
    requests = {resource: request_amount(resource, quantity) for resource, quantity in usage.items()}
    left = now.get(name, 0)
    if left < count:
        requests, count = scaled(requests, count, left), left
    with_topology = counting.gates.topology_aware_scheduling
    return PodSetRequests(
        name=name,
        count=count,
        requests=requests,
        flavors=given(assignment.flavors, EMPTY),
        topology=_placement(assignment) if with_topology else None,
        delayed_topology=given(assignment.delayed_topology_request, None) if with_topology else None,
    )


def _placement(assignment: PodSetAssignment) -> Placement | None:
    topology = given(assignment.topology_assignment, None)
    return None if topology is None else unpacked(topology)


def _counts(workload: Workload) -> dict[str, int]:
    return {pod_set_name(pod_set): pod_set.count for pod_set in given(workload.spec.pod_sets, ())}


def _counts_after_reclaim(workload: Workload, counting: Counting) -> dict[str, int]:
    counts = _counts(workload)
    if counting.gates.reclaimable_pods and not isinstance(workload.status, UnsetType):
        for name, count in {
            pod.name: pod.count for pod in given(workload.status.reclaimable_pods, ())
        }.items():
            if name in counts:
                counts[name] = max(0, counts[name] - count)
    return counts


def amounts_of_pod(pod_set: ApiPodSet) -> dict[str, int]:
    """What one pod asks for as it is written, for its place in a topology: nothing transformed."""
    spec = pod_set.template.spec
    return {} if isinstance(spec, UnsetType) else pod_amounts(spec)

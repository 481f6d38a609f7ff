"""The kinds that decide about queues, and what of them a decision needs."""

from collections.abc import Sequence

from stellwerk.api.groups import kueue
from stellwerk.api.groups.core import LimitRange, Namespace, Node, Pod
from stellwerk.api.groups.kueue_workload import Admission, Workload, WorkloadStatus
from stellwerk.api.groups.meta import given
from stellwerk.api.groups.node import RuntimeClass
from stellwerk.api.groups.resource import DeviceClass, ResourceClaimTemplate, ResourceSlice
from stellwerk.control.queueing.seen import Kind, Seen
from stellwerk.control.queueing.workloads import Place
from stellwerk.engine.queueing.cycle.backlog import cluster_queue_of
from stellwerk.engine.queueing.jobs.workload import GROUP, PriorityClasses
from stellwerk.engine.queueing.requests.devices.cluster import devices_of
from stellwerk.engine.queueing.snapshot import Objects, Snapshot

JOB: Kind = ("batch", "Job")
WORKLOAD: Kind = (GROUP, "Workload")
FLAVOR: Kind = (GROUP, "ResourceFlavor")
CLUSTER_QUEUE: Kind = (GROUP, "ClusterQueue")
LOCAL_QUEUE: Kind = (GROUP, "LocalQueue")
COHORT: Kind = (GROUP, "Cohort")
CHECK: Kind = (GROUP, "AdmissionCheck")
TOPOLOGY: Kind = (GROUP, "Topology")
WORKLOAD_PRIORITY: Kind = (GROUP, "WorkloadPriorityClass")
PRIORITY: Kind = ("scheduling.k8s.io", "PriorityClass")
NODE: Kind = ("", "Node")
POD: Kind = ("", "Pod")
NAMESPACE: Kind = ("", "Namespace")
LIMITS: Kind = ("", "LimitRange")
RUNTIME: Kind = ("node.k8s.io", "RuntimeClass")
DEVICE_CLASS: Kind = ("resource.k8s.io", "DeviceClass")
CLAIM_TEMPLATE: Kind = ("resource.k8s.io", "ResourceClaimTemplate")
SLICE: Kind = ("resource.k8s.io", "ResourceSlice")
# In the order of listing: a Job that is not there is gone if its Workload was seen before.
KINDS: tuple[Kind, ...] = (
    FLAVOR,
    CLUSTER_QUEUE,
    LOCAL_QUEUE,
    COHORT,
    CHECK,
    TOPOLOGY,
    WORKLOAD_PRIORITY,
    PRIORITY,
    NODE,
    POD,
    NAMESPACE,
    LIMITS,
    RUNTIME,
    DEVICE_CLASS,
    CLAIM_TEMPLATE,
    SLICE,
    WORKLOAD,
    JOB,
)


def is_configuration(kind: Kind) -> bool:
    """Whether objects of the kind change rarely, and decide about many."""
    return kind not in (JOB, WORKLOAD)


def objects_of(seen: Seen) -> Objects:
    """The objects of a snapshot."""
    return Objects(
        cluster_queues=seen.typed(CLUSTER_QUEUE, kueue.ClusterQueue),
        cohorts=seen.typed(COHORT, kueue.Cohort),
        flavors=seen.typed(FLAVOR, kueue.ResourceFlavor),
        local_queues=seen.typed(LOCAL_QUEUE, kueue.LocalQueue),
        workloads=seen.typed(WORKLOAD, Workload),
        admission_checks=seen.typed(CHECK, kueue.AdmissionCheck),
        priority_classes=seen.typed(WORKLOAD_PRIORITY, kueue.WorkloadPriorityClass),
        topologies=seen.typed(TOPOLOGY, kueue.Topology),
        nodes=seen.typed(NODE, Node),
        pods=seen.typed(POD, Pod),
        namespaces=seen.typed(NAMESPACE, Namespace),
        limit_ranges=seen.typed(LIMITS, LimitRange),
        runtime_classes=seen.typed(RUNTIME, RuntimeClass),
        devices=devices_of(
            seen.typed(CLAIM_TEMPLATE, ResourceClaimTemplate),
            seen.typed(DEVICE_CLASS, DeviceClass),
            seen.typed(SLICE, ResourceSlice),
        ),
    )


def classes_of(seen: Seen) -> PriorityClasses:
    """The priority classes by name; of several default ones the lowest counts."""
    of_pods = [one.raw for one in seen.all(PRIORITY) if isinstance(one.raw.get("value"), int)]
    defaults = sorted(
        (one["value"], one["metadata"]["name"]) for one in of_pods if one.get("globalDefault") is True
    )
    of_workloads: Sequence[kueue.WorkloadPriorityClass] = seen.typed(
        WORKLOAD_PRIORITY, kueue.WorkloadPriorityClass
    )
    return PriorityClasses(
        of_workloads={given(one.metadata.name, ""): one.value for one in of_workloads},
        of_pods={one["metadata"]["name"]: one["value"] for one in of_pods},
        default=(defaults[0][1], defaults[0][0]) if defaults else None,
    )


def place_of(seen: Seen, snapshot: Snapshot, workload: Workload) -> Place:
    """Where the Workload waits or holds quota."""
    namespace = given(workload.metadata.namespace, "")
    local = seen.get(LOCAL_QUEUE, namespace, given(workload.spec.queue_name, ""))
    admission: Admission | None = given(given(workload.status, WorkloadStatus()).admission, None)
    name = cluster_queue_of(workload, snapshot) if admission is None else admission.cluster_queue
    queue = None if name is None else seen.get(CLUSTER_QUEUE, "", name)
    return Place(
        local_queue=None if local is None else local.typed,
        cluster_queue=None if queue is None else queue.typed,
        gates=snapshot.gates,
    )

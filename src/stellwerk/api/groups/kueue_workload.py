"""kueue.x-k8s.io/v1beta2: Workload, its admission and its place in a topology."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.core import PodTemplateSpec, Toleration
from stellwerk.api.groups.meta import Condition, Int32, ObjectMeta, ResourceList


class SliceTopologyConstraint(Struct, frozen=True, kw_only=True, rename="camel"):
    """Pods in slices of `size` share a domain of this level."""

    topology: str | UnsetType = UNSET
    size: Int32 | UnsetType = UNSET


class PodSetTopologyRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """In which level's domain the pods must, or would like to, be together."""

    required: str | UnsetType = UNSET
    preferred: str | UnsetType = UNSET
    unconstrained: bool | UnsetType = UNSET
    pod_index_label: str | UnsetType = UNSET
    sub_group_index_label: str | UnsetType = UNSET
    sub_group_count: Int32 | UnsetType = UNSET
    pod_set_group_name: str | UnsetType = UNSET
    pod_set_slice_required_topology: str | UnsetType = UNSET
    pod_set_slice_size: Int32 | UnsetType = UNSET
    podset_slice_required_topology_constraints: tuple[SliceTopologyConstraint, ...] | UnsetType = UNSET


class PodSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """Equal pods of a Workload; with `minCount` fewer may be admitted."""

    template: PodTemplateSpec
    count: Int32 = 1
    name: str | UnsetType = UNSET
    min_count: Int32 | UnsetType = UNSET
    topology_request: PodSetTopologyRequest | UnsetType = UNSET


class PriorityClassRef(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the priority comes from."""

    group: str | UnsetType = UNSET
    kind: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class PreemptionGate(Struct, frozen=True, kw_only=True, rename="camel"):
    """Holds preemption back until it is opened."""

    name: str


class WorkloadSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is admitted together or not at all."""

    pod_sets: tuple[PodSet, ...] | UnsetType = UNSET
    queue_name: str | UnsetType = UNSET
    priority_class_ref: PriorityClassRef | UnsetType = UNSET
    priority: Int32 | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    maximum_execution_time_seconds: Int32 | UnsetType = UNSET
    preemption_gates: tuple[PreemptionGate, ...] | UnsetType = UNSET


class IndividualValues(Struct, frozen=True, kw_only=True, rename="camel"):
    """Values that share prefix and suffix."""

    prefix: str | UnsetType = UNSET
    suffix: str | UnsetType = UNSET
    roots: tuple[str, ...] | UnsetType = UNSET


class LevelValues(Struct, frozen=True, kw_only=True, rename="camel"):
    """One value for all domains, or one each."""

    universal: str | UnsetType = UNSET
    individual: IndividualValues | UnsetType = UNSET


class PodCounts(Struct, frozen=True, kw_only=True, rename="camel"):
    """One count for all domains, or one each."""

    universal: Int32 | UnsetType = UNSET
    individual: tuple[Int32, ...] | UnsetType = UNSET


class TopologyAssignmentSlice(Struct, frozen=True, kw_only=True, rename="camel"):
    """Domains, and pods in each, in compressed form."""

    domain_count: Int32 | UnsetType = UNSET
    values_per_level: tuple[LevelValues, ...] | UnsetType = UNSET
    pod_counts: PodCounts | UnsetType = UNSET


class TopologyAssignment(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the pods of a PodSet go."""

    levels: tuple[str, ...] | UnsetType = UNSET
    slices: tuple[TopologyAssignmentSlice, ...] | UnsetType = UNSET


class PodSetAssignment(Struct, frozen=True, kw_only=True, rename="camel"):
    """Flavor and use of each resource of a PodSet."""

    name: str = "main"
    flavors: Mapping[str, str] | UnsetType = UNSET
    resource_usage: ResourceList | UnsetType = UNSET
    count: Int32 | UnsetType = UNSET
    topology_assignment: TopologyAssignment | UnsetType = UNSET
    delayed_topology_request: str | UnsetType = UNSET


class Admission(Struct, frozen=True, kw_only=True, rename="camel"):
    """Quota given."""

    cluster_queue: str = ""
    pod_set_assignments: tuple[PodSetAssignment, ...] | UnsetType = UNSET


class RequeueState(Struct, frozen=True, kw_only=True, rename="camel"):
    """When an evicted Workload may try again."""

    count: Int32 | UnsetType = UNSET
    requeue_at: str | UnsetType = UNSET


class ReclaimablePod(Struct, frozen=True, kw_only=True, rename="camel"):
    """Pods of a PodSet that no longer need quota."""

    name: str
    count: Int32


class PodSetUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an AdmissionCheck changes in the pods."""

    name: str
    labels: Mapping[str, str] | UnsetType = UNSET
    annotations: Mapping[str, str] | UnsetType = UNSET
    node_selector: Mapping[str, str] | UnsetType = UNSET
    tolerations: tuple[Toleration, ...] | UnsetType = UNSET


class AdmissionCheckState(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an AdmissionCheck says: Pending, Ready, Retry or Rejected."""

    name: str
    state: str
    last_transition_time: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    requeue_after_seconds: Int32 | UnsetType = UNSET
    retry_count: Int32 | UnsetType = UNSET
    pod_set_updates: tuple[PodSetUpdate, ...] | UnsetType = UNSET


class PodSetRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """Resources that a PodSet waits for."""

    name: str
    resources: ResourceList | UnsetType = UNSET


class SchedulingStatsEviction(Struct, frozen=True, kw_only=True, rename="camel"):
    """How often a Workload was evicted for a reason."""

    reason: str
    underlying_cause: str | UnsetType = UNSET
    count: Int32 | UnsetType = UNSET


class SchedulingStats(Struct, frozen=True, kw_only=True, rename="camel"):
    """Counts of evictions."""

    evictions: tuple[SchedulingStatsEviction, ...] | UnsetType = UNSET


class UnhealthyNode(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node whose pods must move."""

    name: str


class PreemptionGateState(Struct, frozen=True, kw_only=True, rename="camel"):
    """`position`: Open or Closed."""

    name: str
    position: str | UnsetType = UNSET
    last_transition_time: str | UnsetType = UNSET


class WorkloadStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a Workload."""

    conditions: tuple[Condition, ...] | UnsetType = UNSET
    admission: Admission | UnsetType = UNSET
    requeue_state: RequeueState | UnsetType = UNSET
    reclaimable_pods: tuple[ReclaimablePod, ...] | UnsetType = UNSET
    admission_checks: tuple[AdmissionCheckState, ...] | UnsetType = UNSET
    resource_requests: tuple[PodSetRequest, ...] | UnsetType = UNSET
    accumulated_past_execution_time_seconds: Int32 | UnsetType = UNSET
    scheduling_stats: SchedulingStats | UnsetType = UNSET
    nominated_cluster_names: tuple[str, ...] | UnsetType = UNSET
    cluster_name: str | UnsetType = UNSET
    unhealthy_nodes: tuple[UnhealthyNode, ...] | UnsetType = UNSET
    preemption_gates: tuple[PreemptionGateState, ...] | UnsetType = UNSET


class Workload(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a queue admits."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus | UnsetType = UNSET

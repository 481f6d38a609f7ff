"""kueue.x-k8s.io/v1beta2: quota, queues and what they are made of; Workload has its own module."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.core import Taint, Toleration
from stellwerk.api.groups.meta import Condition, Int32, Int64, LabelSelector, ObjectMeta, ResourceList
from stellwerk.api.quantity import Quantity


class FairSharing(Struct, frozen=True, kw_only=True, rename="camel"):
    """How much a queue counts when quota is shared."""

    weight: Quantity | UnsetType = UNSET


class FairSharingStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The share in use, in thousandths."""

    weighted_share: Int64


class ResourceQuota(Struct, frozen=True, kw_only=True, rename="camel"):
    """Quota of one resource in one flavor; no limit is another thing than a limit of 0."""

    name: str
    nominal_quota: Quantity | UnsetType = UNSET
    borrowing_limit: Quantity | UnsetType = UNSET
    lending_limit: Quantity | UnsetType = UNSET


class FlavorQuotas(Struct, frozen=True, kw_only=True, rename="camel"):
    """Quotas of a flavor."""

    name: str
    resources: tuple[ResourceQuota, ...] | UnsetType = UNSET


class ResourceGroup(Struct, frozen=True, kw_only=True, rename="camel"):
    """Resources that get their flavors together, flavors in order of preference."""

    covered_resources: tuple[str, ...] | UnsetType = UNSET
    flavors: tuple[FlavorQuotas, ...] | UnsetType = UNSET


class FlavorFungibility(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether to borrow or preempt before the next flavor is tried."""

    when_can_borrow: str | UnsetType = UNSET
    when_can_preempt: str | UnsetType = UNSET
    preference: str | UnsetType = UNSET


class BorrowWithinCohort(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a borrower may preempt."""

    policy: str | UnsetType = UNSET
    max_priority_threshold: Int32 | UnsetType = UNSET


class ClusterQueuePreemption(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whom a Workload may preempt."""

    reclaim_within_cohort: str | UnsetType = UNSET
    borrow_within_cohort: BorrowWithinCohort | UnsetType = UNSET
    within_cluster_queue: str | UnsetType = UNSET


class AdmissionCheckStrategyRule(Struct, frozen=True, kw_only=True, rename="camel"):
    """An AdmissionCheck, for these flavors (all, if none is named)."""

    name: str
    on_flavors: tuple[str, ...] | UnsetType = UNSET


class AdmissionChecksStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """The AdmissionChecks that a Workload must pass."""

    admission_checks: tuple[AdmissionCheckStrategyRule, ...] | UnsetType = UNSET


class AdmissionScope(Struct, frozen=True, kw_only=True, rename="camel"):
    """How LocalQueues share a ClusterQueue."""

    admission_mode: str | UnsetType = UNSET


class ConcurrentAdmissionConstraints(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the search for a better flavor ends."""

    last_acceptable_flavor_name: str | UnsetType = UNSET


class ConcurrentAdmissionMigration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether an admitted Workload moves to a better flavor."""

    mode: str | UnsetType = UNSET
    constraints: ConcurrentAdmissionConstraints | UnsetType = UNSET


class ConcurrentAdmissionPolicy(Struct, frozen=True, kw_only=True, rename="camel"):
    """Admission to several flavors at once."""

    migration: ConcurrentAdmissionMigration | UnsetType = UNSET


class ClusterQueueSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Quota, and the rules by which it is given out."""

    resource_groups: tuple[ResourceGroup, ...] | UnsetType = UNSET
    cohort_name: str | UnsetType = UNSET
    queueing_strategy: str | UnsetType = UNSET
    namespace_selector: LabelSelector | UnsetType = UNSET
    flavor_fungibility: FlavorFungibility | UnsetType = UNSET
    preemption: ClusterQueuePreemption | UnsetType = UNSET
    admission_checks_strategy: AdmissionChecksStrategy | UnsetType = UNSET
    stop_policy: str | UnsetType = UNSET
    fair_sharing: FairSharing | UnsetType = UNSET
    admission_scope: AdmissionScope | UnsetType = UNSET
    concurrent_admission_policy: ConcurrentAdmissionPolicy | UnsetType = UNSET


class ResourceUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Use of a resource."""

    name: str
    total: Quantity | UnsetType = UNSET
    borrowed: Quantity | UnsetType = UNSET


class FlavorUsage(Struct, frozen=True, kw_only=True, rename="camel"):
    """Use of a flavor."""

    name: str
    resources: tuple[ResourceUsage, ...] | UnsetType = UNSET


class ClusterQueueStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Use of the quota."""

    conditions: tuple[Condition, ...] | UnsetType = UNSET
    flavors_reservation: tuple[FlavorUsage, ...] | UnsetType = UNSET
    flavors_usage: tuple[FlavorUsage, ...] | UnsetType = UNSET
    pending_workloads: Int32 | UnsetType = UNSET
    reserving_workloads: Int32 | UnsetType = UNSET
    admitted_workloads: Int32 | UnsetType = UNSET
    fair_sharing: FairSharingStatus | UnsetType = UNSET


class ClusterQueue(Struct, frozen=True, kw_only=True, rename="camel"):
    """Quota for several namespaces."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: ClusterQueueSpec | UnsetType = UNSET
    status: ClusterQueueStatus | UnsetType = UNSET


class CohortSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """ClusterQueues and Cohorts that lend to each other, under a parent."""

    parent_name: str | UnsetType = UNSET
    resource_groups: tuple[ResourceGroup, ...] | UnsetType = UNSET
    fair_sharing: FairSharing | UnsetType = UNSET


class CohortStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The share in use."""

    fair_sharing: FairSharingStatus | UnsetType = UNSET


class Cohort(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node of the tree of quota."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: CohortSpec | UnsetType = UNSET
    status: CohortStatus | UnsetType = UNSET


class LocalQueueSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The ClusterQueue that Workloads of the namespace go to."""

    cluster_queue: str | UnsetType = UNSET
    stop_policy: str | UnsetType = UNSET
    fair_sharing: FairSharing | UnsetType = UNSET


class AdmissionFairSharingStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a LocalQueue used, with old use fading."""

    consumed_resources: ResourceList | UnsetType = UNSET
    last_update: str | UnsetType = UNSET


class LocalQueueFairSharingStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The share in use."""

    weighted_share: Int64 | UnsetType = UNSET
    admission_fair_sharing_status: AdmissionFairSharingStatus | UnsetType = UNSET


class LocalQueueStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Use through this queue."""

    conditions: tuple[Condition, ...] | UnsetType = UNSET
    pending_workloads: Int32 | UnsetType = UNSET
    reserving_workloads: Int32 | UnsetType = UNSET
    admitted_workloads: Int32 | UnsetType = UNSET
    flavors_reservation: tuple[FlavorUsage, ...] | UnsetType = UNSET
    flavors_usage: tuple[FlavorUsage, ...] | UnsetType = UNSET
    fair_sharing: LocalQueueFairSharingStatus | UnsetType = UNSET


class LocalQueue(Struct, frozen=True, kw_only=True, rename="camel"):
    """A namespace's door to a ClusterQueue."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: LocalQueueSpec = LocalQueueSpec()
    status: LocalQueueStatus | UnsetType = UNSET


class ResourceFlavorSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The nodes of a flavor, by label and taint."""

    node_labels: Mapping[str, str] | UnsetType = UNSET
    node_taints: tuple[Taint, ...] | UnsetType = UNSET
    tolerations: tuple[Toleration, ...] | UnsetType = UNSET
    topology_name: str | UnsetType = UNSET


class ResourceFlavor(Struct, frozen=True, kw_only=True, rename="camel"):
    """A kind of node that quota is given in."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceFlavorSpec | UnsetType = UNSET


class AdmissionCheckParameters(Struct, frozen=True, kw_only=True, rename="camel"):
    """The object that tells the check's controller what to do."""

    kind: str
    name: str
    api_group: str | UnsetType = UNSET


class AdmissionCheckSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who decides."""

    controller_name: str
    parameters: AdmissionCheckParameters | UnsetType = UNSET


class AdmissionCheckStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the check works."""

    conditions: tuple[Condition, ...] | UnsetType = UNSET


class AdmissionCheck(Struct, frozen=True, kw_only=True, rename="camel"):
    """A further condition for admission."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: AdmissionCheckSpec = AdmissionCheckSpec(controller_name="")
    status: AdmissionCheckStatus | UnsetType = UNSET


class WorkloadPriorityClass(Struct, frozen=True, kw_only=True, rename="camel"):
    """A priority for queueing only."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    value: Int32
    description: str | UnsetType = UNSET


class TopologyLevel(Struct, frozen=True, kw_only=True, rename="camel"):
    """The node label whose values are the domains of a level."""

    node_label: str


class TopologySpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Levels from the widest to the narrowest."""

    levels: tuple[TopologyLevel, ...] | UnsetType = UNSET


class Topology(Struct, frozen=True, kw_only=True, rename="camel"):
    """How nodes are grouped (block, rack, host)."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: TopologySpec = TopologySpec()

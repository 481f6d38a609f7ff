"""core/v1: Pod, Node, Namespace, and the parts of them that other groups use."""

from collections.abc import Mapping

from msgspec import UNSET, Struct, UnsetType, field

from stellwerk.api.groups.meta import Condition, Int32, Int64, LabelSelector, ObjectMeta, ResourceList


class Taint(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keeps pods without a matching toleration away; `effect`: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    effect: str
    value: str | UnsetType = UNSET
    time_added: str | UnsetType = UNSET


class Toleration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Lets a pod on nodes with a matching taint; no key with operator Exists tolerates everything."""

    key: str | UnsetType = UNSET
    operator: str | UnsetType = UNSET
    value: str | UnsetType = UNSET
    effect: str | UnsetType = UNSET
    toleration_seconds: Int64 | UnsetType = UNSET


class NodeSelectorRequirement(Struct, frozen=True, kw_only=True, rename="camel"):
    """`operator`: In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str
    operator: str
    values: tuple[str, ...] | UnsetType = UNSET


class NodeSelectorTerm(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requirements that must all hold."""

    match_expressions: tuple[NodeSelectorRequirement, ...] | UnsetType = UNSET
    match_fields: tuple[NodeSelectorRequirement, ...] | UnsetType = UNSET


class NodeSelector(Struct, frozen=True, kw_only=True, rename="camel"):
    """Terms of which one must hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...]


class PreferredSchedulingTerm(Struct, frozen=True, kw_only=True, rename="camel"):
    """A preference with a weight of 1 to 100."""

    weight: Int32
    preference: NodeSelectorTerm


class NodeAffinity(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which nodes a pod must or would like to have."""

    required_during_scheduling_ignored_during_execution: NodeSelector | UnsetType = UNSET
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] | UnsetType = (
        UNSET
    )


class PodAffinityTerm(Struct, frozen=True, kw_only=True, rename="camel"):
    """Pods near which (or away from which) a pod wants to be, within a topology domain."""

    topology_key: str
    label_selector: LabelSelector | UnsetType = UNSET
    namespaces: tuple[str, ...] | UnsetType = UNSET
    namespace_selector: LabelSelector | UnsetType = UNSET
    match_label_keys: tuple[str, ...] | UnsetType = UNSET
    mismatch_label_keys: tuple[str, ...] | UnsetType = UNSET


class WeightedPodAffinityTerm(Struct, frozen=True, kw_only=True, rename="camel"):
    """A preferred PodAffinityTerm."""

    weight: Int32
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Struct, frozen=True, kw_only=True, rename="camel"):
    """Pods that a pod must or would like to be near (or, as anti-affinity, away from)."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] | UnsetType = UNSET
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] | UnsetType = (
        UNSET
    )


class Affinity(Struct, frozen=True, kw_only=True, rename="camel"):
    """The three kinds of affinity."""

    node_affinity: NodeAffinity | UnsetType = UNSET
    pod_affinity: PodAffinity | UnsetType = UNSET
    pod_anti_affinity: PodAffinity | UnsetType = UNSET


class TopologySpreadConstraint(Struct, frozen=True, kw_only=True, rename="camel"):
    """How evenly pods spread over topology domains."""

    max_skew: Int32
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | UnsetType = UNSET
    min_domains: Int32 | UnsetType = UNSET
    node_affinity_policy: str | UnsetType = UNSET
    node_taints_policy: str | UnsetType = UNSET
    match_label_keys: tuple[str, ...] | UnsetType = UNSET


class ContainerResourceClaim(Struct, frozen=True, kw_only=True, rename="camel"):
    """A claim of the pod that a container uses."""

    name: str
    request: str | UnsetType = UNSET


class ResourceRequirements(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a container asks for and may use, by resource name."""

    limits: ResourceList | UnsetType = UNSET
    requests: ResourceList | UnsetType = UNSET
    claims: tuple[ContainerResourceClaim, ...] | UnsetType = UNSET


class Container(Struct, frozen=True, kw_only=True, rename="camel"):
    """One container; an init container with restartPolicy Always is a sidecar."""

    name: str
    image: str | UnsetType = UNSET
    command: tuple[str, ...] | UnsetType = UNSET
    args: tuple[str, ...] | UnsetType = UNSET
    resources: ResourceRequirements | UnsetType = UNSET
    restart_policy: str | UnsetType = UNSET


class PodResourceClaim(Struct, frozen=True, kw_only=True, rename="camel"):
    """A ResourceClaim, or a template to make one from, that the pod's containers may name."""

    name: str
    resource_claim_name: str | UnsetType = UNSET
    resource_claim_template_name: str | UnsetType = UNSET


class PodSchedulingGate(Struct, frozen=True, kw_only=True, rename="camel"):
    """Holds a pod back until it is removed."""

    name: str


class PodSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What decides where a pod runs and for how long."""

    containers: tuple[Container, ...]
    init_containers: tuple[Container, ...] | UnsetType = UNSET
    restart_policy: str | UnsetType = UNSET
    active_deadline_seconds: Int64 | UnsetType = UNSET
    termination_grace_period_seconds: Int64 | UnsetType = UNSET
    node_selector: Mapping[str, str] | UnsetType = UNSET
    node_name: str | UnsetType = UNSET
    affinity: Affinity | UnsetType = UNSET
    tolerations: tuple[Toleration, ...] | UnsetType = UNSET
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] | UnsetType = UNSET
    scheduler_name: str | UnsetType = UNSET
    scheduling_gates: tuple[PodSchedulingGate, ...] | UnsetType = UNSET
    priority_class_name: str | UnsetType = UNSET
    priority: Int32 | UnsetType = UNSET
    preemption_policy: str | UnsetType = UNSET
    runtime_class_name: str | UnsetType = UNSET
    overhead: ResourceList | UnsetType = UNSET
    resource_claims: tuple[PodResourceClaim, ...] | UnsetType = UNSET
    resources: ResourceRequirements | UnsetType = UNSET


class PodResourceClaimStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The ResourceClaim that was made for an entry of the pod's resourceClaims."""

    name: str
    resource_claim_name: str | UnsetType = UNSET


class PodStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a pod."""

    phase: str | UnsetType = UNSET
    conditions: tuple[Condition, ...] | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    nominated_node_name: str | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    resource_claim_statuses: tuple[PodResourceClaimStatus, ...] | UnsetType = UNSET


class PodTemplateSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The pods that a Job or a Deployment makes."""

    metadata: ObjectMeta | UnsetType = UNSET
    spec: PodSpec | UnsetType = UNSET


class Pod(Struct, frozen=True, kw_only=True, rename="camel"):
    """One pod."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec
    status: PodStatus | UnsetType = UNSET


class NodeSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What decides which pods a node takes."""

    provider_id: str | UnsetType = field(name="providerID", default=UNSET)
    unschedulable: bool | UnsetType = UNSET
    taints: tuple[Taint, ...] | UnsetType = UNSET


class NodeStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a node has, and what it may give to pods."""

    capacity: ResourceList | UnsetType = UNSET
    allocatable: ResourceList | UnsetType = UNSET
    phase: str | UnsetType = UNSET
    conditions: tuple[Condition, ...] | UnsetType = UNSET
    declared_features: tuple[str, ...] | UnsetType = UNSET


class Node(Struct, frozen=True, kw_only=True, rename="camel"):
    """One machine; spec and status may be absent in a file that only gives labels."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec | UnsetType = UNSET
    status: NodeStatus | UnsetType = UNSET


class Namespace(Struct, frozen=True, kw_only=True, rename="camel"):
    """A team's part of the cluster."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()


class LimitRangeItem(Struct, frozen=True, kw_only=True, rename="camel"):
    """Bounds and defaults of one `type`: Container, Pod or PersistentVolumeClaim."""

    type: str
    max: ResourceList | UnsetType = UNSET
    min: ResourceList | UnsetType = UNSET
    default: ResourceList | UnsetType = UNSET
    default_request: ResourceList | UnsetType = UNSET
    max_limit_request_ratio: ResourceList | UnsetType = UNSET


class LimitRangeSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The items in force."""

    limits: tuple[LimitRangeItem, ...] | UnsetType = UNSET


class LimitRange(Struct, frozen=True, kw_only=True, rename="camel"):
    """Bounds and defaults of a namespace."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: LimitRangeSpec | UnsetType = UNSET

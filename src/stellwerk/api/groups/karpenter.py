"""karpenter.sh: NodePool and NodeClaim (v1), NodeOverlay (v1alpha1)."""

from msgspec import UNSET, Struct, UnsetType, field

from stellwerk.api.groups.core import NodeSelectorRequirement, Taint
from stellwerk.api.groups.meta import Condition, Int32, Int64, ObjectMeta, ResourceList


class RequirementWithMinValues(Struct, frozen=True, kw_only=True, rename="camel"):
    """A NodeSelectorRequirement (also Gte, Lte) that must leave a choice of `minValues` values."""

    key: str
    operator: str
    values: tuple[str, ...] | UnsetType = UNSET
    min_values: Int64 | UnsetType = UNSET


class NodeClassReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """The cloud's own part of a node's description."""

    group: str
    kind: str
    name: str


class NodeClaimResources(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the pods of a NodeClaim ask for."""

    requests: ResourceList | UnsetType = UNSET


class NodeClaimSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node to be bought; `expireAfter` is a duration or Never."""

    requirements: tuple[RequirementWithMinValues, ...] | UnsetType = UNSET
    node_class_ref: NodeClassReference | UnsetType = UNSET
    taints: tuple[Taint, ...] | UnsetType = UNSET
    startup_taints: tuple[Taint, ...] | UnsetType = UNSET
    resources: NodeClaimResources | UnsetType = UNSET
    termination_grace_period: str | UnsetType = UNSET
    expire_after: str | UnsetType = UNSET


class NodeClaimStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was bought."""

    node_name: str | UnsetType = UNSET
    provider_id: str | UnsetType = field(name="providerID", default=UNSET)
    image_id: str | UnsetType = field(name="imageID", default=UNSET)
    capacity: ResourceList | UnsetType = UNSET
    allocatable: ResourceList | UnsetType = UNSET
    conditions: tuple[Condition, ...] | UnsetType = UNSET
    last_pod_event_time: str | UnsetType = UNSET


class NodeClaim(Struct, frozen=True, kw_only=True, rename="camel"):
    """One node from a NodePool."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeClaimSpec
    status: NodeClaimStatus | UnsetType = UNSET


class NodeClaimTemplate(Struct, frozen=True, kw_only=True, rename="camel"):
    """The NodeClaims that a NodePool makes."""

    spec: NodeClaimSpec
    metadata: ObjectMeta | UnsetType = UNSET


class Budget(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many nodes (a number or a percentage) may be disrupted at once, and when (cron, duration)."""

    nodes: str
    reasons: tuple[str, ...] | UnsetType = UNSET
    schedule: str | UnsetType = UNSET
    duration: str | UnsetType = UNSET


class Disruption(Struct, frozen=True, kw_only=True, rename="camel"):
    """When nodes are consolidated; `consolidateAfter` is a duration or Never."""

    consolidate_after: str | UnsetType = UNSET
    consolidation_policy: str | UnsetType = UNSET
    budgets: tuple[Budget, ...] | UnsetType = UNSET


class NodePoolSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which nodes may be bought, and how many; `replicas` makes the pool static."""

    template: NodeClaimTemplate
    disruption: Disruption | UnsetType = UNSET
    limits: ResourceList | UnsetType = UNSET
    weight: Int32 | UnsetType = UNSET
    replicas: Int64 | UnsetType = UNSET


class NodePoolStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the pool has."""

    resources: ResourceList | UnsetType = UNSET
    nodes: Int64 | UnsetType = UNSET
    node_class_observed_generation: Int64 | UnsetType = UNSET
    conditions: tuple[Condition, ...] | UnsetType = UNSET


class NodePool(Struct, frozen=True, kw_only=True, rename="camel"):
    """A kind of node that may be bought."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: NodePoolSpec
    status: NodePoolStatus | UnsetType = UNSET


class NodeOverlaySpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Changes price (text: "0.5", "-10%", "+0.2") or capacity of the instance types that match."""

    requirements: tuple[NodeSelectorRequirement, ...] | UnsetType = UNSET
    price_adjustment: str | UnsetType = UNSET
    price: str | UnsetType = UNSET
    capacity: ResourceList | UnsetType = UNSET
    weight: Int32 | UnsetType = UNSET


class NodeOverlayStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the overlay was taken."""

    conditions: tuple[Condition, ...] | UnsetType = UNSET


class NodeOverlay(Struct, frozen=True, kw_only=True, rename="camel"):
    """A correction of a cloud's catalog."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: NodeOverlaySpec
    status: NodeOverlayStatus | UnsetType = UNSET

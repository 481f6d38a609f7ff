"""apps/v1: Deployment, StatefulSet, ReplicaSet, DaemonSet."""

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.core import PodTemplateSpec
from stellwerk.api.groups.meta import Condition, Int32, Int64, LabelSelector, ObjectMeta


class RollingUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many pods may be missing or surplus during an update: a number or a percentage."""

    max_unavailable: int | str | UnsetType = UNSET
    max_surge: int | str | UnsetType = UNSET


class DeploymentStrategy(Struct, frozen=True, kw_only=True, rename="camel"):
    """`type`: RollingUpdate or Recreate."""

    type: str | UnsetType = UNSET
    rolling_update: RollingUpdate | UnsetType = UNSET


class DeploymentSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """`replicas` equal pods (default 1) that run on."""

    template: PodTemplateSpec
    replicas: Int32 | UnsetType = UNSET
    selector: LabelSelector | UnsetType = UNSET
    strategy: DeploymentStrategy | UnsetType = UNSET
    min_ready_seconds: Int32 | UnsetType = UNSET
    revision_history_limit: Int32 | UnsetType = UNSET
    paused: bool | UnsetType = UNSET
    progress_deadline_seconds: Int32 | UnsetType = UNSET


class DeploymentStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of a Deployment's pods."""

    observed_generation: Int64 | UnsetType = UNSET
    replicas: Int32 | UnsetType = UNSET
    updated_replicas: Int32 | UnsetType = UNSET
    ready_replicas: Int32 | UnsetType = UNSET
    available_replicas: Int32 | UnsetType = UNSET
    unavailable_replicas: Int32 | UnsetType = UNSET
    terminating_replicas: Int32 | UnsetType = UNSET
    conditions: tuple[Condition, ...] | UnsetType = UNSET


class Deployment(Struct, frozen=True, kw_only=True, rename="camel"):
    """A service."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec
    status: DeploymentStatus | UnsetType = UNSET


class StatefulSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """`replicas` pods (default 1), numbered from 0, each with a name that stays."""

    template: PodTemplateSpec
    service_name: str | UnsetType = UNSET
    replicas: Int32 | UnsetType = UNSET
    selector: LabelSelector | UnsetType = UNSET
    pod_management_policy: str | UnsetType = UNSET
    min_ready_seconds: Int32 | UnsetType = UNSET
    revision_history_limit: Int32 | UnsetType = UNSET


class StatefulSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """A service whose pods are told apart."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: StatefulSetSpec


class ReplicaSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """`replicas` equal pods (default 1) that run on."""

    template: PodTemplateSpec = PodTemplateSpec()
    replicas: Int32 | UnsetType = UNSET
    selector: LabelSelector | UnsetType = UNSET
    min_ready_seconds: Int32 | UnsetType = UNSET


class ReplicaSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """Equal pods, mostly one version of a Deployment's."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()


class DaemonSetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pod on each node that it fits."""

    template: PodTemplateSpec
    selector: LabelSelector | UnsetType = UNSET


class DaemonSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """A service of every node."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: DaemonSetSpec

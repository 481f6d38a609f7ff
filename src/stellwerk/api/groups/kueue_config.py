"""config.kueue.x-k8s.io/v1beta2: Kueue's Configuration. A field that there is not is refused, as Kueue does.

Sections that say how the manager runs, and not what it decides, are kept unread (`Any`).
Source: kueue apis/config/v1beta2/configuration_types.go.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.meta import Int32, LabelSelector, ResourceList
from stellwerk.api.groups.resource import DeviceSelector


class RequeuingStrategy(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """When a Workload whose pods did not get ready is tried again; `timestamp`: Eviction or Creation."""

    timestamp: str | UnsetType = UNSET
    backoff_limit_count: Int32 | UnsetType = UNSET
    backoff_base_seconds: Int32 | UnsetType = UNSET
    backoff_max_seconds: Int32 | UnsetType = UNSET


class WaitForPodsReady(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How long the pods of an admitted Workload may take to be ready; Go durations."""

    timeout: str | UnsetType = UNSET
    block_admission: bool | UnsetType = UNSET
    requeuing_strategy: RequeuingStrategy | UnsetType = UNSET
    recovery_timeout: str | UnsetType = UNSET


class Integrations(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The kinds of jobs that Kueue manages."""

    frameworks: tuple[str, ...] | UnsetType = UNSET
    external_frameworks: tuple[str, ...] | UnsetType = UNSET
    label_keys_to_copy: tuple[str, ...] | UnsetType = UNSET


class ResourceTransformation(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One resource counted as others; `strategy`: Retain or Replace."""

    input: str
    strategy: str | UnsetType = UNSET
    multiply_by: str | UnsetType = UNSET
    outputs: ResourceList | UnsetType = UNSET


class DeviceClassCounterSource(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A counter of a driver's devices that quota is counted in."""

    name: str | UnsetType = UNSET
    driver: str | UnsetType = UNSET
    device_selector: DeviceSelector | UnsetType = UNSET


class DeviceClassCapacitySource(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """A capacity of a driver's devices that quota is counted in."""

    name: str | UnsetType = UNSET
    driver: str | UnsetType = UNSET
    device_selector: DeviceSelector | UnsetType = UNSET


class DeviceClassSource(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is counted instead of devices: exactly one of the two."""

    counter: DeviceClassCounterSource | UnsetType = UNSET
    capacity: DeviceClassCapacitySource | UnsetType = UNSET


class DeviceClassMapping(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The resource, as ClusterQueues name it, that devices of these classes count as."""

    name: str | UnsetType = UNSET
    device_class_names: tuple[str, ...] | UnsetType = UNSET
    sources: tuple[DeviceClassSource, ...] | UnsetType = UNSET


class Resources(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How requests are counted; `quotaCheckStrategy`: BlockUndeclared or IgnoreUndeclared."""

    quota_check_strategy: str | UnsetType = UNSET
    exclude_resource_prefixes: tuple[str, ...] | UnsetType = UNSET
    transformations: tuple[ResourceTransformation, ...] | UnsetType = UNSET
    device_class_mappings: tuple[DeviceClassMapping, ...] | UnsetType = UNSET


class FairSharing(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Fair sharing between queues; the strategies by which it preempts, in turn."""

    preemption_strategies: tuple[str, ...] | UnsetType = UNSET


class AdmissionFairSharing(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Fair sharing between LocalQueues, by what they used; Go durations."""

    usage_half_life_time: str | UnsetType = UNSET
    usage_sampling_interval: str | UnsetType = UNSET
    resource_weights: Mapping[str, Decimal] | UnsetType = UNSET


class Configuration(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What Kueue's manager is started with."""

    api_version: str
    kind: str
    metadata: Any = UNSET
    namespace: str | UnsetType = UNSET
    manage_jobs_without_queue_name: bool | UnsetType = UNSET
    managed_jobs_namespace_selector: LabelSelector | UnsetType = UNSET
    wait_for_pods_ready: WaitForPodsReady | UnsetType = UNSET
    integrations: Integrations | UnsetType = UNSET
    fair_sharing: FairSharing | UnsetType = UNSET
    admission_fair_sharing: AdmissionFairSharing | UnsetType = UNSET
    resources: Resources | UnsetType = UNSET
    feature_gates: Mapping[str, bool] | UnsetType = UNSET
    client_connection: Any = UNSET
    controller: Any = UNSET
    health: Any = UNSET
    internal_cert_management: Any = UNSET
    leader_election: Any = UNSET
    metrics: Any = UNSET
    multi_kueue: Any = UNSET
    object_retention_policies: Any = UNSET
    pprof_bind_address: Any = UNSET
    tls: Any = UNSET
    visibility_server: Any = UNSET
    webhook: Any = UNSET

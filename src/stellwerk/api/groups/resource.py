"""resource.k8s.io/v1: devices offered (ResourceSlice, DeviceClass), asked for and given (ResourceClaim)."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from stellwerk.api.groups.core import NodeSelector
from stellwerk.api.groups.meta import Condition, Int64, ObjectMeta
from stellwerk.api.quantity import Quantity


class DeviceAttribute(Struct, frozen=True, kw_only=True, rename="camel"):
    """One value of one type: a version is semver 2.0; the lists need list-typed attributes."""

    int_: Int64 | UnsetType = field(name="int", default=UNSET)
    bool_: bool | UnsetType = field(name="bool", default=UNSET)
    string: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
    ints: tuple[Int64, ...] | UnsetType = UNSET
    bools: tuple[bool, ...] | UnsetType = UNSET
    strings: tuple[str, ...] | UnsetType = UNSET
    versions: tuple[str, ...] | UnsetType = UNSET


class CapacityRequestPolicyRange(Struct, frozen=True, kw_only=True, rename="camel"):
    """Amounts that may be asked for: min, min + step, ... up to max."""

    min: Quantity | UnsetType = UNSET
    max: Quantity | UnsetType = UNSET
    step: Quantity | UnsetType = UNSET


class CapacityRequestPolicy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How an amount that is asked of a shared device is rounded up."""

    default: Quantity | UnsetType = UNSET
    valid_values: tuple[Quantity, ...] | UnsetType = UNSET
    valid_range: CapacityRequestPolicyRange | UnsetType = UNSET


class DeviceCapacity(Struct, frozen=True, kw_only=True, rename="camel"):
    """An amount of something that a device has."""

    value: Quantity
    request_policy: CapacityRequestPolicy | UnsetType = UNSET


class Counter(Struct, frozen=True, kw_only=True, rename="camel"):
    """An amount that devices of a pool share."""

    value: Quantity


class CounterSet(Struct, frozen=True, kw_only=True, rename="camel"):
    """Named counters of one pool."""

    name: str
    counters: Mapping[str, Counter] | UnsetType = UNSET


class DeviceCounterConsumption(Struct, frozen=True, kw_only=True, rename="camel"):
    """What an allocated device takes from a counter set."""

    counter_set: str
    counters: Mapping[str, Counter] | UnsetType = UNSET
    compatibility_groups: tuple[str, ...] | UnsetType = UNSET


class DeviceTaint(Struct, frozen=True, kw_only=True, rename="camel"):
    """Keeps claims without a toleration from a device; `effect`: None, NoSchedule or NoExecute."""

    key: str
    effect: str
    value: str | UnsetType = UNSET
    time_added: str | UnsetType = UNSET


class NodeAllocatableMapping(Struct, frozen=True, kw_only=True, rename="camel"):
    """How much of a node's resource a device stands for."""

    capacity_key: str | UnsetType = UNSET
    capacity_multiplier: Quantity | UnsetType = UNSET
    device_multiplier: Quantity | UnsetType = UNSET


class NodeAllocatableOverhead(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a device costs each pod or container in a node's resource."""

    per_pod: Quantity | UnsetType = UNSET
    per_container: Quantity | UnsetType = UNSET


class NodeAllocatableResource(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device's share of a node's resource."""

    mapping: NodeAllocatableMapping | UnsetType = UNSET
    overhead: NodeAllocatableOverhead | UnsetType = UNSET


class Device(Struct, frozen=True, kw_only=True, rename="camel"):
    """One device of a slice; attribute and capacity names without a domain belong to the driver's."""

    name: str
    attributes: Mapping[str, DeviceAttribute] | UnsetType = UNSET
    capacity: Mapping[str, DeviceCapacity] | UnsetType = UNSET
    consumes_counters: tuple[DeviceCounterConsumption, ...] | UnsetType = UNSET
    node_name: str | UnsetType = UNSET
    node_selector: NodeSelector | UnsetType = UNSET
    all_nodes: bool | UnsetType = UNSET
    taints: tuple[DeviceTaint, ...] | UnsetType = UNSET
    binds_to_node: bool | UnsetType = UNSET
    binding_conditions: tuple[str, ...] | UnsetType = UNSET
    binding_failure_conditions: tuple[str, ...] | UnsetType = UNSET
    allow_multiple_allocations: bool | UnsetType = UNSET
    node_allocatable_resources: Mapping[str, NodeAllocatableResource] | UnsetType = UNSET


class ResourcePool(Struct, frozen=True, kw_only=True, rename="camel"):
    """A pool is complete when all its slices of the newest generation are there."""

    name: str
    generation: Int64
    resource_slice_count: Int64


class ResourceSliceSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Devices of one driver on one node, on selected nodes or on all."""

    driver: str
    pool: ResourcePool
    node_name: str | UnsetType = UNSET
    node_selector: NodeSelector | UnsetType = UNSET
    all_nodes: bool | UnsetType = UNSET
    devices: tuple[Device, ...] | UnsetType = UNSET
    per_device_node_selection: bool | UnsetType = UNSET
    shared_counters: tuple[CounterSet, ...] | UnsetType = UNSET
    partition_type_attribute: str | UnsetType = UNSET
    skip_node_operations: tuple[str, ...] | UnsetType = UNSET


class ResourceSlice(Struct, frozen=True, kw_only=True, rename="camel"):
    """Part of a pool of devices."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceSliceSpec


class CELDeviceSelector(Struct, frozen=True, kw_only=True, rename="camel"):
    """A CEL expression over `device`."""

    expression: str


class DeviceSelector(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which devices will do."""

    cel: CELDeviceSelector | UnsetType = UNSET


class OpaqueDeviceConfiguration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Parameters that only the driver understands."""

    driver: str
    parameters: Any


class DeviceConfiguration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Configuration of a class."""

    opaque: OpaqueDeviceConfiguration | UnsetType = UNSET


class DeviceClassSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Selectors and configuration under a name; may stand in for an extended resource."""

    selectors: tuple[DeviceSelector, ...] | UnsetType = UNSET
    config: tuple[DeviceConfiguration, ...] | UnsetType = UNSET
    extended_resource_name: str | UnsetType = UNSET


class DeviceClass(Struct, frozen=True, kw_only=True, rename="camel"):
    """A named kind of device."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: DeviceClassSpec


class DeviceToleration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Lets a claim have devices with a matching taint."""

    key: str | UnsetType = UNSET
    operator: str | UnsetType = UNSET
    value: str | UnsetType = UNSET
    effect: str | UnsetType = UNSET
    toleration_seconds: Int64 | UnsetType = UNSET


class CapacityRequirements(Struct, frozen=True, kw_only=True, rename="camel"):
    """Amounts asked of a device that is shared."""

    requests: Mapping[str, Quantity] | UnsetType = UNSET


class DeviceDerivedAttribute(Struct, frozen=True, kw_only=True, rename="camel"):
    """An attribute that a CEL expression makes of a device; constraints may use its name."""

    name: str
    expression: str


class ExactDeviceRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """`count` devices (default 1), or all that match; `allocationMode`: ExactCount or All."""

    device_class_name: str
    selectors: tuple[DeviceSelector, ...] | UnsetType = UNSET
    allocation_mode: str | UnsetType = UNSET
    count: Int64 | UnsetType = UNSET
    admin_access: bool | UnsetType = UNSET
    tolerations: tuple[DeviceToleration, ...] | UnsetType = UNSET
    capacity: CapacityRequirements | UnsetType = UNSET
    derived_attributes: tuple[DeviceDerivedAttribute, ...] | UnsetType = UNSET


class DeviceSubRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """One alternative of firstAvailable."""

    name: str
    device_class_name: str
    selectors: tuple[DeviceSelector, ...] | UnsetType = UNSET
    allocation_mode: str | UnsetType = UNSET
    count: Int64 | UnsetType = UNSET
    tolerations: tuple[DeviceToleration, ...] | UnsetType = UNSET
    capacity: CapacityRequirements | UnsetType = UNSET
    derived_attributes: tuple[DeviceDerivedAttribute, ...] | UnsetType = UNSET


class DeviceRequest(Struct, frozen=True, kw_only=True, rename="camel"):
    """Either `exactly` or the first of `firstAvailable` that can be had."""

    name: str
    exactly: ExactDeviceRequest | UnsetType = UNSET
    first_available: tuple[DeviceSubRequest, ...] | UnsetType = UNSET


class DeviceConstraint(Struct, frozen=True, kw_only=True, rename="camel"):
    """Devices of these requests (all, if none is named) share an attribute's value, or all differ in it."""

    requests: tuple[str, ...] | UnsetType = UNSET
    match_attribute: str | UnsetType = UNSET
    distinct_attribute: str | UnsetType = UNSET


class DeviceClaimConfiguration(Struct, frozen=True, kw_only=True, rename="camel"):
    """Configuration for these requests (all, if none is named)."""

    requests: tuple[str, ...] | UnsetType = UNSET
    opaque: OpaqueDeviceConfiguration | UnsetType = UNSET


class DeviceClaim(Struct, frozen=True, kw_only=True, rename="camel"):
    """Requests that are allocated together or not at all."""

    requests: tuple[DeviceRequest, ...] | UnsetType = UNSET
    constraints: tuple[DeviceConstraint, ...] | UnsetType = UNSET
    config: tuple[DeviceClaimConfiguration, ...] | UnsetType = UNSET


class ResourceClaimSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is asked for."""

    devices: DeviceClaim | UnsetType = UNSET


class DeviceAllocationConfiguration(Struct, frozen=True, kw_only=True, rename="camel"):
    """`source`: FromClass or FromClaim; the claim's comes last and wins."""

    source: str
    requests: tuple[str, ...] | UnsetType = UNSET
    opaque: OpaqueDeviceConfiguration | UnsetType = UNSET


class DeviceRequestAllocationResult(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device given to a request ("request" or "request/subrequest")."""

    request: str
    driver: str
    pool: str
    device: str
    admin_access: bool | UnsetType = UNSET
    tolerations: tuple[DeviceToleration, ...] | UnsetType = UNSET
    binding_conditions: tuple[str, ...] | UnsetType = UNSET
    binding_failure_conditions: tuple[str, ...] | UnsetType = UNSET
    share_id: str | UnsetType = field(name="shareID", default=UNSET)
    consumed_capacity: Mapping[str, Quantity] | UnsetType = UNSET
    skip_node_operations: tuple[str, ...] | UnsetType = UNSET


class DeviceAllocationResult(Struct, frozen=True, kw_only=True, rename="camel"):
    """All devices of a claim."""

    results: tuple[DeviceRequestAllocationResult, ...] | UnsetType = UNSET
    config: tuple[DeviceAllocationConfiguration, ...] | UnsetType = UNSET


class AllocationResult(Struct, frozen=True, kw_only=True, rename="camel"):
    """Devices, and the nodes where they can be used."""

    devices: DeviceAllocationResult | UnsetType = UNSET
    node_selector: NodeSelector | UnsetType = UNSET
    allocation_timestamp: str | UnsetType = UNSET


class ResourceClaimConsumerReference(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who uses an allocated claim."""

    resource: str
    name: str
    uid: str
    api_group: str | UnsetType = UNSET


class NetworkDeviceData(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a driver says of a network device."""

    interface_name: str | UnsetType = UNSET
    ips: tuple[str, ...] | UnsetType = UNSET
    hardware_address: str | UnsetType = UNSET


class AllocatedDeviceStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a driver says of a device that is allocated."""

    driver: str
    pool: str
    device: str
    share_id: str | UnsetType = field(name="shareID", default=UNSET)
    conditions: tuple[Condition, ...] | UnsetType = UNSET
    data: Any | UnsetType = UNSET
    network_data: NetworkDeviceData | UnsetType = UNSET


class ResourceClaimStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was given."""

    allocation: AllocationResult | UnsetType = UNSET
    reserved_for: tuple[ResourceClaimConsumerReference, ...] | UnsetType = UNSET
    devices: tuple[AllocatedDeviceStatus, ...] | UnsetType = UNSET


class ResourceClaim(Struct, frozen=True, kw_only=True, rename="camel"):
    """A request for devices, and its answer."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceClaimSpec
    status: ResourceClaimStatus | UnsetType = UNSET


class ResourceClaimTemplateSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """The claim that is made for each pod."""

    spec: ResourceClaimSpec
    metadata: ObjectMeta | UnsetType = UNSET


class ResourceClaimTemplate(Struct, frozen=True, kw_only=True, rename="camel"):
    """Makes a ResourceClaim for each pod."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceClaimTemplateSpec


class DeviceTaintSelector(Struct, frozen=True, kw_only=True, rename="camel"):
    """The devices that a rule taints: all of these must match."""

    driver: str | UnsetType = UNSET
    pool: str | UnsetType = UNSET
    device: str | UnsetType = UNSET


class DeviceTaintRuleSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """A taint, and for which devices."""

    taint: DeviceTaint
    device_selector: DeviceTaintSelector | UnsetType = UNSET


class DeviceTaintRule(Struct, frozen=True, kw_only=True, rename="camel"):
    """Taints devices without their driver."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: DeviceTaintRuleSpec

"""What the allocator is told (gates, devices in use) and what it answers: allocated, not here, or aborted."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stellwerk.api.groups.resource import AllocationResult
from stellwerk.engine.decision import Reason

# Gate -> field; the names are those of Features.Set() in structured/internal/types.go of Kubernetes 1.37.
GATES = {
    "DRAAdminAccess": "admin_access",
    "DRADeviceCompatibilityGroups": "compatibility_groups",
    "DRAConsumableCapacity": "consumable_capacity",
    "DRADerivedAttributes": "derived_attributes",
    "DRADeviceBindingConditions+DRAResourceClaimDeviceStatus": "device_binding_and_status",
    "DRADeviceTaints": "device_taints",
    "DRAFractionalCapacityRange": "fractional_capacity_range",
    "DRAListTypeAttributes": "list_type_attributes",
    "DRAOptionalNodeOperations": "optional_node_operations",
    "DRAPartitionableDevices": "partitionable_devices",
    "DRAPrioritizedList": "prioritized_list",
}


class Features(Struct, frozen=True, kw_only=True):
    """The gates that change what the allocator does; each is off unless it is given."""

    admin_access: bool = False
    compatibility_groups: bool = False
    consumable_capacity: bool = False
    derived_attributes: bool = False
    device_binding_and_status: bool = False
    device_taints: bool = False
    fractional_capacity_range: bool = False
    list_type_attributes: bool = False
    optional_node_operations: bool = False
    partitionable_devices: bool = False
    prioritized_list: bool = False


def features_of(gates: Iterable[str]) -> Features:
    """The features that these gates turn on; gates that do not concern the allocator are ignored.

    Binding needs two (DRADeviceBindingConditions, DRAResourceClaimDeviceStatus), apart or joined by "+".
    """
    names = set(gates)
    joined = {gate for gate in GATES if set(gate.split("+")) <= names}
    return Features(**{GATES[gate]: True for gate in (names & GATES.keys()) | joined})


class DeviceID(Struct, frozen=True, order=True, cache_hash=True):
    """A device's name in the cluster."""

    driver: str
    pool: str
    device: str

    def __str__(self) -> str:
        return f"{self.driver}/{self.pool}/{self.device}"


class AllocatedState(Struct, frozen=True):
    """What allocated claims already hold.

    `devices`: devices in use. `shared`: devices of which a share is in use. `capacity`: what the shares of
    a device consume together, by capacity name, in billionths.
    """

    devices: frozenset[DeviceID] = frozenset()
    shared: frozenset[DeviceID] = frozenset()
    capacity: Mapping[DeviceID, Mapping[str, int]] = {}


class Allocated(Struct, frozen=True):
    """One result per claim, in the claims' order. `steps`: devices tried until then."""

    node: str
    results: tuple[AllocationResult, ...]
    steps: int = 0


class Unallocatable(Struct, frozen=True):
    """Nothing on this node satisfies all claims; `reasons`: what stood in the way, the request first."""

    node: str
    reasons: tuple[Reason, ...] = ()
    steps: int = 0


class Aborted(Struct, frozen=True):
    """The scheduler would report an error: of this node only, or give up the pod (`only_this_node` false)."""

    node: str
    text: str
    only_this_node: bool = False
    steps: int = 0


Decision = Allocated | Unallocatable | Aborted


class AllocationError(Exception):
    """Allocation cannot go on; `text` as Kubernetes words it where it does. Becomes Aborted at the entry."""

    def __init__(self, text: str, only_this_node: bool = False) -> None:
        super().__init__(text)
        self.text, self.only_this_node = text, only_this_node

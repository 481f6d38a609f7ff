"""A cluster as it is today, as far as a plan over all layers must know it."""

from collections.abc import Mapping

from msgspec import Struct

from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.snapshot import Fleet

GPU = "nvidia.com/gpu"
MIG = "nvidia.com/mig-"
GPU_CLASS, MIG_CLASS = "gpu.nvidia.com", "mig.nvidia.com"


class PlacedPod(Struct, frozen=True):
    """A pod that has not ended, as namespace/name, and its node ("": none yet)."""

    name: str
    node: str


class Owner(Struct, frozen=True, kw_only=True):
    """What made equal pods with GPUs: `kind` and `key` (namespace/name); each pod asks for `gpus`.

    `profile`: the MIG profile that each asks for instead ("": whole GPUs). `claim`: the own name of the claim
    that they ask through ("": extended resources). `containers` of the template ask for GPUs. `local_queue`:
    Kueue's. `changes`: its template may be changed (a Deployment or StatefulSet); the pods of others are what
    they are until they end. `nodes`: where its pods may be, by selector, affinity and taints (None: on all).
    Measured use: memory in bytes, compute in thousandths of a GPU, None where nobody measured it.
    """

    kind: str
    key: str
    pods: tuple[PlacedPod, ...]
    gpus: int = 1
    profile: str = ""
    claim: str = ""
    containers: tuple[str, ...] = ()
    local_queue: str = ""
    changes: bool = False
    nodes: frozenset[str] | None = None
    memory_bytes: int | None = None
    compute_milli: int | None = None
    whole: bool = False
    isolated: bool = False

    @property
    def resource(self) -> str:
        """The extended resource that a pod asks for."""
        return resource_of(self.profile)


class Quota(Struct, frozen=True, kw_only=True):
    """A row of a ClusterQueue: its nominalQuota of a resource in a flavor, and what of it is reserved."""

    queue: str
    group: int
    flavor: str
    resource: str
    nominal: int
    reserved: int = 0


class Waiting(Struct, frozen=True):
    """What Workloads without quota of a ClusterQueue ask for of one resource, and how many they are."""

    queue: str
    resource: str
    amount: int
    workloads: int


class Pool(Struct, frozen=True, kw_only=True):
    """A NodePool of Karpenter: its nodes with GPUs, its limit of GPUs (None: it has none), its consolidation.

    `policy` and `after` are of spec.disruption, as they are in force.
    """

    name: str
    nodes: tuple[str, ...]
    gpu_limit: int | None = None
    policy: str = "WhenEmptyOrUnderutilized"
    after: str = "0s"


class Today(Struct, frozen=True, kw_only=True):
    """All of it. `gpus`: who is on which GPU; `blind` nodes do not show which GPU a pod has.

    `flavors`: the nodes with GPUs that a ResourceFlavor selects; `queues`: LocalQueue (namespace/name) ->
    ClusterQueue; `flavor_of`: owner's key -> the flavor that its Workloads have. `mapped`: DeviceClass ->
    resource, of Kueue's configuration. `executor`: dra or device-plugin.
    """

    fleet: Fleet
    gpus: tuple[Gpu, ...]
    owners: tuple[Owner, ...]
    executor: str
    blind: frozenset[str] = frozenset()
    flavors: Mapping[str, frozenset[str]] = {}
    queues: Mapping[str, str] = {}
    flavor_of: Mapping[str, str] = {}
    quotas: tuple[Quota, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    pools: tuple[Pool, ...] = ()
    mapped: Mapping[str, str] = {}


def resource_of(profile: str) -> str:
    """The device plugin's resource: NVIDIA writes 1g.10gb+me as nvidia.com/mig-1g.10gb.me."""
    return f"{MIG}{profile.replace('+', '.')}" if profile else GPU


def whole_resource(today: Today, owner: Owner) -> str | None:
    """What Kueue counts a whole GPU of the owner's pods as; None: it does not count it."""
    return today.mapped.get(GPU_CLASS) if owner.claim else GPU


def queue_of(today: Today, owner: Owner) -> str | None:
    """The ClusterQueue of an owner's pods; None where Kueue does not queue them."""
    namespace = owner.key.partition("/")[0]
    return today.queues.get(f"{namespace}/{owner.local_queue}") if owner.local_queue else None


def flavor_of(today: Today, owner: Owner) -> str | None:
    """The flavor in which the owner's pods have their GPUs, or get them first; None: no quota holds them."""
    queue, whole = queue_of(today, owner), whole_resource(today, owner)
    flavors = [row.flavor for row in today.quotas if row.queue == queue and row.resource == whole]
    said = today.flavor_of.get(owner.key)
    found = said if said in flavors else next(iter(flavors), None)
    return found if found in today.flavors else None

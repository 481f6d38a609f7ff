"""What was found out about a live cluster, before anything is concluded from it; None: it cannot be seen."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

Gates = Mapping[str, bool]
EVERYWHERE = "*"


class Installed(Struct, frozen=True, kw_only=True):
    """A program that runs in the cluster. `workload`: kind namespace/name of what runs it.

    `version` is as its image's tag or its label says it, without v ("": neither says one). `gates` are
    those that were changed (None: they cannot be seen), `flags` the environment and arguments that matter;
    `parts`: names of its containers. `ready` of `wanted` pods are ready.
    """

    workload: str
    image: str
    version: str = ""
    gates: Gates | None = None
    flags: Mapping[str, str] = {}
    parts: tuple[str, ...] = ()
    ready: int = 0
    wanted: int = 0


class GpuNode(Struct, frozen=True, kw_only=True):
    """A node with NVIDIA GPUs, by its labels; `resources`: nvidia.com/... of its allocatable."""

    name: str
    product: str = ""
    mig_capable: bool = False
    mig_config: str = ""
    mig_state: str = ""
    resources: Mapping[str, int] = {}


class Slices(Struct, frozen=True):
    """What a DRA driver publishes: ResourceSlices, their devices, and on how many nodes."""

    slices: int
    devices: int
    nodes: int


class Lacking(Struct, frozen=True, order=True):
    """A rule that the role lacks; `resource` of `group`, or a path that is no resource (/metrics).

    `namespace` is where (EVERYWHERE: in all; "": it has none), `name` the one object that is asked for.
    """

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' if self.group else ''}{self.group}{self.place}"

    @property
    def place(self) -> str:
        """The name and the namespace in words, after a blank."""
        where = {"": "", EVERYWHERE: " in all namespaces"}
        named = f" {self.name}" if self.name else ""
        return named + where.get(self.namespace, f" in namespace {self.namespace}")


class ServerFacts(Struct, frozen=True, kw_only=True):
    """The API server. `version`: major.minor.patch; `groups`: API group -> versions that are served.

    `gates` of the API server and `scheduler_gates` are those that differ from the defaults; `gates_by`: what
    shows them ("" where nothing does).
    """

    url: str
    context: str
    version: str = ""
    answer_ms: int = 0
    groups: Mapping[str, tuple[str, ...]] = {}
    gates: Gates | None = None
    scheduler_gates: Gates | None = None
    gates_by: str = ""


class NvidiaFacts(Struct, frozen=True, kw_only=True):
    """NVIDIA's side. `cluster_policy`: whether its device plugin is enabled, `gpu_cluster`: its name.

    Both are None where there is no such object (or no such kind).
    """

    operator: Installed | None = None
    cluster_policy: bool | None = None
    gpu_cluster: str | None = None
    device_plugin: Installed | None = None
    driver: Installed | None = None
    exporter: Installed | None = None

    @property
    def publishes(self) -> bool:
        """Whether its GPUs are published in ResourceSlices, by the operator or the driver's own chart."""
        return self.gpu_cluster is not None or (self.driver is not None and "gpus" in self.driver.parts)

    @property
    def plugs(self) -> bool:
        """Whether a device plugin gives nodes extended resources."""
        return bool(self.cluster_policy) or self.device_plugin is not None


class QueueFacts(Struct, frozen=True, kw_only=True):
    """Kueue. `configured`: its Configuration was read; `classes`: DeviceClasses that its mappings name.

    `configuration`: all of it, as it was written.
    """

    installed: Installed | None = None
    served: bool = False
    configured: bool = False
    classes: frozenset[str] = frozenset()
    configuration: Mapping[str, Any] = {}


class BuyerFacts(Struct, frozen=True, kw_only=True):
    """Karpenter. `providers`: by the kinds of NodeClass that are served; `ignores_claims`: its flag."""

    installed: Installed | None = None
    served: bool = False
    providers: tuple[str, ...] = ()
    ignores_claims: bool | None = None


class LiveFacts(Struct, frozen=True, kw_only=True):
    """All of it. `lacking`: what the role may not; `kinds`: how many kinds it was tried on.

    `slices` by driver; `node_count`: all nodes; `device_classes`: their names.
    """

    server: ServerFacts
    lacking: tuple[Lacking, ...] = ()
    kinds: int = 0
    node_count: int = 0
    nodes: tuple[GpuNode, ...] = ()
    slices: Mapping[str, Slices] = {}
    device_classes: frozenset[str] = frozenset()
    nvidia: NvidiaFacts = NvidiaFacts()
    queue: QueueFacts = QueueFacts()
    buyer: BuyerFacts = BuyerFacts()

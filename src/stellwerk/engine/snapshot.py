"""The frozen view that decisions read: a fleet of nodes with GPUs, and what each node costs."""

from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType


class CostTerm(Struct, frozen=True, kw_only=True):
    """One part of a node's hourly cost (rent, depreciation, energy, staff), in the fleet's currency."""

    name: str
    per_hour: Decimal
    formula: str
    date: str
    source: str


class NodeCost(Struct, frozen=True, kw_only=True):
    """What one hour of a node costs: the sum of its terms; or unknown, with the option that would set it.

    `energy_per_kwh`: what a kWh costs that its GPUs draw (price of a kWh times PUE); None: unknown.
    """

    currency: str
    terms: tuple[CostTerm, ...] = ()
    unknown: str = ""
    energy_per_kwh: Decimal | None = None

    @property
    def per_hour(self) -> Decimal | None:
        return None if self.unknown else sum((term.per_hour for term in self.terms), Decimal(0))


class NodeNetwork(Struct, frozen=True, kw_only=True):
    """How a node's GPUs reach one another and other nodes; bus bandwidths of an all-reduce in GB/s.

    `nvlink_domain` GPUs, in order of index, form an NVLink domain (1: none); nodes of one `clique` (what the
    label nvidia.com/gpu.clique says) form one together. GPUs are spread evenly over `pcie_roots`, in order.
    `rdma_gb_s` is of all RDMA NICs of the node together. None: there is none, or nobody published it.
    """

    nvlink_domain: int = 1
    clique: str = ""
    pcie_roots: int = 1
    nvlink_gb_s: Decimal | None = None
    root_gb_s: Decimal | None = None
    node_gb_s: Decimal | None = None
    rdma: str = ""
    rdma_nics: int = 0
    rdma_gb_s: Decimal | None = None
    tcp_gb_s: Decimal | None = None


class FleetNode(Struct, frozen=True, kw_only=True):
    """A node with `gpus` equal GPUs of one catalogue model (`H100-PCIE-80GB`).

    `network` is not set where nobody described it: what jobs lose by it is then not asked.
    """

    name: str
    gpu_model: str
    gpus: int
    gpu_memory_bytes: int
    cost: NodeCost
    network: NodeNetwork | UnsetType = UNSET


class Faults(Struct, frozen=True, kw_only=True):
    """How often a node is lost (thousandths of a loss per node and month of 730 h), and for how long."""

    losses_per_node_month_milli: int = 0
    repair_ns: int = 3_600_000_000_000


class Reconfiguration(Struct, frozen=True, kw_only=True):
    """What cutting a GPU by MIG takes, and how often it fails (of a thousand cuts).

    Times are for one instance that is created or destroyed, for MIG mode switched on or off, and until a cut
    that does not answer is given up.
    """

    create_ns: int = 0
    destroy_ns: int = 0
    mode_ns: int = 0
    failures_per_thousand: int = 0
    timeout_ns: int = 300_000_000_000


class Fleet(Struct, frozen=True, kw_only=True):
    """Nodes in declared order: the last is the first to go when a smaller fleet is tried.

    `reconfiguration` is not set where a GPU is cut at once and without fail.
    """

    name: str
    currency: str
    nodes: tuple[FleetNode, ...]
    faults: Faults = Faults()
    reconfiguration: Reconfiguration | UnsetType = UNSET
    notes: tuple[str, ...] = ()

    @property
    def gpus(self) -> int:
        return sum(node.gpus for node in self.nodes)

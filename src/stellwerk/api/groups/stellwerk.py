"""stellwerk.dev/v1alpha1: Fleet (nodes and cost), Period (of a replay), Interference, PartitionPlan."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType

from stellwerk.api.groups.meta import Int32, Int64, ObjectMeta
from stellwerk.api.quantity import Quantity


class Money(Struct, frozen=True, kw_only=True, rename="camel"):
    """An amount, exact from its text, with its date and where it was found."""

    amount: Decimal
    currency: str
    date: str | UnsetType = UNSET
    source: str | UnsetType = UNSET


class FleetExchangeRate(Struct, frozen=True, kw_only=True, rename="camel"):
    """1 unit of `base` costs `rate` units of `quote`."""

    base: str
    quote: str
    rate: Decimal
    date: str | UnsetType = UNSET
    source: str | UnsetType = UNSET


class InstanceType(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node type of a provider's catalog."""

    provider: str
    name: str
    region: str | UnsetType = UNSET


class Owned(Struct, frozen=True, kw_only=True, rename="camel"):
    """A server of one's own: capex written off in a straight line over `years` down to `residualPercent`."""

    capex: Money
    years: Decimal
    residual_percent: Decimal | UnsetType = UNSET
    power_watts: Decimal | UnsetType = UNSET
    energy_price: Money | UnsetType = UNSET
    pue: Decimal | UnsetType = UNSET
    staff_per_year: Money | UnsetType = UNSET
    colocation_per_year: Money | UnsetType = UNSET


class FleetNvlink(Struct, frozen=True, kw_only=True, rename="camel"):
    """`domain` GPUs of a node, in order, reach one another by NVLink; its bus bandwidth in GB/s, measured."""

    domain: Int32 | UnsetType = UNSET
    bus_bandwidth: Decimal | UnsetType = UNSET


class FleetPcie(Struct, frozen=True, kw_only=True, rename="camel"):
    """PCIe roots over which a node's GPUs are spread evenly, in order.

    `busBandwidth` in GB/s is measured across roots, `rootBusBandwidth` below one.
    """

    roots: Int32 | UnsetType = UNSET
    generation: Int32 | UnsetType = UNSET
    bus_bandwidth: Decimal | UnsetType = UNSET
    root_bus_bandwidth: Decimal | UnsetType = UNSET


class FleetRdma(Struct, frozen=True, kw_only=True, rename="camel"):
    """`nics` of a node (default: one a GPU), each of `gbps`; kind is infiniband, roce or efa."""

    kind: str
    gbps: Decimal
    nics: Int32 | UnsetType = UNSET
    bus_bandwidth: Decimal | UnsetType = UNSET


class FleetTcp(Struct, frozen=True, kw_only=True, rename="camel"):
    """The node's other network: its line rate, and the bus bandwidth that NCCL gets of it in GB/s."""

    gbps: Decimal
    bus_bandwidth: Decimal | UnsetType = UNSET


class FleetNetwork(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the GPUs of each node of a group reach one another; what is left out comes from the catalog."""

    nvlink: FleetNvlink | UnsetType = UNSET
    clique: str | UnsetType = UNSET
    pcie: FleetPcie | UnsetType = UNSET
    rdma: FleetRdma | UnsetType = UNSET
    tcp: FleetTcp | UnsetType = UNSET


class FleetNodeGroup(Struct, frozen=True, kw_only=True, rename="camel"):
    """`count` equal nodes (default 1); at most one of instanceType, price (a node-hour) and owned."""

    name: str
    count: Int32 | UnsetType = UNSET
    gpu_model: str | UnsetType = UNSET
    gpus: Int32 | UnsetType = UNSET
    instance_type: InstanceType | UnsetType = UNSET
    capacity_type: str | UnsetType = UNSET
    price: Money | UnsetType = UNSET
    owned: Owned | UnsetType = UNSET
    network: FleetNetwork | UnsetType = UNSET


class FleetFaults(Struct, frozen=True, kw_only=True, rename="camel"):
    """How often a node is lost in a month, how often a cut of a GPU fails, and Go durations.

    `repair`: how long a lost node, or a GPU that cannot be cut, stays away. `reconfigurationTimeout`: when a
    cut that does not answer is given up.
    """

    losses_per_node_month: Decimal | UnsetType = UNSET
    repair: str | UnsetType = UNSET
    reconfiguration_failures_per_thousand: Int32 | UnsetType = UNSET
    reconfiguration_timeout: str | UnsetType = UNSET


class FleetMig(Struct, frozen=True, kw_only=True, rename="camel"):
    """Go durations: to create an instance, to destroy one, to switch a GPU's MIG mode on or off."""

    create: str | UnsetType = UNSET
    destroy: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET


class FleetSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """Nodes in the order in which they are kept."""

    nodes: tuple[FleetNodeGroup, ...]
    currency: str | UnsetType = UNSET
    exchange_rates: tuple[FleetExchangeRate, ...] | UnsetType = UNSET
    faults: FleetFaults | UnsetType = UNSET
    mig: FleetMig | UnsetType = UNSET


class Fleet(Struct, frozen=True, kw_only=True, rename="camel"):
    """Nodes with GPUs, and what they cost."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: FleetSpec


class PeriodSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """An RFC 3339 time and a Go duration."""

    start: str
    duration: str


class Period(Struct, frozen=True, kw_only=True, rename="camel"):
    """The period that is replayed and billed."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: PeriodSpec


class InterferenceFactor(Struct, frozen=True, kw_only=True, rename="camel"):
    """A job that shares a GPU by `method` takes `factor` times as long as alone, as `source` measured it."""

    method: str
    factor: Decimal
    source: str
    date: str | UnsetType = UNSET
    conditions: str | UnsetType = UNSET


class InterferenceSpec(Struct, frozen=True, kw_only=True, rename="camel"):
    """One factor for each way of sharing that was measured."""

    factors: tuple[InterferenceFactor, ...]


class Interference(Struct, frozen=True, kw_only=True, rename="camel"):
    """What sharing costs, measured."""

    api_version: str
    kind: str
    metadata: ObjectMeta
    spec: InterferenceSpec


class PlanInstance(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A GPU instance: a MIG profile at a memory slice, and the pod that has it."""

    profile: str
    start: Int32
    tenant: str | UnsetType = UNSET


class PlanTenant(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A pod on a GPU that is not cut, with its limits: memory, and compute as a share of the GPU ("250m")."""

    name: str
    memory: Quantity | UnsetType = UNSET
    compute: Quantity | UnsetType = UNSET


class PlanGpu(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One GPU; `method`: whole, mig, mps, time-slicing, or none ("") where nobody is on it."""

    node: str
    index: Int32
    model: str
    method: str | UnsetType = UNSET
    replicas: Int32 | UnsetType = UNSET
    instances: tuple[PlanInstance, ...] | UnsetType = UNSET
    tenants: tuple[PlanTenant, ...] | UnsetType = UNSET


class PlanStep(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One thing to do: `action` is drain, destroy, mode, create, share or place."""

    action: str
    node: str
    gpu: Int32
    subject: str
    start: Int32 | UnsetType = UNSET
    pod: str | UnsetType = UNSET
    seconds: Int64 | UnsetType = UNSET


class PlanReason(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Why not: a code for programs, and a text with places for the values."""

    code: str
    text: str
    values: Mapping[str, str | Int64] | UnsetType = UNSET


class PlanUnserved(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Pods of a request without a place, and why."""

    request: str
    pods: Int32
    reason: PlanReason


class PartitionPlanSpec(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The target per GPU and the steps to it; `executor` is dra (the default) or device-plugin."""

    gpus: tuple[PlanGpu, ...]
    executor: str | UnsetType = UNSET
    steps: tuple[PlanStep, ...] | UnsetType = UNSET
    drained: tuple[str, ...] | UnsetType = UNSET
    unserved: tuple[PlanUnserved, ...] | UnsetType = UNSET


class PartitionPlanStatus(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """GPUs in use by the plan and before it, and what no plan goes below."""

    gpus_used: Int32
    gpus_before: Int32
    bound: Int32
    gap: Int32 | UnsetType = UNSET


class PartitionPlan(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How each GPU is given out: today's state, or a plan."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
    spec: PartitionPlanSpec
    status: PartitionPlanStatus | UnsetType = UNSET

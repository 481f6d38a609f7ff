"""What a measured bill is made from besides the samples, and what it says.

GPU-time is integer GPU-nanoseconds: a quarter of a GPU for 4 hours is one GPU-hour. Energy is integer
microjoules (milliwatts times milliseconds). Cents are integers of the fleet's currency.
"""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from stellwerk.engine.decision import Reason

UJ_PER_KWH = 3_600_000_000_000
USED, IDLE_HELD = "used", "idle-held"
UNSOLD_SLICE, FRAGMENTATION, QUOTA_LOCKED = "unsold-slice", "fragmentation", "quota-locked"
DRAIN, BOOT, GAP, IDLE = "drain", "boot", "gap", "idle"
# What nobody held, in the order of the bill. Held time is USED or IDLE_HELD, and a team pays it.
CAUSES = (UNSOLD_SLICE, FRAGMENTATION, QUOTA_LOCKED, DRAIN, BOOT, GAP, IDLE)
ALL_NODES = "*"


class Span(Struct, frozen=True, order=True):
    """[start_ms, end_ms), milliseconds since 1970."""

    start_ms: int
    end_ms: int


class BillFacts(Struct, frozen=True, kw_only=True):
    """What the samples cannot say; all of it may be missing.

    `lives`: when a node was there and paid for (without: by its samples). `drains`: when it was cordoned.
    `pending`: when workloads waited for GPUs. `mps_nodes`: nodes whose tenants share by MPS ("*": all);
    elsewhere tenants of an uncut GPU share by time-slicing. A pod is idle while it uses less than
    `idle_below_milli` of a GPU for at least `idle_after_ms`. `energy_per_kwh`: in the fleet's currency,
    instead of what its nodes say.
    """

    lives: Mapping[str, tuple[Span, ...]] = {}
    drains: Mapping[str, tuple[Span, ...]] = {}
    pending: tuple[Span, ...] = ()
    mps_nodes: frozenset[str] = frozenset()
    idle_below_milli: int = 50
    idle_after_ms: int = 1_800_000
    boot_limit_ms: int = 1_800_000
    energy_per_kwh: Decimal | None = None

    def shares_by_mps(self, node: str) -> bool:
        """Whether tenants of the node's uncut GPUs share by MPS."""
        return bool(self.mps_nodes & {node, ALL_NODES})


class Line(Struct, frozen=True, kw_only=True):
    """GPU-time of one team and workload, or of one cause (`team` ""), on one slice of a node's GPUs.

    `part` is `used`, `idle-held` or a cause. `slice` is `whole`, `shared`, or a MIG profile.
    """

    team: str
    part: str
    workload: str
    node: str
    slice: str
    gpu_ns: int
    energy_uj: int
    cents: int


class NodeLine(Struct, frozen=True, kw_only=True):
    """What one node is billed for: `per_hour` times the time that it was there, in whole cents.

    `energy_per_kwh`: what a kWh of its GPUs costs, None where that is unknown.
    """

    node: str
    fleet_node: str
    gpus: int
    per_hour: Decimal
    billed_ms: int
    cents: int
    energy_per_kwh: Decimal | None = None


class MeasuredBill(Struct, frozen=True, kw_only=True):
    """The invoice of [start_ms, end_ms): all lines together, all nodes together, and `invoice_cents` agree.

    `energy_uj` is None where no power was measured. `energy_cents` is what the energy costs of nodes with a
    known price of a kWh, None where no measured one has it; `unpriced_uj` is the energy of the others. Energy
    is information: an owned node's price holds it already, a rented one's rent does.
    """

    start_ms: int
    end_ms: int
    currency: str
    invoice_cents: int
    lines: tuple[Line, ...]
    nodes: tuple[NodeLine, ...]
    energy_uj: int | None = None
    energy_cents: int | None = None
    unpriced_uj: int = 0
    warnings: tuple[Reason, ...] = ()

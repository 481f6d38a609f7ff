"""What a comparison of the ways of sharing reads and answers; no decision here.

Money is exact, in one currency, for a month of 730 hours. What is not known is None, with the option that
sets it; never 0.
"""

from decimal import Decimal

from msgspec import Struct

from stellwerk.catalog.prices import ExchangeRate, Price
from stellwerk.catalog.published.interference import Measurement
from stellwerk.catalog.sharing.ways import Answer
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.need import GpuFacts
from stellwerk.engine.placement.place import Grant
from stellwerk.engine.snapshot import NodeCost


class LicencePrice(Struct, frozen=True):
    """What a user pays a year for each `unit` (gpu or user); goes before the catalog's price."""

    unit: str
    price: Price


class Setup(Struct, frozen=True, kw_only=True):
    """Under what to compare: a GPU model, `node` (a node's cost an hour) with its `node_gpus`, the rules.

    `replicas` are those of time-slicing; `latency`: there is an objective; `use`: containers or vdi.
    """

    facts: GpuFacts
    node: NodeCost
    node_gpus: int = 1
    replicas: int = 4
    latency: bool = False
    use: str = "containers"
    licence_prices: tuple[LicencePrice, ...] = ()
    rates: tuple[ExchangeRate, ...] = ()


class Fit(Struct, frozen=True, kw_only=True):
    """`per_gpu` equal tenants share a GPU; `reason` is what limits them. `layout` says how a GPU is cut."""

    per_gpu: int
    reason: Reason
    layout: str = ""
    grant: Grant


class SlowdownRange(Struct, frozen=True, kw_only=True):
    """How many times as long a tenant takes: from `low` to `high`; `basis` is range or given (a file)."""

    low: Decimal
    high: Decimal
    tenants: int
    basis: str


class LicenceNeed(Struct, frozen=True, kw_only=True):
    """`count` licences of a product; `per_month` is None while `unknown` names the option to set."""

    name: str
    unit: str
    count: int
    per_year: Price | None
    per_month: Decimal | None
    unknown: str = ""
    note: str = ""
    source: str


class Cost(Struct, frozen=True, kw_only=True):
    """A month's cost; each part, and so the total, is None while an option of `unknown` is not set."""

    currency: str
    gpus: Decimal | None
    licences: Decimal | None
    total: Decimal | None
    unknown: tuple[str, ...] = ()


class Option(Struct, frozen=True, kw_only=True):
    """One way for one workload. `fits`: yes, no or unknown; `verdict`: recommended, possible, no, unknown.

    `because` gives the verdict's reason; `against` what speaks against the way wherever it fits.
    """

    way: str
    fits: str
    reason: Reason
    tenants_per_gpu: int | None = None
    layout: str = ""
    gpus: int | None = None
    memory: Answer
    faults: Answer
    performance: Answer
    slowdown: SlowdownRange | None = None
    published: tuple[Measurement, ...] = ()
    licence: LicenceNeed | None = None
    cost: Cost | None = None
    verdict: str = ""
    because: Reason
    against: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


class Compared(Struct, frozen=True, kw_only=True):
    """A workload of `tenants` equal pods, and every way for it."""

    job: Job
    tenants: int
    options: tuple[Option, ...]


class SetOption(Struct, frozen=True, kw_only=True):
    """One way for all workloads together; `whole` are those that get whole GPUs under it."""

    way: str
    fits: str
    gpus: int | None = None
    whole: tuple[str, ...] = ()
    packing: str = ""
    cost: Cost | None = None
    verdict: str = ""
    because: Reason


class Comparison(Struct, frozen=True, kw_only=True):
    """Everything side by side on one GPU model; `together` is empty for a single workload."""

    setup: Setup
    workloads: tuple[Compared, ...]
    together: tuple[SetOption, ...] = ()
    notes: tuple[str, ...] = ()

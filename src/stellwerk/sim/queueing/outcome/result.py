"""The figures of a simulation of queues, as data: exact, never a float. None is unknown, or there is none."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.sim.queueing.changes import Edit

BASE = "before"


class Jobs(Struct, frozen=True, kw_only=True, rename="camel"):
    """Workloads by what became of them. `waiting` at the end; `never_started` of these never had quota."""

    arrived: int
    started: int
    finished: int
    running: int
    waiting: int
    never_started: int


class Waits(Struct, frozen=True, kw_only=True, rename="camel"):
    """From creation to an admission; who has none waits up to the end. Percentiles by nearest rank."""

    mean_ns: int
    p50_ns: int
    p95_ns: int
    max_ns: int


class Hours(Struct, frozen=True, kw_only=True, rename="camel"):
    """Of one resource, in units times hours: GPUs, CPU cores, GiB of memory, or what Kueue counts.

    `lost`: what evicted Workloads had held. `nominal`: what the queue's own quota would have given; `own` of
    that was used by itself, `borrowed` was held beyond it. `share` is of all that was held, `of_nominal` is
    held / nominal, `own_use` is own / nominal.
    """

    held: Decimal
    lost: Decimal
    nominal: Decimal | None = None
    own: Decimal | None = None
    borrowed: Decimal | None = None
    share: Decimal | None = None
    of_nominal: Decimal | None = None
    own_use: Decimal | None = None


class Cost(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was held, and the part of it that was lost."""

    held: Decimal
    lost: Decimal


class QueueFigures(Struct, frozen=True, kw_only=True, rename="camel"):
    """A ClusterQueue, a LocalQueue (namespace/name, and the ClusterQueue that it leads to), or all.

    `first`, `last`: to the first and the last admission. `evictions`: how often Workloads lost their quota,
    also by reason. `last_finish_ns`: since 1970.
    """

    name: str
    cluster_queue: str = ""
    jobs: Jobs
    first: Waits | None
    last: Waits | None
    evictions: int
    eviction_reasons: Mapping[str, int]
    hours: Mapping[str, Hours]
    last_finish_ns: int | None
    cost: Cost | None = None


class Bill(Struct, frozen=True, kw_only=True, rename="camel"):
    """`held` and `idle` are `total`. By flavor: idle quota, and what a GPU-hour costs."""

    currency: str
    total: Decimal
    held: Decimal
    lost: Decimal
    idle: Decimal
    idle_by_flavor: Mapping[str, Decimal]
    held_by_namespace: Mapping[str, Decimal]
    gpu_hour_by_flavor: Mapping[str, Decimal]


class NeverStarted(Struct, frozen=True, kw_only=True, rename="camel"):
    """A Workload that was never admitted, and why in Kueue's words."""

    workload: str
    job: str
    local_queue: str
    cluster_queue: str
    answer: str


class Outcome(Struct, frozen=True, kw_only=True, rename="camel"):
    """One course of the demand. `source` names the change file, "" for the base; `cycles` of scheduling."""

    name: str
    source: str = ""
    edits: tuple[Edit, ...] = ()
    cycles: int
    total: QueueFigures
    cluster_queues: tuple[QueueFigures, ...]
    local_queues: tuple[QueueFigures, ...]
    bill: Bill | None
    notes: tuple[Reason, ...] = ()
    never_started: tuple[NeverStarted, ...] = ()


class Simulation(Struct, frozen=True, kw_only=True, rename="camel"):
    """All courses, the base first, over the same time. `resource` is the one that tables show."""

    start_ns: int
    end_ns: int
    resource: str
    fair_sharing: bool = False
    outcomes: tuple[Outcome, ...]

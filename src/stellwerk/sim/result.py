"""What a replay found: figures as integers and exact decimals, so that a receipt can hold them.

Times are nanoseconds from the start of the period, shares are thousandths of one GPU, GPU-hours have three
decimals, money two. A figure that cannot be known is None.
"""

from decimal import Decimal

from msgspec import UNSET, Struct, UnsetType

from stellwerk.engine.demand import LeftOut
from stellwerk.engine.snapshot import Fleet


class Jobs(Struct, frozen=True, kw_only=True, rename="camel"):
    """arrived = finished + running + waiting + rejected, at the end of the period.

    `shared` jobs had at least once another tenant on their GPU; `slowed` ones ran slower than alone at least
    once; `interrupted` ones lost their node at least once (they start again, and are counted where they end).
    """

    arrived: int
    finished: int
    running: int
    waiting: int
    rejected: int
    interrupted: int
    shared: int
    slowed: int


class Waits(Struct, frozen=True, kw_only=True, rename="camel"):
    """From arrival to first start, nearest-rank percentiles over all jobs that were not rejected.

    A job that never started counts with its wait up to the end of the period.
    """

    p50_ns: int
    p95_ns: int
    max_ns: int


class Overflow(Struct, frozen=True, kw_only=True, rename="camel"):
    """Memory that tenants really took beyond what they were given: a real GPU would have killed a process."""

    jobs: int
    gib_hours: Decimal


class GpuHours(Struct, frozen=True, kw_only=True, rename="camel"):
    """`paid`: the fleet's GPUs over the period; `held`: given to jobs; `used`: kept busy, as measured."""

    paid: Decimal
    held: Decimal
    used: Decimal


class Cost(Struct, frozen=True, kw_only=True, rename="camel"):
    """In the fleet's currency: a month of 730 h, the period, a useful GPU-hour. None: a price is unknown."""

    currency: str
    month: Decimal | None
    period: Decimal | None
    useful_gpu_hour: Decimal | None


class Team(Struct, frozen=True, kw_only=True, rename="camel"):
    """One team's part; the teams' costs and the idle cost add up to the period's cost, to the cent."""

    team: str
    jobs: int
    wait_p95_ns: int
    held: Decimal
    used: Decimal
    cost: Decimal | None


class Rejected(Struct, frozen=True, kw_only=True, rename="camel"):
    """Jobs that no empty fleet could ever start, grouped by reason, with one of them as example."""

    code: str
    text: str
    jobs: int
    example: str


class Sample(Struct, frozen=True, kw_only=True, rename="camel"):
    """Averages over a stretch of time that begins at `start_ns`: GPUs held and used, jobs waiting (milli)."""

    start_ns: int
    held_milli: int
    used_milli: int
    waiting_milli: int


class Slice(Struct, frozen=True, kw_only=True, rename="camel"):
    """A tenant's part of a GPU: from `start_milli`, `size_milli` of its width, how, and by whom."""

    node: str
    gpu: int
    start_milli: int
    size_milli: int
    method: str  # "whole" | "time-slicing" | "mps" | "mig"
    label: str  # "" | a MIG profile
    job: str
    team: str


class SliceMap(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who held what at `at_ns`: the first moment at which most jobs ran."""

    at_ns: int
    slices: tuple[Slice, ...]


class Reconfigurations(Struct, frozen=True, kw_only=True, rename="camel"):
    """Cuts of GPUs that were begun, those that did not do what was asked, GPUs cordoned, time of all cuts."""

    cuts: int
    failed: int
    repairs: int
    time_ns: int


class NetworkLevel(Struct, frozen=True, kw_only=True, rename="camel"):
    """Gangs that one level of link joined, and what they lost against the link of their measured duration."""

    level: str
    gangs: int
    lost_ns: int
    gpu_hours: Decimal
    cost: Decimal | None


class NetworkLoss(Struct, frozen=True, kw_only=True, rename="camel"):
    """What gangs lost to the network: run time, GPU-hours held, and their cost; the levels add up to it.

    `share` of a step waits for the network in gangs that do not say it. `unknown` gangs had a link of which
    no bandwidth is known: they lost nothing here. A gang that was interrupted may count at two levels.
    """

    share: Decimal
    gangs: int
    unknown: int
    lost_ns: int
    gpu_hours: Decimal
    cost: Decimal | None
    levels: tuple[NetworkLevel, ...]


class Run(Struct, frozen=True, kw_only=True, rename="camel"):
    """A policy under one assumption on slowdown: "none", "proportional", or "given" (from a sourced file).

    `reconfigurations` are counted where the fleet says that a cut takes time or may fail, `network` where it
    describes one.
    """

    slowdown: str
    jobs: Jobs
    waits: Waits
    gpu_hours: GpuHours
    overflow: Overflow
    cost: Cost
    idle_cost: Decimal | None
    teams: tuple[Team, ...]
    rejected: tuple[Rejected, ...]
    samples: tuple[Sample, ...]
    busiest: SliceMap
    reconfigurations: Reconfigurations | UnsetType = UNSET
    network: NetworkLoss | UnsetType = UNSET


class Sized(Struct, frozen=True, kw_only=True, rename="camel"):
    """The smallest fleet whose p95 wait is not above the target, with its runs; `tried` fleets were replayed.

    `nodes` 0 and no runs: none up to `tried` nodes meets the target.
    """

    nodes: int
    gpus: int
    tried: int
    runs: tuple[Run, ...]


class Outcome(Struct, frozen=True, kw_only=True, rename="camel"):
    """A policy's runs: one where sharing slows nobody or the slowdown is given, else [none, proportional]."""

    policy: str
    runs: tuple[Run, ...]
    sized: Sized | None = None

    @property
    def worst(self) -> Run:
        return self.runs[-1]


class Replay(Struct, frozen=True, kw_only=True, rename="camel"):
    """The same demand under each policy, side by side; `outcomes[0]` is the baseline, whole GPUs."""

    demand: str
    period_ns: int
    start_ns: int
    fleet: Fleet
    seed: int
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

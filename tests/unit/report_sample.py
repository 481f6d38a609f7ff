"""A replay of four GPUs and three teams; its bills add up, its ranges are real ranges."""

from decimal import Decimal

from msgspec.structs import replace

from stellwerk.engine.demand import LeftOut
from stellwerk.engine.snapshot import CostTerm, Fleet, FleetNode, NodeCost
from stellwerk.sim import result

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
MIN = HOUR // 60
PERIOD = 7 * DAY
START = 1_740_960_000_000_000_000  # 2025-03-03, a Monday.
RENT = CostTerm(
    name="rent",
    per_hour=Decimal("2.5932187110"),
    formula="2.7 USD / 1.0411 USD per EUR",
    date="2025-02-28",
    source="price list of Scaleway; 1 EUR = 1.0411 USD on 2025-02-28 (ECB)",
)
POWER = CostTerm(
    name="energy",
    per_hour=Decimal("0.5966"),
    formula="2000 W / 1000 * 1.63 * 0.183 EUR per kWh",
    date="2026-08-28",
    source="invoice",
)


def fleet(nodes: int = 4) -> Fleet:
    """`nodes` rented nodes with one GPU each."""
    cost = NodeCost(currency="EUR", terms=(RENT,))
    return Fleet(
        name="demo",
        currency="EUR",
        nodes=tuple(
            FleetNode(
                name=f"gpu-{index}", gpu_model="H100-PCIE-80GB", gpus=1, gpu_memory_bytes=80 << 30, cost=cost
            )
            for index in range(nodes)
        ),
    )


def run(policy: str, slowdown: str, nodes: int, wait_min: int) -> result.Run:
    """One run; the busier the wait, the fuller the GPUs."""
    paid = Decimal(nodes * 168)
    held = (paid * (Decimal("0.82") if policy == "whole" else Decimal("0.44"))).quantize(Decimal("0.001"))
    used = Decimal("61.250")
    period = (RENT.per_hour * nodes * 168).quantize(Decimal("0.01"))
    month = (RENT.per_hour * nodes * 730).quantize(Decimal("0.01"))
    names = ("research", "search", "support")
    parts = [(period * share * held / paid / 10).quantize(Decimal("0.01")) for share in (5, 3, 2)]
    teams = tuple(
        result.Team(
            team=name,
            jobs=12 + index,
            wait_p95_ns=wait_min * MIN,
            held=(held * share / 10).quantize(Decimal("0.001")),
            used=(used * share / 10).quantize(Decimal("0.001")),
            cost=part,
        )
        for index, (name, share, part) in enumerate(zip(names, (5, 3, 2), parts, strict=True))
    )
    slowed = 9 if slowdown == "proportional" else 0
    return result.Run(
        slowdown=slowdown,
        jobs=result.Jobs(
            arrived=39,
            finished=36,
            running=2,
            waiting=0,
            rejected=1,
            interrupted=0,
            shared=0 if policy == "whole" else 31,
            slowed=slowed,
        ),
        waits=result.Waits(p50_ns=0, p95_ns=wait_min * MIN, max_ns=2 * wait_min * MIN),
        gpu_hours=result.GpuHours(paid=paid, held=held, used=used),
        overflow=result.Overflow(
            jobs=2 if policy == "time-slicing" else 0,
            gib_hours=Decimal("12.500") if policy == "time-slicing" else Decimal("0.000"),
        ),
        cost=result.Cost(
            currency="EUR",
            month=month,
            period=period,
            useful_gpu_hour=(period / used).quantize(Decimal("0.01")),
        ),
        idle_cost=period - sum(parts),
        teams=teams,
        rejected=(
            result.Rejected(code="TooBig", text="needs 8 GPUs on one node", jobs=1, example="llm-pretrain"),
        ),
        samples=samples(policy, nodes, wait_min),
        busiest=slices(policy, nodes),
    )


def samples(policy: str, nodes: int, wait_min: int) -> tuple[result.Sample, ...]:
    """An office week in stretches of two hours."""
    found = []
    for index in range(84):
        office = 4 <= index % 12 < 9 and index < 60
        held = nodes * (960 if office else 640) * (100 if policy == "whole" else 60) // 100
        queue = wait_min * (20 if office and policy == "whole" else 3) if office else 0
        found.append(
            result.Sample(
                start_ns=index * 2 * HOUR,
                held_milli=held,
                used_milli=nodes * (240 if office else 60),
                waiting_milli=queue * (1 + index % 5),
            )
        )
    return tuple(found)


def slices(policy: str, nodes: int) -> result.SliceMap:
    """Whole GPUs by team; or each GPU cut in three."""
    teams = ("research", "search", "support")
    found = []
    for index in range(nodes):
        cuts = {
            "whole": ((0, 1000, "whole", ""),),
            "mps": ((0, 400, "mps", ""), (400, 300, "mps", ""), (700, 150, "mps", "")),
        }
        mig = ((0, 571, "mig", "4g.40gb"), (571, 286, "mig", "2g.20gb"), (857, 143, "mig", "1g.10gb"))
        for place, (start, size, method, label) in enumerate(cuts.get(policy, mig)):
            found.append(
                result.Slice(
                    node=f"gpu-{index}",
                    gpu=0,
                    start_milli=start,
                    size_milli=size,
                    method=method,
                    label=label,
                    job=f"job-{index}-{place}",
                    team=teams[(index + place) % 3],
                )
            )
    return result.SliceMap(at_ns=2 * DAY + 11 * HOUR, slices=tuple(found))


WAITS = {"whole": 555, "time-slicing": 40, "mps": 0, "mig-fixed": 95, "mig-chosen": 12, "mix": 0}
SIZES = {"whole": 4, "time-slicing": 2, "mps": 2, "mig-fixed": 3, "mig-chosen": 3, "mix": 2}


def runs(policy: str, nodes: int, wait_min: int) -> tuple[result.Run, ...]:
    """One run without sharing, else the range from no slowdown to proportional slowdown."""
    if policy == "whole":
        return (run(policy, "none", nodes, wait_min),)
    return (run(policy, "none", nodes, wait_min), run(policy, "proportional", nodes, wait_min + 25))


def replay(sized: bool = False) -> result.Replay:
    """Six policies on four GPUs; `sized`: each with its smallest fleet."""
    outcomes = []
    for policy, wait in WAITS.items():
        outcome = result.Outcome(policy=policy, runs=runs(policy, 4, wait))
        if sized:
            nodes = SIZES[policy]
            small = result.Sized(nodes=nodes, gpus=nodes, tried=3, runs=runs(policy, nodes, wait))
            outcome = replace(outcome, sized=small)
        outcomes.append(outcome)
    return result.Replay(
        demand="demo",
        period_ns=PERIOD,
        start_ns=START,
        fleet=fleet(),
        seed=7,
        outcomes=tuple(outcomes),
        notes=("Memory and compute of every job are as the generator set them.",),
        left_out=(LeftOut(3, "pods without a GPU"),),
    )


def unpriced(sized: bool = False) -> result.Replay:
    """The same where no price is known."""
    full = replay(sized)
    cost = NodeCost(currency="EUR", unknown="--price EUR_PER_HOUR")
    nodes = tuple(replace(node, cost=cost) for node in full.fleet.nodes)

    def bare(one: result.Run) -> result.Run:
        teams = tuple(replace(team, cost=None) for team in one.teams)
        unknown = result.Cost(currency="EUR", month=None, period=None, useful_gpu_hour=None)
        return replace(one, cost=unknown, idle_cost=None, teams=teams)

    outcomes = tuple(
        replace(
            outcome,
            runs=tuple(bare(one) for one in outcome.runs),
            sized=None
            if outcome.sized is None
            else replace(outcome.sized, runs=tuple(bare(one) for one in outcome.sized.runs)),
        )
        for outcome in full.outcomes
    )
    return replace(full, fleet=replace(full.fleet, nodes=nodes), outcomes=outcomes)

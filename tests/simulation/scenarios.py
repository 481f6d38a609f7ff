"""Small fleets and demands for replays: by hand, and drawn from a seed."""

from decimal import Decimal

from stellwerk.engine.demand import NS_PER_HOUR, Demand, Job, demand_of
from stellwerk.engine.snapshot import CostTerm, Faults, Fleet, FleetNode, NodeCost
from stellwerk.ports.entropy import SeededEntropy
from stellwerk.sim.replay import Scenario
from stellwerk.sim.slowdown import Slowdown

GIB = 1024**3
MODELS = ("H100-PCIE-80GB", "A100-SXM4-40GB", "A30", "L4")
MEMORY = {"H100-PCIE-80GB": 81559, "A100-SXM4-40GB": 40960, "A30": 24576, "L4": 23034}


def cost(per_hour: str) -> NodeCost:
    """A rent of so many EUR an hour."""
    term = CostTerm(
        name="rent", per_hour=Decimal(per_hour), formula=per_hour, date="2026-11-01", source="test"
    )
    return NodeCost(currency="EUR", terms=(term,))


def node(name: str, gpus: int, per_hour: str = "2.00", model: str = "H100-PCIE-80GB") -> FleetNode:
    """A node of the model."""
    return FleetNode(
        name=name, gpu_model=model, gpus=gpus, gpu_memory_bytes=MEMORY[model] * 2**20, cost=cost(per_hour)
    )


def fleet(*nodes: FleetNode, faults: Faults | None = None) -> Fleet:
    """A fleet in EUR."""
    return Fleet(name="test", currency="EUR", nodes=nodes, faults=faults or Faults())


def job(name: str, arrival_h: int, hours: int, **fields: object) -> Job:
    """A job in whole hours."""
    values: dict[str, object] = {"team": "a", "kind": "batch", **fields}
    return Job(name=name, arrival_ns=arrival_h * NS_PER_HOUR, duration_ns=hours * NS_PER_HOUR, **values)  # type: ignore[arg-type]


def demand(hours: int, *jobs: Job) -> Demand:
    """A demand over so many hours."""
    return demand_of("test", 0, hours * NS_PER_HOUR, list(jobs))


def scenario(demand: Demand, fleet: Fleet, *slowdowns: Slowdown, seed: int = 1) -> Scenario:
    """With the range of slowdowns, if none is named."""
    return Scenario(
        demand=demand,
        fleet=fleet,
        slowdowns=slowdowns or (Slowdown(), Slowdown(rest="proportional")),
        seed=seed,
    )


def drawn(seed: int) -> Scenario:
    """A small scenario from a seed: 1 to 4 nodes, 1 to 30 jobs, now and then lost nodes."""
    draw = SeededEntropy(seed)
    nodes = [
        node(
            f"n{i}", draw.between(1, 4), f"{draw.between(1, 9)}.{draw.between(0, 99):02d}", draw.pick(MODELS)
        )
        for i in range(draw.between(1, 4))
    ]
    faults = Faults(losses_per_node_month_milli=draw.pick((0, 0, 2_000, 60_000)), repair_ns=NS_PER_HOUR)
    hours = draw.between(2, 72)
    jobs = [_job(draw, i, hours) for i in range(draw.between(1, 30))]
    return scenario(demand(hours, *jobs), fleet(*nodes, faults=faults), seed=seed)


def _job(draw: SeededEntropy, i: int, hours: int) -> Job:
    gpus = draw.pick((1, 1, 1, 1, 2, 4))
    known = draw.chance(4, 5)
    memory = draw.between(1, 90) * GIB
    return Job(
        name=f"job-{i}",
        team=draw.pick(("a", "b", "c")),
        kind=draw.pick(("training", "inference", "notebook", "batch", "unknown")),
        arrival_ns=draw.below(hours * NS_PER_HOUR),
        duration_ns=1 + draw.below(24 * NS_PER_HOUR),
        pods=draw.pick((1, 1, 1, 2, 3)),
        gpus=gpus,
        memory_bytes=memory if known else None,
        compute_milli=draw.between(1, 1000) if known else None,
        used_milli=draw.between(1, 1000) if draw.chance(1, 2) else None,
        judged_memory_bytes=memory * draw.between(50, 150) // 100 if draw.chance(1, 3) else None,
        observed_share_milli=draw.pick((1000, 1000, 500)),
        whole=draw.chance(1, 6),
        isolated=draw.chance(1, 6),
    )

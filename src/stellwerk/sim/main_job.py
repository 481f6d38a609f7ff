"""The main job: from what the user typed to a replay of all policies; run again, it gives the same bytes."""

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.nearest import nearest
from stellwerk.engine.decision import Reason
from stellwerk.engine.demand import NS_PER_S, Demand
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.geometry import lay_out
from stellwerk.engine.partition.policy import ADVISED, POLICIES, Policy
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.demand.load import DemandOptions, Input, LoadedDemand, load_demand
from stellwerk.sim.intake.fleets import FoundFleet, fleet_beside, named_fleet, share_memory_bytes
from stellwerk.sim.intake.networks import check_described, network_notes, share_of
from stellwerk.sim.intake.numbers import check_between
from stellwerk.sim.intake.slowdowns import slowdowns_of
from stellwerk.sim.replay import Scenario, replay
from stellwerk.sim.result import Outcome, Replay
from stellwerk.sim.size import smallest_fleet, target_of

if TYPE_CHECKING:
    from stellwerk.sim.observed.measured import Measured


class Arguments(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What decides a replay's result, as typed; a receipt holds it, and verify runs it again."""

    demand: str
    metrics: bool = False
    fleet: str | None = None
    size: bool = False
    seed: int = 1
    days: int | None = None
    plan_hours: int = 12
    policies: tuple[str, ...] = ()
    slowdown: str = "range"
    rates: tuple[str, ...] = ()
    replicas: int = 4
    headroom_percent: int = 0
    geometry: str = ""
    communication_share: str | UnsetType = UNSET


class Prepared(Struct, frozen=True, kw_only=True):
    """Everything read and checked: what is left is computing."""

    arguments: Arguments
    scenario: Scenario
    policies: tuple[Policy, ...]
    inputs: tuple[Input, ...]
    measured: "Measured | None" = None


class Listener(Protocol):
    """Hears how far the job is: steps done of all, what is being done (English), and the replay so far."""

    def __call__(self, done: int, total: int, what: Reason, so_far: Replay) -> None: ...


def prepare(arguments: Arguments) -> Prepared:
    """Read and check all input; raises InvalidInput before anything is computed."""
    policies = _policies(arguments)
    rates = tuple(parse_rate(rate) for rate in arguments.rates)
    named = None if arguments.fleet is None else named_fleet(arguments.fleet, rates)
    measured = _measured(arguments, named) if arguments.metrics else None
    loaded = _demand(arguments, named) if measured is None else _of_metrics(measured)
    if named is not None:
        found = named
    else:
        found = fleet_beside(loaded, rates) if measured is None else _measured_fleet(measured)
    slowdowns, slowdown_inputs = slowdowns_of(arguments.slowdown)
    _check_demand(loaded.demand)
    _check_geometry(policies, found.fleet)
    scenario = Scenario(
        demand=loaded.demand,
        fleet=found.fleet,
        slowdowns=slowdowns,
        seed=arguments.seed,
        share=_share(arguments, found.fleet),
    )
    beside = tuple(item for item in loaded.inputs if item.role != "fleet" or named is None)
    return Prepared(
        arguments=arguments,
        scenario=scenario,
        policies=policies,
        inputs=(*beside, *found.inputs, *slowdown_inputs),
        measured=measured,
    )


def _share(arguments: Arguments, fleet: Fleet) -> Decimal | None:
    """What of a step waits for the network; refused where no node says what its network is."""
    text = arguments.communication_share
    if isinstance(text, UnsetType):
        return None
    check_described(fleet, "--communication-share")
    return share_of(text, "--communication-share")


def _demand(arguments: Arguments, named: FoundFleet | None) -> LoadedDemand:
    options = DemandOptions(
        days=arguments.days,
        plan_minutes=arguments.plan_hours * 60,
        gpu_memory_bytes=share_memory_bytes(arguments.demand, named),
    )
    return load_demand(arguments.demand, arguments.seed, options)


def _measured(arguments: Arguments, named: FoundFleet | None) -> "Measured":
    from stellwerk.sim.observed.measured import load_measured

    return load_measured(arguments.demand, None if named is None else named.fleet)


def _measured_fleet(measured: "Measured") -> FoundFleet:
    from stellwerk.sim.observed.measured import fleet_of

    return FoundFleet(fleet=fleet_of(measured.usage))


def _of_metrics(measured: "Measured") -> LoadedDemand:
    return LoadedDemand(demand=measured.rebuilt.demand, inputs=measured.inputs)


def _check_demand(demand: Demand) -> None:
    if not demand.jobs:
        raise InvalidInput(
            "{name} has no job that asks for a GPU",
            fix="ask for nvidia.com/gpu in its containers' limits, or try: stellwerk replay demo",
            source=demand.name,
            name=demand.name,
        )


def run(prepared: Prepared, listen: Listener) -> Replay:
    """Replay every policy, then, if asked, seek each one's smallest fleet."""
    scenario, policies = prepared.scenario, prepared.policies
    outcomes: list[Outcome] = []
    total = len(policies) * (2 if prepared.arguments.size else 1)
    for policy in policies:
        listen(
            len(outcomes),
            total,
            Reason("Replaying", "replaying {policy}", {"policy": policy.name}),
            so_far(prepared, outcomes),
        )
        outcomes.append(replay(scenario, policy))
    if prepared.arguments.size:
        target = target_of(outcomes[0].runs[0])
        for position, policy in enumerate(policies):
            done = len(policies) + position

            def tried(count: int, most: int, policy: Policy = policy, done: int = done) -> None:
                values: dict[str, str | int] = {"policy": policy.name, "count": count, "most": most}
                what = Reason("Sizing", "sizing {policy}: {count} of at most {most} nodes", values)
                listen(done, total, what, so_far(prepared, outcomes))

            sized = smallest_fleet(scenario, policy, target, tried)
            outcomes[position] = replace(outcomes[position], sized=sized)
    found = so_far(prepared, outcomes)
    listen(total, total, Reason("Done", "done"), found)
    return found


def so_far(prepared: Prepared, outcomes: list[Outcome]) -> Replay:
    """The replay with the outcomes that are there."""
    demand, fleet = prepared.scenario.demand, prepared.scenario.fleet
    return Replay(
        demand=demand.name,
        period_ns=demand.period_ns,
        start_ns=demand.start_ns,
        fleet=fleet,
        seed=prepared.scenario.seed,
        outcomes=tuple(outcomes),
        notes=(*_notes(demand, fleet, prepared.policies), *network_notes(prepared.scenario)),
        left_out=demand.left_out,
    )


def _notes(demand: Demand, fleet: Fleet, policies: tuple[Policy, ...]) -> Iterator[str]:
    yield from demand.notes
    yield from (str(note) for note in (SHARING_NOTE, UNKNOWN_NOTE) if len(policies) > 1)
    if len({node.gpu_model for node in fleet.nodes}) > 1:
        yield str(MODELS_NOTE)
    law = fleet.reconfiguration
    if law:
        create, destroy, mode = (
            f"{Decimal(time) / NS_PER_S:f}" for time in (law.create_ns, law.destroy_ns, law.mode_ns)
        )
        failures = law.failures_per_thousand
        values: dict[str, str | int] = {
            "create": create,
            "destroy": destroy,
            "mode": mode,
            "failures": failures,
        }
        yield str(Reason("Cutting", CUTTING_TEXT, values))


CUTTING_TEXT = (
    "Jobs wait until their GPU is cut by MIG: {create} s to create an instance, {destroy} s to destroy one, "
    "{mode} s to switch MIG mode; of 1000 cuts {failures} fail. "
    "A time of 0 s is one that the fleet does not state."
)
SHARING_NOTE = Reason(
    "PerClaim",
    "A GPU takes another way of sharing whenever it is empty, as NVIDIA's DRA driver does for each claim; "
    "the device plugin keeps one way for a whole node.",
)
MODELS_NOTE = Reason(
    "NotConverted",
    "Durations and compute shares are not converted between the fleet's GPU models: "
    "a job runs as long on each.",
)
UNKNOWN_NOTE = Reason("NotMeasured", "A job whose memory or compute was not measured is never shared.")


def _policies(arguments: Arguments) -> tuple[Policy, ...]:
    """The policies asked for, whole GPUs always first, with the user's parameters."""
    _check_numbers(arguments)
    known = (*POLICIES, ADVISED) if arguments.metrics else POLICIES
    names = [policy.name for policy in known]
    for name in arguments.policies:
        if name not in names:
            raise InvalidInput(
                "there is no policy {name}",
                fix="use one of: {near}",
                path="--policy",
                name=name[:80],
                near=nearest(name[:80], names),
            )
    geometry = _geometry(arguments.geometry)
    wanted = {"whole", *(arguments.policies or names)}
    return tuple(
        replace(
            policy,
            replicas=arguments.replicas,
            headroom_percent=arguments.headroom_percent,
            geometry=geometry if policy.fixed else {},
        )
        for policy in known
        if policy.name in wanted
    )


RANGES = {
    "replicas": ("--replicas", 2, 48),
    "headroom_percent": ("--headroom", 0, 1000),
    "days": ("--days", 1, 149),
    "plan_hours": ("--plan-hours", 1, 23),
    "seed": ("--seed", 0, 2**63 - 1),
}


def _check_numbers(arguments: Arguments) -> None:
    for field, (option, low, high) in RANGES.items():
        value = getattr(arguments, field)
        if value is not None:
            check_between(option, value, low, high)


def _geometry(text: str) -> dict[str, int]:
    """`3g.40gb,2g.20gb,1g.10gb` or `1g.10gb:7` as {profile: count}."""
    counts: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, count = part.partition(":")
        if not name or (count and not (count.isascii() and count.isdigit() and len(count) <= 2)):
            raise InvalidInput(
                "{part} is not a MIG profile with a count",
                fix="write for example --geometry 3g.40gb,2g.20gb:2",
                path="--geometry",
                part=part[:80],
            )
        counts[name] = counts.get(name, 0) + int(count or 1)
    return counts


def _check_geometry(policies: tuple[Policy, ...], fleet: Fleet) -> None:
    """A geometry of the user's must be one that some GPU of the fleet can be cut into."""
    for policy in policies:
        if not policy.geometry:
            continue
        tables = [gpu_facts(model).mig for model in sorted({node.gpu_model for node in fleet.nodes})]
        if any(table is not None and lay_out(table, policy.geometry) for table in tables):
            continue
        raise InvalidInput(
            "no GPU of the fleet can be cut into {geometry}",
            fix="see the profiles and placements: stellwerk catalog mig {model}",
            path="--geometry",
            geometry=", ".join(f"{name}:{count}" for name, count in policy.geometry.items()),
            model=fleet.nodes[0].gpu_model,
        )


def policy_bytes(policies: tuple[Policy, ...]) -> bytes:
    """The policies as data, for the receipt's hash."""
    return msgspec.json.encode(policies, order="sorted")

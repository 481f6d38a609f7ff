"""The job behind `stellwerk partition`: read demand, fleet and today's state, plan, price, and judge."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import UNSET, Struct, structs

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.nearest import nearest
from stellwerk.catalog.prices import ExchangeRate
from stellwerk.catalog.sharing.cutting import cutting_times
from stellwerk.engine.demand import NS_PER_S
from stellwerk.engine.money.bill import HOURS_PER_MONTH
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.partition.facts import gpu_facts, mig_table
from stellwerk.engine.partition.inventory import (
    DEVICE_PLUGIN,
    DRA,
    Gpu,
    Limits,
    PartitionPlan,
    PartitionRequest,
    Step,
)
from stellwerk.engine.partition.plan import plan_partition
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.partition.steps import timed
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.intake.fleets import (
    FoundFleet,
    fleet_beside,
    named_fleet,
    price_manifests,
    share_memory_bytes,
)
from stellwerk.sim.intake.numbers import check_between
from stellwerk.sim.partitions.requests import Asked, asked_of

METHODS = (WHOLE, MIG, MPS, TIME_SLICING)
MOST_ASKED = 100  # GPUs in use up to which it is worked out unasked what moving pods would bring.
MOST_PODS = 100_000
DEFAULT_METHODS = (WHOLE, MIG, MPS)


class PartitionArguments(Struct, frozen=True, kw_only=True):
    """What decides a plan, as typed."""

    demand: str
    fleet: str | None = None
    state: str | None = None
    methods: tuple[str, ...] = ()
    executor: str = DRA
    drain: bool = False
    restart_minutes: int = 10
    replicas: int = 4
    headroom: int = 0
    plan_hours: int | None = None
    rates: tuple[str, ...] = ()


class Overflow(Struct, frozen=True):
    """A pod that later took more memory than its part has: bytes taken, and bytes given."""

    pod: str
    taken_bytes: int
    given_bytes: int


class Moves(Struct, frozen=True, kw_only=True):
    """What moving pods would bring: the plan with it, GPU-hours and money that the restarts cost."""

    plan: PartitionPlan
    minutes: int
    gpu_hours: Fraction
    cost: Decimal | None


class Partitioned(Struct, frozen=True, kw_only=True):
    """A plan with what it is compared to; money is a month of 730 h, None where a price is unknown."""

    name: str
    requests: tuple[PartitionRequest, ...]
    fleet: Fleet
    plan: PartitionPlan
    whole_gpus: int
    whole_month: Decimal | None
    month: Decimal | None
    moves: Moves | None = None
    overflows: tuple[Overflow, ...] | None = None
    hindsight_gpus: int | None = None
    notes: tuple[str, ...] = ()


def plan_job(arguments: PartitionArguments) -> Partitioned:
    """Plan what the user asked for. Raises InvalidInput before anything is computed."""
    limits = _limits(arguments)
    rates = tuple(parse_rate(rate) for rate in arguments.rates)
    named = None if arguments.fleet is None else named_fleet(arguments.fleet, rates)
    methods = _methods(arguments.methods)
    memory = share_memory_bytes(arguments.demand, named)
    asked = asked_of(arguments.demand, methods, arguments.plan_hours, memory)
    fleet = _fleet(asked, named, rates).fleet
    gpus = gpus_of(fleet, arguments.state)
    limits = structs.replace(limits, prices=_model_prices(fleet))
    requests = tuple(_with_headroom(request, arguments.headroom) for request in asked.requests)
    _check_profiles(requests, gpus)
    _check_size(requests)
    if limits.executor == DEVICE_PLUGIN:
        check_node_methods(gpus)
    plan = plan_partition(gpus, requests, limits)
    restart = _Restart(arguments.restart_minutes, gpu_hour_prices(fleet))
    asks = arguments.drain or sum(gpu.busy for gpu in gpus) <= MOST_ASKED
    moves = _moves(gpus, requests, limits, restart) if asks else None
    chosen = moves.plan if moves is not None and arguments.drain and pays(plan, moves) else plan
    hindsight = plan_partition(gpus, asked.hindsight, limits).gpus_used if asked.hindsight else None
    whole = sum(request.pods * request.gpus for request in requests)
    return Partitioned(
        name=asked.name,
        requests=requests,
        fleet=fleet,
        plan=structs.replace(chosen, steps=_timed(chosen, gpus, fleet, arguments.restart_minutes)),
        whole_gpus=whole,
        whole_month=_whole_month(fleet, gpus, requests),
        month=month_of(fleet, chosen.gpus),
        moves=moves,
        overflows=_overflows(chosen, asked.judged) if asked.judged else None,
        hindsight_gpus=hindsight,
        notes=(*asked.notes, *fleet.notes),
    )


def demo_plan(executor: str, methods: tuple[str, ...] = ()) -> PartitionPlan:
    """The plan of the demo's busiest moment on the demo's fleet."""
    return plan_job(PartitionArguments(demand="demo", executor=executor, methods=methods)).plan


def _timed(plan: PartitionPlan, gpus: Sequence[Gpu], fleet: Fleet, restart: int) -> tuple[Step, ...]:
    """The steps with the times of the fleet (`spec.mig`), else with what was published for the model."""
    seconds = {"drain": restart * 60}
    if fleet.reconfiguration is not UNSET:
        cuts = fleet.reconfiguration
        given = {"create": cuts.create_ns, "destroy": cuts.destroy_ns, "mode": cuts.mode_ns}
        seconds.update({action: -(-took // NS_PER_S) for action, took in given.items() if took})
    published = {
        gpu.key: max(time.most_seconds for time in times)
        for gpu in gpus
        if (times := [time for time in cutting_times(gpu.model) if time.step == "mode"])
    }
    return timed(plan.steps, seconds, published)


def _limits(arguments: PartitionArguments) -> Limits:
    for option, value, low, high in (
        ("--replicas", arguments.replicas, 2, 48),
        ("--headroom", arguments.headroom, 0, 1000),
        ("--restart-minutes", arguments.restart_minutes, 0, 10_000),
        ("--plan-hours", 1 if arguments.plan_hours is None else arguments.plan_hours, 1, 8784),
    ):
        check_between(option, value, low, high)
    return Limits(executor=arguments.executor, replicas=arguments.replicas)


def _methods(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in METHODS:
            raise InvalidInput(
                "there is no way of sharing {name}",
                fix="use one of: {near}",
                path="--method",
                name=name[:80],
                near=nearest(name[:80], METHODS),
            )
    return tuple(dict.fromkeys((*names, WHOLE))) if names else DEFAULT_METHODS


def _fleet(asked: Asked, named: FoundFleet | None, rates: Sequence[ExchangeRate]) -> FoundFleet:
    if named is not None:
        return named
    if asked.fleet_manifests:
        return FoundFleet(fleet=price_manifests(asked.fleet_manifests, rates))
    if asked.loaded is None:
        raise InvalidInput(
            "{name} names no fleet, and a partition needs to know the GPUs",
            fix="name a fleet, for example --fleet 4xscaleway/H100-1-80G",
            path="--fleet",
            name=asked.name,
        )
    return fleet_beside(asked.loaded, rates)


def gpus_of(fleet: Fleet, state: str | None) -> tuple[Gpu, ...]:
    """Every GPU of the fleet, as `state` says that it is today (None: nobody is on any)."""
    known: dict[tuple[str, int], Gpu] = {}
    if state is not None:
        from stellwerk.sim.intake.partitions import read_state

        known = {gpu.key: gpu for gpu in read_state(state)}
    found: list[Gpu] = []
    for node in fleet.nodes:
        for index in range(node.gpus):
            today = known.pop((node.name, index), None)
            if today is not None and today.model != node.gpu_model:
                raise InvalidInput(
                    "GPU {index} of node {node} is {seen} in {state}, and {model} in the fleet",
                    fix="correct one of the two",
                    path="--state",
                    index=index,
                    node=node.name,
                    seen=today.model,
                    state=str(state),
                    model=node.gpu_model,
                )
            found.append(today or Gpu(node=node.name, index=index, model=node.gpu_model))
    if known:
        node_name, index = min(known)
        raise InvalidInput(
            "{state} has a GPU {index} on node {node}, which the fleet has not",
            fix="name the fleet that the state is of with --fleet",
            path="--state",
            state=str(state),
            index=index,
            node=node_name,
        )
    return tuple(found)


def _with_headroom(request: PartitionRequest, percent: int) -> PartitionRequest:
    if not percent or request.memory_bytes is None:
        return request
    return structs.replace(request, memory_bytes=request.memory_bytes * (100 + percent) // 100)


def _check_profiles(requests: Sequence[PartitionRequest], gpus: Sequence[Gpu]) -> None:
    """A profile by name must be one of a model of the fleet: else it is a slip, not a lack of room."""
    models = sorted({gpu.model for gpu in gpus})
    known = [item.name for model in models if (table := mig_table(model)) for item in table.profiles]
    for request in requests:
        if request.profile and request.profile not in known:
            raise InvalidInput(
                "{request} asks for the MIG profile {profile}, which no GPU of the fleet has ({models})",
                fix="use one of: {near}; all: stellwerk catalog mig {model}",
                request=request.name,
                profile=request.profile[:40],
                models=", ".join(models),
                near=nearest(request.profile[:40], known) if known else "none, these models cannot be cut",
                model=models[0],
            )


def _moves(
    gpus: Sequence[Gpu], requests: Sequence[PartitionRequest], limits: Limits, restart: "_Restart"
) -> Moves | None:
    """The plan in which pods may move, and what that costs; None where nobody is there who could."""
    if not any(instance.tenant for gpu in gpus for instance in gpu.instances):
        return None
    moved = plan_partition(gpus, requests, structs.replace(limits, drain=True))
    hours, cost, priced = Fraction(0), Fraction(0), True
    gone = set(moved.drained)
    leaving = [(gpu, item) for gpu in gpus for item in gpu.instances if item.tenant in gone]
    for gpu, instance in leaving:
        table = mig_table(gpu.model)
        profile = None if table is None else table.profile(instance.profile)
        assert table is not None and profile is not None, "the state was checked when it was read"
        part = Fraction(profile.size, table.memory_slices) * restart.minutes / 60
        price = restart.prices[gpu.node]
        hours, priced = hours + part, priced and price is not None
        cost += part * (price or 0)
    minutes = restart.minutes * len(gone)
    return Moves(plan=moved, minutes=minutes, gpu_hours=hours, cost=rounded(cost, 2) if priced else None)


class _Restart(Struct, frozen=True):
    """Minutes in which a moved pod does nothing, and the GPU-hour's price by node."""

    minutes: int
    prices: Mapping[str, Fraction | None]


def pays(plan: PartitionPlan, moves: Moves) -> bool:
    """Whether moving is worth it: more pods are served, or the GPUs saved in a month outweigh the restarts.

    GPU-hours are compared, so that it does not depend on whether a price is known.
    """
    more = sum(item.pods for item in plan.unserved) - sum(item.pods for item in moves.plan.unserved)
    saved = plan.gpus_used - moves.plan.gpus_used
    return more > 0 or (more == 0 and saved * HOURS_PER_MONTH > moves.gpu_hours)


def gpu_hour_prices(fleet: Fleet) -> Mapping[str, Fraction | None]:
    """What an hour of one GPU costs, by node; None where the node's price is unknown."""
    return {
        node.name: None if node.cost.per_hour is None else fraction(node.cost.per_hour) / node.gpus
        for node in fleet.nodes
    }


def _model_prices(fleet: Fleet) -> tuple[tuple[str, int], ...]:
    """A month of the cheapest GPU of each model, in whole units; () where one of the prices is unknown."""
    found: dict[str, int] = {}
    for node in fleet.nodes:
        if node.cost.per_hour is None:
            return ()
        month = int(fraction(node.cost.per_hour) * HOURS_PER_MONTH / node.gpus)
        found[node.gpu_model] = min(month, found.get(node.gpu_model, month))
    return tuple(sorted(found.items()))


def month_of(fleet: Fleet, gpus: Sequence[Gpu]) -> Decimal | None:
    """A month of the GPUs in use, each at its part of its node's price."""
    prices = gpu_hour_prices(fleet)
    used = [prices[gpu.node] for gpu in gpus if gpu.busy]
    if any(price is None for price in used):
        return None
    return rounded(sum((price or Fraction(0) for price in used), Fraction(0)) * HOURS_PER_MONTH, 2)


def _whole_month(fleet: Fleet, gpus: Sequence[Gpu], requests: Sequence[PartitionRequest]) -> Decimal | None:
    """A month of a whole GPU for each that is asked for: the cheapest free one that would do, largest first.

    Where none is free, one more of the cheapest kind that would do. None where such a price is unknown.
    """
    prices = gpu_hour_prices(fleet)
    free = [gpu for gpu in gpus if not gpu.busy]
    total = Fraction(0)
    for request in sorted(requests, key=lambda item: (-(item.memory_bytes or 0), item.name)):
        for _ in range(request.pods * request.gpus):
            fitting = [gpu for gpu in free if _would_do(request, gpu.model)]
            every = fitting or [gpu for gpu in gpus if _would_do(request, gpu.model)]
            priced = [(price, gpu.key, gpu) for gpu in every if (price := prices[gpu.node]) is not None]
            if every and not priced:
                return None
            if priced:
                price, _key, chosen = min(priced, key=lambda item: item[:2])
                total += price
                free = [gpu for gpu in free if gpu.key != chosen.key]
    return rounded(total * HOURS_PER_MONTH, 2)


def _would_do(request: PartitionRequest, model: str) -> bool:
    """Whether a whole GPU of this model serves a pod: its memory, or the profile that it asks for by name."""
    table = mig_table(model)
    if request.profile:
        return table is not None and table.profile(request.profile) is not None
    return (request.memory_bytes or 0) <= gpu_facts(model).memory_bytes


def _check_size(requests: Sequence[PartitionRequest]) -> None:
    for request in requests:
        if request.pods > MOST_PODS or sum(item.pods for item in requests) > MOST_PODS:
            raise InvalidInput(
                "{request} has {pods} pods, and at most {limit} are planned together",
                fix="plan a part of them",
                request=request.name,
                pods=request.pods,
                limit=MOST_PODS,
            )


def check_node_methods(gpus: Sequence[Gpu]) -> None:
    """Raise InvalidInput where today's state is none that the device plugin can have: two ways on a node."""
    seen: dict[str, tuple[str, int]] = {}
    for gpu in gpus:
        if not gpu.busy:
            continue
        shared = gpu.method in (MPS, TIME_SLICING)
        way = (gpu.method, gpu.replicas) if shared else ("plain", 1)
        if seen.setdefault(gpu.node, way) != way or (shared and not len(gpu.tenants) <= gpu.replicas >= 2):
            raise InvalidInput(
                "node {node} is shared in two ways, or its GPU {index} has more pods than replicas: "
                "the device plugin has one configuration a node",
                fix="set method and replicas alike on the node's GPUs, or plan with --executor dra",
                path="--state",
                node=gpu.node,
                index=gpu.index,
            )


def _overflows(plan: PartitionPlan, judged: Mapping[str, int]) -> tuple[Overflow, ...]:
    """Pods that took more than they were given: an instance's memory, an MPS limit, or the GPU's."""
    found: list[Overflow] = []
    for gpu in plan.gpus:
        facts, table = gpu_facts(gpu.model), mig_table(gpu.model)
        for instance in gpu.instances:
            profile = None if table is None else table.profile(instance.profile)
            taken = judged.get(instance.tenant, 0)
            limit = None if profile is None else profile.reported_bytes
            if limit is not None and taken > limit:
                found.append(Overflow(instance.tenant, taken, limit))
        for tenant in gpu.tenants:
            given = facts.memory_bytes if gpu.method == WHOLE else tenant.memory_bytes
            if judged.get(tenant.name, 0) > given:
                found.append(Overflow(tenant.name, judged[tenant.name], given))
    return tuple(sorted(found, key=lambda item: item.pod))

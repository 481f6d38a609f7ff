"""From what the user typed to a plan and its receipt; run again on the kept state, it gives the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.sharing.cutting import cutting_times
from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.profiles import workload_names
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.advice.verdict import Share
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING
from stellwerk.engine.planning.decided import ClusterPlan, Planning
from stellwerk.engine.planning.plan import plan_cluster
from stellwerk.engine.planning.today import Today
from stellwerk.engine.usage import Usage
from stellwerk.report.export import to_plain
from stellwerk.report.planning.changes import Change, changes_of, without_same
from stellwerk.report.planning.document import plan_plain
from stellwerk.report.planning.files import Files, live_objects, plan_files
from stellwerk.report.receipt import Evidence, InputFile, Job, fleet_hashes, input_files, receipt_of_result
from stellwerk.sim.advice import advise_usage
from stellwerk.sim.intake.manifests import read_all, read_unchecked
from stellwerk.sim.intake.numbers import check_between
from stellwerk.sim.planning.proof import Proposed, Replayed, prove
from stellwerk.sim.planning.today import Asked, today_of

METHODS = (MIG, MPS, TIME_SLICING)
ROLE = "cluster"


class PlanArguments(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What decides a plan, as typed; a receipt holds it, and verify runs it again."""

    verb: str = "plan"
    state: str
    metrics: str = ""
    methods: tuple[str, ...] = (MIG,)
    executor: str = ""
    rates: tuple[str, ...] = ()
    headroom_percent: int = 10
    restart_minutes: int = 10
    replicas: int = 4


class Advice(Struct, frozen=True):
    """By owner's key: its share (None: it is to stay whole), and the workloads of the metrics that it is."""

    shares: Mapping[str, Share | None] = {}
    names: Mapping[str, tuple[str, ...]] = {}


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with what belongs to it."""

    today: Today
    plan: ClusterPlan
    files: Files
    changes: tuple[Change, ...]
    replayed: Replayed | None = None
    measured: bool = False
    unmeasured: int = 0


class PreparedPlan(Struct, frozen=True, kw_only=True):
    """Everything read and checked: what is left is computing."""

    arguments: PlanArguments
    manifests: tuple[Manifest, ...]
    usage: Usage | None
    inputs: tuple[InputFile, ...]


def prepare_plan(arguments: PlanArguments, *, checked: bool = False) -> PreparedPlan:
    """Read the kept state and the metrics. Raises InvalidInput naming file and place.

    `checked`: the state comes from an API server, which let nothing in that the checks here would refuse.
    """
    check_between("--headroom", arguments.headroom_percent, 0, 1000)
    check_between("--restart-minutes", arguments.restart_minutes, 0, 10_000)
    check_between("--replicas", arguments.replicas, 2, 48)
    manifests, read = (read_unchecked if checked else read_all)([arguments.state], ROLE)
    inputs = input_files(read)
    usage = None
    if arguments.metrics:
        loaded = load_usage([arguments.metrics])
        usage, inputs = loaded.usage, (*inputs, *input_files(loaded.inputs, "metrics"))
    return PreparedPlan(arguments=arguments, manifests=tuple(manifests), usage=usage, inputs=inputs)


def make_plan(prepared: PreparedPlan) -> Planned:
    """The plan, its files and what they change; where use was measured, bounded by the replay of it."""
    arguments, usage = prepared.arguments, prepared.usage
    asked = Asked(
        executor=arguments.executor,
        rates=tuple(parse_rate(rate) for rate in arguments.rates),
        known={} if usage is None else _known(usage),
    )
    today = today_of(prepared.manifests, asked)
    planning = Planning(
        methods=arguments.methods,
        restart_minutes=arguments.restart_minutes,
        replicas=arguments.replicas,
        cut_seconds=tuple(_cut_seconds(today)),
    )
    advised = Advice() if usage is None else _shares(usage, today, arguments.headroom_percent)
    plan = plan_cluster(today, advised.shares, planning)
    replayed = None
    if usage is not None and plan.moved:
        replayed = _proven(usage, today, plan, (advised, arguments.headroom_percent))
        kept = {} if replayed.holds else {each.owner.key: None for each in plan.moved}
        planning = replace(planning, spare=replayed.spared)
        plan = plan_cluster(today, {**advised.shares, **kept}, planning)
    live = live_objects(prepared.manifests)
    files = plan_files(plan, today, live)
    changes = changes_of(files, live)
    return Planned(
        today=today,
        plan=plan,
        files=without_same(files, changes),
        changes=changes,
        replayed=replayed,
        measured=usage is not None,
        unmeasured=0 if usage is None else len(today.owners) - len(advised.shares),
    )


def _proven(usage: Usage, today: Today, plan: ClusterPlan, of: tuple[Advice, int]) -> Replayed:
    advised, headroom = of
    sharing = frozenset(name for each in plan.moved for name in advised.names.get(each.owner.key, ()))
    leaving = (*plan.returned, *plan.by_hand)
    return prove(usage, today.fleet, Proposed(sharing, leaving, headroom))


def plan_of_receipt(arguments: PlanArguments) -> Job:
    """The plan as a job that verify can run."""
    prepared = prepare_plan(arguments)
    return Job(prepared.inputs, lambda: plan_receipt(prepared, make_plan(prepared)))


def plan_receipt(prepared: PreparedPlan, planned: Planned) -> dict[str, Any]:
    """The receipt as plain data: the plan as with `-o json`."""
    evidence = Evidence(
        arguments=to_plain(prepared.arguments),
        inputs=prepared.inputs,
        hashes=fleet_hashes(planned.today.fleet),
    )
    return receipt_of_result(plan_plain(planned), evidence)


def _known(usage: Usage) -> dict[str, tuple[int, ...]]:
    """By pod the indices of its GPUs, where the exporter says them."""
    index = {
        device.key: int(device.index)
        for device in usage.devices
        if device.index.isascii() and device.index.isdigit() and not device.profile
    }
    return {
        pod.name: tuple(index[key] for key in pod.devices)
        for pod in usage.pods
        if pod.devices and all(key in index for key in pod.devices)
    }


def _shares(usage: Usage, today: Today, headroom: int) -> Advice:
    """By owner the share that its measured use advises."""
    found = advise_usage(usage, today.fleet, Margins(headroom))
    advised = {each.profile.name: each for each in found.workloads}
    workload = {pod.name: name for name, pod in zip(workload_names(usage), usage.pods, strict=True)}
    names: dict[str, tuple[str, ...]] = {}
    for owner in today.owners:
        mine = {workload[pod.name] for pod in owner.pods if pod.name in workload} or {owner.key}
        if mine <= advised.keys():
            names[owner.key] = tuple(sorted(mine))
    shares = {key: _largest([advised[name] for name in mine]) for key, mine in names.items()}
    return Advice(shares, names)


def _largest(advised: Sequence[Advised]) -> Share | None:
    """What all pods of an owner can have, since one template makes them; None where one of them must not."""
    shares = [None if each.kept else each.verdict.share for each in advised]
    known = [share for share in shares if share is not None]
    if len(known) < len(shares):
        return None
    return max(known, key=lambda share: (share.held_milli, share.method, share.profile))


def _cut_seconds(today: Today) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for node in today.fleet.nodes:
        times = [time.most_seconds for time in cutting_times(node.gpu_model) if time.step == "mode"]
        if times:
            found[node.name] = max(times)
    return sorted(found.items())


def check_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The ways of sharing of --method; raises InvalidInput for another one."""
    for name in names:
        if name not in METHODS:
            raise InvalidInput(
                "there is no way of sharing {name}",
                fix="use one of: {near}",
                path="--method",
                name=name[:80],
                near=", ".join(METHODS),
            )
    return tuple(dict.fromkeys(names)) or (MIG,)

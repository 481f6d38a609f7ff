"""From what the user typed to a plan and its receipt; run again on the kept state, it gives the same."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.api.errors import InvalidInput
from stellwerk.api.manifests import Manifest
from stellwerk.catalog.sharing.cutting import cutting_times
from stellwerk.engine.advice.profiles import workload_names
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.advice.verdict import Share
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.partition.policy import ADVISED, MIG, MPS, TIME_SLICING
from stellwerk.engine.planning.decided import ClusterPlan, Planning
from stellwerk.engine.planning.plan import plan_cluster
from stellwerk.engine.planning.today import Today
from stellwerk.engine.usage import Usage
from stellwerk.report.choice import smallest
from stellwerk.report.export import to_plain
from stellwerk.report.planning.changes import Change, changes_of, without_same
from stellwerk.report.planning.document import plan_plain
from stellwerk.report.planning.files import Files, live_objects, plan_files
from stellwerk.report.receipt import Evidence, InputFile, Job, fleet_hashes, input_files, receipt_of_result
from stellwerk.sim.advice import advise_usage
from stellwerk.sim.intake.manifests import read_manifests
from stellwerk.sim.intake.numbers import check_between
from stellwerk.sim.main_job import Arguments, Listener, prepare, run
from stellwerk.sim.observed.measured import agreement
from stellwerk.sim.planning.today import Asked, today_of

METHODS = (MIG, MPS, TIME_SLICING)
MOST_OFF_PERCENT = 3
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


class Replayed(Struct, frozen=True, kw_only=True):
    """The measured demand under whole GPUs and shared as advised: the least nodes with waits no longer.

    `off_percent`: how far the unchanged replay is from what was measured; beyond 3 nothing is concluded.
    Months in the fleet's currency, None where a price is unknown; waits p95 in seconds.
    """

    days: int
    off_percent: Decimal
    nodes_whole: int | None
    nodes_advised: int | None
    month_whole: Decimal | None
    month_advised: Decimal | None
    wait_whole_s: int
    wait_advised_s: int

    @property
    def proves(self) -> bool:
        """Whether it meets what was measured, and found a fleet."""
        return self.off_percent <= MOST_OFF_PERCENT and self.nodes_advised is not None


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with what belongs to it."""

    today: Today
    plan: ClusterPlan
    files: Files
    changes: tuple[Change, ...]
    replayed: Replayed | None = None
    unmatched: int = 0


class PreparedPlan(Struct, frozen=True, kw_only=True):
    """Everything read and checked: what is left is computing."""

    arguments: PlanArguments
    manifests: tuple[Manifest, ...]
    usage: Usage | None
    inputs: tuple[InputFile, ...]


def prepare_plan(arguments: PlanArguments) -> PreparedPlan:
    """Read the kept state and the metrics. Raises InvalidInput naming file and place."""
    manifests, inputs = read_manifests(arguments.state, ROLE)
    return prepared_of(arguments, manifests, input_files(inputs))


def prepared_of(
    arguments: PlanArguments, manifests: Sequence[Manifest], inputs: Sequence[InputFile]
) -> PreparedPlan:
    """The same where the objects were read from a cluster."""
    check_between("--headroom", arguments.headroom_percent, 0, 1000)
    check_between("--restart-minutes", arguments.restart_minutes, 0, 10_000)
    check_between("--replicas", arguments.replicas, 2, 48)
    usage = None
    if arguments.metrics:
        loaded = load_usage([arguments.metrics])
        usage, inputs = loaded.usage, (*inputs, *input_files(loaded.inputs, "metrics"))
    return PreparedPlan(arguments=arguments, manifests=tuple(manifests), usage=usage, inputs=tuple(inputs))


def make_plan(prepared: PreparedPlan, listen: Listener) -> Planned:
    """The plan, its files and what they change."""
    arguments, usage = prepared.arguments, prepared.usage
    asked = Asked(
        executor=arguments.executor,
        rates=tuple(parse_rate(rate) for rate in arguments.rates),
        known={} if usage is None else _known(usage),
    )
    today = today_of(prepared.manifests, asked)
    shares, unmatched = ({}, 0) if usage is None else _shares(usage, today, arguments.headroom_percent)
    replayed = None if usage is None else _replay(arguments, listen)
    planning = Planning(
        methods=arguments.methods,
        restart_minutes=arguments.restart_minutes,
        replicas=arguments.replicas,
        cut_seconds=tuple(_cut_seconds(today)),
        keep_nodes=_keep(today, replayed),
    )
    plan = plan_cluster(today, shares, planning)
    live = live_objects(prepared.manifests)
    files = plan_files(plan, today, live)
    changes = changes_of(files, live)
    return Planned(
        today=today,
        plan=plan,
        files=without_same(files, changes),
        changes=changes,
        replayed=replayed,
        unmatched=unmatched,
    )


def plan_of_receipt(arguments: PlanArguments, listen: Listener) -> Job:
    """The plan as a job that verify can run."""
    prepared = prepare_plan(arguments)
    return Job(prepared.inputs, lambda: plan_receipt(prepared, make_plan(prepared, listen)))


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


def _shares(usage: Usage, today: Today, headroom: int) -> tuple[Mapping[str, Share | None], int]:
    """By owner the share that its measured use advises (None: none), and owners that nobody measured."""
    advice = advise_usage(usage, today.fleet, Margins(headroom))
    advised = {each.profile.name: each for each in advice.workloads}
    workload = {pod.name: name for name, pod in zip(workload_names(usage), usage.pods, strict=True)}
    found: dict[str, Share | None] = {}
    for owner in today.owners:
        names = [workload[pod.name] for pod in owner.pods if pod.name in workload]
        name = names[0] if names else owner.key
        if name in advised:
            each = advised[name]
            found[owner.key] = None if each.kept else each.verdict.share
    return found, sum(owner.key not in found for owner in today.owners)


def _replay(arguments: PlanArguments, listen: Listener) -> Replayed:
    """The whole demand on the cluster's nodes, whole GPUs and as advised, each sized to the same waits."""
    prepared = prepare(
        Arguments(
            demand=arguments.metrics,
            metrics=True,
            fleet=arguments.state,
            size=True,
            policies=("whole", ADVISED.name),
            rates=arguments.rates,
            replicas=arguments.replicas,
        )
    )
    assert prepared.measured is not None, "metrics were named"
    replay = run(prepared, listen)
    by_name = {outcome.policy: outcome for outcome in replay.outcomes}
    whole, advised = (smallest(by_name[name]) for name in ("whole", ADVISED.name))
    waits = [by_name[name].worst.waits.p95_ns // 10**9 for name in ("whole", ADVISED.name)]
    return Replayed(
        days=-(-replay.period_ns // (24 * 3600 * 10**9)),
        off_percent=agreement(prepared.measured, replay).off_percent,
        nodes_whole=None if whole is None else whole.nodes,
        nodes_advised=None if advised is None else advised.nodes,
        month_whole=None if whole is None else whole.month,
        month_advised=None if advised is None else advised.month,
        wait_whole_s=waits[0],
        wait_advised_s=waits[1],
    )


def _keep(today: Today, replayed: Replayed | None) -> int | None:
    """Nodes that must stay: all of them where the replay proves nothing."""
    if replayed is None:
        return None
    return replayed.nodes_advised if replayed.proves else len(today.fleet.nodes)


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

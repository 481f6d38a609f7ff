"""Replay a demand on a fleet: one policy, or all of them side by side on the same demand."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from msgspec import Struct, UnsetType
from msgspec.structs import replace

from stellwerk.control.admission import Admission
from stellwerk.control.events import JobArrived, NodeLost, PeriodEnded
from stellwerk.control.preparation import Preparation
from stellwerk.engine.demand import Demand
from stellwerk.engine.partition.policy import Policy
from stellwerk.engine.placement.sites import plan_sites
from stellwerk.engine.snapshot import Fleet
from stellwerk.ports.clock import VirtualClock
from stellwerk.ports.cloud import MemoryCloud
from stellwerk.runtime.loop import run
from stellwerk.sim.faults import Cutting, node_losses
from stellwerk.sim.figures import run_figures
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.network.links import Network, default_share, network_of
from stellwerk.sim.network.loss import network_loss
from stellwerk.sim.result import Outcome, Run
from stellwerk.sim.safety import Safety
from stellwerk.sim.slowdown import Slowdown
from stellwerk.sim.world import World


class Scenario(Struct, frozen=True, kw_only=True):
    """What a replay takes besides the policy: demand, fleet, what sharing costs, and the seed of faults.

    From `faults_until_ns` on no node is lost and no cut fails. `share` of a step waits for the network where
    a gang does not say it (None: as published); which links it could have had is asked of the `declared`
    fleet (None: the same fleet).
    """

    demand: Demand
    fleet: Fleet
    slowdowns: tuple[Slowdown, ...]
    seed: int = 1
    faults_until_ns: int = 2**63
    share: Decimal | None = None
    declared: Fleet | None = None

    @property
    def network(self) -> Network | None:
        """The links of the fleet; None where no node describes its network."""
        return network_of(self.fleet, self.declared or self.fleet, self.share)

    def slowdowns_plain(self) -> list[dict[str, str]]:
        """The slowdowns as plain data, for a receipt's hash."""
        return [
            {
                "rest": slowdown.rest,
                **{name: str(factor) for name, factor in sorted(slowdown.factors.items())},
            }
            for slowdown in self.slowdowns
        ]


# Says whether a replay is still worth going on: called after each event with (world, now).
Watch = Callable[[World, int], bool]


def replay(scenario: Scenario, policy: Policy) -> Outcome:
    """One policy: a run for each slowdown; a single one if all had whole GPUs or the slowdown is given."""
    runs: list[Run] = []
    for slowdown in scenario.slowdowns:
        ledger = simulate(scenario, policy, slowdown)
        assert ledger is not None, "a replay that nobody watches runs to its end"
        runs.append(figures_of(scenario, ledger, label_of(policy, slowdown)))
        if ledger.all_whole or runs[-1].slowdown == "given":
            break
    return Outcome(policy=policy.name, runs=tuple(runs))


def figures_of(scenario: Scenario, ledger: Ledger, label: str) -> Run:
    """The figures of one run of the scenario."""
    run = run_figures(scenario.demand, scenario.fleet, ledger, label)
    if scenario.network is None:
        return run
    share = default_share(scenario.share)
    return replace(run, network=network_loss(ledger.stays, scenario.fleet, share))


def replay_all(scenario: Scenario, policies: Sequence[Policy]) -> Iterator[Outcome]:
    """Each policy's outcome, in order, as it is found."""
    for policy in policies:
        yield replay(scenario, policy)


def label_of(policy: Policy, slowdown: Slowdown) -> str:
    """The bound that was assumed, or "given" where every method of the policy has a sourced factor."""
    methods = {*policy.services, *policy.batches}
    return "given" if methods and methods <= set(slowdown.factors) else slowdown.rest


class Stage(Struct, frozen=True):
    """A world and its controller before the first event, and what must hold between them."""

    world: World
    controller: Admission
    safety: Safety


def stage(scenario: Scenario, policy: Policy, slowdown: Slowdown) -> Stage:
    """Everything that a run needs, with all arrivals and faults on the agenda."""
    demand, fleet = scenario.demand, scenario.fleet
    plan = plan_sites(fleet, demand.jobs, policy)
    jobs = {job.name: job for job in demand.jobs}
    law, cloud = fleet.reconfiguration, MemoryCloud(fleet.faults.repair_ns)
    preparation = None if isinstance(law, UnsetType) else Preparation(plan.sites)
    arrivals = {name: job.arrival_ns for name, job in jobs.items()}
    controller = Admission(plan, arrivals, demand.period_ns, preparation)
    cutting = (
        None if isinstance(law, UnsetType) else Cutting(law, fleet, scenario.seed, scenario.faults_until_ns)
    )
    world = World(plan.sites, jobs, slowdown, cloud, cutting)
    world.network = scenario.network
    for job in demand.jobs:
        world.post(job.arrival_ns, JobArrived(job.name))
    for at, node in node_losses(fleet, min(demand.period_ns, scenario.faults_until_ns), scenario.seed):
        world.post(at, NodeLost(node))
    world.post(demand.period_ns, PeriodEnded())
    return Stage(world, controller, Safety(world, controller, demand))


def simulate(
    scenario: Scenario, policy: Policy, slowdown: Slowdown, watch: Watch | None = None
) -> Ledger | None:
    """Run the demand under the policy to the end of the period; None when `watch` stopped it before.

    Raises Violation when a safety property breaks.
    """
    staged = stage(scenario, policy, slowdown)
    return staged.world.ledger if play(staged, watch) else None


def play(staged: Stage, watch: Watch | None = None) -> bool:
    """Run a stage; False when `watch` stopped it before the end of the period. Raises Violation."""
    world, controller = staged.world, staged.controller
    stopped = False

    def check(event: object, now: int) -> bool:
        nonlocal stopped
        staged.safety.check(event, now)
        if isinstance(event, PeriodEnded):
            return False
        stopped = watch is not None and not watch(world, now)
        return not stopped

    run(
        world.agenda,
        VirtualClock(),
        lambda event, now: world.handle(controller, event, now),
        world.perform,
        check,
    )
    return not stopped


def with_fleet(scenario: Scenario, fleet: Fleet) -> Scenario:
    """The same scenario on another fleet."""
    return replace(scenario, fleet=fleet, declared=scenario.declared or scenario.fleet)

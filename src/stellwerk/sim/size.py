"""The smallest fleet on which a policy makes nobody wait longer than a target.

Every size is replayed from one node up, and the first that holds is the answer: waits are not monotone in
the number of GPUs (Graham's anomalies), so that halving the interval would not prove "smallest".
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.engine.partition.policy import Policy
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.replay import Scenario, figures_of, label_of, simulate, with_fleet
from stellwerk.sim.result import Run, Sized
from stellwerk.sim.world import World

WORK_PERCENT = 95
Progress = Callable[[int, int], None]  # (fleets tried, most that will be tried)


class Target(Struct, frozen=True, kw_only=True):
    """What a smaller fleet must keep: the p95 wait, no more jobs rejected or left waiting, and the work.

    `used` is the least of useful GPU-hours: else who starts all jobs at once and finishes none would win.
    """

    wait_p95_ns: int
    rejected: int
    waiting: int
    used: Decimal


def target_of(baseline: Run) -> Target:
    """The target that whole GPUs set on the declared fleet."""
    return Target(
        wait_p95_ns=baseline.waits.p95_ns,
        rejected=baseline.jobs.rejected,
        waiting=baseline.jobs.waiting,
        used=least_work(baseline),
    )


def least_work(baseline: Run) -> Decimal:
    """95 % of the baseline's useful GPU-hours: what a job near the end loses to slowdown is no failure."""
    return baseline.gpu_hours.used * WORK_PERCENT / 100


def smallest_fleet(scenario: Scenario, policy: Policy, target: Target, progress: Progress) -> Sized:
    """Replay 1, 2, ... nodes, up to twice the declared fleet, until every run meets the target."""
    most = 2 * len(scenario.fleet.nodes)
    for count in range(1, most + 1):
        progress(count, most)
        tried = with_fleet(scenario, resized(scenario.fleet, count))
        runs = _runs(tried, policy, target)
        if runs:
            return Sized(nodes=count, gpus=tried.fleet.gpus, tried=count, runs=runs)
    return Sized(nodes=0, gpus=0, tried=most, runs=())


def resized(fleet: Fleet, count: int) -> Fleet:
    """The first `count` nodes; beyond the declared ones, more of the last kind."""
    nodes = list(fleet.nodes[:count])
    while len(nodes) < count:
        last = fleet.nodes[-1]
        nodes.append(replace(last, name=f"{last.name}-more-{len(nodes) - len(fleet.nodes) + 1}"))
    return replace(fleet, nodes=tuple(nodes))


def _runs(scenario: Scenario, policy: Policy, target: Target) -> tuple[Run, ...]:
    """The runs in the order of the slowdowns; () as soon as one misses. The slowest assumption goes first."""
    found: list[Run] = []
    for slowdown in reversed(scenario.slowdowns):
        ledger = simulate(scenario, policy, slowdown, Late(scenario, target).watch)
        if ledger is None:
            return ()
        label = label_of(policy, slowdown)
        if ledger.all_whole:
            label = label_of(policy, scenario.slowdowns[0])
        run = figures_of(scenario, ledger, label)
        if not _meets(run, target):
            return ()
        found.insert(0, run)
        if ledger.all_whole or label == "given":
            break
    return tuple(found)


def _meets(run: Run, target: Target) -> bool:
    return (
        run.waits.p95_ns <= target.wait_p95_ns
        and run.jobs.rejected <= target.rejected
        and run.jobs.waiting <= target.waiting
        and run.gpu_hours.used >= target.used
    )


class Late:
    """Stops a hopeless replay: too many jobs have waited longer than the target already."""

    def __init__(self, scenario: Scenario, target: Target) -> None:
        self._jobs, self._target = scenario.demand.jobs, target
        # With n jobs, the nearest-rank p95 is the ceil(0.95 n)-th: so many may be later than it.
        self._allowed = len(self._jobs) - -(-95 * len(self._jobs) // 100) + target.rejected
        self._next = self._late = 0

    def watch(self, world: World, now: int) -> bool:
        """False once the target cannot be met any more."""
        ledger = world.ledger
        if len(ledger.rejected) > self._target.rejected:
            return False
        while self._next < len(self._jobs):
            job = self._jobs[self._next]
            due = job.arrival_ns + self._target.wait_p95_ns
            if due >= now:
                break
            if job.name not in ledger.rejected and ledger.first_start_ns.get(job.name, now) > due:
                self._late += 1
            self._next += 1
        return self._late <= self._allowed

"""The proof of a plan: its nodes run the measured demand, shared as planned, and nobody waits longer.

The demand is replayed as it was (whole GPUs, all nodes), which must meet what was measured; then with the
plan's shares on fewer nodes. As many nodes are given back as leave no job rejected, waiting longer or undone.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.engine.advice.profiles import workload_names
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.partition.policy import ADVISED, POLICIES, Policy
from stellwerk.engine.rebuild import demand_from_usage
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import Usage
from stellwerk.sim.intake.slowdowns import slowdowns_of
from stellwerk.sim.observed.measured import MS_PER_HOUR, judged_pods
from stellwerk.sim.replay import Scenario, replay
from stellwerk.sim.result import Outcome
from stellwerk.sim.size import least_work

MOST_OFF_PERCENT = 3
DAY_NS, S_NS = 86_400 * 10**9, 10**9


class Proposed(Struct, frozen=True):
    """What is to be proven: workloads (as usage names them) that share, and nodes in the order they go."""

    sharing: frozenset[str]
    leaving: tuple[str, ...]
    headroom_percent: int = 0


class Replayed(Struct, frozen=True, kw_only=True):
    """Of `asked` nodes `spared` can go. Waits are p95 in seconds: today's, and shared on what is left.

    `holds`: sharing itself makes nobody wait longer. `off_percent`: how far the unchanged replay is from what
    was measured; beyond 3 nothing is concluded.
    """

    days: int
    off_percent: Decimal
    asked: int
    spared: int
    tried: int
    holds: bool = True
    wait_before_s: int
    wait_after_s: int

    @property
    def proves(self) -> bool:
        """Whether the unchanged replay meets what was measured."""
        return self.off_percent <= MOST_OFF_PERCENT


def prove(usage: Usage, fleet: Fleet, proposed: Proposed) -> Replayed:
    """Replay the demand in `usage` on the fleet, then shared on ever fewer nodes."""
    names = workload_names(usage)
    judged = tuple(
        one if name in proposed.sharing else replace(one, advised="")
        for one, name in zip(judged_pods(usage, fleet), names, strict=True)
    )
    rebuilt = demand_from_usage("metrics", usage, judged)
    slowdowns, _ = slowdowns_of("range")
    scenario = Scenario(demand=rebuilt.demand, fleet=fleet, slowdowns=slowdowns)
    before = replay(scenario, POLICIES[0])
    off = _off(before.runs[0].gpu_hours.held, rounded(Fraction(rebuilt.held_gpu_ms, MS_PER_HOUR), 3))
    policy = replace(ADVISED, headroom_percent=proposed.headroom_percent)
    found = Replayed(
        days=-(-rebuilt.demand.period_ns // DAY_NS),
        off_percent=off,
        asked=len(proposed.leaving),
        spared=0,
        tried=0,
        wait_before_s=_wait(before),
        wait_after_s=_wait(before),
    )
    return _spared(scenario, policy, before, (found, proposed.leaving)) if found.proves else found


def _spared(
    scenario: Scenario, policy: Policy, before: Outcome, of: tuple[Replayed, Sequence[str]]
) -> Replayed:
    """By halves: who can run on fewer nodes can on more of the same."""
    found, leaving = of
    low, high, tried = 0, len(leaving), 0
    best = before
    while True:
        count = high if not tried else (low + high + 1) // 2
        after = replay(replace(scenario, fleet=_without(scenario.fleet, leaving[:count])), policy)
        tried += 1
        if _holds(after, before):
            low, best = count, after
        elif not count:
            return replace(found, tried=tried, holds=False, wait_after_s=_wait(after))
        else:
            high = count - 1
        if low >= high and best is not before:
            return replace(found, spared=low, tried=tried, wait_after_s=_wait(best))


def _without(fleet: Fleet, names: Sequence[str]) -> Fleet:
    return replace(fleet, nodes=tuple(node for node in fleet.nodes if node.name not in names))


def _holds(after: Outcome, before: Outcome) -> bool:
    """Nobody waits longer (p95), is rejected, overflows or is undone that was not before."""
    limit = before.worst
    least = least_work(limit)
    return all(
        run.waits.p95_ns <= limit.waits.p95_ns
        and run.jobs.rejected <= limit.jobs.rejected
        and run.jobs.waiting <= limit.jobs.waiting
        and run.overflow.jobs <= limit.overflow.jobs
        and run.gpu_hours.used >= least
        for run in after.runs
    )


def _wait(outcome: Outcome) -> int:
    return outcome.worst.waits.p95_ns // S_NS


def _off(replayed: Decimal, measured: Decimal) -> Decimal:
    if not measured:
        return Decimal(0)
    return rounded(abs(Fraction(replayed) - Fraction(measured)) * 100 / Fraction(measured), 1)

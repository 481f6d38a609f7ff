"""Which policy the report recommends: the cheapest that harms nobody more than whole GPUs do.

Every comparison takes the worst of a policy's runs, so that a range never flatters it.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct

from stellwerk.engine.partition.policy import TIME_SLICING
from stellwerk.engine.snapshot import Fleet, FleetNode
from stellwerk.sim.result import Outcome, Replay, Run
from stellwerk.sim.size import least_work, resized


class Choice(Struct, frozen=True, kw_only=True):
    """A policy on a fleet of the first `nodes` nodes, its runs (worst last), their worst figures."""

    policy: str
    nodes: int
    gpus: int
    runs: tuple[Run, ...]
    sized: bool

    @property
    def run(self) -> Run:
        """The run under the harder assumption on slowdown."""
        return self.runs[-1]

    @property
    def wait_p95_ns(self) -> int:
        return max(run.waits.p95_ns for run in self.runs)

    @property
    def month(self) -> Decimal | None:
        known = [run.cost.month for run in self.runs if run.cost.month is not None]
        return max(known) if len(known) == len(self.runs) else None


def is_sized(replay: Replay) -> bool:
    """Were smaller fleets tried?"""
    return any(outcome.sized is not None for outcome in replay.outcomes)


def declared(replay: Replay, outcome: Outcome) -> Choice:
    """A policy on the fleet as declared."""
    nodes, gpus = len(replay.fleet.nodes), replay.fleet.gpus
    return Choice(policy=outcome.policy, nodes=nodes, gpus=gpus, runs=outcome.runs, sized=False)


def smallest(outcome: Outcome) -> Choice | None:
    """A policy on the smallest fleet that holds the wait, or None where none was found or sought."""
    sized = outcome.sized
    if sized is None or not sized.nodes or not sized.runs:
        return None
    return Choice(policy=outcome.policy, nodes=sized.nodes, gpus=sized.gpus, runs=sized.runs, sized=True)


def nodes_of(replay: Replay, choice: Choice) -> tuple[FleetNode, ...]:
    """The nodes that a choice's runs had; a policy may need more than were declared."""
    return resized(replay.fleet, choice.nodes).nodes


def baseline(replay: Replay) -> Choice:
    """Whole GPUs on the fleet as declared."""
    return declared(replay, replay.outcomes[0])


def choose(replay: Replay) -> Choice:
    """The best policy: the lowest cost (sized), then the shortest p95 wait; else whole GPUs."""
    limit = baseline(replay)
    if not is_sized(replay):
        choices = [declared(replay, outcome) for outcome in replay.outcomes]
        fair = [choice for choice in choices if _is_fair(choice, limit)]
        return min(fair, key=_waiting_first(limit), default=limit)
    found = [choice for outcome in replay.outcomes if (choice := smallest(outcome)) is not None]
    fair = [choice for choice in found if _is_fair(choice, limit)]
    priced = all(choice.month is not None for choice in fair)

    def rank(choice: Choice) -> tuple[Decimal, int, tuple[int, bool, Decimal, str]]:
        cost = choice.month if priced and choice.month is not None else Decimal(choice.gpus)
        return (cost, choice.gpus, _waiting_first(limit)(choice))

    return min(fair, key=rank, default=limit)


def _waiting_first(limit: Choice) -> Callable[[Choice], tuple[int, bool, Decimal, str]]:
    """Who waits least; then whole GPUs (sharing is work, it must bring something); then who holds least."""
    return lambda c: (c.wait_p95_ns, c.policy != limit.policy, c.run.gpu_hours.held, c.policy)


def tempting(replay: Replay) -> Choice | None:
    """The smallest fleet below the best one whose only fault is memory overflow, if there is one."""
    limit, best = baseline(replay), choose(replay)
    found = [choice for outcome in replay.outcomes if (choice := smallest(outcome)) is not None]
    faulty = [
        c
        for c in found
        if c.gpus < best.gpus and not _is_fair(c, limit) and _is_fair(c, limit, with_overflow=True)
    ]
    faulty = [c for c in faulty if c.policy != TIME_SLICING]  # It has no limit that head-room could raise.
    return min(faulty, key=lambda c: (c.gpus, c.policy), default=None)


def _is_fair(choice: Choice, limit: Choice, with_overflow: bool = False) -> bool:
    """No more rejected, waiting, interrupted or overflowing than with whole GPUs, and 95 % of their work."""
    allowed, least = limit.run.jobs, least_work(limit.run)
    most = limit.run.overflow.jobs
    return all(
        (with_overflow or run.overflow.jobs <= most)
        and run.gpu_hours.used >= least
        and run.jobs.rejected <= allowed.rejected
        and run.jobs.waiting <= allowed.waiting
        and run.jobs.interrupted <= allowed.interrupted
        for run in choice.runs
    )


def unknown_price(fleet: Fleet) -> str:
    """The option that would set the first unknown price, or "" where every price is known."""
    return next((node.cost.unknown for node in fleet.nodes if node.cost.unknown), "")

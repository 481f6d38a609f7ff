"""What /metrics answers: how far the replay is, what it has found, and then the fleet as it is played."""

from collections.abc import Iterator
from fractions import Fraction

from msgspec import Struct

from stellwerk import __version__
from stellwerk.adapters.metrics.family import Family, Sample, families
from stellwerk.engine.demand import NS_PER_HOUR, NS_PER_S
from stellwerk.report.choice import Choice, baseline, choose, declared, smallest
from stellwerk.report.view import PageView
from stellwerk.sim.exposed.metrics import all_metrics
from stellwerk.sim.exposed.money import price_samples
from stellwerk.sim.exposed.shown import shown_samples
from stellwerk.sim.exposed.timeline import Moment, Timeline
from stellwerk.sim.result import Outcome, Replay, Run

SECONDS_PER_HOUR = NS_PER_HOUR // NS_PER_S


class Shown(Struct, frozen=True):
    """A finished replay's fleet, and the moment of it that is shown now."""

    timeline: Timeline
    moment: Moment


def exposed(view: PageView, shown: Shown | None) -> tuple[Family, ...]:
    """All metrics now: of the replay as far as it is, and of the fleet once there is one to show."""
    return families(_samples(view, shown), all_metrics())


def _samples(view: PageView, shown: Shown | None) -> Iterator[Sample]:
    yield Sample("stellwerk_build_info", (("version", __version__),), 1)
    yield Sample("stellwerk_replay_done", (), int(view.state == "done"))
    yield Sample("stellwerk_replay_failed", (), int(view.state == "failed"))
    if view.progress is not None:
        yield Sample("stellwerk_replay_steps_done", (), view.progress.done)
        yield Sample("stellwerk_replay_steps_planned", (), view.progress.total)
    if view.replay is not None:
        yield from price_samples(view.replay.fleet)
        yield from policy_samples(view.replay, view.state == "done")
    if shown is not None:
        yield from shown_samples(shown.timeline, shown.moment)


def policy_samples(replay: Replay, done: bool) -> Iterator[Sample]:
    """GPUs, cost, saving, waits and jobs of each policy that was replayed; when all are `done`, the best.

    What a policy saves is what the report says: the declared fleet with whole GPUs, less its smallest fleet.
    """
    best = choose(replay).policy if done else ""
    for outcome in replay.outcomes:
        policy = ("policy", outcome.policy)
        if done:
            yield Sample("stellwerk_policy_recommended", (policy,), int(outcome.policy == best))
        yield from _fleet(declared(replay, outcome), "declared")
        small = smallest(outcome)
        if small is not None:
            yield from _fleet(small, "smallest")
            yield from _saving(replay, outcome, small)


def _saving(replay: Replay, outcome: Outcome, small: Choice) -> Iterator[Sample]:
    before, after = baseline(replay).month, small.month
    if before is not None and after is not None:
        labels = ("policy", outcome.policy), ("currency", replay.fleet.currency)
        yield Sample("stellwerk_policy_month_saving", labels, before - after)


def _fleet(choice: Choice, fleet: str) -> Iterator[Sample]:
    labels = ("policy", choice.policy), ("fleet", fleet)
    yield Sample("stellwerk_policy_gpus", labels, choice.gpus)
    if choice.month is not None:
        currency = ("currency", choice.run.cost.currency)
        yield Sample("stellwerk_policy_month_cost", (*labels, currency), choice.month)
    for run in choice.runs:
        yield from _run((*labels, ("slowdown", run.slowdown)), run)


def _run(labels: tuple[tuple[str, str], ...], run: Run) -> Iterator[Sample]:
    waits = {"50": run.waits.p50_ns, "95": run.waits.p95_ns, "100": run.waits.max_ns}
    for percentile, wait_ns in waits.items():
        wait_s = Fraction(wait_ns, NS_PER_S)
        yield Sample("stellwerk_policy_wait_seconds", (*labels, ("percentile", percentile)), wait_s)
    jobs = {
        "finished": run.jobs.finished,
        "running": run.jobs.running,
        "waiting": run.jobs.waiting,
        "rejected": run.jobs.rejected,
    }
    for state, count in jobs.items():
        yield Sample("stellwerk_policy_jobs", (*labels, ("state", state)), count)
    parts = {"paid": run.gpu_hours.paid, "held": run.gpu_hours.held, "used": run.gpu_hours.used}
    for part, hours in parts.items():
        seconds = Fraction(hours) * SECONDS_PER_HOUR
        yield Sample("stellwerk_policy_gpu_seconds", (*labels, ("part", part)), seconds)

"""Tenants run at the speed of the interference model, whatever came before: arrivals, ends, losses, cuts."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from stellwerk.engine.demand import Job
from stellwerk.engine.partition.policy import MIG, MPS, POLICIES, TIME_SLICING, WHOLE, Policy
from stellwerk.sim.replay import play, stage
from stellwerk.sim.slowdown import Slowdown
from stellwerk.sim.world import Progress, World

from .scenarios import drawn
from .test_cuts import broken_cuts

SOURCED = Slowdown(
    rest="proportional",
    factors={MPS: Fraction("1.25"), TIME_SLICING: Fraction(2), MIG: Fraction("1.1")},
)
MODELS = (Slowdown(), Slowdown(rest="proportional"), SOURCED)


def load_of(job: Job) -> int:
    """What the job computes alone: its mean, else its p95, else the share that it was seen on."""
    for known in (job.used_milli, job.compute_milli):
        if known is not None:
            return known
    return job.observed_share_milli


def expected(world: World, progress: Progress, model: Slowdown) -> Fraction:
    """The rule in docs/reference/slowdown.md, written anew: the slowest of the job's GPUs sets its pace."""
    rates = [Fraction(1)]
    for grant in progress.grants:
        site, job = world.gpus.sites[grant.gpu], progress.job
        others = [world.running[name].job for name, _ in world.gpus.tenants[grant.gpu]]
        load = sum(load_of(other) for other in others)
        if grant.method == WHOLE or (grant.method != MIG and len(others) == 1):
            if grant.method == WHOLE:
                continue
            rates.append(min(Fraction(1), Fraction(1000, load)) if job.is_service and load else Fraction(1))
            continue
        part = Fraction(1, len(others))
        room = Fraction(1000, load) if load > 1000 else Fraction(1)
        if grant.method == MIG:
            assert grant.profile is not None and site.facts.mig is not None
            part = Fraction(grant.profile.compute_slices, site.facts.mig.compute_slices)
            room = min(Fraction(1), part * 1000 / load_of(job)) if load_of(job) else Fraction(1)
        bound = min(Fraction(1), part * 1000 / job.observed_share_milli)
        if model.rest == "none":
            bound = Fraction(1)
        if grant.method in model.factors:
            bound = 1 / model.factors[grant.method]
        rates.append(room if job.is_service else min(bound, room))
    return min(rates)


def wrong(world: World, model: Slowdown) -> Iterator[str]:
    for name, progress in world.running.items():
        rate, wanted = Fraction(*progress.rate), expected(world, progress, model)
        if rate != wanted:
            yield f"{name} runs at {rate}, the model says {wanted}"


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_every_tenant_runs_at_the_speed_of_the_model_after_each_event(policy: Policy) -> None:
    parts = 0
    for seed in range(25):
        for model in MODELS:
            for found in (drawn(seed), broken_cuts(seed)):
                staged = stage(found, policy, model)

                def check(world: World, now: int, model: Slowdown = model, seed: int = seed) -> bool:
                    problems = list(wrong(world, model))
                    assert not problems, f"seed {seed}, {policy.name}, {model}: {problems} at {now} ns"
                    return True

                assert play(staged, check)
                stays = staged.world.ledger.stays
                parts += sum(stay.grants[0].method != WHOLE for stay in stays)
    assert parts > 100 or policy.name in ("whole", "mig-fixed")


def test_a_world_that_forgets_to_look_at_speeds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "_tenants_changed", only_once(World._tenants_changed))
    staged = stage(drawn(3), POLICIES[2], SOURCED)
    found: list[str] = []
    play(staged, lambda world, now: not found.extend(wrong(world, SOURCED)))  # type: ignore[func-returns-value]
    assert found


def only_once(honest):  # type: ignore[no-untyped-def]
    """Every second call is forgotten."""
    calls: list[int] = []

    def forgetful(self: World, gpu: int, now: int) -> None:
        calls.append(gpu)
        if len(calls) % 2:
            honest(self, gpu, now)
        else:
            for name, _ in self.gpus.tenants[gpu]:
                progress = self.running[name]
                if progress.rate == (0, 1):
                    self._set_rate(progress, (1, 1), now)

    return forgetful

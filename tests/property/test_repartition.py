"""Sequences of re-partitions: carried out step by step, no instance in use is ever destroyed.

The steps are performed on a twin of NVML's rules that knows nothing of the planner: a violation stops it.
STELLWERK_CASES=10000 tries more sequences.
"""

import os
import random

import pytest
from msgspec.structs import replace

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.inventory import Gpu, Limits, PartitionPlan, Step
from stellwerk.engine.partition.layouts import is_valid
from stellwerk.engine.partition.plan import plan_partition
from tests.differential.test_partition import random_gpu, random_request

CASES = int(os.environ.get("STELLWERK_CASES", "200"))
BATCH = 50
MODELS = ("A30", "H100-SXM5-80GB", "RTX-PRO-6000-BSE")


class Violated(Exception):
    """A step that NVML, or a running pod, would not survive."""


class Card:
    """One GPU as NVML sees it: MIG mode, instances with their pod, and tenants of a GPU that is not cut."""

    def __init__(self, gpu: Gpu) -> None:
        self.model, self.mig = gpu.model, gpu.method == "mig"
        self.instances = {(item.start, item.profile): item.tenant for item in gpu.instances}
        self.tenants = {tenant.name for tenant in gpu.tenants}

    def do(self, step: Step) -> None:
        """Perform a step; raises Violated."""
        key = (step.start, step.subject)
        if step.action == "drain":
            if self.instances.get(key) != step.pod:
                raise Violated(f"{step.pod} is not there")
            self.instances[key] = ""
        elif step.action == "destroy":
            if key not in self.instances or self.instances[key]:
                raise Violated(f"{key} is in use, or was never made")
            del self.instances[key]
        elif step.action == "mode":
            if self.instances or self.tenants:
                raise Violated("the mode changes under somebody")
            self.mig = step.subject == "mig-enabled"
        elif step.action == "create":
            if not self.mig:
                raise Violated("MIG mode is off")
            self.instances[key] = ""
            self.check()
        elif step.action == "place" and step.start >= 0:
            if self.instances.get(key) != "":
                raise Violated(f"{key} is taken, or not there")
            self.instances[key] = step.pod
        elif step.action == "place":
            if self.instances:
                raise Violated("a cut GPU has no whole")
            self.tenants.add(step.pod)

    def check(self) -> None:
        """Whether NVML would allow this layout."""
        table = mig_table(self.model)
        assert table is not None
        found = [Instance(p, start) for start, name in self.instances if (p := table.profile(name))]
        if not is_valid(table, found):
            raise Violated(f"no valid layout: {sorted(self.instances)}")


def carry_out(before: list[Gpu], plan: PartitionPlan) -> None:
    """Perform the plan's steps on cards in today's state; the cards must end as the plan says."""
    cards = {gpu.key: Card(gpu) for gpu in before}
    for step in plan.steps:
        cards[step.node, step.gpu].do(step)
    for gpu in plan.gpus:
        card, target = cards[gpu.key], Card(gpu)
        assert (card.instances, card.tenants) == (target.instances, target.tenants)


def next_state(rng: random.Random, plan: PartitionPlan) -> list[Gpu]:
    """Time passes: some pods end, their instances stay."""
    gpus = []
    for gpu in plan.gpus:
        kept = tuple(replace(i, tenant=i.tenant if rng.random() < 0.6 else "") for i in gpu.instances)
        tenants = tuple(tenant for tenant in gpu.tenants if rng.random() < 0.6)
        method = gpu.method if tenants or kept or gpu.method == "mig" else ""
        gpus.append(replace(gpu, instances=kept, tenants=tenants, method=method))
    return gpus


def sequence(seed: int) -> None:
    """Three re-partitions in a row, with pods that come and go between them."""
    rng = random.Random(seed)
    models = [rng.choice(MODELS) for _ in range(rng.choice((1, 2, 3)))]
    gpus = [random_gpu(rng, index, model) for index, model in enumerate(models)]
    for turn in range(3):
        requests = [random_request(rng, 10 * turn + number, models) for number in range(rng.randint(1, 3))]
        limits = Limits(drain=rng.random() < 0.5)
        plan = plan_partition(gpus, requests, limits)
        carry_out(gpus, plan)
        if not limits.drain:
            stay = {(g.key, i.start, i.profile, i.tenant) for g in gpus for i in g.instances if i.tenant}
            after = {(g.key, i.start, i.profile, i.tenant) for g in plan.gpus for i in g.instances}
            assert stay <= after and not plan.drained
        gpus = next_state(rng, plan)


@pytest.mark.parametrize("batch", range(-(-CASES // BATCH)))
def test_no_instance_in_use_is_destroyed_and_every_layout_is_valid(batch: int) -> None:
    for seed in range(batch * BATCH, min(CASES, (batch + 1) * BATCH)):
        try:
            sequence(seed)
        except (Violated, AssertionError) as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_a_planted_bug_is_caught() -> None:
    """A plan whose drains are left out destroys what is in use, and is seen to."""
    for seed in range(400):
        rng = random.Random(seed)
        gpus = [random_gpu(rng, index, "H100-SXM5-80GB") for index in range(2)]
        requests = [random_request(rng, number, ["H100-SXM5-80GB"]) for number in range(3)]
        plan = plan_partition(gpus, requests, Limits(drain=True))
        if plan.drained:
            broken = replace(plan, steps=tuple(step for step in plan.steps if step.action != "drain"))
            with pytest.raises(Violated):
                carry_out(gpus, broken)
            return
    raise AssertionError("no plan drained anybody, so nothing was tried")

"""plan_partition is the optimum: on small random fleets and demands it is as good as trying everything.

STELLWERK_CASES=10000 tries more of them.
"""

import os
import random

import pytest
from msgspec.structs import replace

from stellwerk.engine.partition.facts import gpu_facts, mig_table
from stellwerk.engine.partition.geometry import Instance
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, Limits, PartitionRequest, Tenant
from stellwerk.engine.partition.layouts import Room
from stellwerk.engine.partition.plan import plan_partition
from tests.differential.partition_twin import fewest, fewest_by_node

CASES = int(os.environ.get("STELLWERK_CASES", "400"))
BATCH = 100
MODELS = ("A30", "H100-SXM5-80GB", "A100-SXM4-40GB", "RTX-PRO-6000-BSE", "L40S")
METHODS = (
    ("whole", "mig", "mps"),
    ("whole", "mig"),
    ("mig",),
    ("mps",),
    ("time-slicing", "whole"),
    ("mps", "mig"),
)


def random_gpu(rng: random.Random, index: int, model: str) -> Gpu:
    """Empty, cut with some instances in use, or with tenants of MPS."""
    table, kind = mig_table(model), rng.random()
    if kind < 0.5:
        return Gpu(node="n", index=index, model=model)
    if table is None or kind < 0.6:
        tenant = Tenant(
            name=f"old-{index}", memory_bytes=rng.randint(1, 20) << 30, compute_milli=rng.randint(1, 600)
        )
        return Gpu(node="n", index=index, model=model, method=rng.choice(("mps", "whole")), tenants=(tenant,))
    room, found = Room(table), []
    for _ in range(rng.randint(1, 3)):
        options = [Instance(p, s) for p in table.profiles for s in p.starts if room.holds(Instance(p, s))]
        if options:
            chosen = rng.choice(options)
            room.take(chosen)
            tenant_name = f"old-{index}-{chosen.start}" if rng.random() < 0.7 else ""
            found.append(GpuInstance(profile=chosen.profile.name, start=chosen.start, tenant=tenant_name))
    return Gpu(
        node="n",
        index=index,
        model=model,
        method="mig",
        instances=tuple(sorted(found, key=lambda i: i.start)),
    )


def random_request(rng: random.Random, number: int, models: list[str]) -> PartitionRequest:
    """By profile, by need, or not measured."""
    table, kind = mig_table(rng.choice(models)), rng.random()
    pods = rng.choice((1, 1, 2, 3))
    if table is not None and kind < 0.4:
        return PartitionRequest(name=f"r{number}", pods=pods, profile=rng.choice(table.profiles).name)
    if kind < 0.5:
        return PartitionRequest(name=f"r{number}")
    memory = gpu_facts(models[0]).memory_bytes
    return PartitionRequest(
        name=f"r{number}",
        pods=pods,
        memory_bytes=memory * rng.randint(1, 60) // 100,
        compute_milli=rng.choice((0, 50, 140, 300, 500)),
        methods=rng.choice(METHODS),
    )


def random_case(seed: int) -> tuple[list[Gpu], list[PartitionRequest], int]:
    """A fleet of up to three GPUs, one to four requests, and how many replicas time-slicing has."""
    rng = random.Random(seed)
    models = [rng.choice(MODELS) for _ in range(rng.choice((1, 2, 2, 3)))]
    gpus = [random_gpu(rng, index, model) for index, model in enumerate(models)]
    requests = [random_request(rng, number, models) for number in range(rng.randint(1, 4))]
    return gpus, requests, rng.choice((2, 4))


@pytest.mark.parametrize("batch", range(-(-CASES // BATCH)))
def test_plan_is_as_good_as_trying_everything(batch: int) -> None:
    for seed in range(batch * BATCH, min(CASES, (batch + 1) * BATCH)):
        gpus, requests, replicas = random_case(seed)
        plan = plan_partition(gpus, requests, Limits(replicas=replicas))
        found = sum(item.pods for item in plan.unserved), plan.gpus_used
        assert found == fewest(gpus, requests, replicas), f"seed {seed}: {gpus} {requests}"
        assert plan.gap == 0, f"seed {seed}: what is optimal is also proven"


@pytest.mark.parametrize("batch", range(-(-CASES // (4 * BATCH))))
def test_a_plan_for_the_device_plugin_is_as_good_as_trying_everything(batch: int) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        gpus, requests, replicas = random_case(100_000 + seed)
        gpus = [replace(gpu, node=f"n{gpu.index % 2}") for gpu in gpus]
        gpus = [replace(gpu, method="", tenants=()) if gpu.method == "mps" else gpu for gpu in gpus]
        requests = [request if request.pods < 3 else replace(request, pods=2) for request in requests]
        plan = plan_partition(gpus, requests, Limits(executor="device-plugin", replicas=replicas))
        found = sum(item.pods for item in plan.unserved), plan.gpus_used
        assert found == fewest_by_node(gpus, requests, replicas), f"seed {seed}: {gpus} {requests}"
        methods = {
            (gpu.node, gpu.method) for gpu in plan.gpus if gpu.busy and gpu.method not in ("whole", "mig")
        }
        assert len({node for node, _ in methods}) == len(methods), f"seed {seed}: two ways on one node"


@pytest.mark.parametrize("batch", range(-(-CASES // (4 * BATCH))))
def test_a_plan_with_pods_of_several_gpus_is_as_good_as_trying_everything(batch: int) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        rng = random.Random(200_000 + seed)
        models = [rng.choice(("A30", "H100-SXM5-80GB")) for _ in range(2)]
        gpus = [
            replace(random_gpu(rng, at, models[at // 2]), node=f"n{at // rng.choice((2, 3))}")
            for at in range(4)
        ]
        requests = [
            PartitionRequest(name=f"g{n}", pods=rng.choice((1, 1, 2)), gpus=2)
            for n in range(rng.choice((1, 2)))
        ]
        requests += [random_request(rng, number, models) for number in range(rng.randint(0, 2))]
        plan = plan_partition(gpus, requests, Limits(replicas=2))
        found = sum(item.pods for item in plan.unserved), plan.gpus_used
        assert found == fewest(gpus, requests, 2), f"seed {seed}: {gpus} {requests}"
        assert plan.gap == 0, f"seed {seed}: what is optimal is also proven"

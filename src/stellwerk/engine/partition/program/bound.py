"""A bound for plans that are too large to be proven: what the sums of memory and of compute say."""

from collections.abc import Sequence

from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.inventory import Limits, PartitionPlan, PartitionRequest


def least_gpus(requests: Sequence[PartitionRequest], plan: PartitionPlan, limits: Limits) -> int:
    """What no plan goes below: today's GPUs in use, and the sums of memory and of compute over one GPU's.

    0 where not all have a place, or pods may move: then it says nothing.
    """
    if plan.unserved or limits.drain:
        return 0
    if plan.gpus_before:
        return plan.gpus_before
    largest = max((gpu_facts(gpu.model).memory_bytes for gpu in plan.gpus), default=1)
    memory = sum((request.memory_bytes or 0) * request.pods for request in requests if request.gpus == 1)
    compute = sum((request.compute_milli or 0) * request.pods for request in requests if request.gpus == 1)
    several = sum(request.gpus * request.pods for request in requests if request.gpus > 1)
    return several + max(-(-memory // largest), -(-compute // 1000))

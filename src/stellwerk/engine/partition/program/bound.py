"""A bound for plans that are too large to be proven: what the sums of memory and of compute say."""

from collections.abc import Sequence

from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.partition.inventory import Gpu, Limits, PartitionRequest


def least_gpus(
    requests: Sequence[PartitionRequest], gpus: Sequence[Gpu], limits: Limits, refused: bool
) -> int:
    """What no plan goes below: today's GPUs, and the sums of memory and of compute over one GPU's.

    0 where not all have a place, or pods may move: then it says nothing.
    """
    if refused or limits.drain or any(gpu.busy for gpu in gpus):
        return 0 if refused or limits.drain else sum(gpu.busy for gpu in gpus)
    largest = max(gpu_facts(gpu.model).memory_bytes for gpu in gpus)
    memory = sum((request.memory_bytes or 0) * request.pods for request in requests if request.gpus == 1)
    compute = sum((request.compute_milli or 0) * request.pods for request in requests if request.gpus == 1)
    several = sum(request.gpus * request.pods for request in requests if request.gpus > 1)
    return several + max(-(-memory // largest), -(-compute // 1000))

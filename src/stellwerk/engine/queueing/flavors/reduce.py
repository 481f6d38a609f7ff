"""Partial admission: the largest number of pods that still gets in, PodSets reduced in step.

Source: kueue pkg/scheduler/flavorassigner/podset_reducer.go, KEP-420.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from stellwerk.api.groups.kueue_workload import PodSet
from stellwerk.api.groups.meta import given

T = TypeVar("T")


def reduce_pod_sets(pod_sets: Sequence[PodSet], fits: Callable[[tuple[int, ...]], T | None]) -> T | None:
    """What `fits` says of the largest counts for which it says anything; None if there are none.

    Counts go from `count` to `minCount` in as many steps as pods can go, each PodSet its share of them;
    `fits` is taken to hold for all smaller counts where it holds (bisection).
    """
    can_go = [pod_set.count - given(pod_set.min_count, pod_set.count) for pod_set in pod_sets]
    steps = sum(can_go)
    if steps == 0:
        return None

    def attempt(step: int) -> T | None:
        counts = [
            pod_set.count - int_quotient(less * step, steps)
            for pod_set, less in zip(pod_sets, can_go, strict=True)
        ]
        return fits(tuple(counts))

    low, high, best = 0, steps + 1, None
    while low < high:
        middle = (low + high) // 2
        found = attempt(middle)
        if found is None:
            low = middle + 1
        else:
            high, best = middle, found
    return best


def int_quotient(number: int, divisor: int) -> int:
    """The quotient rounded towards zero, as Go divides."""
    quotient = abs(number) // abs(divisor)
    return quotient if (number >= 0) == (divisor >= 0) else -quotient

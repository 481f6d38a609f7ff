"""Who has a GPU at one moment: pods by their sharing, and the rest by its cause. Weights are integers.

Time-slicing: equal parts among the pods that are there. MPS: the mean of memory and compute share; equal
parts where that is not measured for each. MIG: memory slices; pods on one instance have equal parts of it.
"""

from collections.abc import Mapping, Sequence
from math import lcm

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.mig import mig_model
from stellwerk.engine.money.measured.result import (
    BOOT,
    DRAIN,
    FRAGMENTATION,
    GAP,
    IDLE,
    QUOTA_LOCKED,
    UNSOLD_SLICE,
)

WHOLE, SHARED = "whole", "shared"


class Part(Struct, frozen=True):
    """A weight of the GPU: a pod's (its place in the usage), or a cause's (`pod` None)."""

    pod: int | None
    cause: str
    slice: str
    weight: int


class Moment(Struct, frozen=True, kw_only=True):
    """What is true of a GPU: its instances (profile by key), its pods by device key, and the node's states.

    `pods` under a key that is no instance have the uncut GPU. `measured`: there are samples, and no hole.
    """

    model: str
    instances: Mapping[str, str]
    pods: Mapping[str, Sequence[int]]
    mps_milli: Mapping[int, int | None] | None = None
    booting: bool = False
    measured: bool = True
    draining: bool = False
    pending: bool = False

    @property
    def outage(self) -> str:
        """Why what is free could not be sold at all; "" where it could."""
        if self.booting:
            return BOOT
        if not self.measured:
            return GAP
        return DRAIN if self.draining else ""


def divide(moment: Moment) -> tuple[Part, ...]:
    """Parts whose weights are the whole GPU; at least one has a weight."""
    if moment.instances:
        return _cut(moment)
    pods = [pod for key in sorted(moment.pods) for pod in moment.pods[key]]
    if not pods:
        free = moment.outage or (QUOTA_LOCKED if moment.pending else IDLE)
        return (Part(None, free, WHOLE, 1),)
    if moment.mps_milli is not None:
        return _by_mps(pods, moment.mps_milli, moment.outage)
    return tuple(Part(pod, "", WHOLE if len(pods) == 1 else SHARED, 1) for pod in pods)


def _by_mps(pods: Sequence[int], shares: Mapping[int, int | None], outage: str) -> tuple[Part, ...]:
    known = [shares[pod] for pod in pods]
    weights = [1 if share is None else share for share in known]
    if None in known:
        return tuple(Part(pod, "", SHARED, 1) for pod in pods)
    parts = tuple(Part(pod, "", SHARED, weight) for pod, weight in zip(pods, weights, strict=True))
    left = 1000 - sum(weights)
    return parts if left <= 0 else (*parts, Part(None, outage or UNSOLD_SLICE, SHARED, left))


def _cut(moment: Moment) -> tuple[Part, ...]:
    sizes = {key: slices_of(moment.model, profile)[0] for key, profile in moment.instances.items()}
    total = slices_of(moment.model, "")[0]
    uncut = [pod for key, pods in sorted(moment.pods.items()) if key not in sizes for pod in pods]
    scale = lcm(*(len(pods) or 1 for pods in moment.pods.values()), len(uncut) or 1)
    parts: list[Part] = []
    for key, size in sorted(sizes.items()):
        profile, pods = moment.instances[key], moment.pods.get(key, ())
        parts += [Part(pod, "", profile, size * scale // len(pods)) for pod in pods]
        if not pods:
            parts.append(Part(None, moment.outage or UNSOLD_SLICE, profile, size * scale))
    left = max(0, total - sum(sizes.values()))
    if uncut and left:
        parts += [Part(pod, "", SHARED, left * scale // len(uncut)) for pod in uncut]
    elif left:
        parts += _left(moment, left, scale)
    return tuple(parts)


def _left(moment: Moment, left: int, scale: int) -> list[Part]:
    """Slices in no instance: as many as smallest instances would still fit are unsold, others are lost."""
    if moment.outage:
        return [Part(None, moment.outage, SHARED, left * scale)]
    compute = slices_of(moment.model, "")[1]
    taken = sum(slices_of(moment.model, profile)[1] for profile in moment.instances.values())
    step = smallest_slices(moment.model)
    fit = min(left // step, max(0, compute - taken))
    parts = [(UNSOLD_SLICE, fit * step), (FRAGMENTATION, left - fit * step)]
    return [Part(None, cause, SHARED, size * scale) for cause, size in parts if size]


def slices_of(model: str, profile: str) -> tuple[int, int]:
    """(memory, compute) slices of a profile, or of the whole GPU for "".

    Raises InvalidInput for a model or profile whose slices are not published.
    """
    table = mig_model(model)
    if table is not None and table.memory_slices is not None:
        if not profile:
            return table.memory_slices, table.compute_slices
        found = next((each for each in table.profiles if each.name == profile), None)
        if found is not None and found.memory_slices is not None:
            return found.memory_slices, found.compute_slices
    raise InvalidInput(
        "MIG profile {profile} of {model} is not in the catalog: its part of the GPU is unknown",
        fix="see what is known: stellwerk catalog mig {model}",
        profile=profile or "?",
        model=model,
    )


def smallest_slices(model: str) -> int:
    """Memory slices of the smallest instance."""
    table = mig_model(model)
    sizes = [profile.memory_slices for profile in table.profiles if profile.memory_slices] if table else []
    return min(sizes, default=1)

"""When pods held GPUs, as a replay takes it: what samples and kube-state-metrics leave open is estimated.

A pod that was last seen before a hole, and that nothing says the end of, ended somewhere in it: on average at
half. So did one begin that was first seen after it.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.usage import Hole, PodUse, Usage

WHOLE_GPU = "nvidia_com_gpu"  # The resource nvidia.com/gpu, as kube-state-metrics spells it.


class HeldStay(Struct, frozen=True, kw_only=True):
    """A pod on `gpus` devices in [start_ms, end_ms); `in_hole`: one of the two is the middle of a hole."""

    pod: PodUse
    start_ms: int
    end_ms: int
    gpus: int
    in_hole: bool = False


def stays_of(usage: Usage) -> tuple[HeldStay, ...]:
    """Every pod that held a GPU for some time, in the order of the usage."""
    nodes = {device.key: device.node for device in usage.devices}
    starts: dict[str, list[int]] = {}
    ends: dict[str, list[int]] = {}
    for pod in usage.pods:
        for key in pod.devices:
            starts.setdefault(key, []).append(pod.start_ms)
            ends.setdefault(key, []).append(pod.end_ms)
    # A replica or an instance is no GPU: where GPUs were shared, a request does not tell how much was held.
    whole = not any(device.profile for device in usage.devices) and not any(
        pod.shared_with for pod in usage.pods
    )
    found: list[HeldStay] = []
    for pod in usage.pods:
        if pod.devices:
            where = {nodes.get(key, "") for key in pod.devices}
            holes = [hole for hole in usage.holes if not hole.node or hole.node in where]
            found.append(_seen(pod, holes, starts, ends))
        elif whole and pod.end_told and pod.start_told and pod.resources == (WHOLE_GPU,):
            gpus = pod.gpus_requested or 0
            found.append(HeldStay(pod=pod, start_ms=pod.start_ms, end_ms=pod.end_ms, gpus=gpus))
    return tuple(stay for stay in found if stay.end_ms > stay.start_ms and stay.gpus)


def unknown_in_holes_ms(usage: Usage, stays: Sequence[HeldStay]) -> int:
    """GPU-time in holes of which nothing tells whether a pod held it, in ms."""
    nodes = {device.key: device.node for device in usage.devices}
    known: dict[str, list[tuple[int, int]]] = {}
    for stay in stays:
        for key in stay.pod.devices:
            known.setdefault(key, []).append((stay.pod.start_ms, stay.pod.end_ms))
    open_ms = 0
    for hole in usage.holes:
        for key, node in nodes.items():
            if hole.node in ("", node):
                open_ms += hole.end_ms - hole.start_ms - _covered(hole, known.get(key, ()))
    return max(0, open_ms - sum(_inside(stay, usage.holes) for stay in stays if not stay.pod.devices))


def _seen(
    pod: PodUse, holes: Iterable[Hole], starts: Mapping[str, list[int]], ends: Mapping[str, list[int]]
) -> HeldStay:
    """The pod's time with half of a hole that it began or ended in, unless another pod had the GPU then."""
    start, end = pod.start_ms, pod.end_ms
    for hole in holes:
        middle = (hole.start_ms + hole.end_ms) // 2
        if not pod.start_told and hole.end_ms == pod.start_ms:
            before = [at for key in pod.devices for at in ends[key] if at <= pod.start_ms]
            start = max(middle, *before, 0)
        if not pod.end_told and hole.start_ms == pod.end_ms:
            after = [at for key in pod.devices for at in starts[key] if at >= pod.end_ms]
            end = min([middle, *after])
    in_hole = (start, end) != (pod.start_ms, pod.end_ms)
    return HeldStay(pod=pod, start_ms=start, end_ms=end, gpus=len(pod.devices), in_hole=in_hole)


def _covered(hole: Hole, spans: Iterable[tuple[int, int]]) -> int:
    """How much of the hole is in one of the spans."""
    covered, reached = 0, hole.start_ms
    for start, end in sorted(spans):
        begin, stop = max(start, reached), min(end, hole.end_ms)
        covered += max(0, stop - begin)
        reached = max(reached, stop)
    return covered


def _inside(stay: HeldStay, holes: Iterable[Hole]) -> int:
    """GPU-time of a stay in any hole."""
    return (
        sum(max(0, min(stay.end_ms, hole.end_ms) - max(stay.start_ms, hole.start_ms)) for hole in holes)
        * stay.gpus
    )

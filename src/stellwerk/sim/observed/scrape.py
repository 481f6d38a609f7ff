"""Simulated GPUs as DCGM exporter and kube-state-metrics would show them: exposition text with timestamps.

Written from a replay's ledger, scrape by scrape, so that what reads real metrics can be tried on a demand
whose truth is known. Faults are arguments: the scrapes that are missing.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from stellwerk.engine.demand import NS_PER_S
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.ledger import Ledger, Stay

MIB = 1024 * 1024


class Scrapes(Struct, frozen=True, kw_only=True):
    """When samples are taken: each `interval_ns` of the period, but in none of `holes` ([from, to) in ns).

    `kept_ns` is how long a finished pod is kept as an object (a Job's ttlSecondsAfterFinished).
    """

    start_ns: int
    period_ns: int
    interval_ns: int = 30 * NS_PER_S
    holes: Sequence[tuple[int, int]] = ()
    kept_ns: int = 3 * 3600 * NS_PER_S


class Turn(Struct, frozen=True):
    """A stay on one GPU, by when it began."""

    start_ns: int
    end_ns: int
    stay: Stay


def exposition(ledger: Ledger, fleet: Fleet, scrapes: Scrapes) -> Iterator[str]:
    """Lines of Prometheus' text format, in order of time. Only whole GPUs are shown: one pod a device.

    A GPU without a pod reports itself without pod labels, as the exporter does. kube-state-metrics shows each
    pod's kind (kube_pod_labels), the GPUs that it asked for, its start, and, while the finished pod is kept,
    its end.
    """
    places = [(node, index) for node in fleet.nodes for index in range(node.gpus)]
    turns = _turns(ledger, len(places))
    kept: list[Turn] = []
    for at in range(0, scrapes.period_ns, scrapes.interval_ns):
        if any(begin <= at < end for begin, end in scrapes.holes):
            continue
        stamp = (scrapes.start_ns + at) // 1_000_000
        for gpu, (node, index) in enumerate(places):
            while turns[gpu] and turns[gpu][-1].end_ns <= at:
                ended = turns[gpu].pop()
                kept += [ended] if _shows_pod(ended.stay, gpu) else []
            labels = (
                f'gpu="{index}",UUID="GPU-{node.name}-{index}",device="nvidia{index}",'
                f'modelName="{node.gpu_model}",Hostname="{node.name}"'
            )
            busy = bool(turns[gpu]) and turns[gpu][-1].start_ns <= at
            turn = turns[gpu][-1] if busy else None
            yield from _device_lines(turn, labels, stamp)
            if turn is not None and _shows_pod(turn.stay, gpu):
                yield from _pod_lines(turn, stamp, scrapes.start_ns)
        kept = [turn for turn in kept if at < turn.end_ns + scrapes.kept_ns]
        for turn in kept:
            yield from _ended_lines(turn, stamp, scrapes.start_ns)


def _turns(ledger: Ledger, gpus: int) -> list[list[Turn]]:
    """Each GPU's stays, the next one last; asserts that none overlap."""
    turns: list[list[Turn]] = [[] for _ in range(gpus)]
    for stay in sorted(ledger.stays, key=lambda stay: (-stay.start_ns, stay.job.name)):
        for grant in stay.grants:
            after = turns[grant.gpu][-1:]
            assert not after or stay.end_ns <= after[0].start_ns, "only whole GPUs are shown"
            turns[grant.gpu].append(Turn(stay.start_ns, stay.end_ns, stay))
    return turns


def _shows_pod(stay: Stay, gpu: int) -> bool:
    """A pod with several GPUs is one object: it is shown once in a scrape, with the first of them."""
    return stay.grants[0].gpu == gpu


def _device_lines(turn: Turn | None, labels: str, stamp: int) -> Iterator[str]:
    if turn is None:
        yield f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} 0 {stamp}"
        yield f"DCGM_FI_DEV_FB_USED{{{labels}}} 0 {stamp}"
        return
    job = turn.stay.job
    labels += f',{_pod(turn)},container="main"'
    used = 0 if job.used_milli is None else job.used_milli
    yield f"DCGM_FI_DEV_GPU_UTIL{{{labels}}} {used // 10}.{used % 10} {stamp}"
    yield f"DCGM_FI_DEV_FB_USED{{{labels}}} {(job.memory_bytes or 0) // MIB} {stamp}"


def _pod_lines(turn: Turn, stamp: int, origin_ns: int) -> Iterator[str]:
    kind = f'label_stellwerk_dev_workload_kind="{turn.stay.job.kind}"'
    yield f"kube_pod_labels{{{_pod(turn)},{kind}}} 1 {stamp}"
    yield from _object_lines(turn, stamp, origin_ns)


def _ended_lines(turn: Turn, stamp: int, origin_ns: int) -> Iterator[str]:
    yield from _object_lines(turn, stamp, origin_ns)
    yield f"kube_pod_completion_time{{{_pod(turn)}}} {(origin_ns + turn.end_ns) // NS_PER_S} {stamp}"


def _object_lines(turn: Turn, stamp: int, origin_ns: int) -> Iterator[str]:
    """What kube-state-metrics shows of a pod as long as it is there, finished or not."""
    pod, asked = _pod(turn), 'container="main",resource="nvidia_com_gpu",unit="integer"'
    yield f"kube_pod_container_resource_requests{{{pod},{asked}}} {turn.stay.job.gpus} {stamp}"
    yield f"kube_pod_start_time{{{pod}}} {(origin_ns + turn.start_ns) // NS_PER_S} {stamp}"


def _pod(turn: Turn) -> str:
    return f'namespace="{turn.stay.job.team}",pod="{turn.stay.job.name.replace("/", "-")}"'

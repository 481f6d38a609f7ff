"""Simulated GPUs as DCGM exporter and kube-state-metrics would show them: exposition text with timestamps.

Written from a replay's ledger, scrape by scrape, so that what reads real metrics can be tried on a demand
whose truth is known. Faults are arguments: the scrapes that are missing.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from stellwerk.adapters.metrics.family import Labels, Sample
from stellwerk.engine.demand import NS_PER_S
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import FB_USED, UTIL
from stellwerk.sim.exposed.devices import device_labels, holder_labels, memory_used, utilization
from stellwerk.sim.exposed.pods import (
    KEPT_NS,
    end_sample,
    kind_sample,
    pod_labels,
    requests_sample,
    start_sample,
)
from stellwerk.sim.ledger import Ledger, Stay


class Scrapes(Struct, frozen=True, kw_only=True):
    """When samples are taken: each `interval_ns` of the period, but in none of `holes` ([from, to) in ns).

    `kept_ns` is how long a finished pod is kept as an object (a Job's ttlSecondsAfterFinished).
    """

    start_ns: int
    period_ns: int
    interval_ns: int = 30 * NS_PER_S
    holes: Sequence[tuple[int, int]] = ()
    kept_ns: int = KEPT_NS


class Turn(Struct, frozen=True):
    """A stay on one GPU: what every scrape shows of it while it lasts, and once it has ended."""

    start_ns: int
    end_ns: int
    shown: tuple[str, ...]
    ended: tuple[str, ...]


def exposition(ledger: Ledger, fleet: Fleet, scrapes: Scrapes) -> Iterator[str]:
    """Lines of Prometheus' text format, in order of time. Only whole GPUs are shown: one pod a device.

    A GPU without a pod reports itself without pod labels, as the exporter does. kube-state-metrics shows each
    pod's kind (kube_pod_labels), the GPUs that it asked for, its start, and, while the finished pod is kept,
    its end.
    """
    devices = [device_labels(node, index) for node in fleet.nodes for index in range(node.gpus)]
    idle = [_texts(Sample(UTIL, labels, 0), Sample(FB_USED, labels, 0)) for labels in devices]
    turns = _turns(ledger, devices, scrapes.start_ns)
    kept: list[Turn] = []
    for at in range(0, scrapes.period_ns, scrapes.interval_ns):
        if any(begin <= at < end for begin, end in scrapes.holes):
            continue
        stamp = (scrapes.start_ns + at) // 1_000_000
        for gpu, nobody in enumerate(idle):
            while turns[gpu] and turns[gpu][-1].end_ns <= at:
                kept.append(turns[gpu].pop())
            busy = bool(turns[gpu]) and turns[gpu][-1].start_ns <= at
            yield from (f"{text} {stamp}" for text in (turns[gpu][-1].shown if busy else nobody))
        kept = [turn for turn in kept if at < turn.end_ns + scrapes.kept_ns]
        for turn in kept:
            yield from (f"{text} {stamp}" for text in turn.ended)


def _turns(ledger: Ledger, devices: Sequence[Labels], origin_ns: int) -> list[list[Turn]]:
    """Each GPU's stays, the next one last; asserts that none overlap."""
    turns: list[list[Turn]] = [[] for _ in devices]
    for stay in sorted(ledger.stays, key=lambda stay: (-stay.start_ns, stay.job.name)):
        for grant in stay.grants:
            after = turns[grant.gpu][-1:]
            assert not after or stay.end_ns <= after[0].start_ns, "only whole GPUs are shown"
            turns[grant.gpu].append(_turn(stay, grant.gpu, devices[grant.gpu], origin_ns))
    return turns


def _turn(stay: Stay, gpu: int, device: Labels, origin_ns: int) -> Turn:
    job, name = stay.job, stay.job.name.replace("/", "-")
    of_pod, pod = (*device, *holder_labels(job.team, name)), pod_labels(job.team, name)
    busy = _texts(utilization(of_pod, job.used_milli or 0), memory_used(of_pod, job.memory_bytes or 0))
    if stay.grants[0].gpu != gpu:
        # A pod with several GPUs is one object: it is shown once in a scrape, with the first of them.
        return Turn(stay.start_ns, stay.end_ns, shown=busy, ended=())
    there = requests_sample(pod, job.gpus), start_sample(pod, origin_ns + stay.start_ns)
    return Turn(
        stay.start_ns,
        stay.end_ns,
        shown=busy + _texts(kind_sample(pod, job.kind), *there),
        ended=_texts(*there, end_sample(pod, origin_ns + stay.end_ns)),
    )


def _texts(*samples: Sample) -> tuple[str, ...]:
    """Each sample as text but for its time; our names need no escapes."""
    return tuple(_text(sample) for sample in samples)


def _text(sample: Sample) -> str:
    labels = ",".join(f'{name}="{text}"' for name, text in sample.labels)
    return f"{sample.name}{{{labels}}} {sample.value}"

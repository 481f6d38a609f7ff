"""A GPU's time as segments in which nothing changes: pods, instances, holes, drains, what waits."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.money.measured.gpus import Gpu
from stellwerk.engine.money.measured.nodes import BilledNode
from stellwerk.engine.money.measured.result import BillFacts, Span
from stellwerk.engine.money.measured.spans import clip, join, measured
from stellwerk.engine.usage import PodUse, Usage

POD, IDLE_POD, INSTANCE, MEASURED, HOLE, DRAINED, PENDING, BOOTING = range(8)


class Mark(Struct, frozen=True, order=True):
    """Something that is true for a while: its kind, a device's key, a pod's place in the usage."""

    kind: int
    key: str = ""
    pod: int = -1


class Segment(Struct, frozen=True):
    """[start_ms, end_ms) with the marks that hold in all of it."""

    start_ms: int
    end_ms: int
    marks: frozenset[Mark]


Marked = tuple[Mark, tuple[Span, ...]]


def node_marks(node: BilledNode, usage: Usage, facts: BillFacts) -> list[Marked]:
    """What is true of all GPUs of a node."""
    holes = join(Span(h.start_ms, h.end_ms) for h in usage.holes if h.node in ("", node.name))
    return [
        (Mark(HOLE), holes),
        (Mark(DRAINED), join(facts.drains.get(node.name, ()))),
        (Mark(PENDING), join(facts.pending)),
        (Mark(BOOTING), _booting(node, usage, facts)),
    ]


def _booting(node: BilledNode, usage: Usage, facts: BillFacts) -> tuple[Span, ...]:
    """From the known start of a life to the first sample in it; at most the limit, what is more is a gap."""
    scraped = [
        span for device in usage.devices if device.node == node.name for span in measured(device, usage)
    ]
    boots: list[Span] = []
    for life in node.began:
        first = min((span.start_ms for span in clip(scraped, life)), default=life.end_ms)
        boots.append(Span(life.start_ms, min(first, life.start_ms + facts.boot_limit_ms)))
    return join(boots)


def gpu_marks(
    gpu: Gpu, usage: Usage, pods: Mapping[str, tuple[int, ...]], idle: Mapping[int, tuple[Span, ...]]
) -> list[Marked]:
    """What is true of one GPU. An instance is there while it is measured, or a pod has it."""
    marks: list[Marked] = []
    seen: list[Span] = []
    for device in gpu.devices:
        spans = measured(device, usage)
        seen += spans
        held = [(at, _held(usage.pods[at])) for at in pods.get(device.key, ())]
        marks += [(Mark(POD, device.key, at), (span,)) for at, span in held]
        marks += [(Mark(IDLE_POD, device.key, at), idle.get(at, ())) for at, _ in held]
        if device.profile:
            marks.append((Mark(INSTANCE, device.key), join([*spans, *(span for _, span in held)])))
    return [*marks, (Mark(MEASURED), join(seen))]


def _held(pod: PodUse) -> Span:
    return Span(pod.start_ms, pod.end_ms)


def segments(marked: Sequence[Marked], lives: Sequence[Span]) -> Iterator[Segment]:
    """The lives (disjoint, in order), cut wherever a mark begins or ends."""
    edges: dict[int, list[tuple[bool, Mark]]] = {}
    for mark, spans in marked:
        for span in (cut for life in lives for cut in clip(spans, life)):
            edges.setdefault(span.start_ms, []).append((True, mark))
            edges.setdefault(span.end_ms, []).append((False, mark))
    for life in lives:
        edges.setdefault(life.start_ms, [])
        edges.setdefault(life.end_ms, [])
    starts = {life.start_ms for life in lives}
    ends = {life.end_ms for life in lives}
    active: set[Mark] = set()
    begun: int | None = None
    for time in sorted(edges):
        if begun is not None:
            yield Segment(begun, time, frozenset(active))
        # What ends goes first: a span that ends where the next of its kind begins is still there.
        for begins, mark in sorted(edges[time]):
            (active.add if begins else active.discard)(mark)
        begun = time if time in starts or (begun is not None and time not in ends) else None

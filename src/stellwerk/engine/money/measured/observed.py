"""Events as kube-state-metrics and Kueue showed them. What the user states of a kind goes first."""

from collections.abc import Sequence

from msgspec.structs import replace

from stellwerk.engine.money.measured.result import BillFacts, Span
from stellwerk.engine.money.measured.spans import tolerance_ms
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import NodeLife, Usage


def with_observed(facts: BillFacts, usage: Usage, fleet: Fleet) -> BillFacts:
    """The facts with the cordons and the pending workloads that were measured, where none are stated.

    Lives are not among them: an owned server is paid for whether it is in the cluster or not.
    """
    ours = {device.node for device in usage.devices} | {node.name for node in fleet.nodes}
    cordoned = {
        name: tuple(Span(start, end) for start, end in node.cordoned)
        for name, node in usage.cluster.nodes.items()
        if name in ours and node.cordoned
    }
    pending = facts.pending or tuple(Span(start, end) for start, end in usage.cluster.pending)
    return replace(facts, drains={**cordoned, **facts.drains}, pending=pending)


def observed_lives(
    lives: Sequence[NodeLife], by_samples: Span, usage: Usage, window: Span
) -> tuple[tuple[Span, ...], bool]:
    """The lives as spans, and whether all their ends in the window are known.

    A start or end that is not known is that of the samples; a life that lasted to the end of all metrics
    lasts to the window's, as a measured node's does.
    """
    near = tolerance_ms(usage)
    found: list[Span] = []
    sure = True
    for life in lives:
        start, end = life.start_ms, life.end_ms
        if not life.begun:
            start = min(start, by_samples.start_ms)
            sure = sure and start <= window.start_ms
        if not life.gone:
            end = max(end, window.end_ms if end + near >= usage.end_ms else by_samples.end_ms)
            sure = sure and end >= window.end_ms
        found.append(Span(start, max(start, end)))
    return tuple(found), sure

"""What a reader of the bill must know before he believes a figure: what was not measured, or not billed."""

from collections.abc import Iterator, Mapping, Sequence

from stellwerk.engine.decision import Reason
from stellwerk.engine.money.measured.nodes import BilledNode
from stellwerk.engine.money.measured.pod_use import compute_of, mps_share_milli
from stellwerk.engine.money.measured.result import ALL_NODES, BillFacts, Span
from stellwerk.engine.money.measured.spans import clip, length_ms, tolerance_ms
from stellwerk.engine.usage import POWER, Usage

MS_PER_HOUR = 3_600_000


def doubts(usage: Usage, facts: BillFacts, window: Span, nodes: Sequence[BilledNode]) -> Iterator[Reason]:
    """One reason for each kind of doubt, with how many it concerns and an example."""
    yield from _coverage(usage, window)
    yield from _unknown_names(facts, nodes)
    yield from _other_models(usage, nodes)
    yield from _unbilled(usage, window, nodes)
    yield from _unmeasured_pods(usage, facts)
    yield from _power(usage)


def _coverage(usage: Usage, window: Span) -> Iterator[Reason]:
    covered = clip([Span(usage.start_ms, usage.end_ms)], window)
    outside = window.end_ms - window.start_ms - length_ms(covered)
    if outside > tolerance_ms(usage):
        yield Reason(
            "MeasuredPartly",
            "The metrics do not cover {hours} hours of the bill: where no pod is known, they are a gap.",
            {"hours": -(-outside // MS_PER_HOUR)},
        )


def _unknown_names(facts: BillFacts, nodes: Sequence[BilledNode]) -> Iterator[Reason]:
    known = {node.name for node in nodes} | {ALL_NODES}
    for name in sorted((facts.mps_nodes | facts.drains.keys()) - known):
        yield Reason(
            "NodeUnknown", "Node {name} of --mps or --events is no node of this bill.", {"name": name}
        )


def _other_models(usage: Usage, nodes: Sequence[BilledNode]) -> Iterator[Reason]:
    models = {node.name: node.fleet_node.gpu_model for node in nodes}
    other = sorted({(d.node, d.model) for d in usage.devices if d.model not in ("", models.get(d.node))})
    if other:
        yield Reason(
            "ModelDiffers",
            "{count} nodes have another GPU model in the metrics than in the fleet: {example} has {seen}, "
            "and is billed as {billed}.",
            {
                "count": len({node for node, _ in other}),
                "example": other[0][0],
                "seen": other[0][1],
                "billed": models[other[0][0]],
            },
        )


def _unbilled(usage: Usage, window: Span, nodes: Sequence[BilledNode]) -> Iterator[Reason]:
    """Pods that had a GPU while its node was not billed: by more than their last interval."""
    lives = {node.name: node.lives for node in nodes}
    where: Mapping[str, str] = {device.key: device.node for device in usage.devices}
    found = [
        pod.name
        for pod in usage.pods
        for key in pod.devices
        for held in clip([Span(pod.start_ms, pod.end_ms)], window)
        if held.end_ms - held.start_ms - length_ms(clip(lives.get(where.get(key, ""), ()), held))
        > usage.interval_ms
    ]
    if found:
        yield Reason(
            "HeldUnbilled",
            "{count} pods ({example}) had a GPU of a node at a time for which it is not billed: "
            "they do not pay for it.",
            {"count": len(set(found)), "example": min(found)},
        )


def _unmeasured_pods(usage: Usage, facts: BillFacts) -> Iterator[Reason]:
    unknown = sum(compute_of(pod.series) is None for pod in usage.pods)
    if unknown:
        yield Reason(
            "IdleUnknown",
            "{count} pods have no use of their own in the metrics: none of their cost is shown as idle-held.",
            {"count": unknown},
        )
    by_mps = {device.key for device in usage.devices if facts.shares_by_mps(device.node)}
    tenants = [pod for pod in usage.pods if by_mps & set(pod.devices)]
    unmeasured = sum(mps_share_milli(pod, 1) is None for pod in tenants)
    if unmeasured:
        yield Reason(
            "MpsEqual",
            "{count} pods have no memory and compute of their own: under MPS they pay equal parts.",
            {"count": unmeasured},
        )


def _power(usage: Usage) -> Iterator[Reason]:
    gpus = {device.uuid or device.key for device in usage.devices}
    lit = {device.uuid or device.key for device in usage.devices if POWER in device.series}
    if lit and gpus - lit:
        yield Reason(
            "PowerMissing",
            "{count} GPUs have no power in the metrics: the kWh are those of the others.",
            {"count": len(gpus - lit)},
        )

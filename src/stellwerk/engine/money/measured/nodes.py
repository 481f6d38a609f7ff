"""Which nodes are billed, at which price, and for how long.

A measured node of the fleet's name has that price. A node of another name (autoscaled, spot) stands in for a
node of the fleet with the same GPU model that was not itself there at that time. A node of the fleet that
nobody measured is billed for the whole time: it is on the invoice.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.decision import Reason
from stellwerk.engine.money.measured.observed import observed_lives
from stellwerk.engine.money.measured.result import BillFacts, Span
from stellwerk.engine.money.measured.spans import clip, join, length_ms, measured, tolerance_ms
from stellwerk.engine.snapshot import Fleet, FleetNode
from stellwerk.engine.usage import NodeLife, Usage


class BilledNode(Struct, frozen=True, kw_only=True):
    """A node with its price. `lives` are not cut to the window; `stated`: given, not concluded from samples.

    `began`: its lives as events or kube-state-metrics have them, by whose starts it booted; () where unknown.
    """

    name: str
    fleet_node: FleetNode
    lives: tuple[Span, ...]
    stated: bool
    began: tuple[Span, ...] = ()


class Seen(Struct, frozen=True):
    """A node by its samples or by its stated lives; `models` are those of its devices.

    `observed`: its lives in kube-state-metrics.
    """

    name: str
    models: frozenset[str]
    spans: tuple[Span, ...]
    observed: tuple[NodeLife, ...] = ()


def billed_nodes(
    usage: Usage, fleet: Fleet, window: Span, facts: BillFacts
) -> tuple[tuple[BilledNode, ...], tuple[Reason, ...]]:
    """Every node that costs something in the window, sorted by name, and what was concluded.

    Raises InvalidInput for a node without a price, and for a measured node that the fleet has no place for.
    """
    _check_prices(fleet)
    seen = _seen(usage, fleet, facts)
    own = {node.name: node for node in fleet.nodes}
    billed = [_billed(seen[name], own[name], usage, window, facts) for name in seen if name in own]
    strangers = sorted(
        (each for each in seen.values() if each.name not in own), key=lambda each: (each.spans, each.name)
    )
    free = [node for node in fleet.nodes if node.name not in seen]
    taken: dict[str, list[Span]] = {}
    for stranger in strangers:
        for_whom = _place(stranger, free, taken)
        billed.append(_billed(stranger, for_whom, usage, window, facts))
    unmeasured = [node for node in free if node.name not in taken]
    billed += [
        BilledNode(name=node.name, fleet_node=node, lives=(window,), stated=False) for node in unmeasured
    ]
    unmeasured += [own[each.name] for each in seen.values() if each.observed and not each.models]
    ordered = tuple(sorted(billed, key=lambda node: node.name))
    return ordered, _warnings(ordered, strangers, unmeasured, window)


def _check_prices(fleet: Fleet) -> None:
    for node in fleet.nodes:
        if node.cost.per_hour is None or not node.cost.terms:
            raise InvalidInput(
                "Node {name} has no price, and a bill needs one for each node",
                fix="set it: {option}",
                name=node.name,
                option=node.cost.unknown or "spec.nodes[].price",
            )


def _seen(usage: Usage, fleet: Fleet, facts: BillFacts) -> Mapping[str, Seen]:
    """Nodes with stated lives or with samples, and the fleet's own in kube-state-metrics.

    What else is in kube-state-metrics may have no GPU: nobody bills it.
    """
    observed = {name: node.lives for name, node in usage.cluster.nodes.items() if name not in facts.lives}
    spans: dict[str, list[Span]] = {name: [] for name in facts.lives}
    spans |= {node.name: [] for node in fleet.nodes if node.name in observed}
    models: dict[str, set[str]] = {name: set() for name in spans}
    for device in usage.devices:
        spans.setdefault(device.node, []).extend(measured(device, usage))
        models.setdefault(device.node, set()).add(device.model)
    return {name: _one(name, (models, spans), observed.get(name, ()), facts) for name in sorted(spans)}


def _one(
    name: str,
    found: tuple[Mapping[str, set[str]], Mapping[str, list[Span]]],
    observed: tuple[NodeLife, ...],
    facts: BillFacts,
) -> Seen:
    models, spans = found
    shown = facts.lives.get(name) or [*spans[name], *(Span(life.start_ms, life.end_ms) for life in observed)]
    return Seen(name, frozenset(models[name]), join(shown), observed)


def _place(stranger: Seen, free: Sequence[FleetNode], taken: dict[str, list[Span]]) -> FleetNode:
    alike = [node for node in free if stranger.models <= {node.gpu_model}]
    if len({(node.gpu_model, node.gpus, node.cost.per_hour) for node in alike}) > 1:
        raise InvalidInput(
            "Node {name} is not in the fleet by name, and could be {first} or {last}, which are not alike",
            fix="name it in the Fleet",
            name=stranger.name,
            first=alike[0].name,
            last=alike[-1].name,
        )
    for node in alike:
        before = taken.get(node.name, [])
        overlap = any(clip(before, span) for span in stranger.spans)
        if not overlap:
            taken.setdefault(node.name, []).extend(stranger.spans)
            return node
    raise InvalidInput(
        "Node {name} ({models}) was measured, and the fleet has no node of that name, "
        "and none of its GPU model to spare",
        fix="add it to the Fleet with its price",
        name=stranger.name,
        models=", ".join(sorted(stranger.models)) or "?",
    )


def _billed(seen: Seen, node: FleetNode, usage: Usage, window: Span, facts: BillFacts) -> BilledNode:
    if seen.name in facts.lives:
        lives = join(facts.lives[seen.name])
        return BilledNode(name=seen.name, fleet_node=node, lives=lives, stated=True, began=lives)
    by_samples = _by_samples(seen, node, usage, window)
    if not seen.observed:
        return BilledNode(name=seen.name, fleet_node=node, lives=(by_samples,), stated=False)
    lives, sure = observed_lives(seen.observed, by_samples, usage, window)
    return BilledNode(
        name=seen.name,
        fleet_node=node,
        # An owned server is paid for also while it is not in the cluster; what was measured was there.
        lives=(window,) if _owned(node) else join([*lives, *seen.spans]),
        stated=sure or _owned(node),
        began=tuple(span for span, life in zip(lives, seen.observed, strict=True) if life.begun),
    )


def _owned(node: FleetNode) -> bool:
    return any(term.name == "depreciation" for term in node.cost.terms)


def _by_samples(seen: Seen, node: FleetNode, usage: Usage, window: Span) -> Span:
    """From the first sample to the last; to the window's ends where the measurement itself began or ended.

    An owned server is paid for whether it is measured or not.
    """
    if _owned(node):
        return window
    first, last = seen.spans[0].start_ms, seen.spans[-1].end_ms
    near = tolerance_ms(usage)
    start = min(first, window.start_ms) if first - usage.start_ms <= near else first
    end = max(last, window.end_ms) if usage.end_ms - last <= near else last
    return Span(start, end)


def _warnings(
    billed: Sequence[BilledNode],
    strangers: Sequence[Seen],
    unmeasured: Sequence[FleetNode],
    window: Span,
) -> tuple[Reason, ...]:
    found: list[Reason] = []
    if strangers:
        found.append(
            Reason(
                "NodeByModel",
                "{count} nodes ({example}) are not in the fleet by name: they are billed by their GPU model.",
                {"count": len(strangers), "example": strangers[0].name},
            )
        )
    if unmeasured:
        found.append(
            Reason(
                "NodeUnmeasured",
                "{count} nodes of the fleet ({example}) have no samples: "
                "they are billed, their time is a gap.",
                {"count": len(unmeasured), "example": unmeasured[0].name},
            )
        )
    whole = window.end_ms - window.start_ms
    short = [node for node in billed if not node.stated and length_ms(clip(node.lives, window)) < whole]
    if short:
        found.append(
            Reason(
                "LifeFromSamples",
                "{count} nodes ({example}) are billed from their first sample to their last: "
                "kube_node_created or --events would say when they were there.",
                {"count": len(short), "example": short[0].name},
            )
        )
    return tuple(found)

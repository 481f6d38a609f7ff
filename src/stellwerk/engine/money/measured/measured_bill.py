"""The bill of what was measured: teams and causes together are the invoice, to the cent.

Each GPU-nanosecond of each billed node goes to exactly one line. The invoice is rounded to cents once; cents
are dealt by largest remainder to teams and causes, and a team's cents to its workloads and slices.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm

from msgspec import Struct

from stellwerk.engine.money.bill import share_out
from stellwerk.engine.money.exact import fraction
from stellwerk.engine.money.measured.division import Moment, Part, divide
from stellwerk.engine.money.measured.doubts import doubts
from stellwerk.engine.money.measured.gpus import Gpu, gpus_of, pods_by_device
from stellwerk.engine.money.measured.nodes import BilledNode, billed_nodes
from stellwerk.engine.money.measured.observed import with_observed
from stellwerk.engine.money.measured.pod_use import idle_spans, mps_share_milli
from stellwerk.engine.money.measured.power import Power
from stellwerk.engine.money.measured.result import (
    IDLE_HELD,
    UJ_PER_KWH,
    USED,
    BillFacts,
    Line,
    MeasuredBill,
    NodeLine,
    Span,
)
from stellwerk.engine.money.measured.spans import clip, length_ms, tolerance_ms
from stellwerk.engine.money.measured.timeline import (
    BOOTING,
    DRAINED,
    HOLE,
    IDLE_POD,
    INSTANCE,
    MEASURED,
    PENDING,
    POD,
    Segment,
    gpu_marks,
    node_marks,
    segments,
)
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import Usage

NS_PER_MS = 1_000_000
MS_PER_HOUR = 3_600_000


class Key(Struct, frozen=True, order=True):
    """What makes a line: see `Line`."""

    team: str
    part: str
    workload: str
    node: str
    slice: str


class Tally(Struct):
    """What a line has gathered so far."""

    gpu_ns: int = 0
    energy_uj: int = 0


class Ground(Struct, frozen=True, kw_only=True):
    """What every segment is judged by, computed once for the whole usage."""

    usage: Usage
    facts: BillFacts
    window: Span
    pods: Mapping[str, tuple[int, ...]]
    idle: Mapping[int, tuple[Span, ...]]


def measured_bill(usage: Usage, fleet: Fleet, window: Span, facts: BillFacts | None = None) -> MeasuredBill:
    """The cost of the fleet's nodes in the window, divided over GPU-time.

    Raises InvalidInput where a node has no price, or the metrics show what the fleet has no place for.
    """
    facts = with_observed(facts or BillFacts(), usage, fleet)
    nodes, concluded = billed_nodes(usage, fleet, window, facts)
    near = tolerance_ms(usage)
    ground = Ground(
        usage=usage,
        facts=facts,
        window=window,
        pods=pods_by_device(usage),
        idle={at: idle_spans(pod, usage, facts, near) for at, pod in enumerate(usage.pods)},
    )
    book: dict[Key, Tally] = {}
    for node in nodes:
        _enter(node, ground, book)
    exact = {node.name: _exact_cents(node, window) for node in nodes}
    invoice = round(sum(exact.values(), Fraction(0)))
    lines = _dealt(book, nodes, invoice)
    of_nodes = _node_lines(nodes, exact, invoice, ground)
    energy = sum(line.energy_uj for line in lines) or None
    cost, unpriced = energy_cost(lines, of_nodes)
    return MeasuredBill(
        start_ms=window.start_ms,
        end_ms=window.end_ms,
        currency=fleet.currency,
        invoice_cents=invoice,
        lines=lines,
        nodes=of_nodes,
        energy_uj=energy,
        energy_cents=cost,
        unpriced_uj=unpriced,
        warnings=(*usage.warnings, *concluded, *doubts(usage, facts, window, nodes)),
    )


def energy_cost(lines: Sequence[Line], nodes: Sequence[NodeLine]) -> tuple[int | None, int]:
    """Whole cents of the energy whose price is known (None: of none), and the microjoules of the rest."""
    prices = {node.node: node.energy_per_kwh for node in nodes}
    lit = [(line.energy_uj, prices[line.node]) for line in lines if line.energy_uj]
    priced = [fraction(price) * energy for energy, price in lit if price is not None]
    unpriced = sum(energy for energy, price in lit if price is None)
    return (round(sum(priced, Fraction(0)) * 100 / UJ_PER_KWH) if priced else None), unpriced


def _enter(node: BilledNode, ground: Ground, book: dict[Key, Tally]) -> None:
    """Book all time of a node's GPUs."""
    lives = clip(node.lives, ground.window)
    common = node_marks(node, ground.usage, ground.facts)
    for gpu in gpus_of(node, ground.usage):
        power = Power(gpu.devices, ground.usage.interval_ms, tolerance_ms(ground.usage))
        marks = [*common, *gpu_marks(gpu, ground.usage, ground.pods, ground.idle)]
        for segment in segments(marks, lives):
            _book(segment, _Place(node, gpu, power), ground, book)


class _Place(Struct, frozen=True):
    node: BilledNode
    gpu: Gpu
    power: Power


def _book(segment: Segment, place: _Place, ground: Ground, book: dict[Key, Tally]) -> None:
    parts = divide(_moment(segment, place, ground))
    weights = [part.weight for part in parts]
    time = _split((segment.end_ms - segment.start_ms) * NS_PER_MS, weights)
    energy = _split(place.power.energy_uj(segment.start_ms, segment.end_ms), weights)
    idle = {mark.pod for mark in segment.marks if mark.kind == IDLE_POD}
    for part, gpu_ns, energy_uj in zip(parts, time, energy, strict=True):
        tally = book.setdefault(_key(part, place.node.name, part.pod in idle, ground.usage), Tally())
        tally.gpu_ns += gpu_ns
        tally.energy_uj += energy_uj


def _split(amount: int, weights: list[int]) -> list[int]:
    """An amount of nanoseconds or microjoules by weight; what division leaves goes to the first parts."""
    whole = sum(weights)
    shares = [amount * weight // whole for weight in weights]
    for at in range(amount - sum(shares)):
        shares[at] += 1
    return shares


def _moment(segment: Segment, place: _Place, ground: Ground) -> Moment:
    usage, node = ground.usage, place.node
    kinds = {mark.kind for mark in segment.marks}
    profiles = {device.key: device.profile for device in place.gpu.devices}
    pods: dict[str, list[int]] = {}
    names: set[tuple[str, str]] = set()
    for mark in sorted(mark for mark in segment.marks if mark.kind == POD):
        name = (mark.key, usage.pods[mark.pod].name)
        if name not in names:  # Containers of one pod that share a device are one tenant of it.
            pods.setdefault(mark.key, []).append(mark.pod)
        names.add(name)
    return Moment(
        model=node.fleet_node.gpu_model,
        instances={m.key: profiles[m.key] for m in segment.marks if m.kind == INSTANCE},
        pods=pods,
        mps_milli=_mps(pods, place, ground),
        booting=BOOTING in kinds,
        measured=MEASURED in kinds and HOLE not in kinds,
        draining=DRAINED in kinds,
        pending=PENDING in kinds,
    )


def _mps(pods: Mapping[str, list[int]], place: _Place, ground: Ground) -> Mapping[int, int | None] | None:
    if not ground.facts.shares_by_mps(place.node.name):
        return None
    memory = place.node.fleet_node.gpu_memory_bytes
    there = [at for each in pods.values() for at in each]
    return {at: mps_share_milli(ground.usage.pods[at], memory) for at in there}


def _key(part: Part, node: str, idle: bool, usage: Usage) -> Key:
    if part.pod is None:
        return Key("", part.cause, "", node, part.slice)
    pod = usage.pods[part.pod]
    workload = f"{pod.namespace}/{pod.owner or pod.pod}"
    return Key(pod.team or pod.namespace, IDLE_HELD if idle else USED, workload, node, part.slice)


def _exact_cents(node: BilledNode, window: Span) -> Fraction:
    billed = length_ms(clip(node.lives, window))
    return _per_hour(node) * 100 * billed / MS_PER_HOUR


def _per_hour(node: BilledNode) -> Fraction:
    return sum((fraction(term.per_hour) for term in node.fleet_node.cost.terms), Fraction(0))


def _dealt(book: Mapping[Key, Tally], nodes: tuple[BilledNode, ...], invoice: int) -> tuple[Line, ...]:
    """The lines with their cents: first to teams and causes, then within each."""
    rates = {node.name: _per_hour(node) / node.fleet_node.gpus for node in nodes}
    unit = lcm(*(rate.denominator for rate in rates.values())) if rates else 1
    keys = sorted(key for key in book if book[key].gpu_ns)
    weights = {key: book[key].gpu_ns * int(rates[key.node] * unit) for key in keys}
    payers: dict[str, dict[str, int]] = {}
    for at, key in enumerate(keys):
        payer = f"team {key.team}" if key.team else f"cause {key.part}"
        payers.setdefault(payer, {})[f"{at:09}"] = weights[key]
    paid = share_out(invoice, {payer: sum(each.values()) for payer, each in payers.items()})
    cents = {
        int(at): own for payer, each in payers.items() for at, own in share_out(paid[payer], each).items()
    }
    return tuple(_line(key, book[key], cents[at]) for at, key in enumerate(keys))


def _line(key: Key, tally: Tally, cents: int) -> Line:
    return Line(
        team=key.team,
        part=key.part,
        workload=key.workload,
        node=key.node,
        slice=key.slice,
        gpu_ns=tally.gpu_ns,
        energy_uj=tally.energy_uj,
        cents=cents,
    )


def _node_lines(
    nodes: tuple[BilledNode, ...], exact: Mapping[str, Fraction], invoice: int, ground: Ground
) -> tuple[NodeLine, ...]:
    unit = lcm(*(value.denominator for value in exact.values())) if exact else 1
    everywhere = ground.facts.energy_per_kwh
    cents = share_out(invoice, {name: int(value * unit) for name, value in exact.items()})
    return tuple(
        NodeLine(
            node=node.name,
            fleet_node=node.fleet_node.name,
            gpus=node.fleet_node.gpus,
            per_hour=node.fleet_node.cost.per_hour or Decimal(0),
            billed_ms=length_ms(clip(node.lives, ground.window)),
            cents=cents[node.name],
            energy_per_kwh=(node.fleet_node.cost.energy_per_kwh if everywhere is None else everywhere),
        )
        for node in nodes
    )

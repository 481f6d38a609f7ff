"""Random months for the measured bill: whole, time-sliced, MPS and MIG GPUs, spot nodes, gaps, odd prices.

Everything begins and ends on whole hours and the scrape interval is an hour, so that a slow twin can look at
each hour by itself; `jitter` moves pods off the hours.
"""

from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from stellwerk.adapters.bill_events import EVENT_COLUMNS
from stellwerk.engine.joining.series import Series
from stellwerk.engine.money.measured.result import BillFacts, Span
from stellwerk.engine.money.measured.spans import join, measured
from stellwerk.engine.snapshot import CostTerm, Fleet, FleetNode, NodeCost
from stellwerk.engine.usage import FB_USED, POWER, UTIL, DeviceUse, Hole, PodUse, Samples, Usage

HOUR = 3_600_000
START = 1_772_323_200_000
MODEL = "H100-PCIE-80GB"
GEOMETRIES = (
    ("1g.10gb",) * 7,
    ("1g.20gb",) * 3,
    ("3g.40gb", "3g.40gb"),
    ("3g.40gb", "2g.20gb"),
    ("2g.20gb", "1g.10gb"),
)
TEAMS = ("vision", "language", "risk", "idle", "")


class Month(Struct, frozen=True):
    """All that a measured bill takes."""

    usage: Usage
    fleet: Fleet
    window: Span
    facts: BillFacts


def random_month(rng: Random, hours: int, jitter: bool, step: int = 1) -> Month:
    """A month of `hours`, a sample each `step` hours; the usage is as long as the window or shorter."""
    first, last = rng.choice((0, 0, 2)), hours - rng.choice((0, 0, 3))
    nodes = tuple(_node(rng, f"n{number}") for number in range(rng.randint(1, 4)))
    devices: list[DeviceUse] = []
    for node in nodes:
        if rng.random() < 0.9:
            begin, end = _span(rng, first, last) if rng.random() < 0.3 else (first, last)
            for number in range(rng.randint(1, node.gpus)):
                devices += _gpu(rng, node.name, number, (begin, end, step))
    pods = [
        _pod(rng, number, rng.choice(devices), hours, jitter)
        for number in range(rng.randint(0, 14) if devices else 0)
    ]
    usage = Usage(
        start_ms=START + first * HOUR,
        end_ms=START + last * HOUR,
        interval_ms=step * HOUR,
        devices=tuple(devices),
        pods=tuple(pods),
        holes=tuple(_hole(rng, nodes, hours) for _ in range(rng.randint(0, 2))),
    )
    fleet = Fleet(name="f", currency="EUR", nodes=nodes)
    return Month(usage, fleet, Span(START, START + hours * HOUR), _facts(rng, nodes, hours))


def _node(rng: Random, name: str) -> FleetNode:
    terms = tuple(
        CostTerm(name=word, per_hour=_odd(rng), formula="", date="", source="")
        for word in rng.choice((("rent",), ("rent",), ("depreciation", "energy")))
    )
    cost = NodeCost(currency="EUR", terms=terms)
    return FleetNode(name=name, gpu_model=MODEL, gpus=rng.randint(1, 3), gpu_memory_bytes=80 << 30, cost=cost)


def _odd(rng: Random) -> Decimal:
    return Decimal(rng.randint(0, 10**6)).scaleb(-rng.randint(2, 7))


def _span(rng: Random, low: int, high: int) -> tuple[int, int]:
    begin = rng.randint(low, high - 1)
    return begin, rng.randint(begin + 1, high)


def _gpu(rng: Random, node: str, number: int, there: tuple[int, int, int]) -> list[DeviceUse]:
    uuid = f"{node}-{number}"
    hours = [hour for hour in range(*there) if hour == there[0] or rng.random() < 0.9]
    times = array("q", [START + hour * HOUR for hour in hours])
    series = {POWER: Samples(times, array("q", [rng.randint(0, 700_000) for _ in hours]))}
    profiles = rng.choice(GEOMETRIES) if rng.random() < 0.4 else ("",)
    return [
        DeviceUse(
            key=f"{uuid}/{at}", node=node, uuid=uuid, index=str(number), model=MODEL, profile=profile,
            instance=str(at) if profile else "", series=series,
        )
        for at, profile in enumerate(profiles)
    ]  # fmt: skip


def _pod(rng: Random, number: int, device: DeviceUse, hours: int, jitter: bool) -> PodUse:
    begin, end = _span(rng, 0, hours)
    end = min(end, begin + 100)
    use = [rng.choice((0, 20_000, 90_000)) for _ in range(begin, end)]
    times = array("q", [START + hour * HOUR for hour in range(begin, end)])
    series = {UTIL: Samples(times, array("q", use))} if rng.random() < 0.7 else {}
    if rng.random() < 0.7:
        series[FB_USED] = Samples(times, array("q", [rng.randint(1, 60 << 10) * 1000 for _ in use]))
    move = rng.randint(-HOUR // 2, HOUR // 2 - 1) if jitter else 0
    return PodUse(
        namespace="space",
        pod=f"p{number if rng.random() < 0.9 else 0}",
        owner=rng.choice(("", "job")),
        team=rng.choice(TEAMS),
        devices=(device.key,),
        start_ms=START + begin * HOUR + move,
        end_ms=START + end * HOUR + max(0, move),
        series=series,
    )


def _hole(rng: Random, nodes: tuple[FleetNode, ...], hours: int) -> Hole:
    begin, end = _span(rng, 0, hours)
    return Hole(rng.choice(("", *(node.name for node in nodes))), START + begin * HOUR, START + end * HOUR)


def _facts(rng: Random, nodes: tuple[FleetNode, ...], hours: int) -> BillFacts:
    def spans() -> tuple[Span, ...]:
        found = (_span(rng, 0, hours) for _ in range(rng.randint(0, 2)))
        return tuple(Span(START + begin * HOUR, START + end * HOUR) for begin, end in found)

    return BillFacts(
        lives={node.name: lives for node in nodes if rng.random() < 0.4 and (lives := spans())},
        drains={node.name: spans() for node in nodes if rng.random() < 0.3},
        pending=spans() if rng.random() < 0.5 else (),
        mps_nodes=frozenset(node.name for node in nodes if rng.random() < 0.3),
        idle_after_ms=2 * HOUR,
        boot_limit_ms=2 * HOUR,
        energy_per_kwh=Decimal("0.2831"),
    )


def lived(month: Month) -> Month:
    """The month with a life stated for each rented node, in which all its samples are."""
    lives = {}
    for node in month.fleet.nodes:
        scraped = [
            span for d in month.usage.devices if d.node == node.name for span in measured(d, month.usage)
        ]
        if node.cost.terms[0].name == "rent":
            lives[node.name] = join([*month.facts.lives.get(node.name, (month.window,)), *scraped])
    return replace(month, facts=replace(month.facts, lives=lives))


def events_csv(facts: BillFacts) -> bytes:
    """The facts' events as --events has them."""
    rows = [",".join(EVENT_COLUMNS)]
    for event, by_node in (("life", facts.lives), ("drain", facts.drains), ("pending", {"": facts.pending})):
        for node, spans in by_node.items():
            rows += [f"{event},{node},{_rfc3339(span.start_ms)},{_rfc3339(span.end_ms)}" for span in spans]
    return "\n".join(rows).encode()


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // 1000, UTC).isoformat()


def kube_series(month: Month) -> list[Series]:
    """The same events as kube-state-metrics and Kueue show them each hour, beside a node of no GPU."""
    hours = range(month.window.start_ms, month.window.end_ms, HOUR)
    found = [_kube("kube_node_spec_unschedulable", dict.fromkeys(hours, 0), node="control-plane")]
    for node in month.fleet.nodes:
        for life in month.facts.lives.get(node.name, (Span(0, month.window.end_ms),)):
            there = [hour for hour in hours if life.start_ms <= hour < life.end_ms]
            drains = month.facts.drains.get(node.name, ())
            cordoned = {hour: int(any(d.start_ms <= hour < d.end_ms for d in drains)) for hour in there}
            born = max(1, life.start_ms // 1000)
            found.append(_kube("kube_node_created", dict.fromkeys(there, born), node=node.name))
            found.append(_kube("kube_node_spec_unschedulable", cordoned, node=node.name))
    for number, span in enumerate(month.facts.pending):
        waits = {hour: int(span.start_ms <= hour < span.end_ms) for hour in hours}
        if number:
            found.append(_kube("kueue_pending_workloads", waits, cluster_queue="q", status="active"))
            continue
        pod = {"namespace": "space", "pod": f"waits-{number}"}
        found.append(_kube("kube_pod_status_phase", waits, phase="Pending", **pod))
        asked = dict.fromkeys(waits, 1)
        found.append(_kube("kube_pod_container_resource_requests", asked, resource="nvidia_com_gpu", **pod))
    return found


def _kube(metric: str, values: Mapping[int, int], **labels: str) -> Series:
    return Series(metric, labels, array("q", values), array("q", (1000 * value for value in values.values())))

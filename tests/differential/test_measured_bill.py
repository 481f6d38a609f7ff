"""The measured bill against a slow twin, which asks of each hour and GPU by itself who has it."""

from collections import defaultdict
from fractions import Fraction
from random import Random

import pytest

from stellwerk.engine.money.measured.measured_bill import measured_bill
from stellwerk.engine.money.measured.result import MeasuredBill, Span
from stellwerk.engine.usage import FB_USED, UTIL, DeviceUse, PodUse, Usage
from tests.property.random_month import HOUR, Month, random_month

SLICES = {"1g.10gb": (1, 1), "1g.20gb": (2, 1), "2g.20gb": (2, 2), "3g.40gb": (4, 3)}
Owed = dict[tuple[str, str], Fraction]


def within(spans: tuple[Span, ...], time: int) -> bool:
    return any(span.start_ms <= time < span.end_ms for span in spans)


def sampled(device: DeviceUse, time: int) -> bool:
    """A sample now; or one before and one after, not more than two hours apart."""
    times = next(iter(device.series.values())).times_ms
    before = [t for t in times if t <= time]
    after = [t for t in times if t > time]
    return bool(before) and (time - before[-1] < HOUR or bool(after and after[0] - before[-1] <= 2 * HOUR))


def idle(pod: PodUse, time: int) -> bool:
    """This hour and one beside it (two hours together) were below 5 %, all while the pod was there."""
    use = (
        dict(zip(pod.series[UTIL].times_ms, pod.series[UTIL].values_milli, strict=True))
        if UTIL in pod.series
        else {}
    )
    low = [hour in use and use[hour] < 5_000 for hour in (time - HOUR, time, time + HOUR)]
    return low[1] and (low[0] or low[2])  # fmt: skip


def mps_share(pod: PodUse) -> Fraction | None:
    if not {UTIL, FB_USED} <= pod.series.keys():
        return None
    use = sorted(pod.series[UTIL].values_milli)
    rank = next(n for n in range(1, len(use) + 1) if 100 * n >= 95 * len(use))
    memory = max(pod.series[FB_USED].values_milli) * 2**20 // (80 << 30)
    return Fraction(max(1, (memory + use[rank - 1] // 100) // 2), 1000)


def lives(month: Month, node: str) -> tuple[Span, ...]:
    if node in month.facts.lives:
        return month.facts.lives[node]
    of_fleet = next(n for n in month.fleet.nodes if n.name == node)
    times = [t for d in month.usage.devices if d.node == node for s in d.series.values() for t in s.times_ms]
    if not times or of_fleet.cost.terms[0].name == "depreciation":
        return (month.window,)
    usage = month.usage
    first, last = min(times), max(times) + HOUR
    return (
        Span(
            month.window.start_ms if first <= usage.start_ms + 2 * HOUR else first,
            max(month.window.end_ms, last) if last >= usage.end_ms - 2 * HOUR else last,
        ),
    )


def outage(month: Month, node: str, devices: list[DeviceUse], time: int) -> str:
    stated = month.facts.lives.get(node, ())
    merged = sorted(stated)
    for life in merged:
        begins = not any(other.start_ms < life.start_ms <= other.end_ms for other in merged)
        hours = range(life.start_ms, time + HOUR, HOUR)
        seen = any(sampled(d, hour) for d in month.usage.devices if d.node == node for hour in hours)
        if begins and life.start_ms <= time < life.start_ms + 2 * HOUR and not seen and within(stated, time):
            return "boot"
    holes = [hole for hole in month.usage.holes if hole.node in ("", node)]
    dark = not any(sampled(device, time) for device in devices)
    if dark or any(hole.start_ms <= time < hole.end_ms for hole in holes):
        return "gap"
    return "drain" if within(month.facts.drains.get(node, ()), time) else ""


def tenants(usage: Usage, device: DeviceUse, time: int) -> list[PodUse]:
    found: dict[str, PodUse] = {}
    for pod in usage.pods:
        if device.key in pod.devices and pod.start_ms <= time < pod.end_ms:
            found.setdefault(pod.name, pod)
    return list(found.values())


def hour_of(month: Month, node: str, devices: list[DeviceUse], time: int) -> Owed:
    """Parts of one GPU for one hour, by (team, part)."""
    owed: Owed = defaultdict(Fraction)
    out = outage(month, node, devices, time)

    def pay(pod: PodUse, part: Fraction) -> None:
        owed[pod.team or pod.namespace, "idle-held" if idle(pod, time) else "used"] += part

    pods = {device.key: tenants(month.usage, device, time) for device in devices}
    cut = [d for d in devices if d.profile and (sampled(d, time) or pods[d.key])]
    if cut:
        for device in cut:
            size = Fraction(SLICES[device.profile][0], 8)
            for pod in pods[device.key]:
                pay(pod, size / len(pods[device.key]))
            if not pods[device.key]:
                owed["", out or "unsold-slice"] += size
        left = 8 - sum(SLICES[d.profile][0] for d in cut)
        fit = min(left, 7 - sum(SLICES[d.profile][1] for d in cut))
        owed["", out or "unsold-slice"] += Fraction(fit, 8)
        owed["", out or "fragmentation"] += Fraction(left - fit, 8)
        return owed
    there = [pod for each in pods.values() for pod in each]
    shares = [mps_share(pod) for pod in there]
    known = [share for share in shares if share is not None]
    if not there:
        owed["", out or ("quota-locked" if within(month.facts.pending, time) else "idle")] += 1
    elif node in month.facts.mps_nodes and len(known) == len(there):
        most = max(sum(known), Fraction(1))
        for pod, share in zip(there, known, strict=True):
            pay(pod, share / most)
        owed["", out or "unsold-slice"] += 1 - sum(known) / most
    else:
        for pod in there:
            pay(pod, Fraction(1, len(there)))
    return owed


def twin(month: Month) -> tuple[Owed, dict[str, Fraction]]:
    """GPU-hours and cents by (team, part) and node, hour by hour."""
    hours: Owed = defaultdict(Fraction)
    cents: dict[str, Fraction] = defaultdict(Fraction)
    for node in month.fleet.nodes:
        uuids = sorted({device.uuid for device in month.usage.devices if device.node == node.name})
        groups = [[d for d in month.usage.devices if d.uuid == uuid] for uuid in uuids]
        groups += [[]] * (node.gpus - len(groups))
        for time in range(month.window.start_ms, month.window.end_ms, HOUR):
            if within(lives(month, node.name), time):
                cents[node.name] += sum(Fraction(term.per_hour) for term in node.cost.terms) * 100
                for group in groups:
                    for key, part in hour_of(month, node.name, group, time).items():
                        hours[key] += part
    return hours, cents


def booked(bill: MeasuredBill) -> Owed:
    found: Owed = defaultdict(Fraction)
    for line in bill.lines:
        found[line.team, line.part] += Fraction(line.gpu_ns, HOUR * 10**6)
    return found


@pytest.mark.parametrize("seed", range(150))
def test_the_bill_is_the_slow_twins(seed: int) -> None:
    month = random_month(Random(10_000 + seed), 24, jitter=False)
    bill = measured_bill(month.usage, month.fleet, month.window, month.facts)
    hours, cents = twin(month)
    found = booked(bill)
    for key in hours.keys() | found.keys():
        # A nanosecond may go to either side where three pods share a second.
        assert abs(hours[key] - found[key]) < Fraction(1, 10**8), key
    assert bill.invoice_cents == round(sum(cents.values(), Fraction(0)))

"""A thousand random months: teams and causes are the invoice, to the cent; no GPU-time twice or never."""

from collections import Counter
from fractions import Fraction
from functools import cache
from random import Random

import pytest
from msgspec.structs import replace

from stellwerk.adapters.bill_events import read_events
from stellwerk.engine.joining.cluster import cluster_of
from stellwerk.engine.joining.series import Findings
from stellwerk.engine.money.measured.measured_bill import measured_bill
from stellwerk.engine.money.measured.result import CAUSES, IDLE_HELD, USED, MeasuredBill
from stellwerk.engine.usage import Cluster
from tests.property.random_month import HOUR, Month, events_csv, kube_series, lived, random_month

MONTHS = 1_000


@cache
def months() -> list[tuple[Month, MeasuredBill]]:
    made = [random_month(Random(seed), 720 + seed % 25, jitter=True, step=6) for seed in range(MONTHS)]
    return [(month, measured_bill(month.usage, month.fleet, month.window, month.facts)) for month in made]


def test_every_month_has_a_difference_of_nothing() -> None:
    off = [
        number
        for number, (_, bill) in enumerate(months())
        if sum(line.cents for line in bill.lines) != bill.invoice_cents
        or sum(node.cents for node in bill.nodes) != bill.invoice_cents
    ]
    assert not off


def test_the_invoice_is_the_price_of_each_node_times_its_time() -> None:
    for month, bill in months():
        exact = Fraction(0)
        prices = {node.name: node.cost.per_hour for node in month.fleet.nodes}
        for node in bill.nodes:
            price = prices[node.fleet_node]
            assert price is not None
            exact += Fraction(price) * 100 * node.billed_ms / HOUR
        assert abs(bill.invoice_cents - exact) <= Fraction(1, 2)


def test_no_line_is_negative_and_each_is_a_teams_or_a_causes() -> None:
    for _, bill in months():
        assert all(line.cents >= 0 and line.gpu_ns > 0 and line.energy_uj >= 0 for line in bill.lines)
        assert all(line.part in ((USED, IDLE_HELD) if line.team else CAUSES) for line in bill.lines)


def test_every_gpu_nanosecond_of_a_billed_node_is_in_one_line() -> None:
    for _, bill in months():
        booked: Counter[str] = Counter()
        for line in bill.lines:
            booked[line.node] += line.gpu_ns
        assert booked == {n.node: n.billed_ms * 10**6 * n.gpus for n in bill.nodes if n.billed_ms}


def test_a_team_pays_within_a_cent_of_its_part() -> None:
    for month, bill in months()[::20]:
        prices = {n.node: n.per_hour for n in bill.nodes}
        gpus = {n.node: n.gpus for n in bill.nodes}
        for payer in {(line.team, "" if line.team else line.part) for line in bill.lines}:
            own = [line for line in bill.lines if (line.team, "" if line.team else line.part) == payer]
            exact = sum(
                Fraction(prices[line.node]) * 100 * line.gpu_ns / gpus[line.node] / (HOUR * 10**6)
                for line in own
            )
            assert abs(sum(line.cents for line in own) - exact) < Fraction(3, 2), month.window


def test_the_months_hold_everything_that_is_claimed() -> None:
    parts = {line.part for _, bill in months() for line in bill.lines}
    slices = {line.slice for _, bill in months() for line in bill.lines if line.team}
    assert parts == {USED, IDLE_HELD, *CAUSES}
    assert {"whole", "shared", "1g.10gb", "3g.40gb"} <= slices
    assert any(month.facts.mps_nodes for month, _ in months())
    assert any(len({node.billed_ms for node in bill.nodes}) > 1 for _, bill in months())


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_devices_and_pods_changes_no_total(seed: int) -> None:
    month = random_month(Random(seed), 60, jitter=True)
    usage = month.usage
    turned = type(usage)(
        start_ms=usage.start_ms,
        end_ms=usage.end_ms,
        interval_ms=usage.interval_ms,
        devices=usage.devices[::-1],
        pods=usage.pods,
        holes=usage.holes[::-1],
    )
    one = measured_bill(usage, month.fleet, month.window, month.facts)
    other = measured_bill(turned, month.fleet, month.window, month.facts)
    assert one.invoice_cents == other.invoice_cents and one.lines == other.lines


def by_csv_and_by_kube(month: Month) -> tuple[MeasuredBill, MeasuredBill]:
    """The bill with its events from a CSV, and from the series of kube-state-metrics."""
    read = read_events(events_csv(month.facts), "events.csv", month.window.end_ms)
    stated = replace(month.facts, lives=read.lives, drains=read.drains, pending=read.pending)
    scraped: dict[str, set[int]] = {}
    for device in month.usage.devices:
        for samples in device.series.values():
            scraped.setdefault(device.node, set()).update(samples.times_ms)
    seen = cluster_of(kube_series(month), scraped, HOUR, Findings())
    silent = replace(month.facts, lives={}, drains={}, pending=())
    shown = replace(month.usage, cluster=seen)
    return (
        measured_bill(month.usage, month.fleet, month.window, stated),
        measured_bill(shown, month.fleet, month.window, silent),
    )


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_events_of_kube_state_metrics_give_the_bill_of_the_same_events_by_csv(first: int) -> None:
    parts: Counter[str] = Counter()
    for seed in range(first, first + 50):
        month = lived(random_month(Random(seed), 72, jitter=True))
        stated, shown = by_csv_and_by_kube(month)
        assert (shown.lines, shown.nodes, shown.invoice_cents) == (
            stated.lines,
            stated.nodes,
            stated.invoice_cents,
        ), seed
        parts.update(line.part for line in shown.lines)
    assert {"drain", "boot", "quota-locked"} <= parts.keys()


def test_what_is_stated_goes_before_what_was_scraped() -> None:
    for seed in range(40):
        month = lived(random_month(Random(seed), 72, jitter=True))
        other = lived(random_month(Random(seed + 1_000), 72, jitter=True))
        seen = cluster_of(kube_series(replace(other, fleet=month.fleet)), {}, HOUR, Findings())
        facts = replace(
            month.facts,
            lives={node.name: (month.window,) for node in month.fleet.nodes} | dict(month.facts.lives),
            pending=month.facts.pending or (month.window,),
            drains={node.name: month.facts.drains.get(node.name, ()) for node in month.fleet.nodes},
        )
        bare = measured_bill(month.usage, month.fleet, month.window, facts)
        both = measured_bill(replace(month.usage, cluster=seen), month.fleet, month.window, facts)
        assert seen != Cluster() and (bare.lines, bare.nodes) == (both.lines, both.nodes), seed

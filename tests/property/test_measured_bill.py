"""A thousand random months: teams and causes are the invoice, to the cent; no GPU-time twice or never."""

from collections import Counter
from fractions import Fraction
from functools import cache
from random import Random

import pytest

from stellwerk.engine.money.measured.measured_bill import measured_bill
from stellwerk.engine.money.measured.result import CAUSES, IDLE_HELD, USED, MeasuredBill
from tests.property.random_month import HOUR, Month, random_month

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

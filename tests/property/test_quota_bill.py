"""What can never happen with the bill of a simulation: a lost cent, a payer who held nothing."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.quota_bill import Held, quota_bill

FLAVORS = st.sampled_from(["a100", "h100", "l4"])
AMOUNTS = st.one_of(st.integers(0, 5), st.integers(0, 10**18))
LINES = st.lists(
    st.tuples(st.sampled_from("abcde"), FLAVORS, AMOUNTS, st.integers(0, 4)).map(
        lambda one: Held(queue=one[0], flavor=one[1], held_ns=one[2], lost_ns=one[2] * one[3] // 4)
    ),
    max_size=12,
)
QUOTAS = st.dictionaries(FLAVORS, AMOUNTS, max_size=3)
PRICES = st.fixed_dictionaries(
    {name: st.fractions(0, 1000, max_denominator=10**6) for name in ("a100", "h100", "l4")}
)


@given(LINES, QUOTAS, PRICES)
def test_all_lines_are_the_total_and_no_line_is_negative(
    lines: list[Held], quotas: dict[str, int], prices: dict[str, Fraction]
) -> None:
    bill = quota_bill(lines, quotas, prices)
    assert sum(bill.held.values()) + sum(bill.idle.values()) == bill.total
    assert all(cents >= 0 for cents in (*bill.held.values(), *bill.idle.values(), *bill.lost.values()))
    assert all(bill.lost[name] <= bill.held[name] for name in bill.held)


@given(LINES, QUOTAS, PRICES)
def test_the_total_is_the_exact_cost_rounded_once(
    lines: list[Held], quotas: dict[str, int], prices: dict[str, Fraction]
) -> None:
    bill = quota_bill(lines, quotas, prices)
    held = {flavor: sum(line.held_ns for line in lines if line.flavor == flavor) for flavor in prices}
    paid = {flavor: max(held[flavor], quotas.get(flavor, 0)) for flavor in prices}
    exact = sum((paid[flavor] * prices[flavor] for flavor in prices), Fraction(0)) * 100 / NS_PER_HOUR
    assert abs(bill.total - exact) <= Fraction(1, 2)


@given(LINES, QUOTAS, PRICES)
def test_who_held_nothing_pays_nothing_and_the_order_of_lines_changes_nothing(
    lines: list[Held], quotas: dict[str, int], prices: dict[str, Fraction]
) -> None:
    bill = quota_bill(lines, quotas, prices)
    for name, cents in bill.held.items():
        assert not cents or any(line.queue == name and line.held_ns for line in lines)
    assert quota_bill(lines[::-1], quotas, prices) == bill

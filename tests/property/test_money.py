"""What can never happen with money: a lost cent, a negative share, a smaller share for a larger part."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from stellwerk.catalog.prices import ExchangeRate, Price
from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.bill import MONTH_NS, bill, period_cost_cents, share_out
from stellwerk.engine.money.exchange import Unknown, convert
from stellwerk.engine.money.node_cost import Target, rent
from stellwerk.engine.snapshot import Fleet, FleetNode

NAMES = st.text("abcxyz-", min_size=1, max_size=6)
CENTS = st.integers(0, 10**12)
WEIGHTS = st.dictionaries(
    NAMES, st.one_of(st.integers(0, 5), st.integers(0, 10**21)), min_size=1, max_size=12
)
AMOUNTS = st.decimals(Decimal("0.0001"), Decimal(10**6), places=4)
RATES = st.decimals(Decimal("0.001"), Decimal(1000), places=6)


@given(CENTS, WEIGHTS)
def test_shares_add_up_to_the_cent_and_none_is_negative(total: int, weights: dict[str, int]) -> None:
    shares = share_out(total, weights)
    assert sum(shares.values()) == total
    assert list(shares) == sorted(weights)
    assert min(shares.values()) >= 0


@given(CENTS, WEIGHTS)
def test_a_share_is_within_a_cent_of_its_part_and_nothing_held_costs_nothing(
    total: int, weights: dict[str, int]
) -> None:
    assume(any(weights.values()))
    whole = sum(weights.values())
    for name, share in share_out(total, weights).items():
        assert abs(share - Fraction(total * weights[name], whole)) < 1
        assert weights[name] or not share


@given(CENTS, WEIGHTS)
def test_who_held_more_pays_no_less(total: int, weights: dict[str, int]) -> None:
    shares = share_out(total, weights)
    by_weight = sorted(weights, key=lambda name: (weights[name], -shares[name]))
    for less, more in pairwise(by_weight):
        assert weights[less] == weights[more] or shares[less] <= shares[more]


@given(CENTS, WEIGHTS, st.integers(1, 10**6))
def test_only_proportions_count(total: int, weights: dict[str, int], scale: int) -> None:
    scaled = {name: weight * scale for name, weight in weights.items()}
    assert share_out(total, scaled) == share_out(total, weights)


@given(CENTS, WEIGHTS)
def test_the_order_in_which_teams_come_changes_nothing(total: int, weights: dict[str, int]) -> None:
    turned = dict(reversed(weights.items()))
    assert list(share_out(total, turned).items()) == list(share_out(total, weights).items())


@given(CENTS, WEIGHTS, st.integers(0, 10**21))
def test_a_bill_is_its_teams_and_what_was_idle(total: int, held: dict[str, int], idle: int) -> None:
    lines = bill(total, held, sum(held.values()) + idle)
    assert lines.total == total
    assert lines.idle >= 0 and min(lines.teams.values()) >= 0
    assert list(lines.teams) == sorted(held)
    assert idle or not sum(held.values()) or lines.idle == 0


@given(AMOUNTS, RATES)
def test_there_and_back_is_the_same_amount_within_rounding(amount: Decimal, rate: Decimal) -> None:
    rates = [ExchangeRate(base="EUR", quote="USD", rate=rate, date="d", source="s")]
    there = convert(amount, "EUR", "USD", rates)
    assert not isinstance(there, Unknown)
    back = convert(there, "USD", "EUR", rates)
    assert not isinstance(back, Unknown)
    # Half a unit of the tenth decimal at the first rounding, divided by the rate; and as much at the second.
    assert abs(Fraction(back) - Fraction(amount)) <= Fraction(1, 2 * 10**10) * (1 + 1 / Fraction(rate))


def fleet_of(prices: list[Decimal]) -> Fleet:
    rents = [
        rent(Price(amount=price, currency="EUR", date="d", source="s"), Target("EUR")) for price in prices
    ]
    nodes = [
        FleetNode(name=str(i), gpu_model="T4", gpus=1, gpu_memory_bytes=1, cost=cost)
        for i, cost in enumerate(rents)
    ]
    return Fleet(name="f", currency="EUR", nodes=tuple(nodes))


@given(st.lists(AMOUNTS, min_size=1, max_size=8), st.integers(1, 10**6), st.integers(0, MONTH_NS))
def test_a_fleet_costs_the_sum_of_its_nodes_to_half_a_cent(
    prices: list[Decimal], scale: int, ns: int
) -> None:
    exact = sum(map(Fraction, prices), Fraction(0)) * 100 * ns / NS_PER_HOUR
    for times in (1, scale):
        cents = period_cost_cents(fleet_of([price * times for price in prices]), ns)
        assert cents is not None and abs(cents - exact * times) <= Fraction(1, 2)

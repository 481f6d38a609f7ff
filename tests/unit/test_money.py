"""Money by hand: conversions, cents, and bills that add up. The sums are worked out in the comments."""

from decimal import Decimal, localcontext

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.prices import ExchangeRate, Price
from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.bill import (
    amount,
    bill,
    cost_per_gpu_hour,
    month_cost_cents,
    period_cost_cents,
    share_out,
)
from stellwerk.engine.money.exact import is_amount, plain
from stellwerk.engine.money.exchange import Unknown, convert, parse_rate
from stellwerk.engine.money.node_cost import Owned, Target, own, rent
from stellwerk.engine.snapshot import Fleet, FleetNode, NodeCost

ECB = ExchangeRate(base="EUR", quote="USD", rate=Decimal("1.0411"), date="2025-02-28", source="ECB")
EUR = Target("EUR", (ECB,))


def euros(text: str) -> Price:
    return Price(amount=Decimal(text), currency="EUR", date="2026-08-28", source="a quote")


def dollars(text: str) -> Price:
    return Price(amount=Decimal(text), currency="USD", date="2026-07-20", source="a price list")


def fleet_of(*costs: NodeCost) -> Fleet:
    nodes = [
        FleetNode(name=f"n{i}", gpu_model="H100-PCIE-80GB", gpus=1, gpu_memory_bytes=1, cost=cost)
        for i, cost in enumerate(costs)
    ]
    return Fleet(name="f", currency="EUR", nodes=tuple(nodes))


def test_dollars_become_euros_by_division_and_euros_dollars_by_multiplication() -> None:
    # 13.4088944386 * 1.0411 = 13.96000000002...; with ...4385 it is 13.95999999992...: the first is nearer.
    assert convert(Decimal("13.96"), "USD", "EUR", [ECB]) == Decimal("13.4088944386")
    assert convert(Decimal("2.50"), "EUR", "USD", [ECB]) == Decimal("2.60275")


def test_an_amount_in_its_own_currency_is_left_as_it_is() -> None:
    assert str(convert(Decimal("5.040"), "EUR", "EUR", [])) == "5.040"


def test_the_first_rate_of_a_pair_wins_in_either_direction() -> None:
    mine = ExchangeRate(base="USD", quote="EUR", rate=Decimal("0.5"), date="2026-11-01", source="me")
    assert convert(Decimal(3), "USD", "EUR", [mine, ECB]) == Decimal("1.5")


def test_without_a_rate_the_amount_is_unknown_with_the_option_that_sets_it() -> None:
    unknown = convert(Decimal(1), "GBP", "EUR", [ECB])
    assert isinstance(unknown, Unknown)
    assert unknown.option.startswith("--rate EURGBP=RATE@DATE")


def test_conversion_rounds_half_to_even_at_the_tenth_decimal() -> None:
    half = ExchangeRate(base="EUR", quote="USD", rate=Decimal(2), date="d", source="s")
    assert convert(Decimal("0.0000000001"), "USD", "EUR", [half]) == 0  # 0.5e-10 -> 0
    assert convert(Decimal("0.0000000003"), "USD", "EUR", [half]) == Decimal("2e-10")  # 1.5e-10 -> 2e-10


def test_a_rate_is_read_from_its_option() -> None:
    rate = parse_rate("EURUSD=1.08@2026-11-01")
    assert (rate.base, rate.quote, rate.rate, rate.date) == ("EUR", "USD", Decimal("1.08"), "2026-11-01")


@pytest.mark.parametrize(
    "text",
    [
        *("", "EURUSD", "EURUSD=1.08", "EURUSD=1.08@today", "EURUSD=1,08@2026-11-01", "eurusd=1@2026-11-01"),
        *("EURUSD=0@2026-11-01", "EURUSD=-1@2026-11-01", "EURUSD=NaN@2026-11-01", "EURUSD=١@2026-11-01"),
    ],
)
def test_a_rate_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not of the form"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["NaN", "-1", "-0", "Infinity", "1e15", "1E+999999", "1e-21"])
def test_a_number_that_cannot_be_money_is_no_amount(text: str) -> None:
    assert not is_amount(Decimal(text))


def test_a_rent_in_dollars_shows_its_formula_its_date_and_both_sources() -> None:
    (term,) = rent(dollars("13.96"), EUR).terms
    assert term.per_hour == Decimal("13.4088944386")
    assert term.formula == "13.96 USD / 1.0411 USD per EUR"
    assert term.date == "2026-07-20"
    assert term.source == "a price list; 1 EUR = 1.0411 USD on 2025-02-28 (ECB)"


OWNED = Owned(
    capex=euros("95000"),
    years=Decimal(4),
    residual_percent=Decimal(25),
    power_watts=Decimal(2000),
    energy_price=euros("0.183"),
    pue=Decimal("1.63"),
    staff_per_year=euros("6000"),
)


def test_an_own_server_costs_depreciation_energy_and_staff() -> None:
    terms = {term.name: term for term in own(OWNED, EUR).terms}
    # 95000 * 0.75 / (4 * 8760) = 71250 / 35040 = 2.03339041095...
    assert terms["depreciation"].per_hour == Decimal("2.0333904110")
    assert terms["depreciation"].formula == "95000 EUR * (1 - 25/100) / (4 years * 8760 h)"
    # 2 kW * 1.63 * 0.183 EUR = 0.59658 EUR
    assert terms["energy"].per_hour == Decimal("0.59658")
    assert terms["energy"].formula == "2000 W / 1000 * 1.63 * 0.183 EUR per kWh"
    # 6000 / 8760 = 0.68493150684...
    assert terms["staff"].per_hour == Decimal("0.6849315068")
    assert "colocation" not in terms


def test_an_own_server_bought_in_dollars_is_rounded_once() -> None:
    (term,) = own(Owned(capex=dollars("95000"), years=Decimal(4), power_watts=Decimal(0)), EUR).terms
    # 95000 / 35040 = 2.71118721461187...; / 1.0411 = 2.60415638710198...
    assert term.per_hour == Decimal("2.6041563871")
    assert term.formula == "95000 USD * (1 - 0/100) / (4 years * 8760 h) / 1.0411 USD per EUR"


def test_a_server_written_down_to_nothing_shows_a_plain_zero() -> None:
    kept = Owned(capex=euros("1"), years=Decimal(1), residual_percent=Decimal(100), power_watts=Decimal(0))
    assert str(own(kept, EUR).terms[0].per_hour) == "0"


def test_one_part_without_a_rate_makes_the_whole_cost_unknown_never_zero() -> None:
    pounds = Price(amount=Decimal(1), currency="GBP", date="d", source="s")
    cost = own(Owned(capex=pounds, years=Decimal(1), power_watts=Decimal(0)), EUR)
    assert cost.per_hour is None and "--rate EURGBP" in cost.unknown
    assert period_cost_cents(fleet_of(rent(euros("1"), EUR), cost), NS_PER_HOUR) is None


def test_a_node_that_says_nothing_of_its_cost_is_not_free() -> None:
    assert month_cost_cents(fleet_of(NodeCost(currency="EUR"))) is None


def test_a_month_has_730_hours() -> None:
    # 2 nodes * 2.8665 EUR * 730 h = 4185.09 EUR
    assert month_cost_cents(fleet_of(rent(euros("2.8665"), EUR), rent(euros("2.8665"), EUR))) == 418_509
    # 71250 / 48 months + 0.59658 * 730 + 6000 / 12 = 1484.375 + 435.5034 + 500 = 2419.8784 EUR
    assert month_cost_cents(fleet_of(own(OWNED, EUR))) == 241_988


def test_cents_are_rounded_half_to_even_and_only_once() -> None:
    assert period_cost_cents(fleet_of(rent(euros("0.005"), EUR)), NS_PER_HOUR) == 0
    assert period_cost_cents(fleet_of(rent(euros("0.015"), EUR)), NS_PER_HOUR) == 2
    # Three nodes of 0.4 cents: 1.2 cents are 1; rounded node by node they would be 0.
    assert period_cost_cents(fleet_of(*[rent(euros("0.004"), EUR)] * 3), NS_PER_HOUR) == 1


def test_half_an_hour_costs_half() -> None:
    assert period_cost_cents(fleet_of(rent(euros("5.04"), EUR)), NS_PER_HOUR // 2) == 252


def test_the_cent_that_is_left_goes_to_the_largest_remainder_and_of_equals_to_the_first_name() -> None:
    # 100 cents by 1:1:1 -> 33 each, remainders equal: the first name gets the cent.
    assert share_out(100, {"c": 1, "b": 1, "a": 1}) == {"a": 34, "b": 33, "c": 33}
    # 101 by 3:2:1 -> 50.5, 33.67, 16.83 -> 50 + 33 + 16 = 99; the two cents go to c (.83) and b (.67).
    assert share_out(101, {"a": 3, "b": 2, "c": 1}) == {"a": 50, "b": 34, "c": 17}


def test_where_nobody_has_weight_all_share_equally_and_nothing_needs_nobody() -> None:
    assert share_out(5, {"b": 0, "a": 0}) == {"a": 3, "b": 2}
    assert share_out(0, {}) == {}
    with pytest.raises(AssertionError):
        share_out(1, {})


def test_idle_is_a_line_of_its_own_even_beside_a_team_of_that_name() -> None:
    # 1000 cents, 10 held in all: "idle" 2, "research" 5, nobody 3.
    lines = bill(1000, {"research": 5, "idle": 2}, capacity=10)
    assert (dict(lines.teams), lines.idle, lines.total) == ({"idle": 200, "research": 500}, 300, 1000)


def test_what_could_not_be_held_is_idle() -> None:
    lines = bill(7, {"a": 0}, capacity=0)
    assert (dict(lines.teams), lines.idle) == ({"a": 0}, 7)


def test_a_bill_for_more_than_there_is_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="no more than there is"):
        bill(100, {"a": 11}, capacity=10)


def test_a_useful_gpu_hour_has_a_price_if_there_was_one() -> None:
    # 10.00 EUR for 3 GPU-hours: 3.33 EUR
    assert cost_per_gpu_hour(1000, 3 * 1000 * NS_PER_HOUR) == Decimal("3.33")
    assert cost_per_gpu_hour(1000, 0) is None


def test_amounts_are_written_with_two_decimals_and_numbers_without_zeros() -> None:
    assert str(amount(431_000)) == "4310.00"
    assert str(amount(0)) == "0.00"
    assert (plain(Decimal("5.040")), plain(Decimal("2E+3")), plain(Decimal(0))) == ("5.04", "2000", "0")


def test_nobody_elses_decimal_context_changes_a_cent() -> None:
    with localcontext() as context:
        context.prec = 2
        assert convert(Decimal("13.96"), "USD", "EUR", [ECB]) == Decimal("13.4088944386")
        assert month_cost_cents(fleet_of(own(OWNED, EUR))) == 241_988
        assert str(amount(123_456)) == "1234.56"

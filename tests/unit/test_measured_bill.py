"""The measured bill, computed by hand: an H100 at 4.00 EUR an hour, so a minute is 6 2/3 cents."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.money.measured.measured_bill import measured_bill
from stellwerk.engine.money.measured.result import ALL_NODES, BillFacts, MeasuredBill
from stellwerk.engine.snapshot import FleetNode, NodeCost
from stellwerk.engine.usage import FB_USED, POWER, UTIL, Hole
from stellwerk.report.bill.summary import plain_bill
from stellwerk.report.bill.table import Shown, render_bill
from tests.unit.measured_sample import (
    at,
    cents,
    fleet,
    gpu,
    instance,
    node,
    pod,
    series,
    span,
    steady,
    usage,
)

NS_PER_HOUR = 3_600 * 10**9
ONE = fleet(node("n"))


def test_four_pods_of_a_quarter_for_an_hour_are_one_gpu_hour_and_each_pays_a_quarter() -> None:
    pods = [pod(f"{team}/p", ["g"], (0, 60)) for team in "abcd"]
    bill = measured_bill(usage(60, [gpu("n", "g")], pods), ONE, span(0, 60))
    assert cents(bill) == {"a used": 100, "b used": 100, "c used": 100, "d used": 100}
    assert sum(line.gpu_ns for line in bill.lines) == NS_PER_HOUR
    assert {line.gpu_ns for line in bill.lines} == {NS_PER_HOUR // 4}
    assert bill.invoice_cents == 400


def test_a_pod_alone_pays_the_whole_gpu_until_another_comes() -> None:
    pods = [pod("a/p", ["g"], (0, 60)), pod("b/p", ["g"], (30, 60))]
    bill = measured_bill(usage(120, [gpu("n", "g")], pods), ONE, span(0, 120))
    assert cents(bill) == {"a used": 300, "b used": 100, "idle": 400}


def test_a_pod_listed_twice_on_a_device_is_one_tenant() -> None:
    pods = [pod("a/p", ["g"], (0, 60)), pod("a/p", ["g"], (0, 60)), pod("b/p", ["g"], (0, 60))]
    bill = measured_bill(usage(60, [gpu("n", "g")], pods), ONE, span(0, 60))
    assert cents(bill) == {"a used": 200, "b used": 200}


def test_seven_instances_leave_the_eighth_memory_slice_as_fragmentation() -> None:
    cut = [instance("n", "g", "1g.10gb", number) for number in range(7)]
    pods = [pod("a/p", ["g/0"], (0, 60)), pod("b/p", ["g/1"], (0, 60))]
    bill = measured_bill(usage(60, cut, pods), ONE, span(0, 60))
    assert cents(bill) == {"a used": 50, "b used": 50, "unsold-slice": 250, "fragmentation": 50}


def test_a_slice_that_could_still_be_cut_is_unsold() -> None:
    cut = [instance("n", "g", "3g.40gb", 1), instance("n", "g", "2g.20gb", 2)]
    pods = [pod("a/p", ["g/1"], (0, 60)), pod("b/p", ["g/2"], (0, 60))]
    bill = measured_bill(usage(60, cut, pods), ONE, span(0, 60))
    assert cents(bill) == {"a used": 200, "b used": 100, "unsold-slice": 100}


def test_pods_on_one_instance_share_its_part() -> None:
    cut = [instance("n", "g", "3g.40gb", 1), instance("n", "g", "3g.40gb", 2)]
    pods = [pod(f"{team}/p", ["g/1"], (0, 60)) for team in "ab"]
    bill = measured_bill(usage(60, cut, pods), ONE, span(0, 60))
    assert cents(bill) == {"a used": 100, "b used": 100, "unsold-slice": 200}


def test_mps_tenants_pay_the_mean_of_memory_and_compute_and_the_rest_is_unsold() -> None:
    gib = 1024 * 1000  # MiB, in thousandths
    use = {FB_USED: steady(0, 60, 16 * gib), UTIL: steady(0, 60, 40_000)}  # 20 % and 40 %
    pods = [pod("a/p", ["g"], (0, 60), **use), pod("b/p", ["g"], (0, 60), **use)]
    facts = BillFacts(mps_nodes=frozenset({"n"}))
    bill = measured_bill(usage(60, [gpu("n", "g")], pods), ONE, span(0, 60), facts)
    assert cents(bill) == {"a used": 120, "b used": 120, "unsold-slice": 160}


def test_mps_tenants_that_were_not_measured_pay_equal_parts_and_it_is_said() -> None:
    use = {UTIL: steady(0, 60, 90_000), FB_USED: steady(0, 60, 1_000)}
    pods = [pod("a/p", ["g"], (0, 60), **use), pod("b/p", ["g"], (0, 60))]
    facts = BillFacts(mps_nodes=frozenset({ALL_NODES}))
    bill = measured_bill(usage(60, [gpu("n", "g")], pods), ONE, span(0, 60), facts)
    assert cents(bill) == {"a used": 200, "b used": 200}
    assert {w.code: w.values for w in bill.warnings}["MpsEqual"] == {"count": 1}
    elsewhere = BillFacts(mps_nodes=frozenset({"m"}))
    bill = measured_bill(usage(60, [gpu("n", "g")], pods), ONE, span(0, 60), elsewhere)
    assert "MpsEqual" not in {warning.code for warning in bill.warnings}


def test_held_below_the_threshold_for_long_enough_is_idle_held_and_stays_with_its_team() -> None:
    use = series({minute: 80_000 if minute < 30 else 1_000 for minute in range(90)})
    bill = measured_bill(
        usage(90, [gpu("n", "g")], [pod("a/p", ["g"], (0, 90), **{UTIL: use})]), ONE, span(0, 90)
    )
    assert cents(bill) == {"a used": 200, "a idle-held": 400}


def test_a_pause_shorter_than_the_threshold_is_used_time() -> None:
    use = series({minute: 0 if 30 <= minute < 59 else 80_000 for minute in range(90)})
    pods = [pod("a/p", ["g"], (0, 90), **{UTIL: use})]
    bill = measured_bill(usage(90, [gpu("n", "g")], pods), ONE, span(0, 90))
    assert cents(bill) == {"a used": 600}


def test_nobody_is_idle_across_a_gap_in_his_samples() -> None:
    use = series({minute: 0 for minute in range(90) if not 20 <= minute < 70})
    pods = [pod("a/p", ["g"], (0, 90), **{UTIL: use})]
    bill = measured_bill(usage(90, [gpu("n", "g")], pods), ONE, span(0, 90))
    assert cents(bill) == {"a used": 600}


def test_a_free_gpu_is_quota_locked_while_workloads_wait_and_drained_while_cordoned() -> None:
    facts = BillFacts(pending=(span(0, 60), span(15, 30)), drains={"n": (span(45, 90),)})
    bill = measured_bill(usage(120, [gpu("n", "g")]), ONE, span(0, 120), facts)
    assert cents(bill) == {"quota-locked": 300, "drain": 300, "idle": 200}


def test_a_hole_is_a_gap_where_nobody_holds_the_gpu_and_the_pods_where_it_lived_through() -> None:
    holes = [Hole("n", at(30), at(60))]
    empty = measured_bill(usage(60, [gpu("n", "g")], holes=holes), ONE, span(0, 60))
    assert cents(empty) == {"idle": 200, "gap": 200}
    held = measured_bill(usage(60, [gpu("n", "g")], [pod("a/p", ["g"], (0, 60))], holes), ONE, span(0, 60))
    assert cents(held) == {"a used": 400}


def test_a_stated_life_boots_until_its_first_sample_and_pays_for_nothing_after_its_end() -> None:
    facts = BillFacts(lives={"n": (span(15, 75),)})
    bill = measured_bill(usage(120, [gpu("n", "g", (30, 75))]), ONE, span(0, 120), facts)
    assert cents(bill) == {"boot": 100, "idle": 300}
    assert bill.invoice_cents == 400 and bill.nodes[0].billed_ms == 3_600_000


def test_hours_that_no_metrics_cover_are_a_gap_and_said() -> None:
    bill = measured_bill(usage(60, [gpu("n", "g")]), ONE, span(0, 240))
    assert cents(bill) == {"idle": 400, "gap": 1200}
    assert {w.code: w.values for w in bill.warnings}["MeasuredPartly"] == {"hours": 3}


def test_a_node_that_appears_later_is_billed_from_its_first_sample_and_says_so() -> None:
    both = fleet(node("n"), node("spot"))
    bill = measured_bill(usage(120, [gpu("n", "g"), gpu("spot", "s", (60, 90))]), both, span(0, 120))
    assert {line.node: line.cents for line in bill.nodes} == {"n": 800, "spot": 200}
    assert "LifeFromSamples" in {warning.code for warning in bill.warnings}


def test_an_owned_node_is_paid_for_whether_it_is_measured_or_not() -> None:
    own = fleet(node("n"), node("own", term="depreciation"), node("dark"))
    bill = measured_bill(usage(120, [gpu("n", "g"), gpu("own", "s", (60, 90))]), own, span(0, 120))
    assert {line.node: line.cents for line in bill.nodes} == {"n": 800, "own": 800, "dark": 800}
    assert cents(bill) == {"gap": 600 + 800, "idle": 800 + 200}


def test_two_nodes_of_other_names_stand_in_for_one_of_the_fleet_one_after_the_other() -> None:
    spot = fleet(node("spot", "2.00"))
    devices = [gpu("ip-1", "a", (0, 30)), gpu("ip-2", "b", (90, 120))]
    bill = measured_bill(usage(120, devices), spot, span(0, 120))
    assert {line.node: line.cents for line in bill.nodes} == {"ip-1": 100, "ip-2": 100}
    with pytest.raises(InvalidInput, match="ip-2"):
        measured_bill(usage(120, [gpu("ip-1", "a"), gpu("ip-2", "b")]), spot, span(0, 120))


def test_a_gpu_that_replaces_a_broken_one_has_its_place_and_one_too_many_is_refused() -> None:
    after = [gpu("n", "g", (0, 60)), gpu("n", "h", (60, 120))]
    assert cents(measured_bill(usage(120, after), ONE, span(0, 120))) == {"idle": 800}
    with pytest.raises(InvalidInput, match="2 GPUs"):
        measured_bill(usage(120, [gpu("n", "g"), gpu("n", "h")]), ONE, span(0, 120))


def test_a_node_without_a_price_is_refused_with_what_sets_it() -> None:
    free = node("n")
    unpriced = type(free)(
        name="n",
        gpu_model=free.gpu_model,
        gpus=1,
        gpu_memory_bytes=1,
        cost=NodeCost(currency="EUR", unknown="spec.nodes[0].price"),
    )
    with pytest.raises(InvalidInput, match="no price"):
        measured_bill(usage(60, [gpu("n", "g")]), fleet(unpriced), span(0, 60))


def lit(*nodes: FleetNode, price: str | None = None) -> MeasuredBill:
    """A kWh on each of the nodes a, b, c in two hours; team t has a and b, nobody has c."""
    gpus = [gpu(each.name, each.name, (0, 120), **{POWER: steady(0, 120, 500_000)}) for each in nodes]
    facts = BillFacts(energy_per_kwh=None if price is None else Decimal(price))
    pods = [pod("t/p", ["a"], (0, 120)), pod("t/q", ["b"], (0, 120))]
    return measured_bill(usage(120, gpus, pods), fleet(*nodes), span(0, 120), facts)


def energy_costs(bill: MeasuredBill) -> dict[str, object]:
    plain = plain_bill(bill)
    rows = {
        row["name"]: row["energyCost"] for row in (*plain["teams"], *plain["workloads"], *plain["causes"])
    }
    return rows | {"": plain["energyCost"], "unpriced": plain["kwhWithoutPrice"]}


def test_energy_costs_what_each_node_says_unless_the_user_says_otherwise() -> None:
    nodes = [node("a", kwh="0.30"), node("b", kwh="0.20"), node("c", kwh="0.1234")]
    assert energy_costs(lit(*nodes)) == {
        "t": "0.50", "t: t/p": "0.30", "t: t/q": "0.20", "idle": "0.12", "": "0.62", "unpriced": "0.000",
    }  # fmt: skip
    assert energy_costs(lit(*nodes, price="1"))["t"] == "2.00"
    assert energy_costs(lit(*nodes, price="1"))[""] == "3.00"
    assert lit(*nodes).invoice_cents == lit(*nodes, price="1").invoice_cents == 2400


def test_energy_without_a_price_is_unknown_and_never_nothing() -> None:
    bill = lit(node("a", kwh="0.30"), node("b"), node("c"))
    assert energy_costs(bill) == {
        "t": None, "t: t/p": "0.30", "t: t/q": None, "idle": None, "": "0.30", "unpriced": "2.000",
    }  # fmt: skip
    shown = render_bill(bill, Shown(("team",), ZoneInfo("UTC"), "f", "en"))
    assert "3.0 kWh, of which 1.0 kWh cost 0.30" in " ".join(shown.split())
    nothing = lit(node("a"), node("b"), node("c"))
    assert nothing.energy_cents is None and nothing.unpriced_uj == nothing.energy_uj
    assert set(energy_costs(nothing).values()) == {None, "3.000"}


def test_energy_is_divided_like_the_gpu_and_stands_beside_the_invoice() -> None:
    pods = [pod(f"{team}/p", ["g"], (0, 60)) for team in "ab"]
    device = gpu("n", "g", **{POWER: steady(0, 120, 500_000)})  # 500 W
    facts = BillFacts(energy_per_kwh=Decimal("0.30"))
    bill = measured_bill(usage(120, [device], pods), ONE, span(0, 120), facts)
    assert bill.energy_uj == 3_600_000_000_000  # 500 W for two hours: one kWh
    assert bill.energy_cents == 30 and bill.invoice_cents == 800
    assert {line.team: line.energy_uj for line in bill.lines} == {
        "a": 900_000_000_000,
        "b": 900_000_000_000,
        "": 1_800_000_000_000,
    }


def test_instances_that_repeat_their_gpus_power_count_it_once() -> None:
    power = {POWER: steady(0, 60, 300_000)}
    cut = [instance("n", "g", "3g.40gb", number) for number in (1, 2)]
    cut = [type(device)(**{**_fields(device), "series": power}) for device in cut]
    bill = measured_bill(usage(60, cut), ONE, span(0, 60))
    assert bill.energy_uj == 300 * 3_600 * 10**6


def _fields(device: object) -> dict[str, object]:
    return {name: getattr(device, name) for name in device.__struct_fields__}  # type: ignore[attr-defined]


def test_nothing_is_billed_twice_where_windows_meet() -> None:
    pods = [pod("a/p", ["g"], (10, 50)), pod("b/p", ["g"], (20, 100))]
    seen = usage(120, [gpu("n", "g")], pods)
    whole = measured_bill(seen, ONE, span(0, 120))
    halves = [measured_bill(seen, ONE, span(0, 37)), measured_bill(seen, ONE, span(37, 120))]
    for part in ("a", "b", ""):
        held = [sum(line.gpu_ns for line in bill.lines if line.team == part) for bill in (whole, *halves)]
        assert held[0] == held[1] + held[2]


def test_a_node_of_another_name_that_could_be_two_prices_is_refused() -> None:
    two = fleet(node("spot", "2.00"), node("on-demand", "4.00"))
    with pytest.raises(InvalidInput, match="not alike"):
        measured_bill(usage(60, [gpu("ip-1", "g")]), two, span(0, 60))


def test_use_that_nobody_is_billed_for_and_names_that_nobody_has_are_said() -> None:
    facts = BillFacts(
        lives={"n": (span(0, 30),)}, drains={"nn": (span(0, 9),)}, mps_nodes=frozenset({ALL_NODES, "m"})
    )
    pods = [pod("a/p", ["g"], (0, 60)), pod("b/p", ["g"], (0, 20))]
    bill = measured_bill(usage(60, [gpu("n", "g")], pods), ONE, span(0, 60), facts)
    said = [(warning.code, dict(warning.values)) for warning in bill.warnings]
    assert ("HeldUnbilled", {"count": 1, "example": "a/p"}) in said
    assert [values["name"] for code, values in said if code == "NodeUnknown"] == ["m", "nn"]
    assert bill.invoice_cents == 200


def test_a_gpu_of_another_model_and_one_without_power_are_said() -> None:
    lit = gpu("n", "g", **{POWER: steady(0, 60, 1)})
    other = type(lit)(**{**_fields(gpu("n", "h")), "model": "A30"})
    bill = measured_bill(usage(60, [lit, other]), fleet(node("n", gpus=2)), span(0, 60))
    assert {"ModelDiffers", "PowerMissing"} <= {warning.code for warning in bill.warnings}

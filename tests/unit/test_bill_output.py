"""`stellwerk bill` as a user runs it: days of a time zone, every form of output, and what it refuses."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from stellwerk.api.errors import InvalidInput
from stellwerk.cli.main import main
from stellwerk.engine.money.measured.measured_bill import measured_bill
from stellwerk.engine.money.measured.result import MeasuredBill
from stellwerk.report.bill.focus import COLUMNS, focus_bill
from stellwerk.report.bill.period import window
from stellwerk.report.bill.summary import csv_bill, csv_text, plain_bill
from tests.unit.measured_sample import fleet, gpu, instance, node, pod, span, usage

HOUR = 3_600_000
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
}  # fmt: skip
TEXT, DECIMAL = r".+", r"-?(0|[1-9]\d*)(\.\d+)?"
TIME = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ"
# Column: may it be null in a row of usage, and its form or allowed values, by the specification of FOCUS 1.2.
FOCUS_COLUMNS = {
    **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), (False, DECIMAL)),
    **dict.fromkeys(("ConsumedQuantity", "PricingQuantity"), (False, DECIMAL)),
    **dict.fromkeys(("BillingPeriodEnd", "BillingPeriodStart"), (False, TIME)),
    **dict.fromkeys(("ChargePeriodEnd", "ChargePeriodStart"), (False, TIME)),
    **dict.fromkeys(
        ("BillingAccountId", "InvoiceIssuerName", "ProviderName", "PublisherName"), (False, TEXT)
    ),
    **dict.fromkeys(("BillingAccountName", "ChargeDescription", "ServiceName"), (False, TEXT)),
    **dict.fromkeys(("ResourceId", "ResourceName", "ResourceType"), (True, TEXT)),
    **dict.fromkeys(("SubAccountId", "SubAccountName"), (True, TEXT)),
    **dict.fromkeys(("ConsumedUnit", "PricingUnit"), (False, r"[A-Za-z]+(-(Hours|Days|Months))?")),
    "BillingCurrency": (False, r"[A-Z]{3}"),
    "ChargeCategory": (False, "Usage|Purchase|Tax|Credit|Adjustment"),
    "ChargeClass": (True, "Correction"),
    "ChargeFrequency": (False, "One-Time|Recurring|Usage-Based"),
    "PricingCategory": (False, "Standard|Dynamic|Committed|Other"),
    "ServiceCategory": (
        False,
        "AI and Machine Learning|Analytics|Business Applications|Compute|Databases|Developer Tools|"
        "Multicloud|Identity|Integration|Internet of Things|Management and Governance|Media|"
        "Migration|Mobile|Networking|Security|Storage|Web|Other",
    ),
    "Tags": (True, r"\{.*\}"),
}
FLEET = """
apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  currency: EUR
  nodes:
  - {name: "n", gpuModel: H100-PCIE-80GB, gpus: 1,
     price: {amount: "3.07", currency: EUR, date: "2026-01-28", source: quote}}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.setenv(name, "C.UTF-8" if name == "LANG" else "")


def sample() -> MeasuredBill:
    cut = [instance("m", "h", "1g.10gb", number) for number in range(7)]
    pods = [pod("a/p", ["g"], (0, 61)), pod("b/p", ["g"], (7, 90)), pod("b/q", ["h/3"], (5, 50))]
    fleet_ = fleet(node("n", "3.1407"), node("m", "2.7183"))
    return measured_bill(usage(120, [gpu("n", "g"), *cut], pods), fleet_, span(0, 120))


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def write_metrics() -> None:
    """A day in Berlin on which the clocks go forward, a sample every 5 minutes, a pod from 2 to 12 hours."""
    lines = ["timestamp,metric,value,Hostname,UUID,gpu,modelName,namespace,pod,container"]
    for step in range(23 * 12):
        who = "vision,train,c" if 24 <= step < 144 else ",,"
        util = 0 if step >= 84 else 90
        device = "n,GPU-1,0,NVIDIA H100 PCIe"
        time = 1_774_738_800 + step * 300
        lines.append(f"{time},DCGM_FI_DEV_GPU_UTIL,{util},{device},{who}")
        lines.append(f"{time},DCGM_FI_DEV_POWER_USAGE,300,{device},{who}")
    Path("m.csv").write_text("\n".join(lines) + "\n")
    Path("fleet.yaml").write_text(FLEET)


DAY = ("bill", "m.csv", "--from", "2026-03-29", "--to", "2026-03-30", "--timezone", "Europe/Berlin",
       "--fleet", "fleet.yaml")  # fmt: skip


def test_the_day_of_the_clock_change_has_23_hours_and_the_table_ends_with_the_invoice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_metrics()
    Path("events.csv").write_text(
        "event,node,start,end\ndrain,n,2026-03-29T20:00:00Z,\n"
        "pending,,2026-03-29T11:00:00Z,2026-03-29T13:00:00Z\n"
    )
    assert call(*DAY, "--events", "events.csv", "--kwh-price", "0.30") == 0
    out, err = capsys.readouterr()
    rows = {line.split("  ")[0]: line.split()[-3:] for line in out.splitlines() if "  " in line}
    assert rows["vision"] == ["30.70", "10.0", "3.0"]
    assert rows["quota-locked"] == ["6.14", "2.0", "0.6"]
    assert rows["drain"] == ["6.14", "2.0", "0.6"]
    assert rows["Invoice"] == ["70.61", "23.0", "6.9"]  # 23 * 3.07
    held = next(line for line in out.splitlines() if line.startswith("vision"))
    assert held.split()[1:3] == ["15.35", "15.35"]  # Five hours used, five idle-held.
    assert "6.9 kWh, 2.07 EUR" in out and err == ""


def test_drain_boot_and_pending_come_from_kube_state_metrics_and_events_go_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_metrics()
    rows = ["timestamp,metric,value,node,namespace,pod,phase,resource"]
    for step in range(-2, 23 * 12):  # The node is 10 minutes older than the first sample of its GPU.
        time = 1_774_738_800 + step * 300
        rows.append(f"{time},kube_node_created,1774738200,n,,,,")
        rows.append(f"{time},kube_node_spec_unschedulable,{int(step >= 252)},n,,,,")
        rows.append(f"{time},kube_pod_status_phase,{int(144 <= step < 168)},,vision,next,Pending,")
        rows.append(f"{time},kube_pod_container_resource_requests,8,,vision,next,,nvidia_com_gpu")
    Path("kube.csv").write_text("\n".join(rows) + "\n")
    day = ("bill", "m.csv", "kube.csv", *DAY[2:], "-o", "json")
    assert call(*day) == 0
    causes = {row["name"]: row["total"] for row in json.loads(capsys.readouterr().out)["causes"]}
    # 2 hours pending and 2 hours cordoned, as by --events; the rest of the free time is idle.
    assert (causes["quota-locked"], causes["drain"], "gap" in causes) == ("6.14", "6.14", False)
    Path("events.csv").write_text(
        "event,node,start,end\ndrain,n,2026-03-29T21:00:00Z,\n"
        "pending,,2026-03-29T11:00:00Z,2026-03-29T12:00:00Z\n"
    )
    assert call(*day, "--events", "events.csv") == 0
    causes = {row["name"]: row["total"] for row in json.loads(capsys.readouterr().out)["causes"]}
    assert (causes["quota-locked"], causes["drain"]) == ("3.07", "3.07")


def test_a_bills_receipt_verifies_and_names_what_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    write_metrics()
    Path("events.csv").write_text("event,node,start,end\ndrain,n,2026-03-29T20:00:00Z,\n")
    asked = (*DAY, "--events", "events.csv", "--kwh-price", "0.30", "--mps", "n", "--receipt", "bill.json")
    assert call(*asked, "--by", "node") == 0
    honest = Path("bill.json").read_text()
    assert call(*asked, "--lang", "de") == 0
    assert Path("bill.json").read_text() == honest
    plain = json.loads(honest, parse_float=lambda text: pytest.fail(f"float {text}"))
    assert {(item["role"], item["name"]) for item in plain["inputs"]} == {
        ("metrics", "m.csv"), ("fleet", "fleet.yaml"), ("events", "events.csv"),
    }  # fmt: skip
    assert sum(line["cents"] for line in plain["result"]["lines"]) == 7061
    assert "seed" not in plain and plain["arguments"]["verb"] == "bill"
    capsys.readouterr()
    assert call("verify", "bill.json") == 0
    assert plain["resultSha256"] in capsys.readouterr().out
    Path("bill.json").write_text(honest.replace('"invoice":"70.61"', '"invoice":"70.60"'))
    assert call("verify", "bill.json") == 1
    assert 'result.invoice: "70.60" -> "70.61"' in capsys.readouterr().out
    Path("bill.json").write_text(honest)
    Path("events.csv").write_text("event,node,start,end\ndrain,n,2026-03-29T19:00:00Z,\n")
    assert call("verify", "bill.json") == 1
    assert "inputs[events.csv]" in capsys.readouterr().out
    Path("bill.json").write_text(honest.replace('"idleBelow":"5"', '"idleBelow":5'))
    assert call("verify", "bill.json") == 2
    assert "arguments are malformed" in capsys.readouterr().err


def test_advice_has_a_receipt_too(capsys: pytest.CaptureFixture[str]) -> None:
    write_metrics()
    assert call("advise", "m.csv", "--fleet", "fleet.yaml", "--headroom", "20", "--receipt", "a.json") == 0
    honest = Path("a.json").read_text()
    plain = json.loads(honest, parse_float=lambda text: pytest.fail(f"float {text}"))
    assert plain["arguments"]["headroomPercent"] == 20 and set(plain["hashes"]) == {"fleet", "prices"}
    capsys.readouterr()
    assert call("verify", "a.json") == 0
    assert plain["resultSha256"] in capsys.readouterr().out
    Path("a.json").write_text(honest.replace('"gpusAfter":1', '"gpusAfter":0'))
    assert call("verify", "a.json") == 1
    assert "result.gpusAfter: 0 -> 1" in capsys.readouterr().out
    Path("a.json").write_text(honest)
    Path("m.csv").write_text(Path("m.csv").read_text().replace(",300,n", ",310,n", 1))
    assert call("verify", "a.json") == 1
    assert "inputs[m.csv]" in capsys.readouterr().out
    assert call("advise", "m.csv", "--receipt", "no/such/a.json") == 2


def test_german_is_german(capsys: pytest.CaptureFixture[str]) -> None:
    write_metrics()
    assert call(*DAY, "--lang", "de", "--by", "slice") == 0
    out = capsys.readouterr().out
    assert "Rechnung" in out and "70,61" in out and "ungenutzt gehalten" in out


@pytest.mark.parametrize("form", ["json", "yaml", "csv", "focus"])
def test_every_form_adds_up_to_the_invoice(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_metrics()
    assert call(*DAY, "-o", form) == 0
    out = capsys.readouterr().out
    if form in ("json", "yaml"):
        plain = json.loads(out) if form == "json" else yaml.safe_load(out)
        parts = [*plain["teams"], *plain["causes"]]
        assert sum(Decimal(part["total"]) for part in parts) == Decimal(plain["invoice"]) == Decimal("70.61")
        return
    column = "amount" if form == "csv" else "BilledCost"
    assert sum(Decimal(row[column]) for row in csv.DictReader(io.StringIO(out))) == Decimal("70.61")


def test_every_grouping_of_the_json_adds_up() -> None:
    plain = plain_bill(sample())
    causes = sum(Decimal(row["total"]) for row in plain["causes"])
    for group in ("teams", "workloads", "slices"):
        assert sum(Decimal(row["total"]) for row in plain[group]) + causes == Decimal(plain["invoice"])
    assert sum(Decimal(row["total"]) for row in plain["nodes"]) == Decimal(plain["invoice"])
    assert Decimal(plain["invoice"]) == Decimal("11.72")  # 2 * (3.1407 + 2.7183)


def focus_rows(bill: MeasuredBill) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(focus_bill(bill, "shop", "Platform"))))


def test_focus_has_the_mandatory_columns_once_and_its_own_begin_with_x() -> None:
    assert set(COLUMNS) >= MANDATORY and len(set(COLUMNS)) == len(COLUMNS)
    assert {column for column in COLUMNS if not column.startswith("x_")} <= set(FOCUS_COLUMNS)
    assert set(FOCUS_COLUMNS) >= MANDATORY


def test_every_focus_value_is_of_its_type_and_allowed() -> None:
    bill = sample()
    rows = focus_rows(bill)
    assert {row["x_Part"] for row in rows} >= {"used", "fragmentation", "idle", "unsold-slice"}
    for row in rows:
        for column, (nullable, form) in FOCUS_COLUMNS.items():
            value = row.get(column, "")
            assert re.fullmatch(form, value) if value else nullable, (column, value)
        assert all(isinstance(value, str) for value in json.loads(row["Tags"]).values())


def test_focus_columns_agree_with_each_other_as_the_specification_asks() -> None:
    bill = sample()
    rows = focus_rows(bill)
    assert sum(Decimal(row["BilledCost"]) for row in rows) == Decimal(bill.invoice_cents) / 100
    for row in rows:
        assert row["BilledCost"] == row["ListCost"] == row["ContractedCost"] == row["EffectiveCost"]
        assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == (row["PricingQuantity"], row["PricingUnit"])
        assert bool(row["SubAccountId"]) == bool(row["SubAccountName"]) == bool(row["x_Team"])
        assert row["ResourceId"] and row["ResourceName"] and row["ResourceType"]
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["ChargePeriodEnd"] == row["BillingPeriodEnd"] == "2026-03-01T02:00:00Z"
        assert json.loads(row["Tags"])["part"] == row["x_Part"]
        assert bool(row["x_Team"]) != bool(row["x_Cause"])
    keys = [(row["ResourceId"], row["SubAccountId"], row["x_Part"], row["x_Workload"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_a_name_that_is_a_formula_stays_a_name() -> None:
    assert csv_text(("a",), [("=1+1",), ("plain",)]) == "a\n'=1+1\nplain\n"
    assert csv_bill(sample()).startswith("from,to,team,part,")


@pytest.mark.parametrize(
    ("start", "end", "zone", "hours"),
    [
        ("2026-03", "2026-04", "UTC", 744),
        ("2026-03", "2026-04", "Europe/Berlin", 743),
        ("2026-10", "2026-11", "Europe/Berlin", 745),
        ("2026-02-28", "2026-03-01", "Europe/Berlin", 24),
        ("2026-03-01T00:00:00Z", "2026-03-01T05:30:00+05:00", "Europe/Berlin", Decimal("0.5")),
    ],
)
def test_a_month_is_as_long_as_the_clocks_of_the_zone_make_it(
    start: str, end: str, zone: str, hours: Decimal
) -> None:
    span_ = window(start, end, zone)
    assert span_.end_ms - span_.start_ms == hours * HOUR


@pytest.mark.parametrize(
    ("start", "end", "zone"),
    [
        ("2026-03", "2026-03", "UTC"),
        ("2026-13", "2027-01", "UTC"),
        ("yesterday", "2027-01", "UTC"),
        ("2026-03", "2026-04", "Mars/Olympus"),
        ("2026-03", "2026-04", "../etc"),
        ("2026-03", "2026-04", ""),
        ("0001-01-01", "2026-04", "Asia/Tokyo"),
    ],
)
def test_what_is_no_period_is_refused(start: str, end: str, zone: str) -> None:
    with pytest.raises(InvalidInput):
        window(start, end, zone)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("event,node,start\n", "no column end"),
        ("event,node,start,end\nboot,n,2026-03-29T00:00:00Z,\n", '"boot" is no event'),
        ("event,node,start,end\nlife,,2026-03-29T00:00:00Z,\n", "no event with its node"),
        ("event,node,start,end\nlife,n,2026-03-29,\n", "no RFC 3339 time"),
        ("event,node,start,end\nlife,n,2026-03-29T02:00:00Z,2026-03-29T01:00:00Z\n", "not after the start"),
    ],
)
def test_a_broken_event_is_named_by_its_row(
    text: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_metrics()
    Path("events.csv").write_text(text)
    assert call(*DAY, "--events", "events.csv") == 2
    err = capsys.readouterr().err
    assert complaint in err and "Next:" in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "option", ["--kwh-price=-1", "--kwh-price=NaN", "--idle-below=101", "--idle-after=0"]
)
def test_an_option_out_of_its_range_is_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_metrics()
    assert call(*DAY, option) == 2
    assert "Next:" in capsys.readouterr().err

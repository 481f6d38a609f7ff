"""The bill as FOCUS 1.2 cost and usage rows (FinOps Open Cost and Usage Specification), one for each line.

All columns that FOCUS 1.2 makes mandatory are there, and those of the conditional ones that apply; what the
specification calls null is an empty field. Our own columns begin with `x_`. Nothing is discounted, so list,
contracted, effective and billed cost are one amount. Source: focus.finops.org/focus-specification/v1-2.
"""

import json

from stellwerk.engine.money.bill import amount
from stellwerk.engine.money.measured.result import Line, MeasuredBill
from stellwerk.report.bill.period import utc
from stellwerk.report.bill.summary import csv_text, gpu_hours, kwh

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingCategory",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_Cause",
    "x_EnergyKwh",
    "x_Part",
    "x_Slice",
    "x_Team",
    "x_Workload",
)
UNIT = "GPU-Hours"


def focus_bill(bill: MeasuredBill, fleet: str, issuer: str) -> str:
    """CSV with a header; the column BilledCost adds up to the invoice."""
    common = {
        "BillingAccountId": fleet,
        "BillingAccountName": fleet,
        "BillingCurrency": bill.currency,
        "BillingPeriodEnd": utc(bill.end_ms),
        "BillingPeriodStart": utc(bill.start_ms),
        "ChargeCategory": "Usage",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": utc(bill.end_ms),
        "ChargePeriodStart": utc(bill.start_ms),
        "ConsumedUnit": UNIT,
        "InvoiceIssuerName": issuer,
        "PricingCategory": "Standard",
        "PricingUnit": UNIT,
        "ProviderName": issuer,
        "PublisherName": issuer,
        "ResourceType": "GPU",
        "ServiceCategory": "Compute",
        "ServiceName": "GPU time",
    }
    rows = [common | _charge(line, bill) for line in bill.lines]
    return csv_text(COLUMNS, [tuple(row.get(column, "") for column in COLUMNS) for row in rows])


def _charge(line: Line, bill: MeasuredBill) -> dict[str, str]:
    cost, hours = str(amount(line.cents)), str(gpu_hours(line.gpu_ns))
    tags = {"team": line.team, "workload": line.workload, "part": line.part, "slice": line.slice}
    who = f"{line.team}: {line.workload}" if line.team else line.part
    costs = dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), cost)
    return costs | {
        "ChargeDescription": f"{hours} {UNIT} of {line.node} ({line.slice}), {line.part}, {who}",
        "ConsumedQuantity": hours,
        "PricingQuantity": hours,
        "ResourceId": f"{line.node}/{line.slice}",
        "ResourceName": line.node,
        "SubAccountId": line.team,
        "SubAccountName": line.team,
        "Tags": json.dumps({key: value for key, value in tags.items() if value}, ensure_ascii=False),
        "x_Cause": "" if line.team else line.part,
        "x_EnergyKwh": "" if bill.energy_uj is None else str(kwh(line.energy_uj)),
        "x_Part": line.part,
        "x_Slice": line.slice,
        "x_Team": line.team,
        "x_Workload": line.workload,
    }

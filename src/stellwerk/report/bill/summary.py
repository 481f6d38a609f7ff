"""A measured bill grouped by team, workload, slice or node, as every form of output shows it."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Any

from msgspec import Struct

from stellwerk.engine.money.bill import amount, share_out
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.money.measured.result import CAUSES, IDLE_HELD, UJ_PER_KWH, Line, MeasuredBill
from stellwerk.report.bill.period import utc

NS_PER_HOUR = 3_600 * 10**9
GROUPS: Mapping[str, Callable[[Line], str]] = {
    "team": lambda line: line.team,
    "workload": lambda line: f"{line.team}: {line.workload}",
    "slice": lambda line: line.slice,
    "node": lambda line: line.node,
}


class Row(Struct, frozen=True, kw_only=True, rename="camel"):
    """One name of a table: what it pays, of which idle-held, for how much GPU-time and energy."""

    name: str
    used: Decimal
    idle_held: Decimal
    total: Decimal
    gpu_hours: Decimal
    kwh: Decimal | None
    energy_cost: Decimal | None


def held_rows(bill: MeasuredBill, by: str) -> tuple[Row, ...]:
    """What teams pay, by `GROUPS`; with `cause_rows` it is the invoice."""
    name = GROUPS[by]
    return _rows(bill, lambda line: name(line) if line.team else None)


def cause_rows(bill: MeasuredBill) -> tuple[Row, ...]:
    """What nobody held, by cause in the order of `CAUSES`; causes without GPU-time are left out."""
    found = {row.name: row for row in _rows(bill, lambda line: None if line.team else line.part)}
    return tuple(found[cause] for cause in CAUSES if cause in found)


def _rows(bill: MeasuredBill, name: Callable[[Line], str | None]) -> tuple[Row, ...]:
    """The lines that have a name, by it; the others only share in the energy's cents."""
    found: dict[str, list[Line]] = {}
    others: list[Line] = []
    for line in bill.lines:
        key = name(line)
        (others if key is None else found.setdefault(key, [])).append(line)
    costs = _energy_cents(bill, {**{f"={key}": lines for key, lines in found.items()}, "": others})
    return tuple(_row(bill, key, found[key], costs.get(f"={key}")) for key in sorted(found))


def _energy_cents(bill: MeasuredBill, groups: Mapping[str, list[Line]]) -> Mapping[str, int]:
    """The energy's cents by its price, so that they too add up; no group with energy that has no price."""
    if bill.energy_cents is None:
        return {}
    known = {
        node.node: fraction(node.energy_per_kwh) for node in bill.nodes if node.energy_per_kwh is not None
    }
    unit = lcm(*(price.denominator for price in known.values()))
    weights = {
        key: sum(line.energy_uj * int(known.get(line.node, Fraction(0)) * unit) for line in lines)
        for key, lines in groups.items()
    }
    whole = {
        key for key, lines in groups.items() if all(line.node in known for line in lines if line.energy_uj)
    }
    cents = share_out(bill.energy_cents, weights)
    return {key: each for key, each in cents.items() if key in whole}


def _row(bill: MeasuredBill, name: str, lines: list[Line], energy_cents: int | None) -> Row:
    cents = sum(line.cents for line in lines)
    idle = sum(line.cents for line in lines if line.part == IDLE_HELD)
    return Row(
        name=name,
        used=amount(cents - idle),
        idle_held=amount(idle),
        total=amount(cents),
        gpu_hours=gpu_hours(sum(line.gpu_ns for line in lines)),
        kwh=kwh(sum(line.energy_uj for line in lines)) if bill.energy_uj is not None else None,
        energy_cost=None if energy_cents is None else amount(energy_cents),
    )


def gpu_hours(gpu_ns: int) -> Decimal:
    """GPU-hours to a thousandth."""
    return rounded(Fraction(gpu_ns, NS_PER_HOUR), 3)


def kwh(energy_uj: int) -> Decimal:
    """Kilowatt-hours to a thousandth."""
    return rounded(Fraction(energy_uj, UJ_PER_KWH), 3)


def plain_bill(bill: MeasuredBill) -> dict[str, Any]:
    """The bill for programs: amounts as decimal strings, in English."""
    from stellwerk.report.export import to_plain

    return {
        "from": utc(bill.start_ms),
        "to": utc(bill.end_ms),
        "currency": bill.currency,
        "invoice": str(amount(bill.invoice_cents)),
        **{f"{by}s": [to_plain(row) for row in held_rows(bill, by)] for by in ("team", "workload", "slice")},
        "causes": [to_plain(row) for row in cause_rows(bill)],
        "nodes": [
            {
                "name": node.node,
                "fleetNode": node.fleet_node,
                "gpus": node.gpus,
                "perHour": str(node.per_hour),
                "energyPerKwh": None if node.energy_per_kwh is None else str(node.energy_per_kwh),
                "billedHours": str(rounded(Fraction(node.billed_ms, 3_600_000), 3)),
                "total": str(amount(node.cents)),
            }
            for node in bill.nodes
        ],
        "kwh": None if bill.energy_uj is None else str(kwh(bill.energy_uj)),
        "energyCost": None if bill.energy_cents is None else str(amount(bill.energy_cents)),
        "kwhWithoutPrice": None if bill.energy_uj is None else str(kwh(bill.unpriced_uj)),
        "warnings": [str(warning) for warning in bill.warnings],
    }


CSV_COLUMNS = (
    "from", "to", "team", "part", "workload", "node", "slice", "gpu_hours", "kwh", "amount", "currency",
)  # fmt: skip


def csv_bill(bill: MeasuredBill) -> str:
    """Every line; the column `amount` adds up to the invoice."""
    rows = [
        (
            utc(bill.start_ms),
            utc(bill.end_ms),
            line.team,
            line.part,
            line.workload,
            line.node,
            line.slice,
            gpu_hours(line.gpu_ns),
            "" if bill.energy_uj is None else kwh(line.energy_uj),
            amount(line.cents),
            bill.currency,
        )
        for line in bill.lines
    ]
    return csv_text(CSV_COLUMNS, rows)


def csv_text(head: tuple[str, ...], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated, one line end a row.

    A name that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(
        [f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t" and cell else cell for cell in row]
        for row in rows
    )
    return out.getvalue()


def dump(plain: dict[str, Any], form: str) -> str:
    """The plain bill as `json` or `yaml` text."""
    if form == "yaml":
        import yaml

        return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110))
    import msgspec

    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n"

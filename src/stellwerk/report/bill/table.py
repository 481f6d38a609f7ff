"""The bill as plain text: who pays, what nobody held by cause, and the sum, which is the invoice."""

from collections.abc import Sequence
from decimal import Decimal
from textwrap import fill
from zoneinfo import ZoneInfo

from msgspec import Struct

from stellwerk.engine.decision import Reason
from stellwerk.engine.money.bill import amount
from stellwerk.engine.money.measured import result
from stellwerk.engine.money.measured.result import MeasuredBill
from stellwerk.report.bill.period import local
from stellwerk.report.bill.summary import Row, cause_rows, gpu_hours, held_rows, kwh
from stellwerk.report.text import Language, number, translator


def cause_word(cause: str, lang: Language) -> str:
    """A cause in words."""
    _ = translator(lang)
    known = {
        result.UNSOLD_SLICE: _("unsold slice"),
        result.FRAGMENTATION: _("fragmentation"),
        result.QUOTA_LOCKED: _("quota-locked"),
        result.DRAIN: _("drain"),
        result.BOOT: _("boot"),
        result.GAP: _("gap (not measured)"),
        result.IDLE: _("idle"),
    }
    return known[cause]


def group_word(by: str, lang: Language) -> str:
    """What a table is grouped by, as its first heading."""
    _ = translator(lang)
    known = {"team": _("Team"), "workload": _("Workload"), "slice": _("Slice"), "node": _("Node")}
    return known[by]


class Shown(Struct, frozen=True):
    """How a bill is shown: which tables, in which zone and language, how wide."""

    by: tuple[str, ...]
    zone: ZoneInfo
    fleet: str
    lang: Language
    width: int = 100


def render_bill(bill: MeasuredBill, shown: Shown) -> str:
    """A heading, a table for each of `by`, the energy, and every warning."""
    _ = translator(shown.lang)
    blocks = [
        _(
            "Bill of fleet {fleet} from {start} to {end} ({zone}): {nodes} nodes, {gpus} GPUs",
            fleet=shown.fleet,
            start=local(bill.start_ms, shown.zone),
            end=local(bill.end_ms, shown.zone),
            zone=shown.zone.key,
            nodes=number(len(bill.nodes), shown.lang),
            gpus=number(sum(node.gpus for node in bill.nodes), shown.lang),
        )
    ]
    blocks += [_table(bill, by, shown) for by in shown.by]
    notes = [*_energy_notes(bill, shown.lang), *warning_texts(bill.warnings, shown.lang)]
    blocks += [fill(note, shown.width, initial_indent="- ", subsequent_indent="  ") for note in notes[:1]]
    text = "\n\n".join(blocks) + "\n"
    return text + "".join(
        fill(note, shown.width, initial_indent="- ", subsequent_indent="  ") + "\n" for note in notes[1:]
    )


def warning_texts(warnings: Sequence[Reason], lang: Language) -> list[str]:
    """What the figures must not hide, in the reader's language."""
    _ = translator(lang)
    return [_(warning.text, **warning.values) for warning in warnings]


def _energy_notes(bill: MeasuredBill, lang: Language) -> list[str]:
    _ = translator(lang)
    if bill.energy_uj is None:
        return []
    energy = number(kwh(bill.energy_uj), lang, 1)
    if bill.energy_cents is None:
        return [_("Energy of the GPUs as measured (each sample until the next): {kwh} kWh.", kwh=energy)]
    if bill.unpriced_uj:
        return [
            _(
                "Energy of the GPUs as measured (each sample until the next): {kwh} kWh, of which "
                "{known} kWh cost {cost} {currency}; what the rest costs is unknown. "
                "Information beside the invoice.",
                kwh=energy,
                known=number(kwh(bill.energy_uj - bill.unpriced_uj), lang, 1),
                cost=number(amount(bill.energy_cents), lang, 2),
                currency=bill.currency,
            )
        ]
    return [
        _(
            "Energy of the GPUs as measured (each sample until the next): {kwh} kWh, {cost} {currency}; "
            "information beside the invoice, not part of it.",
            kwh=energy,
            cost=number(amount(bill.energy_cents), lang, 2),
            currency=bill.currency,
        )
    ]


def _table(bill: MeasuredBill, by: str, shown: Shown) -> str:
    _ = translator(shown.lang)
    head = [group_word(by, shown.lang), _("used"), _("idle-held"), bill.currency, _("GPU-hours")]
    energy = bill.energy_uj is not None
    head += ["kWh"] if energy else []
    rows = [_cells(row, row.name, shown.lang, held=True) for row in held_rows(bill, by)]
    causes = [
        _cells(row, cause_word(row.name, shown.lang), shown.lang, held=False) for row in cause_rows(bill)
    ]
    total = [_("Invoice"), "", "", _money(amount(bill.invoice_cents), shown.lang)]
    total.append(number(gpu_hours(sum(line.gpu_ns for line in bill.lines)), shown.lang, 1))
    total += [number(kwh(bill.energy_uj or 0), shown.lang, 1)] if energy else []
    every = [head, *rows, *causes, total]
    widths = [max(len(row[at]) for row in every) for at in range(len(head))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    blocks = [[_line(head, widths)], [_line(r, widths) for r in rows], [_line(r, widths) for r in causes]]
    blocks.append([_line(total, widths)])
    return f"\n{rule}\n".join("\n".join(block) for block in blocks if block)


def _cells(row: Row, name: str, lang: Language, held: bool) -> list[str]:
    parts = [_money(row.used, lang), _money(row.idle_held, lang)] if held else ["", ""]
    cells = [name, *parts, _money(row.total, lang), number(row.gpu_hours, lang, 1)]
    return cells if row.kwh is None else [*cells, number(row.kwh, lang, 1)]


def _money(value: Decimal, lang: Language) -> str:
    return number(value, lang, 2)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    return "  ".join(
        [first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]
    ).rstrip()

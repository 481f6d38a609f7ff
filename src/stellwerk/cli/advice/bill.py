"""`stellwerk bill PATH...`: what was measured, as a bill that adds up to the invoice."""

import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.options import LANG, RATE, language_of

if TYPE_CHECKING:
    from stellwerk.engine.money.measured.result import BillFacts, MeasuredBill, Span
    from stellwerk.report.text import Language

KWH_LIMIT, IDLE_LIMIT = Decimal(1000), Decimal(100)


@click.command("bill", short_help="Divide the fleet's cost among teams and causes, to the cent.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--from", "start", required=True, metavar="DATE", help="First day that is billed: 2026-03-01.")
@click.option("--to", "end", required=True, metavar="DATE", help="First day that is no longer billed.")
@click.option("--fleet", required=True, metavar="FLEET", help="The nodes and what they cost.")
@click.option(
    "--timezone", default="UTC", show_default=True, metavar="ZONE", help="Whose days: Europe/Berlin."
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["team", "workload", "slice", "node"]),
    default=["team"],
    help="Tables to print (repeatable).  [default: team]",
)
@click.option("--events", metavar="FILE", help="CSV: lives and drains of nodes, times of pending workloads.")
@click.option("--mps", "mps_nodes", multiple=True, metavar="NODE", help="Shares by MPS (repeatable; *: all).")
@click.option(
    "--idle-below", default="5", show_default=True, metavar="PERCENT", help="Use of a GPU that is no use."
)
@click.option("--idle-after", default="30m", show_default=True, metavar="DURATION", help="Shorter: a pause.")
@click.option(
    "--kwh-price",
    metavar="AMOUNT",
    help="Price of a kWh in the fleet's currency (else what owned nodes say).",
)
@RATE
@click.option("--issuer", metavar="NAME", help="Who bills, in FOCUS (else the fleet's name).")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "csv", "focus"]),
    default="table",
    show_default=True,
    help="Form of what goes to stdout.",
)
@LANG
def command(paths: tuple[str, ...], start: str, end: str, **options: Any) -> int:
    """Bill the metrics in PATH... from --from to --to: teams and causes together are the fleet's invoice."""
    from stellwerk.adapters.metrics.load import load_usage
    from stellwerk.engine.money.exchange import parse_rate
    from stellwerk.engine.money.measured.measured_bill import measured_bill
    from stellwerk.report.bill.period import window
    from stellwerk.sim.intake.fleets import named_fleet

    lang = language_of(options.pop("lang"))
    span = window(start, end, options["timezone"])
    facts = _facts(options, span)
    fleet = named_fleet(options["fleet"], tuple(parse_rate(rate) for rate in options["rates"])).fleet
    loaded = load_usage(paths)
    found = measured_bill(loaded.usage, fleet, span, facts)
    options["name"] = fleet.name
    _print(found, options, lang)
    return 0


def _facts(options: dict[str, Any], span: "Span") -> "BillFacts":
    from stellwerk.adapters.bill_events import NO_EVENTS, read_events
    from stellwerk.adapters.files import read_input
    from stellwerk.engine.money.measured.result import BillFacts

    path = options["events"]
    events = read_events(read_input(path), path, span.end_ms) if path else NO_EVENTS
    price = options["kwh_price"]
    return BillFacts(
        lives=events.lives,
        drains=events.drains,
        pending=events.pending,
        mps_nodes=frozenset(options["mps_nodes"]),
        idle_below_milli=int(_decimal(options["idle_below"], "--idle-below", IDLE_LIMIT) * 10),
        idle_after_ms=_duration_ms(options["idle_after"]),
        energy_per_kwh=None if price is None else _decimal(price, "--kwh-price", KWH_LIMIT),
    )


def _decimal(text: str, option: str, limit: Decimal) -> Decimal:
    from decimal import InvalidOperation

    from stellwerk.api.errors import InvalidInput
    from stellwerk.engine.money.exact import is_amount

    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if is_amount(value) and value <= limit:
        return value
    raise InvalidInput(
        "{option} {text} is not a number from 0 to {limit}",
        fix="write it with a point: 0.28",
        option=option,
        text=text[:40],
        limit=f"{limit:f}",
    )


def _duration_ms(text: str) -> int:
    from stellwerk.api.duration import parse_duration
    from stellwerk.api.errors import InvalidInput

    try:
        found = parse_duration(text) // 1_000_000
    except ValueError:
        found = 0
    if found <= 0:
        raise InvalidInput(
            "--idle-after {text} is no duration above 0", fix="write it like 30m or 1h30m", text=text[:40]
        )
    return found


def _print(bill: "MeasuredBill", options: dict[str, Any], lang: "Language") -> None:
    """Only the payload goes to stdout; where it has no room for warnings they go to stderr."""
    from stellwerk.report.bill import focus, summary, table

    form = options["output"]
    if form == "table":
        import shutil

        from stellwerk.report.bill.period import time_zone

        width = shutil.get_terminal_size((100, 24)).columns
        by = tuple(dict.fromkeys(options["by"]))
        shown = table.Shown(by, time_zone(options["timezone"]), options["name"], lang, width)
        click.echo(table.render_bill(bill, shown), nl=False)
        return
    if form in ("json", "yaml"):
        sys.stdout.write(summary.dump(summary.plain_bill(bill), form))
        return
    if form == "csv":
        sys.stdout.write(summary.csv_bill(bill))
    else:
        sys.stdout.write(focus.focus_bill(bill, options["name"], options["issuer"] or options["name"]))
    for warning in table.warning_texts(bill.warnings, lang):
        click.echo(warning, err=True)

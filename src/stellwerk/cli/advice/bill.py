"""`stellwerk bill PATH...`: what was measured, as a bill that adds up to the invoice."""

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from stellwerk.cli.live import DAY_MS, DEFAULT_DAYS, check_days, live_options, metrics_paths, moment_ms
from stellwerk.cli.options import LANG, RATE, RECEIPT, language_of

if TYPE_CHECKING:
    from stellwerk.engine.money.measured.result import MeasuredBill
    from stellwerk.report.bill.job import PreparedBill
    from stellwerk.report.text import Language


@click.command("bill", short_help="Divide the fleet's cost among teams and causes, to the cent.")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@live_options
@click.option("--from", "start", metavar="DATE", help="First day that is billed: 2026-03-01.")
@click.option("--to", "end", metavar="DATE", help="First day that is no longer billed.")
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
@RECEIPT
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
def command(paths: tuple[str, ...], start: str | None, end: str | None, **options: Any) -> int:
    """Bill the metrics in PATH... from --from to --to: teams and causes together are the fleet's invoice.

    With --prometheus and neither of them: the last --days whole days, by the time zone's midnights.
    """
    from stellwerk.adapters.prometheus.queries import Stretch
    from stellwerk.report.bill.job import BillArguments, prepare_bill
    from stellwerk.report.bill.period import check_over, window

    lang = language_of(options["lang"])
    if options["receipt"]:
        from stellwerk.adapters.output import check_output

        check_output(options["receipt"])
    first, last = billed_days(start, end, options)
    period = window(first, last, options["timezone"])
    prepared = prepare_bill(
        BillArguments(
            paths=metrics_paths(paths, options, lang, Stretch(period.start_ms, period.end_ms)),
            start=first,
            end=last,
            fleet=options["fleet"],
            timezone=options["timezone"],
            events=options["events"],
            mps_nodes=options["mps_nodes"],
            idle_below=options["idle_below"],
            idle_after=options["idle_after"],
            kwh_price=options["kwh_price"],
            rates=options["rates"],
        )
    )
    # Files may hold a simulated clock's time, which is ahead of this one.
    check_over(last, max(_now_ms(), prepared.usage.end_ms + DAY_MS), options["timezone"])
    found = prepared.bill()
    options["name"] = prepared.fleet.name
    if options["receipt"]:
        _write_receipt(prepared, found, options["receipt"])
    _print(found, options, lang)
    return 0


def billed_days(start: str | None, end: str | None, options: dict[str, Any]) -> tuple[str, str]:
    """--from and --to, or the --days before the midnight before --until (now); raises InvalidInput."""
    from stellwerk.api.errors import InvalidInput

    days, live = options["days"], options["prometheus"] is not None
    mixed = start is not None and days is not None
    if (start is None) != (end is None) or (start is None and not live) or mixed:
        raise InvalidInput(
            "a bill needs --from and --to, or with --prometheus --days",
            fix="name the first day, and the first one not billed: --from 2026-03-01 --to 2026-04-01",
        )
    from stellwerk.report.bill.period import check_over, last_days

    now_ms = _now_ms()
    if start is not None and end is not None:
        if live:
            check_over(end, now_ms, options["timezone"])
        return start, end
    check_days(days)
    until_ms = now_ms if options["until"] is None else min(moment_ms("--until", options["until"]), now_ms)
    options["days"] = None
    return last_days(DEFAULT_DAYS if days is None else days, until_ms, options["timezone"])


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _write_receipt(prepared: "PreparedBill", bill: "MeasuredBill", path: str) -> None:
    from stellwerk.cli.results import write_receipt
    from stellwerk.report.bill.job import bill_receipt

    write_receipt(bill_receipt(prepared, bill), path)


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

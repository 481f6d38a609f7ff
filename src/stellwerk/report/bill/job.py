"""From what the user typed to a bill and its receipt; run again, it gives the same bytes."""

from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import Struct

from stellwerk.adapters.bill_events import NO_EVENTS, read_events
from stellwerk.adapters.files import expand, read_raw, sha256
from stellwerk.adapters.metrics.load import load_usage
from stellwerk.api.duration import parse_duration
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.money.exact import is_amount
from stellwerk.engine.money.exchange import parse_rate
from stellwerk.engine.money.measured.measured_bill import measured_bill
from stellwerk.engine.money.measured.result import BillFacts, MeasuredBill, Span
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.usage import Usage
from stellwerk.report.bill.period import window
from stellwerk.report.bill.summary import plain_bill
from stellwerk.report.export import to_plain
from stellwerk.report.receipt import Evidence, InputFile, Job, fleet_hashes, input_files, receipt_of_result
from stellwerk.sim.intake.fleets import named_fleet

KWH_LIMIT, IDLE_LIMIT = Decimal(1000), Decimal(100)


class BillArguments(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What decides a bill, as typed; a receipt holds it, and verify runs it again."""

    verb: str = "bill"
    paths: tuple[str, ...]
    start: str
    end: str
    fleet: str
    timezone: str = "UTC"
    events: str | None = None
    mps_nodes: tuple[str, ...] = ()
    idle_below: str = "5"
    idle_after: str = "30m"
    kwh_price: str | None = None
    rates: tuple[str, ...] = ()


class PreparedBill(Struct, frozen=True, kw_only=True):
    """Everything read and checked: what is left is computing."""

    arguments: BillArguments
    usage: Usage
    fleet: Fleet
    window: Span
    facts: BillFacts
    inputs: tuple[InputFile, ...]

    def bill(self) -> MeasuredBill:
        """The bill; raises InvalidInput where the fleet and what was measured do not fit."""
        return measured_bill(self.usage, self.fleet, self.window, self.facts)


def prepare_bill(arguments: BillArguments) -> PreparedBill:
    """Read and check all input; raises InvalidInput with option, or file and place."""
    span = window(arguments.start, arguments.end, arguments.timezone)
    facts, events = _facts(arguments, span)
    found = named_fleet(arguments.fleet, tuple(parse_rate(rate) for rate in arguments.rates))
    loaded = load_usage(arguments.paths)
    return PreparedBill(
        arguments=arguments,
        usage=loaded.usage,
        fleet=found.fleet,
        window=span,
        facts=facts,
        inputs=(*input_files(loaded.inputs, "metrics"), *input_files(found.inputs), *events),
    )


def bill_job(arguments: BillArguments) -> Job:
    """The bill as a job that verify can run."""
    prepared = prepare_bill(arguments)
    return Job(prepared.inputs, lambda: bill_receipt(prepared, prepared.bill()))


def bill_receipt(prepared: PreparedBill, bill: MeasuredBill) -> dict[str, Any]:
    """The receipt as plain data: the bill as with `-o json`, and every line of it."""
    evidence = Evidence(
        arguments=to_plain(prepared.arguments),
        inputs=prepared.inputs,
        hashes=fleet_hashes(prepared.fleet),
    )
    return receipt_of_result({**plain_bill(bill), "lines": to_plain(bill.lines)}, evidence)


def _facts(arguments: BillArguments, span: Span) -> tuple[BillFacts, tuple[InputFile, ...]]:
    path, price = arguments.events, arguments.kwh_price
    events = NO_EVENTS
    inputs: tuple[InputFile, ...] = ()
    if path:
        raw = read_raw(path)
        events = read_events(expand(raw, path), path, span.end_ms)
        inputs = (InputFile(role="events", name=path, sha256=sha256(raw)),)
    facts = BillFacts(
        lives=events.lives,
        drains=events.drains,
        pending=events.pending,
        mps_nodes=frozenset(arguments.mps_nodes),
        idle_below_milli=int(_decimal(arguments.idle_below, "--idle-below", IDLE_LIMIT) * 10),
        idle_after_ms=_duration_ms(arguments.idle_after),
        energy_per_kwh=None if price is None else _decimal(price, "--kwh-price", KWH_LIMIT),
    )
    return facts, inputs


def _decimal(text: str, option: str, limit: Decimal) -> Decimal:
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
    try:
        found = parse_duration(text) // 1_000_000
    except ValueError:
        found = 0
    if found <= 0:
        raise InvalidInput(
            "--idle-after {text} is no duration above 0", fix="write it like 30m or 1h30m", text=text[:40]
        )
    return found

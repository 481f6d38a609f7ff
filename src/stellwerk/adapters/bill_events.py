"""What samples cannot say, as a CSV: when nodes were there, when they were cordoned, when workloads waited.

| column | holds                                                               |
|--------|---------------------------------------------------------------------|
| event  | life, drain or pending                                              |
| node   | the node's name; empty for pending                                  |
| start  | RFC 3339 time                                                       |
| end    | RFC 3339 time, from which it no longer holds; empty: to the bill's end |
"""

from msgspec import Struct

from stellwerk.adapters.rows import Cell, place, read_table
from stellwerk.api.duration import parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.money.measured.result import Span

EVENT_COLUMNS = ("event", "node", "start", "end")
LIFE, DRAIN, PENDING = "life", "drain", "pending"
NS_PER_MS = 1_000_000


class BillEvents(Struct, frozen=True):
    """Spans by node of `life` and `drain`, and those of `pending`."""

    lives: dict[str, tuple[Span, ...]]
    drains: dict[str, tuple[Span, ...]]
    pending: tuple[Span, ...]


NO_EVENTS = BillEvents({}, {}, ())


def read_events(content: bytes, source: str, end_ms: int) -> BillEvents:
    """The events in a CSV; raises InvalidInput with row and column."""
    table = read_table(content, source)
    columns = table.places(EVENT_COLUMNS)
    found: dict[str, dict[str, list[Span]]] = {LIFE: {}, DRAIN: {}, PENDING: {}}
    for row, fields in table.rows:
        cells = [
            Cell(source, row, name, fields[at].strip())
            for name, at in zip(EVENT_COLUMNS, columns, strict=True)
        ]
        event, node, start, end = cells
        if event.text not in found or (event.text != PENDING and not node.text):
            raise InvalidInput(
                'row {row}: "{value}" is no event with its node',
                fix="write life or drain with a node, or pending without one",
                **place(event),
            )
        span = Span(_time(start), _time(end) if end.text else end_ms)
        if span.start_ms >= span.end_ms and end.text:
            raise InvalidInput(
                'row {row}: the end "{value}" is not after the start of the event',
                fix="set a later end",
                **place(end),
            )
        found[event.text].setdefault(node.text, []).append(span)
    return BillEvents(
        {node: tuple(spans) for node, spans in found[LIFE].items()},
        {node: tuple(spans) for node, spans in found[DRAIN].items()},
        tuple(span for spans in found[PENDING].values() for span in spans),
    )


def _time(cell: Cell) -> int:
    try:
        return parse_time(cell.text) // NS_PER_MS
    except ValueError:
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is no RFC 3339 time with its offset',
            fix="write it like 2026-03-01T08:00:00+01:00",
            **place(cell),
        ) from None

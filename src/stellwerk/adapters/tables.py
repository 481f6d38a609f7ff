"""A user's own table of jobs, as CSV (comma or semicolon, UTF-8) or Parquet.

| column           | holds                                               | where missing or empty     |
|------------------|-----------------------------------------------------|----------------------------|
| name             | the job's name, unique                              | required                   |
| arrival          | RFC 3339 time, or seconds from the period's start   | required                   |
| duration         | Go duration ("3h30m"), or seconds                   | required                   |
| team             | who pays                                            | default                    |
| kind             | training, inference, notebook or batch              | unknown                    |
| pods             | pods that start together                            | 1                          |
| gpus             | GPUs of each pod                                    | 1 (0: the job is left out) |
| gpu_memory       | measured peak for each GPU: "22Gi", or bytes        | unknown: never shared      |
| gpu_compute      | measured p95 for each GPU: 0 to 1, or "85m"         | unknown: never shared      |
| gpu_compute_mean | measured mean for each GPU: 0 to 1, or "85m"        | unknown                    |
| whole_gpu        | true: must not share                                | false                      |
| isolation        | required: share only where hardware separates (MIG) | may share                  |
| communication    | share of a step that waits for other GPUs: 0 to 1   | the replay's default       |
| bus_bandwidth    | GB/s between its GPUs where that was measured       | the best that there is     |

Columns may stand in any order; others are not read, and named in the demand's notes. All arrivals are times,
or all are seconds.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation

from msgspec import UNSET, Struct, UnsetType, structs

from stellwerk.adapters.rows import Cell, Table, place, read_table, shown, whole_number
from stellwerk.api.duration import parse_duration, parse_time
from stellwerk.api.errors import InvalidInput
from stellwerk.api.quantity import parse_quantity
from stellwerk.engine.demand import KINDS, NS_PER_S, Demand, Job, LeftOut, demand_of

JOB_COLUMNS = (
    "name",
    "team",
    "kind",
    "arrival",
    "duration",
    "pods",
    "gpus",
    "gpu_memory",
    "gpu_compute",
    "gpu_compute_mean",
    "whole_gpu",
    "isolation",
    "communication",
    "bus_bandwidth",
)
REQUIRED = ("name", "arrival", "duration")
DAY_NS = 86_400 * NS_PER_S
MAX_GPUS, MAX_PODS, MAX_MEMORY_BYTES = 64, 10_000, 1 << 40
MAX_PERIOD_NS = 10 * 366 * DAY_NS
MAX_BUS_MB_S = 10**8
_YES, _NO = ("true", "yes", "1"), ("", "false", "no", "0")

NO_GPU = "jobs ask for no GPU"
NOT_READ = "These columns are not read: {columns}."
NO_CALENDAR = "Arrivals are seconds: the first day is shown as 1970-01-01."


class _Row(Struct, frozen=True):
    """A job whose arrival is still absolute, and whether that was a time of a calendar."""

    job: Job
    dated: bool
    cell: Cell


def jobs_demand(content: bytes, source: str) -> Demand:
    """The jobs of a CSV table."""
    return table_demand(read_table(content, source))


def table_demand(table: Table) -> Demand:
    """The jobs of a table; it begins at the midnight (UTC) before the first, and ends with the last's day."""
    table.places(REQUIRED)
    rows = list(_rows(table))
    kept = [row for row in rows if row.job.gpus and row.job.pods]
    if not kept:
        raise InvalidInput(
            "{name} has no job with a GPU",
            fix="add a row for each job; its columns are name, arrival, duration and more",
            source=table.source,
            name=table.source,
        )
    _check_names(kept)
    start_ns, period_ns = _period(kept)
    jobs = [structs.replace(row.job, arrival_ns=row.job.arrival_ns - start_ns) for row in kept]
    unread = [column for column in table.header if column not in JOB_COLUMNS]
    return structs.replace(
        demand_of(table.source, start_ns, period_ns, jobs),
        left_out=(LeftOut(len(rows) - len(kept), NO_GPU),) if len(kept) < len(rows) else (),
        notes=tuple(_notes(unread, kept[0].dated)),
    )


def _notes(unread: list[str], dated: bool) -> Iterator[str]:
    if unread:
        yield NOT_READ.format(columns=shown(", ".join(unread), 200))
    if not dated:
        yield NO_CALENDAR


def _check_names(rows: list[_Row]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.job.name in seen:
            raise InvalidInput(
                'row {row}, column {column}: the job "{job}" stands there twice',
                fix="give each job a name of its own",
                job=row.job.name,
                **place(structs.replace(row.cell, column="name")),
            )
        seen.add(row.job.name)


def _period(rows: list[_Row]) -> tuple[int, int]:
    """Start and length: from the midnight before the first arrival (seconds: from 0), in whole days."""
    for row in rows:
        if row.dated != rows[0].dated:
            raise InvalidInput(
                'row {row}, column {column}: "{value}" is of another form than the first arrival',
                fix="give all arrivals as RFC 3339 times, or all as seconds",
                **place(row.cell),
            )
    first = min(row.job.arrival_ns for row in rows)
    start = first // DAY_NS * DAY_NS if rows[0].dated else 0
    last = max(rows, key=lambda row: row.job.arrival_ns)
    period = ((last.job.arrival_ns - start) // DAY_NS + 1) * DAY_NS
    if period > MAX_PERIOD_NS:
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is more than ten years after the first job',
            fix="correct this value in row {row} of {name}",
            **place(last.cell),
        )
    return start, period


def _rows(table: Table) -> Iterator[_Row]:
    """Every row as a job."""
    at = {column: table.header.index(column) for column in JOB_COLUMNS if column in table.header}
    for row, fields in table.rows:
        # A closure over one row: a column that is not there reads as empty.
        def cell(column: str, row: int = row, fields: list[str] = fields) -> Cell:
            return Cell(table.source, row, column, fields[at[column]].strip() if column in at else "")

        arrival_ns, dated = _arrival(cell("arrival"))
        yield _Row(_job(cell, arrival_ns), dated, cell("arrival"))


def _job(cell: Callable[[str], Cell], arrival_ns: int) -> Job:
    name = cell("name")
    if not name.text or len(name.text) > 253 or not name.text.isprintable():
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is no name of 1 to 253 printable characters',
            fix="correct this value in row {row} of {name}",
            **place(name),
        )
    return Job(
        name=name.text,
        team=shown(cell("team").text, 253) or "default",
        kind=_word(cell("kind"), KINDS, "unknown"),
        arrival_ns=arrival_ns,
        duration_ns=_duration(cell("duration")),
        pods=whole_number(cell("pods"), 0, MAX_PODS) if cell("pods").text else 1,
        gpus=whole_number(cell("gpus"), 0, MAX_GPUS) if cell("gpus").text else 1,
        memory_bytes=_memory(cell("gpu_memory")),
        compute_milli=_compute(cell("gpu_compute")),
        used_milli=_compute(cell("gpu_compute_mean")),
        whole=_word(cell("whole_gpu"), (*_YES, *_NO), "") in _YES,
        isolated=_word(cell("isolation"), ("required",), "") == "required",
        communication_milli=_communication(cell("communication")),
        measured_bus_mb_s=_bus(cell("bus_bandwidth")),
    )


def _word(cell: Cell, words: tuple[str, ...], default: str) -> str:
    """One of a few words, in any case; empty is the default."""
    word = cell.text.lower()
    if word in words or not word:
        return word or default
    raise InvalidInput(
        'row {row}, column {column}: "{value}" is none of {words}',
        fix="correct this value in row {row} of {name}",
        words=", ".join(filter(None, words)),
        **place(cell),
    )


def _seconds(text: str) -> int | None:
    """Nanoseconds of a plain number of seconds, fractions of one dropped; None where it is no such number."""
    try:
        seconds = Decimal(text)
    except InvalidOperation:
        return None
    if not seconds.is_finite() or not 0 <= seconds <= MAX_PERIOD_NS // NS_PER_S:
        return None
    return int(seconds * NS_PER_S)


def _arrival(cell: Cell) -> tuple[int, bool]:
    """Nanoseconds, and whether they count from 1970 (a time) or from the period's start (seconds)."""
    seconds = _seconds(cell.text)
    if seconds is not None:
        return seconds, False
    try:
        return parse_time(cell.text), True
    except ValueError:
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is no RFC 3339 time and no number of seconds from 0 on',
            fix='write it as "2026-11-02T08:00:00Z", or as seconds from the start',
            **place(cell),
        ) from None


def _duration(cell: Cell) -> int:
    """A positive duration in nanoseconds."""
    duration = _seconds(cell.text)
    if duration is None:
        try:
            duration = parse_duration(cell.text)
        except ValueError:
            duration = 0
    if not 0 < duration <= MAX_PERIOD_NS:
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is no duration above 0 and below ten years',
            fix='write it as "3h30m", or as seconds',
            **place(cell),
        )
    return duration


def _memory(cell: Cell) -> int | None:
    if not cell.text:
        return None
    try:
        memory = parse_quantity(cell.text).value()
    except ValueError:
        memory = -1
    if not 0 < memory <= MAX_MEMORY_BYTES:
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is no amount of memory above 0 and up to 1Ti',
            fix='write it as "22Gi", or leave it empty where it was not measured',
            **place(cell),
        )
    return memory


def _compute(cell: Cell) -> int | None:
    """Thousandths of one GPU, rounded up."""
    if not cell.text:
        return None
    try:
        milli = parse_quantity(cell.text).milli_value()
    except ValueError:
        milli = -1
    if not 0 <= milli <= 1000:
        raise InvalidInput(
            'row {row}, column {column}: "{value}" is no share of one GPU from 0 to 1',
            fix='write it as "85m" or 0.085, or leave it empty where it was not measured',
            **place(cell),
        )
    return milli


def _communication(cell: Cell) -> int | UnsetType:
    """Thousandths of a step, rounded up."""
    share = _thousandths(cell)
    if share is None or 0 <= share <= 1000:
        return UNSET if share is None else share
    raise InvalidInput(
        'row {row}, column {column}: "{value}" is no share of a step from 0 to 1',
        fix="write it as 0.15, or leave it empty where it was not measured",
        **place(cell),
    )


def _bus(cell: Cell) -> int | UnsetType:
    """MB/s, rounded up."""
    speed = _thousandths(cell)
    if speed is None or 0 < speed <= MAX_BUS_MB_S:
        return UNSET if speed is None else speed
    raise InvalidInput(
        'row {row}, column {column}: "{value}" is no bus bandwidth in GB/s above 0',
        fix="write what nccl-tests measured where the job ran, such as 475, or leave it empty",
        **place(cell),
    )


def _thousandths(cell: Cell) -> int | None:
    """None of an empty cell, -1 of what is no number."""
    if not cell.text:
        return None
    try:
        return parse_quantity(cell.text).milli_value()
    except ValueError:
        return -1

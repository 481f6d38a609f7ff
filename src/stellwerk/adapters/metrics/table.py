"""Series as a table, CSV or Parquet: one sample a row, or a pod's minute a row.

Long form: `timestamp`, `value`, and `metric` (or `name`, `__name__`); every other column is a label, and an
empty cell is no label. Pod form: pod, minute, duty_pct, mem_mib, with one GPU for each pod.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from stellwerk.adapters.files import EXPANDED_LIMIT, MIB
from stellwerk.adapters.metrics.intake import Chunk, Intake, Place
from stellwerk.adapters.rows import ROWS_LIMIT, Cell, Table, read_table, shown, whole_number
from stellwerk.adapters.usage import USAGE_COLUMNS
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.usage import FB_USED, UTIL

TIME, VALUE = "timestamp", "value"
METRIC_COLUMNS = ("metric", "name", "__name__")
PARQUET_MAGIC = b"PAR1"
_BATCH_ROWS = 65_536
_MINUTES = 366 * 24 * 60
_MS_PER_MIN = 60_000
_STUDY_NAMESPACE = "pods"


def is_table(header: Sequence[str]) -> bool:
    """Whether these columns are those of one of the two forms."""
    return {TIME, VALUE} <= set(header) or set(USAGE_COLUMNS) <= set(header)


def read_csv(content: bytes, source: str, intake: Intake) -> None:
    """Put every row of a CSV file into `intake`."""
    _read(read_table(content, source), intake)


def read_parquet(content: bytes, source: str, intake: Intake) -> None:
    """Put every row of a Parquet file into `intake`."""
    _read(_parquet_table(content, source), intake)


def _read(table: Table, intake: Intake) -> None:
    if set(USAGE_COLUMNS) <= set(table.header):
        _read_pods(table, intake)
        return
    metric = next((name for name in METRIC_COLUMNS if name in table.header), METRIC_COLUMNS[0])
    time_at, value_at, metric_at = table.places((TIME, VALUE, metric))
    labels_at = [at for at in range(len(table.header)) if at not in (time_at, value_at, metric_at)]
    names = [table.header[at] for at in labels_at]
    place = Place(table.source)
    chunks: dict[tuple[str, ...], Chunk] = {}
    for row, fields in table.rows:
        place.field = f"row {row}"
        key = (fields[metric_at], *(fields[at] for at in labels_at))
        chunk = chunks.get(key)
        if chunk is None:
            if not key[0].strip():
                raise place.refuse('"{value}" is no name of a metric', key[0])
            labels = {name: text for name, text in zip(names, key[1:], strict=True) if text}
            chunk = chunks[key] = intake.chunk(place, key[0].strip(), labels)
        intake.add(chunk, intake.time_ms(fields[time_at], place), fields[value_at], place)


def _read_pods(table: Table, intake: Intake) -> None:
    """The pod form as the series that an exporter would have given; minute 0 is 1970-01-01 00:00."""
    pod_at, minute_at, duty_at, memory_at = table.places(USAGE_COLUMNS)
    place = Place(table.source)
    chunks: dict[str, tuple[Chunk, Chunk]] = {}
    minutes: dict[str, int] = {}
    intake.findings.add("study-table", table.source)
    for row, fields in table.rows:
        place.field = f"row {row}"
        pod, minute = fields[pod_at].strip(), fields[minute_at]
        if minute not in minutes:
            minutes[minute] = (
                whole_number(Cell(table.source, row, "minute", minute), 0, _MINUTES) * _MS_PER_MIN
            )
        if pod not in chunks:
            if not pod:
                raise place.refuse('"{value}" is no name of a pod', pod)
            chunks[pod] = _chunks(pod, place, intake)
        duty, memory = chunks[pod]
        intake.add(duty, minutes[minute], fields[duty_at], place)
        intake.add(memory, minutes[minute], fields[memory_at], place)


def _chunks(pod: str, place: Place, intake: Intake) -> tuple[Chunk, Chunk]:
    # Numbers alone would read badly as names of pods.
    name = f"pod-{pod}" if pod.isdigit() else pod
    labels = {"UUID": f"gpu-of-{name}", "gpu": "0", "pod": name, "namespace": _STUDY_NAMESPACE}
    return intake.chunk(place, UTIL, labels), intake.chunk(place, FB_USED, labels)


def _parquet_table(content: bytes, source: str) -> Table:
    import pyarrow as pa  # Here, since it costs a third of a second that other forms need not pay.
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        names = tuple(file.schema_arrow.names)
        metadata = file.metadata
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        rows = metadata.num_rows
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        raise _damaged(source) from None
    if rows > ROWS_LIMIT * 4 or size > EXPANDED_LIMIT or len(set(names)) < len(names):
        raise InvalidInput(
            "{name} has more than {limit} rows, {mib} MiB unpacked, or two columns of one name",
            fix="split it, or give each column a name of its own",
            source=source,
            name=source,
            limit=ROWS_LIMIT * 4,
            mib=EXPANDED_LIMIT // MIB,
        )
    if not is_table(names):
        raise unknown_table(names, source)
    return Table(source, names, _parquet_rows(file, source))


def unknown_table(header: Sequence[str], source: str) -> InvalidInput:
    """The error for a table with neither form's columns."""
    return InvalidInput(
        "{name} is no table of metrics: its header is {header}",
        fix="begin it with timestamp,metric,value and labels (pod, namespace, gpu, UUID), or with {columns}",
        source=source,
        path="row 1",
        name=source,
        header=shown(", ".join(header), 200),
        columns=",".join(USAGE_COLUMNS),
    )


def _parquet_rows(file: Any, source: str) -> Iterator[tuple[int, list[str]]]:  # pyarrow has no types.
    import pyarrow as pa

    row = 1
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            columns = [_texts(batch.column(at)) for at in range(batch.num_columns)]
            for fields in zip(*columns, strict=True):
                row += 1
                yield row, list(fields)
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        raise _damaged(source) from None


def _texts(column: Any) -> list[str]:
    """A column's cells as text; a missing one is empty, a time milliseconds since 1970."""
    import pyarrow as pa

    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    known: dict[Any, str] = {}
    texts = []
    for value in column.to_pylist():
        text = known.get(value)
        if text is None:
            text = known[value] = "" if value is None else str(value)
        texts.append(text)
    return texts


def _damaged(source: str) -> InvalidInput:
    return InvalidInput(
        "{name} is not a Parquet file, or a damaged one",
        fix="write it again, or save the table as CSV",
        source=source,
        name=source,
    )

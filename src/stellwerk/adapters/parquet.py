"""A table of jobs from Parquet: each cell becomes the text that the CSV reader knows, so both mean the same.

Times become RFC 3339 (without a zone: UTC), durations nanoseconds, numbers their exact decimal text.
"""

from collections.abc import Iterator
from typing import Any

from stellwerk.adapters.files import EXPANDED_LIMIT, MIB
from stellwerk.adapters.rows import ROWS_LIMIT, Table
from stellwerk.adapters.tables import JOB_COLUMNS
from stellwerk.api.errors import InvalidInput

MAGIC = b"PAR1"


def parquet_header(content: bytes, source: str) -> tuple[str, ...]:
    """The names of a Parquet file's columns."""
    return tuple(_open(content, source).schema_arrow.names)


def read_parquet(content: bytes, source: str) -> Table:
    """The table of jobs in a Parquet file; row 1 is the header, as in a CSV file."""
    import pyarrow as pa  # Here, since it costs a third of a second that a CSV file need not pay.

    file = _open(content, source)
    metadata = file.metadata
    size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows > ROWS_LIMIT or size > EXPANDED_LIMIT:
        raise InvalidInput(
            "{name} has more than {limit} rows, or {mib} MiB unpacked",
            fix="split it, or keep only the rows that are to be replayed",
            source=source,
            name=source,
            limit=ROWS_LIMIT,
            mib=EXPANDED_LIMIT // MIB,
        )
    names = file.schema_arrow.names
    try:
        table = file.read(columns=[name for name in names if name in JOB_COLUMNS], use_threads=False)
        columns = {name: _texts(table.column(name)) for name in table.column_names}
    except (pa.ArrowException, OSError, ValueError, OverflowError, UnicodeDecodeError):
        raise _damaged(source) from None
    blank = [""] * table.num_rows
    return Table(source, tuple(names), _rows([columns.get(name, blank) for name in names]))


def _rows(columns: list[list[str]]) -> Iterator[tuple[int, list[str]]]:
    for row, fields in enumerate(zip(*columns, strict=True), start=2):
        yield row, list(fields)


def _open(content: bytes, source: str) -> Any:  # pyarrow has no types.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(content))
    except (pa.ArrowException, OSError, ValueError, OverflowError, UnicodeDecodeError):
        raise _damaged(source) from None
    if len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
        raise InvalidInput(
            "{name} has two columns of one name",
            fix="give each column a name of its own",
            source=source,
            name=source,
        )
    return file


def _damaged(source: str) -> InvalidInput:
    return InvalidInput(
        "{name} is not a Parquet file, or a damaged one",
        fix="write it again, or save the table as CSV",
        source=source,
        name=source,
    )


def _texts(column: Any) -> list[str]:
    """A column's cells as text; a missing one is empty."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        texts = column.cast(pa.timestamp("ns", tz="UTC")).cast(pa.string()).to_pylist()
        return ["" if text is None else text.replace(" ", "T") for text in texts]
    if pa.types.is_duration(kind):
        return [
            "" if ns is None else f"{ns}ns"
            for ns in column.cast(pa.duration("ns")).cast(pa.int64()).to_pylist()
        ]
    if pa.types.is_boolean(kind):
        return ["" if value is None else str(value).lower() for value in column.to_pylist()]
    # A floating-point column marks what is missing with NaN, the one value that is not equal to itself.
    return ["" if value is None or value != value else str(value) for value in column.to_pylist()]

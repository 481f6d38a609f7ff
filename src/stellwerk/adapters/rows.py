"""Rows of a CSV file as the other readers need them: with a header, bounded, errors with row and column.

UTF-8 with or without a byte order mark; separated by comma or semicolon, as the header shows. Rows count from
1 for the header, as a spreadsheet shows them.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, TextIO

from msgspec import Struct

from stellwerk.api.errors import InvalidInput

ROWS_LIMIT = 1_000_000
_SHOWN_CHARACTERS = 40


class Cell(Struct, frozen=True):
    """Where a value stands, for the error that refuses it: the file, the row from 1, the column's name."""

    source: str
    row: int
    column: str
    text: str


class Table(Struct, frozen=True):
    """A CSV file's header and, once, its rows as (row number, fields), each as long as the header."""

    source: str
    header: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]

    def places(self, columns: Sequence[str]) -> list[int]:
        """Where the columns stand in a row; one that is missing is an InvalidInput."""
        missing = [column for column in columns if column not in self.header]
        if missing:
            raise InvalidInput(
                "{name} has no column {missing}",
                fix="add it to the header; it has: {header}",
                source=self.source,
                path="row 1",
                name=self.source,
                missing=", ".join(missing),
                header=shown(", ".join(self.header), 400),
            )
        return [self.header.index(column) for column in columns]


def read_table(content: bytes, source: str) -> Table:
    """The CSV table in `content`; `source` names the file in errors."""
    first = content[: content.find(b"\n") if b"\n" in content else len(content)]
    delimiter = ";" if first.count(b";") > first.count(b",") else ","
    # Decoded bit by bit: the whole text at once would take four bytes for each character.
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    lines = _lines(text, delimiter, source)
    header = tuple(name.strip() for name in next(lines, (1, []))[1])
    if not all(header) or not header or len(set(header)) < len(header):
        raise InvalidInput(
            "the first row of {name} is no header: a name is missing, or stands there twice",
            fix="begin the file with one row of column names",
            source=source,
            path="row 1",
            name=source,
        )
    return Table(source, header, _full_rows(lines, len(header), source))


def shown(text: str, limit: int = _SHOWN_CHARACTERS) -> str:
    """A value as an error may print it: without control characters, and not longer than `limit`."""
    clean = "".join(character if character.isprintable() else "?" for character in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "..."


def place(cell: Cell) -> dict[str, Any]:
    """The values and the place that an error about this cell names."""
    return {
        "source": cell.source,
        "path": f"row {cell.row}, column {cell.column}",
        "row": cell.row,
        "column": cell.column,
        "value": shown(cell.text),
        "name": cell.source,
    }


def whole_number(cell: Cell, low: int, high: int) -> int:
    """The cell as a whole number in low..high."""
    text = cell.text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 20 and low <= int(text) <= high:
        return int(text)
    raise InvalidInput(
        'row {row}, column {column}: "{value}" is not a whole number from {low} to {high}',
        fix="correct this value in row {row} of {name}",
        low=low,
        high=high,
        **place(cell),
    )


def decimal_number(cell: Cell, low: int, high: int) -> Decimal:
    """The cell as an exact decimal number in low..high, with at most 18 decimal places."""
    try:
        value = Decimal(cell.text.strip())
    except InvalidOperation:
        value = Decimal("NaN")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -18 <= exponent <= 18 and low <= value <= high:
        return value
    raise InvalidInput(
        'row {row}, column {column}: "{value}" is not a number from {low} to {high}',
        fix="correct this value in row {row} of {name}",
        low=low,
        high=high,
        **place(cell),
    )


def _lines(text: TextIO, delimiter: str, source: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number; empty lines are skipped, but counted."""
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        for row, fields in enumerate(reader, start=1):
            if row > ROWS_LIMIT + 1:
                raise InvalidInput(
                    "{name} has more than {limit} rows",
                    fix="split it, or keep only the rows that are to be replayed",
                    source=source,
                    name=source,
                    limit=ROWS_LIMIT,
                )
            if fields or row == 1:
                yield row, fields
    except UnicodeDecodeError:
        raise InvalidInput(
            "{name} is not UTF-8 text: what follows line {line} cannot be read",
            fix="save it as CSV in UTF-8",
            source=source,
            name=source,
            line=reader.line_num,
        ) from None
    except csv.Error as error:
        raise InvalidInput(
            "{name} is not a CSV file: line {line}: {words}",
            fix="save it again as CSV",
            source=source,
            path=f"line {reader.line_num}",
            name=source,
            line=reader.line_num,
            words=str(error),
        ) from None


def _full_rows(
    lines: Iterator[tuple[int, list[str]]], width: int, source: str
) -> Iterator[tuple[int, list[str]]]:
    for row, fields in lines:
        if len(fields) != width:
            raise InvalidInput(
                "row {row} of {name} has {count} fields, the header has {width}",
                fix="complete this row, or put quotes around a value that holds a separator",
                source=source,
                path=f"row {row}",
                row=row,
                name=source,
                count=len(fields),
                width=width,
            )
        yield row, fields

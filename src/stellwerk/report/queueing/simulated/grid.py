"""Columns of a comparison: the base, then each change with its differences, as many as the width takes."""

from collections.abc import Iterator, Sequence

from msgspec import Struct

GAP = "  "
# A value and its difference to the base.
Cell = tuple[str, str]
Line = tuple[str, list[Cell]]


class Block(Struct, frozen=True):
    """A figure, and a line for each queue with a cell for each course."""

    title: str
    lines: list[Line]


class Grid(Struct, frozen=True):
    """`heads` name the courses, the base first."""

    heads: Sequence[str]
    blocks: Sequence[Block]


def render_grid(grid: Grid, width: int) -> Iterator[str]:
    """One table, or several with the base in each where one would be too wide."""
    lines = [line for block in grid.blocks for line in block.lines]
    if not lines:
        return
    widths = [_widths(lines, head, i) for i, head in enumerate(grid.heads)]
    label = max(len(text) for text in (*(block.title for block in grid.blocks), *(line[0] for line in lines)))
    for chosen in _chunks(widths, width - label):
        yield "\n".join(_table(grid, {i: widths[i] for i in chosen}, label))


def _widths(lines: Sequence[Line], head: str, at: int) -> tuple[int, int]:
    """Of the values and of the differences of a course."""
    value = max(len(head), *(len(cells[at][0]) for _, cells in lines))
    return value, max(len(cells[at][1]) for _, cells in lines)


def _chunks(widths: Sequence[tuple[int, int]], room: int) -> Iterator[list[int]]:
    """The base and the changes that fit beside it, at least one."""
    sizes = [sum(pair) + len(GAP) * (2 if pair[1] else 1) for pair in widths]
    chosen = [0]
    for i in range(1, len(sizes)):
        if len(chosen) > 1 and sum(sizes[j] for j in chosen) + sizes[i] > room:
            yield chosen
            chosen = [0]
        chosen.append(i)
    yield chosen


def _table(grid: Grid, widths: dict[int, tuple[int, int]], label: int) -> Iterator[str]:
    yield _joined("", [((grid.heads[i], ""), pair) for i, pair in widths.items()], label)
    for block in grid.blocks:
        yield block.title
        for text, cells in block.lines:
            yield _joined(text, [(cells[i], pair) for i, pair in widths.items()], label)


def _joined(text: str, cells: Sequence[tuple[Cell, tuple[int, int]]], label: int) -> str:
    parts = [text.ljust(label)]
    for (value, change), (wide, narrow) in cells:
        parts.append(value.rjust(wide))
        parts += [change.ljust(narrow)] if narrow else []
    return GAP.join(parts).rstrip()

"""The tables of a replay as plain text: policies as rows, folded to the width, without color codes."""

from collections.abc import Iterator, Sequence
from io import StringIO
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from stellwerk.engine.snapshot import CostTerm, Fleet
from stellwerk.report.choice import Choice, choose, is_sized, smallest, unknown_price
from stellwerk.report.figures import TABLE, cell, figures_of, label_of, slowdown_text
from stellwerk.report.sentence import saving_of
from stellwerk.report.text import Language, day, duration, moment, money, number, say, translator
from stellwerk.sim.result import Outcome, Replay

if TYPE_CHECKING:
    from rich.console import Console

MIN_WIDTH = 40
GAP = 2
WIDE = 140  # From here on a range fits on one line.
LONG_RANGE = 16
MIN_HEAD = 8


class Grid(Struct, frozen=True):
    """A table before it is set: title, headings, rows of the same length; the first column names the row."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: str = ""  # The name of the row to point out.


def policy_grid(replay: Replay, lang: Language, dash: str = " - ") -> Grid:
    """Every figure of every policy on the fleet as declared."""
    _ = translator(lang)
    currency = replay.fleet.currency
    figures = figures_of(replay.outcomes)
    head = (_("Policy"), "GPUs", *(label_of(figure, currency, lang) for figure in figures))
    gpus = number(replay.fleet.gpus, lang)
    rows = tuple(
        (outcome.policy, gpus, *(cell(figure, outcome.runs, lang, dash) for figure in figures))
        for outcome in replay.outcomes
    )
    best = "" if is_sized(replay) else choose(replay).policy
    return Grid(_("On the declared fleet of {gpus} GPUs", gpus=gpus), head, rows, best)


def size_grid(replay: Replay, lang: Language, dash: str = " - ") -> Grid | None:
    """The smallest fleet of each policy; None where no smaller fleet was sought."""
    if not is_sized(replay):
        return None
    _ = translator(lang)
    currency = replay.fleet.currency
    shown = [figure for figure in TABLE if figure.key in {"waitP95", "overflow", "costMonth"}]
    head = (_("Policy"), "GPUs", _("Nodes"), *(label_of(figure, currency, lang) for figure in shown))
    head += (_("{currency} a month less", currency=currency), _("Fleets tried"))
    rows: list[tuple[str, ...]] = []
    for outcome in replay.outcomes:
        tried = number(outcome.sized.tried, lang) if outcome.sized else "0"
        found = smallest(outcome)
        if found is None:
            rows.append((outcome.policy, _("none"), *("" for _column in head[3:]), tried))
            continue
        figures = (cell(figure, found.runs, lang, dash) for figure in shown)
        saving = _saving(replay, found, lang)
        rows.append(
            (outcome.policy, number(found.gpus, lang), number(found.nodes, lang), *figures, saving, tried)
        )
    title = _("The smallest fleet whose p95 wait is not above that of whole GPUs on the declared fleet")
    return Grid(title, head, tuple(rows), choose(replay).policy)


def _saving(replay: Replay, found: Choice, lang: Language) -> str:
    saving = saving_of(replay, found)
    _ = translator(lang)
    return _("unknown") if saving is None else number(saving, lang, 2)


def heading(replay: Replay, lang: Language) -> str:
    """What was replayed: demand, period, fleet, seed."""
    _ = translator(lang)
    return _(
        "{demand}: {jobs} jobs in {period} from {start}, on {gpus} GPUs "
        "({nodes} nodes, fleet {fleet}), seed {seed}",
        demand=replay.demand,
        jobs=number(replay.outcomes[0].worst.jobs.arrived, lang) if replay.outcomes else "0",
        period=duration(replay.period_ns, lang),
        start=moment(replay.start_ns, lang),
        gpus=number(replay.fleet.gpus, lang),
        nodes=number(len(replay.fleet.nodes), lang),
        fleet=replay.fleet.name,
        seed=replay.seed,
    )


def price_notes(fleet: Fleet, lang: Language) -> tuple[str, ...]:
    """Each different price of the fleet with date and source; an unknown one with the option that sets it."""
    _ = translator(lang)
    notes: dict[str, None] = {}
    for node in fleet.nodes:
        for term in node.cost.terms:
            notes[_price_note(node.gpu_model, term, fleet.currency, lang)] = None
    if option := unknown_price(fleet):
        notes[_("Price unknown: set it with {option}.", option=option)] = None
    return tuple(notes)


def _price_note(model: str, term: CostTerm, currency: str, lang: Language) -> str:
    _ = translator(lang)
    return _(
        "{currency} figures: {term}, {model}: {price} per node and hour = {formula}; as of {date}, {source}.",
        currency=currency,
        term=term_name(term.name, lang),
        model=model,
        price=money(term.per_hour, currency, lang, 2, 6),
        formula=term.formula,
        date=day(term.date, lang),
        source=term.source,
    )


def term_name(name: str, lang: Language) -> str:
    """A part of a node's cost, in words: rent, depreciation, energy, staff, colocation."""
    _ = translator(lang)
    known = {
        "rent": _("rent"),
        "depreciation": _("depreciation"),
        "energy": _("energy"),
        "staff": _("staff"),
        "colocation": _("colocation"),
    }
    return known.get(name, name)


def range_notes(outcomes: Sequence[Outcome], lang: Language) -> tuple[str, ...]:
    """What two figures in one cell mean, or where the one figure's slowdown comes from."""
    _ = translator(lang)
    assumed = {run.slowdown for outcome in outcomes for run in outcome.runs}
    notes: list[str] = []
    if any(len(outcome.runs) > 1 for outcome in outcomes):
        low, high = slowdown_text("none", lang), slowdown_text("proportional", lang)
        notes.append(
            _(
                "Two figures in one cell are a range: how much sharing slows a job is not measured here. "
                "First with {low} (while a GPU can do what its tenants compute together), then with {high} "
                "(one of n tenants gets 1/n of the GPU, a MIG instance its compute slices).",
                low=low,
                high=high,
            )
        )
    if "given" in assumed:
        notes.append(_("Slowdown by sharing is taken from the file given as input."))
    return tuple(notes)


def left_out_notes(replay: Replay, lang: Language) -> tuple[str, ...]:
    """What part of the demand was not replayed, and why; then what was rejected, by reason."""
    _ = translator(lang)
    notes = [
        _("Left out: {count}: {reason}", count=number(part.count, lang), reason=say(part.text, lang))
        for part in replay.left_out
    ]
    rejected: dict[tuple[str, str, int], list[str]] = {}
    for outcome in replay.outcomes:
        for group in outcome.worst.rejected:
            rejected.setdefault((group.text, group.example, group.jobs), []).append(outcome.policy)
    notes += [
        _(
            "Rejected by {policies}: {count}, such as {example}: {reason}",
            policies=_("every policy") if len(policies) == len(replay.outcomes) else ", ".join(policies),
            count=number(count, lang),
            example=example,
            reason=say(text, lang),
        )
        for (text, example, count), policies in rejected.items()
    ]
    return tuple(notes)


def demand_notes(replay: Replay, lang: Language) -> tuple[str, ...]:
    """What the demand and the fleet say about themselves: substitutions, what the source does not know."""
    return tuple(dict.fromkeys(say(note, lang) for note in (*replay.notes, *replay.fleet.notes)))


def render_table(replay: Replay, lang: Language, width: int = 80) -> str:
    """The tables and their notes, at most `width` characters wide where words allow."""
    from rich.console import Console
    from rich.text import Text

    out = StringIO()
    console = Console(file=out, width=max(width, MIN_WIDTH), color_system=None, highlight=False, emoji=False)
    console.print(Text(heading(replay, lang)))
    for grid in (policy_grid(replay, lang), size_grid(replay, lang)):
        if grid is not None:
            _print_grid(console, grid)
    notes = (*range_notes(replay.outcomes, lang), *price_notes(replay.fleet, lang))
    notes += (*demand_notes(replay, lang), *left_out_notes(replay, lang))
    console.print()
    for note in notes:
        console.print(Text(fill(note, console.width, initial_indent="- ", subsequent_indent="  ")))
    lines = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
    return lines.replace("\n\n\n", "\n\n") + "\n"


def _print_grid(console: "Console", grid: Grid) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console.print()
    console.print(Text(grid.title))
    dense = _broken(grid, console.width)
    for part in fold(dense, console.width):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, GAP, 0, 0))
        for index, name in enumerate(part.head):
            justify: Literal["left", "right"] = "right" if index else "left"
            table.add_column(Text(name), justify=justify, vertical="bottom", no_wrap=True)
        for row in part.rows:
            table.add_row(*(Text(text) for text in row))
        console.print(table)
        console.print()


def _broken(grid: Grid, width: int) -> Grid:
    """Headings on several lines where their figures are short; on a narrow terminal long ranges on two."""
    rows = grid.rows
    if width < WIDE:
        rows = tuple(tuple(_two_lines(text) for text in row) for row in rows)
    columns = [[row[index] for row in rows] for index in range(len(grid.head))]
    widths = [max((_wide(text) for text in column), default=1) for column in columns]
    head = tuple(
        "\n".join(wrap(name, max(wide, MIN_HEAD), break_long_words=False, break_on_hyphens=False))
        for name, wide in zip(grid.head, widths, strict=True)
    )
    return Grid(grid.title, head, rows, grid.best)


def _two_lines(text: str) -> str:
    return text.replace(" - ", " -\n") if len(text) > LONG_RANGE else text


def _wide(text: str) -> int:
    return max((len(line) for line in text.splitlines()), default=1)


def fold(grid: Grid, width: int) -> Iterator[Grid]:
    """The grid as several of at most `width` characters, each with the first column; nothing is dropped."""
    first = _column_width(grid, 0)
    columns: list[int] = []
    used = first
    for index in range(1, len(grid.head)):
        # One character stands between columns beside their padding.
        wide = _column_width(grid, index) + 1
        if columns and used + wide > width:
            yield _part(grid, columns)
            columns, used = [], first
        columns.append(index)
        used += wide
    yield _part(grid, columns)


def _part(grid: Grid, columns: Sequence[int]) -> Grid:
    chosen = (0, *columns)
    rows = tuple(tuple(row[index] for index in chosen) for row in grid.rows)
    return Grid(grid.title, tuple(grid.head[index] for index in chosen), rows, grid.best)


def _column_width(grid: Grid, index: int) -> int:
    return max(_wide(grid.head[index]), *(_wide(row[index]) for row in grid.rows), 1) + GAP

"""A simulation as text: what each change does in one sentence, then every queue before and after it."""

from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import Any

from msgspec import Struct

from stellwerk.api.manifests import encode
from stellwerk.engine.decision import Reason
from stellwerk.report.queueing.simulated.grid import Block, Cell, Grid, Line, render_grid
from stellwerk.report.queueing.simulated.headline import course_name, headline
from stellwerk.report.queueing.simulated.rows import (
    ROWS,
    Row,
    Value,
    difference_text,
    hours_text,
    value_text,
)
from stellwerk.report.text import Language, moment, number, reason_text, translator
from stellwerk.sim.queueing.changes import ADDED, REMOVED, SAME, Edit
from stellwerk.sim.queueing.outcome.result import NeverStarted, Outcome, QueueFigures, Simulation

MOST_QUEUES, MOST_NEVER, MOST_FIELDS, LONGEST = 40, 5, 8, 60
INDENT = "  "


class Shown(Struct, frozen=True):
    """How a simulation is shown: all figures and the LocalQueues too with `detail`; how wide."""

    lang: Language
    width: int = 100
    detail: bool = False


def render_simulation(found: Simulation, shown: Shown) -> str:
    """The sentences, the tables, who never started, and every note."""
    blocks = ["\n".join(_head(found, shown)), *_sentences(found, shown), *_tables(found, shown)]
    blocks += ["\n".join(lines) for lines in (_never(found, shown), _notes(found, shown)) if lines]
    return "\n\n".join(blocks) + "\n"


def _head(found: Simulation, shown: Shown) -> list[str]:
    _ = translator(shown.lang)
    text = _(
        "{jobs} Jobs in {queues} ClusterQueues, from {start} to {end}",
        jobs=number(found.outcomes[0].total.jobs.arrived, shown.lang),
        queues=number(len(found.outcomes[0].cluster_queues), shown.lang),
        start=moment(found.start_ns, shown.lang),
        end=moment(found.end_ns, shown.lang),
    )
    return [_wrapped(text, shown.width, 0)]


def _sentences(found: Simulation, shown: Shown) -> Iterator[str]:
    for outcome in found.outcomes[1:]:
        lines = [_wrapped(headline(found, outcome, shown.lang), shown.width, 0)]
        lines += [
            _wrapped(text, shown.width, 1) for edit in outcome.edits for text in _edit(edit, shown.lang)
        ]
        yield "\n".join(lines)


def _wrapped(text: str, width: int, depth: int) -> str:
    """The text on lines, the first of them indented so deep; a name is not taken apart."""
    first, others = depth * INDENT, (depth + 1) * INDENT
    return fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _edit(edit: Edit, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    values = {"kind": edit.kind, "name": edit.name}
    if edit.action == ADDED:
        yield _("{kind} {name} is added", **values)
    elif edit.action == REMOVED:
        yield _("{kind} {name} is removed", **values)
    elif edit.action == SAME:
        yield _("{kind} {name} stays as it is", **values)
    for field in edit.fields[:MOST_FIELDS]:
        change = f"{_raw(field.before)} -> {_raw(field.after)}"
        yield f"{edit.kind} {edit.name}: {_printable(field.path)} {change}"
    if len(edit.fields) > MOST_FIELDS:
        yield _("... {count} more: -o json has all", count=number(len(edit.fields) - MOST_FIELDS, lang))


def _raw(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else encode(value).decode()
    return _printable(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _tables(found: Simulation, shown: Shown) -> Iterator[str]:
    names = [course_name(found, one, shown.lang) for one in found.outcomes]
    yield from render_grid(Grid(names, list(_blocks(found, shown))), shown.width)


def _blocks(found: Simulation, shown: Shown) -> Iterator[Block]:
    """Each figure with a line for every queue, where one of them has something to say."""
    _ = translator(shown.lang)
    bill = next((one.bill for one in found.outcomes if one.bill is not None), None)
    values = {"hours": hours_text(found.resource, shown.lang), "currency": bill.currency if bill else ""}
    for row in ROWS:
        if (row.detail and not shown.detail) or (row.unit == "money" and bill is None):
            continue
        lines = list(_lines(found, row, shown))
        if lines:
            yield Block(_(row.text, **values), lines)


def _lines(found: Simulation, row: Row, shown: Shown) -> Iterator[Line]:
    """None where nobody has anything of it, such as evictions."""
    totals = [row.read(one.total, found.resource) for one in found.outcomes]
    queues = [_by_name(one.cluster_queues) for one in found.outcomes]
    names = sorted({name for by_name in queues for name in by_name})
    read = {
        name: [_read(row, by_name.get(name), found.resource) for by_name in queues]
        for name in names[:MOST_QUEUES]
    }
    if (row.adds and not any(totals)) or all(value is None for cells in read.values() for value in cells):
        return
    for name, cells in read.items():
        yield INDENT + (name or _no_queue(shown.lang)), _cells(cells, row, shown.lang)
        if shown.detail:
            yield from _local_lines(found, row, name, shown.lang)
    yield from _more(len(names) - MOST_QUEUES, found, shown.lang)
    if row.unit == "money" and row.read is ROWS[-1].read:
        yield from _idle_lines(found, row, shown.lang)
    elif row.adds and len(names) > 1:
        yield INDENT + _total(shown.lang), _cells(totals, row, shown.lang)


def _local_lines(found: Simulation, row: Row, queue: str, lang: Language) -> Iterator[Line]:
    """The LocalQueues that lead there in one of the courses; a single one has the figures of its queue."""
    locals_ = [
        _by_name([each for each in one.local_queues if each.cluster_queue == queue]) for one in found.outcomes
    ]
    names = sorted({name for by_name in locals_ for name in by_name})
    for name in names if len(names) > 1 else []:
        cells = [_read(row, by_name.get(name), found.resource) for by_name in locals_]
        if any(cell is not None for cell in cells):
            yield 2 * INDENT + name, _cells(cells, row, lang)


def _idle_lines(found: Simulation, row: Row, lang: Language) -> Iterator[Line]:
    """What of the quota nobody held, by flavor, and the sum of all lines."""
    _ = translator(lang)
    bills = [one.bill for one in found.outcomes]
    flavors = sorted({name for bill in bills if bill for name in bill.idle_by_flavor})
    for flavor in flavors:
        idle: list[Value] = [bill.idle_by_flavor.get(flavor) if bill else None for bill in bills]
        yield INDENT + _("idle quota of {flavor}", flavor=flavor), _cells(idle, row, lang)
    totals: list[Value] = [bill.total if bill else None for bill in bills]
    yield INDENT + _total(lang), _cells(totals, row, lang)


def _more(count: int, found: Simulation, lang: Language) -> Iterator[Line]:
    _ = translator(lang)
    if count > 0:
        text = _("... {count} more: -o json has all", count=number(count, lang))
        yield INDENT + text, [("", "") for _one in found.outcomes]


def _cells(values: Sequence[Value], row: Row, lang: Language) -> list[Cell]:
    return [
        (value_text(value, row.unit, lang), difference_text(values[0], value, row.unit, lang))
        for value in values
    ]


def _read(row: Row, one: QueueFigures | None, resource: str) -> Value:
    return None if one is None else row.read(one, resource)


def _by_name(queues: Sequence[QueueFigures]) -> dict[str, QueueFigures]:
    return {one.name: one for one in queues}


def _total(lang: Language) -> str:
    _ = translator(lang)
    return _("total")


def _no_queue(lang: Language) -> str:
    _ = translator(lang)
    return _("(no ClusterQueue)")


def _never(found: Simulation, shown: Shown) -> list[str]:
    """Who never started, and why, by course."""
    return [
        line for one in found.outcomes for line in _never_in(one, course_name(found, one, shown.lang), shown)
    ]


def _never_in(outcome: Outcome, name: str, shown: Shown) -> Iterator[str]:
    _ = translator(shown.lang)
    never = outcome.never_started
    if not never:
        return
    most = len(never) if shown.detail else MOST_NEVER
    yield _("Never started, {name}:", name=name)
    for one in never[:most]:
        text = f"{one.workload.partition('/')[0]}/{one.job.rpartition('/')[2]}: {_answer(one, shown.lang)}"
        yield _wrapped(_printable(text), shown.width, 1)
    if len(never) > most:
        yield INDENT + _("... {count} more: -o json has all", count=number(len(never) - most, shown.lang))


def _answer(one: NeverStarted, lang: Language) -> str:
    """Kueue's words; without any it was not looked at: its queue leads nowhere, or the end came first."""
    _ = translator(lang)
    if one.answer:
        return one.answer
    return _("was not looked at") if one.cluster_queue else _("its queue leads to no ClusterQueue")


def _notes(found: Simulation, shown: Shown) -> list[str]:
    notes = [note for one in found.outcomes for note in one.notes]
    notes += _weights(found)
    texts = dict.fromkeys(reason_text(note, shown.lang) for note in notes)
    return [_wrapped(f"- {text}", shown.width, 0) for text in texts]


def _weights(found: Simulation) -> list[Reason]:
    """A changed weight that nothing looks at."""
    paths = [field.path for one in found.outcomes for edit in one.edits for field in edit.fields]
    if found.fair_sharing or not any("fairSharing" in path for path in paths):
        return []
    return [Reason("WeightsUnused", "weights count for nothing without fair sharing: add --fair-sharing")]

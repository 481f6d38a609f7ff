"""A plan for a person: what it is worth, what it costs once, then each change with its reason."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from stellwerk.report.planning.changes import Change
from stellwerk.report.planning.job import Planned
from stellwerk.report.text import Language, duration, money, msg, number, reason_text, say, translator
from stellwerk.sim.planning.proof import Replayed

MOST_LINES = 40
LONGEST = 40
NOTHING = msg("Nothing to change: nobody's measured use allows a smaller share, and no quota is missing.")
FIRST = msg("Plan for {nodes} nodes with {gpus} GPUs ({executor}): {changes} changes in {files} files.")
LAYERS = {
    "partition": msg("partition"),
    "devices": msg("devices"),
    "workloads": msg("workloads"),
    "queues": msg("queues"),
    "node pools": msg("node pools"),
}
ROWS = (
    msg("GPUs in use"),
    msg("nodes with GPUs"),
    msg("a month of them"),
    msg("restarts, once"),
)


def render_plan(planned: Planned, lang: Language) -> str:
    """The sentence, the figures, the changes, why, and what is to know beside them."""
    _ = translator(lang)
    lines = [_first(planned, lang), ""]
    lines += _figures(planned, lang)
    if planned.changes:
        lines += ["", *_changes(planned.changes, lang)]
    why = list(_why(planned, lang))
    if why:
        lines += ["", _("Why:"), *(f"- {each}" for each in why)]
    notes = list(_notes(planned, lang))
    if notes:
        lines += ["", *notes]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _first(planned: Planned, lang: Language) -> str:
    _ = translator(lang)
    if not planned.changes:
        return _(NOTHING)
    return _(
        FIRST,
        nodes=number(len(planned.today.fleet.nodes), lang),
        gpus=number(len(planned.today.gpus), lang),
        executor=planned.today.executor,
        changes=number(len(planned.changes), lang),
        files=number(len(planned.files.objects), lang),
    )


def _figures(planned: Planned, lang: Language) -> Iterator[str]:
    """Before and after, aligned."""
    _ = translator(lang)
    plan = planned.plan
    found = plan.money
    by_hand = ""
    if found.nodes_by_hand < found.nodes_after:
        by_hand = _("(given back by hand: {value})", value=number(found.nodes_by_hand, lang))
    paid = [_amount(value, found.currency, lang) for value in (found.before, found.after, found.by_hand)]
    restarts = _(
        "{pods} pods, {minutes} minutes without work together",
        pods=number(len(plan.restarted), lang),
        minutes=number(plan.disruption_minutes, lang),
    )
    cells = [
        (number(plan.partition.gpus_before, lang), number(plan.partition.gpus_used, lang), ""),
        (number(found.nodes_before, lang), number(found.nodes_after, lang), by_hand),
        (paid[0], paid[1], _("(given back by hand: {value})", value=paid[2]) if by_hand else ""),
        ("", restarts if plan.restarted else _("none"), ""),
    ]
    names = [say(row, lang) for row in ROWS]
    wide = max(map(len, names))
    first = max(len(cell[0]) for cell in cells)
    for name, (before, after, more) in zip(names, cells, strict=True):
        arrow = " -> " if before else "    "
        yield f"{name.ljust(wide)}  {before.rjust(first)}{arrow}{after} {more}"


def _amount(value: Decimal | None, currency: str, lang: Language) -> str:
    return translator(lang)("price unknown") if value is None else money(value, currency, lang)


def _changes(changes: Sequence[Change], lang: Language) -> Iterator[str]:
    """By layer and object, a line a field: today's value and the plan's, long ones cut."""
    _ = translator(lang)
    shown = changes[:MOST_LINES]
    wide = max(len(each.path) for each in shown)
    for (layer, name), found in groupby(shown, key=lambda each: (each.layer, each.object)):
        fields = list(found)
        new = "" if fields[0].path else "  " + _("(new)")
        yield f"{say(LAYERS[layer], lang)}: {name}{new}"
        for each in fields if not new else ():
            yield f"  {each.path.ljust(wide)}  {_cut(each.before)} -> {_cut(each.after)}"
    if len(changes) > MOST_LINES:
        yield _("... {count} more: -o json has all", count=number(len(changes) - MOST_LINES, lang))


def _cut(text: str) -> str:
    line = text.partition("\n")[0]
    return line if line == text and len(line) <= LONGEST else line[: LONGEST - 3] + "..."


def _why(planned: Planned, lang: Language) -> Iterator[str]:
    plan = planned.plan
    for moved in plan.moved:
        yield f"{moved.owner.kind} {moved.owner.key}: {reason_text(moved.reason, lang)}"
    for quota in plan.quotas:
        name = f"ClusterQueue {quota.queue}, {quota.flavor}, {quota.resource}"
        yield f"{name}: {reason_text(quota.reason, lang)}"
    for pool in plan.pools:
        yield f"NodePool {pool.pool}: {reason_text(pool.reason, lang)}"


def _notes(planned: Planned, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    yield from dict.fromkeys(reason_text(note, lang) for note in planned.plan.notes)
    if planned.replayed is not None:
        yield _replayed(planned.replayed, lang)
    elif not planned.measured:
        yield _("Nothing was replayed, since no metrics were given: --prometheus URL, or --metrics PATH.")
    if planned.unmeasured:
        count = number(planned.unmeasured, lang)
        yield _("{count} workloads have no measured use, and keep what they have.", count=count)
    if planned.plan.money.before is None:
        yield _("A price is unknown: label the nodes with their instance type, or say it in a Fleet.")


def _replayed(found: Replayed, lang: Language) -> str:
    """What the replay shows, or why nothing."""
    _ = translator(lang)
    off = number(found.off_percent, lang, 1)
    if not found.proves:
        return _("The replay is {off} % off what was measured, so no node is counted as saved.", off=off)
    waits = [duration(seconds * 10**9, lang) for seconds in (found.wait_before_s, found.wait_after_s)]
    values = {"days": number(found.days, lang), "off": off, "before": waits[0], "after": waits[1]}
    if not found.holds:
        return _(
            "Replay of {days} measured days ({off} % off): shared so, jobs would wait longer (p95 {after} "
            "instead of {before}), so everybody keeps a whole GPU.",
            **values,
        )
    return _(
        "Replay of {days} measured days ({off} % off): shared so, the demand can do without {spared} of "
        "{asked} emptied nodes; p95 wait {before} before, {after} after.",
        spared=number(found.spared, lang),
        asked=number(found.asked, lang),
        **values,
    )

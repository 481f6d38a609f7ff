"""What a change does, in one sentence: the 95th percentile of waits, who never started, the money."""

from collections.abc import Iterator

from stellwerk.report.queueing.simulated.rows import difference_text, hours_text, value_text
from stellwerk.report.text import Language, number, translator
from stellwerk.sim.queueing.changes import has_no_effect
from stellwerk.sim.queueing.outcome.result import Outcome, QueueFigures, Simulation

MOST_NAMED = 4


def course_name(found: Simulation, outcome: Outcome, lang: Language) -> str:
    """A change's name; the base is before it, or all that there is."""
    _ = translator(lang)
    if outcome is not found.outcomes[0]:
        return outcome.name
    return _("before") if len(found.outcomes) > 1 else _("as it is")


def headline(found: Simulation, outcome: Outcome, lang: Language) -> str:
    """The sentence on one change."""
    _ = translator(lang)
    base = found.outcomes[0]
    if has_no_effect(outcome.edits):
        return _("{name} changes nothing: all that it says is so already", name=outcome.name)
    if _same(base, outcome):
        return _("{name} has no effect on this demand", name=outcome.name)
    parts = [_waits(base, outcome, lang), *_others(found, outcome, lang), *_money(base, outcome, lang)]
    return f"{outcome.name}: " + "; ".join(parts)


def _same(base: Outcome, outcome: Outcome) -> bool:
    return (base.total, base.cluster_queues, base.local_queues, base.bill) == (
        outcome.total,
        outcome.cluster_queues,
        outcome.local_queues,
        outcome.bill,
    )


def _waits(base: Outcome, outcome: Outcome, lang: Language) -> str:
    """The largest change as from and to, the next ones as differences."""
    _ = translator(lang)
    before = {one.name: one for one in base.cluster_queues}
    pairs = [(before[one.name], one) for one in outcome.cluster_queues if one.name in before]
    changed = sorted((pair for pair in pairs if _change(*pair, lang)), key=_largest_first)
    if not changed:
        return _("p95 waits as before")
    first, *others = changed
    text = _(
        "p95 wait of {name} {before} -> {after}",
        name=first[1].name,
        before=value_text(first[0].first.p95_ns, "duration", lang),
        after=value_text(first[1].first.p95_ns, "duration", lang),
    )
    named = [f"{one[1].name} {_change(*one, lang)}" for one in others[: MOST_NAMED - 1]]
    more = len(others) - len(named)
    named += [_("{count} more", count=number(more, lang))] if more > 0 else []
    return ", ".join([text, *named])


def _change(before: QueueFigures, after: QueueFigures, lang: Language) -> str:
    return difference_text(before.first.p95_ns, after.first.p95_ns, "duration", lang)


def _largest_first(pair: tuple[QueueFigures, QueueFigures]) -> tuple[int, str]:
    return -abs(pair[1].first.p95_ns - pair[0].first.p95_ns), pair[1].name


def _others(found: Simulation, outcome: Outcome, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    before, after = found.outcomes[0].total, outcome.total
    if before.jobs.never_started != after.jobs.never_started:
        yield _(
            "never started {before} -> {after}",
            before=number(before.jobs.never_started, lang),
            after=number(after.jobs.never_started, lang),
        )
    old, new = before.hours.get(found.resource), after.hours.get(found.resource)
    if old and new and difference_text(old.lost, new.lost, "hours", lang):
        yield _(
            "{hours} lost {before} -> {after}",
            hours=hours_text(found.resource, lang),
            before=number(old.lost, lang, 1),
            after=number(new.lost, lang, 1),
        )


def _money(base: Outcome, outcome: Outcome, lang: Language) -> Iterator[str]:
    _ = translator(lang)
    before, after = base.bill, outcome.bill
    if before is None or after is None:
        return
    if before.total == after.total:
        yield _("{currency} unchanged", currency=after.currency)
    else:
        yield _(
            "{before} -> {after} {currency}",
            before=number(before.total, lang, 2),
            after=number(after.total, lang, 2),
            currency=after.currency,
        )

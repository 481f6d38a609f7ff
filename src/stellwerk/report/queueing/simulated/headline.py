"""What a change does, in one sentence: the 95th percentile of waits, who never started, the money."""

from collections.abc import Iterator

from msgspec import Struct

from stellwerk.report.queueing.simulated.rows import difference_text, hours_text
from stellwerk.report.text import Language, duration, number, translator
from stellwerk.sim.queueing.changes import has_no_effect
from stellwerk.sim.queueing.outcome.result import Outcome, Simulation

MOST_NAMED = 4


class Wait(Struct, frozen=True):
    """The 95th percentile of a ClusterQueue's waits, in ns."""

    name: str
    before: int
    after: int


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
    waits = [
        Wait(one.name, old.first.p95_ns, one.first.p95_ns)
        for one in outcome.cluster_queues
        if one.first is not None and (old := before.get(one.name)) is not None and old.first is not None
    ]
    changed = sorted((wait for wait in waits if _change(wait, lang)), key=_largest_first)
    if not changed:
        return _("p95 waits as before")
    first, *others = changed
    text = _(
        "p95 wait of {name} {before} -> {after}",
        name=first.name,
        before=duration(first.before, lang),
        after=duration(first.after, lang),
    )
    named = [f"{one.name} {_change(one, lang)}" for one in others[: MOST_NAMED - 1]]
    more = len(others) - len(named)
    named += [_("{count} more", count=number(more, lang))] if more > 0 else []
    return ", ".join([text, *named])


def _change(wait: Wait, lang: Language) -> str:
    return difference_text(wait.before, wait.after, "duration", lang)


def _largest_first(wait: Wait) -> tuple[int, str]:
    return -abs(wait.after - wait.before), wait.name


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

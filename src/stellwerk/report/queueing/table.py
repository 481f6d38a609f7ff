"""Admissions as text: who may start with which flavors, who waits and why, who must stop for whom."""

from collections.abc import Iterator, Sequence
from textwrap import fill

from stellwerk.api.groups.kueue_workload import PodSetAssignment
from stellwerk.api.groups.meta import given
from stellwerk.engine.decision import Reason
from stellwerk.engine.queueing.course.run import CIRCLE, STOPPED, Course
from stellwerk.engine.queueing.course.verdict import (
    ADMITTED,
    INACTIVE,
    PENDING,
    PREEMPTED,
    PREEMPTING,
    RESERVED,
    Verdict,
    holders,
    job_key,
)
from stellwerk.report.queueing.document import domains_of, pod_sets_of
from stellwerk.report.text import Language, number, reason_text, translator

MOST_SHOWN, MOST_DOMAINS, MOST_HOLDERS = 200, 8, 10
_STATES = {
    ADMITTED: Reason(ADMITTED, "admitted"),
    RESERVED: Reason(RESERVED, "has quota, but may not start yet"),
    PREEMPTED: Reason(PREEMPTED, "must stop"),
    PREEMPTING: Reason(PREEMPTING, "waits, and preempts"),
    PENDING: Reason(PENDING, "waits"),
    INACTIVE: Reason(INACTIVE, "switched off"),
}


def render_admission(course: Course, found: Sequence[Verdict], shown: tuple[Language, int]) -> str:
    """All of it in a language, at most so many characters wide where words allow."""
    lang = shown[0]
    _ = translator(lang)
    count = sum(one.state == ADMITTED for one in found)
    lines = [
        _(
            "{count} of {total} admitted; scheduling cycles: {cycles}",
            count=number(count, lang),
            total=number(len(found), lang),
            cycles=number(course.cycles, lang),
        )
    ]
    if course.ended == STOPPED:
        lines.append(_("more cycles may change this: --cycles all"))
    if course.ended == CIRCLE:
        lines.append(_("it never ends: workloads preempt each other in a circle"))
    for one in found[:MOST_SHOWN]:
        lines += ["", *render_verdict(one, shown)]
    if len(found) > MOST_SHOWN:
        more = number(len(found) - MOST_SHOWN, lang)
        lines += ["", _("... {count} more: -o json has all", count=more)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def render_why(course: Course, one: Verdict, shown: tuple[Language, int]) -> str:
    """One workload, and who holds what it waits for."""
    lang, width = shown
    _ = translator(lang)
    lines = list(render_verdict(one, shown))
    found = holders(course, one)
    for queue, key in found[:MOST_HOLDERS]:
        lines += _wrapped(_("in use by {name} of ClusterQueue {queue}", name=key, queue=queue), width)
    if len(found) > MOST_HOLDERS:
        more = number(len(found) - MOST_HOLDERS, lang)
        lines += _wrapped(_("... {count} more: -o json has all", count=more), width)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def render_verdict(one: Verdict, shown: tuple[Language, int]) -> Iterator[str]:
    """One workload: its state, what it has, its one reason, its place in the queue."""
    lang, width = shown
    _ = translator(lang)
    state = reason_text(_STATES[one.state], lang)
    if one.before:
        state += ", " + _("before the first cycle")
    elif one.cycle is not None and one.state in (ADMITTED, RESERVED, PREEMPTED):
        state += ", " + _("in cycle {cycle}", cycle=number(one.cycle, lang))
    yield f"{_title(one, lang)}: {state}"
    for assigned in pod_sets_of(one.workload):
        yield from _wrapped(_assigned(assigned, lang), width)
    if one.reason is not None:
        yield from _wrapped(reason_text(one.reason, lang), width)
        if one.message:
            yield from _wrapped("Kueue: " + one.message, width)
    for key, reason in one.preempts.items():
        yield from _wrapped(_("preempts {name} ({reason})", name=key, reason=reason), width)
    if one.evicted is not None and one.evicted.by:
        why = one.evicted.preempted or one.evicted.reason
        text = _("was preempted for {name} ({reason})", name=one.evicted.by, reason=why)
        yield from _wrapped(text, width)
    if one.in_cluster_queue is not None:
        place = one.in_cluster_queue
        text = _(
            "place {place} of {count} in ClusterQueue {name}",
            place=number(place.before + 1, lang),
            count=number(place.of, lang),
            name=one.cluster_queue,
        )
        yield from _wrapped(text, width)


def _title(one: Verdict, lang: Language) -> str:
    _ = translator(lang)
    if job := job_key(one):
        return _("Job {name}", name=job)
    return _("Workload {name}", name=one.key)


def _assigned(one: PodSetAssignment, lang: Language) -> str:
    _ = translator(lang)
    usage = given(one.resource_usage, {})
    parts = [
        f"{resource} {usage.get(resource, 0)} ({flavor})"
        for resource, flavor in given(one.flavors, {}).items()
    ]
    text = f"{one.name} x{number(given(one.count, 0), lang)}"
    text += f": {', '.join(parts)}" if parts else ""
    domains = [f"{'/'.join(each['values'])} x{each['count']}" for each in domains_of(one)]
    if len(domains) > MOST_DOMAINS:
        more = number(len(domains) - MOST_DOMAINS, lang)
        domains = [*domains[:MOST_DOMAINS], _("... {count} more: -o json has all", count=more)]
    return text + (" " + _("on {places}", places=", ".join(domains)) if domains else "")


def _wrapped(text: str, width: int) -> list[str]:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return fill(
        clean,
        max(width, 40),
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    ).splitlines()

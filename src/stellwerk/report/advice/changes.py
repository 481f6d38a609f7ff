"""Changes of advice: a line each for people, a JSON object each for programs."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from stellwerk.api.errors import InvalidInput, Unreachable
from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.changes import (
    ADDED,
    REMOVED,
    Change,
    Total,
    TotalChange,
    WarningChange,
    WorkloadChange,
)
from stellwerk.report.advice.verdicts import choice_text, reason_plain, workload_plain
from stellwerk.report.bill.period import utc
from stellwerk.report.export import to_plain
from stellwerk.report.text import Language, error_text, moment, money, number, reason_text, translator

NS_PER_MS = 1_000_000


class Moment(Struct, frozen=True):
    """A round: the end of its data (ms), the fleet's currency, the codes of what makes it doubtful."""

    data_end_ms: int
    currency: str = ""
    doubts: tuple[str, ...] = ()


def change_json(change: Change, at: Moment) -> str:
    """One line of JSON: English, camelCase, money as decimal text; workloads as `advise -o json` has them."""
    if isinstance(change, WarningChange):
        rest: dict[str, Any] = {
            "type": "warning",
            "state": "gone" if change.gone else "appeared",
            "warning": reason_plain(change.reason),
        }
    elif isinstance(change, TotalChange):
        before = None if change.before is None else to_plain(change.before)
        rest = {"type": "total", "before": before, "after": to_plain(change.after)}
    else:
        rest = _workload_json(change, at)
    return _line({"type": rest["type"], "time": utc(at.data_end_ms), "doubts": list(at.doubts), **rest})


def _workload_json(change: WorkloadChange, at: Moment) -> dict[str, Any]:
    told = change.after.verdict.reasons if change.after else ()
    kept = (change.after.kept,) if change.after and change.after.kept else ()
    return {
        "type": change.kind,
        "workload": change.workload,
        "what": list(change.what),
        "reasons": [reason_plain(reason) for reason in (*change.why, *told, *kept)],
        "currency": at.currency,
        "before": None if change.before is None else workload_plain(change.before),
        "after": None if change.after is None else workload_plain(change.after),
    }


def unreachable_json(error: InvalidInput | Unreachable, asked_end_ms: int) -> str:
    """The line that says that no answer came, or none that can be used."""
    code = "Unreachable" if isinstance(error, Unreachable) else "Unusable"
    values = {name: value if isinstance(value, int) else str(value) for name, value in error.values.items()}
    reason = {"code": code, "text": str(error), "values": values}
    fix = error.fix.format(**error.values)
    return _line({"type": "unreachable", "time": utc(asked_end_ms), "reason": reason, "next": fix})


def recovered_json(data_end_ms: int, failed: int) -> str:
    """The line that says that the database answers again, after so many rounds that failed."""
    return _line({"type": "recovered", "time": utc(data_end_ms), "failed": failed})


def _line(fields: dict[str, Any]) -> str:
    return msgspec.json.encode(fields).decode() + "\n"


def change_line(change: Change, at: Moment, lang: Language) -> str:
    """One line for people, in their language."""
    _ = translator(lang)
    if isinstance(change, WarningChange):
        text = reason_text(change.reason, lang)
        words = _("warning gone: {text}", text=text) if change.gone else _("warning: {text}", text=text)
    elif isinstance(change, TotalChange):
        now = _total(change.after, lang)
        words = _("all together: {now}", now=now)
        if change.before is not None:
            words = _("all together: {before} -> {now}", before=_total(change.before, lang), now=now)
    else:
        words = _workload_line(change, at.currency, lang)
    if at.doubts and not isinstance(change, WarningChange):
        words += " " + _("[in doubt: {codes}]", codes=", ".join(at.doubts))
    return _timed(words, at.data_end_ms, lang)


def _workload_line(change: WorkloadChange, currency: str, lang: Language) -> str:
    _ = translator(lang)
    before = "" if change.before is None else _state(change.before, currency, lang)
    if change.kind == REMOVED or change.after is None:
        why = "; ".join(reason_text(reason, lang) for reason in change.why)
        return _("gone: {name}, was {before}: {why}", name=change.workload, before=before, why=why)
    values = {
        "name": change.workload,
        "now": _state(change.after, currency, lang),
        "why": "; ".join(reason_text(reason, lang) for reason in change.after.verdict.reasons),
    }
    if change.kind == ADDED:
        return _("new: {name}: {now}: {why}", **values)
    return _("changed: {name}: {before} -> {now}: {why}", before=before, **values)


def _state(advised: Advised, currency: str, lang: Language) -> str:
    """The verdict, and what it saves where that is known and worth telling."""
    _ = translator(lang)
    words = choice_text(advised.verdict, lang)
    if advised.kept:
        return _("{verdict}, but keep it", verdict=words)
    if not advised.saving_month:
        return words
    saving = money(advised.saving_month, currency, lang, 0)
    return _("{verdict}, {saving} a month less", verdict=words, saving=saving)


def _total(total: Total, lang: Language) -> str:
    _ = translator(lang)
    values = {"before": number(total.gpus_before, lang), "after": number(total.gpus_after, lang)}
    if total.gpus_after >= total.gpus_before:
        return _("{before} GPUs, sharing saves nothing", before=values["before"])
    if total.saving_month is None:
        return _("{after} GPUs instead of {before}", **values)
    saving = money(Decimal(total.saving_month), total.currency, lang, 0)
    return _("{after} GPUs instead of {before}, {saving} a month less", saving=saving, **values)


def unreachable_line(error: InvalidInput | Unreachable, asked_end_ms: int, lang: Language) -> str:
    """No answer came, or none that can be used; it is tried again."""
    words = translator(lang)("unreachable, tried again: {words}", words=error_text(error, lang))
    return _timed(words, asked_end_ms, lang)


def recovered_line(data_end_ms: int, failed: int, lang: Language) -> str:
    """The database answers again."""
    words = translator(lang)("recovered; rounds that failed: {count}", count=number(failed, lang))
    return _timed(words, data_end_ms, lang)


def _timed(words: str, time_ms: int, lang: Language) -> str:
    text = f"{moment(time_ms * NS_PER_MS, lang)}  {words}"
    return "".join(char if char.isprintable() else " " for char in text) + "\n"

"""The figures of a queue that a table shows: their names, units, and how a value and a difference look."""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from stellwerk.report.text import Language, duration, moment, msg, number, translator
from stellwerk.sim.queueing.outcome.result import Hours, QueueFigures, Waits

Unit = Literal["duration", "count", "hours", "percent", "money", "moment"]
Value = int | Decimal | None
SECOND = 1_000_000_000
GPU, CPU = "nvidia.com/gpu", "cpu"


class Row(Struct, frozen=True, kw_only=True):
    """`text` is the label, a template with `{hours}` and `{currency}`; `adds`: whether a total makes sense.

    `detail`: only shown when more was asked for.
    """

    text: str
    unit: Unit
    read: Callable[[QueueFigures, str], Value]
    adds: bool = False
    detail: bool = False


def _of_hours(read: Callable[[Hours], Decimal | None]) -> Callable[[QueueFigures, str], Value]:
    return lambda one, resource: read(one.hours[resource]) if resource in one.hours else None


def _of_wait(read: Callable[[Waits], int]) -> Callable[[QueueFigures, str], Value]:
    return lambda one, _: None if one.first is None else read(one.first)


ROWS: tuple[Row, ...] = (
    Row(text=msg("Jobs"), unit="count", read=lambda one, _: one.jobs.arrived, adds=True, detail=True),
    Row(text=msg("Never started"), unit="count", read=lambda one, _: one.jobs.never_started, adds=True),
    Row(text=msg("Finished"), unit="count", read=lambda one, _: one.jobs.finished, adds=True, detail=True),
    Row(text=msg("Wait mean"), unit="duration", read=_of_wait(lambda wait: wait.mean_ns)),
    Row(text=msg("Wait p50"), unit="duration", read=_of_wait(lambda wait: wait.p50_ns), detail=True),
    Row(text=msg("Wait p95"), unit="duration", read=_of_wait(lambda wait: wait.p95_ns)),
    Row(text=msg("Wait max"), unit="duration", read=_of_wait(lambda wait: wait.max_ns), detail=True),
    Row(
        text=msg("Wait p95, to the last admission"),
        unit="duration",
        read=lambda one, _: None if one.last is None else one.last.p95_ns,
        detail=True,
    ),
    Row(text=msg("Evicted"), unit="count", read=lambda one, _: one.evictions, adds=True),
    Row(text=msg("{hours} held"), unit="hours", read=_of_hours(lambda one: one.held), adds=True),
    Row(text=msg("{hours} lost by evictions"), unit="hours", read=_of_hours(lambda one: one.lost), adds=True),
    Row(
        text=msg("{hours} borrowed"),
        unit="hours",
        read=_of_hours(lambda one: one.borrowed),
        detail=True,
    ),
    Row(
        text=msg("Share of all that was held"),
        unit="percent",
        read=_of_hours(lambda one: one.share),
        detail=True,
    ),
    Row(text=msg("Held, of its own quota"), unit="percent", read=_of_hours(lambda one: one.of_nominal)),
    Row(
        text=msg("Use of its own quota"),
        unit="percent",
        read=_of_hours(lambda one: one.own_use),
        detail=True,
    ),
    Row(text=msg("Last finish"), unit="moment", read=lambda one, _: one.last_finish_ns, detail=True),
    Row(
        text=msg("{currency} lost by evictions"),
        unit="money",
        read=lambda one, _: None if one.cost is None else one.cost.lost,
        adds=True,
        detail=True,
    ),
    Row(
        text=msg("{currency} held"),
        unit="money",
        read=lambda one, _: None if one.cost is None else one.cost.held,
        adds=True,
    ),
)


def hours_text(resource: str, lang: Language) -> str:
    """`GPU-hours`, `CPU-hours`, or the resource's own name."""
    _ = translator(lang)
    if resource == GPU:
        return _("GPU-hours")
    return _("CPU-hours") if resource == CPU else _("{resource} hours", resource=resource)


def value_text(value: Value, unit: Unit, lang: Language) -> str:
    """One value; "-" where there is none."""
    if value is None:
        return "-"
    match unit:
        case "duration":
            return duration(int(value), lang)
        case "moment":
            return moment(int(value), lang)
        case "percent":
            return f"{number(Decimal(value) * 100, lang, 1)} %"
        case "hours":
            return number(value, lang, 1)
        case "money":
            return number(value, lang, 2)
    return number(value, lang)


def difference_text(before: Value, after: Value, unit: Unit, lang: Language) -> str:
    """What changed, with its sign; "" for nothing that would be seen."""
    if before is None or after is None:
        return ""
    change = after - before
    shown = _unsigned(-change if change < 0 else change, unit, lang)
    return "" if shown == _unsigned(0, unit, lang) else ("-" if change < 0 else "+") + shown


def _unsigned(change: int | Decimal, unit: Unit, lang: Language) -> str:
    """Of times a duration; of shares percentage points, which are no percent."""
    if unit in ("duration", "moment"):
        return duration(int(change), lang)
    return value_text(change, unit, lang).removesuffix(" %")

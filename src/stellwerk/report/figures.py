"""The figures of a run: their names, labels and units, and how one is shown: table, report, `--explain`."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct, UnsetType

from stellwerk.report.text import Language, duration, money, msg, number, translator
from stellwerk.sim.result import Outcome, Run

Unit = Literal["duration", "count", "hours", "money"]
Value = int | Decimal | None


class Figure(Struct, frozen=True):
    """`key` is the name for `--explain`, `text` its label, a template (`{currency}` may stand in it)."""

    key: str
    text: str
    unit: Unit
    read: Callable[[Run], Value]


TABLE: tuple[Figure, ...] = (
    Figure("waitP50", msg("Wait p50"), "duration", lambda run: run.waits.p50_ns),
    Figure("waitP95", msg("Wait p95"), "duration", lambda run: run.waits.p95_ns),
    Figure("waitMax", msg("Wait max"), "duration", lambda run: run.waits.max_ns),
    Figure("waiting", msg("Still waiting"), "count", lambda run: run.jobs.waiting),
    Figure("rejected", msg("Rejected"), "count", lambda run: run.jobs.rejected),
    Figure("interrupted", msg("Interrupted"), "count", lambda run: run.jobs.interrupted),
    Figure("slowed", msg("Slowed"), "count", lambda run: run.jobs.slowed),
    Figure("overflow", msg("Memory overflow (jobs)"), "count", lambda run: run.overflow.jobs),
    Figure("overflowGibHours", msg("Memory overflow (GiB h)"), "hours", lambda run: run.overflow.gib_hours),
    Figure("gpuHoursPaid", msg("GPU-hours paid"), "hours", lambda run: run.gpu_hours.paid),
    Figure("gpuHoursHeld", msg("GPU-hours held"), "hours", lambda run: run.gpu_hours.held),
    Figure("gpuHoursUsed", msg("GPU-hours used"), "hours", lambda run: run.gpu_hours.used),
    Figure("costMonth", msg("{currency} a month"), "money", lambda run: run.cost.month),
    Figure(
        "usefulGpuHour", msg("{currency} per useful GPU-hour"), "money", lambda run: run.cost.useful_gpu_hour
    ),
)

# Shown where the fleet describes a network.
NETWORK: tuple[Figure, ...] = (
    Figure(
        "networkGpuHours",
        msg("GPU-hours lost to links"),
        "hours",
        lambda run: None if isinstance(run.network, UnsetType) else run.network.gpu_hours,
    ),
    Figure(
        "networkCost",
        msg("{currency} lost to links"),
        "money",
        lambda run: None if isinstance(run.network, UnsetType) else run.network.cost,
    ),
)


def figures_of(outcomes: Sequence[Outcome]) -> tuple[Figure, ...]:
    """The figures that these outcomes have."""
    known = any(not isinstance(run.network, UnsetType) for outcome in outcomes for run in outcome.runs)
    return (*TABLE, *NETWORK) if known else TABLE


def label_of(figure: Figure, currency: str, lang: Language) -> str:
    """The figure's heading in `lang`."""
    _ = translator(lang)
    return _(figure.text, currency=currency)


def value_text(value: Value, unit: Unit, lang: Language) -> str:
    """One value without its currency; what cannot be known is said to be unknown, never 0."""
    if value is None:
        _ = translator(lang)
        return _("unknown")
    if unit == "duration":
        return duration(int(value), lang)
    return number(value, lang, {"count": 0, "hours": 1, "money": 2}[unit])


def cell(figure: Figure, runs: tuple[Run, ...], lang: Language, dash: str = " - ") -> str:
    """The figure over a policy's runs: one value, or `none - proportional` where they differ."""
    shown = [value_text(figure.read(run), figure.unit, lang) for run in runs]
    return shown[0] if len(set(shown)) == 1 else dash.join((shown[0], shown[-1]))


def money_or_unknown(amount: Decimal | None, currency: str, lang: Language, places: int = 2) -> str:
    """The amount with its currency, or "unknown"."""
    return value_text(None, "money", lang) if amount is None else money(amount, currency, lang, places)


def gpus_text(gpus: int, lang: Language) -> str:
    """`1 GPU`, `7 GPUs`."""
    _ = translator(lang)
    return _("1 GPU") if gpus == 1 else _("{gpus} GPUs", gpus=number(gpus, lang))


def slowdown_text(slowdown: str, lang: Language) -> str:
    """What a run assumes about slowdown by sharing, in words."""
    _ = translator(lang)
    if slowdown == "given":
        return _("slowdown as given")
    return _("no slowdown") if slowdown == "none" else _("proportional slowdown")

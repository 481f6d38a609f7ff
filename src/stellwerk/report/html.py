"""The report as one HTML file that needs nothing else: no script, no address of anybody, pictures inside.

The same page is served while the job runs: then it reloads itself and fills, without pictures.
"""

from functools import cache
from importlib import resources
from typing import Any

from msgspec import Struct

from stellwerk import __version__
from stellwerk.report import tables
from stellwerk.report.choice import baseline, choose, is_sized
from stellwerk.report.explain import FIGURES, explain
from stellwerk.report.figures import NETWORK, figures_of, gpus_text, label_of, money_or_unknown, value_text
from stellwerk.report.pictures import draw
from stellwerk.report.sentence import first_sentence
from stellwerk.report.text import Language, duration, number, translator
from stellwerk.report.view import PageView
from stellwerk.sim.result import Replay, Run

DASH = " – "
# Sixteen columns are more than a reader takes in: the page shows three tables of one subject each.
SUBJECTS = (5, 10, 15)


class Card(Struct, frozen=True):
    """One figure before and after."""

    label: str
    before: str
    after: str


class Bill(Struct, frozen=True):
    """One policy's bill: rows of team, GPU-hours held, used, wait p95, cost; then the sum."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...]


def render_page(view: PageView, lang: Language) -> str:
    """The whole page; complete with pictures where the run is done, else what is known so far."""
    _ = translator(lang)
    replay = view.replay if view.replay is not None and view.replay.outcomes else None
    parts = {} if replay is None else _parts(view, replay, lang)
    headline = view.error or view.title
    if replay is not None and view.state == "done":
        headline = first_sentence(replay, lang, view.verify_command)
    page: str = (
        _environment()
        .get_template("page.html")
        .render(
            _=_,
            lang=lang,
            view=view,
            css=_css(),
            version=__version__,
            headline=headline.partition(view.verify_command),
            **{**_NOTHING, **parts},
        )
    )
    return page


_NOTHING: dict[str, Any] = {
    "heading": "",
    "cards": (),
    "grids": (),
    "pictures": (),
    "bills": (),
    "explained": (),
    "range_notes": (),
    "price_notes": (),
    "demand_notes": (),
    "left_out": (),
}


@cache
def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("stellwerk.report", "templates")
    return Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )


@cache
def _css() -> str:
    return resources.files("stellwerk.report").joinpath("templates/page.css").read_text("utf-8")


def _parts(view: PageView, replay: Replay, lang: Language) -> dict[str, Any]:
    """What can be shown: tables and notes at once, the rest when all policies have run."""
    parts: dict[str, Any] = {
        "heading": tables.heading(replay, lang),
        "grids": _grids(view, replay, lang),
        "range_notes": tables.range_notes(replay.outcomes, lang),
        "price_notes": tables.price_notes(replay.fleet, lang),
        "demand_notes": tables.demand_notes(replay, lang),
        "left_out": tables.left_out_notes(replay, lang),
    }
    if view.state != "done":
        return parts
    return parts | {
        "cards": _cards(replay, lang),
        "pictures": draw(replay, lang),
        "bills": _bills(replay, lang),
        "explained": _explained(replay, lang),
    }


def _grids(view: PageView, replay: Replay, lang: Language) -> tuple[tables.Grid, ...]:
    whole = tables.policy_grid(replay, lang, DASH)
    if view.state != "done":
        whole = tables.Grid(whole.title, whole.head, whole.rows)
    _ = translator(lang)
    titles = (whole.title, _("Jobs on the declared fleet"), _("GPU-hours and cost of the declared fleet"))
    grids = []
    start = 1
    for title, end in zip(titles, SUBJECTS, strict=True):
        columns = (0, *range(start, min(end + 1, len(whole.head))))
        rows = tuple(tuple(row[column] for column in columns) for row in whole.rows)
        grids.append(tables.Grid(title, tuple(whole.head[column] for column in columns), rows, whole.best))
        start = end + 1
    sizes = tables.size_grid(replay, lang, DASH) if view.state == "done" else None
    return (sizes, *grids) if sizes else tuple(grids)


def _cards(replay: Replay, lang: Language) -> tuple[Card, ...]:
    """GPUs, cost, wait and the price of a useful hour: whole GPUs as declared, then the best."""
    _ = translator(lang)
    before, best, currency = baseline(replay), choose(replay), replay.fleet.currency
    cards = [
        Card("GPUs", number(before.gpus, lang), number(best.gpus, lang)),
        Card(
            _("Cost a month"),
            money_or_unknown(before.month, currency, lang, 0),
            money_or_unknown(best.month, currency, lang, 0),
        ),
        Card(_("Wait p95"), duration(before.wait_p95_ns, lang), duration(best.wait_p95_ns, lang)),
    ]
    useful = [choice.run.cost.useful_gpu_hour for choice in (before, best)]
    cards.append(Card(_("Useful GPU-hour"), *(money_or_unknown(each, currency, lang) for each in useful)))
    return tuple(cards)


def _bills(replay: Replay, lang: Language) -> tuple[Bill, ...]:
    _ = translator(lang)
    before, best = baseline(replay), choose(replay)
    chosen = (before,) if best == before else (before, best)
    return tuple(
        Bill(
            _("{policy} on {gpus}", policy=choice.policy, gpus=gpus_text(choice.gpus, lang)),
            _bill_rows(choice.run, lang),
            _bill_total(choice.run, lang),
        )
        for choice in chosen
    )


def _bill_rows(run: Run, lang: Language) -> tuple[tuple[str, ...], ...]:
    _ = translator(lang)
    rows = [
        (
            team.team,
            number(team.jobs, lang),
            duration(team.wait_p95_ns, lang),
            number(team.held, lang, 1),
            number(team.used, lang, 1),
            value_text(team.cost, "money", lang),
        )
        for team in run.teams
    ]
    idle = number(run.gpu_hours.paid - run.gpu_hours.held, lang, 1)
    return (*rows, (_("idle"), "", "", idle, "", value_text(run.idle_cost, "money", lang)))


def _bill_total(run: Run, lang: Language) -> tuple[str, ...]:
    _ = translator(lang)
    jobs = number(sum(team.jobs for team in run.teams), lang)
    paid, used = number(run.gpu_hours.paid, lang, 1), number(run.gpu_hours.used, lang, 1)
    return (_("sum"), jobs, "", paid, used, value_text(run.cost.period, "money", lang))


def _explained(replay: Replay, lang: Language) -> tuple[tuple[str, str], ...]:
    """Each figure's label (or name) and its formula with the recommended policy's numbers."""
    shown = figures_of(replay.outcomes)
    labels = {figure.key: label_of(figure, replay.fleet.currency, lang) for figure in shown}
    skipped = set() if is_sized(replay) else {"saving"}
    skipped |= {figure.key for figure in NETWORK if figure not in shown}
    return tuple(
        (f"{labels[key]} ({key})" if key in labels else key, explain(replay, key, None, lang))
        for key in FIGURES
        if key not in skipped
    )

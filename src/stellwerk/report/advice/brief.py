"""One page for management: what sharing saves, who may share, who must not, and what is not known."""

from importlib import resources
from typing import Any

from stellwerk import __version__
from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.verdict import NOT_ENOUGH_DATA, OTHER_MODEL, SHARES
from stellwerk.engine.partition.policy import WHOLE
from stellwerk.report.advice.verdicts import choice_text, first_line, saving_text
from stellwerk.report.text import Language, moment, money, number, reason_text, say, translator
from stellwerk.sim.advice import Advice

SHOWN = 8
NS_PER_MS = 1_000_000


def render_brief(advice: Advice, lang: Language) -> str:
    """The page: loads nothing, in one language."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    _ = translator(lang)
    loader = PackageLoader("stellwerk.report", "templates")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=StrictUndefined)
    css = resources.files("stellwerk.report").joinpath("templates/page.css").read_text("utf-8")
    unknown = advice.saving_month is None
    saving = (
        _("unknown") if advice.saving_month is None else money(advice.saving_month, advice.currency, lang, 0)
    )
    cards = (
        (_("GPUs at the busiest time"), number(advice.gpus_after, lang), number(advice.gpus_before, lang)),
        (_("Saving a month"), saving, "" if unknown else _("at the prices of the fleet given")),
    )
    page: str = environment.get_template("brief.html").render(
        _=_,
        lang=lang,
        css=css,
        version=__version__,
        headline=first_line(advice, lang),
        start=moment(advice.start_ms * NS_PER_MS, lang),
        end=moment(advice.end_ms * NS_PER_MS, lang),
        workloads=number(len(advice.workloads), lang),
        cards=cards,
        groups=_groups(advice, lang),
        notes=[say(note, lang) for note in advice.notes],
    )
    return page


def _groups(advice: Advice, lang: Language) -> list[dict[str, Any]]:
    """May share, other GPU, must not share, not enough data: each with its count and largest workloads."""
    _ = translator(lang)
    titles = (
        (SHARES, _("May share")),
        ((OTHER_MODEL,), _("A smaller GPU would do")),
        ((WHOLE,), _("Must not share")),
        ((NOT_ENOUGH_DATA,), _("Not enough data")),
    )
    found: list[dict[str, Any]] = []
    for choices, title in titles:
        mine = [each for each in advice.workloads if each.verdict.choice in choices]
        mine.sort(key=lambda each: (each.held_after_milli - each.held_before_milli, each.profile.name))
        if mine:
            rows = [_row(each, advice.currency, lang) for each in mine[:SHOWN]]
            more = _("and {count} more", count=number(len(mine) - SHOWN, lang)) if len(mine) > SHOWN else ""
            found.append({"title": f"{title}: {number(len(mine), lang)}", "rows": rows, "more": more})
    return found


def _row(each: Advised, currency: str, lang: Language) -> tuple[str, str, str, str]:
    reason = reason_text(each.kept or each.verdict.reasons[0], lang)
    return each.profile.name, choice_text(each.verdict, lang), reason, saving_text(each, currency, lang)

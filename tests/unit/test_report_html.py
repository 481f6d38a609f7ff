"""The report is one file that needs nothing else, is well formed, escapes what a file says, and adds up."""

import re
import time
from decimal import Decimal
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from stellwerk.report.html import render_page
from stellwerk.report.pictures import draw
from stellwerk.report.text import LANGUAGES, Language
from stellwerk.report.view import PageView, Progress
from tests.unit import report_sample as sample

VOID = {"meta", "link", "br", "img", "hr", "input"}
DONE = PageView(title="demo", state="done", replay=sample.replay(sized=True), receipt_sha256="ab" * 32)


class Elements(HTMLParser):
    """Collects elements and ids, and checks that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another element"


def parsed(page: str) -> Elements:
    elements = Elements()
    elements.feed(page)
    assert not elements.open
    return elements


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_is_well_formed_and_complete(lang: Language) -> None:
    page = render_page(DONE, lang)
    elements = parsed(page)
    assert f'<html lang="{lang}">' in page and "ab" * 32 in page
    assert elements.seen.count("svg") == 5
    assert len(elements.ids) == len(set(elements.ids))
    for name in (
        "status",
        "sentence",
        "policies",
        "pictures",
        "bills",
        "explained",
        "prices",
        "demand",
        "receipt",
    ):
        assert name in elements.ids


def test_nothing_is_loaded_from_anywhere_and_nothing_runs() -> None:
    page = render_page(DONE, "en")
    elements = parsed(page)
    assert not {"script", "iframe", "object"} & set(elements.seen)
    assert all(address.startswith(("#", "data:")) for address in elements.addresses)
    assert "@import" not in page and not re.search(r"url\((?!['\"]?#)", page)


def test_what_a_file_says_is_never_markup() -> None:
    full = sample.replay()
    evil = "<img src=x onerror=alert(1)>"
    first, *rest = full.outcomes
    (run,) = first.runs
    teams = (replace(run.teams[0], team=evil), *run.teams[1:])
    parts = (replace(run.busiest.slices[0], team=evil, label="</svg><script>"), *run.busiest.slices[1:])
    busiest = replace(run.busiest, slices=parts)
    bad = replace(first, policy=evil, runs=(replace(run, teams=teams, busiest=busiest),))
    named = replace(full, demand=evil, outcomes=(bad, *rest), notes=(evil,))
    page = render_page(replace(DONE, title=evil, replay=named), "en")
    assert "<img" not in page and "<script" not in page
    parsed(page)


def test_dollar_signs_in_names_are_no_formulas() -> None:
    full = sample.replay()
    dollars = [replace(o, policy=r"a$\frac$b") if o.policy == "mps" else o for o in full.outcomes]
    assert r"a$\frac$b" in draw(replace(full, outcomes=tuple(dollars)), "en")[1].svg


def test_the_teams_and_idle_add_up_to_the_sum_line() -> None:
    page = render_page(DONE, "en")
    for bill in re.findall(r"<table>(?:(?!</table>).)*?<tfoot>.*?</table>", page, re.DOTALL):
        ends = [Decimal(text.replace(",", "")) for text in re.findall(r"<td>([\d,.]+)</td></tr>", bill)]
        assert sum(ends[:-1]) == ends[-1]
        assert len(ends) == 5


def test_while_running_it_reloads_and_has_no_pictures_and_no_verdict() -> None:
    full = sample.replay()
    some = replace(full, outcomes=full.outcomes[:2])
    view = PageView(title="demo", state="running", replay=some, progress=Progress(2, 6, "mps"))
    page = render_page(view, "en")
    assert 'http-equiv="refresh" content="1"' in page
    assert "<svg" not in page and 'class="best"' not in page and "instead of" not in page


def test_with_no_outcome_yet_the_page_still_comes() -> None:
    view = PageView(title="demo", state="running", replay=replace(sample.replay(), outcomes=()))
    assert 'data-state="running"' in render_page(view, "en")


@pytest.mark.parametrize("replay", [sample.unpriced(), sample.unpriced(sized=True)])
def test_without_a_price_the_page_says_unknown(replay: object) -> None:
    page = render_page(replace(DONE, replay=replay), "en")
    assert "unknown" in page and ">0.00<" not in page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pictures_are_the_same_bytes_each_time_and_valid(lang: Language) -> None:
    first = draw(sample.replay(sized=True), lang)
    assert draw(sample.replay(sized=True), lang) == first
    for picture in first:
        assert ElementTree.fromstring(picture.svg).tag.endswith("svg")
        assert picture.title and picture.caption


def test_pictures_stand_with_nothing_to_show() -> None:
    """No samples, no slices, no teams: a period in which nothing ran."""
    full = sample.replay()
    empty = []
    for outcome in full.outcomes:
        runs = tuple(
            replace(run, samples=(), teams=(), busiest=replace(run.busiest, slices=()))
            for run in outcome.runs
        )
        empty.append(replace(outcome, runs=runs))
    assert len(draw(replace(full, outcomes=tuple(empty)), "de")) == 4


def test_a_large_fleet_is_drawn_in_columns_within_its_time() -> None:
    full = sample.replay()
    outcomes = tuple(replace(o, runs=sample.runs(o.policy, 80, 10)) for o in full.outcomes)
    draw(full, "en")
    begin = time.process_time()
    pictures = draw(replace(full, fleet=sample.fleet(80), outcomes=outcomes), "en")
    assert time.process_time() - begin < 6
    height = float(re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', pictures[-1].svg)[0])
    assert height < 800

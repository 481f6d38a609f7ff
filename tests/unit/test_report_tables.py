"""The tables keep every figure at any width, and the notes name price, date and source."""

import re

import pytest

from stellwerk.report.figures import TABLE, label_of
from stellwerk.report.tables import fold, policy_grid, render_table, size_grid
from stellwerk.report.text import LANGUAGES, Language
from tests.unit import report_sample as sample


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("width", [60, 80, 120, 220])
def test_no_line_of_the_tables_is_wider_than_asked(width: int, lang: Language) -> None:
    for line in render_table(sample.replay(sized=True), lang, width).splitlines():
        assert len(line) <= width


@pytest.mark.parametrize("width", [40, 80, 300])
def test_folding_drops_no_column_and_no_row(width: int) -> None:
    grid = policy_grid(sample.replay(), "en")
    parts = list(fold(grid, width))
    assert [name for part in parts for name in part.head[1:]] == list(grid.head[1:])
    assert all([row[0] for row in part.rows] == [row[0] for row in grid.rows] for part in parts)
    assert (len(parts) == 1) == (width == 300)


def test_every_figure_has_a_column_and_every_policy_a_row() -> None:
    replay = sample.replay()
    grid = policy_grid(replay, "en")
    assert list(grid.head[2:]) == [label_of(figure, "EUR", "en") for figure in TABLE]
    assert [row[0] for row in grid.rows] == [outcome.policy for outcome in replay.outcomes]
    assert all(len(row) == len(grid.head) for row in grid.rows)


def test_a_range_shows_both_ends_and_a_single_figure_one() -> None:
    rows = {row[0]: row for row in policy_grid(sample.replay(), "en").rows}
    assert rows["whole"][3] == "9 h 15 min"
    assert rows["time-slicing"][3] == "40 min - 1 h 05 min"


def test_there_are_no_color_codes_and_no_spaces_at_line_ends() -> None:
    text = render_table(sample.replay(sized=True), "en")
    assert "\x1b" not in text
    assert not re.search(r" $", text, re.MULTILINE)


def test_prices_name_date_and_source_and_the_notes_what_is_left_out() -> None:
    text = " ".join(render_table(sample.replay(), "en").split())
    assert "as of 2025-02-28, price list of Scaleway" in text
    assert "Left out: 3: pods without a GPU" in text
    assert "Rejected by every policy: 1, such as llm-pretrain: needs 8 GPUs on one node" in text


def test_an_unknown_price_is_unknown_and_never_zero() -> None:
    text = render_table(sample.unpriced(sized=True), "en", 200)
    assert "Price unknown: set it with --price EUR_PER_HOUR." in text
    for row in policy_grid(sample.unpriced(), "en").rows:
        assert row[-2:] == ("unknown", "unknown")


def test_a_policy_without_a_fleet_says_none() -> None:
    from msgspec.structs import replace

    full = sample.replay(sized=True)
    last = full.outcomes[-1]
    assert last.sized
    none = replace(last, sized=replace(last.sized, nodes=0, gpus=0, runs=()))
    grid = size_grid(replace(full, outcomes=(*full.outcomes[:-1], none)), "en")
    assert grid and grid.rows[-1][:2] == ("mix", "none")
    assert size_grid(sample.replay(), "en") is None


def test_german_has_german_numbers() -> None:
    assert "7.572,20" in render_table(sample.replay(), "de", 200)

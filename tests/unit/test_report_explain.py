"""`--explain` puts the numbers of the table into a formula that comes out at the same figure."""

import re
from decimal import Decimal

import pytest
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.report.explain import FIGURES, explain
from stellwerk.report.figures import TABLE
from stellwerk.report.text import LANGUAGES, Language
from tests.unit import report_sample as sample


def test_every_figure_of_the_table_is_explained() -> None:
    assert {figure.key for figure in TABLE} <= FIGURES.keys()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_explained_for_every_policy_with_and_without_price(
    figure: str, lang: Language
) -> None:
    for replay in (
        sample.replay(),
        sample.replay(sized=True),
        sample.unpriced(),
        sample.unpriced(sized=True),
    ):
        for policy in (None, *(outcome.policy for outcome in replay.outcomes)):
            text = explain(replay, figure, policy, lang)
            assert text.startswith(figure) and text.endswith("\n") and "{" not in text


def test_a_month_is_computed_from_nodes_with_date_and_source() -> None:
    text = explain(sample.replay(), "costMonth", "whole", "en")
    assert "2.7 USD / 1.0411 USD per EUR [as of 2025-02-28, price list of Scaleway" in text
    assert "x 730 h = 7,572.20 EUR" in text


def test_the_terms_of_the_teams_add_up_to_the_period() -> None:
    text = explain(sample.replay(), "teams", "whole", "en")
    *parts, total = [Decimal(part.replace(",", "")) for part in re.findall(r"([\d,.]+) EUR", text)[1:]]
    assert sum(parts) == total == Decimal("1742.64")


def test_the_rank_of_a_wait_is_the_nearest_rank() -> None:
    text = explain(sample.replay(), "waitP95", "whole", "en")
    assert "39 arrived - 1 rejected = 38 jobs" in text
    assert "95 % of 38, rounded up = the wait at place 37 = 9 h 15 min" in text


def test_a_range_is_explained_for_both_assumptions() -> None:
    text = explain(sample.replay(), "waitP95", "mps", "en")
    assert "policy mps, no slowdown:" in text and "policy mps, proportional slowdown:" in text


def test_a_policy_that_needs_more_nodes_than_declared_is_explained_with_all_of_them() -> None:
    full = sample.replay(sized=True)
    last = full.outcomes[-1]
    assert last.sized
    more = replace(last.sized, nodes=6, gpus=6, runs=sample.runs("mix", 6, 0))
    replay = replace(full, outcomes=(*full.outcomes[:-1], replace(last, sized=more)))
    text = explain(replay, "saving", "mix", "en")
    assert "all 6 nodes: 15.559312 EUR an hour" in text
    assert "7,572.20 EUR (4 GPUs) - 11,358.30 EUR (6 GPUs) = -3,786.10 EUR" in text


def test_an_unknown_figure_or_policy_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput) as caught:
        explain(sample.replay(), "price", None, "en")
    assert "costMonth" in str(caught.value.values["known"])
    with pytest.raises(InvalidInput) as caught:
        explain(sample.replay(), "costMonth", "magic", "en")
    assert "mig-chosen" in str(caught.value.values["known"])

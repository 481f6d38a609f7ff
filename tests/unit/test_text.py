"""Words, numbers, money, durations, dates and errors in two languages."""

from decimal import Decimal

import pytest

from stellwerk.api.errors import InvalidInput, Unreachable
from stellwerk.engine.advice.rules import ABOVE_SLICE
from stellwerk.engine.decision import Reason
from stellwerk.report.text import (
    Language,
    day,
    duration,
    error_text,
    moment,
    money,
    number,
    reason_text,
    resolve_language,
    say,
    translator,
)

S = 1_000_000_000
MIN, H = 60 * S, 3600 * S


@pytest.mark.parametrize(
    ("nanoseconds", "english", "german"),
    [
        (0, "0 min", "0 Min."),
        (1, "0 min", "0 Min."),
        (45 * S, "45 s", "45 Sek."),
        (89 * S, "1 min", "1 Min."),
        (90 * S, "2 min", "2 Min."),
        (59 * MIN + 59 * S, "1 h 00 min", "1 Std. 00 Min."),
        (2 * H + 5 * MIN, "2 h 05 min", "2 Std. 05 Min."),
        (24 * H - S, "1 d", "1 Tag"),
        (76 * H, "3 d 4 h", "3 Tage 4 Std."),
        (720 * H, "30 d", "30 Tage"),
    ],
)
def test_durations_are_short_and_rounded_half_up(nanoseconds: int, english: str, german: str) -> None:
    assert (duration(nanoseconds, "en"), duration(nanoseconds, "de")) == (english, german)


def test_money_is_exact_and_follows_the_language() -> None:
    amount = Decimal("1234.565")
    assert money(amount, "EUR", "en") == "1,234.57 EUR"
    assert money(amount, "EUR", "de") == "1.234,57 EUR"
    assert money(Decimal("-0.005"), "EUR", "en") == "-0.01 EUR"
    # 2**60 + 0.01 has no float; a float anywhere would show here.
    assert money(Decimal("1152921504606846976.01"), "EUR", "de") == "1.152.921.504.606.846.976,01 EUR"


def test_numbers_show_at_most_the_places_that_are_asked() -> None:
    assert number(Decimal("2.5932187110"), "en", 2, 6) == "2.593219"
    assert number(Decimal("2.5"), "en", 2, 6) == "2.50"
    assert number(8152, "de") == "8.152"


def test_dates_are_iso_in_english_and_day_first_in_german() -> None:
    assert (day("2025-02-28", "en"), day("2025-02-28", "de")) == ("2025-02-28", "28.02.2025")
    assert day("undated", "de") == "undated"
    assert moment(1_740_960_000 * S + 9 * H, "en") == "2025-03-03 09:00 UTC"
    assert moment(1_740_960_000 * S + 9 * H, "de") == "03.03.2025 09:00 UTC"


@pytest.mark.parametrize(
    ("option", "env", "expected"),
    [
        (None, {}, "en"),
        (None, {"LANG": "de"}, "de"),
        (None, {"LANG": "de_AT.UTF-8"}, "de"),
        (None, {"LANG": "C.UTF-8"}, "en"),
        (None, {"LC_ALL": "en_US.UTF-8", "LANG": "de_DE"}, "en"),
        (None, {"LC_ALL": "", "LC_MESSAGES": "de_DE", "LANG": "en_US"}, "de"),
        ("en", {"LANG": "de_DE"}, "en"),
        ("de", {"LC_ALL": "en_US"}, "de"),
    ],
)
def test_the_option_comes_first_then_the_locale(
    option: str | None, env: dict[str, str], expected: Language
) -> None:
    assert resolve_language(option, env) == expected


def test_an_unknown_language_is_refused_with_the_next_step() -> None:
    with pytest.raises(InvalidInput) as caught:
        resolve_language("fr", {})
    assert "Next: use --lang en or --lang de" in error_text(caught.value, "en")


def test_an_error_is_one_line_with_place_problem_and_next_step() -> None:
    error = InvalidInput(
        "there is no language {lang}",
        fix="use --lang en or --lang de",
        source="fleet.yaml",
        document=2,
        path="spec.nodes[0].gpus",
        lang="fr\n\x1b[31m",
    )
    english = error_text(error, "en")
    assert english == (
        "fleet.yaml, document 2, spec.nodes[0].gpus: there is no language fr  [31m. "
        "Next: use --lang en or --lang de"
    )
    german = error_text(error, "de")
    assert (
        german.startswith("fleet.yaml, Dokument 2, spec.nodes[0].gpus: ") and "Nächster Schritt: " in german
    )


def test_an_error_without_place_and_fix_is_its_problem() -> None:
    assert error_text(Unreachable("{host} is away", host="a"), "en") == "a is away"


def test_braces_in_a_value_stay_as_they_are() -> None:
    assert translator("de")("unknown {thing}", thing="{0}") == "unknown {0}"
    assert error_text(InvalidInput("{a}", fix="{a}", a="{b}"), "en") == "{b}. Next: {b}"


def test_a_finished_sentence_is_recognized_by_its_template() -> None:
    sentence = "price unknown (set it with --price EUR)"
    assert say(sentence, "en") == sentence
    assert say(sentence, "de") == "Preis unbekannt (zu setzen mit --price EUR)"
    assert say("a sentence that nobody wrote {x}", "de") == "a sentence that nobody wrote {x}"


def test_figures_in_a_reason_are_written_as_the_language_does_and_names_stay() -> None:
    values: dict[str, str | int] = {"used": "39.9", "limit": "1234.50 GiB", "headroom": 1200, "names": "1.5"}
    reason = Reason("Any", "{used} of {limit}, {headroom}: {names}", values)
    assert reason_text(reason, "en") == "39.9 of 1,234.50 GiB, 1,200: 1.5"
    assert reason_text(reason, "de") == "39,9 of 1.234,50 GiB, 1.200: 1.5"


def test_a_reason_of_advice_is_german_in_all_its_figures() -> None:
    values: dict[str, str | int] = {"used": "39.9", "limit": "19.6", "headroom": 10}
    german = reason_text(Reason("MemoryAboveSlice", ABOVE_SLICE, values), "de")
    assert "39,9 GiB" in german and "19,6 GiB" in german and "39.9" not in german

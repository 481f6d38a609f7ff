"""The checks of CI see a bad page, and the closing line of CI never calls a failure a success."""

from pathlib import Path

import pytest

from tools.check_page import complaints
from tools.verdict import verdict

PAGE = """<html><head><style>p { content: "hidden" }</style></head><body>
<p>7 instead of 12 GPUs; check   it</p><p id="status" data-state="done"></p>
<svg></svg><svg></svg><a href="https://example.org">x</a></body></html>"""


def test_a_good_page_has_no_complaints() -> None:
    assert complaints(PAGE, ["7 INSTEAD of 12", "check it"], pictures=2) == []


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (PAGE.replace("done", "running"), "running, not done"),
        (PAGE.replace("12 GPUs", "11 GPUs"), "does not say: 12 GPUs"),
        (PAGE.replace("<svg></svg>", "", 1), "has 1 pictures"),
        (
            PAGE.replace("<svg>", '<script async src="https://cdn.example/x.js"></script><svg>', 1),
            "from outside",
        ),
        ("", "says None"),
    ],
)
def test_a_bad_page_is_seen(page: str, words: str) -> None:
    assert any(words in line for line in complaints(page, ["12 GPUs"], pictures=2))


def test_text_that_is_not_shown_does_not_count() -> None:
    assert complaints(PAGE, ["hidden"], pictures=2)


SUITE = '<testsuites><testsuite tests="9" errors="{errors}" failures="{failures}" skipped="1"/></testsuites>'


@pytest.mark.parametrize(
    ("errors", "failures", "steps", "line", "well"),
    [
        (0, 0, [], "8 passed, 0 failed, 1 skipped", True),
        (1, 2, ["make test"], "5 passed, 3 failed, 1 skipped", False),
        (0, 0, ["make test"], "8 passed, 1 failed, 1 skipped", False),
        (0, 1, ["make test", "make up"], "7 passed, 2 failed, 1 skipped", False),
    ],
)
def test_the_verdict_counts_tests_and_failed_steps(
    tmp_path: Path, errors: int, failures: int, steps: list[str], line: str, well: bool
) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text(SUITE.format(errors=errors, failures=failures))
    text, is_well = verdict(junit, steps)
    assert text.splitlines()[-1] == line
    assert is_well is well


def test_a_suite_that_did_not_run_is_a_failure(tmp_path: Path) -> None:
    text, well = verdict(tmp_path / "none.xml", [])
    assert text.endswith("0 passed, 1 failed")
    assert not well

"""Every recorded case of topology-aware scheduling is decided as Kueue decided it, no other way."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import judged, read_lines
from tests.conformance.altering import outcomes_of_altered

FOLDER = Path(__file__).parent / "kueue"
NAMES = ("kueue-tas", "kueue-tas-misc")
CASES = [
    pytest.param(case, id=f"{name}-{i}")
    for name in NAMES
    for i, case in enumerate(read_lines(FOLDER / f"{name}.jsonl.xz"))
]


def test_there_are_cases() -> None:
    assert len(CASES) > 130


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_decided_as_recorded(case: dict[str, Any]) -> None:
    assert judged(case) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_case_whose_expectation_was_altered_differs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = outcomes_of_altered(FOLDER / f"{name}.jsonl.xz", tmp_path, capsys)
    assert all(line.startswith("differs ") for line in lines)

"""Every recorded case of Kueue's quota, flavors, preemption and scheduling cycles is decided as by Kueue."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import judged, read_lines
from tests.conformance.altering import outcomes_of_altered
from tests.conformance.readers import PROCEDURES

FOLDER = Path(__file__).parent / "kueue"
NAMES = (
    "kueue-quota",
    "kueue-fairshare",
    "kueue-flavor",
    "kueue-preemption",
    "kueue-preemption-fair",
    "kueue-preemption-ordering",
    "kueue-schedule",
    "kueue-schedule-tas",
    "kueue-workload",
)
NO_READER = pytest.mark.xfail(strict=True, reason="a single step of Kueue's controllers: no reader yet")
CASES = [
    pytest.param(case, id=f"{name}-{i}", marks=[] if case["procedure"] in PROCEDURES else [NO_READER])
    for name in NAMES
    for i, case in enumerate(read_lines(FOLDER / f"{name}.jsonl.xz"))
]


def test_there_are_cases() -> None:
    assert len(CASES) == 487
    assert sum(not case.marks for case in CASES) >= 446


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_decided_as_recorded(case: dict[str, Any]) -> None:
    assert judged(case) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_case_whose_expectation_was_altered_differs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = outcomes_of_altered(FOLDER / f"{name}.jsonl.xz", tmp_path, capsys)
    assert all(line.startswith("differs ") or "LookupError: no reader" in line for line in lines)

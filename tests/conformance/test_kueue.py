"""Every recorded case of Kueue's quota, flavors, preemption and scheduling cycles is decided as by Kueue."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import judged, read_lines
from tests.conformance.altering import outcomes_of_altered

FOLDER = Path(__file__).parent / "kueue"
NAMES = (
    "kueue-quota",
    "kueue-fairshare",
    "kueue-flavor",
    "kueue-preemption",
    "kueue-preemption-fair",
    "kueue-preemption-ordering",
    "kueue-queue",
    "kueue-schedule",
    "kueue-schedule-misc",
    "kueue-schedule-tas",
    "kueue-workload",
)
NOT_ASSERTED = (
    "quota and checks are lost at once: Kueue counts a second as admitted, as we do; its test wants 0 and "
    "does not compare, so that the altered expectation, 1, would be what Kueue decides"
)
# Cases that do not pass, each with its reason.
LEFT = {
    "workload/TestSyncAdmittedCondition/reservation and check lost": NOT_ASSERTED,
    "workload/TestSyncAdmittedCondition/reservation and check lost with observability": NOT_ASSERTED,
}


def _marks(case: dict[str, Any]) -> list[pytest.MarkDecorator]:
    reason = LEFT.get(case["id"])
    return [] if reason is None else [pytest.mark.xfail(strict=True, reason=reason)]


CASES = [
    pytest.param(case, id=f"{name}-{i}", marks=_marks(case))
    for name in NAMES
    for i, case in enumerate(read_lines(FOLDER / f"{name}.jsonl.xz"))
]


def test_there_are_cases() -> None:
    assert len(CASES) == 545
    assert sum(not case.marks for case in CASES) == 545 - len(LEFT)


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_decided_as_recorded(case: dict[str, Any]) -> None:
    assert judged(case) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_case_whose_expectation_was_altered_differs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = outcomes_of_altered(FOLDER / f"{name}.jsonl.xz", tmp_path, capsys)
    unread = [line for line in lines if not line.startswith("differs ")]
    assert all(line.split(": ")[0].removeprefix("error ") in LEFT for line in unread)

"""Every recorded case of Dynamic Resource Allocation is decided as Kubernetes decided it, no other way."""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import judged, main, read_lines
from tests.conformance.altering import outcomes_of_altered

FOLDER = Path(__file__).parent / "dra"
FILES = sorted(FOLDER.glob("*.jsonl.xz"))
CASES = [
    pytest.param(case, id=f"{path.stem.partition('.')[0]}-{i}")
    for path in FILES
    for i, case in enumerate(read_lines(path))
]


def test_there_are_cases() -> None:
    assert len(FILES) == 3 and len(CASES) > 370


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_decided_as_recorded(case: dict[str, Any]) -> None:
    assert judged(case) is None


@pytest.mark.parametrize("name", ["dra-allocator", "dra-cel"])
def test_a_case_whose_expectation_was_altered_differs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = outcomes_of_altered(FOLDER / f"{name}.jsonl.xz", tmp_path, capsys)
    assert all(line.startswith("differs ") for line in lines)


def test_a_case_of_a_form_without_a_reader_counts_as_failed() -> None:
    line = judged({"name": "x", "procedure": "unheard-of", "want": {}})
    assert line is not None and line.startswith("error x: LookupError")


def test_a_file_that_is_none_ends_with_exit_code_2(tmp_path: Path) -> None:
    assert main([str(tmp_path / "missing.jsonl.xz")]) == 2

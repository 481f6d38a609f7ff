"""Every recorded case of Kueue's quota, fair shares and flavors is decided as Kueue decided it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import judged, main, read_lines

FOLDER = Path(__file__).parent / "kueue"
NAMES = ("kueue-quota", "kueue-fairshare", "kueue-flavor")
ALTER = Path(__file__).parents[3] / "shared" / "check" / "alter.py"
NO_PLACES = pytest.mark.xfail(strict=True, reason="places in a topology are not found here yet")


def needs_places(case: dict[str, Any]) -> bool:
    """Whether the answer depends on places in a topology."""
    answers = case.get("got", {}).get("assignment", {})
    return "topologyUsage" in answers or answers.get("noFitReason") == "TopologyPlacementFailed"


CASES = [
    pytest.param(case, id=f"{name}-{i}", marks=[NO_PLACES] if needs_places(case) else [])
    for name in NAMES
    for i, case in enumerate(read_lines(FOLDER / f"{name}.jsonl.xz"))
]


def test_there_are_cases() -> None:
    assert len(CASES) == 144


@pytest.mark.parametrize("case", CASES)
def test_the_case_is_decided_as_recorded(case: dict[str, Any]) -> None:
    assert judged(case) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_case_whose_expectation_was_altered_differs(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not ALTER.is_file():
        pytest.skip("altered cases need ../shared/check")
    altered = tmp_path / "altered.jsonl.xz"
    subprocess.run([sys.executable, ALTER, FOLDER / f"{name}.jsonl.xz", altered], check=True)
    assert main([str(altered)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"0 passed, {len(lines) - 1} failed"
    assert all(line.startswith("differs ") or "LookupError: places" in line for line in lines[:-1])

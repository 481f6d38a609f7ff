"""A recorded file whose expectations were all altered: a harness that still says `ok` compares too little."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.__main__ import main

ALTER = Path(__file__).parents[3] / "shared" / "check" / "alter.py"


def outcomes_of_altered(recorded: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of the cases after none passed; skips where ../shared is missing."""
    if not ALTER.is_file():
        pytest.skip("altered cases need ../shared/check")
    altered = folder / "altered.jsonl.xz"
    subprocess.run([sys.executable, ALTER, recorded, altered], check=True)
    assert main([str(altered)]) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == f"0 passed, {len(lines)} failed" and lines
    return lines

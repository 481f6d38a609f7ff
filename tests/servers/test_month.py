"""A month of mittelstand in both databases: the verdicts and the bill of the file, to the cent."""

import gzip
import io
import json
from contextlib import redirect_stdout
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from stellwerk.cli.main import main
from tests.servers.databases import Database
from tests.servers.history import History

LINES = 500_000
FLEET = ("--fleet", "mittelstand")


@pytest.fixture(scope="module")
def files(month: History, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The month as a folder of files: one may have 256 MiB."""
    folder = tmp_path_factory.mktemp("month")
    with month.path.open() as lines:
        for number, part in enumerate(iter(lambda: list(islice(lines, LINES)), [])):
            with gzip.open(folder / f"part-{number}.prom.gz", "wt", compresslevel=1) as out:
                out.writelines(part)
    return folder


@pytest.fixture(scope="module")
def from_files(files: Path, month: History) -> dict[str, Any]:
    """What the verbs say of the files."""
    return {name: answer(*words, str(files)) for name, words in questions(month).items()}


def questions(month: History) -> dict[str, list[str]]:
    first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in (month.start_s, month.end_s))
    return {
        "advise": ["advise", *FLEET],
        "bill": ["bill", *FLEET, "--from", first, "--to", last],
    }


def answer(*arguments: str) -> Any:
    """What a verb prints with -o json."""
    said = io.StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main([*arguments, "-o", "json"])
    assert not ended.value.code
    return json.loads(said.getvalue())


def test_the_verdicts_and_the_bill_are_those_of_the_file_to_the_cent(
    database: Database, month: History, from_files: dict[str, Any], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    live = ["--prometheus", database.url, "--save", str(kept)]
    until = ["--days", "30", "--until", f"{datetime.fromtimestamp(month.end_s, UTC):%Y-%m-%dT%H:%M:%SZ}"]
    asked = questions(month)
    assert answer(*asked["advise"], *live, *until) == from_files["advise"]
    assert answer(*asked["bill"], *live) == from_files["bill"]
    assert from_files["bill"]["invoice"] == "5275.37" and len(from_files["advise"]["workloads"]) > 100
    # A bill's own way of naming the days: the last 30 whole ones.
    assert answer("bill", *FLEET, *live, *until) == from_files["bill"]
    assert len(list(kept.glob("*.jsonl.gz"))) == 30

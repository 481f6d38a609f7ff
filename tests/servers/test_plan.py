"""`plan` with measured use from a database: the same plan as from a file of the same samples."""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.servers.databases import KINDS, backfill, running
from tests.servers.fixtures import need
from tests.unit.plan_sample import HOURS, example, exposition, unmeasured, write

ROOT = Path(__file__).resolve().parents[2]
DAY_S = 86_400


def busy(pod: str) -> tuple[int, float]:
    """The training fills its GPUs, the services do not."""
    return (60_000, 0.95) if pod.startswith("tune") else (5_000, 0.05)


def plan(folder: Path, *words: str) -> Any:
    """What the verb prints with -o json."""
    done = subprocess.run(
        [sys.executable, "-m", "stellwerk", "plan", "-f", "cluster.json", "-o", "json", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_from_a_database_is_that_from_a_file_and_its_receipt_holds(kind: str, tmp_path: Path) -> None:
    need(kind)
    write(tmp_path, unmeasured(example()))
    start_s = int(time.time()) // DAY_S * DAY_S - 2 * DAY_S
    lines = list(exposition(busy, start_s))
    (tmp_path / "series.prom").write_text("\n".join(lines) + "\n")
    from_file = plan(tmp_path, "--metrics", "series.prom")
    assert len(from_file["workloads"]) == 3 and from_file["replay"]["proves"]
    backfill(kind, tmp_path / "data", lines)
    until = f"{datetime.fromtimestamp(start_s + HOURS * 3600, UTC):%Y-%m-%dT%H:%M:%SZ}"
    with running(kind, tmp_path / "data") as database:
        asked = ("--prometheus", database.url, "--days", "2", "--until", until, "--save", "kept")
        assert plan(tmp_path, *asked, "--manifests", "out") == from_file
    # The database is gone: the receipt needs it no more.
    done = subprocess.run(
        [sys.executable, "-m", "stellwerk", "verify", "out/proof/receipt.json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stdout + done.stderr

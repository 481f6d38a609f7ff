"""A database says what a file says: every figure of lively days, from both databases, in both spellings."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stellwerk.cli.main import main
from tests.servers.databases import KINDS, PROMETHEUS, backfill, running
from tests.servers.fixtures import need
from tests.servers.history import last_midnight_s
from tests.servers.lively import Days, Spelling, exposition, lively_days

SPELLINGS = {"honored": Spelling(), "exported": Spelling(honor_labels=False, hostname="hostname")}
CASES = [(seed, name) for seed in range(1, 5) for name in SPELLINGS]
FLEET = """apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: lively}
spec:
  currency: EUR
  nodes:
  - &node
    name: gpu-a
    gpuModel: H100-PCIE-80GB
    gpus: 2
    price: {amount: "5.04", currency: EUR, date: "2026-08-28", source: an offer}
  - {<<: *node, name: gpu-b.example}
  - {<<: *node, name: gpu-c, gpus: 1}
"""


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a verb prints with -o json, whatever its exit code is."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*arguments, "-o", "json"])
    said = capsys.readouterr()
    assert said.out, said.err
    return json.loads(said.out)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("seed", "spelling"), CASES)
def test_a_database_says_what_a_file_says(
    kind: str, seed: int, spelling: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need(kind)
    days = lively_days(seed, last_midnight_s() * 1000)
    file = tmp_path / "days.prom.gz"
    with gzip.open(file, "wt", compresslevel=1) as out:
        out.writelines(f"{line}\n" for line in exposition(days, SPELLINGS[spelling]))
    with gzip.open(file, "rt") as lines:
        backfill(kind, tmp_path / kind, lines)
    with running(kind, tmp_path / kind) as database:
        live = ["--prometheus", database.url, "--save", str(tmp_path / "kept")]
        until = ["--days", "3", "--until", datetime.fromtimestamp(days.end_ms // 1000, UTC).isoformat()]
        from_file = answer(capsys, "usage", str(file))
        from_database = answer(capsys, "usage", *live, *until)
        fleet = tmp_path / "fleet.yaml"
        fleet.write_text(FLEET)
        billed = ["bill", "--fleet", str(fleet), *_days(days)]
        assert answer(capsys, *billed, *live) == answer(capsys, *billed, str(file))
        advised = ["advise", "--fleet", str(fleet)]
        from_file["advice"] = answer(capsys, *advised, str(file))
        from_database["advice"] = answer(capsys, *advised, *live, *until)
    assert _comparable(from_database, kind) == _comparable(from_file, kind)


def _days(days: Days) -> list[str]:
    first, last = (datetime.fromtimestamp(ms // 1000, UTC).date() for ms in (days.start_ms, days.end_ms))
    return ["--from", first.isoformat(), "--to", last.isoformat()]


def _comparable(usage: Any, kind: str) -> Any:
    """Without what no figure rests on: the inputs' names, and metrics that are not asked for."""
    del usage["inputs"]
    for each in (*usage["devices"], *usage["pods"]):
        each["samples"].pop("DCGM_FI_DEV_GPU_TEMP", None)
    # VictoriaMetrics does not keep a NaN, so it cannot tell of one.
    for each in (usage, usage["advice"]):
        each["warnings"] = [
            warning for warning in each["warnings"] if kind == PROMETHEUS or warning["code"] != "sample-blank"
        ]
    return usage

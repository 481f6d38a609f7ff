"""Ctrl-C while a database hangs: the process is gone at once, without a traceback, and kept days remain."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers.databases import Database
from tests.servers.faults import failing, slow
from tests.servers.history import History
from tests.servers.proxy import Door, always, from_request, proxied

ROOT = Path(__file__).parents[2]
SOON_S = 2.0
NOWHERE = "http://127.0.0.1:9"


def started(url: str, folder: Path, *verb: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "stellwerk", *verb, "--prometheus", url, "--save", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


def interrupted(process: "subprocess.Popen[str]") -> str:
    """What it said on stderr until it ended, soon after Ctrl-C."""
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert time.monotonic() - began < SOON_S
    assert process.stderr is not None
    return process.stderr.read()


VERBS = (
    ("usage",),
    ("advise",),
    ("whatif",),
    ("bill", "--fleet", "demo", "--from", "2026-01-01", "--to", "2026-02-01"),
)


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
def test_a_database_that_never_answers_holds_up_nobody(tmp_path: Path, verb: tuple[str, ...]) -> None:
    with (
        proxied(NOWHERE, always(slow(100)), Door()) as proxy,
        started(proxy.url, tmp_path / "kept", *verb) as process,
    ):
        while len(proxy.asked) < 3:
            assert process.poll() is None
            time.sleep(0.02)
        assert interrupted(process).strip() == ""


def test_a_wait_before_it_is_asked_again_holds_up_nobody(tmp_path: Path) -> None:
    with (
        proxied(NOWHERE, always(failing(429, "60"))) as proxy,
        started(proxy.url, tmp_path / "kept", "usage") as process,
    ):
        while len(proxy.asked) < 3:
            time.sleep(0.02)
        time.sleep(0.2)
        assert "Traceback" not in interrupted(process)


def test_days_that_are_there_stay(database: Database, month: History, tmp_path: Path) -> None:
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(month.end_s - 86_400))
    verb = ("usage", "--days", "6", "--until", until)
    with proxied(database.url, from_request(40, slow(100))) as proxy:
        with started(proxy.url, tmp_path, *verb) as process:
            while len(proxy.asked) < 42:
                time.sleep(0.02)
            assert "Traceback" not in interrupted(process)
        kept = {path.name for path in tmp_path.glob("*.day")}
        assert 0 < len(kept) < 6
        proxy.script = ()
        with started(proxy.url, tmp_path, *verb) as process:
            assert process.wait(60) == 0
    assert len(list(tmp_path.glob("*.day"))) == 6
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]

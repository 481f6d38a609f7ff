"""Fixtures for every folder of tests: databases with a month in them, empty ones, and the month as a file.

A test that takes a database runs once with Prometheus and once with VictoriaMetrics. It skips where
`make servers` was not run; in CI (CI=true) it fails instead.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.databases import KINDS, Database, NotThere, backfill, check_there, running
from tests.servers.history import History, write_month


def need(kind: str) -> None:
    """Skip the test where this kind of database is not there; fail it in CI."""
    try:
        check_there(kind)
        return
    except NotThere as found:
        missing = str(found)
    if os.environ.get("CI", "").lower() in ("", "0", "false"):
        pytest.skip(missing)
    pytest.fail(f"CI skips nothing: {missing}", pytrace=False)


@pytest.fixture(scope="session")
def servers_folder() -> Iterator[Path]:
    """A folder for all databases of the session; removed at its end (pytest would keep three of them)."""
    with tempfile.TemporaryDirectory(prefix="stellwerk-servers-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def month(servers_folder: Path) -> History:
    """30 days of mittelstand until the last midnight of UTC, scraped every 30 s: a file of 283 MB."""
    return write_month(servers_folder / "month.prom")


@pytest.fixture(scope="session")
def with_month(servers_folder: Path, month: History) -> Iterator[Callable[[str], Database]]:
    """Gives the database of a kind with `month` in it; filled and started once in a session."""
    started: dict[str, Database] = {}
    with ExitStack() as stack:

        def serve(kind: str) -> Database:
            if kind not in started:
                folder = servers_folder / kind
                with month.path.open(encoding="utf-8") as lines:
                    assert backfill(kind, folder, lines) == month.samples
                started[kind] = stack.enter_context(running(kind, folder))
            return started[kind]

        yield serve


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """A running database of each kind with `month` in it. All tests share it: they read, and add nothing."""
    need(request.param)
    # Asked for only here: where the test skips, no month is made.
    serve: Callable[[str], Database] = request.getfixturevalue("with_month")
    return serve(request.param)


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A running database of each kind without a sample, for this test alone."""
    need(request.param)
    with running(request.param, tmp_path / request.param) as started:
        yield started

"""A database says what a file says: all that is read of lively days, sample for sample, in both spellings."""

import gzip
from pathlib import Path

import pytest
from msgspec.structs import replace

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.adapters.prometheus.endpoint import read_endpoint
from stellwerk.adapters.prometheus.fetch import Asked, fetch_metrics
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.engine.usage import Usage
from tests.servers.databases import KINDS, PROMETHEUS, backfill, running
from tests.servers.fixtures import need
from tests.servers.history import last_midnight_s
from tests.servers.lively import DAY_S, Days, Spelling, exposition, lively_days

SPELLINGS = (Spelling(), Spelling(honor_labels=False, hostname="hostname"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(1, 4))
def test_a_database_says_what_a_file_says(kind: str, seed: int, tmp_path: Path) -> None:
    need(kind)
    days = lively_days(seed, last_midnight_s() * 1000)
    file = tmp_path / "days.prom"
    with file.open("w") as out:
        out.writelines(f"{line}\n" for line in exposition(days, SPELLINGS[seed % 2]))
    with file.open() as lines:
        backfill(kind, tmp_path / kind, lines)
    with running(kind, tmp_path / kind) as database:
        found = fetched(database.url, days, tmp_path / "kept")
    assert_same(found, load_usage([str(file)]).usage, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_scrapes_of_both_kinds_in_one_database_lose_no_pod(kind: str, tmp_path: Path) -> None:
    need(kind)
    days = [lively_days(seed, last_midnight_s() * 1000) for seed in (4, 5)]
    parts = [list(exposition(each, spelling)) for each, spelling in zip(days, SPELLINGS, strict=True)]
    for old, new in OTHERS.items():
        parts[1] = [line.replace(old, new) for line in parts[1]]
    files = [tmp_path / f"{name}.prom.gz" for name in ("honored", "renamed", "both")]
    lines = sorted((*parts[0], *parts[1]), key=lambda line: int(line.rpartition(" ")[2]))
    for file, content in zip(files, (*parts, lines), strict=True):
        file.write_bytes(gzip.compress("".join(f"{line}\n" for line in content).encode(), 1))
    backfill(kind, tmp_path / kind, lines)
    with running(kind, tmp_path / kind) as database:
        found = fetched(database.url, days[0], tmp_path / "kept")
    one, other, both = (load_usage([str(file)]).usage for file in files)
    assert {pod.name for pod in both.pods} == {pod.name for pod in (*one.pods, *other.pods)}
    assert_same(found, both, kind)


OTHERS = {
    '"GPU-': '"GPU-x',
    '"gpu-': '"two-',
    '"pod-': '"other-',
    '"job.': '"task.',
    '"uid-': '"uid-x',
    '"run-': '"walk-',
    '"web-': '"net-',
    'cluster_queue="': 'cluster_queue="two-',
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_waited_on_a_day_without_gpus_counts_as_in_a_file(kind: str, tmp_path: Path) -> None:
    need(kind)
    days = lively_days(6, last_midnight_s() * 1000)
    second_day_ms = days.start_ms + DAY_S * 1000
    file = tmp_path / "days.prom"
    with file.open("w") as out:
        for line in exposition(days, Spelling()):
            if not line.startswith("DCGM_") or int(line.rpartition(" ")[2]) >= second_day_ms:
                out.write(f"{line}\n")
    with file.open() as lines:
        backfill(kind, tmp_path / kind, lines)
    with running(kind, tmp_path / kind) as database:
        found = fetched(database.url, days, tmp_path / "kept")
    [short] = [warning for warning in found.warnings if warning.code == "history-short"]
    assert short.values["things"] == 1
    expected = load_usage([str(file)]).usage
    assert any(start < second_day_ms for start, _ in expected.cluster.pending)
    rest = tuple(warning for warning in found.warnings if warning != short)
    assert_same(replace(found, warnings=rest), expected, kind)


def fetched(url: str, days: Days, folder: Path) -> Usage:
    """What a database has of the days."""
    asked = Asked(period=Stretch(days.start_ms, days.end_ms), now_ms=days.end_ms, folder=folder)
    path, _ = fetch_metrics(read_endpoint(url), asked, lambda *_: None, pytest.fail)
    return load_usage([str(path)]).usage


def assert_same(found: Usage, expected: Usage, kind: str) -> None:
    """Equal, part by part, so that a failure is short. VictoriaMetrics keeps no NaN, so it tells of none."""
    lost = () if kind == PROMETHEUS else ("sample-blank",)
    for usage in (found, expected):
        assert usage.pods and usage.cluster.pending and usage.holes
    assert [str(w) for w in found.warnings] == [str(w) for w in expected.warnings if w.code not in lost]
    assert found.cluster == expected.cluster
    for one, other in zip(found.pods, expected.pods, strict=True):
        assert replace(one, series={}) == replace(other, series={})
    for each, twin in zip((*found.devices, *found.pods), (*expected.devices, *expected.pods), strict=True):
        assert each.series == twin.series
    assert replace(found, warnings=()) == replace(expected, warnings=())

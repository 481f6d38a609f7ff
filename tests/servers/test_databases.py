"""Both databases start, hold what was put in, sample for sample, and scrape what is alive."""

import http.server
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.databases import (
    KINDS,
    PROMETHEUS,
    VICTORIAMETRICS,
    Database,
    NotThere,
    backfill,
    check_there,
    openmetrics,
    program,
    running,
    scraping,
)
from tests.servers.fixtures import need
from tests.servers.history import History, last_midnight_s


def until_seen(database: Database, expression: str, wanted: float, patience_s: float = 90) -> float | None:
    """Ask again until the value is at least `wanted`; gives the last value."""
    until = time.monotonic() + patience_s
    while True:
        found = database.value(expression, time.time())
        if (found is not None and found >= wanted) or time.monotonic() > until:
            return found
        time.sleep(0.5)


def test_a_month_is_there_sample_for_sample(database: Database, month: History) -> None:
    with month.path.open(encoding="utf-8") as lines:
        written = Counter(line[: line.index("{")] for line in lines)
    assert sum(written.values()) == month.samples == 1_982_400
    for name, samples in written.items():
        # One second before the end: Prometheus 2 counts both ends of a range, VictoriaMetrics only the last.
        found = database.value(f"sum(count_over_time({name}[{month.period_s}s]))", month.end_s - 1)
        assert found == samples, name
    of_one = f'DCGM_FI_DEV_FB_USED{{Hostname="server-0",gpu="1"}}[{month.period_s}s]'
    assert database.value(f"sum(count_over_time({of_one}))", month.end_s - 1) == month.scrapes


def test_a_value_and_its_labels_are_those_of_the_file(database: Database, month: History) -> None:
    with month.path.open(encoding="utf-8") as lines:
        wanted = [line for line in lines if line.startswith("DCGM_FI_DEV_FB_USED{")][:400]
    for line in wanted[::37]:
        series, value, stamp = line.rsplit(" ", 2)
        assert database.value(series, int(stamp) / 1000) == float(value)


def test_an_empty_database_has_nothing(empty_database: Database) -> None:
    assert empty_database.value("sum(up)", time.time()) is None
    assert empty_database.get("labels") == []


@pytest.mark.parametrize("kind", KINDS)
def test_milliseconds_and_values_that_are_no_numbers_survive(kind: str, tmp_path: Path) -> None:
    need(kind)
    start_ms = last_midnight_s() * 1000 - 3_600_000
    stamps = [start_ms + at * 1000 + odd for at, odd in enumerate((0, 1, 3, 29, 57, 123, 500, 999))]
    lines = ["# HELP a what is it", "# TYPE a gauge"]
    lines += [f'a{{b="x y"}} {number}.5 {stamp}' for number, stamp in enumerate(stamps)]
    lines += [f"not_finite +Inf {start_ms}"]
    folder = tmp_path / "data"
    assert backfill(kind, folder, lines) == len(stamps) + 1
    with running(kind, folder) as database:
        [found] = database.samples("a", start_ms / 1000 + 10, "1h")
        assert found["metric"] == {"__name__": "a", "b": "x y"}
        assert [round(stamp * 1000) for stamp, _ in found["values"]] == stamps
        assert [float(value) for _, value in found["values"]] == [n + 0.5 for n in range(len(stamps))]
        assert database.value("not_finite", start_ms / 1000 + 1) == float("inf")


def test_a_database_that_was_stopped_serves_the_same_again(tmp_path: Path) -> None:
    for kind in KINDS:
        need(kind)
        backfill(kind, tmp_path / kind, [f"a 1 {last_midnight_s() * 1000}"])
        for _ in range(2):
            with running(kind, tmp_path / kind) as database:
                assert database.value("a", last_midnight_s() + 1) == 1


def test_ten_years_are_kept(tmp_path: Path) -> None:
    old_ms = (last_midnight_s() - 9 * 365 * 24 * 3600) * 1000
    for kind in KINDS:
        need(kind)
        backfill(kind, tmp_path / kind, [f"a 1 {old_ms}"])
        with running(kind, tmp_path / kind) as database:
            assert database.value("a", old_ms / 1000 + 1) == 1, kind


def test_samples_are_added_to_a_running_victoriametrics(tmp_path: Path) -> None:
    need(VICTORIAMETRICS)
    at_s = last_midnight_s() - 60
    with running(VICTORIAMETRICS, tmp_path) as database:
        for value in (1, 2):
            database.add([f"a {value} {(at_s + value) * 1000}"])
            assert database.value("a", at_s + value) == value


class Exporter(http.server.BaseHTTPRequestHandler):
    """A GPU whose use grows by one with each scrape."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = f'DCGM_FI_DEV_GPU_UTIL{{gpu="0"}} {self.asked}\n'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def exporter() -> Iterator[str]:
    served = type("Served", (Exporter,), {"asked": 0})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("kind", KINDS)
def test_a_target_is_scraped_every_second(kind: str, tmp_path: Path) -> None:
    need(kind)
    with exporter() as target, running(kind, tmp_path, scraping(target)) as database:
        assert (until_seen(database, "DCGM_FI_DEV_GPU_UTIL", 4) or 0) >= 4
        [found] = database.samples("DCGM_FI_DEV_GPU_UTIL", time.time() + 5, "5m")
    assert found["metric"]["job"] == "stellwerk" and found["metric"]["instance"] == target
    values = [float(value) for _, value in found["values"]]
    assert len(values) >= 4 and values == sorted(set(values))


def test_a_refusal_is_told_in_the_databases_own_words(empty_database: Database) -> None:
    with pytest.raises(RuntimeError, match=f"{empty_database.kind}: .*parse"):
        empty_database.get("query", query="sum(")


def test_a_wrong_flag_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    for kind in KINDS:
        need(kind)
        with (
            pytest.raises(RuntimeError, match=r"(?s)does not get ready.*no-such-flag"),
            running(kind, tmp_path / kind, arguments=["--no-such-flag"]),
        ):
            pass


def test_what_is_missing_is_named_with_what_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STELLWERK_SERVERS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotThere, match=r"^promtool is neither in .* nor in PATH: make servers brings it$"):
        program("promtool")
    with pytest.raises(NotThere, match=r"^prometheus is"):
        check_there(PROMETHEUS)
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="make servers"):
        need(VICTORIAMETRICS)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI skips nothing: victoria-metrics is"):
        need(VICTORIAMETRICS)


def test_a_timestamp_in_seconds_falls_on_its_millisecond() -> None:
    for ms in range(1_793_577_600_000, 1_793_577_602_000):
        seconds = openmetrics(f"a 1 {ms}").split()[2]
        assert int(float(seconds) * 1000) == ms

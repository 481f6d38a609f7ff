"""`stellwerk watch` on running databases: only changes, over restarts, faults and midnights."""

import gc
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stellwerk.adapters.metrics.days import ReadDays
from stellwerk.adapters.metrics.load import load_usage
from stellwerk.adapters.prometheus.endpoint import Patience, read_endpoint
from stellwerk.adapters.prometheus.fetch import Asked, fetch_metrics
from stellwerk.adapters.prometheus.queries import Stretch
from stellwerk.cli.advice.watch import Rounds
from stellwerk.cli.main import main
from stellwerk.report.advice.watching import WatchArguments, Watcher
from tests.servers.databases import KINDS, VICTORIAMETRICS, Database, backfill, running, scraping
from tests.servers.faults import Json, edited, partial, slow
from tests.servers.fixtures import need
from tests.servers.history import last_midnight_s
from tests.servers.proxy import always, proxied

ROOT = Path(__file__).parents[2]
DAY_S, HOUR_S, STEP_S = 86_400, 3600, 60
# The day that rounds play in: VictoriaMetrics takes no future.
TODAY_S = last_midnight_s() - 2 * DAY_S
FLEET = "4xscaleway/H100-1-80G"
QUICK = Patience(timeout_s=20, tries=2, first_wait_s=0.01)
LIGHT, HEAVY = 8_000, 60_000


def pod_lines(pod: str, gpu: int, start_s: int, end_s: int, memory_mib: int = LIGHT) -> Iterator[str]:
    """A pod alone on a GPU, scraped each minute in [start, end): 10 % of the SMs."""
    labels = f'gpu="{gpu}",UUID="GPU-{gpu}",Hostname="n0",modelName="NVIDIA H100 PCIe",'
    labels += f'namespace="team",pod="{pod}",container="main"'
    for at in range(start_s, end_s, STEP_S):
        yield f"DCGM_FI_PROF_SM_ACTIVE{{{labels}}} 0.1 {at * 1000}"
        yield f"DCGM_FI_DEV_FB_USED{{{labels}}} {memory_mib} {at * 1000}"


def two_days() -> Iterator[str]:
    """`old` ran the day before yesterday only, `chat` since then."""
    yield from pod_lines("old", 1, TODAY_S - 2 * DAY_S, TODAY_S - DAY_S)
    yield from pod_lines("chat", 0, TODAY_S - 2 * DAY_S, TODAY_S + HOUR_S)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Database]:
    """A VictoriaMetrics with two_days in it, which takes more."""
    need(VICTORIAMETRICS)
    with running(VICTORIAMETRICS, tmp_path / "database") as database:
        database.add(two_days())
        yield database


def rounds_on(url: str, folder: Path, **given: Any) -> Rounds:
    endpoint = replace(read_endpoint(url), patience=QUICK)
    options: dict[str, Any] = {
        "days": 2,
        "fleet": FLEET,
        "rates": (),
        "headroom": 10,
        "state": None,
        "after": 2,
        "threshold": 5,
        "output": "json",
        **given,
    }
    watcher = Watcher(endpoint, WatchArguments(fleet=FLEET, folder=folder))
    return Rounds(watcher, options, "en", False)


class Told:
    """What each round printed, as JSON."""

    def __init__(self, rounds: Rounds, capsys: pytest.CaptureFixture[str]) -> None:
        self.rounds, self._capsys = rounds, capsys
        capsys.readouterr()

    def at(self, second: int) -> list[dict[str, Any]]:
        self.rounds.ask((TODAY_S + second) * 1000)
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


def short(lines: list[dict[str, Any]]) -> list[str]:
    """`added team/chat`, `warning CODE state`, `total`; the warnings of what the series lack left out."""
    found = []
    for line in lines:
        if line["type"] == "warning":
            code = line["warning"]["code"]
            if not code.endswith("-missing"):
                found.append(f"warning {code} {line['state']}")
        else:
            found.append(f"{line['type']} {line.get('workload', '')}".strip())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_round_is_what_advise_says(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need(kind)
    backfill(kind, tmp_path / kind, two_days())
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(TODAY_S + HOUR_S))
    with running(kind, tmp_path / kind) as database:
        lines = Told(rounds_on(database.url, tmp_path / "kept"), capsys).at(HOUR_S)
        place = [
            "--prometheus",
            database.url,
            "--until",
            until,
            "--days",
            "2",
            "--save",
            str(tmp_path / "kept"),
        ]
        with pytest.raises(SystemExit) as ended:
            main(["advise", *place, "--days", "2", "--fleet", FLEET, "-o", "json"])
    assert not ended.value.code
    said = json.loads(capsys.readouterr().out)
    assert [line["after"] for line in lines if line["type"] == "added"] == said["workloads"]
    assert [line["warning"] for line in lines if line["type"] == "warning"] == said["warnings"]
    [total] = [line for line in lines if line["type"] == "total"]
    assert total["after"]["savingMonth"] == said["savingMonth"] and total["before"] is None
    assert total["time"] == until and all(line["doubts"] == [] for line in lines)
    assert said["workloads"][0]["verdict"] == "mig"


@pytest.mark.parametrize("kind", KINDS)
def test_days_that_are_kept_in_memory_say_what_their_files_say(kind: str, tmp_path: Path) -> None:
    need(kind)
    backfill(kind, tmp_path / kind, two_days())
    days, bounded = ReadDays(), ReadDays(most=6_000)
    with running(kind, tmp_path / kind) as database:
        for read, second in ((3, HOUR_S // 2), (4, HOUR_S)):
            period = Stretch((TODAY_S - 2 * DAY_S) * 1000, (TODAY_S + second) * 1000)
            asked = Asked(period=period, now_ms=period.end_ms, folder=tmp_path / "kept")
            path, found = fetch_metrics(
                read_endpoint(database.url), asked, lambda *_a, **_b: None, lambda _words: None
            )
            assert days.usage(path, found) == load_usage((str(path),)).usage
            # The second time only the day that is not over is read.
            assert days.read == read
            assert bounded.usage(path, found) == days.usage(path, found)
    # The first day has 5,760 samples: there is no room for the second, which is read again.
    assert bounded.read == 3 + 2


def test_a_workload_that_comes_and_a_verdict_that_turns_are_told_once_they_held(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(rounds_on(small.url, tmp_path / "kept"), capsys)
    assert short(told.at(HOUR_S)) == ["added team/chat", "added team/old", "total"]
    assert short(told.at(HOUR_S)) == []
    small.add(pod_lines("new", 2, TODAY_S + HOUR_S, TODAY_S + 2 * HOUR_S))
    small.add(pod_lines("chat", 0, TODAY_S + HOUR_S, TODAY_S + 2 * HOUR_S, HEAVY))
    assert short(told.at(2 * HOUR_S)) == []
    lines = told.at(2 * HOUR_S + 300)
    assert short(lines)[:2] == ["changed team/chat", "added team/new"]
    changed = lines[0]
    assert (changed["before"]["verdict"], changed["after"]["verdict"]) == ("mig", "whole")
    assert [reason["code"] for reason in changed["reasons"]] == ["MemoryAboveSlice"]
    assert changed["what"][0] == "verdict" and changed["currency"] == "EUR"
    assert changed["after"]["profile"]["memoryBytes"]["max"] == HEAVY * 1024**2
    assert short(told.at(2 * HOUR_S + 600)) == []


def test_a_table_has_a_line_a_change_in_the_readers_language(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds = rounds_on(small.url, tmp_path / "kept", output="table")
    rounds._lang = "de"
    rounds.ask((TODAY_S + HOUR_S) * 1000)
    lines = capsys.readouterr().out.splitlines()
    [chat] = [line for line in lines if "team/chat" in line and "neu:" in line]
    assert (
        "01:00 UTC  neu: team/chat: MIG 1g.10gb, 1.831 EUR im Monat weniger: " in chat
        and "die Speicherspitze füllt" in chat
    )


def test_at_midnight_what_only_the_oldest_day_had_is_removed_and_nothing_else(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(rounds_on(small.url, tmp_path / "kept", after=1), capsys)
    small.add(pod_lines("chat", 0, TODAY_S + HOUR_S, TODAY_S + DAY_S + HOUR_S))
    told.at(DAY_S - 300)
    # Until an hour after midnight yesterday is fetched whole again: samples may come late.
    for second in (DAY_S, DAY_S + 60, DAY_S + HOUR_S):
        lines = told.at(second)
        gone = [line for line in lines if line["type"] == "removed"]
        assert all(line["doubts"] == [] for line in lines)
        # Without its neighbor the other one may save less; it is there all the time.
        others = {line["type"] for line in lines if line.get("workload") == "team/chat"}
        assert others <= {"changed"}
        if second == DAY_S:
            assert short(gone) == ["removed team/old"]
            assert [reason["code"] for reason in gone[0]["reasons"]] == ["LeftPeriod"]
            assert gone[0]["after"] is None and gone[0]["before"]["name"] == "team/old"
        else:
            assert gone == []


def nothing_left(body: Json) -> None:
    """What a database that lost its data says: no series, and a count of 0."""
    found = body["data"]["result"] if isinstance(body.get("data"), dict) else []
    counts = [series for series in found if series["metric"] == {} and "value" in series]
    for series in counts:
        series["value"][1] = "0"
    if isinstance(body.get("data"), dict):
        body["data"]["result"] = counts


def test_an_answer_without_anything_ends_no_workload(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.add(pod_lines("young", 2, TODAY_S, TODAY_S + HOUR_S))
    with proxied(small.url) as proxy:
        told = Told(rounds_on(proxy.url, tmp_path / "kept", after=1), capsys)
        assert "added team/young" in short(told.at(HOUR_S))
        proxy.script = always(edited(nothing_left))
        lines = told.at(HOUR_S + 300)
        assert {
            "warning history-short appeared",
            "warning answer-shorter appeared",
            "warning workloads-lost appeared",
        } <= set(short(lines))
        assert not {"removed", "added"} & {line["type"] for line in lines}
        assert all(line["doubts"] == ["answer-shorter", "workloads-lost"] for line in lines)
        proxy.script = ()
        back = short(told.at(HOUR_S + 600))
        assert "warning workloads-lost gone" in back and "warning answer-shorter gone" in back
        assert not [line for line in back if line.startswith(("added", "removed"))]


def test_a_whole_period_without_anything_is_no_answer(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with proxied(small.url) as proxy:
        told = Told(rounds_on(proxy.url, tmp_path / "kept"), capsys)
        told.at(HOUR_S)
        proxy.script = always(edited(nothing_left))
        for kept in (tmp_path / "kept").glob("*.gz"):
            kept.unlink()
        [line] = told.at(HOUR_S + 300)
        assert line["type"] == "unreachable" and line["reason"]["code"] == "Unusable"
        proxy.script = ()
        assert short(told.at(HOUR_S + 600)) == ["recovered"]


def test_a_partial_answer_has_its_warning_before_what_is_told_of_it(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with proxied(small.url, always(partial())) as proxy:
        lines = Told(rounds_on(proxy.url, tmp_path / "kept"), capsys).at(HOUR_S)
    assert "warning answer-partial appeared" in short(lines)
    types = [line["type"] for line in lines]
    assert types.index("added") > max(at for at, each in enumerate(types) if each == "warning")
    assert all("answer-partial" in line["doubts"] for line in lines)


def test_a_database_that_is_away_is_told_once_and_that_it_came_back(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with proxied(small.url) as proxy:
        told = Told(rounds_on(proxy.url, tmp_path / "kept"), capsys)
        told.at(HOUR_S)
        proxy.vanish()
        [line] = told.at(HOUR_S + 300)
        assert line["type"] == "unreachable" and line["reason"]["code"] == "Unreachable"
        assert "does not answer" in line["reason"]["text"] and line["next"]
        assert told.at(HOUR_S + 400) == [] and told.at(HOUR_S + 500) == []
        proxy.come_back()
        assert [(each["type"], each["failed"]) for each in told.at(HOUR_S + 600)] == [("recovered", 3)]
        assert told.at(HOUR_S + 900) == []


def test_once_without_an_answer_is_exit_code_3(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    # Port 9 of loopback (discard) listens nowhere here.
    arguments = ["--prometheus", "http://127.0.0.1:9", "--once", "--save", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(["watch", *arguments])
    assert ended.value.code == 3
    assert "127.0.0.1:9 does not answer" in capsys.readouterr().err


def test_a_clock_that_goes_back_ends_no_workload(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(rounds_on(small.url, tmp_path / "kept", after=1), capsys)
    small.add(pod_lines("young", 2, TODAY_S, TODAY_S + HOUR_S))
    told.at(HOUR_S)
    lines = told.at(-HOUR_S)
    assert "warning clock-set-back appeared" in short(lines)
    assert not {"removed", "added"} & {line["type"] for line in lines}


def test_a_restart_goes_on_where_the_last_run_ended(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = str(tmp_path / "state.json")

    def restarted(second: int) -> list[str]:
        return short(Told(rounds_on(small.url, tmp_path / "kept", state=state), capsys).at(second))

    assert "added team/chat" in restarted(HOUR_S)
    assert restarted(HOUR_S + 300) == []
    small.add(pod_lines("new", 2, TODAY_S + HOUR_S, TODAY_S + 2 * HOUR_S))
    assert restarted(2 * HOUR_S) == []
    assert restarted(2 * HOUR_S + 300)[0] == "added team/new"
    assert restarted(2 * HOUR_S + 600) == []


def test_a_state_of_other_options_or_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"apiVersion":"stellwerk.dev/v1alpha1","kind":"WatchState","asked":{},"told":{}}')
    arguments = ["watch", "--prometheus", "http://127.0.0.1:9", "--once", "--state", str(state)]
    for content, words in (
        (None, 'was written with --prometheus ""'),
        ("[1]", "is no state of stellwerk watch"),
    ):
        if content is not None:
            state.write_text(content)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2 and words in capsys.readouterr().err


def test_thirty_rounds_take_no_more_memory_and_leave_no_more_files(
    small: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(rounds_on(small.url, tmp_path / "kept"), capsys)

    def used() -> tuple[int, int]:
        gc.collect()
        return sys.getallocatedblocks(), int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    for at in range(10):
        told.at(HOUR_S + at * 60)
    files = len(list((tmp_path / "kept").iterdir()))
    blocks, resident = used()
    for at in range(10, 40):
        assert told.at(HOUR_S + at * 60) == []
    later_blocks, later_resident = used()
    assert later_blocks < blocks * 1.01
    assert later_resident < resident + (8 << 20)
    assert len(list((tmp_path / "kept").iterdir())) == files
    told.rounds.watcher.forget()
    assert sorted(each.name for each in (tmp_path / "kept").iterdir()) == [
        *(
            time.strftime(f"%Y-%m-%d.{end}", time.gmtime(TODAY_S - days * DAY_S))
            for days in (2, 1)
            for end in ("day", "jsonl.gz")
        ),
        "database.origin",
    ]


def watch_process(url: str, folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "stellwerk", "watch", "--prometheus", url, "--save", str(folder)]
    return subprocess.Popen(
        [*command, "--days", "6", "--every", "1s", "-o", "json", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_exit_code_0(small: Database, tmp_path: Path, number: int) -> None:
    with watch_process(small.url, tmp_path / "kept") as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["type"] == "warning"
        process.send_signal(number)
        rest, errors = process.stdout.read(), process.stderr.read()
        assert process.wait(10) == 0
    assert all(json.loads(line) for line in rest.splitlines()), "lines are whole"
    assert "Traceback" not in errors
    assert not list((tmp_path / "kept").glob("*.fetched"))


def test_a_signal_while_the_database_hangs_ends_it_soon(small: Database, tmp_path: Path) -> None:
    with (
        proxied(small.url, always(slow(30))) as proxy,
        watch_process(proxy.url, tmp_path / "kept") as process,
    ):
        while not proxy.asked:
            time.sleep(0.1)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert time.monotonic() - began < 10


def test_a_watch_that_runs_says_on_stderr_that_the_database_went_and_came_back(
    small: Database, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    with proxied(small.url) as proxy, watch_process(proxy.url, kept, "-o", "table") as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "all together" in line:
                break
        proxy.vanish()
        away = next(line for line in process.stderr if "days" not in line)
        assert "unreachable, tried again: http://127.0.0.1" in away
        proxy.come_back()
        assert "recovered; rounds that failed: 1\n" in next(process.stderr)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "" and process.wait(10) == 0


def test_a_reader_that_has_seen_enough_is_no_error(small: Database, tmp_path: Path) -> None:
    with watch_process(small.url, tmp_path / "kept") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        # What changes next finds nobody.
        small.add(pod_lines("new", 2, last_midnight_s() - HOUR_S, last_midnight_s()))
        errors = process.stderr.read()
        assert process.wait(60) == 0 and "Traceback" not in errors


class Exporter(http.server.BaseHTTPRequestHandler):
    """The GPUs as they are now: `text` is set from outside."""

    text = ""

    def do_GET(self) -> None:
        body = self.text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def now_lines(*pods: str) -> str:
    """A scrape without times."""
    lines = [line for gpu, pod in enumerate(pods) for line in pod_lines(pod, gpu, 0, STEP_S)]
    return "".join(f"{line.rsplit(' ', 1)[0]}\n" for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_that_starts_is_told_by_a_live_scrape(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need(kind)
    served = type("Served", (Exporter,), {"text": now_lines("first")})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        config = scraping(f"127.0.0.1:{server.server_port}")
        with running(kind, tmp_path / kind, config) as database:
            rounds = rounds_on(database.url, tmp_path / "kept", after=1, days=1)
            seen = _until(database, rounds, capsys, "team/first")
            served.text = now_lines("first", "second")  # type: ignore[attr-defined]
            seen += _until(database, rounds, capsys, "team/second")
        server.shutdown()
    assert [line for line in short(seen) if line.startswith("added")] == [
        "added team/first",
        "added team/second",
    ]


def _until(
    database: Database, rounds: Rounds, capsys: pytest.CaptureFixture[str], workload: str
) -> list[dict[str, Any]]:
    """Rounds, until this workload is told; each asks up to the end of the minute that is going on."""
    pod = workload.rpartition("/")[2]
    until = time.monotonic() + 60
    while not database.value(f'count(DCGM_FI_DEV_FB_USED{{exported_pod="{pod}"}})', time.time()):
        if database.value(f'count(DCGM_FI_DEV_FB_USED{{pod="{pod}"}})', time.time()):
            break
        assert time.monotonic() < until, "nothing was scraped"
        time.sleep(0.3)
    found: list[dict[str, Any]] = []
    while time.monotonic() < until:
        rounds.ask(time.time_ns() // 1_000_000 + 60_000)
        found += [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        if any(line.get("workload") == workload for line in found):
            return found
    return found

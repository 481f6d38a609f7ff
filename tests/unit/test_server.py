"""The page over HTTP: states, files, headers, ports and stopping."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import httpx
import pytest
from msgspec.structs import replace
from starlette.applications import Starlette

from stellwerk.adapters.metrics.family import Metric, Sample, families
from stellwerk.api.errors import InvalidInput, Unreachable
from stellwerk.report.exposed.replay import exposed
from stellwerk.report.view import PageView, Progress
from stellwerk.server.page import create_app
from stellwerk.server.serve import TRIES, bind
from tests.unit import report_sample as sample

RUNNING = PageView(title="demo", state="running", progress=Progress(2, 6, "mps"))


def request(
    app: Starlette, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(send())


def ask_page(
    view: PageView, path: str, files: dict[str, bytes] | None = None, method: str = "GET"
) -> httpx.Response:
    return request(create_app(lambda: view, (files or {}).get, "en"), path, method)


def test_the_page_answers_while_nothing_is_known_yet_and_loads_again() -> None:
    answer = ask_page(RUNNING, "/")
    assert answer.status_code == 200
    assert 'data-state="running"' in answer.text and 'http-equiv="refresh"' in answer.text
    assert "2 of 6: mps" in answer.text


def test_the_page_fills_with_the_policies_that_have_run() -> None:
    full = sample.replay()
    answer = ask_page(replace(RUNNING, replay=replace(full, outcomes=full.outcomes[:2])), "/")
    assert "time-slicing" in answer.text and "mig-chosen" not in answer.text


def test_the_finished_page_stands_still() -> None:
    answer = ask_page(PageView(title="demo", state="done", replay=sample.replay()), "/")
    assert 'data-state="done"' in answer.text and 'http-equiv="refresh"' not in answer.text


def test_a_failed_run_says_why() -> None:
    answer = ask_page(PageView(title="demo", state="failed", error="fleet.yaml: <no> GPUs"), "/")
    assert 'data-state="failed"' in answer.text and "fleet.yaml: &lt;no&gt; GPUs" in answer.text


def test_nothing_may_be_loaded_from_elsewhere() -> None:
    headers = ask_page(RUNNING, "/").headers
    assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["report.html", "receipt.json", "result.json"])
def test_a_file_is_there_when_it_is_written_and_not_before(name: str) -> None:
    assert ask_page(RUNNING, f"/{name}").status_code == 404
    answer = ask_page(RUNNING, f"/{name}", {name: b"bytes"})
    assert (answer.status_code, answer.content) == (200, b"bytes")


def test_an_unknown_path_and_a_wrong_method_are_plain_text() -> None:
    for answer, status in (
        (ask_page(RUNNING, "/etc/passwd"), 404),
        (ask_page(RUNNING, "/", method="POST"), 405),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/plain")
        assert "<" not in answer.text


def test_an_error_of_ours_shows_no_traceback_and_is_told_in_one_line() -> None:
    def broken() -> PageView:
        raise RuntimeError("secret\nand more")

    told: list[str] = []
    app = create_app(broken, lambda name: None, "en", tell=told.append)
    answer = request(app, "/")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert told == ["/ was answered with 500, by a mistake of Stellwerk's own: RuntimeError: secret and more"]


def test_health_is_one_word() -> None:
    assert ask_page(RUNNING, "/healthz").text == "ok\n"


def test_metrics_are_text_in_the_form_that_is_asked_for() -> None:
    metric = Metric(name="a_total", kind="counter", labels=("b",), help="x")
    told = families([Sample("a_total", (("b", "1"),), 2)], [metric])
    app = create_app(lambda: RUNNING, lambda name: None, "en", lambda: told)
    plain = request(app, "/metrics")
    assert plain.status_code == 200 and 'a_total{b="1"} 2.0\n' in plain.text
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.headers["cache-control"] == "no-store"
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    asked = request(app, "/metrics", headers=accept)
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.text.endswith("# EOF\n") and "# TYPE a counter" in asked.text


@pytest.mark.parametrize("state", ["running", "done", "failed"])
def test_metrics_answer_in_every_state_of_the_replay(state: Literal["running", "done", "failed"]) -> None:
    view = PageView(title="demo", state=state)
    app = create_app(lambda: view, lambda name: None, "en", lambda: exposed(view, None))
    answer = request(app, "/metrics")
    assert answer.status_code == 200
    assert f"stellwerk_replay_done {float(state == 'done')}\n" in answer.text


def test_a_taken_port_moves_to_the_next_free_one() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] < port + TRIES


def test_no_free_port_is_an_error_with_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stellwerk.server.serve.TRIES", 1)
    with bind("127.0.0.1", 0) as first, pytest.raises(Unreachable, match="no port from") as caught:
        bind("127.0.0.1", first.getsockname()[1])
    assert "--port" in caught.value.fix


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_bad_input(host: str) -> None:
    with pytest.raises(InvalidInput, match=r"is no address of this machine|cannot be listened on") as caught:
        bind(host, 8765)
    assert host in str(caught.value) and "--host" in caught.value.fix


@pytest.mark.parametrize("host", ["", "none.invalid", "[::1]", "a b", "x" * 300, "dä..com", "1.2.3.4.5"])
def test_what_is_no_address_is_bad_input(host: str) -> None:
    with pytest.raises(InvalidInput, match="is no address"):
        bind(host, 8765)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on every port")
def test_a_port_for_root_is_not_a_taken_one() -> None:
    with pytest.raises(InvalidInput, match="may not be listened on by this user"):
        bind("127.0.0.1", 1)


@pytest.mark.parametrize(("host", "open"), [("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)])
def test_up_says_when_others_can_reach_it(host: str, open: bool, tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "stellwerk", "up", "--no-size", "--policy", "whole", "--lang", "en"]
    pipes = subprocess.PIPE
    asked = [*command, "--host", host, "--port", str(port)]
    with subprocess.Popen(asked, stdout=pipes, stderr=pipes, text=True, cwd=tmp_path) as process:
        assert process.stdout
        url = process.stdout.readline().split("report: ")[1].split()[0]
        assert url.startswith(f"http://{host}:")
        with connect(url.replace("0.0.0.0", "127.0.0.1")):
            process.terminate()
        _, said = process.communicate(timeout=10)
    assert ("no password is asked for" in said) == open


SERVER = textwrap.dedent(
    """
    from stellwerk.report.view import PageView
    from stellwerk.server.page import create_app
    from stellwerk.server.serve import serve
    view = PageView(title="demo", state="running")
    app = create_app(lambda: view, lambda name: None, "en")
    serve(app, port={port}, announce=lambda l: print(l.url, l.moved, l.open, flush=True))
    print("ended", flush=True)
    """
)


@contextmanager
def running(folder: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    script = folder / "server.py"
    script.write_text(SERVER.format(port=port))
    pipes = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdout=pipes, stderr=pipes, text=True) as process:
        yield process
        process.kill()


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    connection = socket.create_connection((host, int(port)), timeout=5)
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    return connection


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_announces_where_it_listens_and_a_signal_ends_it_quietly_within_two_seconds(
    stop: signal.Signals, tmp_path: Path
) -> None:
    with bind("127.0.0.1", 0) as taken, running(tmp_path, taken.getsockname()[1]) as process:
        assert process.stdout and process.stderr
        url, moved, beyond = process.stdout.readline().split()
        assert (moved, beyond) == ("True", "False")
        # A browser keeps its connection open; it must not hold the server.
        with connect(url):
            process.send_signal(stop)
            begin = time.monotonic()
            out, err = process.communicate(timeout=10)
        assert time.monotonic() - begin < 2.5
        assert (out, err, process.returncode) == ("ended\n", "", 0)

"""Prometheus and VictoriaMetrics (single node) on loopback, with history put in; `make servers` brings them.

`backfill(kind, folder, lines)` fills a data folder, `running(kind, folder)` serves it until the block ends.
Tests take the fixtures of tests/servers/fixtures.py, which do both.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct

PROMETHEUS, VICTORIAMETRICS = "prometheus", "victoriametrics"
KINDS = (PROMETHEUS, VICTORIAMETRICS)
PROGRAMS = {PROMETHEUS: ("prometheus", "promtool"), VICTORIAMETRICS: ("victoria-metrics",)}
# Much longer than either takes: the machine may be busy.
PATIENCE_S = 120
LINES_PER_IMPORT = 100_000


class NotThere(Exception):
    """A program is missing; the text says which, and what brings it."""


class Database(Struct, frozen=True):
    """A running database. `url` is what a user types (http://127.0.0.1:PORT), its API is below /api/v1."""

    kind: str
    url: str
    folder: Path
    log: Path

    def get(self, path: str, **parameters: str | int | float) -> Any:
        """The `data` of an answer of the API (`path`: query, query_range, series, labels, ...).

        Raises RuntimeError with the database's own words where it refuses.
        """
        answer = self.call("GET", f"/api/v1/{path}", params=parameters)
        body = json.loads(answer.text)
        if body["status"] != "success":
            raise RuntimeError(f"{self.kind}: {body['errorType']}: {body['error']}")
        return body["data"]

    def value(self, expression: str, at_s: float) -> float | None:
        """The one value of an instant query at a time (seconds since 1970); None where nothing is found."""
        found = self.get("query", query=expression, time=at_s)["result"]
        assert len(found) <= 1, f"{expression} has {len(found)} values"
        return float(found[0]["value"][1]) if found else None

    def samples(self, selector: str, end_s: float, span: str) -> list[dict[str, Any]]:
        """Raw samples of the series in (end - span, end]: `metric`, and `values` as [seconds, text]."""
        found = self.get("query", query=f"{selector}[{span}]", time=end_s)["result"]
        return sorted(found, key=lambda series: json.dumps(series["metric"], sort_keys=True))

    def add(self, lines: Iterable[str]) -> None:
        """Lines of exposition text with timestamps in ms, into a running VictoriaMetrics; seen at once."""
        assert self.kind == VICTORIAMETRICS, "a running Prometheus takes no history; see backfill"
        rest = iter(lines)
        while part := list(islice(rest, LINES_PER_IMPORT)):
            body = "".join(f"{line}\n" for line in part).encode()
            self.call("POST", "/api/v1/import/prometheus", content=body).raise_for_status()
        self.call("GET", "/internal/force_flush").raise_for_status()
        self.call("GET", "/internal/resetRollupResultCache").raise_for_status()

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request; proxies of the environment are not asked for loopback."""
        with httpx.Client(base_url=self.url, trust_env=False, timeout=PATIENCE_S) as client:
            return client.request(method, path, **options)


def kept() -> Path:
    """Where `make servers` puts the programs."""
    named = os.environ.get("STELLWERK_SERVERS")
    return Path(named) if named else _DEFAULT


def _default() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stellwerk" / "servers"


_DEFAULT = _default()  # Read once, since tests give Stellwerk a cache of its own.


def program(name: str) -> str:
    """The path of `prometheus`, `promtool` or `victoria-metrics`; raises NotThere."""
    found = shutil.which(name, path=str(kept())) or shutil.which(name)
    if found is None:
        raise NotThere(f"{name} is neither in {kept()} nor in PATH: make servers brings it")
    return found


def check_there(kind: str) -> None:
    """Raises NotThere where a program of this kind of database is missing."""
    for name in PROGRAMS[kind]:
        program(name)


def backfill(kind: str, folder: Path, lines: Iterable[str]) -> int:
    """Put history into a data folder that no database serves; gives the number of samples put in.

    `lines` is exposition text, each line with a timestamp in ms (`stellwerk.sim.observed.scrape.exposition`
    writes it so); comments are dropped. VictoriaMetrics takes nothing that lies more than two days ahead.
    """
    counted = _Counted(lines)
    if kind == PROMETHEUS:
        _create_blocks(folder, counted)
    else:
        with running(kind, folder) as database:
            database.add(counted)
    return counted.count


class _Counted:
    """The samples among lines, counted while they pass."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = lines
        self.count = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            sample = line.strip()
            if sample and not sample.startswith("#"):
                self.count += 1
                yield sample


def _create_blocks(folder: Path, lines: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / "backfill.openmetrics"
    with text.open("w", encoding="utf-8") as out:
        out.writelines(map(openmetrics, lines))
        out.write("# EOF\n")
    # promtool reads the whole text once for each block: of 2 h, 30 days would be 360 times.
    command = [program("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=1458h"]
    done = subprocess.run([*command, str(text), str(folder)], capture_output=True, text=True, check=False)
    text.unlink()
    if done.returncode:
        raise RuntimeError(f"promtool: {done.stderr.strip()}")


def openmetrics(sample: str) -> str:
    """A line with its timestamp in ms as OpenMetrics has it, in seconds.

    promtool cuts the product of seconds and 1000 to an integer, and 1.001 * 1000 may be 1000.9999: half a
    millisecond more falls to the right one.
    """
    text, _, stamp = sample.rpartition(" ")
    seconds, ms = divmod(int(stamp), 1000)
    return f"{text} {seconds}.{ms:03d}5\n" if ms else f"{text} {seconds}\n"


def scraping(*targets: str, every: str = "1s") -> str:
    """The configuration that scrapes /metrics of `host:port` targets; both databases read it."""
    return json.dumps(
        {
            "global": {"scrape_interval": every},
            "scrape_configs": [{"job_name": "stellwerk", "static_configs": [{"targets": list(targets)}]}],
        }
    )


@contextmanager
def running(kind: str, folder: Path, config: str = "{}", arguments: Sequence[str] = ()) -> Iterator[Database]:
    """Serve a data folder (made where it is not there) on a free port of loopback until the block ends.

    `config` is a Prometheus configuration (YAML or JSON; `scraping` makes one), `arguments` are more flags of
    the program. Raises NotThere, or RuntimeError with the end of its log where it does not get ready.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log, settings = folder / "log.txt", folder / "scrape.yaml"
    settings.write_text(config, encoding="utf-8")
    for attempt in range(3):
        url = f"127.0.0.1:{free_port()}"
        database = Database(kind, f"http://{url}", folder, log)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [*_command(kind, folder, url, settings), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            if _ready(database, process):
                yield database
                return
        finally:
            _stop(process)
        # Another program may have taken the port in between.
        if attempt == 2 or "address already in use" not in _end_of(log):
            raise RuntimeError(f"{kind} does not get ready; its log ends:\n{_end_of(log)}")


def _command(kind: str, folder: Path, address: str, settings: Path) -> list[str]:
    if kind == PROMETHEUS:
        return [
            program("prometheus"),
            f"--config.file={settings}",
            f"--storage.tsdb.path={folder}",
            "--storage.tsdb.retention.time=10y",
            f"--web.listen-address={address}",
        ]
    return [
        program("victoria-metrics"),
        f"-promscrape.config={settings}",
        f"-storageDataPath={folder / 'data'}",
        "-retentionPeriod=10y",
        f"-httpListenAddr={address}",
        # By default 60 % of the machine is its cache, and what is younger than 30 s is not shown.
        "-memory.allowedBytes=256MiB",
        "-search.latencyOffset=1s",
        # The machine's disk may be fuller than its default of 10 MB would want, or shared.
        "-storage.minFreeDiskSpaceBytes=1MB",
    ]


def _ready(database: Database, process: subprocess.Popen[bytes]) -> bool:
    path = "/-/ready" if database.kind == PROMETHEUS else "/health"
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        try:
            if database.call("GET", path).status_code == 200:
                return process.poll() is None
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-10:])


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A running `stellwerk up` is scraped by real databases, and what they keep is read like any cluster's."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from stellwerk.sim.exposed.metrics import all_metrics
from stellwerk.sim.main_job import Arguments, prepare
from tests.servers.databases import KINDS, Database, free_port, running
from tests.servers.fixtures import need

PATIENCE_S = 150
SPEED = 1920  # 32 minutes of the demand a second: a minute is its first day and a bit.
SCRAPES = 60  # One a second: a minute of them.
SHOWN = "stellwerk_shown_time_seconds"


@contextmanager
def up(folder: Path, *options: str) -> Iterator[str]:
    """`stellwerk up` on the demo, with MPS shown, as a process of its own; gives host:port."""
    command = ["up", "demo", "--metrics-policy", "mps", "--port", str(free_port()), *options]
    with (folder / "up.txt").open("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "stellwerk", *command, "--speed", str(SPEED), "--lang", "en"],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"127.0.0.1:{wait_for_port(out.name, process)}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def wait_for_port(log: str, process: subprocess.Popen[bytes]) -> int:
    """The port that it says it listens on: the one that it was given may have been taken."""
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        for line in Path(log).read_text().splitlines():
            if line.startswith("Metrics for Prometheus: "):
                return int(line.removesuffix("/metrics").rpartition(":")[2])
        time.sleep(0.05)
    raise AssertionError(f"it does not listen: {Path(log).read_text()}")


def honoring(target: str) -> str:
    """Scrape once a second, with labels of the target that a service discovery would add."""
    added = {"targets": [target], "labels": {"namespace": "monitoring", "container": "stellwerk"}}
    job = {"job_name": "stellwerk", "honor_labels": True, "static_configs": [added]}
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]})


def until_scraped(database: Database) -> None:
    """Wait for so many scrapes of the fleet that is played."""
    until = time.monotonic() + PATIENCE_S
    while (database.value(f"count_over_time({SHOWN}[5m])", time.time()) or 0) < SCRAPES:
        assert time.monotonic() < until, database.log.read_text()[-1000:]
        time.sleep(0.5)


def kept_labels(database: Database) -> dict[str, list[set[str]]]:
    """The labels of each series by metric, without those that the database adds."""
    now = time.time()
    scraped = {"match[]": '{job="stellwerk"}', "start": now - 300, "end": now}
    found: dict[str, list[set[str]]] = {}
    for series in database.get("series", **scraped):
        found.setdefault(series["__name__"], []).append(set(series) - {"__name__", "job", "instance"})
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_database_scrapes_is_there_with_its_own_labels_and_can_be_read(
    kind: str, tmp_path: Path
) -> None:
    need(kind)
    with (
        up(tmp_path, "--policy", "mps", "--no-size") as target,
        running(kind, tmp_path / kind, honoring(target)) as database,
    ):
        until_scraped(database)
        assert_all_kept(kept_labels(database))
        assert_honored(database)
        assert_money(database)
        assert_own_values(database)
        read = usage(database, tmp_path)
    assert {device["model"] for device in read["devices"]} == {"H100-PCIE-80GB"}
    assert len(read["devices"]) == 2
    pods = {pod["pod"]: pod for pod in read["pods"]}
    assert len(pods) > 3
    # Who shared a GPU has values of its own: the exporter's, per process.
    shared = [pod for pod in pods.values() if pod["sharedWith"]]
    assert shared and all(pod["attributed"] for pod in shared)
    assert "sum-incomplete" not in {warning["code"] for warning in read["warnings"]}
    jobs = {job.name.replace("/", "-"): job for job in prepare(Arguments(demand="demo")).scenario.demand.jobs}
    for name, pod in pods.items():
        assert (pod["namespace"], pod["kind"]) == (jobs[name].team, jobs[name].kind)
    told = {warning["code"] for warning in read["warnings"]}
    assert not told & {"metric-ignored", "exporter-pod", "values-conflict", "kind-unknown", "model-unknown"}


def assert_all_kept(found: dict[str, list[set[str]]]) -> None:
    """Every metric is there, with its own labels and those of the target that it has not itself."""
    for metric in all_metrics():
        # Nothing is cut, no size was sought; progress is shown while the replay runs only.
        if "GR_ENGINE" in metric.name or "saving" in metric.name or "steps" in metric.name:
            continue
        assert metric.name in found
        known = {*metric.labels, "namespace", "container"}
        for labels in found[metric.name]:
            others = {label for label in labels - known if not label.startswith("label_")}
            assert not others, (metric.name, labels)


def assert_honored(database: Database) -> None:
    """A pod's namespace is its team, not the one that the target has; no label was renamed."""
    now = time.time()
    found = database.get("query", query='count by (namespace) (DCGM_FI_DEV_FB_USED{pod!=""})', time=now)
    teams = {job.team for job in prepare(Arguments(demand="demo")).scenario.demand.jobs}
    assert {series["metric"]["namespace"] for series in found["result"]} <= teams
    assert not [name for name in database.get("labels") if name.startswith("exported_")]


def assert_money(database: Database) -> None:
    """Cost so far is GPU-time so far by the price of the GPUs; it is of the demand's time."""
    # Of the same scrape, or the demand has gone on for an hour.
    now = int(time.time()) - 2
    cost = "sum(stellwerk_cost_total) / scalar(stellwerk_gpu_paid_seconds_total) * 3600"
    price = "sum(stellwerk_node_cost_per_hour) / 2"
    paid, asked = database.value(cost, now), database.value(price, now)
    assert paid is not None and asked is not None and abs(paid - asked) < 1e-9
    rate = database.value(f"deriv({SHOWN}[10s])", now)
    assert rate is not None and SPEED * 0.8 < rate < SPEED * 1.2


def assert_own_values(database: Database) -> None:
    """A shared GPU shows itself, without a pod, beside its pods: the sum of what they take."""
    now = int(time.time()) - 2
    metric = "DCGM_FI_DEV_FB_USED"
    shared = f'count by (UUID) ({metric}{{pod!=""}}) > 1'
    own = f'(sum by (UUID) ({metric}{{pod=""}}) and on (UUID) ({shared}))'
    of_pods = f'sum by (UUID) ({metric}{{pod!=""}})'
    off = database.value(f"max(max_over_time((abs({own} - on (UUID) {of_pods}))[2m:1s]))", now)
    assert off is not None and off < 8  # whole MiB of each pod


def usage(database: Database, folder: Path) -> dict:
    """`stellwerk usage` on the database; `stellwerk advise` can read it, too."""
    # Without --until the last minute is not read: it may still go on.
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    source = ["--prometheus", database.url, "--days", "1", "--until", until, "--save", str(folder / "kept")]
    told = []
    for verb in ("usage", "advise"):
        done = subprocess.run(
            [sys.executable, "-m", "stellwerk", verb, *source, "-o", "json"],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told.append(json.loads(done.stdout))
    assert told[1]
    found: dict = told[0]
    return found


def test_it_answers_from_the_first_moment_on(tmp_path: Path) -> None:
    # All policies, each on several fleets: that takes longer than the first answer.
    with up(tmp_path) as target, httpx.Client(trust_env=False) as client:
        until, seen = time.monotonic() + PATIENCE_S, set()
        while time.monotonic() < until and "DCGM_FI_DEV_FB_USED" not in "".join(seen):
            answer = client.get(f"http://{target}/metrics")
            assert answer.status_code == 200 and "stellwerk_replay_failed 0.0\n" in answer.text
            seen |= {line.split("{")[0] for line in answer.text.splitlines() if not line.startswith("#")}
        assert "stellwerk_replay_done 0.0" in seen and "stellwerk_replay_done 1.0" in seen

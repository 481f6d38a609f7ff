"""Prometheus itself loads the exported rules, scrapes an exporter and evaluates them: all are healthy."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stellwerk.report.monitoring.rule_files import RULES
from tests.monitoring.exported import export
from tests.monitoring.measured_hours import scrape
from tests.servers.databases import PROMETHEUS, Database, running
from tests.servers.fixtures import need

PATIENCE_S = 60
# These need 10 minutes or an hour of samples; the others have values after a few evaluations.
SLOW = {
    "stellwerk:gpu:thermal_throttle_ratio",
    "stellwerk:gpu:power_throttle_ratio",
    "stellwerk:queue:admission_wait_seconds:p95",
    "stellwerk:queue:admission_wait_late_ratio",
}
AT_ONCE = {"StellwerkGpuXidCritical", "StellwerkGpuXid"}  # They have no wait.


class _Exporter(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = scrape().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a scrape a second is no news."""


@contextmanager
def exporter() -> Iterator[str]:
    """The address of a server that answers as the exporters of the small cluster do."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Exporter)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def configuration(rules: Path, target: str) -> str:
    """As a user writes it: rule_files, and a scrape that keeps the exporter's labels."""
    job = {"job_name": "dcgm-exporter", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    times = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return json.dumps({"global": times, "rule_files": [str(rules)], "scrape_configs": [job]})


def rule_states(database: Database) -> list[dict[str, Any]]:
    return [rule for group in database.get("rules")["groups"] for rule in group["rules"]]


def settled(database: Database) -> list[dict[str, Any]]:
    """The rules' states once both groups were evaluated after the GPUs came in; the last if that never is."""
    until = time.monotonic() + PATIENCE_S
    found = rule_states(database)
    while time.monotonic() < until:
        found = rule_states(database)
        known = all(rule["health"] != "unknown" for rule in found)
        if known and sum(rule.get("state") == "firing" for rule in found) >= len(AT_ONCE):
            break
        time.sleep(0.5)
    return found


def test_prometheus_evaluates_every_rule_of_the_file(tmp_path: Path) -> None:
    need(PROMETHEUS)
    file = export(tmp_path / "exported") / RULES
    # The file's own interval is a minute: here it is a second, so that the test need not wait for it.
    text = file.read_text(encoding="utf-8").replace("interval: 1m", "interval: 1s")
    quick = tmp_path / "rules.yaml"
    quick.write_text(text, encoding="utf-8")
    with (
        exporter() as target,
        running(PROMETHEUS, tmp_path / "store", configuration(quick, target)) as started,
    ):
        states = settled(started)
        assert [(rule["name"], rule.get("lastError")) for rule in states if rule["health"] != "ok"] == []
        names = {rule["name"] for rule in states if rule["type"] == "recording"}
        kept = {
            each["metric"]["__name__"]
            for each in started.get("query", query='{__name__=~"stellwerk:.+"}')["result"]
        }
        assert names - SLOW <= kept <= names
        firing = {rule["name"] for rule in states if rule["type"] == "alerting" and rule["state"] == "firing"}
        assert firing == AT_ONCE

"""No query is longer than what the databases take, however many pods a day has."""

import time

import pytest

from stellwerk.adapters.prometheus import queries
from stellwerk.adapters.prometheus.client import Client
from stellwerk.adapters.prometheus.endpoint import read_endpoint
from stellwerk.adapters.prometheus.queries import Stretch
from tests.servers.databases import Database

VICTORIAMETRICS_BYTES = 16 * 1024  # -search.maxQueryLen
# 253 characters is the longest name of a pod; dots are escaped to three characters.
NAMES = {
    "usual": [f"train-{number:03d}-{'x' * 45}" for number in range(500)],
    "longest": [f"{number:03d}{'y' * 250}" for number in range(500)],
    "dots": [f"{number:03d}{'.y' * 30}" for number in range(500)],
}


def expressions(names: list[str], now_ms: int) -> list[str]:
    day = Stretch(now_ms - 86_400_000, now_ms)
    found = []
    for batch in queries.batches(names):
        found += [
            queries.last(queries.facts_selector("exported_pod", batch), day),
            queries.waited("exported_pod", batch, day),
            *(queries.raw(each, day) for each in queries.waiting_selectors("exported_pod", batch)),
        ]
    return found


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_a_query_about_many_pods_is_taken(names: list[str], empty_database: Database) -> None:
    now_ms = int(time.time()) * 1000
    asked = expressions(names, now_ms)
    assert max(len(each.encode()) for each in asked) < VICTORIAMETRICS_BYTES
    with Client(read_endpoint(empty_database.url)) as client:
        for each in asked:
            assert client.query(each, now_ms).data.result == []


def test_batches_hold_every_name_once() -> None:
    for names in NAMES.values():
        held = [name for batch in queries.batches(names) for name in batch]
        assert held == sorted(names)

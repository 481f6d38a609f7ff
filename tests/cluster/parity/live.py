"""Scenarios decided by the real components: many at once, each step when the last one is at rest."""

import json
import time
from collections.abc import Sequence

from stellwerk.adapters.kube_store.client import Client, Patience
from stellwerk.adapters.kube_store.kubeconfig import read_access
from stellwerk.adapters.kube_store.store import KubeStore
from tests.cluster.parity.record import Record, device_record, is_device, queue_record
from tests.cluster.parity.scenario import Json, Scenario
from tools.cluster.stack import Stack

# At rest: nothing of the scenarios changed for so long. Timestamps have a resolution of a second, so no two
# steps may be in one.
STILL_S, MOST_S = 2.0, 90.0
_WATCHED = (
    ("kueue.x-k8s.io", "Workload"),
    ("", "Pod"),
    ("resource.k8s.io", "ResourceClaim"),
)


def played(stack: Stack, scenarios: Sequence[Scenario]) -> dict[int, list[Record]]:
    """By seed, the record after each step. Raises AssertionError where the cluster does not come to rest."""
    records: dict[int, list[Record]] = {each.seed: [] for each in scenarios}
    with Client(read_access(str(stack.kubeconfig("admin"))), Patience()) as client:
        store = KubeStore(client)
        stack.apply([item for each in scenarios for item in each.objects])
        _rest(store, scenarios)
        for step in range(max(len(each.steps) for each in scenarios)):
            playing = [each for each in scenarios if step < len(each.steps)]
            for each in playing:
                for item in _items(each.steps[step]):
                    store.put(item)
            _rest(store, scenarios)
            _record(store, playing, records)
    return records


def _items(step: Json) -> list[Json]:
    return list(step["items"]) if step["kind"] == "List" else [step]


def _rest(store: KubeStore, scenarios: Sequence[Scenario]) -> None:
    spaces = {each.namespace for each in scenarios}
    until, last, since = time.monotonic() + MOST_S, "", time.monotonic()
    while time.monotonic() < until:
        now = json.dumps(
            [
                (item["metadata"]["uid"], item["metadata"]["resourceVersion"])
                for group, kind in _WATCHED
                for item in store.list(group, kind)[0]
                if item["metadata"]["namespace"] in spaces
            ]
        )
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STILL_S:
            return
        time.sleep(0.2)
    raise AssertionError(f"the cluster did not come to rest within {MOST_S:g} s")


def _record(store: KubeStore, scenarios: Sequence[Scenario], records: dict[int, list[Record]]) -> None:
    found: dict[tuple[str, str], list[Json]] = {}
    for group, kind in _WATCHED:
        for item in store.list(group, kind)[0]:
            found.setdefault((kind, item["metadata"]["namespace"]), []).append(item)
    for each in scenarios:
        of = {kind: found.get((kind, each.namespace), []) for _, kind in _WATCHED}
        if is_device(each):
            record = device_record(of["Pod"], of["ResourceClaim"])
        else:
            record = queue_record(of["Workload"])
        records[each.seed].append(record)

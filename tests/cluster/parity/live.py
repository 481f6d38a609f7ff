"""Scenarios decided by the real components: many at once, each step when the last one is at rest."""

import json
import re
import time
from collections.abc import Iterator, Sequence

from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client, Patience
from stellwerk.adapters.kube_store.kubeconfig import read_access
from stellwerk.adapters.kube_store.store import KubeStore
from stellwerk.api.manifests import encode
from stellwerk.ports.store import Conflict, Key
from tests.cluster.parity.record import Record, device_record, is_device, is_true, queue_record, uids_of
from tests.cluster.parity.scenario import Json, Scenario, Step
from tools.cluster.stack import Stack

# At rest: nobody is in between (see `_between`), and nothing of the scenarios has changed for so long. The
# time is still needed: Kueue looks at parked Workloads again one second after quota came free, and nothing
# that it shows says that it will. Besides, times have a resolution of a second, so no two steps may be in one.
STILL_S, MOST_S = 2.0, 120.0
_WATCHED = (
    ("kueue.x-k8s.io", "Workload"),
    ("batch", "Job"),
    ("", "Pod"),
    ("resource.k8s.io", "ResourceClaim"),
)
_QUEUES = re.compile(rb'^scheduler_pending_pods\{queue="(?:active|backoff)"\} (\S+)', re.MULTILINE)
Found = dict[tuple[str, str], list[Json]]  # By kind and namespace.


class Played(Struct, frozen=True):
    """The record after each step, and the UIDs that chance gave (kind, namespace, name)."""

    records: list[Record]
    uids: dict[tuple[str, str, str], str]


def played(stack: Stack, scenarios: Sequence[Scenario]) -> dict[int, Played]:
    """By seed. Raises AssertionError where the cluster does not come to rest."""
    found = {each.seed: Played([], {}) for each in scenarios}
    with Client(read_access(str(stack.kubeconfig("admin"))), Patience()) as client:
        store = KubeStore(client)
        stack.apply([item for each in scenarios for item in each.objects])
        _rest(stack, store, scenarios)
        for step in range(max(len(each.steps) for each in scenarios)):
            playing = [each for each in scenarios if step < len(each.steps)]
            for each in playing:
                _do(client, store, each, each.steps[step])
            there = _rest(stack, store, scenarios)
            for each in playing:
                _record(each, there, found[each.seed])
        _clear(store, scenarios)
    return found


def _do(client: Client, store: KubeStore, scenario: Scenario, step: Step) -> None:
    for item in step.create:
        store.put(item)
    for group, kind, name in step.delete:
        space = "" if kind in ("DeviceTaintRule", "ResourceSlice") else scenario.namespace
        try:
            store.delete(Key(group, kind, space, name))
        except Conflict:
            continue  # It went by itself, as a pod does whose device is tainted.
    for kind, name in step.finish:
        for pod in store.list("", "Pod")[0]:
            if pod["metadata"]["namespace"] == scenario.namespace and _is_of(pod, kind, name):
                _succeed(client, pod)


def _is_of(pod: Json, kind: str, name: str) -> bool:
    if kind == "Pod":
        return bool(pod["metadata"]["name"] == name)
    owners = pod["metadata"].get("ownerReferences", ())
    return any(one["kind"] == kind and one["name"] == name for one in owners)


def _succeed(client: Client, pod: Json) -> None:
    """The pod's phase, if it runs, as a kubelet writes it."""
    if pod["status"].get("phase") != "Running" or pod["metadata"].get("deletionTimestamp"):
        return
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
    client.send("PUT", path, body=encode({**pod, "status": {**pod["status"], "phase": "Succeeded"}}))


def _rest(stack: Stack, store: KubeStore, scenarios: Sequence[Scenario]) -> Found:
    """All of the scenarios' objects once they are at rest."""
    spaces = {each.namespace for each in scenarios}
    until, last, since = time.monotonic() + MOST_S, "", time.monotonic()
    between: list[str] = []
    while time.monotonic() < until:
        there = _there(store, spaces)
        items = [item for some in there.values() for item in some]
        now = json.dumps([(each["metadata"]["uid"], each["metadata"]["resourceVersion"]) for each in items])
        between = [*_between(there), *_queued(stack)]
        if now != last or between:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STILL_S:
            return there
        time.sleep(0.25)
    raise AssertionError(f"the cluster did not come to rest within {MOST_S:g} s: {'; '.join(between[:5])}")


def _there(store: KubeStore, spaces: set[str]) -> Found:
    found: Found = {}
    for group, kind in _WATCHED:
        for item in store.list(group, kind)[0]:
            if item["metadata"]["namespace"] in spaces:
                found.setdefault((kind, item["metadata"]["namespace"]), []).append(item)
    return found


def _between(there: Found) -> Iterator[str]:
    """Who is on the way from one state to the next, so that something must follow."""
    for (kind, space), items in there.items():
        for item in items:
            status, name = item.get("status", {}), f"{kind} {space}/{item['metadata']['name']}"
            if item["metadata"].get("deletionTimestamp"):
                yield f"{name} is being deleted"
            elif kind == "Workload":
                reserved = is_true(status, "QuotaReserved")
                if not status.get("conditions"):
                    yield f"{name} was not looked at"
                elif is_true(status, "Evicted") and reserved and not is_true(status, "Finished"):
                    yield f"{name} is evicted, and holds quota"
            elif kind == "Job" and _moves(item, there.get(("Workload", space), ())):
                yield f"{name} does not follow its Workload"


def _moves(job: Json, workloads: Sequence[Json]) -> bool:
    """Whether pods are to come or to go yet: a Job runs while its Workload is admitted."""
    status = job.get("status", {})
    if any(is_true(status, each) for each in ("Complete", "Failed")):
        return False
    suspended = job["spec"].get("suspend", False)
    wanted = 0 if suspended else job["spec"]["parallelism"] - status.get("succeeded", 0)
    if status.get("active", 0) != wanted or status.get("terminating", 0):
        return True
    if "kueue.x-k8s.io/queue-name" not in job["metadata"].get("labels", {}):
        return False
    name = job["metadata"]["name"]
    own = [each for each in workloads if each["metadata"]["ownerReferences"][0]["name"] == name]
    return not own or any(is_true(each.get("status", {}), "Admitted") == suspended for each in own)


def _queued(stack: Stack) -> Iterator[str]:
    """Pods that the scheduler is trying, or will try when their backoff is over."""
    found = _QUEUES.findall(stack.read("scheduler", "/metrics"))
    if sum(float(each) for each in found):
        yield "the scheduler's queues are not empty"


def _record(scenario: Scenario, there: Found, found: Played) -> None:
    of = {kind: there.get((kind, scenario.namespace), []) for _, kind in _WATCHED}
    if is_device(scenario):
        found.records.append(device_record(of["Pod"], of["ResourceClaim"]))
    else:
        found.records.append(queue_record(of["Workload"]))
        found.uids.update(uids_of(of["Job"], of["Workload"]))


def _clear(store: KubeStore, scenarios: Sequence[Scenario]) -> None:
    """Queues in strict order are tried without end: those of scenarios that are over rest."""
    spaces = {each.namespace for each in scenarios}
    for item in store.list("kueue.x-k8s.io", "ClusterQueue")[0]:
        if item["metadata"]["name"].partition("-")[0] in spaces:
            for _ in range(5):
                fresh = store.get(Key("kueue.x-k8s.io", "ClusterQueue", "", item["metadata"]["name"]))
                if fresh is None:
                    break
                try:
                    store.put({**fresh, "spec": {**fresh["spec"], "stopPolicy": "Hold"}})
                    break
                except Conflict:
                    continue

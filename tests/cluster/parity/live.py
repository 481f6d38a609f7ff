"""Scenarios decided by the real components: many at once, each step when the last one is at rest."""

import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from msgspec import Struct

from stellwerk.adapters.kube_store.client import Client, NotFound, Patience
from stellwerk.adapters.kube_store.kubeconfig import read_access
from stellwerk.adapters.kube_store.store import KubeStore
from stellwerk.api.manifests import encode
from stellwerk.ports.store import Conflict, Key
from tests.cluster.parity.record import (
    RESTLESS,
    Record,
    device_record,
    is_device,
    is_true,
    queue_record,
    uids_of,
)
from tests.cluster.parity.scenario import Json, Scenario, Step
from tools.cluster.stack import Stack

# At rest: nobody is in between (see `_between`), and nothing of the scenarios has changed for so long. The
# time is still needed: Kueue looks at parked Workloads again one second after quota came free, and nothing
# that it shows says that it will. Besides, times have a resolution of a second: no two steps may be in one.
STILL_S, MOST_S = 2.0, 60.0
_WATCHED = (
    ("kueue.x-k8s.io", "Workload"),
    ("batch", "Job"),
    ("", "Pod"),
    ("resource.k8s.io", "ResourceClaim"),
)
_QUEUES = re.compile(rb'^scheduler_pending_pods\{queue="(?:active|backoff)"\} (\S+)', re.MULTILINE)
_PATHS = {
    ("batch", "Job"): "/apis/batch/v1/namespaces/{}/jobs/{}",
    ("", "Pod"): "/api/v1/namespaces/{}/pods/{}",
    ("", "Namespace"): "/api/v1/namespaces/{1}",
    ("resource.k8s.io", "DeviceTaintRule"): "/apis/resource.k8s.io/v1beta2/devicetaintrules/{1}",
}
Found = dict[tuple[str, str], list[Json]]  # By kind and namespace.


class Played(Struct, frozen=True):
    """The record after each step, and the UIDs that chance gave (kind, namespace, name)."""

    records: list[Record]
    uids: dict[tuple[str, str, str], str]


def played(stack: Stack, scenarios: Sequence[Scenario]) -> dict[int, Played]:
    """By seed. A scenario that does not come to rest has the record RESTLESS from that step on."""
    found = {each.seed: Played([], {}) for each in scenarios}
    with Client(read_access(str(stack.kubeconfig("admin"))), Patience()) as client:
        store = KubeStore(client)
        stack.apply([item for each in scenarios for item in each.objects])
        going = {each.namespace for each in scenarios}
        going -= _rest(stack, store, going)[1]
        for step in range(max(len(each.steps) for each in scenarios)):
            playing = [each for each in scenarios if step < len(each.steps)]
            for each in playing:
                if each.namespace in going:
                    _do(client, store, each, each.steps[step])
            there, restless = _rest(stack, store, going)
            for space in sorted(restless):
                print(f"{space} does not come to rest in step {step + 1}", file=sys.stderr, flush=True)
            _hold(store, restless)
            for space in restless:  # The scheduler would try its pods for as long as they are there.
                _delete(client, "", "Namespace", ("", space))
            going -= restless
            for each in playing:
                _record(each, there if each.namespace in going else None, found[each.seed])
        _hold(store, {each.namespace for each in scenarios})
    return found


def _do(client: Client, store: KubeStore, scenario: Scenario, step: Step) -> None:
    for item in step.create:
        store.put(item)
    for group, kind, name in step.delete:
        _delete(client, group, kind, (scenario.namespace, name))
    for kind, name in step.finish:
        for pod in store.list("", "Pod")[0]:
            if pod["metadata"]["namespace"] == scenario.namespace and _is_of(pod, kind, name):
                _succeed(client, pod)


def _delete(client: Client, group: str, kind: str, named: tuple[str, str]) -> None:
    """As kubectl does: what the object made goes with it; a Job's pods would stay otherwise."""
    path = _PATHS[group, kind].format(*named)
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
    with suppress(NotFound):  # It went by itself, as a pod does whose device is tainted.
        client.send("DELETE", path, body=encode(options))


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


def _rest(stack: Stack, store: KubeStore, spaces: set[str]) -> tuple[Found, set[str]]:
    """All objects of the namespaces once they are at rest, and the namespaces that are not in MOST_S."""
    began = time.monotonic()
    last, since = dict[str, str](), dict[str, float]()
    while True:
        there, now = _there(store, spaces), time.monotonic()
        moving = {space for space, _ in _between(there)}
        for space in spaces:
            seen = _versions(there, space)
            if seen != last.get(space) or space in moving:
                last[space], since[space] = seen, now
        restless = {space for space in spaces if now - since[space] < STILL_S}
        if not restless and not _schedules(stack):
            return there, set()
        if now - began > MOST_S:
            return there, restless | set(_failing(there))
        time.sleep(0.25)


def _versions(there: Found, space: str) -> str:
    """What changes when something happens. Of a claim only what it has: Kubernetes 1.36's controller reserves
    a claim that a pod that has ended shares with one that runs for both, and takes it back, again and again.
    """
    return json.dumps(
        [
            [
                item["metadata"]["uid"],
                item.get("status", {}).get("allocation")
                if kind == "ResourceClaim"
                else item["metadata"]["resourceVersion"],
            ]
            for (kind, of), some in there.items()
            if of == space
            for item in some
        ],
        default=str,
    )


def _there(store: KubeStore, spaces: set[str]) -> Found:
    found: Found = {}
    for group, kind in _WATCHED:
        for item in store.list(group, kind)[0]:
            if item["metadata"]["namespace"] in spaces:
                found.setdefault((kind, item["metadata"]["namespace"]), []).append(item)
    return found


def _between(there: Found) -> Iterator[tuple[str, str]]:
    """Who is on the way from one state to the next, so that something must follow: namespace and name."""
    for (kind, space), items in there.items():
        for item in items:
            if item["metadata"].get("deletionTimestamp") or (
                _is_undecided(item.get("status", {})) or _is_orphan(item, there.get(("Job", space), ()))
                if kind == "Workload"
                else kind == "Job" and _moves(item, there.get(("Workload", space), ()))
            ):
                yield space, item["metadata"]["name"]


def _is_orphan(workload: Json, jobs: Sequence[Json]) -> bool:
    """Whether its Job is gone. The garbage collector takes it next; it learns that there are Workloads only
    at its next look at what is served, half a minute after Kueue's definitions came.
    """
    known = {each["metadata"]["uid"] for each in jobs}
    owners = workload["metadata"].get("ownerReferences", ())
    return any(each["kind"] == "Job" and each["uid"] not in known for each in owners)


def _is_undecided(status: Json) -> bool:
    """Whether a Workload is new to Kueue, or holds quota that it has lost."""
    evicted = is_true(status, "Evicted") and is_true(status, "QuotaReserved")
    return not status.get("conditions") or (evicted and not is_true(status, "Finished"))


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


def _schedules(stack: Stack) -> bool:
    """Whether there are pods that the scheduler is trying, or will try when their backoff is over."""
    return sum(float(each) for each in _QUEUES.findall(stack.read("scheduler", "/metrics"))) > 0


def _failing(there: Found) -> Iterator[str]:
    """Namespaces with a pod that the scheduler tries again and again since binding it fails."""
    for (kind, space), items in there.items():
        conditions = (one for each in items for one in each.get("status", {}).get("conditions", ()))
        if kind == "Pod" and any(one.get("reason") == "SchedulerError" for one in conditions):
            yield space


def _record(scenario: Scenario, there: Found | None, found: Played) -> None:
    if there is None:
        found.records.append(RESTLESS)
        return
    of = {kind: there.get((kind, scenario.namespace), []) for _, kind in _WATCHED}
    if is_device(scenario):
        found.records.append(device_record(of["Pod"], of["ResourceClaim"]))
    else:
        found.records.append(queue_record(of["Workload"]))
        found.uids.update(uids_of(of["Job"], of["Workload"]))


def _hold(store: KubeStore, spaces: set[str]) -> None:
    """Queues that would be tried without end are tried no more: in strict order, or in a circle."""
    for item in store.list("kueue.x-k8s.io", "ClusterQueue")[0]:
        key = Key("kueue.x-k8s.io", "ClusterQueue", "", item["metadata"]["name"])
        held = key.name.partition("-")[0] not in spaces
        while not held and (fresh := store.get(key)) is not None:
            with suppress(Conflict):
                store.put({**fresh, "spec": {**fresh["spec"], "stopPolicy": "Hold"}})
                held = True

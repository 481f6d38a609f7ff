"""What the real components do with a claim: who refuses it, in whose words, or that its pods have nodes."""

import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tests.cluster.claims.cases import API_SERVER, FINE, KARPENTER, KUEUE, SCHEDULER, Case
from tests.cluster.claims.world import Json
from tools.cluster.stack import Stack, program

STILL_S, MOST_S, BOUGHT_S = 3.0, 90.0, 30.0
_WATCHED = "pods,jobs,workloads.kueue.x-k8s.io,resourceclaims"
_NO_NODE = "didn't match Pod's node affinity/selector"
TWIN = "twin-without-claims"


class Seen(Struct, frozen=True):
    """`layer`: who refused it (FINE: it runs); `words`: what that component said."""

    layer: str
    words: str


def play(stack: Stack, cases: Sequence[Case]) -> dict[str, Seen]:
    """Apply the files of all cases, wait until nothing changes any more, and look. By name of the case."""
    refused = {each.name: words for each in cases if (words := _applied(stack, each.file))}
    found = _rest(stack, {each.namespace for each in cases})
    seen = {}
    for each in cases:
        if each.name in refused:
            seen[each.name] = Seen(API_SERVER, refused[each.name])
        else:
            seen[each.name] = _seen([one for one in found if one["metadata"]["namespace"] == each.namespace])
    return _bought(stack, seen, found)


def clear(stack: Stack, cases: Sequence[Case]) -> None:
    """Take the cases' namespaces away, without waiting for them."""
    names = [each.namespace for each in cases]
    stack.kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *names)


def _applied(stack: Stack, objects: Sequence[Json]) -> str:
    """ "" for what was taken, else the API server's words."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    words = [program("kubectl"), f"--kubeconfig={stack.kubeconfig('admin')}", "apply", "-f", "-"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip()[:400]


def _items(stack: Stack, spaces: set[str]) -> list[Any]:
    items = json.loads(stack.kubectl("get", _WATCHED, "-A", "-o", "json"))["items"]
    return [each for each in items if each["metadata"]["namespace"] in spaces]


def _rest(stack: Stack, spaces: set[str]) -> list[Any]:
    until, last, since = time.monotonic() + MOST_S, "", time.monotonic()
    while time.monotonic() < until:
        found = _items(stack, spaces)
        now = str(sorted((each["metadata"]["uid"], each["metadata"]["resourceVersion"]) for each in found))
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STILL_S:
            return found
        time.sleep(0.3)
    raise AssertionError(f"the claims did not come to rest within {MOST_S:g} s")


def _seen(objects: Sequence[Any]) -> Seen:
    """Kueue first, then the scheduler: a pod that it has given a node runs, as KWOK has it."""
    pods = [each for each in objects if each["kind"] == "Pod"]
    for each in objects:
        if each["kind"] == "Workload" and (words := _not_admitted(each)):
            return Seen(KUEUE, words)
    for each in pods:
        if not each["spec"].get("nodeName"):
            return Seen(SCHEDULER, _condition(each, "PodScheduled").get("message", "no condition yet"))
    if not pods:
        return Seen("nobody", "there is no pod")
    return Seen(FINE, f"{len(pods)} pods have nodes")


def _not_admitted(workload: Any) -> str:
    if _condition(workload, "Admitted").get("status") == "True":
        return ""
    return str(_condition(workload, "QuotaReserved").get("message", "")) or "no condition yet"


def _condition(item: Any, kind: str) -> Json:
    conditions = (item.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), {})


def _bought(stack: Stack, seen: dict[str, Seen], objects: Sequence[Any]) -> dict[str, Seen]:
    """A pod that no node is for, and whose twin without claims gets one of Karpenter's, was refused by it."""
    lacking = {
        each["metadata"]["namespace"]: each
        for each in objects
        if each["kind"] == "Pod"
        and seen[each["metadata"]["namespace"]].layer == SCHEDULER
        and _NO_NODE in seen[each["metadata"]["namespace"]].words
        and each["spec"].get("nodeSelector")
        and "preemption" in seen[each["metadata"]["namespace"]].words
    }
    if not lacking:
        return seen
    stack.apply([_twin(space, each) for space, each in lacking.items()])
    nodes: dict[str, str] = {}
    until = time.monotonic() + BOUGHT_S
    while time.monotonic() < until and len(nodes) < len(lacking):
        twins = [one for one in _items(stack, set(lacking)) if one["metadata"]["name"] == TWIN]
        nodes = {
            one["metadata"]["namespace"]: one["spec"]["nodeName"]
            for one in twins
            if one["spec"].get("nodeName")
        }
        time.sleep(0.5)
    words = "its twin without claims got a node that Karpenter bought: {}"
    return {**seen, **{space: Seen(KARPENTER, words.format(node)) for space, node in nodes.items()}}


def _twin(space: str, pod: Any) -> Json:
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "1"}}}
    spec = {
        "nodeSelector": pod["spec"]["nodeSelector"],
        "containers": [container],
        "terminationGracePeriodSeconds": 0,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": TWIN, "namespace": space}, "spec": spec}

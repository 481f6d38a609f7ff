"""A scenario of devices decided by Stellwerk's allocator, with what other controllers of Kubernetes do.

Those are played here: pods of a Job are made; whoever ends or is deleted gives its claims back (the
resourceclaim controller); a pod whose device has a taint of effect NoExecute goes (device taint eviction).
"""

from collections.abc import Iterator, Sequence
from itertools import islice, permutations
from typing import Any

import msgspec

from stellwerk.api.groups.meta import given
from stellwerk.api.groups.resource import DeviceTaint, DeviceTaintRule, DeviceToleration, ResourceSlice
from stellwerk.api.manifests import encode
from stellwerk.cli.allocation.allocate import rules_of
from stellwerk.engine.allocation.claims.tolerations import untolerated
from stellwerk.engine.allocation.gates import gates_on
from stellwerk.engine.allocation.pods.claims import EXTENDED
from stellwerk.engine.allocation.pods.turn import Outcome, allocate_pods
from stellwerk.engine.allocation.pods.world import world_of
from stellwerk.engine.allocation.pools.taint_rules import patched_slices
from tests.cluster.parity.record import Record, device_record
from tests.cluster.parity.scenario import Json, Scenario, Step, manifests_of
from tools.cluster.stack import GATES

RELEASE = "1.36"
HOST = "kubernetes.io/hostname"
_MOST_ORDERS = 120
_RULES = rules_of(RELEASE, gates_on(RELEASE, [f"{name}={str(on).lower()}" for name, on in GATES.items()]))
_SURROUNDINGS = (
    "Namespace",
    "Node",
    "ResourceSlice",
    "DeviceClass",
    "DeviceTaintRule",
    "ResourceClaimTemplate",
)


class _State:
    """The cluster's objects as they are."""

    def __init__(self, objects: Sequence[Json]) -> None:
        self.objects = [each for each in objects if each["kind"] in _SURROUNDINGS]
        self.claims: list[Json] = []
        self.pods: list[Json] = []
        self.record: Record = {}


def devices_after(scenario: Scenario, real: Sequence[Record] | None = None) -> list[Record]:
    """The record after each step; as `real` has it where the scheduler's choice among nodes, or among pods
    that wait, leads there.
    """
    state, records = _State(scenario.objects), list[Record]()
    for number, step in enumerate(scenario.steps):
        _do(state, step)
        while gone := _evicted(state):
            _remove(state, gone)
        _decide(state, None if real is None else real[number])
        while gone := _evicted(state):
            _remove(state, gone)
            _decide(state, None if real is None else real[number])
        records.append(state.record)
    return records


def _do(state: _State, step: Step) -> None:
    for item in step.create:
        if item["kind"] == "Job":
            state.pods += _pods_of(item)
        elif item["kind"] == "Pod":
            state.pods.append(item)
        elif item["kind"] == "ResourceClaim":
            state.claims.append(item)
        else:
            state.objects.append(item)
    for _, kind, name in step.delete:
        state.objects = [
            each for each in state.objects if (each["kind"], each["metadata"]["name"]) != (kind, name)
        ]
        _remove(state, {each["metadata"]["name"] for each in state.pods if _is_of(each, kind, name)})
    for kind, name in step.finish:
        running = [each for each in state.pods if each["spec"].get("nodeName") and _is_of(each, kind, name)]
        _remove(state, {each["metadata"]["name"] for each in running})


def _pods_of(job: Json) -> Iterator[Json]:
    """As the Job's controller makes them, but for random names."""
    name, template = job["metadata"]["name"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": name, "controller": True}
    for number in range(job["spec"]["parallelism"]):
        yield {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-{number}",
                "namespace": job["metadata"]["namespace"],
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
        }


def _is_of(pod: Json, kind: str, name: str) -> bool:
    owners = pod["metadata"].get("ownerReferences", ())
    return (kind, name) in [("Pod", pod["metadata"]["name"]), *((one["kind"], one["name"]) for one in owners)]


def _remove(state: _State, names: set[str]) -> None:
    """Pods that are over: claims made for them go, others that nobody uses any more are free again."""
    state.pods = [each for each in state.pods if each["metadata"]["name"] not in names]
    kept = []
    for claim in state.claims:
        if names & {one["name"] for one in claim["metadata"].get("ownerReferences", ())}:
            continue
        status = claim.get("status", {})
        users = [one for one in status.get("reservedFor", ()) if one["name"] not in names]
        if len(users) < len(status.get("reservedFor", ())):
            claim = {**claim, "status": {**status, "reservedFor": users} if users else {}}
        kept.append(claim)
    state.claims = kept


def _evicted(state: _State) -> set[str]:
    """Pods with a device that has a taint of effect NoExecute which their request does not tolerate.

    Unlike the scheduler, the controller looks only at tolerations that name the effect (1.34 to 1.37), and
    not at claims for extended resources (1.36).
    Source: pkg/controller/devicetainteviction (claimEvictionTime).
    """
    objects = [one.object for one in manifests_of(state.objects)]
    slices = [one for one in objects if isinstance(one, ResourceSlice)]
    rules = [one for one in objects if isinstance(one, DeviceTaintRule)]
    taints: dict[tuple[str, str, str], list[DeviceTaint]] = {}
    for one in patched_slices(slices, rules):
        for device in given(one.spec.devices, ()):
            known = taints.setdefault((one.spec.driver, one.spec.pool.name, device.name), [])
            known += [taint for taint in given(device.taints, ()) if taint.effect == "NoExecute"]
    found: set[str] = set()
    for claim in state.claims:
        status = claim.get("status", {})
        if claim["metadata"].get("annotations", {}).get(EXTENDED) == "true":
            continue
        for result in status.get("allocation", {}).get("devices", {}).get("results", ()):
            known = msgspec.convert(result.get("tolerations", []), tuple[DeviceToleration, ...])
            tolerations = tuple(one for one in known if given(one.effect, "") == "NoExecute")
            where = result["driver"], result["pool"], result["device"]
            if untolerated(taints.get(where, ()), tolerations) is not None:
                found |= {one["name"] for one in status.get("reservedFor", ())}
    return found & {each["metadata"]["name"] for each in state.pods}


def _decide(state: _State, real: Record | None) -> None:
    """All pods take their turn; who waits, in each order until one leads to what the scheduler did."""
    waiting = [each for each in state.pods if not each["spec"].get("nodeName")]
    bound = [each for each in state.pods if each["spec"].get("nodeName")]
    first: Outcome | None = None
    for order in islice(permutations(waiting), _MOST_ORDERS if real is not None else 1):
        for pods in [list(order)] if real is None else _pinned(order, bound, real):
            outcome = _allocated(state, [*bound, *pods])
            first = first or outcome
            if real is None or _record(state, outcome) == real:
                _write(state, outcome)
                return
    if first is None:
        state.record = _record(state, None)
        return
    _write(state, first)
    return


def _pinned(order: Sequence[Json], bound: Sequence[Json], real: Record) -> Iterator[list[Json]]:
    """The pods as they are; and each held to the node that it really got, if it got one."""
    yield list(order)
    pods = []
    numbers: dict[str, list[str]] = {}
    for name, one in real.items():
        numbers.setdefault(name.partition("#")[0], []).append(one.get("node", ""))
    for each in bound:
        nodes = numbers.get(_group(each), [])
        if each["spec"]["nodeName"] in nodes:
            nodes.remove(each["spec"]["nodeName"])
    for each in order:
        nodes = sorted(numbers.get(_group(each), []), key=lambda node: not node)
        node = nodes[0] if nodes else ""
        if node:
            numbers[_group(each)].remove(node)
            selector = {**each["spec"].get("nodeSelector", {}), HOST: node}
            each = {**each, "spec": {**each["spec"], "nodeSelector": selector}}
        pods.append(each)
    yield pods


def _group(pod: Json) -> str:
    owners = pod["metadata"].get("ownerReferences", ())
    return str(owners[0]["name"] if owners else pod["metadata"]["name"])


def _allocated(state: _State, pods: Sequence[Json]) -> Outcome:
    # A claim that no pod uses waits for one; asked on its own it would be given devices.
    entries = [one for each in pods for one in each["spec"].get("resourceClaims", ())]
    named = {one.get("resourceClaimName", "") for one in entries}
    claims = [each for each in state.claims if each.get("status") or each["metadata"]["name"] in named]
    manifests = manifests_of([*state.objects, *claims, *pods])
    return allocate_pods(world_of(manifests), _RULES)


def _record(state: _State, outcome: Outcome | None) -> Record:
    pods, claims = _written(state, outcome)
    return device_record(pods, claims)


def _write(state: _State, outcome: Outcome) -> None:
    state.pods, state.claims = _written(state, outcome)
    state.record = device_record(state.pods, state.claims)


def _written(state: _State, outcome: Outcome | None) -> tuple[list[Json], list[Json]]:
    """Pods with their nodes, and the claims as the scheduler writes them."""
    if outcome is None:
        return state.pods, state.claims
    nodes = {one.key[1]: one.node for one in outcome.answers if one.kind == "Pod" and one.allocated}
    pods = []
    for each in state.pods:
        node = nodes.get(each["metadata"]["name"], "")
        pods.append({**each, "spec": {**each["spec"], "nodeName": node}} if node else each)
    claims: list[Any] = [msgspec.json.decode(encode(one)) for one in outcome.claims]
    names = {one["metadata"]["name"] for one in claims}
    return pods, [*claims, *(one for one in state.claims if one["metadata"]["name"] not in names)]

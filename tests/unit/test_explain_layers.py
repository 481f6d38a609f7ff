"""Over all layers one reason counts: never is before waits, then the first in order."""

from typing import Any

import msgspec
import pytest

from stellwerk.api.groups.core import Node, Pod, PodSpec
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.decision import Reason
from stellwerk.engine.explain.creation import Unmade
from stellwerk.engine.explain.devices import DevicesAnswer
from stellwerk.engine.explain.explain import Told, explain
from stellwerk.engine.explain.nodes import NodesAnswer, nodes_for
from stellwerk.engine.explain.purchase import PurchaseAnswer, Said, heard
from stellwerk.engine.provisioning.provision import PoolAnswer


def as_object(raw: dict[str, Any], wanted: type[Any]) -> Any:
    return msgspec.convert(raw, wanted, dec_hook=decode_hook)


def node(name: str, cpu: str = "4", pods: str = "110", **spec: Any) -> Node:
    raw = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"zone": name}},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": pods}},
    }
    found: Node = as_object(raw, Node)
    return found


def spec(cpu: str, **more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": cpu}}}], **more}


def asked(cpu: str, **more: Any) -> PodSpec:
    found: PodSpec = as_object(spec(cpu, **more), PodSpec)
    return found


def running(name: str, on: str, cpu: str, phase: str = "Running") -> Pod:
    raw = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": spec(cpu, nodeName=on),
        "status": {"phase": phase},
    }
    found: Pod = as_object(raw, Pod)
    return found


def test_a_node_is_free_busy_or_never() -> None:
    nodes = [node("a"), node("b"), node("small", "1"), node("shut", unschedulable=True)]
    found = nodes_for(asked("2"), nodes, [running("p", "b", "3")])
    assert (found.total, found.free, found.busy) == (4, ("a",), ("b",))
    assert {reason.code: count for reason, count in found.refusals} == {"node-too-small": 1, "node-taint": 1}
    assert found.lacking == (("cpu", 1),)


def test_pods_that_ended_hold_nothing_and_each_pod_is_one() -> None:
    ended = running("p", "a", "4", phase="Succeeded")
    assert nodes_for(asked("4"), [node("a")], [ended]).free == ("a",)
    full = nodes_for(asked("0"), [node("a", pods="1")], [running("p", "a", "0")])
    assert full.busy == ("a",) and full.lacking == (("pods", 1),)


def test_exactly_what_is_there_fits() -> None:
    assert nodes_for(asked("1500m"), [node("a")], [running("p", "a", "2500m")]).free == ("a",)
    assert nodes_for(asked("1501m"), [node("a")], [running("p", "a", "2500m")]).busy == ("a",)


FREE = NodesAnswer(total=1, free=("a",), busy=())
BUSY = NodesAnswer(total=1, free=(), busy=("a",), lacking=(("cpu", 1),))
NONE = NodesAnswer(total=1, free=(), busy=(), refusals=((Reason("node-not-ready", "x"), 1),))
NOW = DevicesAnswer(now=True, ever=True, node="a")
LATER = DevicesAnswer(now=False, ever=True)
NEVER = DevicesAnswer(now=False, ever=False)


@pytest.mark.parametrize(
    ("nodes", "devices", "suspended", "dominant"),
    [
        (FREE, NOW, False, None),
        (FREE, LATER, False, ("device", "waits")),
        (BUSY, LATER, False, ("node", "waits")),
        (BUSY, NEVER, False, ("device", "never")),
        (NONE, None, False, ("node", "never")),
        (NONE, NEVER, True, ("queue", "never")),
        (FREE, NOW, True, ("queue", "never")),
    ],
)
def test_never_is_before_waits_and_then_the_first_layer_counts(
    nodes: NodesAnswer, devices: DevicesAnswer | None, suspended: bool, dominant: tuple[str, str] | None
) -> None:
    told = Told(kind="Job", key="lab/j", suspended=suspended, nodes=nodes, devices=devices)
    found = explain(told).dominant
    assert (None if found is None else (found.layer, found.verdict)) == dominant


EXCEEDED = (
    'Error creating: pods "w-0" is forbidden: exceeded quota: cpus, '
    "requested: limits.cpu=1,requests.cpu={asked}, used: limits.cpu=0,requests.cpu=900m, "
    "limited: limits.cpu=9,requests.cpu=1"
)
UNSAID = 'pods "w-0" is forbidden: failed quota: q: must specify limits.cpu for: main; requests.cpu for: main'


@pytest.mark.parametrize(
    ("words", "verdict", "code"),
    [
        (EXCEEDED.format(asked="200m"), "waits", "quota-exceeded"),
        (EXCEEDED.format(asked="1500m"), "never", "quota-too-small"),
        (UNSAID, "never", "quota-unsaid"),
        ('pods "w-0" is forbidden: violates PodSecurity "restricted:latest"', "never", "pods-refused"),
    ],
)
def test_pods_that_are_not_made_are_told_with_the_quota(words: str, verdict: str, code: str) -> None:
    found = explain(Told(kind="Deployment", key="a/b", unmade=Unmade(wanted=2, there=1, words=words)))
    assert found.dominant is not None
    assert (found.dominant.layer, found.dominant.verdict, found.dominant.reason.code) == (
        "creation",
        verdict,
        code,
    )
    assert str(found.dominant.reason).startswith("1 of 2 pods are there: ")


def bought(*verdicts: str, said: Said | None = None) -> PurchaseAnswer:
    pools = tuple(PoolAnswer(f"p{i}", each, Reason("x", "x")) for i, each in enumerate(verdicts))
    return heard(PurchaseAnswer(pools=pools, said=said))


@pytest.mark.parametrize(
    ("purchase", "verdict", "code"),
    [
        (bought(), "never", "node-missing"),
        (bought("never", "never"), "never", "node-missing"),
        (bought("never", "limit"), "waits", "node-at-limit"),
        (bought("limit", "may"), "waits", "node-may-be-bought"),
        (bought("may", "buys"), "waits", "node-bought"),
        (bought("may", said=Said(reason="FailedScheduling", message="no")), "never", "node-missing"),
        (
            bought("limit", said=Said(reason="Nominated", message="", claim="c", state="launched")),
            "waits",
            "node-under-way",
        ),
    ],
)
def test_a_node_that_is_missing_is_waited_for_where_one_is_bought(
    purchase: PurchaseAnswer, verdict: str, code: str
) -> None:
    found = explain(Told(kind="Pod", key="a/b", nodes=NONE, purchase=purchase))
    assert found.dominant is not None and found.dominant.layer == "node"
    assert (found.dominant.verdict, found.dominant.reason.code) == (verdict, code)
    assert found.layers[-1].layer == "purchase"


def test_what_no_pool_buys_does_not_count_where_nodes_are_only_busy() -> None:
    found = explain(Told(kind="Pod", key="a/b", nodes=BUSY, purchase=bought("never")))
    assert found.dominant is not None and found.dominant.reason.code == "nodes-busy"

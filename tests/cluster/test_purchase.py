"""`why --kubeconfig` where Karpenter runs: what each NodePool does for a pod, the real one does."""

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.commands import settled, stellwerk, wait_for
from tests.cluster.fixtures import need_programs
from tools.cluster.parts import start_karpenter
from tools.cluster.stack import Stack

SPACE = "purchase"
ARCH, KIND = "kubernetes.io/arch", "node.kubernetes.io/instance-type"
CLASS = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "default"}


def pool(name: str, *requirements: tuple[str, str, list[str]], **more: Any) -> dict[str, Any]:
    """A NodePool; `taints` and `labels` are of its template, what else there is of its spec."""
    template: dict[str, Any] = {
        "metadata": {"labels": {"team": name, **more.pop("labels", {})}},
        "spec": {
            "nodeClassRef": {**CLASS, "name": more.pop("node_class", "default")},
            "expireAfter": "Never",
            "requirements": [
                {"key": key, "operator": operator, "values": values} for key, operator, values in requirements
            ],
            **({"taints": more.pop("taints")} if "taints" in more else {}),
        },
    }
    return {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": name},
        "spec": {
            "template": template,
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "Never"},
            **more,
        },
    }


def pod(name: str, team: str, cpu: str = "1", **more: Any) -> dict[str, Any]:
    extended = more.pop("limits", {})
    resources = {"requests": {"cpu": cpu, **extended}, "limits": extended}
    container = {"name": "main", "image": "none", "resources": resources}
    selector = {"team": team, **more.pop("selector", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"containers": [container], "nodeSelector": selector, **more},
    }


TAINT = {"key": "dedicated", "value": "a", "effect": "NoSchedule"}
POOLS = [
    pool("open", (ARCH, "In", ["amd64"])),
    # Of the types that fit, the smallest has 4 CPUs: one is bought, and none after it.
    pool("limited", (ARCH, "In", ["amd64"]), limits={"cpu": "4"}),
    pool("one", limits={"nodes": "1"}),
    # Both are asked for the team "both", the heavier one first.
    pool("light", labels={"team": "both"}),
    pool("heavy", labels={"team": "both"}, weight=50),
    pool("tainted", taints=[TAINT]),
    pool("arm", (ARCH, "In", ["arm64"])),
    pool("small", (KIND, "In", ["c-1x-amd64-linux", "c-2x-amd64-linux"])),
    pool("static", replicas=0),
    pool("slow", node_class="slow"),
]
CLAIM_TEMPLATE = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "ResourceClaimTemplate",
    "metadata": {"name": "gpu", "namespace": SPACE},
    "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "none"}}]}}},
}
CLAIMED = {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}]}


def deployment(environment: dict[str, str]) -> dict[str, Any]:
    """Karpenter runs out of cluster here: a Deployment without pods shows its version and flags."""
    container = {
        "name": "controller",
        "image": "public.ecr.aws/karpenter/controller:1.14.1",
        "env": [{"name": name, "value": value} for name, value in environment.items()],
    }
    labels = {"app.kubernetes.io/name": "karpenter"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "karpenter", "namespace": "kube-system", "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


BEFORE = [pod("fills", "limited", "3900m"), pod("first", "one"), pod("ordered", "both")]
PODS = [
    pod("over-limit", "limited", "3900m", selector={"karpenter.sh/capacity-type": "on-demand"}),
    pod("second", "one"),
    pod("no-toleration", "tainted"),
    pod("tolerates", "tainted", tolerations=[{"key": "dedicated", "operator": "Exists"}]),
    pod("wrong-arch", "arm", selector={ARCH: "amd64"}),
    pod("either-arch", "arm", affinity={
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": ARCH, "operator": "In", "values": ["amd64"]}]},
            {"matchExpressions": [{"key": ARCH, "operator": "NotIn", "values": ["amd64"]}]},
        ]}}
    }),
    pod("unknown-label", "open", selector={"nvidia.com/gpu.product": "H100"}),
    pod("too-large", "small", "3"),
    pod("far-too-large", "open", "300"),
    pod("no-gpu", "open", limits={"nvidia.com/gpu": "1"}),
    pod("of-static", "static"),
    pod("claims", "open", **CLAIMED),
]  # fmt: skip
# What the pool of the pod's team says; what is bought is no longer asked, once its node is there.
REFUSED = [
    ("over-limit", "limited", "pool-limit", "exceed limits for nodepool"),
    ("second", "one", "pool-limit", "node limits have been exhausted"),
    ("no-toleration", "tainted", "pool-taint", "did not tolerate taint"),
    ("wrong-arch", "arm", "pool-requirement", "incompatible requirements"),
    ("unknown-label", "open", "pool-label", "does not have known values"),
    ("too-large", "small", "type-too-small", "no instance type"),
    ("far-too-large", "open", "type-too-small", "no instance type has enough resources"),
    ("no-gpu", "open", "type-lacks", "no instance type has enough resources"),
    ("of-static", "static", "pool-static", ""),
    ("claims", "open", "claims-ignored", "not yet supported by Karpenter"),
]
BOUGHT = {
    "fills": "limited",
    "first": "one",
    "ordered": "heavy",
    "tolerates": "tainted",
    "either-arch": "arm",
}
Explain = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A cluster of its own with Karpenter: nodes would be bought for pods of other tests, too."""
    need_programs()
    started = Stack(Path(tmp_path_factory.mktemp("market")))
    try:
        started.start()
        start_karpenter(started)
        node_class: dict[str, Any] = {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
        classes = [
            {**node_class, "metadata": {"name": "default"}},
            {**node_class, "metadata": {"name": "slow"}, "spec": {"nodeRegistrationDelay": "10m"}},
        ]
        started.apply([namespace, *classes, CLAIM_TEMPLATE, *POOLS, deployment({})])
        ready = [f"nodepool/{each['metadata']['name']}" for each in POOLS]
        started.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *ready)
        yield started
    finally:
        started.stop()


def explain(stack: Stack, name: str) -> dict[str, Any]:
    done = stellwerk("why", name, "--kubeconfig", str(stack.kubeconfig("admin")), "-o", "json")
    assert done.stderr == "" and done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def predicted(document: dict[str, Any], team: str) -> tuple[str, str]:
    """The layer's verdict, and the code of the team's NodePool."""
    layer = next(each for each in document["layers"] if each["layer"] == "purchase")
    return layer["verdict"], next(each["code"] for each in layer["also"] if each.get("pool") == team)


@pytest.fixture(scope="module")
def before(market: Stack) -> dict[str, dict[str, Any]]:
    """What is predicted of pods that are to be bought for, while Karpenter does not run."""
    market.kill("karpenter-kwok")
    market.apply([*BEFORE, *(each for each in PODS if each["metadata"]["name"] in BOUGHT)])
    settled(market, SPACE, "pods")
    return {name: explain(market, name) for name in BOUGHT}


@pytest.fixture(scope="module")
def after(market: Stack, before: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Karpenter runs again: its last event about each pod."""
    assert before
    market.again("karpenter-kwok")
    wait_for(lambda: all(phase == "Running" for phase in phases(market, BOUGHT)))
    market.apply([each for each in PODS if each["metadata"]["name"] not in BOUGHT])
    wait_for(lambda: len(events(market)) >= len(BOUGHT) + len(REFUSED))
    return events(market)


def phases(stack: Stack, names: Collection[str]) -> list[str]:
    found = json.loads(stack.kubectl("get", "pods", "-n", SPACE, "-o", "json"))["items"]
    return [each["status"].get("phase", "") for each in found if each["metadata"]["name"] in names]


def events(stack: Stack) -> dict[str, str]:
    found = json.loads(stack.kubectl("get", "events", "-n", SPACE, "-o", "json"))["items"]
    return {
        each["involvedObject"]["name"]: f"{each['reason']}: {each['message']}"
        for each in found
        if (each.get("reportingComponent") or each["source"].get("component")) == "karpenter"
    }


@pytest.mark.parametrize("name", BOUGHT)
def test_a_node_that_is_predicted_is_bought(
    before: dict[str, dict[str, Any]], after: dict[str, str], name: str
) -> None:
    document = before[name]
    assert predicted(document, BOUGHT[name]) == ("ok", "pool-buys")
    dominant = document["dominant"]
    assert f"NodePool {BOUGHT[name]} buys" in dominant["text"]
    assert (dominant["layer"], dominant["verdict"], dominant["code"]) == ("node", "waits", "node-bought")
    assert after[name].startswith("Nominated: ")


@pytest.mark.parametrize(("name", "team", "code", "words"), REFUSED)
def test_a_pool_that_buys_nothing_says_why_as_karpenter_does(
    market: Stack, after: dict[str, str], name: str, team: str, code: str, words: str
) -> None:
    document = explain(market, name)
    verdict, found = predicted(document, team)
    assert found == code
    assert verdict == ("waits" if code == "pool-limit" else "never")
    assert after[name].startswith("FailedScheduling: ") and words in after[name]
    layer = next(each for each in document["layers"] if each["layer"] == "purchase")
    assert layer["words"] == after[name].partition(": ")[2]
    # The pods of both limited pools wait: for room on the one node there is, or for the limit.
    waiting = {"second": "nodes-busy", "over-limit": "node-at-limit"}
    assert document["dominant"]["code"] == waiting.get(name, "node-missing")


def test_no_pool_but_those_that_are_predicted_has_bought_anything(
    market: Stack, after: dict[str, str]
) -> None:
    assert after
    found = json.loads(market.kubectl("get", "nodeclaims", "-o", "json"))["items"]
    pools = sorted(each["metadata"]["labels"]["karpenter.sh/nodepool"] for each in found)
    assert sorted(set(pools) - {"slow"}) == sorted(BOUGHT.values())


def test_a_node_that_was_bought_and_is_not_there_yet_is_under_way(
    market: Stack, after: dict[str, str]
) -> None:
    """Its NodeClaim is launched, and the node comes in ten minutes."""
    assert after
    market.apply([pod("coming", "slow")])
    wait_for(lambda: events(market).get("coming", "").startswith("Nominated: "))
    wait_for(lambda: " launched" in explain(market, "coming")["dominant"]["text"])
    document = explain(market, "coming")
    dominant = document["dominant"]
    assert (dominant["layer"], dominant["verdict"], dominant["code"]) == ("node", "waits", "node-under-way")
    layer = next(each for each in document["layers"] if each["layer"] == "purchase")
    claim = json.loads(market.kubectl("get", "nodeclaims", "-l", "karpenter.sh/nodepool=slow", "-o", "json"))
    name = claim["items"][0]["metadata"]["name"]
    assert layer["verdict"] == "ok" and name in layer["words"] and name in dominant["text"]


def test_a_karpenter_that_counts_claims_buys_none_for_devices_that_no_provider_announces(
    market: Stack, after: dict[str, str]
) -> None:
    """--ignore-dra-requests=false, as its Deployment shows."""
    assert after
    market.kill("karpenter-kwok")
    market.apply([deployment({"IGNORE_DRA_REQUESTS": "false"}), pod("counted", "open", **CLAIMED)])
    settled(market, SPACE, "pods")
    assert predicted(explain(market, "counted"), "open") == ("never", "claims-no-device")
    start_karpenter(market, {"IGNORE_DRA_REQUESTS": "false"})
    wait_for(lambda: "counted" in events(market))
    assert events(market)["counted"].startswith("FailedScheduling: ")
    assert "dynamic resources" in events(market)["counted"]

"""`why --kubeconfig` on the real stack: its dominant reason is what Kueue and the scheduler do and say."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.commands import settled, stellwerk
from tools.cluster.stack import Stack

FAKE = {"kwok.x-k8s.io/node": "fake"}
HERE = {"why.test/node": "yes"}


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **more}


def node(name: str, cpu: str) -> dict[str, Any]:
    room = {"cpu": cpu, "memory": "16Gi", "pods": "110"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta(name, annotations=FAKE, labels={**HERE, "kubernetes.io/hostname": name}),
        "status": {"allocatable": room, "capacity": room},
    }


def pod_spec(cpu: str, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": cpu}}}
    return {"containers": [container], "nodeSelector": HERE, "restartPolicy": "Never", **more}


def pod(name: str, cpu: str, **more: Any) -> dict[str, Any]:
    metadata = meta(name, namespace="why")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(cpu, **more)}


def job(name: str, cpu: str) -> dict[str, Any]:
    template = {"metadata": {"annotations": {"stellwerk.dev/run-for": "1h"}}, "spec": pod_spec(cpu)}
    labels = {"kueue.x-k8s.io/queue-name": "team"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta(name, namespace="why", labels=labels),
        "spec": {"suspend": True, "template": template},
    }


def claim_template(name: str, expression: str) -> dict[str, Any]:
    exactly = {"deviceClassName": "why-gpu", "selectors": [{"cel": {"expression": expression}}]}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": meta(name, namespace="why"),
        "spec": {"spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}}},
    }


def with_claim(template: str) -> dict[str, Any]:
    return {"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": template}]}


def queue(kind: str, name: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": kind,
        "metadata": meta(name, **more),
        "spec": spec,
    }


CPU_QUOTA = {
    "coveredResources": ["cpu"],
    "flavors": [{"name": "why-flavor", "resources": [{"name": "cpu", "nominalQuota": "2"}]}],
}
BIG = 'device.attributes["why.test"].size >= {size}'
OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": meta("why")},
    node("why-1", "4"),
    queue("ResourceFlavor", "why-flavor", {"nodeLabels": HERE}),
    queue("ClusterQueue", "why-queue", {"namespaceSelector": {}, "resourceGroups": [CPU_QUOTA]}),
    queue("LocalQueue", "team", {"clusterQueue": "why-queue"}, namespace="why"),
    {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": meta("why-gpu"),
        "spec": {"selectors": [{"cel": {"expression": 'device.driver == "why.test"'}}]},
    },
    {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": meta("why-1-gpus"),
        "spec": {
            "driver": "why.test",
            "nodeName": "why-1",
            "pool": {"name": "why-1", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0", "attributes": {"size": {"int": 40}}}],
        },
    },
    claim_template("small", BIG.format(size=40)),
    claim_template("huge", BIG.format(size=80)),
]
WAITING = [
    job("runs", "2"),
    job("waits", "1"),
    job("too-much", "3"),
    pod("holder", "100m", **with_claim("small")),
    pod("device-busy", "100m", **with_claim("small")),
    pod("device-missing", "100m", **with_claim("huge")),
    pod("node-missing", "8"),
    pod("node-busy", "3"),
    pod("node-taint", "1", tolerations=[], nodeSelector={"why.test/node": "no"}),
]


@pytest.fixture(scope="module")
def explained(stack: Stack) -> Callable[[str], tuple[int, dict[str, Any]]]:
    """Gives exit code and document of `why NAME --kubeconfig`, once all has come to rest."""
    stack.apply(OBJECTS)
    for each in WAITING:
        stack.apply([each])
        settled(stack, "why")

    def explain(name: str) -> tuple[int, dict[str, Any]]:
        done = stellwerk("why", name, "--kubeconfig", str(stack.kubeconfig("admin")), "-o", "json")
        assert done.stderr == "", done.stderr
        return done.returncode, json.loads(done.stdout)

    return explain


@pytest.mark.parametrize(
    ("name", "layer", "verdict", "code"),
    [
        ("waits", "queue", "waits", "WaitingForQuota"),
        ("too-much", "queue", "never", "ExceedsMaxQuota"),
        ("device-busy", "device", "waits", "devices-in-use"),
        ("device-missing", "device", "never", "devices-missing"),
        ("node-missing", "node", "never", "node-missing"),
        ("node-busy", "node", "waits", "nodes-busy"),
        ("node-taint", "node", "never", "node-missing"),
    ],
)
def test_the_dominant_reason_is_that_of_the_layer_which_keeps_it(
    explained: Callable[[str], tuple[int, dict[str, Any]]], name: str, layer: str, verdict: str, code: str
) -> None:
    exit_code, document = explained(name)
    assert exit_code == 1
    dominant = document["dominant"]
    assert (dominant["layer"], dominant["verdict"], dominant["code"]) == (layer, verdict, code)
    assert dominant["words"], "the component that executes says why as well"


@pytest.mark.parametrize("name", ["runs", "holder"])
def test_what_runs_is_kept_by_nothing(
    explained: Callable[[str], tuple[int, dict[str, Any]]], name: str
) -> None:
    exit_code, document = explained(name)
    assert (exit_code, document["dominant"]) == (0, None)
    assert [each["phase"] for each in document["pods"]] == ["Running"]
    assert [each["node"] for each in document["pods"]] == ["why-1"]


def test_a_name_that_is_not_there_is_answered_with_the_nearest(stack: Stack) -> None:
    done = stellwerk("why", "wait", "--kubeconfig", str(stack.kubeconfig("admin")))
    assert done.returncode == 2 and "why/waits" in done.stderr


def test_a_role_that_may_not_read_is_told_which_rules_it_lacks(stack: Stack) -> None:
    done = stellwerk("why", "waits", "--kubeconfig", str(stack.kubeconfig("stellwerk")))
    assert done.returncode == 3
    assert "list pods" in done.stderr and "list workloads.kueue.x-k8s.io" in done.stderr

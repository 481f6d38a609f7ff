"""`why --kubeconfig` of Deployments, StatefulSets and Pods: gates, quota, and whom a name means."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.commands import stellwerk, wait_for
from tools.cluster.stack import Stack

FAKE = {"kwok.x-k8s.io/node": "fake"}
HERE = {"makers.test/node": "yes"}
MAKERS, QUOTAS = "makers", "quotas"
WORKLOADS = "workloads.kueue.x-k8s.io"
ADMISSION = "kueue.x-k8s.io/admission"
Explain = Callable[..., dict[str, Any]]


def node(name: str, cpu: str) -> dict[str, Any]:
    room = {"cpu": cpu, "memory": "16Gi", "pods": "110"}
    metadata = {"name": name, "annotations": FAKE, "labels": HERE}
    status = {"allocatable": room, "capacity": room}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


def spec(cpu: str, **more: Any) -> dict[str, Any]:
    requests = {"cpu": cpu} if cpu else {}
    container = {"name": "main", "image": "none", "resources": {"requests": requests}}
    return {"containers": [container], "nodeSelector": HERE, **more}


def pod(name: str, cpu: str, *gates: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": MAKERS, "labels": labels or {}}
    held = {"schedulingGates": [{"name": gate} for gate in gates]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec(cpu, **held)}


def maker(kind: str, name: str, cpu: str, replicas: int = 1, namespace: str = MAKERS) -> dict[str, Any]:
    labels = {"app": name}
    template: dict[str, Any] = {"metadata": {"labels": labels}, "spec": spec(cpu)}
    wanted: dict[str, Any] = {"replicas": replicas, "selector": {"matchLabels": labels}}
    if kind == "Job":
        template["spec"]["restartPolicy"], wanted = "Never", {}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**wanted, "template": template},
    }


def queue(kind: str, name: str, content: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata, "spec": content}


CPU = {
    "coveredResources": ["cpu"],
    "flavors": [{"name": "makers", "resources": [{"name": "cpu", "nominalQuota": "1"}]}],
}
OBJECTS = [
    *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (MAKERS, QUOTAS)),
    node("makers-1", "4"),
    queue("ResourceFlavor", "makers", {"nodeLabels": HERE}),
    queue("ClusterQueue", "makers", {"namespaceSelector": {}, "resourceGroups": [CPU]}),
    queue("LocalQueue", "team", {"clusterQueue": "makers"}, MAKERS),
    {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "cpus", "namespace": QUOTAS},
        "spec": {"hard": {"requests.cpu": "1"}},
    },
]
WAITING = [
    maker("Deployment", "web", "8"),
    maker("Deployment", "serves", "100m"),
    maker("Deployment", "none", "1", replicas=0),
    maker("StatefulSet", "db", "8"),
    maker("StatefulSet", "twice", "100m"),
    pod("twice", "8"),
    pod("held", "1", "example.com/hold"),
    pod("orphan", "1", ADMISSION),
    pod("queued", "2", ADMISSION),
    maker("Deployment", "first", "600m", 2, QUOTAS),
]
REFUSED = [
    maker("Deployment", "huge", "2", 1, QUOTAS),
    maker("Deployment", "unsaid", "", 1, QUOTAS),
    maker("StatefulSet", "set", "600m", 1, QUOTAS),
    maker("Job", "job", "600m", 1, QUOTAS),
]


def workload(owner: dict[str, Any]) -> dict[str, Any]:
    """What Kueue's pod integration, which does not run here, makes of a pod."""
    name = owner["metadata"]["name"]
    reference = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": owner["metadata"]["uid"]}
    pod_set = {"name": "main", "count": 1, "template": {"spec": spec("2", restartPolicy="Never")}}
    made = queue("Workload", f"pod-{name}", {"queueName": "team", "podSets": [pod_set]}, MAKERS)
    return {**made, "metadata": {**made["metadata"], "ownerReferences": [reference]}}


def found_in(stack: Stack, namespace: str, kinds: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(stack.kubectl("get", kinds, "-n", namespace, "-o", "json"))[
        "items"
    ]
    return items


def failed_creates(stack: Stack) -> set[str]:
    """The Deployments, StatefulSets and Jobs of which the API server refused a pod."""
    return {
        each["involvedObject"]["name"].partition("-")[0]
        for each in found_in(stack, QUOTAS, "events")
        if each["reason"] == "FailedCreate"
    }


@pytest.fixture(scope="module")
def explained(stack: Stack) -> Explain:
    """Gives the document of `why NAME --kubeconfig`, once pods are where they stay."""
    stack.apply([*OBJECTS, *WAITING])
    wait_for(lambda: failed_creates(stack) == {"first"})
    stack.apply(REFUSED)
    held = json.loads(stack.kubectl("get", "pod", "queued", "-n", MAKERS, "-o", "json"))
    stack.apply([workload(held)])
    wait_for(lambda: failed_creates(stack) == {"first", "huge", "unsaid", "set", "job"})
    wait_for(lambda: len(found_in(stack, MAKERS, "pods")) == 8)
    wait_for(lambda: any("status" in each for each in found_in(stack, MAKERS, WORKLOADS)))

    def explain(name: str, code: int = 1) -> dict[str, Any]:
        done = stellwerk("why", name, "--kubeconfig", str(stack.kubeconfig("admin")), "-o", "json")
        assert (done.returncode, done.stderr) == (code, ""), done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    return explain


@pytest.mark.parametrize(
    ("name", "layer", "verdict", "code"),
    [
        ("web", "node", "never", "node-missing"),
        ("makers/statefulset/db", "node", "never", "node-missing"),
        ("none", "creation", "never", "no-pods-wanted"),
        ("held", "gate", "waits", "gated"),
        ("orphan", "gate", "never", "gate-without-workload"),
        ("queued", "queue", "never", "ExceedsMaxQuota"),
        ("deploy/first", "creation", "waits", "quota-exceeded"),
        ("huge", "creation", "never", "quota-too-small"),
        ("unsaid", "creation", "never", "quota-unsaid"),
        ("sts/set", "creation", "waits", "quota-exceeded"),
        ("quotas/job", "creation", "waits", "quota-exceeded"),
    ],
)
def test_the_reason_is_that_of_who_keeps_its_pods(
    explained: Explain, name: str, layer: str, verdict: str, code: str
) -> None:
    dominant = explained(name)["dominant"]
    assert (dominant["layer"], dominant["verdict"], dominant["code"]) == (layer, verdict, code)


def test_a_refusal_is_told_with_its_numbers_and_the_api_servers_words(explained: Explain) -> None:
    dominant = explained("first")["dominant"]
    assert dominant["text"] == (
        "1 of 2 pods are there: one more asks for 600m of requests.cpu, "
        "and of ResourceQuota cpus 600m of 1 are in use"
    )
    assert "exceeded quota: cpus" in dominant["words"]


def test_what_runs_is_kept_by_nothing_by_any_of_its_names(stack: Stack, explained: Explain) -> None:
    sets = [each["metadata"]["name"] for each in found_in(stack, MAKERS, "replicasets")]
    pods = [each["metadata"]["name"] for each in found_in(stack, MAKERS, "pods")]
    replica_set = next(name for name in sets if name.startswith("serves-"))
    its_pod = next(name for name in pods if name.startswith("serves-"))
    wait_for(lambda: explained_phase(stack, its_pod) == "Running")
    for name in (
        "serves",
        "makers/serves",
        "deployment/serves",
        f"rs/{replica_set}",
        f"pod/{its_pod}",
        its_pod,
    ):
        document = explained(name, 0)
        assert document["dominant"] is None
        assert [each["name"] for each in document["pods"]] == [its_pod]


def explained_phase(stack: Stack, name: str) -> str:
    found: dict[str, Any] = json.loads(stack.kubectl("get", "pod", name, "-n", MAKERS, "-o", "json"))
    return str(found["status"].get("phase"))


def test_of_an_object_and_a_pod_of_one_name_the_object_is_meant(explained: Explain) -> None:
    assert explained("twice", 0)["kind"] == "StatefulSet"
    assert explained("pod/twice")["kind"] == "Pod"


def test_the_pods_of_a_maker_and_what_waits_first(explained: Explain) -> None:
    document = explained("web")
    assert (document["kind"], document["namespace"], document["name"]) == ("Deployment", MAKERS, "web")
    assert [each["phase"] for each in document["pods"]] == ["Pending"]
    assert "Insufficient cpu" in document["dominant"]["words"]

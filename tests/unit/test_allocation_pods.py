"""Pods with their claims: nodes that fit, neighbors, extended resources, claims that are there or missing."""

from pathlib import Path

import pytest

from stellwerk.api.groups.core import PodSpec
from stellwerk.api.manifests import load_manifests
from stellwerk.engine.allocation.pods.extended import asked_by, classes_by_resource, extended_claim
from stellwerk.engine.allocation.pods.world import world_of
from tests.unit.allocation_sample import (
    Object,
    answers,
    claim,
    class_of,
    device,
    node,
    obj,
    pod,
    slice_of,
    write,
)

TEMPLATE = claim("t", kind="ResourceClaimTemplate")
GPU = "example.com/gpu"
BY_DRA = class_of(extendedResourceName=GPU)


def cluster(*names: str) -> list[Object]:
    return [class_of(), TEMPLATE, *(slice_of(name, device("gpu-0"), device("gpu-1")) for name in names)]


def reasons(answer: Object) -> list[str]:
    return [one["reasons"][0]["code"] for one in answer["refused"]]


@pytest.mark.parametrize(
    ("refusing", "spec", "code"),
    [
        ({"taints": [{"key": "k", "effect": "NoSchedule"}]}, {}, "node-taint"),
        ({"unschedulable": True}, {}, "node-taint"),
        ({}, {"nodeSelector": {"zone": "b"}}, "node-selector"),
        ({}, {"nodeName": "n2"}, "node-name"),
        (
            {},
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
                            ]
                        }
                    }
                }
            },
            "node-affinity",
        ),
    ],
)
def test_a_node_that_does_not_fit_is_passed_over(
    refusing: Object, spec: Object, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [node("n1", {"zone": "a"}, **refusing), node("n2", {"zone": "b"})]
    fits = answers(capsys, "-f", write(tmp_path, *cluster("n1", "n2"), *nodes, pod("p", "t", **spec)))
    assert [one["node"] for one in fits] == ["n2"]
    only = answers(capsys, "-f", write(tmp_path, *cluster("n1"), nodes[0], pod("p", "t", **spec)))
    if code != "node-name":
        assert reasons(only[0]) == [code]


def test_a_toleration_lets_the_pod_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tainted = node("n1", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    tolerations = [{"key": "k", "operator": "Equal", "value": "v"}]
    folder = write(tmp_path, *cluster("n1"), tainted, pod("p", "t", tolerations=tolerations))
    assert answers(capsys, "-f", folder)[0]["node"] == "n1"


def affinity(kind: str, key: str) -> Object:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "a"}}}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def test_pods_keep_together_and_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [node("n1", {"rack": "x"}), node("n2", {"rack": "y"}), node("n3", {"rack": "x"})]
    both = (
        affinity("podAffinity", "rack")["affinity"]
        | affinity("podAntiAffinity", "kubernetes.io/hostname")["affinity"]
    )
    pods = [pod(name, "t", labels={"app": "a"}, affinity=both) for name in ("p0", "p1", "p2")]
    folder = write(tmp_path, *cluster("n1", "n2", "n3"), *nodes, *pods)
    found = answers(capsys, "-f", folder)
    assert [one.get("node", "") for one in found] == ["n1", "n3", ""]
    assert reasons(found[2]) == ["pod-anti-affinity", "pod-affinity"]
    assert [one["nodes"] for one in found[2]["refused"]] == [2, 1]


def test_a_pod_that_runs_keeps_others_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running = pod("r", labels={"app": "a"}, nodeName="n1")
    later = pod("p", "t", **affinity("podAntiAffinity", "kubernetes.io/hostname"))
    folder = write(tmp_path, *cluster("n1", "n2"), later, running)
    assert [one["node"] for one in answers(capsys, "-f", folder)] == ["n2"]


def test_all_claims_of_a_pod_are_allocated_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [{"name": f"d{i}", "resourceClaimTemplateName": "t"} for i in range(2)]
    slices = [slice_of("n1", device("gpu-0")), slice_of("n2", device("gpu-0"), device("gpu-1"))]
    folder = write(tmp_path, class_of(), TEMPLATE, *slices, pod("p", resourceClaims=entries))
    (answer,) = answers(capsys, "-f", folder)
    assert answer["node"] == "n2" and len(answer["devices"]) == 2


def test_pods_that_share_a_claim_share_its_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [{"name": "d", "resourceClaimName": "shared"}]
    pods = [pod(name, resourceClaims=entries) for name in ("p0", "p1")]
    folder = write(tmp_path, *cluster("n1", "n2"), claim("shared"), *pods)
    first, second = answers(capsys, "-f", folder)
    assert (first["node"], second["node"], second["before"]) == ("n1", "n1", True)
    elsewhere = pod("p2", resourceClaims=entries, nodeName="n2")
    folder = write(tmp_path, *cluster("n1", "n2"), claim("shared"), *pods, elsewhere)
    assert reasons(answers(capsys, "-f", folder)[2]) == ["node-name", "claim-elsewhere"]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"resourceClaimName": "none"}, "missing-claim"),
        ({"resourceClaimTemplateName": "none"}, "missing-template"),
    ],
)
def test_a_pod_waits_for_what_is_not_there(
    entry: Object, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, *cluster("n1"), pod("p", resourceClaims=[{"name": "d", **entry}]))
    (answer,) = answers(capsys, "-f", folder)
    assert reasons(answer) == [code] and answer["change"] is None


def test_a_job_makes_its_pods_one_after_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = {"spec": pod("x", "t")["spec"]}
    job = obj("Job", "j", {"parallelism": 5, "completions": 3, "template": template})
    found = answers(capsys, "-f", write(tmp_path, *cluster("n1"), job))
    assert [(one["name"], one["allocated"]) for one in found] == [
        ("j-0", True),
        ("j-1", True),
        ("j-2", False),
    ]
    assert found[2]["change"]["code"] == "without-pod"


def test_an_extended_resource_is_allocated_by_dra(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asking = pod("p", resources={"limits": {GPU: "2"}})
    folder = write(tmp_path, BY_DRA, slice_of("n1", device("gpu-0"), device("gpu-1")), asking)
    (answer,) = answers(capsys, "-f", folder)
    assert [one["request"] for one in answer["devices"]] == ["container-0-request-0"] * 2
    assert answer["claims"][0].startswith("default/p-extended-resources-")


def test_a_device_plugin_serves_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pods = [pod(f"p{i}", resources={"limits": {GPU: "2"}}) for i in range(3)]
    nodes = [node("n1", allocatable={GPU: "3"}), node("n2")]
    folder = write(tmp_path, BY_DRA, *nodes, slice_of("n2", device("gpu-0"), device("gpu-1")), *pods)
    first, second, third = answers(capsys, "-f", folder)
    assert (first["node"], first["devicePlugin"], first["devices"]) == ("n1", {GPU: 2}, [])
    assert (second["node"], second["devicePlugin"], len(second["devices"])) == ("n2", {}, 2)
    assert reasons(third) == ["extended-resource", "too-few-devices"]
    assert third["refused"][0]["reasons"][0]["values"] == {
        "wanted": 2,
        "resource": GPU,
        "left": 1,
        "total": 3,
    }
    assert third["change"]["values"]["fewer"] == 1 and third["change"]["node"] == "n1"


def test_without_the_gate_only_a_device_plugin_serves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asking = pod("p", resources={"limits": {GPU: "1"}})
    folder = write(tmp_path, BY_DRA, slice_of("n1", device("gpu-0")), asking)
    (answer,) = answers(capsys, "-f", folder, "--kubernetes", "1.35")
    assert reasons(answer) == ["extended-resource"]
    assert answer["change"]["values"] == {"gate": "DRAExtendedResource"}


def test_a_class_is_a_resource_by_its_implicit_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asking = pod("p", resources={"limits": {"deviceclass.resource.kubernetes.io/gpu": "1"}})
    folder = write(tmp_path, class_of(), slice_of("n1", device("gpu-0")), asking)
    assert answers(capsys, "-f", folder)[0]["allocated"]


def spec_of(*init: tuple[int, bool], main: tuple[int, ...]) -> PodSpec:
    def container(name: str, count: int, sidecar: bool = False) -> Object:
        resources = {"limits": {"cpu": "1", GPU: str(count)}} if count else {}
        return {"name": name, "resources": resources, **({"restartPolicy": "Always"} if sidecar else {})}

    spec = {
        "initContainers": [container(f"i{i}", *one) for i, one in enumerate(init)],
        "containers": [container(f"c{i}", one) for i, one in enumerate(main)],
    }
    (manifest,) = load_manifests(str(obj("Pod", "p", spec)).replace("'", '"').encode(), "pod")
    found: PodSpec = manifest.object.spec  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize(
    ("spec", "asked", "requests"),
    [
        (spec_of(main=(2, 1)), 3, {0: 2, 1: 1}),
        (spec_of((1, False), main=(2,)), 2, {1: 2}),
        (spec_of((5, False), (4, False), main=(2,)), 5, {0: 3, 2: 2}),
        (spec_of((1, True), (2, False), main=(2,)), 3, {0: 1, 2: 2}),
        (spec_of((3, False), (1, True), main=(1,)), 3, {0: 1, 1: 1, 2: 1}),
    ],
)
def test_init_containers_use_what_later_containers_ask(
    spec: PodSpec, asked: int, requests: dict[int, int]
) -> None:
    assert asked_by(spec) == {GPU: asked}
    claim_spec = extended_claim(spec, [GPU], {GPU: "gpu"})
    found = {one.name: one.exactly.count for one in claim_spec.devices.requests}  # type: ignore[union-attr]
    assert found == {f"container-{i}-request-1": count for i, count in requests.items()}


def test_of_two_classes_with_one_name_the_newer_counts() -> None:
    old = class_of("b", extendedResourceName=GPU)
    new = class_of("c", extendedResourceName=GPU)
    same = class_of("a", extendedResourceName=GPU)
    for one, year in ((old, 2024), (new, 2025), (same, 2024)):
        one["metadata"]["creationTimestamp"] = f"{year}-01-01T00:00:00Z"
    text = str({"apiVersion": "v1", "kind": "List", "items": [old, new, same]}).replace("'", '"')
    text = text.replace('device.driver == "gpu.example.com"', "true")
    classes = world_of(load_manifests(text.encode(), "x")).classes
    assert classes_by_resource(classes)[GPU] == "c"
    assert classes_by_resource([one for one in classes if one.metadata.name != "c"])[GPU] == "a"


def test_many_pods_keep_apart_by_rack_and_together_by_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Racks of two nodes, rows of two racks: a pod a rack, all in the row of the first."""
    nodes = [node(f"n{i}", {"rack": f"k{i // 2}", "row": f"w{i // 4}"}) for i in range(8)]
    both = affinity("podAffinity", "row")["affinity"] | affinity("podAntiAffinity", "rack")["affinity"]
    pods = [pod(f"p{i}", "t", labels={"app": "a"}, affinity=both) for i in range(3)]
    stranger = pod("s", "t", labels={"app": "b"})
    kept_away = pod("k", "t", labels={"app": "a"})
    names = [f"n{i}" for i in range(8)]
    folder = write(tmp_path, *cluster(*names), *nodes, *pods, stranger, kept_away)
    found = answers(capsys, "-f", folder)
    assert [one.get("node", "") for one in found] == ["n0", "n2", "", "n0", "n4"]
    assert [(one["reasons"][0]["code"], one["nodes"]) for one in found[2]["refused"]] == [
        ("pod-anti-affinity", 4),
        ("pod-affinity", 4),
    ]

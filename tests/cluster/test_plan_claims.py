"""`plan` where NVIDIA's DRA driver publishes devices: claims of the real scheduler, kubectl diff."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.commands import settled, stellwerk
from tests.cluster.fixtures import need_programs
from tests.cluster.test_plan import POLICY, kubectl_diff
from tests.unit.plan_sample import claimed
from tools.cluster.stack import Stack

GPUS = 'device.driver == "gpu.nvidia.com" && device.attributes["gpu.nvidia.com"].type == "gpu"'
SKIPPED = ("Pod", "ResourceClaim", "ClusterQueue", "LocalQueue", "ResourceFlavor", "NodePool")


def named(definition: dict[str, Any], kind: str, plural: str, version: str) -> dict[str, Any]:
    """A definition of another kind of the same group, which takes any field."""
    found: dict[str, Any] = json.loads(json.dumps(definition))
    found["metadata"]["name"] = f"{plural}.{found['spec']['group']}"
    found["spec"]["names"] = {"kind": kind, "plural": plural}
    found["spec"]["versions"][0]["name"] = version
    return found


def objects() -> list[dict[str, Any]]:
    """The serving part of the example, as somebody would apply it: what makes pods, and what is published."""
    found = [one for one in claimed() if one["kind"] not in SKIPPED]
    for one in found:
        if one["kind"] == "Node":
            one["metadata"]["annotations"] = {"kwok.x-k8s.io/node": "fake"}
            for place in ("capacity", "allocatable"):
                one["status"][place]["pods"] = "110"
        if one["kind"] == "Deployment":
            spec = one["spec"]["template"]["spec"]
            spec["nodeSelector"] = {"node.kubernetes.io/instance-type": "p5.4xlarge"}
    requests = [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]
    template = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "whole", "namespace": "assistants"},
        "spec": {"spec": {"devices": {"requests": requests}}},
    }
    device_class = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "DeviceClass",
        "metadata": {"name": "gpu.nvidia.com"},
        "spec": {"selectors": [{"cel": {"expression": GPUS}}]},
    }
    return [device_class, template, *found]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A control plane of this module's own: on another one nodes would show both ways of handing out GPUs."""
    need_programs("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "kwok")
    started = Stack(tmp_path_factory.mktemp("claims") / "cluster")
    try:
        started.start()
        clusters = named(POLICY, "GPUCluster", "gpuclusters", "v1alpha1")
        started.apply([clusters])
        started.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/gpuclusters.nvidia.com")
        started.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "assistants"}}])
        started.apply(objects())
        started.kubectl("rollout", "status", "deployment", "-n", "assistants", "--timeout=120s")
        settled(started, "assistants", "pods,resourceclaims")
        yield started
    finally:
        started.stop()


def test_the_schedulers_claims_are_seen_and_kubectl_diff_shows_the_plan(own: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    done = stellwerk(
        "plan", "--kubeconfig", str(own.kubeconfig("admin")), "--manifests", str(folder), "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["executor"] == "dra" and (plan["gpusBefore"], plan["gpusAfter"]) == (4, 1)
    live, after = kubectl_diff(own, folder, tmp_path)
    shown = {
        key: 1 if key not in live else sum(live[key].get(path) != fields.get(path) for path in fields)
        for key, fields in after.items()
        if live.get(key) != fields
    }
    said: dict[tuple[str, str, str], int] = {}
    for each in plan["changes"]:
        key = each["kind"], each["namespace"], each["name"]
        said[key] = said.get(key, 0) + 1
    assert shown == said
    assert {key[0] for key in said} == {"Deployment", "ResourceClaimTemplate", "DeviceClass", "GPUCluster"}

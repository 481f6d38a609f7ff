"""`plan --kubeconfig` on the real stack: `kubectl diff` of its files shows the plan, and nothing else."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.commands import ROOT, settled, stellwerk
from tools.cluster.build import kept
from tools.cluster.stack import Stack

EXAMPLE = ROOT / "examples" / "planning" / "cluster.yaml"
NAMESPACES = ("assistants", "research", "gpu-operator")
POLICY = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "clusterpolicies.nvidia.com"},
    "spec": {
        "group": "nvidia.com",
        "names": {"kind": "ClusterPolicy", "plural": "clusterpolicies"},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}
# Of a metadata that the API server writes itself at each change.
OWN = ("generation", "resourceVersion", "creationTimestamp", "uid", "managedFields")


def objects() -> list[dict[str, Any]]:
    """The example, as somebody would apply it: no pods, which Deployments and Jobs make."""
    found = [one for one in yaml.safe_load_all(EXAMPLE.read_text()) if one["kind"] not in ("Pod", "Workload")]
    for one in found:
        if one["kind"] == "Node":
            one["metadata"]["annotations"] = {"kwok.x-k8s.io/node": "fake"}
            for place in ("capacity", "allocatable"):
                one["status"][place]["pods"] = "110"
        elif one["kind"] in ("Job", "Deployment"):
            spec = one["spec"]["template"]["spec"]
            on = "p5.48xlarge" if one["kind"] == "Job" else "p5.4xlarge"
            if one["kind"] == "Job":
                one["spec"]["suspend"] = True  # As Kueue's webhook would write it.
                one["spec"]["template"]["metadata"] = {"annotations": {"stellwerk.dev/run-for": "1h"}}
            spec["nodeSelector"] = {"node.kubernetes.io/instance-type": on}
        one.pop("status", None) if one["kind"] == "ClusterQueue" else None
    sweep = json.loads(json.dumps(next(one for one in found if one["kind"] == "Job")))
    sweep["metadata"]["name"] = "sweep"
    sweep["spec"] |= {"parallelism": 2, "completions": 2}
    container = sweep["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"nvidia.com/gpu": "2"}}
    return [*found, sweep]


@pytest.fixture(scope="module")
def planned(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Path, Any]]:
    """The example in the cluster, at rest; the folder of the plan's files, and the plan."""
    stack.apply([POLICY])
    stack.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/clusterpolicies.nvidia.com")
    stack.apply(
        [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    )
    everything = objects()
    later = [one for one in everything if one["kind"] == "Job"]
    stack.apply([one for one in everything if one["kind"] != "Job"])
    stack.apply(later[:1])
    stack.kubectl("rollout", "status", "deployment", "-n", "assistants", "--timeout=120s")
    stack.kubectl("wait", "job/tune", "-n", "research", "--for=jsonpath={.status.ready}=1", "--timeout=60s")
    for name in NAMESPACES[:2]:
        settled(stack, name)
    stack.apply(later[1:])
    settled(stack, "research")
    folder = tmp_path_factory.mktemp("plan")
    done = stellwerk(
        "plan", "--kubeconfig", str(stack.kubeconfig("admin")), "--manifests", str(folder), "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    yield stack, folder, json.loads(done.stdout)
    for name in NAMESPACES:
        stack.kubectl("delete", "namespace", name, "--wait=false")
    for one in everything:
        if one["kind"] in ("Node", "NodePool", "ClusterQueue", "ResourceFlavor", "ClusterPolicy"):
            stack.kubectl("delete", one["kind"], one["metadata"]["name"], "--wait=false")
    stack.kubectl("delete", "crd", "clusterpolicies.nvidia.com", "--wait=false")


def test_the_plan_is_that_of_the_example(planned: tuple[Stack, Path, Any]) -> None:
    _, _, plan = planned
    assert plan["executor"] == "device-plugin"
    assert (plan["gpusBefore"], plan["gpusAfter"]) == (8, 5)
    assert len(plan["returned"]) == 3 and plan["disruption"]["minutes"] == 40
    assert [each["after"] for each in plan["quotas"] if each["queue"] == "research"] == [8]


def leaves(value: Any, path: str = "") -> dict[str, str]:
    """Every leaf of an object by its path, elements of lists by their place."""
    if isinstance(value, dict) and value:
        return {k: v for key, each in value.items() for k, v in leaves(each, f"{path}.{key}").items()}
    if isinstance(value, list) and value:
        return {k: v for at, each in enumerate(value) for k, v in leaves(each, f"{path}[{at}]").items()}
    return {path: str(value)}


def read(folder: Path) -> dict[tuple[str, str, str], dict[str, str]]:
    """The objects that kubectl wrote for its diff, without what the API server writes itself."""
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for file in folder.iterdir():
        one = yaml.safe_load(file.read_text())
        if one is None:
            continue
        for name in OWN:
            one["metadata"].pop(name, None)
        metadata = one["metadata"]
        found[one["kind"], metadata.get("namespace", ""), metadata["name"]] = leaves(one)
    return found


def kubectl_diff(stack: Stack, folder: Path, tmp_path: Path) -> tuple[Any, Any]:
    """What `kubectl diff -f DIR` compares: the live objects and what they would become."""
    keep = tmp_path / "keep.sh"
    keep.write_text(f'#!/bin/sh\ncp -r "$1" "{tmp_path}/live"\ncp -r "$2" "{tmp_path}/after"\nexit 1\n')
    keep.chmod(0o755)
    done = subprocess.run(
        [kept() / "bin" / "kubectl", "--kubeconfig", stack.kubeconfig("admin"), "diff", "-f", folder],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KUBECTL_EXTERNAL_DIFF": str(keep)},
    )
    assert done.returncode == 1, done.stderr
    return read(tmp_path / "live"), read(tmp_path / "after")


def test_kubectl_diff_of_its_files_shows_exactly_the_plan(
    planned: tuple[Stack, Path, Any], tmp_path: Path
) -> None:
    stack, folder, plan = planned
    live, after = kubectl_diff(stack, folder, tmp_path)
    shown: dict[tuple[str, str, str], int] = {}
    for key, fields in after.items():
        old = live.get(key)
        if old is None:
            shown[key] = 1
        elif old != fields:
            paths = {*old, *fields}
            shown[key] = sum(old.get(path) != fields.get(path) for path in paths)
    said: dict[tuple[str, str, str], int] = {}
    for each in plan["changes"]:
        key = each["kind"], each["namespace"], each["name"]
        said[key] = said.get(key, 0) + 1
    assert shown == said


def test_what_is_applied_leaves_nothing_to_plan_of_those_layers(
    planned: tuple[Stack, Path, Any], tmp_path: Path
) -> None:
    stack, folder, _ = planned
    stack.kubectl("apply", "-f", str(folder))
    again = stellwerk("plan", "--kubeconfig", str(stack.kubeconfig("admin")), "-o", "json")
    plan = json.loads(again.stdout)
    # Nobody cuts GPUs here, so the new pods wait, and the old ones hold what is to be cut.
    assert not plan["changes"] and not plan["files"]


def test_its_receipt_is_the_same_again(planned: tuple[Stack, Path, Any]) -> None:
    _, folder, _ = planned
    done = stellwerk("verify", str(folder / "proof" / "receipt.json"))
    assert done.returncode == 0, done.stdout + done.stderr

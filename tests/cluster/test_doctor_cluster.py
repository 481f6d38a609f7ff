"""`doctor`, `why`, `check` with the role that doctor prints: it is enough, and nothing is written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.commands import stellwerk
from tools.cluster.stack import Stack

CLAIM = """
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: one, namespace: default}
spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu.example.com}}]}}
"""
# Kueue and Karpenter run out of cluster here, so nothing shows their versions.
TOLD = ("--kueue", "0.19", "--karpenter", "1.14")
READING = {"get", "list", "watch"}


@pytest.fixture
def bound(stack: Stack) -> Iterator[Stack]:
    """The role that doctor prints, bound to the user stellwerk; taken away again."""
    printed = stellwerk("doctor", "--kubeconfig", "--rbac")
    role, binding = yaml.safe_load_all(printed.stdout)
    binding["subjects"][0]["name"] = "stellwerk"
    stack.apply([role, binding])
    yield stack
    stack.kubectl("delete", "clusterrolebinding", binding["metadata"]["name"])


def as_reader(stack: Stack, *words: str) -> Any:
    return stellwerk(*words, "--kubeconfig", str(stack.kubeconfig("stellwerk")), "-o", "json")


def test_the_role_that_doctor_prints_is_enough_and_no_verb_writes(bound: Stack, tmp_path: Path) -> None:
    (tmp_path / "claim.yaml").write_text(CLAIM)
    before = len(bound.audit_log.read_text().splitlines())
    checked = ("check", *TOLD, "-f", str(tmp_path / "claim.yaml"))
    for words in (("doctor",), checked, ("why", "nobody"), ("admit",), ("plan",)):
        done = as_reader(bound, *words)
        assert done.returncode != 3, done.stderr
    lines = bound.audit_log.read_text().splitlines()[before:]
    seen = [json.loads(line) for line in lines]
    assert len(seen) > 20 and {each["verb"] for each in seen} <= READING
    assert {each["responseStatus"]["code"] for each in seen} <= {200, 404}


def test_doctor_says_what_is_there(bound: Stack) -> None:
    document = json.loads(as_reader(bound, "doctor").stdout)
    verdicts = {layer["layer"]: layer["verdict"] for layer in document["layers"]}
    assert verdicts["kube-apiserver"] == "ok" and verdicts["role"] == "ok"
    codes = {finding["code"] for layer in document["layers"] for finding in layer["findings"]}
    # Kueue and Karpenter run out of cluster here: that is said, and no version is guessed.
    assert {"kueue-outside", "karpenter-outside", "operator-none", "exporter-none"} <= codes
    assert "1.36.3" in json.dumps(document)


def test_a_role_that_lacks_one_rule_is_told_that_rule(bound: Stack) -> None:
    name = "stellwerk-read-only"
    role = json.loads(bound.kubectl("get", "clusterrole", name, "-o", "json"))
    for rule in role["rules"]:
        if "resourceslices" in rule.get("resources", ()):
            rule["resources"].remove("resourceslices")
    metadata = {"name": name}
    bound.kubectl("replace", "-f", "-", stdin=json.dumps({**role, "metadata": metadata}))
    done = as_reader(bound, "why", "nobody")
    assert done.returncode == 3
    assert "list resourceslices.resource.k8s.io" in done.stderr and "list pods" not in done.stderr


def test_kubernetes_version_and_gates_of_the_cluster_are_checked_against(
    bound: Stack, tmp_path: Path
) -> None:
    (tmp_path / "claim.yaml").write_text(CLAIM)
    nvidia = tmp_path / "nvidia.yaml"
    nvidia.write_text(CLAIM.replace("gpu.example.com", "gpu.nvidia.com"))
    guessed = as_reader(bound, "check", *TOLD, "-f", str(nvidia))
    assert guessed.returncode == 2 and "--operator-mode" in guessed.stderr
    untold = as_reader(bound, "check", "-f", str(tmp_path / "claim.yaml"))
    assert untold.returncode == 2 and "--kueue VERSION" in untold.stderr
    done = as_reader(bound, "check", *TOLD, "-f", str(tmp_path / "claim.yaml"))
    document = json.loads(done.stdout)
    assert document["cluster"]["kubernetes"] == "1.36"
    assert "DRADeviceTaintRules" in json.dumps(document["cluster"])

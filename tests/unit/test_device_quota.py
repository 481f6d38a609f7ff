"""DRA device classes as quota, and the overhead of RuntimeClasses, as `stellwerk admit` decides them."""

import json
from pathlib import Path
from typing import Any

import pytest

from stellwerk.cli.main import main
from tests.unit.test_admit_cli import job

CONFIG = """apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
resources:
  deviceClassMappings:
  - {name: example.com/gpus, deviceClassNames: [gpu.example.com]}
"""
QUEUE = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: cq}
spec:
  namespaceSelector: {}
  resourceGroups:
  - coveredResources: [example.com/gpus, cpu]
    flavors:
    - name: f
      resources: [{name: example.com/gpus, nominalQuota: 3}, {name: cpu, nominalQuota: 4}]
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: gpus}
spec: {clusterQueue: cq}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: f}
"""
CLASS = """apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu.example.com}
spec: {}
"""


def template(name: str, exactly: str = "", devices: str = "") -> str:
    request = devices or f"requests: [{{name: r, exactly: {{deviceClassName: gpu.example.com{exactly}}}}}]"
    return f"""apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {{name: {name}}}
spec: {{spec: {{devices: {{{request}}}}}}}
"""


def claiming(name: str, claim: str = "resourceClaimTemplateName: one", pods: int = 1) -> str:
    text = job(name, pods).replace("limits: {nvidia.com/gpu: 1}", "requests: {cpu: 1}")
    return text + f"      resourceClaims: [{{name: c, {claim}}}]\n"


def admit(
    capsys: pytest.CaptureFixture[str], folder: Path, *documents: str, more: tuple[str, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """By job: its answer, and its Workload."""
    path = folder / "all.yaml"
    path.write_text("---\n".join((QUEUE, CLASS, *documents)))
    with pytest.raises(SystemExit):
        main(["admit", "-f", str(path), "-o", "json", "--lang", "en", *more])
    out, err = capsys.readouterr()
    assert not err, err
    found = json.loads(out)
    by_name = {one["metadata"]["name"]: one for one in found["items"]}
    answers = {one["job"]: one for one in found["report"]["answers"]}
    return answers, {name: by_name[one["name"]] for name, one in answers.items()}


def test_devices_of_templates_count_as_the_resource_of_their_class(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    two = template("one", ", count: 2")
    found, _ = admit(capsys, tmp_path, CONFIG, two, claiming("a"), claiming("b"))
    assert found["a"]["state"] == "Admitted"
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "1", "example.com/gpus": "2"}
    assert found["b"]["reason"]["code"] == "WaitingForQuota"
    found, _ = admit(capsys, tmp_path, CONFIG, template("one"), claiming("a", pods=3))
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "3", "example.com/gpus": "3"}


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ((template("one"),), "is not mapped in DRA configuration for podset main"),
        ((CONFIG,), 'resourceclaimtemplates.resource.k8s.io "one" not found'),
        ((CONFIG, template("one", ", allocationMode: All")), "AllocationMode 'All' is not supported"),
        (
            (
                CONFIG,
                template(
                    "one",
                    devices="requests: [{name: r, firstAvailable: [{name: s, deviceClassName: x}]}]",
                ),
            ),
            "FirstAvailable device selection is not supported",
        ),
        (
            (CONFIG, template("one", ", selectors: [{cel: {expression: 'device.driver == \"x\"'}}]")),
            "0 device(s) match in the cluster but 1 requested",
        ),
    ],
)
def test_what_cannot_be_counted_is_inadmissible_in_kueues_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, documents: tuple[str, ...], message: str
) -> None:
    found, workloads = admit(capsys, tmp_path, *documents, claiming("a"), job("b"))
    assert found["a"]["state"] == "Pending" and found["a"]["reason"]["code"] == "Misconfigured"
    assert message in found["a"]["reason"]["message"]
    conditions = {one["type"]: one for one in workloads["a"]["status"]["conditions"]}
    assert conditions["QuotaReserved"]["reason"] == "Misconfigured"
    assert conditions["Requeued"]["status"] == "False" and conditions["Requeued"]["reason"] == "Inadmissible"
    assert found["b"]["reason"]["code"] != "BehindHead"


def test_a_named_claim_is_inadmissible_and_so_is_any_while_the_gate_is_off(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    named = claiming("a", "resourceClaimName: mine")
    found, _ = admit(capsys, tmp_path, CONFIG, named)
    assert (
        found["a"]["reason"]["message"]
        == "KueueDRAIntegration feature does not support use of resource claims"
    )
    off = ("--gate", "KueueDRAIntegration=false")
    found, _ = admit(capsys, tmp_path, template("one"), claiming("a"), more=off)
    assert "KueueDRAIntegration feature gate is not enabled" in found["a"]["reason"]["message"]
    ignored = (*off, "--gate", "KueueDRARejectWorkloadsWhenDRADisabled=false")
    found, _ = admit(capsys, tmp_path, template("one"), claiming("a"), more=ignored)
    assert found["a"]["state"] == "Admitted"
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "1"}


def test_an_admin_claim_counts_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found, _ = admit(capsys, tmp_path, CONFIG, template("one", ", adminAccess: true"), claiming("a"))
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "1"}


def test_an_extended_resource_behind_a_class_counts_as_the_class(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    backed = CLASS.replace("spec: {}", "spec: {extendedResourceName: vendor.com/gpu}")
    backed = backed.replace("gpu.example.com", "other")
    mapped = CONFIG.replace("gpu.example.com", "gpu.example.com, other")
    asked = job("a", 1).replace("limits: {nvidia.com/gpu: 1}", "requests: {vendor.com/gpu: 2}")
    found, _ = admit(capsys, tmp_path, mapped, backed, asked)
    assert found["a"]["podSets"][0]["resourceUsage"] == {"example.com/gpus": "2"}
    found, _ = admit(capsys, tmp_path, mapped, asked)
    assert found["a"]["state"] == "Pending"


def test_counters_of_a_driver_count_instead_of_devices(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = CONFIG.rstrip().removesuffix("}") + (
        ", sources: [{counter: {name: memory, driver: gpu.example.com,"
        " deviceSelector: {cel: {expression: 'true'}}}}]}\n"
    )
    slices = """apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: s}
spec:
  driver: gpu.example.com
  allNodes: true
  pool: {name: p, generation: 1, resourceSliceCount: 1}
  sharedCounters: [{name: set, counters: {memory: {value: "8"}}}]
"""
    mig = """apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: t}
spec:
  driver: gpu.example.com
  allNodes: true
  pool: {name: p, generation: 1, resourceSliceCount: 2}
  devices: [{name: d, consumesCounters: [{counterSet: set, counters: {memory: {value: "3"}}}]}]
"""
    slices = slices.replace("resourceSliceCount: 1", "resourceSliceCount: 2")
    found, _ = admit(capsys, tmp_path, config, template("one"), slices, mig, claiming("a"), claiming("b"))
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "1", "example.com/gpus": "3"}
    assert found["b"]["reason"]["code"] == "WaitingForQuota"


def test_the_overhead_of_a_runtime_class_counts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    sandbox = """apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: sandbox}
handler: kata
overhead: {podFixed: {cpu: 500m}}
"""
    asked = job("a", 2).replace("limits: {nvidia.com/gpu: 1}", "requests: {cpu: 1}")
    asked = asked.replace("restartPolicy: Never", "restartPolicy: Never\n      runtimeClassName: sandbox")
    found, _ = admit(capsys, tmp_path, sandbox, asked)
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "3"}
    found, _ = admit(capsys, tmp_path, asked)
    assert found["a"]["podSets"][0]["resourceUsage"] == {"cpu": "2"}

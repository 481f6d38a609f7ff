"""Kueue's Configuration as manifests: what it decides, how it is refused, which Jobs it manages."""

import json
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.groups.kueue_config import Configuration as ApiConfiguration
from stellwerk.cli.main import main
from stellwerk.engine.queueing.configuration.read import configuration_of
from stellwerk.engine.queueing.gates import feature_gates
from stellwerk.engine.queueing.jobs.managed import ManagedJobs, queue_of_job
from stellwerk.engine.queueing.pods_ready import MINUTE, PodsReady
from tests.conformance.kueue_objects import typed
from tests.unit.test_admit_cli import FLAVOR, job, queue

HEAD = "apiVersion: config.kueue.x-k8s.io/v1beta2\nkind: Configuration\n"
SLOW = "fairSharing: {preemptionStrategies: [LessThanInitialShare]}\n"
CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata: {name: kueue-manager-config, namespace: kueue-system}
data:
  controller_manager_config.yaml: |
"""


def run(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["admit", "-f", str(path), "-o", "json", "--lang", "en", *more])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def write(folder: Path, *documents: str) -> Path:
    path = folder / "all.yaml"
    path.write_text("---\n".join(documents))
    return path


def answers(
    capsys: pytest.CaptureFixture[str], folder: Path, *documents: str, more: tuple[str, ...] = ()
) -> dict[str, Any]:
    _, out, err = run(capsys, write(folder, FLAVOR, queue(), *documents), *more)
    assert not err, err
    return {one["job"] or one["name"]: one for one in json.loads(out)["report"]["answers"]}


def inside(text: str) -> str:
    return CONFIG_MAP + "".join(f"    {line}\n" for line in text.splitlines())


def configured(raw: dict[str, Any]) -> Any:
    whole = {"apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration", **raw}
    return configuration_of(typed(whole, ApiConfiguration), feature_gates(raw.get("featureGates", {})))


TWICE = """resources:
  transformations:
  - {input: nvidia.com/gpu, strategy: Replace, outputs: {nvidia.com/gpu: 2}}
"""


@pytest.mark.parametrize("text", [HEAD + TWICE, inside(HEAD + TWICE)], ids=["object", "ConfigMap"])
def test_a_transformation_counts_whether_it_is_an_object_or_in_the_config_map(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    found = answers(capsys, tmp_path, text, job("one"), job("two"))
    assert [found[name]["state"] for name in ("one", "two")] == ["Admitted", "Pending"]
    assert found["one"]["podSets"][0]["resourceUsage"] == {"nvidia.com/gpu": "2"}


def test_excluded_resources_ask_for_no_quota(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = job("one").replace("nvidia.com/gpu: 1", "nvidia.com/gpu: 1, example.com/disk: 1")
    assert answers(capsys, tmp_path, other)["one"]["state"] == "Pending"
    excluded = HEAD + "resources: {excludeResourcePrefixes: [example.com/]}\n"
    assert answers(capsys, tmp_path, excluded, other)["one"]["state"] == "Admitted"
    ignored = HEAD + "resources: {quotaCheckStrategy: IgnoreUndeclared}\n"
    assert answers(capsys, tmp_path, ignored, other)["one"]["state"] == "Admitted"
    blocked = answers(capsys, tmp_path, ignored, other, more=("--gate", "QuotaCheckStrategy=false"))
    assert blocked["one"]["state"] == "Pending"


def test_the_options_win_over_the_configuration(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    config = HEAD + "featureGates: {PartialAdmission: false}\n"
    annotated = job("a", 3).replace(
        "labels:", 'annotations: {kueue.x-k8s.io/job-min-parallelism: "1"}, labels:'
    )
    assert answers(capsys, tmp_path, config, annotated)["a"]["state"] == "Pending"
    again = answers(capsys, tmp_path, config, annotated, more=("--gate", "PartialAdmission=true"))
    assert again["a"]["state"] == "Admitted" and again["a"]["podSets"][0]["count"] == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("fairSharing: {}\n", "fairSharing.preemptionStrategies"),
        ("waitForPodsReady: {timeout: 5}\n", "waitForPodsReady.timeout"),
        ("waitForPodsReady: {timeout: -5m}\n", "waitForPodsReady.timeout"),
        ("waitForPodsReady: {timeout: soon}\n", "waitForPodsReady.timeout"),
        ("featureGates: {NoSuchGate: true}\n", "featureGates.NoSuchGate"),
        ("featureGates: {TLSOptions: false}\n", "featureGates.TLSOptions"),
        ("managedJobsNamespaceSelector: {}\n", "managedJobsNamespaceSelector"),
        ("integrations: {frameworks: [batch/jobs]}\n", "integrations.frameworks[0]"),
        ("queueVisibility: {}\n", "queueVisibility"),
        (
            "admissionFairSharing: {resourceWeights: {cpu: -0.5}}\n",
            "admissionFairSharing.resourceWeights.cpu",
        ),
    ],
)
def test_what_kueue_would_not_start_with_is_refused_at_its_field(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, place: str
) -> None:
    for prefix, written in (
        ("", HEAD + text),
        ('data["controller_manager_config.yaml"].', inside(HEAD + text)),
    ):
        code, out, err = run(capsys, write(tmp_path, FLAVOR, queue(), written, job("a")))
        assert (code, out) == (2, "") and f"{prefix}{place}" in err and "Traceback" not in err


def test_a_second_configuration_and_a_text_that_is_none_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, write(tmp_path, HEAD, inside(HEAD), job("a")))
    assert code == 2 and "second Configuration" in err
    for text in ("- 1\n", "a: 1\n", HEAD.replace("v1beta2", "v1alpha1")):
        code, _, err = run(capsys, write(tmp_path, inside(text), job("a")))
        assert code == 2 and "Configuration is expected here" in err
    code, _, err = run(capsys, write(tmp_path, HEAD.replace("v1beta2", "v1beta1"), job("a")))
    assert code == 2 and "v1beta2" in err


def test_other_config_maps_are_left_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = inside("nonsense: [").replace("kueue-manager-config", "other")
    assert answers(capsys, tmp_path, other, job("a"))["a"]["state"] == "Admitted"


def test_fair_sharing_counts_shares(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert configured({"fairSharing": {"preemptionStrategies": ["LessThanInitialShare"]}}).fair_sharing == (
        "LessThanInitialShare",
    )
    assert answers(capsys, tmp_path, HEAD + SLOW, job("a"))["a"]["state"] == "Admitted"


def test_admission_fair_sharing_has_kueues_defaults() -> None:
    found = configured({"admissionFairSharing": {"usageHalfLifeTime": "1h", "resourceWeights": {"cpu": 2}}})
    sharing = found.admission_fair_sharing
    assert (sharing.half_life_ns, sharing.sampling_ns) == (60 * MINUTE, 5 * MINUTE)
    assert sharing.weights == {"cpu": 2.0} and configured({}).admission_fair_sharing is None


def test_pods_are_waited_for_as_kueue_does_by_default_and_as_it_is_told() -> None:
    assert configured({}).pods_ready == PodsReady()
    assert configured({"waitForPodsReady": {"timeout": "10m"}}).pods_ready == PodsReady(
        timeout_ns=10 * MINUTE, recovery_ns=10 * MINUTE
    )
    strategy = {
        "timestamp": "Creation",
        "backoffLimitCount": 2,
        "backoffBaseSeconds": 0,
        "backoffMaxSeconds": 9,
    }
    wait = {"recoveryTimeout": "0s", "blockAdmission": True, "requeuingStrategy": strategy}
    found = configured({"waitForPodsReady": wait})
    assert found.pods_ready == PodsReady(recovery_ns=None, block_admission=True, limit=2, base_s=0, most_s=9)
    assert (found.requeuing_timestamp, configured({}).requeuing_timestamp) == ("Creation", "Eviction")
    assert configured({"featureGates": {"DisableWaitForPodsReady": True}}).pods_ready is None


NAME = "kubernetes.io/metadata.name"


def test_kueue_manages_the_jobs_of_the_namespaces_that_are_selected() -> None:
    jobs = ManagedJobs()
    assert queue_of_job("gpus", {NAME: "a"}, False, jobs) == "gpus"
    assert queue_of_job("gpus", {NAME: "kube-system"}, False, jobs) is None
    assert queue_of_job("gpus", {NAME: "a"}, False, ManagedJobs(frameworks=("pod",))) is None
    assert queue_of_job("", {NAME: "a"}, False, jobs) is None
    assert queue_of_job("", {NAME: "a"}, True, jobs) == "default"
    assert queue_of_job("", {NAME: "a"}, False, ManagedJobs(without_queue_name=True)) == ""
    assert queue_of_job("", {NAME: "kube-system"}, True, ManagedJobs(without_queue_name=True)) is None


def test_a_job_without_a_queue_waits_for_one_if_all_jobs_are_managed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    alone = job("alone").replace("kueue.x-k8s.io/queue-name", "team")
    assert list(answers(capsys, tmp_path, alone, job("a"))) == ["a"]
    every = HEAD + "manageJobsWithoutQueueName: true\n"
    found = answers(capsys, tmp_path, every, alone, job("a"))
    assert found["alone"]["reason"]["code"] == "Misconfigured"
    default = queue().replace("name: gpus", "name: default").partition("---\n")[2]
    assert answers(capsys, tmp_path, default, alone)["alone"]["localQueue"] == "default"


def test_all_gates_of_a_stage_are_set_but_those_with_a_name() -> None:
    alpha = feature_gates({"AllAlpha": True, "QuotaCheckStrategy": False})
    assert alpha.concurrent_admission and not alpha.quota_check_strategy
    beta = feature_gates({"AllBeta": False, "PartialAdmission": True})
    assert beta.partial_admission and not beta.topology_aware_scheduling and not beta.tas_balanced_placement


def test_a_gate_that_is_on_without_one_that_it_needs_is_refused_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = HEAD + "featureGates: {KueueDRAIntegration: false}\n"
    code, _, err = run(capsys, write(tmp_path, FLAVOR, queue(), text, job("a")))
    assert code == 2 and "featureGates.KueueDRAIntegration" in err
    off = "KueueDRAIntegrationExtendedResource: false, KueueDRAIntegrationPartitionableDevices: false"
    text = text.replace("}", f", {off}}}")
    assert answers(capsys, tmp_path, text, job("a"))["a"]["state"] == "Admitted"

"""One plan over all layers: what moves, which quotas and pools follow, what it is worth, and its receipt."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.api.manifests import load_manifests
from stellwerk.cli.main import main
from stellwerk.report.planning.changes import merged
from stellwerk.sim.planning.trimmed import kept_state, trimmed
from tests.unit.plan_sample import claimed, example, metrics, of_kind, unmeasured, write


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.setenv(name, "C.UTF-8" if name == "LANG" else "")


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.fixture
def plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Gives the plan of objects as `-o json` prints it."""

    def made(objects: list[dict[str, Any]], *options: str) -> Any:
        assert call("plan", "-f", write(tmp_path, objects), "-o", "json", *options) == 0
        return json.loads(capsys.readouterr().out)

    return made


def fields(found: Any, kind: str, name: str) -> dict[str, tuple[str, str]]:
    """The changes of an object, by their field."""
    return {
        each["path"]: (each["before"], each["after"])
        for each in found["changes"]
        if (each["kind"], each["name"]) == (kind, name)
    }


def test_four_services_share_a_gpu_and_quota_pool_and_money_follow(plan: Any) -> None:
    found = plan(example())
    assert (found["gpusBefore"], found["gpusAfter"], found["proven"]) == (8, 5, True)
    assert [(each["name"], each["profile"]) for each in found["workloads"]] == [
        ("assistants/chat", "1g.10gb"),
        ("assistants/embed", "1g.10gb"),
        ("assistants/rerank", "2g.20gb"),
    ]
    assert found["returned"] == ["serve-2", "serve-3", "serve-4"]
    saved = [float(found["money"][key]) for key in ("before", "after")]
    # A p5.48xlarge costs eight p5.4xlarge: of twelve GPUs three are given back.
    assert saved[1] / saved[0] == pytest.approx(9 / 12, abs=1e-6)
    assert found["disruption"] == {"pods": [*found["disruption"]["pods"]], "minutes": 40}
    rows = {(each["queue"], each["resource"]): (each["before"], each["after"]) for each in found["quotas"]}
    assert rows == {
        ("assistants", "nvidia.com/gpu"): (4, 0),
        ("assistants", "nvidia.com/mig-1g.10gb"): (None, 3),
        ("assistants", "nvidia.com/mig-2g.20gb"): (None, 1),
        ("research", "nvidia.com/gpu"): (6, 8),
    }
    assert fields(found, "NodePool", "serving") == {
        "spec.limits[nvidia.com/gpu]": ("6", "3"),
        "spec.disruption.consolidateAfter": ("Never", "5m"),
    }


def test_who_was_not_measured_keeps_its_gpu_and_a_sole_saver_of_nothing_does_not_restart(plan: Any) -> None:
    objects = unmeasured(example())
    assert plan(objects)["workloads"] == []
    # One service alone on an instance frees no GPU.
    of_kind(objects, "Deployment", "embed")["metadata"]["annotations"] = {
        "stellwerk.dev/gpu-memory": "4Gi",
        "stellwerk.dev/gpu-compute": "60m",
    }
    found = plan(objects)
    assert found["workloads"] == [] and found["disruption"]["minutes"] == 0


def test_a_job_may_share_but_is_told_to_be_submitted_anew(plan: Any) -> None:
    objects = example()
    job = of_kind(objects, "Job")
    job["metadata"]["annotations"] = {
        "stellwerk.dev/gpu-memory": "4Gi",
        "stellwerk.dev/gpu-compute": "60m",
    }
    for one in (job["spec"]["template"], of_kind(objects, "Pod", "tune-x7k2p")):
        one["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    notes = [each["text"] for each in plan(objects)["notes"]]
    assert (
        "research/tune may share (mig 1g.10gb), and a Job cannot be changed: submit it anew with that"
        in notes
    )


def test_a_node_that_does_not_show_which_gpu_a_pod_has_is_not_cut_beside_it(plan: Any) -> None:
    objects = [one for one in example() if one["kind"] != "LocalQueue"]
    # All services move to the node of the training, whose pod stays on GPUs that nobody names.
    for one in list(objects):
        if one["kind"] == "Pod" and one["metadata"]["namespace"] == "assistants":
            one["spec"]["nodeName"] = "train-1"
        if one["kind"] == "Node" and one["metadata"]["name"] != "train-1":
            objects.remove(one)
    assert plan(objects)["workloads"] == []
    of_kind(objects, "Pod", "tune-x7k2p")["status"]["phase"] = "Succeeded"
    assert len(plan(objects)["workloads"]) == 3


def test_quota_that_others_have_reserved_is_not_given_up(plan: Any) -> None:
    objects = example()
    queue = of_kind(objects, "ClusterQueue", "assistants")
    row = {"name": "nvidia.com/gpu", "total": "6"}
    queue["status"]["flavorsReservation"] = [{"name": "serve", "resources": [row]}]
    found = plan(objects)
    rows = {(each["queue"], each["resource"]): each["after"] for each in found["quotas"]}
    assert rows["assistants", "nvidia.com/gpu"] == 2  # Two of the six are of others.


def test_pods_that_wait_for_an_instance_get_one_cut_on_a_free_gpu(plan: Any) -> None:
    objects = unmeasured(example())
    waiting = of_kind(objects, "Pod", "embed-6c9d7f0")
    waiting["metadata"] = {"name": "asks", "namespace": "assistants"}
    waiting["spec"].pop("nodeName")
    waiting["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/mig-3g.40gb": "1"}}
    waiting["status"]["phase"] = "Pending"
    found = plan(objects)
    assert fields(found, "Node", "serve-3") == {
        "metadata.labels[nvidia.com/mig.config]": ("-", "gpu0.3g.40gb")
    }
    assert found["disruption"]["minutes"] == 0


def test_claims_instead_of_resources_get_templates_a_class_and_the_drivers_gate(
    plan: Any, tmp_path: Path
) -> None:
    found = plan(claimed(), "--manifests", "out")
    assert found["executor"] == "dra" and (found["gpusBefore"], found["gpusAfter"]) == (4, 1)
    assert fields(found, "Deployment", "chat") == {
        "spec.template.spec.resourceClaims[card].resourceClaimTemplateName": ("whole", "chat-1g-10gb")
    }
    assert fields(found, "ResourceClaimTemplate", "chat-1g-10gb") == {"": ("-", "new")}
    assert fields(found, "DeviceClass", "mig.nvidia.com") == {"": ("-", "new")}
    assert fields(found, "GPUCluster", "gpus") == {
        "spec.draDriver.featureGates.DynamicMIG": ("False", "True"),
        "spec.draDriver.featureGates.MPSSupport": ("-", "False"),
        "spec.draDriver.featureGates.TimeSlicingSettings": ("-", "False"),
    }
    # Kueue counts no class here: that is said, and no quota is invented.
    assert not found["quotas"] and [each["code"] for each in found["notes"]].count("Unmapped") == 1
    template = yaml.safe_load((tmp_path / "out/workloads.yaml").read_text().split("---\n")[1])
    assert template["spec"]["template"]["spec"] == {
        "resourceClaims": [{"name": "card", "resourceClaimTemplateName": "chat-1g-10gb"}]
    }


def test_measured_use_decides_and_the_replay_of_it_bounds_what_is_given_back(
    plan: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(pod: str) -> tuple[int, float]:
        return (60_000, 0.95) if pod.startswith("tune") else (5_000, 0.05)

    found = plan(unmeasured(example()), "--metrics", metrics(tmp_path, busy), "--manifests", "out")
    assert {each["name"] for each in found["workloads"]} == {
        "assistants/chat", "assistants/embed", "assistants/rerank"
    }  # fmt: skip
    replay = found["replay"]
    assert replay["proves"] and replay["holds"] and replay["offPercent"] == "0.0"
    assert (replay["asked"], replay["spared"], replay["waitAfterS"]) == (3, 3, 0)
    assert len(found["returned"]) == 3
    assert call("verify", "out/proof/receipt.json") == 0
    series = tmp_path / "series.csv"
    series.write_text(series.read_text().replace(",5000,serve-1", ",50000,serve-1"))
    assert call("verify", "out/proof/receipt.json") == 1
    assert "inputs[" in capsys.readouterr().out


def test_no_node_is_given_back_that_the_demand_needed_at_another_time(plan: Any, tmp_path: Path) -> None:
    def busy(pod: str) -> tuple[int, float]:
        return (5_000, 0.05) if not pod.startswith(("tune", "crowd")) else (60_000, 0.95)

    objects = [one for one in example() if one["kind"] != "LocalQueue"]
    found = plan(objects, "--metrics", metrics(tmp_path, busy, crowded_hours=3))
    # The instances may lie on a free GPU of the training's node now; but all of those were once needed.
    assert (found["replay"]["asked"], found["replay"]["spared"]) == (4, 3)
    assert len(found["emptied"]) == 4 and len(found["returned"]) == 3
    assert "Needed" in {each["code"] for each in found["notes"]}


def test_a_busy_service_stays_whole_whatever_its_annotations_say(plan: Any, tmp_path: Path) -> None:
    def busy(pod: str) -> tuple[int, float]:
        return (60_000, 0.95) if pod.startswith(("tune", "chat-6c9d7f1")) else (5_000, 0.05)

    found = plan(example(), "--metrics", metrics(tmp_path, busy))
    # One of the two pods of chat is busy, and one template makes both.
    assert {each["name"] for each in found["workloads"]} == {"assistants/embed", "assistants/rerank"}


def test_an_older_plans_files_do_not_lie_beside_a_newer_ones(plan: Any, tmp_path: Path) -> None:
    plan(example(), "--manifests", "out")
    names = {path.name for path in (tmp_path / "out").glob("*.yaml")}
    assert names == {
        "cluster-queues.yaml", "mig-parted-cluster-policy.yaml", "mig-parted-config.yaml",
        "mig-parted-node-labels.yaml", "node-pools.yaml", "workloads.yaml",
    }  # fmt: skip
    plan(unmeasured(example()), "--manifests", "out")
    assert {path.name for path in (tmp_path / "out").glob("*.yaml")} == {"cluster-queues.yaml"}


def test_the_table_says_it_in_both_languages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, example())
    assert call("plan", "-f", path) == 0
    english = capsys.readouterr().out
    assert "8 -> 5" in english and "4 pods, 40 minutes without work together" in english
    assert "Nothing was replayed" in english
    assert call("plan", "-f", path, "--lang", "de") == 0
    german = capsys.readouterr().out
    assert "4 Pods, zusammen 40 Minuten ohne Arbeit" in german and "GPUs in use" not in german


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "one of --kubeconfig and -f STATE"),
        (("-f", "{path}", "--kubeconfig", "x"), "one of --kubeconfig and -f STATE"),
        (("-f", "missing.yaml"), "missing.yaml"),
        (("-f", "{path}", "--method", "vgpu"), "there is no way of sharing vgpu"),
        (("-f", "{path}", "--headroom", "-1"), "--headroom"),
        (("-f", "{path}", "--days", "3"), "none is named"),
        (("-f", "{path}", "--metrics", "none.csv"), "none.csv"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    options: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, example())
    assert call("plan", *(each.replace("{path}", path) for each in options)) == 2
    err = capsys.readouterr().err
    assert words in err and "Traceback" not in err


def test_a_cluster_that_does_not_show_who_hands_out_devices_is_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [*claimed(), of_kind(example(), "ClusterPolicy")]
    assert call("plan", "-f", write(tmp_path, both)) == 2
    assert "--executor device-plugin" in capsys.readouterr().err
    assert call("plan", "-f", write(tmp_path, both), "--executor", "dra") == 0


def test_what_people_put_into_environment_variables_is_not_kept() -> None:
    pod = of_kind(example(), "Pod")
    pod["spec"]["containers"][0] |= {"env": [{"name": "TOKEN", "value": "s3cret"}], "args": ["--key=s3cret"]}
    pod["metadata"]["annotations"] = {"example.org/key": "s3cret", "stellwerk.dev/gpu-memory": "1Gi"}
    deployment = of_kind(example(), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "s3cret"}]
    workload = of_kind(example(), "Workload")
    workload["spec"]["podSets"][0]["template"]["spec"]["containers"][0]["args"] = ["s3cret"]
    for one in (pod, deployment, workload):
        assert "s3cret" in json.dumps(one) and "s3cret" not in json.dumps(trimmed(one))


def test_a_number_that_is_no_integer_stays_one_in_the_kept_state() -> None:
    [overlay] = load_manifests(
        b'{"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "a"}, '
        b'"spec": {"requirements": [], "example": 0.25}}',
        "a.json",
    )
    assert json.loads(kept_state([overlay.raw]))["items"][0]["spec"]["example"] == 0.25


def test_applying_takes_null_away_merges_containers_by_name_and_leaves_the_rest() -> None:
    live = {"spec": {"containers": [{"name": "a", "limits": {"x": "1", "y": "2"}}, {"name": "b"}]}}
    wanted = {"spec": {"containers": [{"name": "a", "limits": {"x": None, "z": "3"}}]}}
    assert merged(live, wanted, by_name=True) == {
        "spec": {"containers": [{"name": "a", "limits": {"y": "2", "z": "3"}}, {"name": "b"}]}
    }
    assert merged({"a": [{"name": "b"}]}, {"a": [{"name": "c"}]}, by_name=False) == {"a": [{"name": "c"}]}

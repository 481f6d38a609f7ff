"""`stellwerk partition` as a user runs it: plans, pictures, exit codes, and one clear line for bad input."""

import json
from pathlib import Path

import pytest

from stellwerk.cli.main import main

POD = """apiVersion: v1
kind: Pod
metadata: {{name: {name}{annotations}}}
spec:
  containers:
  - {{name: main, image: example/x:1, resources: {{limits: {{{resource}: {count}}}}}}}
"""
MEASURED = ", annotations: {stellwerk.dev/gpu-memory: 20Gi, stellwerk.dev/gpu-compute: 100m}"


def pod(name: str, resource: str = "nvidia.com/gpu", count: int = 1, annotations: str = "") -> str:
    return POD.format(name=name, resource=resource, count=count, annotations=annotations)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["partition", "--lang", "en", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


@pytest.fixture
def pods(tmp_path: Path) -> str:
    """Two MIG pods by profile and two measured ones, without durations."""
    documents = [pod("a", "nvidia.com/mig-3g.40gb"), pod("b", "nvidia.com/mig-1g.10gb")]
    documents += [pod("c", annotations=MEASURED), pod("d", annotations=MEASURED)]
    path = tmp_path / "pods.yaml"
    path.write_text("---\n".join(documents))
    return str(path)


def test_pods_by_profile_and_by_need_share_gpus(capsys: pytest.CaptureFixture[str], pods: str) -> None:
    code, out, _ = run(capsys, "-f", pods, "--fleet", "4xscaleway/H100-1-80G", "-o", "json")
    plan = json.loads(out)
    assert code == 0 and plan["kind"] == "PartitionPlan"
    assert plan["status"] == {"gpusUsed": 2, "gpusBefore": 0, "bound": 2, "gap": 0}
    taken = {
        item["tenant"]
        for gpu in plan["spec"]["gpus"]
        for item in gpu.get("instances", [])
        if "tenant" in item
    }
    taken |= {tenant["name"] for gpu in plan["spec"]["gpus"] for tenant in gpu.get("tenants", [])}
    assert {"default/a", "default/b", "default/c", "default/d"} == taken


def test_the_table_says_what_is_saved_and_proven(capsys: pytest.CaptureFixture[str], pods: str) -> None:
    code, out, _ = run(capsys, "-f", pods, "--fleet", "4xscaleway/H100-1-80G")
    assert code == 0
    assert out.startswith("2 instead of 4 whole GPUs, 4,185 EUR a month less; proven")
    assert "All pods of the manifests are planned at once." in out


def test_a_plan_is_the_state_of_the_next_one(
    capsys: pytest.CaptureFixture[str], pods: str, tmp_path: Path
) -> None:
    fleet = ("--fleet", "4xscaleway/H100-1-80G")
    _, out, _ = run(capsys, "-f", pods, *fleet, "-o", "yaml")
    state = tmp_path / "state.yaml"
    state.write_text(out)
    more = tmp_path / "more.yaml"
    more.write_text(pod("e", "nvidia.com/mig-7g.80gb"))
    code, out, _ = run(capsys, "-f", str(more), *fleet, "--state", str(state), "-o", "json")
    status = json.loads(out)["status"]
    assert code == 0 and (status["gpusBefore"], status["gpusUsed"]) == (2, 3)


def test_two_runs_give_the_same_bytes(capsys: pytest.CaptureFixture[str], pods: str) -> None:
    first, second = (
        run(capsys, "-f", pods, "--fleet", "4xscaleway/H100-1-80G", "-o", "yaml") for _ in range(2)
    )
    assert first == second


def test_who_has_no_place_is_named_and_the_exit_code_is_one(
    capsys: pytest.CaptureFixture[str], pods: str
) -> None:
    code, out, _ = run(capsys, "-f", pods, "--fleet", "1xscaleway/H100-1-80G")
    assert code == 1 and "pods without a place: " in out


def test_the_picture_is_an_svg(capsys: pytest.CaptureFixture[str], pods: str, tmp_path: Path) -> None:
    target = tmp_path / "plan.svg"
    run(capsys, "-f", pods, "--fleet", "4xscaleway/H100-1-80G", "--picture", str(target))
    text = target.read_text()
    assert text.startswith("<svg") and "3g.40gb" in text and "1g.10gb" in text


def test_use_planned_ahead_is_judged_on_the_rest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Pod a takes 10 GiB while planned and 60 GiB later: two fit one GPU, and one of them overflows."""
    rows = ["pod,minute,duty_pct,mem_mib"]
    for minute in range(0, 120, 10):
        rows += [f"a,{minute},5,{10240 if minute < 60 else 61440}", f"b,{minute},5,20480"]
    path = tmp_path / "use.csv"
    path.write_text("\n".join(rows) + "\n")
    arguments = ("-f", str(path), "--fleet", "3xscaleway/H100-1-80G", "--method", "mig")
    _, out, _ = run(capsys, *arguments, "--plan-hours", "1")
    assert out.startswith("1 instead of 2 whole GPUs")
    assert "1 of 2 pods later take more memory than their part has: a" in out
    assert "Who had known their later use would need 2 GPUs." in out
    _, out, _ = run(capsys, *arguments)
    assert out.startswith("2 instead of 2 whole GPUs") and "later take more" not in out


BAD = [
    (["--fleet", "4xscaleway/H100-1-80G", "--method", "mgi"], "there is no way of sharing mgi"),
    (["--fleet", "4xscaleway/H100-1-80G", "--replicas", "1"], "1 is not between 2 and 48"),
    (["--fleet", "4xscaleway/H100-1-80G", "--headroom", "-1"], "-1 is not between 0 and 1000"),
    (["--fleet", "4xscaleway/H100-1-80G", "--plan-hours", "0"], "0 is not between 1 and"),
    (["--fleet", "4xscaleway/H100-1-80G", "--state", "nowhere.yaml"], "nowhere.yaml"),
    (["--fleet", "4xscaleway/L40S-1-48G"], "asks for the MIG profile"),
    ([], "names no fleet"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=[words for _, words in BAD])
def test_bad_input_is_one_clear_error(
    capsys: pytest.CaptureFixture[str], pods: str, arguments: list[str], words: str
) -> None:
    code, out, err = run(capsys, "-f", pods, *arguments)
    assert code == 2 and not out and words in err and "Traceback" not in err


def test_an_impossible_profile_names_the_possible_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(pod("a", "nvidia.com/mig-3g.41gb"))
    code, _, err = run(capsys, "-f", str(path), "--fleet", "1xscaleway/H100-1-80G")
    assert code == 2 and "3g.41gb" in err and "3g.40gb" in err

"""`stellwerk simulate` as a user runs it: both courses, exit codes, one line for bad input, a receipt."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stellwerk.cli.main import main
from tools.one_week import FILE, asked, text

EXAMPLE = Path(__file__).parents[2] / "examples" / "queueing" / "one-week"
CHANGES = [str(EXAMPLE / "changes" / f"{name}.yaml") for name in ("quota-up", "one-cohort", "weight")]
QUEUES = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: h100}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: cq}
spec:
  namespaceSelector: {}
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors:
    - {name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: 1}]}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: gpus}
spec: {clusterQueue: cq}
"""
FLEET = """apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: own}
spec:
  nodes:
  - {name: h100, gpuModel: H100-PCIE-80GB, gpus: 1, price: {amount: "3", currency: EUR}}
"""
MORE = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: cq}
spec:
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors:
    - {name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: QUOTA}]}
"""
HOUR = 3_600_000_000_000


def job(name: str, arrival: str, gpus: int = 1, queue: str = "gpus", duration: str = "2h") -> str:
    return f"""apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  labels: {{kueue.x-k8s.io/queue-name: {queue}}}
  annotations: {{stellwerk.dev/arrival: "2026-11-02T{arrival}:00Z", stellwerk.dev/duration: {duration}}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: main, image: example/x:1, resources: {{limits: {{nvidia.com/gpu: {gpus}}}}}}}
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--lang", "en"])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One GPU; two Jobs of two hours come at 8 and 9, one that never fits at 10; a change to two GPUs."""
    base = tmp_path / "base"
    base.mkdir()
    jobs = [job("first", "08:00"), job("second", "09:00"), job("large", "10:00", gpus=4)]
    (base / "all.yaml").write_text("---\n".join([QUEUES, FLEET, *jobs]))
    (tmp_path / "more.yaml").write_text(MORE.replace("QUOTA", "2"))
    (tmp_path / "same.yaml").write_text(MORE.replace("QUOTA", '"1"'))
    return tmp_path


def simulated(capsys: pytest.CaptureFixture[str], folder: Path, *more: str) -> dict[str, Any]:
    code, out, err = run(capsys, "simulate", "-f", str(folder / "base"), *more, "-o", "json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_same_jobs_before_and_after_a_change(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = simulated(capsys, folder, "--with", str(folder / "more.yaml"))
    before, after = (one["clusterQueues"][0] for one in found["outcomes"])
    jobs = {"arrived": 3, "started": 2, "finished": 2, "running": 0, "waiting": 1, "neverStarted": 1}
    assert before["jobs"] == after["jobs"] == jobs
    # The second waits from 9 to 10, plus the second until Kueue looks again; with two GPUs not at all.
    assert HOUR <= before["first"]["p50Ns"] < HOUR + 5_000_000_000
    assert after["first"]["p50Ns"] < 1_000_000_000
    assert after["difference"]["first"]["p50Ns"] == after["first"]["p50Ns"] - before["first"]["p50Ns"]
    (change,) = found["outcomes"][1]["changes"]
    assert change["fields"][0]["path"] == "spec.resourceGroups[0].flavors[0].resources[0].nominalQuota"
    assert (change["fields"][0]["before"], change["fields"][0]["after"]) == ("1", "2")


def test_the_bill_adds_up_and_a_gpu_more_costs_more(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = simulated(capsys, folder, "--with", str(folder / "more.yaml"), "--until", "2026-11-02T18:00:00Z")
    before, after = (one["bill"] for one in found["outcomes"])
    # From 8 to 18: 10 hours x 3 EUR x 1 and 2 GPUs, of which 4 hours were held.
    assert (before["total"], before["held"], before["idle"]) == ("30.00", "12.00", "18.00")
    assert (after["total"], after["idle"], after["difference"]["total"]) == ("60.00", "48.00", "30.00")


def test_a_queue_that_lets_nobody_in_is_the_answer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "held.yaml").write_text(MORE.split("spec:")[0] + "spec: {stopPolicy: Hold}\n")
    nowhere = job("nowhere", "08:00", queue="gone")
    (folder / "base" / "more.yaml").write_text(nowhere)
    before, after = simulated(capsys, folder, "--with", str(folder / "held.yaml"))["outcomes"]
    answers = {one["job"]: one["answer"] for one in after["neverStarted"]}
    assert answers["Job/first"] == "ClusterQueue cq is inactive"
    assert answers["Job/nowhere"] == "LocalQueue gone doesn't exist"
    assert "Job/first" not in {one["job"] for one in before["neverStarted"]}


def test_pods_that_ended_hold_no_quota_any_more(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three completions, two at a time: in the second hour one pod is left, and another Job gets its GPU."""
    pods = "spec:\n  parallelism: 2\n  completions: 3\n  template"
    rounds = job("rounds", "08:00").replace("spec:\n  template", pods, 1)
    next_one = job("next", "08:30", duration="1h")
    queues = QUEUES.replace("nominalQuota: 1", "nominalQuota: 2")
    (folder / "base" / "all.yaml").write_text("---\n".join([queues, FLEET, rounds, next_one]))
    (base,) = simulated(capsys, folder, "--until", "2026-11-02T11:00:00Z")["outcomes"]
    hours = base["clusterQueues"][0]["hours"]["nvidia.com/gpu"]
    assert (hours["held"], hours["borrowed"], hours["nominal"]) == ("4.000", "0.000", "6.000")
    # 2 GPUs x 3 hours x 3 EUR.
    assert (base["bill"]["total"], base["bill"]["held"], base["bill"]["idle"]) == ("18.00", "12.00", "6.00")


def test_pods_that_ended_before_an_eviction_are_not_lost(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two pods end at 9; the third one runs for half an hour when a higher priority takes all."""
    pods = "spec:\n  parallelism: 2\n  completions: 3\n  template"
    rounds = job("rounds", "08:00").replace("spec:\n  template", pods, 1)
    label = "kueue.x-k8s.io/priority-class: high"
    high = job("high", "09:30", gpus=2, duration="1h").replace(
        "queue-name: gpus", f"queue-name: gpus, {label}"
    )
    important = """apiVersion: kueue.x-k8s.io/v1beta2
kind: WorkloadPriorityClass
metadata: {name: high}
value: 10
"""
    preempts = "  preemption: {withinClusterQueue: LowerPriority}\n  resourceGroups:"
    queues = QUEUES.replace("nominalQuota: 1", "nominalQuota: 2").replace("  resourceGroups:", preempts, 1)
    (folder / "base" / "all.yaml").write_text("---\n".join([queues, FLEET, important, rounds, high]))
    (base,) = simulated(capsys, folder)["outcomes"]
    queue = base["clusterQueues"][0]
    assert queue["evictions"] == 1
    hours = queue["hours"]["nvidia.com/gpu"]
    # 2 pods for an hour, 1 for half an hour, 2 GPUs for an hour, and the third pod again.
    assert (hours["held"], hours["lost"]) == ("5.500", "0.500")
    assert base["bill"]["lost"] == "1.50"


def test_the_table_says_it_in_one_sentence_and_who_never_started(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "simulate", "-f", str(folder / "base"), "--with", str(folder / "more.yaml"))
    assert code == 0
    assert "more: p95 waits as before; 18.00 -> 30.00 EUR" not in out
    assert "Never started, before:\n  default/large: " in out
    assert "  ClusterQueue cq: spec.resourceGroups[0].flavors[0].resources[0].nominalQuota 1 -> 2" in out


def test_where_nobody_ever_starts_the_reason_is_told_and_a_change_may_help(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first moment is the last one then: no time passes in which anything happens."""
    large = job("large", "10:00", gpus=2)
    (folder / "base" / "all.yaml").write_text("---\n".join([QUEUES, FLEET, large]))
    (alone,) = simulated(capsys, folder)["outcomes"]
    assert "maximum capacity (1)" in alone["neverStarted"][0]["answer"]
    assert (alone["bill"]["total"], alone["total"]["first"]["maxNs"]) == ("0.00", 0)
    assert alone["total"]["hours"]["nvidia.com/gpu"]["held"] == "0.000"
    before, after = simulated(capsys, folder, "--with", str(folder / "more.yaml"))["outcomes"]
    assert (before["total"]["jobs"]["started"], after["total"]["jobs"]["finished"]) == (0, 1)
    assert (before["bill"]["total"], after["bill"]["total"]) == ("6.00", "12.00")


def test_jobs_of_a_default_queue_only_are_played(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    queues = QUEUES.replace("metadata: {name: gpus}", "metadata: {name: default}")
    unlabelled = job("first", "08:00").replace("  labels: {kueue.x-k8s.io/queue-name: gpus}\n", "")
    (folder / "base" / "all.yaml").write_text("---\n".join([queues, unlabelled]))
    (base,) = simulated(capsys, folder)["outcomes"]
    assert base["total"]["jobs"]["finished"] == 1 and base["notes"][0]["code"] != "Unqueued"


def test_jobs_with_a_generated_name_are_each_played(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [job("train-", arrival).replace("  name:", "  generateName:", 1) for arrival in ("08:00", "09:00")]
    (folder / "base" / "all.yaml").write_text("---\n".join([QUEUES, *jobs]))
    (base,) = simulated(capsys, folder)["outcomes"]
    assert base["total"]["jobs"]["finished"] == 2
    code, out, _ = run(capsys, "admit", "-f", str(folder / "base"), "-o", "json")
    found = [one["job"] for one in json.loads(out)["report"]["answers"]]
    assert code == 1 and len(set(found)) == 2 and all(name.startswith("train-") for name in found)


def test_fair_sharing_of_the_configuration_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "base" / "kueue.yaml").write_text(
        "apiVersion: config.kueue.x-k8s.io/v1beta2\nkind: Configuration\n"
        "fairSharing: {preemptionStrategies: [LessThanInitialShare]}\n"
    )
    (folder / "weight.yaml").write_text(MORE.partition("spec:")[0] + 'spec: {fairSharing: {weight: "2"}}\n')
    assert simulated(capsys, folder)["fairSharing"] is True
    code, out, _ = run(capsys, "simulate", "-f", str(folder / "base"), "--with", str(folder / "weight.yaml"))
    assert code == 0 and "weights count for nothing" not in out


def test_a_change_without_effect_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "idle.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
    changes = [part for name in ("same", "idle") for part in ("--with", str(folder / f"{name}.yaml"))]
    _, out, _ = run(capsys, "simulate", "-f", str(folder / "base"), *changes)
    assert "same changes nothing: all that it says is so already" in out
    assert "idle has no effect on this demand" in out


def test_what_is_not_played_is_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pod = """apiVersion: v1
kind: Pod
metadata: {name: notebook, labels: {kueue.x-k8s.io/queue-name: gpus}}
spec: {containers: [{name: main, image: example/x:1}]}
"""
    free = job("free", "08:00").replace("labels: {kueue.x-k8s.io/queue-name: gpus}", "labels: {}")
    (folder / "base" / "more.yaml").write_text(pod + "---\n" + free)
    notes = [one["code"] for one in simulated(capsys, folder)["outcomes"][0]["notes"]]
    assert notes == ["Unqueued", "NoJobs"]


def test_without_a_fleet_there_are_hours_and_one_line_says_what_to_add(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "base" / "all.yaml").write_text("---\n".join([QUEUES, job("first", "08:00")]))
    _, out, _ = run(capsys, "simulate", "-f", str(folder / "base"))
    assert "GPU-hours held" in out and "EUR" not in out
    assert out.endswith(
        "- a GPU-hour of flavor h100 has no price: add a Fleet, or Nodes of a known instance type\n"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            MORE.replace("QUOTA", "-1"),
            "change.yaml, document 1, spec.resourceGroups[0].flavors[0].resources[0]",
        ),
        (
            MORE.replace("QUOTA", "[]"),
            "change.yaml, document 1, spec.resourceGroups[0].flavors[0].resources[0]",
        ),
        ("kind: Cohort\n", "change.yaml, document 1, apiVersion: apiVersion is missing"),
        (job("x", "08:00"), "change.yaml, document 1, kind: a Job is demand"),
        (FLEET, "change.yaml, document 1, kind: Fleet of stellwerk.dev/v1alpha1 changes nothing in queues"),
        ("{", "change.yaml"),
    ],
)
def test_a_wrong_change_is_bad_input_at_its_file_and_field(
    folder: Path, capsys: pytest.CaptureFixture[str], change: str, text: str
) -> None:
    path = folder / "change.yaml"
    path.write_text(change)
    code, out, err = run(capsys, "simulate", "-f", str(folder / "base"), "--with", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1) and text in err


@pytest.mark.parametrize(
    "more",
    [
        ("--with", "gone.yaml"),
        ("--until", "soon"),
        ("--until", "2026-11-02T08:00:00Z"),
        ("--gate", "Nothing=true"),
        ("--rate", "EUR"),
    ],
)
def test_wrong_options_are_bad_input(
    folder: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, str]
) -> None:
    code, out, err = run(capsys, "simulate", "-f", str(folder / "base"), *more)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_change_that_leaves_a_job_without_its_priority_class_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    urgent = "apiVersion: kueue.x-k8s.io/v1beta2\nkind: WorkloadPriorityClass\nmetadata: {name: urgent}\n"
    named = job("first", "08:00", queue="gpus, kueue.x-k8s.io/priority-class: urgent")
    (folder / "base" / "all.yaml").write_text("---\n".join([QUEUES, urgent + "value: 1\n", named]))
    gone = folder / "gone.yaml"
    gone.write_text(urgent.replace("urgent}", 'urgent, annotations: {stellwerk.dev/remove: "true"}}'))
    code, out, err = run(capsys, "simulate", "-f", str(folder / "base"), "--with", str(gone))
    assert (code, out) == (2, "")
    assert "there is no WorkloadPriorityClass urgent" in err and f"all.yaml ({gone}), document 5" in err


def test_a_change_that_is_given_twice_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = ("--with", str(folder / "more.yaml"))
    assert run(capsys, "simulate", "-f", str(folder / "base"), *change, *change)[0] == 2


def test_files_of_one_name_are_told_apart_by_their_path(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other").mkdir()
    (folder / "other" / "more.yaml").write_text(MORE.replace("QUOTA", "3"))
    paths = [str(folder / "more.yaml"), str(folder / "other" / "more.yaml")]
    found = simulated(capsys, folder, "--with", paths[0], "--with", paths[1])
    assert [one["name"] for one in found["outcomes"]] == ["before", *paths]


def test_a_receipt_is_the_same_again_until_a_change_file_is_another(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, receipt = folder / "more.yaml", folder / "receipt.json"
    run(capsys, "simulate", "-f", str(folder / "base"), "--with", str(change), "--receipt", str(receipt))
    assert run(capsys, "verify", str(receipt))[0] == 0
    change.write_text(MORE.replace("QUOTA", "3"))
    assert run(capsys, "verify", str(receipt))[0] == 1


def test_the_jobs_of_the_example_are_those_that_the_script_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == text(asked())


def test_the_example_has_its_written_answer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    changes = [part for path in CHANGES for part in ("--with", path)]
    code, out, err = run(capsys, "simulate", "-f", str(EXAMPLE), *changes, "--fair-sharing")
    assert (code, err) == (0, "")
    assert out == EXAMPLE.with_suffix(".expected.txt").read_text(encoding="utf-8")


def test_the_money_of_the_example_adds_up_by_queue_and_by_namespace(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = run(capsys, "simulate", "-f", str(EXAMPLE), "--with", CHANGES[0], "-o", "json")
    for outcome in json.loads(out)["outcomes"]:
        bill = outcome["bill"]
        for parts in (outcome["clusterQueues"], outcome["localQueues"]):
            assert total(one["cost"]["held"] for one in parts) == Decimal(bill["held"])
            assert total(one["cost"]["lost"] for one in parts) == Decimal(bill["lost"])
        assert total(bill["heldByNamespace"].values()) == Decimal(bill["held"])
        assert total(bill["idleByFlavor"].values()) == Decimal(bill["idle"])
        assert Decimal(bill["held"]) + Decimal(bill["idle"]) == Decimal(bill["total"])
        # A week of the quota: 8 or 10 GPUs x 168 h x 2.52 EUR.
    assert [one["bill"]["total"] for one in json.loads(out)["outcomes"]] == ["3386.88", "4233.60"]


def total(amounts: Any) -> Decimal:
    return sum(map(Decimal, amounts), Decimal(0))

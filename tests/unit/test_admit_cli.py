"""`stellwerk admit` and `why` as a user runs them: answers, reasons, exit codes, one line for bad input."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.cli.main import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "queueing" / "three-teams-two-gpus"
FLAVOR = "apiVersion: kueue.x-k8s.io/v1beta2\nkind: ResourceFlavor\nmetadata: {name: h100}\n"
QUEUE = """apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: cq}
spec:
  namespaceSelector: {}
  queueingStrategy: STRATEGY
  resourceGroups:
  - coveredResources: [nvidia.com/gpu]
    flavors:
    - {name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: 2}]}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: gpus}
spec: {clusterQueue: cq}
"""
JOB = """apiVersion: batch/v1
kind: Job
metadata: {{name: {name}, labels: {{kueue.x-k8s.io/queue-name: {queue}{labels}}}}}
spec:
  parallelism: {pods}
  template:
    {annotations}
    spec:
      restartPolicy: Never
      containers:
      - {{name: main, image: example/x:1, resources: {{limits: {{nvidia.com/gpu: 1}}}}}}
"""


def job(name: str, pods: int = 1, queue: str = "gpus", labels: str = "", annotations: str = "") -> str:
    return JOB.format(name=name, pods=pods, queue=queue, labels=labels, annotations=annotations)


def queue(strategy: str = "BestEffortFIFO") -> str:
    return QUEUE.replace("STRATEGY", strategy)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--lang", "en"])
    out, err = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, out, err


def answers(capsys: pytest.CaptureFixture[str], path: Path, *more: str) -> tuple[int, dict[str, Any]]:
    code, out, err = run(capsys, "admit", "-f", str(path), "-o", "json", *more)
    assert not err
    found = json.loads(out)["report"]["answers"]
    return code, {one["job"] or one["name"]: one for one in found}


def write(folder: Path, *documents: str) -> Path:
    path = folder / "all.yaml"
    path.write_text("---\n".join(documents))
    return path


def test_the_example_has_its_written_answer(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "admit", "-f", str(EXAMPLE), "-o", "yaml")
    assert code == 1
    assert yaml.safe_load(out) == yaml.safe_load(EXAMPLE.with_suffix(".expected.yaml").read_text())


def test_the_owner_takes_its_gpu_back_and_the_higher_priority_goes_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, found = answers(capsys, EXAMPLE)
    assert code == 1
    assert {name: one["state"] for name, one in found.items()} == {
        "job-thesis-11111": "Pending",
        "sweep": "Pending",
        "paper": "Admitted",
        "release": "Admitted",
    }
    assert found["release"]["preempts"][0] == {
        "workload": "interns/job-thesis-11111",
        "reason": "InCohortReclamation",
    }
    assert found["job-thesis-11111"]["preemptedBy"]["workload"] == f"product/{found['release']['name']}"


def test_one_cycle_looks_at_the_first_of_each_queue_only(capsys: pytest.CaptureFixture[str]) -> None:
    _, found = answers(capsys, EXAMPLE, "--cycles", "1")
    assert found["paper"]["cycle"] == 1 and found["sweep"]["reason"]["code"] == "PendingEvaluation"
    assert found["job-thesis-11111"]["state"] == "Admitted" and found["job-thesis-11111"]["before"]


def test_preempted_workloads_keep_their_quota_until_the_next_cycle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, found = answers(capsys, EXAMPLE, "--cycles", "2")
    assert found["job-thesis-11111"]["state"] == "Preempted"
    assert found["release"]["state"] == "Preempting"
    assert found["release"]["reason"]["code"] == "WaitingForPreemptedWorkloads"


def test_a_job_of_two_pods_is_admitted_whole_or_not_at_all(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, found = answers(capsys, write(tmp_path, FLAVOR, queue(), job("a", 2), job("b", 2), job("c", 3)))
    assert code == 1
    assert found["a"]["podSets"] == [
        {
            "name": "main",
            "count": 2,
            "flavors": {"nvidia.com/gpu": "h100"},
            "resourceUsage": {"nvidia.com/gpu": "2"},
        }
    ]
    assert found["b"]["reason"]["code"] == "WaitingForQuota" and found["b"]["podSets"] == []
    assert found["c"]["reason"]["code"] == "ExceedsMaxQuota"
    assert (found["b"]["positionInClusterQueue"], found["c"]["positionInClusterQueue"]) == (0, 1)


def test_all_admitted_ends_with_zero_and_conditions_are_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = write(tmp_path, FLAVOR, queue(), job("a"), job("b"))
    code, out, _ = run(capsys, "admit", "-f", str(path), "-o", "json")
    assert code == 0
    for item in json.loads(out)["items"]:
        assert {one["type"]: one["status"] for one in item["status"]["conditions"]} == {
            "QuotaReserved": "True",
            "Admitted": "True",
        }
        assert item["status"]["admission"]["clusterQueue"] == "cq"


@pytest.mark.parametrize(
    ("strategy", "state", "code"),
    [("StrictFIFO", "Pending", "BehindHead"), ("BestEffortFIFO", "Admitted", None)],
)
def test_behind_a_job_that_does_not_fit_one_waits_in_strict_order_only(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, strategy: str, state: str, code: str | None
) -> None:
    _, found = answers(capsys, write(tmp_path, FLAVOR, queue(strategy), job("big", 3), job("small")))
    assert found["small"]["state"] == state
    assert found["small"].get("reason", {}).get("code") == code


def test_equal_jobs_that_were_parked_unseen_have_the_reason_of_the_one_that_was_seen(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, found = answers(capsys, write(tmp_path, FLAVOR, queue(), *(job(f"big-{i}", 3) for i in range(4))))
    assert {one["reason"]["code"] for one in found.values()} == {"ExceedsMaxQuota"}


def test_an_admission_check_keeps_a_job_with_quota_from_starting(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    check = (
        "apiVersion: kueue.x-k8s.io/v1beta2\nkind: AdmissionCheck\n"
        "metadata: {name: budget}\nspec: {controllerName: example.com/budget}\n"
    )
    asked = queue().replace(
        "  resourceGroups:",
        "  admissionChecksStrategy: {admissionChecks: [{name: budget}]}\n  resourceGroups:",
        1,
    )
    code, found = answers(capsys, write(tmp_path, FLAVOR, asked, check, job("a")))
    assert code == 1 and found["a"]["state"] == "QuotaReserved"
    assert found["a"]["reason"]["code"] == "UnsatisfiedAdmissionChecks"
    _, found = answers(capsys, write(tmp_path, FLAVOR, asked, job("a")))
    assert found["a"]["reason"]["code"] == "Suspended"
    assert "AdmissionCheckNotFound" in found["a"]["reason"]["text"]


def test_a_flavor_or_local_queue_that_is_not_there_is_the_reason(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, found = answers(capsys, write(tmp_path, queue(), job("a"), job("b", queue="nowhere")))
    assert "FlavorNotFound" in found["a"]["reason"]["text"]
    assert found["b"]["reason"] == {
        "code": "Misconfigured",
        "text": "there is no LocalQueue default/nowhere",
        "message": "",
        "behind": "",
    }


def racks() -> list[str]:
    """Three nodes with a GPU each, the second and third in one rack; a flavor with their Topology."""
    topology = (
        "apiVersion: kueue.x-k8s.io/v1beta2\nkind: Topology\nmetadata: {name: racks}\n"
        "spec: {levels: [{nodeLabel: rack}, {nodeLabel: kubernetes.io/hostname}]}\n"
    )
    flavor = FLAVOR + "spec: {nodeLabels: {gpu: h100}, topologyName: racks}\n"
    nodes = [
        f"apiVersion: v1\nkind: Node\nmetadata: {{name: n{i}, labels: {{gpu: h100, rack: {rack}, "
        f"kubernetes.io/hostname: n{i}}}}}\n"
        'status: {allocatable: {nvidia.com/gpu: 1, pods: 10}, conditions: [{type: Ready, status: "True"}]}\n'
        for i, rack in enumerate(("r1", "r2", "r2"))
    ]
    return [topology, flavor, *nodes]


IN_ONE_RACK = "metadata: {annotations: {kueue.x-k8s.io/podset-required-topology: rack}}"


def test_topology_gives_the_job_nodes_of_one_rack(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = write(tmp_path, *racks(), queue(), job("a", 2, annotations=IN_ONE_RACK))
    code, found = answers(capsys, path)
    assert code == 0
    assert found["a"]["podSets"][0]["topology"] == [
        {"values": ["n1"], "count": 1},
        {"values": ["n2"], "count": 1},
    ]


def test_gpus_that_are_only_limits_are_taken_for_who_comes_later(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    jobs = [job(name, annotations=IN_ONE_RACK) for name in ("a", "b")]
    path = write(tmp_path, *racks(), queue(), *jobs)
    code, found = answers(capsys, path)
    nodes = {name: one["podSets"][0]["topology"][0]["values"][0] for name, one in found.items()}
    assert code == 0 and nodes["a"] != nodes["b"]
    # The first one as it was written to a cluster, before the second comes.
    _, out, _ = run(capsys, "admit", "-f", str(path), "--cycles", "1", "-o", "json")
    first = next(json.dumps(one) for one in json.loads(out)["items"] if "-a-" in one["metadata"]["name"])
    path.write_text("---\n".join([*racks(), queue(), *jobs, first]))
    _, again = answers(capsys, path)
    assert again["b"]["podSets"] == found["b"]["podSets"]


def test_a_pod_beside_the_queues_takes_what_it_is_limited_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pod = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: other}\nstatus: {phase: Running}\n"
        "spec:\n  nodeName: n0\n"
        "  containers: [{name: main, image: example/x:1, resources: {limits: {nvidia.com/gpu: 1}}}]\n"
    )
    jobs = [job(name, annotations=IN_ONE_RACK) for name in ("a", "b")]
    _, found = answers(capsys, write(tmp_path, *racks(), queue(), pod, *jobs))
    nodes = [one["podSets"][0]["topology"][0]["values"][0] for one in found.values()]
    assert sorted(nodes) == ["n1", "n2"]


def test_why_names_the_reason_the_place_and_who_holds_the_quota(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "why", "sweep", "-f", str(EXAMPLE))
    assert code == 1
    assert "the quota that it needs is in use" in out and "place 1 of 1 in ClusterQueue research" in out
    assert "in use by research/job-paper-" in out
    code, _, err = run(capsys, "why", "papper", "-f", str(EXAMPLE))
    assert code == 2 and "nothing that waits or runs is called papper" in err
    assert run(capsys, "why", "research/paper", "-f", str(EXAMPLE))[0] == 0


def test_the_priority_class_decides_and_an_unknown_one_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    urgent = ", kueue.x-k8s.io/priority-class: urgent"
    jobs = job("a", 2), job("b", 2, labels=urgent)
    known = (
        "apiVersion: kueue.x-k8s.io/v1beta2\nkind: WorkloadPriorityClass\n"
        "metadata: {name: urgent}\nvalue: 7\n"
    )
    _, found = answers(capsys, write(tmp_path, FLAVOR, queue(), known, *jobs))
    assert (found["a"]["state"], found["b"]["state"], found["b"]["priority"]) == ("Pending", "Admitted", 7)
    code, _, err = run(capsys, "admit", "-f", str(write(tmp_path, FLAVOR, queue(), *jobs)))
    assert code == 2 and "there is no WorkloadPriorityClass urgent" in err


COHORT = (
    "apiVersion: kueue.x-k8s.io/v1beta2\nkind: Cohort\nmetadata: {{name: {}}}\nspec: {{parentName: {}}}\n"
)


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("nominalQuota: 2", "nominalQuota: -2", "nominalQuota -2 is negative"),
        (
            "nominalQuota: 2",
            "nominalQuota: 2, borrowingLimit: 1",
            "borrowingLimit must be left out where cohortName",
        ),
        (
            "nominalQuota: 2",
            "nominalQuota: 2, lendingLimit: 1",
            "lendingLimit must be left out where cohortName",
        ),
        ("spec:\n  names", "spec:\n  fairSharing: {weight: -1}\n  names", "weight -1 is negative"),
        ("spec:\n  names", "spec:\n  fairSharing: {weight: 1n}\n  names", "the weight 1n is too small"),
        ("STRATEGY", "Fastest", "Fastest is not one of StrictFIFO, BestEffortFIFO"),
        (
            "[{name: nvidia.com/gpu,",
            "[{name: cpu,",
            "the resources are cpu, but coveredResources are nvidia.com/gpu",
        ),
        (
            "spec:\n  names",
            "spec:\n  preemption: {borrowWithinCohort: {policy: LowerPriority}}\n  names",
            "reclaimWithinCohort is Never, but borrowWithinCohort.policy is LowerPriority",
        ),
        (
            "spec:\n  names",
            "spec:\n  flavorFungibility: {preference: PreemptionOverBorrowing}\n  names",
            "preference needs both",
        ),
        (
            "spec:\n  names",
            "spec:\n  admissionChecksStrategy: {admissionChecks: [{name: x, onFlavors: [a100]}]}\n  names",
            "the ClusterQueue has no flavor a100",
        ),
        (
            "    - {name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: 2}]}\n",
            "    - {name: h100, resources: [{name: nvidia.com/gpu, nominalQuota: 2}]}\n"
            "  - coveredResources: [cpu]\n    flavors:\n"
            "    - {name: h100, resources: [{name: cpu, nominalQuota: 2}]}\n",
            "the flavor h100 is in two resource groups",
        ),
        ("clusterQueue: cq", "clusterQueue: other", "there is no ClusterQueue other"),
    ],
)
def test_what_kueue_refuses_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, before: str, after: str, cause: str
) -> None:
    assert before in QUEUE
    text = QUEUE.replace(before, after, 1).replace("STRATEGY", "StrictFIFO")
    code, out, err = run(capsys, "admit", "-f", str(write(tmp_path, FLAVOR, text, job("a"))))
    assert (code, out) == (2, "")
    assert cause in err and "all.yaml, document" in err and "Traceback" not in err


def test_cohorts_in_a_circle_are_refused_and_a_weight_of_zero_is_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cohorts = COHORT.format("a", "b"), COHORT.format("b", "a")
    code, _, err = run(capsys, "admit", "-f", str(write(tmp_path, FLAVOR, queue(), *cohorts, job("j"))))
    assert code == 2 and "the cohorts form a cycle: a -> b -> a" in err
    weightless = queue().replace("spec:\n", "spec:\n  fairSharing: {weight: 0}\n", 1)
    path = write(tmp_path, FLAVOR, weightless, job("j"))
    assert run(capsys, "admit", "-f", str(path), "--fair-sharing")[0] == 0


@pytest.mark.parametrize(
    ("option", "value", "cause"),
    [
        ("--cycles", "0", "0 is no number of cycles"),
        ("--gate", "PartialAdmission", "the gate PartialAdmission has no value"),
        ("--gate", "Nonsense=true", "Kueue has no gate Nonsense"),
        ("--at", "yesterday", "yesterday is not a time"),
    ],
)
def test_an_option_that_says_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], option: str, value: str, cause: str
) -> None:
    code, _, err = run(capsys, "admit", "-f", str(EXAMPLE), option, value)
    assert code == 2 and cause in err


def test_files_without_anything_that_waits_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, err = run(capsys, "admit", "-f", str(write(tmp_path, FLAVOR, queue())))
    assert code == 2 and "has no Workload, and no Job with a queue" in err


def test_the_answer_is_a_state_that_can_be_asked_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, out, _ = run(capsys, "admit", "-f", str(EXAMPLE), "-o", "json")
    (tmp_path / "state.json").write_text(out)
    first = {one["name"]: one["state"] for one in json.loads(out)["report"]["answers"]}
    quota = str(EXAMPLE / "quota.yaml"), "-f", str(EXAMPLE / "jobs.yaml")
    code, out, _ = run(capsys, "admit", "-f", str(tmp_path), "-f", *quota, "-o", "json")
    again = json.loads(out)["report"]["answers"]
    assert code == 1 and {one["name"]: one["state"] for one in again} == first
    assert all(one["before"] == (one["state"] == "Admitted") for one in again)


def test_a_job_that_ended_and_one_without_a_queue_ask_for_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ended = job("ended", 2) + 'status: {conditions: [{type: Complete, status: "True"}]}\n'
    alone = job("alone").replace("kueue.x-k8s.io/queue-name", "team")
    code, found = answers(capsys, write(tmp_path, FLAVOR, queue(), ended, alone, job("a", 2)))
    assert code == 0 and list(found) == ["a"]


def test_the_table_is_german_where_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["admit", "-f", str(EXAMPLE), "--lang", "de"])
    out = capsys.readouterr().out
    assert out.startswith("2 von 4 zugelassen; Scheduling-Zyklen: 4\n")
    assert "Job product/release: zugelassen, in Zyklus 3" in out
    assert "die nötige Quote ist vergeben" in out

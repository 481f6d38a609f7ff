"""Objects that make pods: generated names, names that two would share, what became of a Job, ReplicaSets."""

import json
from pathlib import Path

import pytest

from tests.unit.allocation_sample import (
    Object,
    answers,
    claim,
    class_of,
    device,
    pod,
    run,
    slice_of,
    write,
)

CLUSTER = [
    class_of(),
    claim("t", kind="ResourceClaimTemplate"),
    slice_of("n1", *(device(f"gpu-{i}") for i in range(4))),
]


def maker(kind: str, name: str, metadata: Object | None = None, **more: Object | int | str) -> Object:
    status = more.pop("status", {})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod("x", "t")["spec"]}
    return {
        "apiVersion": "batch/v1" if kind == "Job" else "apps/v1",
        "kind": kind,
        "metadata": {"name": name, **(metadata or {})},
        "spec": {"template": template, **({} if kind == "Job" else {"selector": {}}), **more},
        "status": status,
    }


def generated(item: Object, base: str) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key != "name"}
    return item | {"metadata": metadata | {"generateName": base}}


def owned(name: str, kind: str, owner: str, phase: str) -> Object:
    reference = {"apiVersion": "x/v1", "kind": kind, "name": owner, "uid": "1", "controller": True}
    found = pod(name, "t")
    return found | {
        "metadata": {"name": name, "ownerReferences": [reference]},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("objects", "count"),
    [
        ([generated(maker("Job", ""), "j-")] * 2, 2),
        ([generated(maker("Job", ""), "j-"), claim("c")], 2),
        ([generated(claim(""), "gpu-")] * 2 + [claim("gpu")], 3),
        ([generated(pod("", "t"), "p-")] * 2, 2),
        ([maker("Job", "same"), maker("Deployment", "same"), pod("same-1", "t")], 3),
    ],
    ids=["jobs", "a job and a claim", "claims", "pods", "two makers of one name"],
)
def test_nobody_takes_the_name_of_another(
    objects: list[Object], count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path, *CLUSTER, *objects)
    code, out, err = run(capsys, "-f", folder, "-o", "json")
    assert code == 0, err
    first = json.loads(out)
    assert len({one["name"] for one in first["report"]["answers"]}) == count
    taken = [
        result["device"]
        for item in first["items"]
        for result in item["status"]["allocation"]["devices"]["results"]
    ]
    assert len(first["items"]) == len(taken) == len(set(taken)) == count
    state = tmp_path.parent / f"{tmp_path.name}.json"
    state.write_text(out)
    again = json.loads(run(capsys, "-f", folder, "--state", str(state), "-o", "json")[1])
    assert again["items"] == first["items"]
    assert all(one["before"] for one in again["report"]["answers"])


@pytest.mark.parametrize(
    ("job", "pods", "wanted"),
    [
        (maker("Job", "j", parallelism=2, completions=9), [], 2),
        (maker("Job", "j", status={"conditions": [{"type": "Complete", "status": "True"}]}), [], 0),
        (maker("Job", "j", status={"conditions": [{"type": "Failed", "status": "True"}]}), [], 0),
        (maker("Job", "j", status={"conditions": [{"type": "Failed", "status": "False"}]}), [], 1),
        (maker("Job", "j", parallelism=2, completions=3, status={"succeeded": 2}), [], 1),
        (maker("Job", "j", parallelism=1, completions=3), ["Succeeded"], 1),
        (maker("Job", "j", parallelism=1, completions=1), ["Succeeded"], 0),
        (maker("Job", "j", parallelism=1, completions=1), ["Failed"], 1),
        (maker("Job", "j", parallelism=3), ["Succeeded"], 0),
        (maker("Job", "j", parallelism=3, completions=4), ["Running", "Failed"], 3),
    ],
)
def test_a_job_has_as_many_pods_as_it_still_needs(
    job: Object, pods: list[str], wanted: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = [owned(f"j-{i}x", "Job", "j", phase) for i, phase in enumerate(pods)]
    found = answers(capsys, "-f", write(tmp_path, *CLUSTER, job, *there, claim("c")))
    assert len([one for one in found if one["kind"] == "Pod"]) == wanted


def test_a_replica_set_makes_pods_unless_its_deployment_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "1"}
    replicas = maker("ReplicaSet", "d-5d8f", {"ownerReferences": [reference]}, replicas=2)
    there = owned("d-5d8f-x", "ReplicaSet", "d-5d8f", "Running")
    alone = answers(capsys, "-f", write(tmp_path, *CLUSTER, replicas, there))
    assert [one["name"] for one in alone] == ["d-5d8f-0", "d-5d8f-x"]
    deployment = maker("Deployment", "d", replicas=3)
    both = answers(capsys, "-f", write(tmp_path, *CLUSTER, deployment, replicas, there))
    assert [one["name"] for one in both] == ["d-0", "d-1", "d-5d8f-x"]


def test_a_daemon_set_that_asks_for_devices_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = maker("DaemonSet", "silent")
    silent["spec"]["template"]["spec"] = pod("x")["spec"]
    folder = write(tmp_path, *CLUSTER, maker("DaemonSet", "agent"), silent, claim("c"))
    _, out, _ = run(capsys, "-f", folder, "-o", "json")
    (note,) = json.loads(out)["report"]["notes"]
    assert (note["code"], note["values"]) == ("daemon-set", {"name": "default/agent"})
    folder_of_one = tmp_path / "one"
    folder_of_one.mkdir()
    code, _, err = run(capsys, "-f", write(folder_of_one, *CLUSTER, maker("DaemonSet", "agent")))
    assert code == 2 and "in DaemonSets only" in err
    assert note["text"] in run(capsys, "-f", folder)[1].replace("\n", " ")

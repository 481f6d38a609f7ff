"""`stellwerk allocate` as a user runs it: devices by node, reasons, gates, what is held, bad input."""

import json
from pathlib import Path

import pytest

from tests.unit.allocation_sample import (
    Object,
    answers,
    claim,
    class_of,
    device,
    node,
    obj,
    pod,
    run,
    slice_of,
    write,
)

TWO = slice_of("n1", device("gpu-0"), device("gpu-1"))


def codes(answer: Object) -> list[list[str]]:
    return [[reason["code"] for reason in one["reasons"]] for one in answer["refused"]]


def test_a_claim_gets_devices_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "-f", write(tmp_path, class_of(), TWO, claim("a", count=2)))
    assert code == 0
    assert "claim default/a: on n1" in out
    assert "gpu.example.com/n1/gpu-1  gpu  GPU-gpu-1" in out


def test_the_json_is_what_the_scheduler_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = claim("t", kind="ResourceClaimTemplate")
    folder = write(tmp_path, class_of(), TWO, template, pod("p", "t"))
    _, out, _ = run(capsys, "-f", folder, "-o", "json")
    (made,) = json.loads(out)["items"]
    assert made["metadata"]["annotations"] == {"resource.kubernetes.io/pod-claim-name": "devices"}
    assert made["metadata"]["name"].startswith("p-devices-")
    assert made["metadata"]["finalizers"] == ["resource.kubernetes.io/delete-protection"]
    assert made["spec"]["devices"]["requests"][0]["exactly"]["count"] == 1
    (user,) = made["status"]["reservedFor"]
    (owner,) = made["metadata"]["ownerReferences"]
    assert (user["name"], user["uid"]) == ("p", owner["uid"])
    assert made["status"]["allocation"]["devices"]["results"] == [
        {"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}
    ]


def test_what_a_run_wrote_is_held_in_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = claim("t", kind="ResourceClaimTemplate")
    pods = [pod(name, "t") for name in ("p0", "p1", "p2")]
    folder = write(tmp_path, class_of(), TWO, template, claim("alone"), *pods)
    _, first, _ = run(capsys, "-f", folder, "-o", "json")
    state = tmp_path.parent / f"{tmp_path.name}.json"
    state.write_text(first)
    _, second, _ = run(capsys, "-f", folder, "--state", str(state), "-o", "json")
    assert json.loads(second)["items"] == json.loads(first)["items"]
    before, after = (json.loads(text)["report"]["answers"] for text in (first, second))
    assert [one["allocated"] for one in before] == [True, True, False, False]
    assert [one["node"] for one in after if one["allocated"]] == ["n1", "n1"]
    assert all(one["before"] for one in after if one["allocated"])


def test_a_state_may_only_hold_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, class_of(), TWO, claim("a"))
    code, _, err = run(capsys, "-f", folder, "--state", folder)
    assert code == 2 and "a DeviceClass is no state" in err and err.count("\n") == 1


def test_a_refusal_names_each_obstacle_and_the_change_that_helps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = [
        {"cel": {"expression": "device.capacity['gpu.example.com'].memory.compareTo(quantity('90Gi')) > 0"}}
    ]
    folder = write(tmp_path, class_of(), TWO, claim("a", selectors=large))
    (answer,) = answers(capsys, "-f", folder)
    assert codes(answer) == [["too-few-devices", "selector", "nearest-miss"]]
    assert answer["refused"][0]["reasons"][1]["values"]["count"] == 2
    assert answer["change"]["code"] == "drop-selector" and answer["change"]["node"] == "n1"
    code, out, _ = run(capsys, "-f", folder)
    assert code == 1 and "smallest change that helps: claim default/a, request gpu: drop selector #0" in out


def test_nodes_that_say_the_same_are_one_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slices = [slice_of(f"n{i}", device("gpu-0")) for i in range(30)]
    (answer,) = answers(capsys, "-f", write(tmp_path, class_of(), *slices, claim("a", count=2)))
    assert [(one["node"], one["nodes"]) for one in answer["refused"]] == [("n0", 30)]
    assert answer["change"]["values"]["fewer"] == 1


def test_taints_of_rules_keep_claims_away_while_their_gates_are_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taint = {"key": "example.com/broken", "effect": "NoExecute"}
    rule = obj("DeviceTaintRule", "r", {"deviceSelector": {"device": "gpu-0"}, "taint": taint})
    folder = write(tmp_path, class_of(), slice_of("n1", device("gpu-0")), rule, claim("a"))
    (answer,) = answers(capsys, "-f", folder)
    assert codes(answer) == [["too-few-devices", "taint", "nearest-miss"]]
    assert answer["change"]["values"]["taint"] == "example.com/broken:NoExecute"
    (answer,) = answers(capsys, "-f", folder, "--gate", "DRADeviceTaintRules=false")
    assert answer["allocated"]


def test_an_old_release_takes_a_rule_without_selector_for_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = obj("DeviceTaintRule", "r", {"taint": {"key": "example.com/x", "effect": "NoSchedule"}})
    folder = write(tmp_path, class_of(), TWO, rule, claim("a"))
    old = ("--kubernetes", "1.36", "--gate", "DRADeviceTaintRules=true")
    assert [one["allocated"] for one in answers(capsys, "-f", folder)] == [True]
    assert [one["allocated"] for one in answers(capsys, "-f", folder, *old)] == [False]


def test_a_gate_that_would_help_is_the_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counters = {"consumesCounters": [{"counterSet": "c", "counters": {"m": {"value": "1"}}}]}
    parts = slice_of("n1", device("part", **counters))
    sets = slice_of(
        "n1", driver="gpu.example.com", sharedCounters=[{"name": "c", "counters": {"m": {"value": "1"}}}]
    )
    sets["metadata"]["name"] = "sets"
    del sets["spec"]["devices"]
    for one in (parts, sets):
        one["spec"]["pool"]["resourceSliceCount"] = 2
    folder = write(tmp_path, class_of(), parts, sets, claim("a"))
    (answer,) = answers(capsys, "-f", folder, "--kubernetes", "1.35")
    assert answer["change"]["values"] == {"gate": "DRAPartitionableDevices"}
    assert answers(capsys, "-f", folder)[0]["allocated"]


def test_a_slice_of_1_34_may_have_counters_and_devices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counters = {"consumesCounters": [{"counterSet": "c", "counters": {"m": {"value": "1"}}}]}
    both = slice_of(
        "n1",
        device("a", **counters),
        device("b", **counters),
        sharedCounters=[{"name": "c", "counters": {"m": {"value": "1"}}}],
    )
    folder = write(tmp_path, class_of(), both, claim("a"), claim("b"))
    gate = ("--gate", "DRAPartitionableDevices=true")
    found = answers(capsys, "-f", folder, "--kubernetes", "1.34", *gate)
    assert [one["allocated"] for one in found] == [True, False]
    code, _, err = run(capsys, "-f", folder)
    assert code == 2 and "spec.sharedCounters" in err and "1.34" in err


def test_shares_in_use_count_and_get_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = slice_of("n1", device("gpu-0", allowMultipleAllocations=True))
    asked = {"capacity": {"requests": {"memory": "30Gi"}}}
    folder = write(tmp_path, class_of(), shared, *(claim(name, **asked) for name in "abc"))
    found = answers(capsys, "-f", folder)
    assert [one["allocated"] for one in found] == [True, True, False]
    ids = {one["devices"][0]["shareID"] for one in found[:2]}
    assert len(ids) == 2 and found[0]["devices"][0]["consumedCapacity"] == {"memory": "30Gi"}
    assert "capacity" in codes(found[2])[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kubernetes", "1.30"), "1.30"),
        (("--gate", "DRANothing=true"), "DRANothing"),
        (("--gate", "DRADeviceTaints"), "NAME=true or NAME=false"),
        (("--gate", "DRAExtendedResource=false"), "locked"),
        (("--gate", "DRADeviceTaints=false"), "DRADeviceTaintRules needs DRADeviceTaints"),
    ],
)
def test_a_gate_that_the_api_server_would_refuse_is_refused(
    arguments: tuple[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "-f", write(tmp_path, class_of(), TWO, claim("a")), *arguments)
    assert (code, out) == (2, "") and said in err and err.count("\n") == 1


def test_nothing_to_allocate_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "-f", write(tmp_path, class_of(), TWO, node("n1")))
    assert code == 2 and "no ResourceClaim" in err


def test_an_error_of_the_scheduler_ends_a_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, class_of(), TWO, claim("a", deviceClassName="nobody"), claim("b"))
    first, second = answers(capsys, "-f", folder)
    assert codes(first) == [["error"]] and "nobody" in first["refused"][0]["reasons"][0]["text"]
    assert first["change"]["code"] == "other-class" and first["change"]["values"]["class_name"] == "gpu"
    assert second["allocated"]


def test_german_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, class_of(), TWO, claim("a", count=3))
    code, out, _ = run(capsys, "--lang", "de", "-f", folder)
    assert code == 1
    assert "0 von 1 zugeteilt nach den Regeln von Kubernetes 1.37" in out
    assert "kleinste Änderung, die hilft" in out and "{" not in out

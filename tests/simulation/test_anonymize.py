"""A case without names gives the figures of the original."""

import json
from pathlib import Path
from typing import Any

import pytest

from stellwerk.cli.main import main
from stellwerk.sim.main_job import Arguments, prepare, run
from stellwerk.sim.result import Replay

from .test_whatif import measure

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared/data/usage/genai_pod_gpu_1min.csv.xz"


def figures(replay: Replay, advised: bool = False) -> list[object]:
    """Everything that has no name in it; what was advised is part of a case of metrics only."""
    found: list[object] = []
    for outcome in replay.outcomes:
        if outcome.policy == "advised" and not advised:
            continue
        for run_ in outcome.runs:
            teams = sorted(
                (team.jobs, team.wait_p95_ns, team.held, team.used, team.cost) for team in run_.teams
            )
            figures = run_.jobs, run_.waits, run_.gpu_hours, run_.overflow, run_.cost, run_.idle_cost
            found.append((outcome.policy, run_.slowdown, figures, teams, run_.samples))
    return found


@pytest.mark.parametrize("case", ["demo", "mittelstand", "metrics"])
def test_figures_stay_and_names_go(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = []
    arguments = Arguments(demand=case)
    if case == "metrics":
        measure(2, Path("day.prom"))
        options = ["--metrics", "--fleet", "4xscaleway/H100-1-80G"]
        arguments = Arguments(demand="day.prom", metrics=True, fleet=options[-1])
    source = arguments.demand
    with pytest.raises(SystemExit) as ended:
        main(["anonymize", source, *options, "-o", "case.json"])
    assert ended.value.code == 0
    original = run(prepare(arguments), lambda *progress: None)
    again = run(prepare(Arguments(demand="case.json")), lambda *progress: None)
    assert figures(again) == figures(original)
    text = Path("case.json").read_text()
    for job in prepare(arguments).scenario.demand.jobs:
        assert job.name not in text and f'"{job.team}"' not in text
    assert len(json.loads(text)["items"]) == len(prepare(arguments).scenario.demand.jobs) + 2


def test_what_manifests_cannot_say_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["anonymize", "openb", "-o", str(tmp_path / "case.json")])
    assert ended.value.code == 2 and "Next: " in capsys.readouterr().err


OWNERS = {
    "kube_pod_owner": 'owner_kind="ReplicaSet",owner_name="secret-web-5d"',
    "kube_pod_labels": 'label_stellwerk_dev_isolation="required",label_secret_label="secret-value"',
}


def owned(text: str) -> str:
    """The scrapes, with an owner for the pods of team a, isolation for some, and an odd instance label."""
    lines = text.replace('Hostname="', 'instance="secret-host:9400",Hostname="secret-').splitlines()
    pods = sorted(
        {line.split("{")[1].split("}")[0] for line in lines if line.startswith("kube_pod_start_time")}
    )
    stamp = lines[0].rsplit(" ", 1)[1]
    for pod in pods:
        if 'namespace="a"' in pod and "inference" in pod:
            lines += [f"{metric}{{{pod},{more}}} 1 {stamp}" for metric, more in OWNERS.items()]
    lines.append(
        f'kube_replicaset_owner{{namespace="a",replicaset="secret-web-5d",owner_kind="Deployment",'
        f'owner_name="secret-web"}} 1 {stamp}'
    )
    return "\n".join(lines).replace('namespace="a"', 'namespace="secret-a"') + "\n"


def ran(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0


def plain_advice(path: str, fleet: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    ran("advise", path, "--fleet", fleet, "-o", "json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def nameless(advice: dict[str, Any]) -> list[object]:
    """The advice without names, each workload in its place."""
    kept = {key: advice[key] for key in ("gpusSeen", "gpusBefore", "gpusAfter", "savingMonth", "models")}
    workloads = [
        {key: value for key, value in each.items() if key not in ("name", "team")}
        for each in advice["workloads"]
    ]
    return [kept, *workloads]


def test_series_without_names_give_the_same_advice_and_the_same_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    measure(5, Path("day.prom"))
    Path("day.prom").write_text(owned(Path("day.prom").read_text()))
    fleet = "4xscaleway/H100-1-80G"
    ran("anonymize", "day.prom", "--series", "-o", "case.json")
    text = Path("case.json").read_text()
    assert "secret" not in text and "batch-" not in text and "Deployment" in text
    before, after = plain_advice("day.prom", fleet, capsys), plain_advice("case.json", fleet, capsys)
    assert nameless(after) == nameless(before)
    # Whole jobs of the pods of one owner are one workload: the label and the owner survived.
    assert any(each["pods"] > 3 for each in after["workloads"])
    replays = [
        run(prepare(Arguments(demand=name, metrics=True, fleet=fleet)), lambda *progress: None)
        for name in ("day.prom", "case.json")
    ]
    assert figures(replays[1], advised=True) == figures(replays[0], advised=True)
    assert any(outcome.policy == "advised" for outcome in replays[1].outcomes)


@pytest.mark.skipif(not REAL.exists(), reason="the real pods are not here: ../shared is missing")
def test_the_real_pods_without_names_get_the_same_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran("anonymize", str(REAL), "--series", "-o", "case.json")
    fleet = "112xscaleway/H100-1-80G"
    before, after = plain_advice(str(REAL), fleet, capsys), plain_advice("case.json", fleet, capsys)
    assert nameless(after) == nameless(before) and before["gpusAfter"] < before["gpusBefore"]


def test_a_fleet_with_faults_by_chance_is_refused_and_times_of_cutting_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "apiVersion: stellwerk.dev/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec:\n"
    text += "  nodes: [{name: g, gpuModel: H100-PCIE-80GB, gpus: 8}]\n"
    Path("slow.yaml").write_text(text + "  mig: {create: 90s, mode: 4s}\n")
    Path("faulty.yaml").write_text(text + "  faults: {reconfigurationFailuresPerThousand: 5}\n")
    with pytest.raises(SystemExit) as ended:
        main(["anonymize", "demo", "--fleet", "faulty.yaml", "-o", "case.json"])
    assert ended.value.code == 2 and "by chance" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["anonymize", "demo", "--fleet", "slow.yaml", "-o", "case.json"])
    assert ended.value.code == 0
    original = run(prepare(Arguments(demand="demo", fleet="slow.yaml")), lambda *progress: None)
    again = run(prepare(Arguments(demand="case.json")), lambda *progress: None)
    assert figures(again) == figures(original)
    assert again.outcomes[4].runs[0].reconfigurations == original.outcomes[4].runs[0].reconfigurations

"""A case without names gives the figures of the original."""

import json
from pathlib import Path

import pytest

from stellwerk.cli.main import main
from stellwerk.sim.main_job import Arguments, prepare, run
from stellwerk.sim.result import Replay

from .test_whatif import measure


def figures(replay: Replay) -> list[object]:
    """Everything that has no name in it; what was advised is no part of a case."""
    found: list[object] = []
    for outcome in replay.outcomes:
        if outcome.policy == "advised":
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

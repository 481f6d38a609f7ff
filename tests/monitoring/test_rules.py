"""The exported rules under promtool: each alert fires when it should, and is silent when it should be."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from stellwerk.cli.main import VERBS
from stellwerk.report.monitoring.rule_files import RULES
from stellwerk.report.monitoring.thresholds import read_thresholds
from tests.docs.test_reference import COMMANDS, options_of
from tests.monitoring.exported import documents, export, rules
from tests.servers.databases import PROMETHEUS, program
from tests.servers.fixtures import need

CASES = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
LEAST_SILENT = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("monitoring"))


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    need(PROMETHEUS)
    command = [program("promtool"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def test_promtool_takes_the_rules(folder: Path) -> None:
    checked = promtool(folder, "check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    recording, alerts = rules(folder)
    assert f"{len(recording) + len(alerts)} rules found" in checked.stdout + checked.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_each_alert_fires_and_is_silent_as_it_should(folder: Path, case: Path) -> None:
    shutil.copy(case, folder)
    tested = promtool(folder, "test", "rules", case.name)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_a_case_that_expects_too_much_fails(folder: Path) -> None:
    """promtool is asked at all: an alert that nothing rouses is missed."""
    expected = {"exp_labels": {"severity": "warning"}, "exp_annotations": {}}
    case = {"eval_time": "5m", "alertname": "StellwerkGpuIdleHeld", "exp_alerts": [expected]}
    test = {"interval": "1m", "input_series": [], "alert_rule_test": [case]}
    (folder / "wrong.yaml").write_text(yaml.safe_dump({"rule_files": [RULES], "tests": [test]}))
    assert promtool(folder, "test", "rules", "wrong.yaml").returncode == 1


def expectations() -> tuple[Counter[str], dict[str, set[str]]]:
    """How often each alert is expected with its texts, and in which cases it must be silent."""
    fires, silent = Counter[str](), dict[str, set[str]]()
    for path in CASES:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            assert test["name"]
            by_alert: dict[str, list[list[Any]]] = {}
            for check in test.get("alert_rule_test", []):
                by_alert.setdefault(check["alertname"], []).append(check["exp_alerts"])
            for alert, found in by_alert.items():
                fires[alert] += sum(bool(each) for each in found)
                if not any(found):
                    silent.setdefault(alert, set()).add(test["name"])
    return fires, silent


def test_every_alert_has_cases_of_both_kinds(folder: Path) -> None:
    names = {rule["alert"] for rule in rules(folder)[1]}
    fires, silent = expectations()
    assert set(fires) == names
    assert not {name for name in names if not fires[name]}
    few = {name: silent.get(name, set()) for name in names if len(silent.get(name, set())) < LEAST_SILENT}
    assert not few


def test_the_three_rule_files_hold_the_same_rules(folder: Path) -> None:
    groups = documents(folder, RULES)[0]["groups"]
    assert documents(folder, "prometheus-rule.yaml")[0]["spec"]["groups"] == groups
    assert documents(folder, "vm-rule.yaml")[0]["spec"]["groups"] == groups


def test_every_alert_says_what_it_is_and_what_to_do_next(folder: Path) -> None:
    for rule in rules(folder)[1]:
        assert set(rule["annotations"]) == {"summary", "description", "next_step"}, rule["alert"]
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        step = rule["annotations"]["next_step"]
        commands = re.findall(r"stellwerk ([a-z]+)((?: [^ ;,.]+|\.\.\.)*)", step)
        assert commands, rule["alert"]
        for verb, rest in commands:
            assert verb in VERBS, step
            known = {name for option in options_of(COMMANDS[f"stellwerk {verb}"]) for name in option.opts}
            assert set(re.findall(r"(?<= )--?[a-z][a-z-]*", rest)) <= known, step


def test_the_options_are_the_thresholds(tmp_path: Path) -> None:
    options = ("--idle-below", "2.5", "--idle-after", "90m", "--wait-target", "5m30s")
    recording, listed = rules(export(tmp_path, *options))
    alerts = {rule["alert"]: rule for rule in listed}
    assert alerts["StellwerkGpuIdleHeld"]["expr"].endswith("< 0.025")
    assert alerts["StellwerkGpuIdleHeld"]["for"] == "1h30m"
    [late] = [rule["expr"] for rule in recording if "late" in rule["record"]]
    assert 'le=~"640([.]0)?"' in late
    told = alerts["StellwerkQueueWaitAboveTarget"]["annotations"]
    assert "longer than 10m40s" in told["description"] and "target of 5m30s" in told["description"]
    assert alerts["StellwerkQueueStuck"]["for"] == "5m30s"
    checked = promtool(tmp_path, "check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("target", "border"), [("5m", 320), ("5m20s", 320), ("321s", 640), ("2560s", 2560), ("11h", 40_960)]
)
def test_a_target_is_told_at_the_next_border_of_kueues_histogram(target: str, border: int) -> None:
    assert read_thresholds("5", "30m", target).wait_border_s == border


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--idle-below", "0"), "--idle-below 0 is not a percentage"),
        (("--idle-below", "101"), "--idle-below 101 is not a percentage"),
        (("--idle-below", "nan"), "--idle-below nan is not a percentage"),
        (("--idle-below", "1e-9"), "--idle-below 1e-9 is not a percentage"),
        (("--idle-below", "5%"), "--idle-below 5% is not a percentage"),
        (("--idle-after", "soon"), "--idle-after soon is no duration"),
        (("--idle-after", "0s"), "--idle-after 0s is no duration"),
        (("--idle-after", "1.5s"), "--idle-after 1.5s is no duration"),
        (("--wait-target", "-1h"), "--wait-target -1h is no duration"),
        (("--wait-target", "45s"), "shorter than what a scrape"),
        (("--wait-target", "12h"), "longer than Kueue's histogram"),
        (("--plan", "plan.yaml"), "--plan says nothing to stellwerk export monitoring"),
    ],
)
def test_bad_options_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str], words: str
) -> None:
    from stellwerk.cli.main import main

    with pytest.raises(SystemExit) as caught:
        main(["export", "monitoring", "-o", str(tmp_path / "out"), "--lang", "en", *options])
    assert caught.value.code == 2
    complaint = capsys.readouterr().err
    assert words in complaint and "Next:" in complaint and complaint.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_thresholds_say_nothing_to_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stellwerk.cli.main import main

    with pytest.raises(SystemExit) as caught:
        main(["export", "dra", "-o", str(tmp_path), "--lang", "en", "--idle-below", "3"])
    assert caught.value.code == 2
    assert "--idle-below says nothing to stellwerk export dra" in capsys.readouterr().err

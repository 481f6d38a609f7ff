"""The command line as a user runs it: exit codes, one line for a mistake, only the payload on stdout."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stellwerk.cli.main import VERBS, main

ENGLISH = {"LANG": "C.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENGLISH.items():
        monkeypatch.setenv(name, value)


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_first_line_is_the_finding_and_the_receipt_verifies(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("replay", "demo", "--size") == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == (
        "1 instead of 2 GPUs with mps, 2,093 EUR a month less, p95 wait 0 min instead of 9 h 00 min, "
        "up to 15 of 23 jobs slowed; check it: stellwerk verify receipt.json"
    )
    assert err == "" and Path("receipt.json").exists()
    assert call("verify", "receipt.json") == 0
    assert capsys.readouterr().out.startswith("same: ")


def test_a_changed_receipt_and_a_changed_input_are_different(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("generate", "demo", "-o", "week") == 0
    assert call("replay", "week") == 0
    assert call("verify", "receipt.json") == 0
    honest = Path("receipt.json").read_text()
    Path("receipt.json").write_text(honest.replace('"finished":22', '"finished":21'))
    capsys.readouterr()
    assert call("verify", "receipt.json") == 1
    assert "finished: 21 -> 22" in capsys.readouterr().out
    Path("receipt.json").write_text(honest)
    file = Path("week/10-vision.yaml")
    changed = bytearray(file.read_bytes())
    changed[2] ^= 1  # One byte, of a comment: no figure changes, and yet it is not the same input.
    file.write_bytes(bytes(changed))
    capsys.readouterr()
    assert call("verify", "receipt.json") == 1
    assert "10-vision.yaml" in capsys.readouterr().out


def test_generated_files_give_the_same_figures_as_the_built_in_demand(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("generate", "demo", "-o", "week") == 0
    capsys.readouterr()
    assert call("replay", "week", "-o", "json") == 0
    from_files = json.loads(capsys.readouterr().out)
    assert call("replay", "demo", "-o", "json") == 0
    built_in = json.loads(capsys.readouterr().out)
    assert from_files["outcomes"] == built_in["outcomes"]


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_only_the_payload_goes_to_stdout(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("replay", "demo", "-o", form, "--report", "r.html", "-v") == 0
    out, err = capsys.readouterr()
    if form == "json":
        assert json.loads(out)["outcomes"][0]["policy"] == "whole"
    else:
        assert out.startswith("demand: demo\n")
    assert "wrote r.html" in err and "read demand: demo" in err
    assert "<svg" in Path("r.html").read_text()


def test_german_output_and_errors_and_english_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("replay", "demo", "--size", "--lang", "de") == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert "2.093 EUR" in first and "statt" in first
    assert call("replay", "demo", "--lang", "de", "-o", "json") == 0
    assert '"waitP' not in capsys.readouterr().out.partition("p95Ns")[0]
    assert call("replay", "nirgends", "--lang", "de") == 2
    assert "Nächster Schritt:" in capsys.readouterr().err


MISTAKES: list[tuple[list[str], str]] = [
    ([], "Usage"),
    (["repla", "demo"], "replay"),
    (["replay"], "DEMAND"),
    (["replay", "nowhere"], "demo, mittelstand, openb"),
    (["replay", "demo", "--sise"], "--size"),
    (["replay", "demo", "--seed", "x"], "--seed"),
    (["replay", "demo", "--seed", "-1"], "--seed"),
    (["replay", "demo", "--days", "0"], "--days"),
    (["replay", "demo", "--plan-hours", "99"], "--plan-hours"),
    (["replay", "demo", "--replicas", "1"], "--replicas"),
    (["replay", "demo", "--headroom", "-5"], "--headroom"),
    (["replay", "demo", "--policy", "mpss"], "mps"),
    (["replay", "demo", "--slowdown", "nowhere.yaml"], "nowhere.yaml"),
    (["replay", "demo", "--rate", "EURUSD"], "EURUSD"),
    (["replay", "demo", "--rate", "EURUSD=0@2026-01-01"], "rate"),
    (["replay", "demo", "--geometry", "9g.90gb"], "stellwerk catalog mig"),
    (["replay", "demo", "--geometry", "3g.40gb:x"], "--geometry"),
    (["replay", "demo", "--geometry", "7g.80gb,1g.10gb"], "cut"),
    (["replay", "demo", "--fleet", "0xscaleway/H100-1-80G"], "0xscaleway"),
    (["replay", "demo", "--fleet", "2xscaleway/H100"], "H100-1-80G"),
    (["replay", "demo", "--fleet", "2xnobody/H100"], "nobody"),
    (["replay", "demo", "--explain", "figures"], "costMonth"),
    (["replay", "demo", "--explain", "costMonth", "--explain-policy", "none"], "none"),
    (["replay", "demo", "--lang", "fr"], "--lang"),
    (["replay", "demo", "-o", "xml"], "xml"),
    (["replay", "demo", "--receipt", "no/such/folder/r.json"], "written"),
    (["replay", "demo", "--report", "no/such/folder/r.html"], "written"),
    (["replay", "."], "yaml"),
    (["verify", "nowhere.json"], "nowhere.json"),
    (["verify"], "RECEIPT"),
    (["generate", "openb", "-o", "x"], "openb"),
    (["generate", "demo"], "--output"),
    (["catalog", "mig", "L4"], "L4"),
    (["catalog", "mig", "H1000"], "H100"),
    (["catalog", "fleet", "x"], "demo"),
    (["completion", "tcsh"], "tcsh"),
    (["up", "--port", "0"], "--port"),
    (["up", "--speed", "0"], "--speed"),
    (["up", "--metrics-policy", "gpu"], "--metrics-policy"),
    (["up", "--policy", "mps", "--metrics-policy", "mix"], "--metrics-policy"),
    (["up", "demo", "--port", "99999"], "--port"),
]


@pytest.mark.parametrize(("arguments", "said"), MISTAKES, ids=[" ".join(a) or "nothing" for a, _ in MISTAKES])
def test_a_mistake_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err and "Traceback" not in err
    if arguments:
        assert len(err.splitlines()) == 1 and "Next: " in err


def test_help_answers_without_loading_what_only_verbs_need() -> None:
    probe = (
        "import sys; from stellwerk.cli.main import root\n"
        "try: root.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'msgspec', 'rich', 'matplotlib', 'babel', 'yaml', 'numpy', 'starlette', 'pyarrow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(verb, "--help") == 0
    assert "Usage: stellwerk " + verb in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("completion", shell) == 0
    assert "_STELLWERK_COMPLETE" in capsys.readouterr().out


def test_completion_knows_verbs_and_options() -> None:
    environment = {**os.environ, "_STELLWERK_COMPLETE": "bash_complete", "COMP_CWORD": "1"}
    for words, wanted in (("stellwerk rep", "replay"), ("stellwerk replay --si", "--size")):
        environment |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        done = subprocess.run(
            [sys.executable, "-m", "stellwerk"], env=environment, capture_output=True, text=True, check=False
        )
        assert wanted in done.stdout, done.stderr


def test_a_closed_pipe_is_no_traceback() -> None:
    command = f"{shlex.quote(sys.executable)} -m stellwerk catalog node-types | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("PROVIDER") and done.stderr == ""


def test_a_receipt_with_more_or_doubled_fields_is_not_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("replay", "demo") == 0
    honest = Path("receipt.json").read_text()
    Path("receipt.json").write_text(honest.replace('{"apiVersion"', '{"approvedBy":"x","apiVersion"', 1))
    assert call("verify", "receipt.json") == 2
    Path("receipt.json").write_text(honest.replace('"result":', '"result":{"savings":"99"},"result":', 1))
    capsys.readouterr()
    assert call("verify", "receipt.json") == 1
    assert "bytes" in capsys.readouterr().out


def test_a_receipt_names_no_fleet_that_was_not_read() -> None:
    assert call("replay", "demo", "--fleet", "2xscaleway/H100-1-80G") == 0
    assert [item["role"] for item in json.loads(Path("receipt.json").read_text())["inputs"]] == ["demand"]


def test_a_huge_geometry_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("replay", "demo", "--geometry", "1g.10gb:0001999999") == 2
    assert call("replay", "demo", "--geometry", "1g.10gb:99") == 2
    assert "--geometry" in capsys.readouterr().err

"""The catalog of workloads with known truth: no dangerous "share", next to no needless "exclusive"."""

from pathlib import Path

import pytest

from stellwerk.engine.advice.verdict import SHARES
from tests.conformance.workloads.__main__ import main
from tests.conformance.workloads.cases import read_cases
from tests.conformance.workloads.judge import Judged, judge

FILES = sorted((Path(__file__).parent / "workloads").glob("*.yaml"))
CASES = [case for path in FILES for case in read_cases(path.read_text(encoding="utf-8"))]
JUDGED = [judge(case) for case in CASES]
ONE = """
name: one
workload: {gpuModel: L4}
measured: {duration: 48h, series: {smActive: 0.1, memory: 2Gi}}
truth: {share: [mps]}
"""


def test_the_catalog_is_large_enough_and_half_of_it_must_not_share() -> None:
    assert len(CASES) >= 34 and len({case.name for case in CASES}) == len(CASES)
    assert sum(bool(case.truth.exclusive or case.truth.unknown) for case in CASES) >= 17


@pytest.mark.parametrize("each", JUDGED, ids=[each.case.name for each in JUDGED])
def test_no_verdict_is_dangerous_and_none_guesses(each: Judged) -> None:
    assert each.outcome not in ("dangerous", "guess")


def test_at_most_three_are_exclusive_without_need() -> None:
    assert sum(each.outcome == "needless" for each in JUDGED) <= 3


def test_every_verdict_has_a_reason_and_every_share_its_head_room() -> None:
    for each in JUDGED:
        assert each.verdict.reasons
        if each.verdict.choice in SHARES:
            assert each.verdict.share is not None
            assert (each.verdict.memory_headroom_percent or 0) >= 8


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("share: [mps]", "exclusive: why", "dangerous"),
        ("share: [mps]", "share: [time-slicing]", "dangerous"),
        ("share: [mps]", "unknown: why", "dangerous"),
        ("duration: 48h", "duration: 4h", "needless"),
        ("share: [mps]", "share: [mps, mig]", "ok"),
    ],
)
def test_the_judge_sees_what_differs(old: str, new: str, outcome: str) -> None:
    [case] = read_cases(ONE.replace(old, new))
    assert judge(case).outcome == outcome


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gpuModel: L4", "gpuModel: L4, gpu: 1", "unknown field `gpu`"),
        ("smActive", "smactive", "there is no metric smactive"),
        ("share: [mps]", "share: [mps], exclusive: both", "exactly one"),
        ("share: [mps]", "share: [vgpu]", "vgpu"),
        ("smActive: 0.1", "smActive: {base: 0.1, burst: []}", "burst"),
    ],
)
def test_a_slip_in_a_case_is_named_with_its_case(old: str, new: str, said: str) -> None:
    with pytest.raises(ValueError, match="case one") as caught:
        read_cases(ONE.replace(old, new))
    assert said in str(caught.value)


def test_the_runner_prints_each_case_and_last_the_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "cases.yaml"
    file.write_text(
        ONE + "---\n" + ONE.replace("name: one", "name: two").replace("share: [mps]", "exclusive: x")
    )
    assert main([str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ok: one: mps") and lines[1].startswith("differs (dangerous): two: mps")
    assert lines[-1] == "1 passed, 1 failed"
    assert main([str(tmp_path / "none.yaml")]) == 2

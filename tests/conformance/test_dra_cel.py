"""Every recorded case of Kubernetes' CEL environment for devices, and that an altered one is noticed."""

import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.dra_cel import run_cel_case

FILE = Path(__file__).parent / "dra" / "dra-cel.jsonl.xz"
CASES: list[dict[str, Any]] = list(map(json.loads, lzma.decompress(FILE.read_bytes()).splitlines()))


def test_all_recorded_cases_are_read() -> None:
    assert len(CASES) == 142


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_decision_is_that_of_kubernetes(case: dict[str, Any]) -> None:
    assert run_cel_case(case) is None


def altered(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The same case with one expectation changed at a time."""
    expected = case["expected"]
    other = {"match": "matchError", "matchError": "compileError", "compileError": "match"}[expected["kind"]]
    changed: list[dict[str, Any]] = [{**expected, "kind": other, "match": True}]
    if "cost" in expected:
        changed.append({**expected, "cost": expected["cost"] + 1})
    if "match" in expected:
        changed.append({**expected, "match": not expected["match"]})
    if "errorContains" in expected:
        changed.append({**expected, "errorContains": expected["errorContains"] + " altered"})
    return [{**case, "expected": each} for each in changed]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_altered_expectation_differs(case: dict[str, Any]) -> None:
    for each in altered(case):
        assert run_cel_case(each) is not None

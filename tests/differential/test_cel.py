"""Own expressions, written and drawn at random, answered by Kubernetes v0.37.2 (cel/main.go) and by us.

The cost of `includes` is left out: that release counts 64 elements for an attribute, the recorded cases of
tests/conformance, which are followed, 48. Of a syntax error only the kind is compared.
"""

import json
import lzma
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.dra_cel import run_cel_case

FOLDER = Path(__file__).parent / "cel"
ANSWERS = lzma.decompress((FOLDER / "answers.jsonl.xz").read_bytes())
CASES: list[dict[str, Any]] = list(map(json.loads, ANSWERS.splitlines()))


def test_the_answers_are_those_of_kubernetes() -> None:
    found = {
        (case["name"], case["expression"]): run_cel_case(case) for case in CASES if "differs" not in case
    }
    differing = {f"{name}: {expression}": what for (name, expression), what in found.items() if what}
    assert len(found) > 2000 and not differing, json.dumps(differing, indent=1)


@pytest.mark.parametrize("case", [case for case in CASES if "differs" in case], ids=lambda case: case["name"])
def test_what_is_known_to_differ_still_does(case: dict[str, Any]) -> None:
    if run_cel_case(case) is None:
        pytest.fail(f"{case['expression']} agrees now: {case['differs']} is no longer true")


@pytest.mark.skipif(
    shutil.which("go") is None, reason="Go is not installed: the recorded answers are compared"
)
def test_go_still_gives_the_recorded_answers() -> None:
    asked = "".join(json.dumps(case) + "\n" for case in CASES[:200])
    run = subprocess.run(
        ["go", "run", "."], cwd=FOLDER, input=asked, capture_output=True, text=True, timeout=280
    )
    if run.returncode != 0:
        pytest.skip(f"Kubernetes' modules cannot be built here: {run.stderr.strip()[-200:]}")
    for case, line in zip(CASES, run.stdout.splitlines(), strict=False):
        answer = json.loads(line)
        assert answer["kind"] == case["expected"]["kind"], case["expression"]
        assert answer.get("match") == case["expected"].get("match"), case["expression"]

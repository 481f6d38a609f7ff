"""Random cases of topology-aware scheduling with Kueue's own answers, in the recorded format.

`python -m tests.differential.go_kueue_cases PROGRAM COUNT [FIRST] > FILE`; PROGRAM is built from
go_kueue/oracle_test.go. Cases that break Kueue, and those that it answers in two ways, are left out.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.conformance.kueue_tas import run_find
from tests.differential.tas_cases import elastic_of, random_cases, replacement_of

Json = dict[str, Any]


def cases_with_history(count: int, first: int = 0) -> Iterator[Json]:
    """Each random case, and what comes after it: a node that fails, a workload slice of another size."""
    for case in random_cases(count, first):
        yield case
        outcomes, chance = run_find(case)["podSets"], random.Random(case["id"])
        failed = replacement_of(case, outcomes, chance)
        if failed is not None:
            yield failed
        yield elastic_of(case, outcomes, chance)


def answers(program: str, cases: Sequence[Json]) -> list[Json]:
    """Kueue's answer to each case: `podSets`, and `nanos` of wall time, or `panic`."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        asked.write_text("".join(json.dumps(case) + "\n" for case in cases))
        world = os.environ | {"ORACLE_IN": str(asked), "ORACLE_OUT": str(answered)}
        command = [program, "-test.run", "TestOracle"]  # It warns of gates a thousand times.
        subprocess.run(command, env=world, check=True, capture_output=True)
        return [json.loads(line) for line in answered.read_text().splitlines()]


def main(program: str, count: str, first: str = "0") -> None:
    """Write the cases that Kueue answers, always in the same way."""
    cases = list(cases_with_history(int(count), int(first)))
    for case, once, again in zip(cases, *(answers(program, cases) for _ in range(2)), strict=True):
        if "panic" not in once and once["podSets"] == again.get("podSets"):
            print(json.dumps(case | {"want": {"podSets": once["podSets"]}}))


if __name__ == "__main__":
    main(*sys.argv[1:])

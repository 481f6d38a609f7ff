"""Random cases of the flavor assigner with Kueue's own answers, in the recorded format.

`python -m tests.differential.go_flavor_cases PROGRAM COUNT [FIRST] > FILE`; PROGRAM is built from
go_kueue_flavors/oracle_test.go. Cases that break Kueue, and those that it answers in two ways, are left out.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.differential.flavor_cases import random_cases

Json = dict[str, Any]


def answers(program: str, cases: Sequence[Json]) -> list[Json]:
    """Kueue's answer to each case, as `want` has it, or `panic`."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        asked.write_text("".join(json.dumps(case) + "\n" for case in cases))
        world = os.environ | {"ORACLE_IN": str(asked), "ORACLE_OUT": str(answered)}
        subprocess.run([program, "-test.run", "TestOracle"], env=world, check=True, capture_output=True)
        return [json.loads(line) for line in answered.read_text().splitlines()]


def main(program: str, count: str, first: str = "0") -> None:
    """Write the cases that Kueue answers, always in the same way."""
    cases = list(random_cases(int(count), int(first)))
    for case, once, again in zip(cases, *(answers(program, cases) for _ in range(2)), strict=True):
        if "panic" not in once and _ordered(once) == _ordered(again):
            print(json.dumps(case | {"want": once}))


def _ordered(answer: Json) -> Json:
    """The answer without the order that Go's maps give it."""
    if "assignment" in answer:
        answer["assignment"]["usage"].sort(key=lambda row: (row["flavor"], row["resource"]))
    return answer


if __name__ == "__main__":
    main(*sys.argv[1:])

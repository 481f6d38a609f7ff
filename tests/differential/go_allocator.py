"""Kubernetes' own DRA allocator (Go, v1.37) as an oracle for cases in the recorded format.

`python -m tests.differential.go_allocator COUNT [FIRST] > FILE` writes random cases in the recorded format,
with the answers of the implementation "experimental" (the only one that knows every feature) as `expected`.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.differential.dra_cases import random_cases

Json = dict[str, Any]
SOURCE = Path(__file__).with_name("go_dra")
BUILT = Path(__file__).parents[2] / ".pytest_cache" / "go_dra"
MISSING = "Kubernetes' DRA allocator needs Go and its modules (k8s.io/dynamic-resource-allocation)"
# Texts of cel-go are its own; what stands before them is the allocator's.
CEL_TEXT = re.compile(
    r"^(.*?(?:CEL (?:compile|runtime) error|derived attribute \S+(?: on device \S+)? failed)):", re.S
)


class GoAllocator(Struct, frozen=True):
    """The program, built."""

    program: Path

    def run(self, cases: Sequence[Json], implementation: str = "experimental") -> list[Json]:
        """An answer for each case, in order.

        A case has `input`, `featureFlags`, `celFeatures` as recorded; `info.contextState` is obeyed.
        An answer has `kind` (allocated, none, error; panic where Go's code breaks), then `allocations`, or
        `errorText` and `errorOnlyThisNode` (other nodes may still work); `steps` of the search; `nanoseconds`
        (wall). `implementation`: experimental, incubating or stable; what it does not support is an error.
        Raises RuntimeError where a case cannot be read (a field that the API does not have, for example).
        """
        text = "".join(json.dumps(case) + "\n" for case in cases)
        return [json.loads(line) for line in self._ask(["-impl", implementation], text).splitlines()]

    def bench(self, variants: Path, implementations: Sequence[str], *options: str) -> list[Json]:
        """CPU time per operation of each variant in a JSON file (`dra-bench`); see `Figure` in bench.go."""
        found: list[Json] = json.loads(
            self._ask(["-bench", str(variants), "-impl", ",".join(implementations), *options], "")
        )
        return found

    def _ask(self, arguments: list[str], text: str) -> str:
        done = subprocess.run(
            [str(self.program), *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout


@cache
def go_allocator() -> GoAllocator | None:
    """The allocator, built once for each state of its sources; None where Go or its modules cannot be had.

    Raises RuntimeError where the program does not compile.
    """
    if not shutil.which("go"):
        return None
    sources = sorted(path for path in SOURCE.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    program = BUILT / f"go_dra-{digest}"
    if program.exists():
        return GoAllocator(program)
    if _go("mod", "download").returncode:
        return None
    BUILT.mkdir(parents=True, exist_ok=True)
    made = program.with_suffix(".new")
    built = _go("build", "-mod=readonly", "-o", str(made), ".")
    if built.returncode:
        raise RuntimeError(built.stderr)
    made.replace(program)
    return GoAllocator(program)


def _go(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", *arguments], cwd=SOURCE, capture_output=True, text=True, timeout=600, check=False
    )


def expected(answer: Json) -> Json:
    """An answer as `expected` of the recorded format; `errorContains` leaves out what cel-go itself says."""
    if answer["kind"] == "allocated":
        return {"kind": "allocated", "allocations": answer["allocations"], "match": "exact"}
    if answer["kind"] != "error":
        return {"kind": answer["kind"]}
    text = answer["errorText"]
    found = CEL_TEXT.match(text)
    more = {"errorOnlyThisNode": True} if answer.get("errorOnlyThisNode") else {}
    contains = found.group(1) if found else text
    return {"kind": "error", "errorContains": contains, "errorText": {"experimental": text}, **more}


def main(arguments: Sequence[str]) -> int:
    """Writes random cases with Go's answers, one a line."""
    allocator = go_allocator()
    if allocator is None:
        print(MISSING, file=sys.stderr)
        return 1
    count, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    for start in range(first, first + count, 1_000):
        cases = random_cases(start, min(1_000, first + count - start))
        for case, answer in zip(cases, allocator.run(cases), strict=True):
            steps = {"numAllocateOneInvocations": {"experimental": [answer["steps"]]}}
            print(json.dumps({**case, "tags": [], "expected": expected(answer), "info": steps}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

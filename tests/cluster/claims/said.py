"""What `stellwerk check -f FILE --kubeconfig` says of a claim, and how long the whole process takes."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.cluster.claims.cases import FINE, Case
from tests.cluster.commands import ROOT
from tools.cluster.stack import Stack

BAD = ("refuses", "pends", "waits")


class Said(Struct, frozen=True):
    """`layers`: who does not let it through, the first that acts before the others; `next`: of its rows.

    `wall_s` and `cpu_s`: of the whole process; `whole`: all documents of the smallest rewrite.
    """

    layers: tuple[str, ...]
    words: str
    next: tuple[str, ...]
    wall_s: float
    cpu_s: float
    whole: tuple[Any, ...] = ()

    @property
    def layer(self) -> str:
        """The first, or FINE."""
        return self.layers[0] if self.layers else FINE


def check(stack: Stack, case: Case, folder: Path) -> Said:
    """Run it. Raises AssertionError where it gives no verdict."""
    file = folder / f"{case.name}.yaml"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(case.file)}))
    return checked(stack, file)


def checked(stack: Stack, file: Path) -> Said:
    """The same of a file."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8"}
    words = [sys.executable, "-m", "stellwerk", "check", "-f", str(file), "-o", "json"]
    before, began = os.times(), time.monotonic()
    done = subprocess.run(
        [*words, "--kubeconfig", str(stack.kubeconfig("admin"))],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    wall, after = time.monotonic() - began, os.times()
    assert done.returncode in (0, 1), done.stderr[-2000:]
    document = json.loads(done.stdout)
    rows = [each for each in document["rows"] if each["verdict"] in BAD]
    rewrite = document["rewrite"]
    return Said(
        tuple(document["layers"]),
        " | ".join(f"{each['layer']} {each['verdict']} {each['code']}: {each['text']}" for each in rows)[
            :400
        ],
        tuple(each["next"] or "" for each in rows),
        wall,
        after.children_user + after.children_system - before.children_user - before.children_system,
        tuple(rewrite["whole"]) if rewrite else (),
    )

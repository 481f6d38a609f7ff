"""Usage: python -m tests.cluster.parity [--seed N] [--count N] [--feature NAME ...]      How many agree.

Exit code 0: at least 98 % agree; 1: less.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.cluster.parity.acceptance import FEATURES, compared, report, scenarios_of
from tests.cluster.parity.scenario import FAIR_SHARING
from tools.cluster.build import build
from tools.cluster.parts import start_kueue
from tools.cluster.stack import Stack


def main() -> int:
    """Start a cluster with and one without fair sharing, as they are needed; compare; stop them."""
    words = argparse.ArgumentParser(prog="python -m tests.cluster.parity")
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--count", type=int, default=100)
    words.add_argument("--feature", action="append", choices=FEATURES)
    asked = words.parse_args()
    build()
    began, stacks = time.monotonic(), dict[bool, Stack]()
    with tempfile.TemporaryDirectory(prefix="stellwerk-parity-") as folder:

        def stack_of(fair: bool) -> Stack:
            if fair not in stacks:
                stacks[fair] = Stack(Path(folder) / ("fair" if fair else "plain"))
                stacks[fair].start()
                start_kueue(stacks[fair], configuration=FAIR_SHARING if fair else None)
            return stacks[fair]

        try:
            found = []
            for one in compared(scenarios_of(asked.seed, asked.count, asked.feature or FEATURES), stack_of):
                found.append(one)
                print(
                    "\n".join(one.differences) or f"{one.scenario.seed} agrees", file=sys.stderr, flush=True
                )
        finally:
            for stack in stacks.values():
                stack.stop()
    print(report(found), end="")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    agree = sum(not each.differences for each in found)
    return 0 if agree * 100 >= 98 * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())

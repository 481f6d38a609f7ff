"""python -m tests.cluster.claims [--seed N]: 60 claims on the real components; exit code 1 below 57."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.cluster.claims.acceptance import compared, report, started
from tests.cluster.claims.cases import cases
from tools.cluster.stack import Stack

LEAST = 57


def main() -> int:
    """Start a cluster, check and apply the claims of a seed, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stellwerk-claims-", ignore_cleanup_errors=True) as name:
        stack = Stack(Path(name) / "cluster")
        try:
            started(stack)
            found = compared(stack, cases(wanted.seed), Path(name))
        finally:
            stack.stop()
    print(report(found))
    right = sum(each.is_right for each in found)
    return 0 if right >= LEAST and not any(each.is_false_fine for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.conformance.workloads FILE...`: advise on each case, and compare with its truth."""

import sys
from pathlib import Path

from tests.conformance.workloads.cases import read_cases
from tests.conformance.workloads.judge import judge


def main(names: list[str]) -> int:
    """Print ok or differs for each case, last the counts; 0: all passed, 2: no catalog."""
    passed = failed = 0
    for name in names or [str(path) for path in sorted(Path(__file__).parent.glob("*.yaml"))]:
        try:
            cases = read_cases(Path(name).read_text(encoding="utf-8"))
            judged = [judge(case) for case in cases]
        except (OSError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        for each in judged:
            ok = each.outcome == "ok"
            passed, failed = passed + ok, failed + (not ok)
            why = "; ".join(str(reason) for reason in each.verdict.reasons)
            share = each.verdict.share.profile if each.verdict.share else each.verdict.other_model
            word = "ok" if ok else f"differs ({each.outcome})"
            print(f"{word}: {each.case.name}: {each.verdict.choice}{' ' * bool(share)}{share}: {why}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

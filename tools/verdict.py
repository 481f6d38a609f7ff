"""The closing lines of CI: pytest's own figures from its JUnit file, plus one failure for each failed step.

tools/verdict.py JUNIT_FILE [FAILED_STEP ...]
"""

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path


def verdict(junit: Path, failed_steps: list[str]) -> tuple[str, bool]:
    """The text, and whether all is well; a missing file means that pytest did not run, which is not well."""
    lines = [f"ci: FAILED: {step}" for step in failed_steps]
    tests = errors = failures = skipped = 0
    if junit.exists():
        for suite in ElementTree.parse(junit).getroot().iter("testsuite"):
            tests += int(suite.get("tests", 0))
            errors += int(suite.get("errors", 0))
            failures += int(suite.get("failures", 0))
            skipped += int(suite.get("skipped", 0))
    else:
        lines.append("ci: FAILED: pytest did not run")
    passed = tests - errors - failures - skipped
    failed = errors + failures + sum(step != "make test" or not errors + failures for step in failed_steps)
    failed += not junit.exists() and not failed_steps
    lines.append(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return "\n".join(lines), passed > 0 and failed == 0


if __name__ == "__main__":
    text, well = verdict(Path(sys.argv[1]), sys.argv[2:])
    print(text)
    sys.exit(0 if well else 1)

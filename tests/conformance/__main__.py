"""`python -m tests.conformance FILE...`: decide each recorded case, and compare with what the peer decided.

Prints `ok NAME`, `differs NAME: what` or `error NAME: what` for each case, and last `N passed, N failed`.
Exit code: 0 if all passed, 1 if one failed, 2 for a file that cannot be read.
"""

import json
import lzma
import sys
from pathlib import Path
from typing import Any

from tests.conformance.readers import reader_of


def main(names: list[str]) -> int:
    """Run the files in their order."""
    passed = failed = 0
    for name in names:
        try:
            lines = read_lines(Path(name))
        except (OSError, lzma.LZMAError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 2
        for case in lines:
            outcome = judged(case)
            passed, failed = passed + (outcome is None), failed + (outcome is not None)
            print(f"ok {case.get('name') or case.get('id')}" if outcome is None else outcome)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The cases of a file, one JSON object a line, packed by xz or not."""
    raw = path.read_bytes()
    text = lzma.decompress(raw) if path.suffix == ".xz" else raw
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def judged(case: dict[str, Any]) -> str | None:
    """None, or the line that says what is wrong. Whatever a case does to us, the next one is run."""
    try:
        difference = reader_of(case)(case)
    except Exception as error:
        return _line("error", case, f"{type(error).__name__}: {str(error)[:300]}")
    return None if difference is None else _line("differs", case, difference)


def _line(word: str, case: dict[str, Any], what: str) -> str:
    """One line a case, whatever the texts in it."""
    name = case.get("name") or case.get("id")
    return f"{word} {name}: {' '.join(what.split())}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

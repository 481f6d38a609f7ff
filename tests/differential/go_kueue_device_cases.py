"""Random Workloads that claim devices, with what Kueue itself counts of them or refuses.

`python -m tests.differential.go_kueue_device_cases PROGRAM SEED COUNT > FILE`; PROGRAM is built from
go_kueue_devices/oracle_test.go. Each is asked three times, and left out if the answers differ: Kueue looks at
pools in any order. Of several things that are wrong the order is not looked at, for the same reason.
"""

import json
import re
import sys
from typing import Any

from tests.differential.device_cases import random_case
from tests.differential.go_kueue_cases import answers

Json = dict[str, Any]


def parts(answer: Json) -> Json:
    """The answer with what is refused as a sorted list."""
    message = answer.get("refused", "").removeprefix("[").removesuffix("]")
    return {**answer, "refused": sorted(re.split(r", (?=spec\.podSets)", message))}


def main(program: str, seed: str, count: str) -> None:
    """Write the cases that Kueue answers in one way."""
    cases = [random_case(int(seed), index) for index in range(int(count))]
    for case, *found in zip(cases, *(answers(program, cases) for _ in range(3)), strict=True):
        if all(parts(one) == parts(found[0]) for one in found):
            kept = {
                name: found[0][name]
                for name in ("looked", "refused", "internal", "requests")
                if name in found[0]
            }
            print(json.dumps({**case, "want": kept}))


if __name__ == "__main__":
    main(*sys.argv[1:])

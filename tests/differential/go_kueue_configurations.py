"""Random Configurations with the fields that Kueue itself refuses in them.

`python -m tests.differential.go_kueue_configurations PROGRAM SEED COUNT > FILE`; PROGRAM is built from
go_kueue_config/oracle_test.go. `fields` null: Kueue cannot read the Configuration.
"""

import json
import sys

from tests.differential.configuration_cases import random_configuration
from tests.differential.go_kueue_cases import answers


def main(program: str, seed: str, count: str) -> None:
    """Write the cases with Kueue's answers."""
    cases = [random_configuration(int(seed), index) for index in range(int(count))]
    for index, (case, answer) in enumerate(zip(cases, answers(program, cases), strict=True)):
        fields = None if answer.get("unreadable") else sorted({one["field"] for one in answer["errors"]})
        print(json.dumps({"id": f"{seed}-{index}", "configuration": case, "fields": fields}))


if __name__ == "__main__":
    main(*sys.argv[1:])

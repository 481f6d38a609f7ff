"""Random queues get from us the flavors that Kueue's own code gives them: modes, levels, reasons.

More of them, in the same form: `python -m tests.differential.go_flavor_cases PROGRAM COUNT FIRST > FILE`,
then `python -m tests.conformance FILE`.
"""

from collections import Counter
from pathlib import Path

from tests.conformance.__main__ import judged, read_lines
from tests.differential.flavor_cases import random_cases

ANSWERED = Path(__file__).parent / "kueue" / "flavor-random.jsonl.xz"


def test_random_queues_are_decided_as_kueue_decided_them() -> None:
    cases = read_lines(ANSWERED)
    modes = Counter(case["want"]["representativeMode"] for case in cases)
    # The sample says something only if all answers are frequent.
    assert len(cases) == 500 and min(modes[name] for name in ("Fit", "Preempt", "NoFit")) > 30
    assert sum(case["want"]["assignment"]["borrowingLevel"] > 0 for case in cases) > 50
    assert [line for line in map(judged, cases) if line is not None] == []


def test_the_cases_are_those_that_the_generator_makes() -> None:
    answered = [{key: case[key] for key in case if key != "want"} for case in read_lines(ANSWERED)[:20]]
    assert answered == list(random_cases(20, 5000))

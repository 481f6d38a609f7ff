"""Random courses of several cycles go as with Kueue's own scheduler and queues.

kueue/course-random.jsonl.xz holds seven cycles of each case with Kueue's answers (`course_cases.py`): between
them Workloads come and finish, and who was preempted stops and waits again.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import read_lines
from tests.differential.course_cases import our_course, random_course

CASES = read_lines(Path(__file__).parent / "kueue" / "course-random.jsonl.xz")


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_each_step_of_a_course_is_as_with_kueue(case: dict[str, Any]) -> None:
    for number, (ours, kueues) in enumerate(zip(our_course(case), case["want"], strict=True)):
        assert ours == kueues, f"step {number}"


def test_the_courses_have_all_that_happens_between_cycles() -> None:
    steps = [step for case in CASES for step in case["want"]]
    assert len(CASES) >= 300
    assert sum(bool(step["evicted"]) for step in steps) >= 100
    assert sum(bool(step["inadmissible"]) for step in steps) >= 500
    later = [step for case in CASES for step in case["want"][1:]]
    assert sum(any(key.startswith("ns/x") for key in step["held"]) for step in later) >= 300


def test_the_recorded_courses_are_those_that_are_made() -> None:
    for case in CASES[::40]:
        kind, seed, index = case["id"].removeprefix("course/").split("-")
        made = random_course(kind, int(seed), int(index))
        assert {key: case[key] for key in made} == made

"""Random courses: the cycles of `cycle_cases`, with Workloads that come and finish between them.

`python -m tests.differential.course_cases PROGRAM KIND SEED COUNT > FILE` prints those that Kueue answers
twice alike, with its answers; PROGRAM is built from go_kueue/course_test.go.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stellwerk.api.duration import parse_time
from stellwerk.api.groups.kueue_workload import Admission, Workload
from stellwerk.engine.queueing.course.state import State, arrive, decide, leave, reconsider, release, state_of
from stellwerk.engine.queueing.snapshot import snapshot_of
from stellwerk.engine.queueing.standing import is_evicted, true_condition
from tests.conformance.kueue_objects import configuration_of, objects_of, typed
from tests.conformance.kueue_schedule import short_admission
from tests.differential.cycle_cases import random_case

Json = dict[str, Any]
STEPS, SECOND = 7, 1_000_000_000


def random_course(kind: str, seed: int, index: int) -> Json:
    """A random cycle's objects; others of a second one come one by one, and some finish in each step."""
    case, chance = random_case(kind, seed, index), random.Random(f"course/{seed}-{index}")
    case = {**case, "id": f"course/{kind}-{seed}-{index}"}
    objects = case["objects"]
    queues = [one["metadata"]["name"] for one in objects["localQueues"]]
    late = [dict(one) for one in random_case(kind, seed, index + 1_000_000)["objects"]["workloads"]]
    steps: list[Json] = [{"arrive": [], "finish": []} for _ in range(STEPS)]
    for number, one in enumerate(late):
        one.pop("status", None)
        name, minute = f"x{number:02}", f"2026-01-01T00:{number:02}:00Z"
        one["metadata"] = {**one["metadata"], "name": name, "uid": name, "creationTimestamp": minute}
        one["spec"] = {**one["spec"], "queueName": chance.choice(queues)}
        steps[chance.randrange(STEPS)]["arrive"].append(one)
    names = [one["metadata"]["name"] for one in (*objects["workloads"], *late)]
    for step in steps:
        step["finish"] = sorted(name for name in names if chance.random() < 0.3)
    return {**case, "steps": steps}


def our_course(case: Json) -> list[Json]:
    """By step: who holds what after its cycle, who is evicted, who waits and who is parked."""
    objects, now = objects_of(case), parse_time(case["now"])
    snapshot = snapshot_of(objects, configuration_of(case))
    state = state_of(snapshot, objects.workloads, now)
    found = []
    for step in case["steps"]:
        for raw in step["arrive"]:
            arrive(state, typed(raw, Workload), now)
        decide(state, now)
        evicted = sorted(key for key in state.holders if is_evicted(state.workloads[key]))
        found.append(_step(state, evicted))
        now += SECOND
        done = [f"ns/{name}" for name in step["finish"]]
        done = [key for key in done if key in state.holders and key not in evicted and _runs(state, key)]
        queues = [*release(state, evicted, now), *leave(state, done)]
        reconsider(state, queues, now)
    return found


def _runs(state: State, key: str) -> bool:
    return true_condition(state.workloads[key], "Admitted") is not None


def _step(state: State, evicted: list[str]) -> Json:
    queues = sorted(state.backlog.queues.items())
    return {
        "held": {
            key: short_admission(state.workloads[key].status.admission)  # type: ignore[union-attr,arg-type]
            for key in sorted(state.holders)
        },
        "evicted": [key.removeprefix("ns/") for key in evicted],
        "pendingInQueue": {
            name: sorted(one.info.key for one in pending.active) for name, pending in queues if pending.active
        },
        "inadmissible": {
            name: sorted(pending.inadmissible) for name, pending in queues if pending.inadmissible
        },
    }


def answers(program: str, cases: Sequence[Json]) -> list[list[Json]]:
    """Kueue's, in the same form."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        asked.write_text("".join(json.dumps({**case, "fair": "config" in case}) + "\n" for case in cases))
        world = os.environ | {"COURSE_IN": str(asked), "COURSE_OUT": str(answered)}
        command = [program, "-test.run", "TestCourseOracle"]
        subprocess.run(command, env=world, check=True, capture_output=True)
        return [
            [_plain(step) for step in json.loads(line)["steps"]] for line in answered.read_text().splitlines()
        ]


def _plain(step: Json) -> Json:
    return {
        "held": {key: short_admission(typed(raw, Admission)) for key, raw in sorted(step["held"].items())},
        "evicted": sorted(step["evicted"] or ()),
        "pendingInQueue": {key: sorted(keys) for key, keys in (step["pendingInQueue"] or {}).items()},
        "inadmissible": {key: sorted(keys) for key, keys in (step["inadmissible"] or {}).items()},
    }


def main(program: str, kind: str, seed: int, count: int) -> None:
    """Print the cases that Kueue answers twice alike."""
    cases = [random_course(kind, seed, index) for index in range(count)]
    for case, one, other in zip(cases, answers(program, cases), answers(program, cases), strict=True):
        if one == other:
            sys.stdout.write(json.dumps({**case, "want": one}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

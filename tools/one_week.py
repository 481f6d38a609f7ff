"""Usage: tools/one_week.py     Writes the Jobs of examples/queueing/one-week: the same ones on each run.

| team     | what                        | when                            | GPUs    | takes          |
|----------|-----------------------------|---------------------------------|---------|----------------|
| research | training                    | working days, 8 to 13 in a day  | 1, 2, 4 | 2 to 8 h       |
| product  | evaluation, in bursts       | working days from 17:00         | 1       | 20 to 90 min   |
| product  | retraining, priority urgent | every night at 02:00            | 2       | 3 h            |
| interns  | experiments                 | working days, 4 to 7 in a day   | 1, 2    | 1 to 5 h       |

Nothing of this was measured: it is an example, and the seed draws it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from stellwerk.ports.entropy import Entropy, SeededEntropy
from stellwerk.sim.demand.objects import at, calendar, go_duration

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "examples" / "queueing" / "one-week" / "jobs.yaml"
WEEK = calendar(2026, 11, 2, 7)
SEED = 1
HEAD = "# Written by tools/one_week.py: what three teams ask for in a week that begins on a Monday.\n"
JOB = """apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  namespace: {team}
  labels: {{kueue.x-k8s.io/queue-name: gpus{priority}}}
  annotations: {{stellwerk.dev/arrival: "{arrival}", stellwerk.dev/duration: {duration}}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: main, image: "example/{team}:1", resources: {{limits: {{nvidia.com/gpu: {gpus}}}}}}}
"""


class Ask(Struct, frozen=True):
    """A Job: minutes count from the week's start."""

    arrival_min: int
    team: str
    name: str
    minutes: int
    gpus: int
    urgent: bool = False


def asked(seed: int = SEED) -> list[Ask]:
    """All Jobs, in the order of their arrival."""
    entropy = SeededEntropy(seed).fork("one-week")
    found = [
        *_trainings(entropy.fork("trainings")),
        *_evaluations(entropy.fork("evaluations")),
        *_retrainings(),
        *_experiments(entropy.fork("experiments")),
    ]
    return sorted(found, key=lambda one: (one.arrival_min, one.team, one.name))


def text(jobs: list[Ask]) -> str:
    """The Jobs as a file of YAML documents."""
    return HEAD + "---\n".join(_document(one) for one in jobs)


def _document(one: Ask) -> str:
    return JOB.format(
        name=one.name,
        team=one.team,
        priority=", kueue.x-k8s.io/priority-class: urgent" if one.urgent else "",
        arrival=WEEK.time(one.arrival_min),
        duration=go_duration(one.minutes),
        gpus=one.gpus,
    )


def _trainings(entropy: Entropy) -> Iterator[Ask]:
    for day in WEEK.working_days():
        for number in range(1, entropy.between(8, 13) + 1):
            arrival = at(day, 8) + 5 * entropy.between(0, 120)
            minutes = 30 * entropy.between(4, 16)
            name = f"train-{WEEK.label(day)}-{number:02d}"
            yield Ask(arrival, "research", name, minutes, entropy.pick((1, 1, 2, 2, 4)))


def _evaluations(entropy: Entropy) -> Iterator[Ask]:
    for day in WEEK.working_days():
        for number in range(1, entropy.between(10, 16) + 1):
            arrival = at(day, 17) + entropy.between(0, 60)
            name = f"evaluate-{WEEK.label(day)}-{number:02d}"
            yield Ask(arrival, "product", name, 10 * entropy.between(2, 9), 1)


def _retrainings() -> Iterator[Ask]:
    for day in range(WEEK.days):
        yield Ask(at(day, 2), "product", f"retrain-{WEEK.label(day)}", 180, 2, urgent=True)


def _experiments(entropy: Entropy) -> Iterator[Ask]:
    for day in WEEK.working_days():
        for number in range(1, entropy.between(4, 7) + 1):
            arrival = at(day, 9) + 5 * entropy.between(0, 96)
            name = f"experiment-{WEEK.label(day)}-{number:02d}"
            yield Ask(arrival, "interns", name, 30 * entropy.between(2, 10), entropy.pick((1, 1, 1, 2)))


def main() -> int:
    """Write the file."""
    jobs = asked()
    FILE.write_text(text(jobs), encoding="utf-8")
    print(f"{len(jobs)} Jobs")
    return 0


if __name__ == "__main__":
    sys.exit(main())

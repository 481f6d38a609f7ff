"""The demo: three teams, two H100, the week from Monday 2026-11-02. Small enough to check by hand.

| team      | what                            | when                            | measured per GPU        |
|-----------|---------------------------------|---------------------------------|-------------------------|
| assistant | an inference service            | working days 08:00, 12 h        | 22 GiB, 8 % (p95 15 %)  |
| research  | two notebooks, anna's and ben's | working days about 09:00, 9 h   | 12 GiB, 10 % (p95 30 %) |
| vision    | an evaluation each night        | about 21:00, 2 to 3 h           | 24 GiB, 50 % (p95 55 %) |
| vision    | one full fine-tune of 8B        | Saturday 06:00, 14 h, whole GPU | 70 GiB, 90 % (p95 95 %) |

5 + 10 + 7 + 1 = 23 jobs. The seed moves "about" by 0 to 45 minutes, in steps of 15; nothing else.

By hand, with whole GPUs and no jitter: on each of five working days the assistant takes one H100 at 08:00 and
a notebook the other at 09:00. The second notebook waits until the first one ends at 18:00: 9 hours. It then
runs its 9 hours until 03:00; the evaluation of 21:00 gets the H100 that the assistant left at 20:00. So 5 of
23 jobs wait 9 hours each, the others not at all: p50 is 0, p95 (the 22nd of 23) is 9 hours.
GPU-hours held: 5 x 12 + 10 x 9 + the evaluations (7 x 2 to 3) + 14. Paid: 2 x 168 = 336.

Shared by measured use, all three fit on one H100 by day: 22 + 12 + 12 = 46 of 80 GiB, and p95 15 + 30 + 30 =
75 % of its compute. By night there is one evaluation, and on Saturday the fine-tune ends at 20:00, before it.
Nobody waits, on one H100 instead of two: half the bill.
"""

from stellwerk.ports.entropy import Entropy, SeededEntropy
from stellwerk.sim.demand.objects import Manifest, Use, Work, at, calendar, period_object, queues, workload

TEAMS = ("assistant", "research", "vision")
WEEK = calendar(2026, 11, 2, 7)
SATURDAY = 5
_ASSISTANT = Use(memory="22Gi", p95="150m", mean="80m")
_NOTEBOOK = Use(memory="12Gi", p95="300m", mean="100m")
_EVALUATION = Use(memory="24Gi", p95="550m", mean="500m")
_FINE_TUNE = Use(memory="70Gi", p95="950m", mean="900m", whole=True)


def manifests(seed: int = 1) -> list[Manifest]:
    """The week's objects: queues, the Period, then the jobs team by team in order of arrival."""
    entropy = SeededEntropy(seed).fork("demo")
    works = [*_assistant(), *_research(entropy.fork("research")), *_vision(entropy.fork("vision"))]
    jobs = [workload(work, WEEK) for work in works]
    return [*queues(TEAMS, 2, "NVIDIA-H100-PCIe"), period_object("demo", WEEK), *jobs]


def _quarters(entropy: Entropy, most: int) -> int:
    """0, 15, 30, ... `most` minutes."""
    return 15 * entropy.between(0, most // 15)


def _assistant() -> list[Work]:
    return [
        Work(
            name=f"assistant-{WEEK.label(day)}",
            team="assistant",
            kind="inference",
            image="example/assistant:1",
            arrival_min=at(day, 8),
            minutes=12 * 60,
            use=_ASSISTANT,
        )
        for day in WEEK.working_days()
    ]


def _research(entropy: Entropy) -> list[Work]:
    return [
        Work(
            name=f"notebook-{person}-{WEEK.label(day)}",
            team="research",
            kind="notebook",
            image="example/notebook:1",
            arrival_min=at(day, 9) + _quarters(entropy, 45),
            minutes=9 * 60,
            use=_NOTEBOOK,
        )
        for day in WEEK.working_days()
        for person in ("anna", "ben")
    ]


def _vision(entropy: Entropy) -> list[Work]:
    evaluations = [
        Work(
            name=f"evaluation-{WEEK.label(day)}",
            team="vision",
            kind="batch",
            image="example/evaluation:1",
            arrival_min=at(day, 21) + _quarters(entropy, 45),
            minutes=120 + _quarters(entropy, 60),
            use=_EVALUATION,
        )
        for day in range(WEEK.days)
    ]
    fine_tune = Work(
        name=f"fine-tune-8b-{WEEK.label(SATURDAY)}",
        team="vision",
        kind="training",
        image="example/fine-tune:1",
        arrival_min=at(SATURDAY, 6),
        minutes=14 * 60,
        use=_FINE_TUNE,
    )
    return sorted([*evaluations, fine_tune], key=lambda work: work.arrival_min)

"""Thirty days of a company with three teams and two servers of two H100 each, from Thursday 2026-10-01.

| team     | what                         | when                                 | per GPU            |
|----------|------------------------------|--------------------------------------|--------------------|
| assist   | chat, an inference service   | day and night                        | 22 GiB, 10 %       |
| assist   | search, an inference service | working days 07:00, 12 h             | 10 GiB, 6 %        |
| research | notebooks of five people     | working days, to evening or next day | 8 to 16 GiB, 5 %   |
| research | fine-tuning, one whole GPU   | every second working day, 2 to 10 h  | 60 GiB, 90 %       |
| research | fine-tuning, two whole GPUs  | Friday evenings, 12 to 24 h          | 70 GiB, 90 %       |
| quality  | batch evaluation, in bursts  | evenings, 14 to 30 of 5 to 40 min    | 12 to 24 GiB, 60 % |
| quality  | inspection model, training   | Wednesday nights, 4 to 8 h           | 30 GiB, 85 %       |

Nothing here was measured: the shares follow what is published of such use (inference near 10 %, idle
notebooks), the seed draws the rest. With whole GPUs the four are all but full on working days: jobs wait for
hours, and what is left over runs at night and at the weekend.
"""

from collections.abc import Iterator

from stellwerk.ports.entropy import Entropy, SeededEntropy
from stellwerk.sim.demand.objects import Manifest, Use, Work, at, calendar, period_object, queues, workload

TEAMS = ("assist", "quality", "research")
MONTH = calendar(2026, 10, 1, 30)
PEOPLE = ("anna", "ben", "clara", "deniz", "eva")
WEDNESDAY, FRIDAY = 2, 4
_CHAT = Use(memory="22Gi", p95="250m", mean="100m")
_SEARCH = Use(memory="10Gi", p95="150m", mean="60m")
_NOTEBOOKS = tuple(Use(memory=memory, p95="200m", mean="50m") for memory in ("8Gi", "12Gi", "16Gi"))
_EVALUATIONS = tuple(Use(memory=memory, p95="700m", mean="600m") for memory in ("12Gi", "16Gi", "24Gi"))
_INSPECTION = Use(memory="30Gi", p95="900m", mean="850m")
_TUNING = Use(memory="60Gi", p95="950m", mean="900m", whole=True)
_BIG_TUNING = Use(memory="70Gi", p95="950m", mean="900m", whole=True)


def manifests(seed: int = 1) -> list[Manifest]:
    """The month's objects: queues, the Period, then the jobs in order of arrival."""
    entropy = SeededEntropy(seed).fork("mittelstand")
    works = [
        *_services(),
        *_notebooks(entropy.fork("notebooks")),
        *_tunings(entropy.fork("tunings")),
        *_big_tunings(entropy.fork("big-tunings")),
        *_evaluations(entropy.fork("evaluations")),
        *_inspections(entropy.fork("inspections")),
    ]
    works.sort(key=lambda work: (work.arrival_min, work.team, work.name))
    jobs = [workload(work, MONTH) for work in works]
    return [*queues(TEAMS, 4, "NVIDIA-H100-PCIe"), period_object("mittelstand", MONTH), *jobs]


def _on(weekday: int) -> list[int]:
    return [day for day in MONTH.working_days() if (MONTH.start.weekday() + day) % 7 == weekday]


def _services() -> Iterator[Work]:
    """The inference services: one all month, one for each office day."""
    yield Work(
        name="chat",
        team="assist",
        kind="inference",
        image="example/chat:1",
        arrival_min=0,
        minutes=MONTH.days * 1440,
        use=_CHAT,
    )
    for day in MONTH.working_days():
        yield Work(
            name=f"search-{MONTH.label(day)}",
            team="assist",
            kind="inference",
            image="example/search:1",
            arrival_min=at(day, 7),
            minutes=12 * 60,
            use=_SEARCH,
        )


def _notebooks(entropy: Entropy) -> Iterator[Work]:
    """Each of five people opens a notebook on half of the days; one in four is left open overnight."""
    for day in MONTH.working_days():
        for person in PEOPLE:
            arrival = at(day, 8) + 5 * entropy.between(0, 24)
            closed = at(day, 16, 30) + 5 * entropy.between(0, 30)
            forgotten = entropy.chance(1, 4)
            use = entropy.pick(_NOTEBOOKS)
            if not entropy.chance(1, 2):
                continue
            yield Work(
                name=f"notebook-{person}-{MONTH.label(day)}",
                team="research",
                kind="notebook",
                image="example/notebook:1",
                arrival_min=arrival,
                minutes=closed - arrival + (15 * 60 if forgotten else 0),
                use=use,
            )


def _tunings(entropy: Entropy) -> Iterator[Work]:
    for day in MONTH.working_days():
        arrival = at(day, 10) + 15 * entropy.between(0, 24)
        minutes = 60 * entropy.between(2, 10)
        if entropy.chance(1, 2):
            yield Work(
                name=f"tune-{MONTH.label(day)}",
                team="research",
                kind="training",
                image="example/tune:1",
                arrival_min=arrival,
                minutes=minutes,
                use=_TUNING,
            )


def _big_tunings(entropy: Entropy) -> Iterator[Work]:
    for day in _on(FRIDAY):
        yield Work(
            name=f"tune-large-{MONTH.label(day)}",
            team="research",
            kind="training",
            image="example/tune:1",
            arrival_min=at(day, 17) + 15 * entropy.between(0, 8),
            minutes=60 * entropy.between(12, 24),
            use=_BIG_TUNING,
            gpus=2,
        )


def _evaluations(entropy: Entropy) -> Iterator[Work]:
    """A burst each working evening, within an hour and a half."""
    for day in MONTH.working_days():
        for number in range(1, entropy.between(14, 30) + 1):
            yield Work(
                name=f"evaluation-{MONTH.label(day)}-{number:02d}",
                team="quality",
                kind="batch",
                image="example/evaluation:1",
                arrival_min=at(day, 18) + entropy.between(0, 90),
                minutes=5 * entropy.between(1, 8),
                use=entropy.pick(_EVALUATIONS),
            )


def _inspections(entropy: Entropy) -> Iterator[Work]:
    for day in _on(WEDNESDAY):
        yield Work(
            name=f"inspection-{MONTH.label(day)}",
            team="quality",
            kind="training",
            image="example/inspection:1",
            arrival_min=at(day, 20) + 15 * entropy.between(0, 8),
            minutes=60 * entropy.between(4, 8),
            use=_INSPECTION,
        )

"""A scenario decided by Stellwerk: queues by its controllers under virtual time, devices by its allocator.

Chance is an argument: UIDs, and which node of several or which pod of several waiting ones a real scheduler
took, come from what was played.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations, product

from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.control.queueing.events import (
    Applied,
    Delete,
    Effect,
    Event,
    Listed,
    ObjectChanged,
    Put,
    Refused,
    Tick,
    WakeAt,
)
from stellwerk.control.queueing.kinds import JOB
from stellwerk.control.queueing.seen import Kind, Name, Seen
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.sim.intake.kueue import kueue_configuration
from stellwerk.sim.queueing.play import Options, workloads_after
from tests.cluster.parity.claims import devices_after
from tests.cluster.parity.live import Played
from tests.cluster.parity.record import RESTLESS, Record, is_device, is_true, queue_record
from tests.cluster.parity.scenario import FAIR_SHARING, Json, Scenario, manifests_of

_START_NS, _GAP_NS = 1_800_000_000_000_000_000, 10_000_000_000
_LATE = (1_000_000, 3_000_000)  # ns: time for one cycle, and for a few.
_MOST_EVICTIONS = 30  # Of one Workload, before it is a circle.
_MOST_ORDERS = 4  # Jobs that stop at once, in all orders.
_CONFIGURATION = {"apiVersion": "config.kueue.x-k8s.io/v1beta2", "kind": "Configuration"}


def simulated(scenario: Scenario, real: Played | None = None) -> list[Record]:
    """The record after each step; `real`: where chance had a choice, what it chose."""
    if is_device(scenario):
        return devices_after(scenario, None if real is None else real.records)
    uids = {} if real is None else real.uids
    found: list[Record] = []
    for step in range(len(scenario.steps)):
        circle = bool(found) and found[-1] == RESTLESS
        found.append(RESTLESS if circle else _queues_after(scenario, step, Options(uids=uids)))
    return found


def other_orders(scenario: Scenario, real: Played, ours: Sequence[Record]) -> Iterator[tuple[str, Record]]:
    """What becomes of the first step that differs if the Jobs that stop in it do so one after the other.

    In words which, and the record after the step.
    """
    step = next(i for i, (there, here) in enumerate(zip(real.records, ours, strict=True)) if there != here)
    before = real.records[step - 1] if step else {}
    there, here = real.records[step], ours[step]
    stopped = [name for name in there if _evictions(there, name) > _evictions(before, name)]
    stopped += [
        name for name in here if name not in stopped and _evictions(here, name) > _evictions(before, name)
    ]
    for order, late in product(permutations(stopped[:_MOST_ORDERS]), _LATE):
        stops = {(scenario.namespace, name): i * late for i, name in enumerate(order)}
        yield " before ".join(order), _queues_after(scenario, step, Options(uids=real.uids, stops=stops))


def _evictions(record: Record, name: str) -> int:
    return sum(count for *_, count in record.get(name, {}).get("evictions", ()))


def _queues_after(scenario: Scenario, step: int, options: Options) -> Record:
    steps = scenario.steps[: step + 1]
    jobs = [_arriving(item, i) for i, each in enumerate(steps) for item in each.create]
    fair = FAIR_SHARING if scenario.fair else {}
    manifests = manifests_of([{**_CONFIGURATION, **fair}, *scenario.objects, *jobs])
    deeds = [
        (_START_NS + i * _GAP_NS, how, (scenario.namespace, name))
        for i, each in enumerate(steps)
        for how, names in (
            ("delete", [name for _, _, name in each.delete]),
            ("finish", [name for _, name in each.finish]),
        )
        for name in names
    ]
    until = _START_NS + (step + 1) * _GAP_NS - 1
    options = replace(options, until_ns=until, most_evictions=_MOST_EVICTIONS)
    others = [(Deeds(deeds), deeds[0][0])] if deeds else []
    try:
        found = workloads_after(manifests, kueue_configuration(manifests, {}), options, others)
    except InvalidInput as error:
        if "without end" not in error.problem:
            raise
        return RESTLESS
    return queue_record(found)


class Deeds:
    """Deletes Jobs, and ends those that run, at their times."""

    kinds: tuple[Kind, ...] = (JOB,)

    def __init__(self, deeds: Sequence[tuple[int, str, Name]]) -> None:
        self._deeds, self._seen = list(deeds), Seen(self.kinds)

    def handle(self, event: Event, now: int) -> list[Effect]:
        """What is due."""
        match event:
            case Tick():
                return self._due(now)
            case Listed():
                self._seen.compare(event)
            case ObjectChanged(raw):
                self._seen.observe(raw)
            case Applied(_, raw) | Refused(_, raw):
                if raw is not None:
                    self._seen.observe(raw)
            case _:
                self._seen.forget(event.object)
        return []

    def _due(self, now: int) -> list[Effect]:
        effects: list[Effect] = []
        while self._deeds and self._deeds[0][0] <= now:
            _, how, name = self._deeds.pop(0)
            item = self._seen.get(JOB, *name)
            if item is not None and how == "delete":
                effects.append(Delete(item.raw))
            elif item is not None and _runs(item.raw):
                effects.append(Put({**item.raw, "status": _complete(item.raw, now)}))
        return [*effects, *([WakeAt(self._deeds[0][0])] if self._deeds else [])]


def _runs(job: Mapping[str, object]) -> bool:
    status: Json = job.get("status") or {}  # type: ignore[assignment]
    return bool(status.get("active")) and not is_true(status, "Complete")


def _complete(job: Json | Mapping[str, object], now: int) -> Json:
    spec: Json = job["spec"]  # type: ignore[assignment]
    done = {"type": "Complete", "status": "True", "reason": "CompletionsReached", "message": ""}
    return {
        "succeeded": spec["completions"],
        "completionTime": time_text(now),
        "conditions": [{**done, "lastTransitionTime": time_text(now)}],
    }


def _arriving(job: Json, number: int) -> Json:
    annotations = {
        **job["metadata"].get("annotations", {}),
        "stellwerk.dev/arrival": time_text(_START_NS + number * _GAP_NS),
        "stellwerk.dev/duration": "10h",
    }
    return {**job, "metadata": {**job["metadata"], "annotations": annotations}}

"""`Checks`: the controllers of AdmissionChecks, in simulation: each says Ready some time after it is asked."""

from collections.abc import Callable, Mapping
from typing import Any

from stellwerk.control.queueing.events import (
    Applied,
    Effect,
    Event,
    Json,
    Listed,
    ObjectChanged,
    Put,
    Refused,
    Tick,
    WakeAt,
)
from stellwerk.control.queueing.kinds import WORKLOAD
from stellwerk.control.queueing.seen import Item, Kind, Name, Seen, named
from stellwerk.engine.queueing.cycle.status import time_text

# What a check says of a Workload: fields of its state.
Answer = Callable[[Name, str], Mapping[str, Any]]


def ready(_: Name, __: str) -> Mapping[str, Any]:
    """Every check is content."""
    return {"state": "Ready"}


class Checks:
    """`delay_ns`: from the reservation of quota to the answers, all of a Workload at once."""

    kinds: tuple[Kind, ...] = (WORKLOAD,)

    def __init__(self, delay_ns: int = 0, answer: Answer = ready) -> None:
        self._delay, self._answer = delay_ns, answer
        self._seen = Seen(self.kinds)
        self._times: dict[Name, int] = {}

    def handle(self, event: Event, now: int) -> list[Effect]:
        """The answers that are due."""
        match event:
            case Tick():
                due = sorted(name for name, at in self._times.items() if at <= now)
                return [effect for name in due for effect in self._look(name, now)]
            case Listed():
                news, _ = self._seen.compare(event)
                return [effect for item in news for effect in self._look(named(item.raw)[1], now)]
            case ObjectChanged(raw):
                return self._look(named(raw)[1], now) if self._seen.note(raw) is not None else []
            case Applied(_, raw) | Refused(_, raw):
                if raw is not None and self._seen.note(raw) is not None:
                    return self._look(named(raw)[1], now)
                return []
            case _:
                self._seen.forget(event.object)
                self._times.pop(named(event.object)[1], None)
                return []

    def _look(self, name: Name, now: int) -> list[Effect]:
        item = self._seen.get(WORKLOAD, *name)
        if item is None or not _is_asked(item):
            self._times.pop(name, None)
            return []
        at = self._times.setdefault(name, now + self._delay)
        if at > now:
            return [WakeAt(at)]
        del self._times[name]
        status = dict(item.raw["status"])
        status["admissionChecks"] = [
            one if one["state"] != "Pending" else self._answered(name, one, now)
            for one in status["admissionChecks"]
        ]
        return [Put({**item.raw, "status": status})]

    def _answered(self, name: Name, state: Json, now: int) -> dict[str, Any]:
        return {**state, **self._answer(name, state["name"]), "lastTransitionTime": time_text(now)}


def _is_asked(item: Item) -> bool:
    """With quota, not being evicted, and with a check that has not answered."""
    status = item.raw.get("status") or {}
    true = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
    pending = any(one["state"] == "Pending" for one in status.get("admissionChecks") or ())
    return pending and "QuotaReserved" in true and not true & {"Evicted", "Finished"}

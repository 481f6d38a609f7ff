"""The agenda: what happens next, in one total order, so that a replay is the same on each run."""

import heapq
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Agenda(Generic[Event]):
    """Events by (time in ns, rank, order of posting): at one instant, lower ranks come first."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Event]] = []
        self._posted = 0

    def post(self, at: int, event: Event, rank: int = 0) -> None:
        """Put an event down for the time `at`."""
        heapq.heappush(self._heap, (at, rank, self._posted, event))
        self._posted += 1

    def due(self) -> int | None:
        """The time of the next event; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Event:
        """Take the next event off the agenda."""
        return heapq.heappop(self._heap)[3]

    def __len__(self) -> int:
        return len(self._heap)

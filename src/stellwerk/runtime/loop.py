"""The loop, the same for a simulated fleet, a host and a cluster: wait, decide, perform."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from stellwerk.ports.clock import Clock
from stellwerk.runtime.agenda import Agenda

Event = TypeVar("Event")
Effect = TypeVar("Effect")


def run(
    agenda: Agenda[Event],
    clock: Clock,
    handle: Callable[[Event, int], Iterable[Effect]],
    perform: Callable[[Effect, int], None],
    check: Callable[[Event, int], bool],
) -> None:
    """Run until the agenda is empty or `check`, called after each event, says to stop (False).

    `handle(event, now)` is pure and returns effects; `perform(effect, now)` does them and posts what follows.
    """
    while (due := agenda.due()) is not None:
        now = clock.now()
        if due > now:
            clock.wait(due)
            continue
        event = agenda.pop()
        for effect in handle(event, now):
            perform(effect, now)
        if not check(event, now):
            return

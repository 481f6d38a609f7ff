"""The same question again and again: at fixed steps while it is answered, later and later while it is not."""

from collections.abc import Callable

from msgspec import Struct

from stellwerk.ports.clock import Clock

FIRST_WAIT_NS = 15_000_000_000


class Pace(Struct, frozen=True):
    """A round begins `every_ns` after the one before began; `rounds`: how many (None: without end)."""

    every_ns: int
    rounds: int | None = None


def run_rounds(clock: Clock, pace: Pace, ask: Callable[[], bool]) -> None:
    """Call `ask` at this pace. Where it was not answered (False), it is asked again after 15 s, and after
    twice as long each time, at most `every_ns`. A round that takes longer than a step delays the next one.
    """
    wait, done = FIRST_WAIT_NS, 0
    while pace.rounds is None or done < pace.rounds:
        began = clock.now()
        if ask():
            wait, due = FIRST_WAIT_NS, began + pace.every_ns
        else:
            due = clock.now() + min(wait, pace.every_ns)
            wait = min(2 * wait, pace.every_ns)
        done += 1
        while done != pace.rounds and clock.now() < due:
            clock.wait(due)

"""The Clock port: one loop for virtual time, for a host and for Kubernetes. Times are integer nanoseconds."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the loop needs of time."""

    def now(self) -> int:
        """Nanoseconds since an origin of the clock's own; never goes back."""

    def wait(self, until: int) -> None:
        """Return at `until`, or sooner when woken."""

    def wake(self) -> None:
        """An event was posted, perhaps by another thread."""


class VirtualClock:
    """Nothing happens between two events, so waiting is a jump."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        """The time of the last jump."""
        return self._now

    def wait(self, until: int) -> None:
        """Jump to `until`; time never goes back."""
        self._now = max(self._now, until)

    def wake(self) -> None:
        """Nobody sleeps in virtual time."""


class WallClock:
    """The machine's monotonic clock."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now(self) -> int:
        """Nanoseconds of the monotonic clock: waits do not break when the wall clock is set."""
        return time.monotonic_ns()

    def wait(self, until: int) -> None:
        """Sleep to `until`, or to the next `wake`."""
        self._woken.wait(max(0, until - self.now()) / 1_000_000_000)
        self._woken.clear()  # The loop looks at its agenda again, so no wake is lost.

    def wake(self) -> None:
        """End a `wait` at once."""
        self._woken.set()

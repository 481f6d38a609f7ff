"""Several controllers on one Store, on one agenda: who is told what, and whose effects are performed.

`handle` and `perform` are those of `runtime.loop.run`. A change of the Store is told to everybody who looks
at its kind; what becomes of an effect, to the one who asked for it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from stellwerk.control.queueing.events import Effect, Event, Listed, Tick, WakeAt
from stellwerk.control.queueing.seen import named
from stellwerk.ports.store import Store
from stellwerk.runtime.agenda import Agenda
from stellwerk.runtime.perform import Changes, perform

Kind = tuple[str, str]
TICK_RANK = 1  # After everything else that happens at that time.


class Controller(Protocol):
    """Pure: an event in, effects out. `kinds` (group, kind): what it looks at, in the order of listing."""

    kinds: tuple[Kind, ...]

    def handle(self, event: Event, now: int) -> Iterable[Effect]:
        """What to do about an event at `now` (ns)."""


class Told(Struct, frozen=True):
    """An event for one controller, by its number."""

    to: int
    event: Event


class Asked(Struct, frozen=True):
    """An effect that a controller asks for."""

    by: int
    effect: Effect


# When (ns) a change is told to the controller of this number: never, once, or several times.
Delivery = Callable[[int, Event, int], Sequence[int]]


class Controllers:
    """Controllers by number, in the order in which they are told; one that was removed hears nothing more."""

    def __init__(self, store: Store, delivery: Delivery | None = None) -> None:
        self.agenda: Agenda[Told] = Agenda()
        self._store, self._delivery = store, delivery
        self._controllers: dict[int, Controller] = {}
        self._looks: dict[Kind, list[int]] = {}
        self._changes = Changes(store, ())
        self._changes.all()
        self._started = 0

    def start(self, controller: Controller, now: int) -> int:
        """A controller begins: it is told everything that there is. Returns its number."""
        number = self._started
        self._started += 1
        self._controllers[number] = controller
        for kind in controller.kinds:
            self._looks.setdefault(kind, []).append(number)
        self.resync(number, now)
        return number

    def stop(self, number: int) -> None:
        """The controller is gone with all that it knew."""
        controller = self._controllers.pop(number)
        for kind in controller.kinds:
            self._looks[kind].remove(number)

    def resync(self, number: int, now: int) -> None:
        """The controller is told everything that there is, in case it missed something."""
        for listed in Changes(self._store, self._controllers[number].kinds).all():
            self.agenda.post(now, Told(number, listed))

    def wake(self, number: int, at: int) -> None:
        """Send the controller a Tick at this time (ns)."""
        self.agenda.post(at, Told(number, Tick()), TICK_RANK)

    def handle(self, told: Told, now: int) -> list[Asked]:
        """What the controller does about it."""
        controller = self._controllers.get(told.to)
        if controller is None:
            return []
        return [Asked(told.to, effect) for effect in controller.handle(told.event, now)]

    def perform(self, asked: Asked, now: int) -> None:
        """Do what was asked for, and tell who is to know; a controller that is gone gets nothing done."""
        if asked.by not in self._controllers:
            return
        if isinstance(asked.effect, WakeAt):
            self.wake(asked.by, asked.effect.at)
            return
        self.agenda.post(now, Told(asked.by, perform(self._store, asked.effect)))
        self.tell(now)

    def tell(self, now: int) -> None:
        """The Store may have changed."""
        for event in self._changes.new():
            assert not isinstance(event, Listed), "each change is told at once, so none can be too old"
            for number in self._looks.get(named(event.object)[0], ()):
                times = (now,) if self._delivery is None else self._delivery(number, event, now)
                for at in times:
                    self.agenda.post(at, Told(number, event))

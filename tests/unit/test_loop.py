"""The loop and its clocks: one body for virtual and for real time."""

import pytest

from stellwerk.ports.clock import Clock, VirtualClock, WallClock
from stellwerk.runtime.agenda import Agenda
from stellwerk.runtime.loop import run

MS = 1_000_000


@pytest.mark.parametrize("clock", [VirtualClock(), WallClock()], ids=["virtual", "wall"])
def test_events_come_in_order_of_time_rank_and_posting(clock: Clock) -> None:
    agenda: Agenda[str] = Agenda()
    start = clock.now()
    agenda.post(start + 2 * MS, "later")
    agenda.post(start + MS, "second", rank=1)
    agenda.post(start + MS, "third", rank=1)
    agenda.post(start + MS, "first", rank=0)
    handled: list[tuple[str, int]] = []

    def handle(event: str, now: int) -> list[str]:
        handled.append((event, now - start))
        return [f"after {event}"] if event == "later" else []

    performed: list[str] = []
    run(agenda, clock, handle, lambda effect, now: performed.append(effect), lambda event, now: True)
    assert [event for event, _ in handled] == ["first", "second", "third", "later"]
    assert all(at >= MS for _, at in handled) and handled[-1][1] >= 2 * MS
    assert performed == ["after later"] and len(agenda) == 0


def test_effects_post_what_follows_and_a_check_can_stop_the_loop() -> None:
    agenda: Agenda[int] = Agenda()
    agenda.post(0, 1)
    seen: list[tuple[int, int]] = []
    clock = VirtualClock()

    def check(event: int, now: int) -> bool:
        seen.append((event, now))
        return event < 4

    run(
        agenda,
        clock,
        lambda event, now: [event + 1],
        lambda effect, now: agenda.post(now + 10, effect),
        check,
    )
    assert seen == [(1, 0), (2, 10), (3, 20), (4, 30)] and agenda.due() == 40


def test_virtual_time_never_goes_back() -> None:
    clock = VirtualClock(100)
    clock.wait(50)
    assert clock.now() == 100


def test_a_wake_ends_a_wait_on_the_wall_clock() -> None:
    clock = WallClock()
    clock.wake()
    before = clock.now()
    clock.wait(before + 60_000 * MS)
    assert clock.now() - before < 30_000 * MS

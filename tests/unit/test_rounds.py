"""Rounds: at fixed steps while answered, later and later while not."""

from collections.abc import Iterator

from stellwerk.ports.clock import VirtualClock
from stellwerk.runtime.rounds import Pace, run_rounds

S = 1_000_000_000


def times(answers: str, every_s: int = 300, takes_s: int = 0) -> list[int]:
    """When rounds begin (s); `answers`: a letter a round, y for an answer."""
    clock = VirtualClock()
    began: list[int] = []
    given: Iterator[str] = iter(answers)

    def ask() -> bool:
        began.append(clock.now() // S)
        clock.wait(clock.now() + takes_s * S)
        return next(given) == "y"

    run_rounds(clock, Pace(every_s * S, len(answers)), ask)
    return began


def test_rounds_begin_at_fixed_steps_whatever_they_take() -> None:
    assert times("yyyy") == times("yyyy", takes_s=200) == [0, 300, 600, 900]


def test_a_round_that_takes_longer_delays_the_next() -> None:
    assert times("yyy", takes_s=400) == [0, 400, 800]


def test_an_answer_that_did_not_come_is_asked_for_later_and_later_up_to_a_step() -> None:
    assert times("ynnnnnnny") == [0, 300, 315, 345, 405, 525, 765, 1065, 1365]


def test_after_an_answer_the_waiting_begins_anew() -> None:
    assert times("nnynn") == [0, 15, 45, 345, 360]
    assert times("nnn", every_s=5) == [0, 5, 10]


def test_a_single_round_waits_for_nothing() -> None:
    clock = VirtualClock()
    run_rounds(clock, Pace(300 * S, 1), lambda: False)
    assert clock.now() == 0

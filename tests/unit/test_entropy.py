"""Chance is the same everywhere: the draws below were written down once, and hold on Python 3.11 to 3.13."""

from collections import Counter

from stellwerk.ports.entropy import Entropy, SeededEntropy


def test_a_seed_draws_the_numbers_that_were_written_down() -> None:
    entropy: Entropy = SeededEntropy(1)
    assert [entropy.below(1000) for _ in range(8)] == DRAWS_OF_SEED_1


def test_a_fork_is_the_same_however_many_draws_came_before() -> None:
    early, late = SeededEntropy(7), SeededEntropy(7)
    for _ in range(100):
        late.below(10)
    first, second = early.fork("jobs"), late.fork("jobs")
    assert [first.below(99) for _ in range(50)] == [second.below(99) for _ in range(50)]


def test_forks_of_other_names_and_seeds_draw_otherwise() -> None:
    streams = [SeededEntropy(1).fork("a"), SeededEntropy(1).fork("b"), SeededEntropy(-1).fork("a")]
    streams.append(SeededEntropy(1).fork("a").fork("b"))
    drawn = [tuple(stream.below(1 << 30) for _ in range(4)) for stream in streams]
    assert len(set(drawn)) == 4


def test_every_value_below_n_comes_up_about_as_often() -> None:
    entropy = SeededEntropy(3)
    counts = Counter(entropy.below(6) for _ in range(6000))
    assert sorted(counts) == [0, 1, 2, 3, 4, 5]
    assert all(850 < count < 1150 for count in counts.values())


def test_chance_pick_and_between_keep_their_bounds() -> None:
    entropy = SeededEntropy(5)
    assert not any(entropy.chance(0, 5) for _ in range(50))
    assert all(entropy.chance(5, 5) for _ in range(50))
    assert {entropy.between(-1, 1) for _ in range(60)} == {-1, 0, 1}
    assert {entropy.pick("ab") for _ in range(30)} == {"a", "b"}
    assert entropy.below(1) == 0


DRAWS_OF_SEED_1 = [586, 3, 145, 836, 417, 250, 273, 842]

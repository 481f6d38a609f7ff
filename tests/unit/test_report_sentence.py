"""The first line is true: it names the best policy, and says so where nothing is better."""

from decimal import Decimal

from msgspec.structs import replace

from stellwerk.report.choice import choose
from stellwerk.report.sentence import first_sentence
from stellwerk.sim.result import Overflow, Replay
from tests.unit import report_sample as sample

CHECK = "; check it: stellwerk verify receipt.json"


def only(replay: Replay, *policies: str) -> Replay:
    return replace(replay, outcomes=tuple(o for o in replay.outcomes if o.policy in policies))


def overflowing(replay: Replay, policy: str) -> Replay:
    """The same, but `policy` takes memory that it was not given, in its first run only."""
    bad = Overflow(jobs=1, gib_hours=Decimal("0.100"))
    outcomes = []
    for outcome in replay.outcomes:
        if outcome.policy == policy:
            first, *rest = outcome.runs
            outcome = replace(outcome, runs=(replace(first, overflow=bad), *rest))
            if outcome.sized:
                first, *rest = outcome.sized.runs
                sized = replace(outcome.sized, runs=(replace(first, overflow=bad), *rest))
                outcome = replace(outcome, sized=sized)
        outcomes.append(outcome)
    return replace(replay, outcomes=tuple(outcomes))


def test_the_smallest_fleet_its_saving_and_its_wait() -> None:
    assert first_sentence(sample.replay(sized=True), "en") == (
        "2 instead of 4 GPUs with mix, 3,786 EUR a month less, p95 wait 25 min instead of 9 h 15 min, "
        "up to 9 of 39 jobs slowed" + CHECK
    )


def test_the_same_in_german() -> None:
    assert first_sentence(sample.replay(sized=True), "de") == (
        "2 statt 4 GPUs mit mix, 3.786 EUR im Monat weniger, p95-Wartezeit 25 Min. statt 9 Std. 15 Min., "
        "bis zu 9 von 39 Jobs verlangsamt; zu prüfen mit: stellwerk verify receipt.json"
    )


def test_whole_gpus_that_do_with_fewer_are_named() -> None:
    full = sample.replay(sized=True)
    outcomes = []
    for outcome in full.outcomes:
        if outcome.policy == "whole" and outcome.sized:
            small = sample.runs("whole", 3, 555)
            outcome = replace(outcome, sized=replace(outcome.sized, nodes=3, gpus=3, runs=small))
        outcomes.append(outcome)
    some = replace(full, outcomes=tuple(outcomes))
    assert "(whole GPUs alone: 3)" in first_sentence(some, "en")
    alone = only(some, "whole")
    assert first_sentence(alone, "en") == (
        "Whole GPUs alone do with 3 instead of 4 GPUs, 1,893 EUR a month less, p95 wait equal (9 h 15 min); "
        "no sharing policy is better" + CHECK
    )


def test_without_sizes_it_compares_the_waits_on_the_same_fleet() -> None:
    sentence = first_sentence(sample.replay(), "en")
    assert sentence == (
        "p95 wait 25 min instead of 9 h 15 min with mix on the same 4 GPUs (7,572 EUR a month); "
        "--size finds the smallest fleet" + CHECK
    )


def test_where_nothing_is_better_it_says_so() -> None:
    sentence = first_sentence(only(sample.replay(), "whole", "time-slicing"), "en")
    assert sentence.startswith("No sharing policy does better than whole GPUs here: p95 wait 9 h 15 min")


def test_an_unknown_price_is_said_with_the_option_that_sets_it() -> None:
    for sized in (False, True):
        sentence = first_sentence(sample.unpriced(sized), "en")
        assert (
            "price unknown (set it with --price EUR_PER_HOUR)" in sentence and "EUR a month" not in sentence
        )


def test_a_policy_that_overflows_memory_in_any_run_is_never_recommended() -> None:
    for sized in (False, True):
        without_mix = overflowing(sample.replay(sized), "mix")
        assert choose(without_mix).policy == "mps"
        assert choose(overflowing(without_mix, "mps")).policy == "mig-chosen"


def test_a_policy_that_rejects_more_is_never_recommended() -> None:
    full = sample.replay(sized=True)
    whole, *rest = full.outcomes
    (run,) = whole.runs
    strict = replace(whole, runs=(replace(run, jobs=replace(run.jobs, rejected=0, finished=37)),))
    best = choose(replace(full, outcomes=(strict, *rest)))
    assert (best.policy, best.gpus, best.sized) == ("whole", 4, False)


def test_ties_end_in_the_name() -> None:
    full = sample.replay(sized=True)
    assert (
        choose(full).policy
        == choose(replace(full, outcomes=(full.outcomes[0], *full.outcomes[:0:-1]))).policy
    )

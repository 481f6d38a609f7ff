"""What a watch tells: only what held, compared with what was told; and what an answer lacks is no end."""

from decimal import Decimal

import msgspec
import pytest

from stellwerk.engine.advice.advised import Advised
from stellwerk.engine.advice.changes import (
    Bounds,
    Compared,
    LastPod,
    Look,
    Told,
    Total,
    TotalChange,
    WarningChange,
    WorkloadChange,
    changes_of,
)
from stellwerk.engine.advice.classify import Kind
from stellwerk.engine.advice.profile import Profile
from stellwerk.engine.advice.verdict import Share, Verdict
from stellwerk.engine.decision import Reason

MINUTE, DAY = 60_000, 86_400_000
STEP = 30_000
WHY = Reason("Because", "it is so")


def verdict(name: str, choice: str, share: Share | None = None) -> Verdict:
    return Verdict(workload=name, choice=choice, kind=Kind("unknown", "", WHY), reasons=(WHY,), share=share)


def advised(name: str, choice: str = "whole", saving: str | None = "0", **fields: object) -> Advised:
    share = None
    if choice.startswith("mps"):
        compute = int(choice.removeprefix("mps"))
        choice = "mps"
        share = Share(method="mps", memory_bytes=8 << 30, compute_milli=compute, held_milli=compute)
    if choice.startswith("mig"):
        share = Share(
            method="mig", memory_bytes=10 << 30, compute_milli=142, held_milli=125, profile=choice[3:]
        )
        choice = "mig"
    return Advised(
        profile=Profile(name=name),
        verdict=verdict(name, choice, share),
        held_before_milli=1000,
        held_after_milli=1000,
        saving_month=None if saving is None else Decimal(saving),
        **fields,  # type: ignore[arg-type]
    )


def look(
    *workloads: Advised,
    start: int = 0,
    end: int = 2 * DAY,
    ended: dict[str, int] | None = None,
    warnings: tuple[Reason, ...] = (),
    pods: dict[str, str] | None = None,
    saving: str | None = "0",
    newest: int | None = None,
) -> Look:
    """Each workload has one pod of its name, seen up to the end; `ended` and `pods` say otherwise."""
    names = [each.profile.name for each in workloads]
    pod = {name: (pods or {}).get(name, f"{name}-pod") for name in names}
    return Look(
        start_ms=start,
        end_ms=end,
        data_end_ms=(end if newest is None else newest) + STEP,
        interval_ms=STEP,
        workloads=workloads,
        last={name: LastPod(pod[name], (ended or {}).get(name, end)) for name in names},
        owners={pod[name]: name for name in names},
        warnings=warnings,
        total=Total(
            gpus_seen=4,
            gpus_before=4,
            gpus_after=4,
            currency="EUR",
            saving_month=None if saving is None else Decimal(saving),
        ),
    )


def told_by(*looks: Look, after: int = 2, percent: int = 5) -> list[Compared]:
    """Round after round, each compared with what was told by then."""
    told, found = Told(), []
    for each in looks:
        found.append(changes_of(told, each, Bounds(after=after, percent=percent)))
        # What a file keeps is what goes on.
        told = msgspec.json.decode(msgspec.json.encode(found[-1].told), type=Told)
        assert told == found[-1].told
    return found


def words(compared: Compared) -> list[str]:
    """A change in short: `changed a verdict`, `warning code`, `total`."""
    found = []
    for each in compared.changes:
        if isinstance(each, WorkloadChange):
            found.append(" ".join([each.kind, each.workload, *each.what, *(why.code for why in each.why)]))
        elif isinstance(each, WarningChange):
            found.append(f"{'gone' if each.gone else 'warning'} {each.reason.code}")
        else:
            found.append("total")
    return found


def test_the_first_round_tells_all_and_the_second_nothing() -> None:
    warning = Reason("hole", "nothing was scraped")
    both = look(advised("b"), advised("a"), warnings=(warning,))
    first, second = told_by(both, both)
    assert words(first) == ["warning hole", "added a", "added b", "total"]
    assert words(second) == []
    [total] = [each for each in first.changes if isinstance(each, TotalChange)]
    assert total.before is None and total.after == both.total


def test_a_change_is_told_once_it_held_and_from_what_was_told() -> None:
    whole, mig = look(advised("a")), look(advised("a", "mig1g.10gb"))
    found = told_by(whole, mig, mig, mig)
    assert [words(each) for each in found[1:]] == [[], ["changed a verdict"], []]
    [change] = found[2].changes
    assert isinstance(change, WorkloadChange) and change.before is not None and change.after is not None
    assert (change.before.verdict.choice, change.after.verdict.choice) == ("whole", "mig")
    assert [words(each) for each in told_by(whole, mig, after=1)[1:]] == [["changed a verdict"]]


def test_a_verdict_that_goes_to_and_fro_is_not_told_again_and_again() -> None:
    whole, mig = look(advised("a")), look(advised("a", "mig1g.10gb"))
    found = told_by(*[whole, mig] * 20)
    assert sum(len(each.changes) for each in found[1:]) == 0
    assert sum(len(each.changes) for each in told_by(*[whole, mig] * 20, after=1)[1:]) == 39


def test_what_was_told_does_not_stay_while_it_is_none_of_several_others() -> None:
    others = [look(advised("a", f"mig{size}g.10gb")) for size in (1, 2, 3, 4)]
    found = told_by(look(advised("a")), *others)
    assert [words(each) for each in found[1:]] == [[], ["changed a verdict"], [], ["changed a verdict"]]


def test_a_new_workload_is_told_once_it_held() -> None:
    one, two = look(advised("a")), look(advised("a"), advised("b"))
    assert [words(each) for each in told_by(one, two, two)[1:]] == [[], ["added b"]]
    lost = "warning workloads-lost"
    assert [words(each) for each in told_by(one, two, one, two)[1:]] == [[], [lost], ["added b"]]


def test_other_figures_in_the_same_reasons_are_no_change() -> None:
    short = Reason("TooShort", "measured for {minutes} min", {"minutes": 10})
    later = Reason("TooShort", "measured for {minutes} min", {"minutes": 15})
    found = told_by(
        *(look(advised("a"), warnings=(each,)) for each in (short, later, later)),
    )
    assert [words(each) for each in found[1:]] == [[], []]


@pytest.mark.parametrize(
    ("before", "now", "wanted"),
    [
        ("100", "105", []),
        ("100", "105.01", ["changed a saving"]),
        ("100", "94.99", ["changed a saving"]),
        ("-100", "-105", []),
        ("-100", "-106", ["changed a saving"]),
        ("0", "0.01", ["changed a saving"]),
        (None, None, []),
        (None, "0", ["changed a saving"]),
        ("0", None, ["changed a saving"]),
    ],
)
def test_a_saving_is_told_beyond_the_threshold_only(
    before: str | None, now: str | None, wanted: list[str]
) -> None:
    looks = look(advised("a", saving=before)), look(advised("a", saving=now))
    assert words(told_by(*looks, after=1)[1]) == wanted


def test_a_saving_that_creeps_is_told_by_what_was_told_not_by_the_round_before() -> None:
    looks = [look(advised("a", saving=str(100 + step))) for step in range(13)]
    found = told_by(*looks, after=1)
    assert [at for at, each in enumerate(found) if "changed a saving" in words(each)] == [6, 12]


def test_an_mps_share_is_told_beyond_the_threshold_only_and_keep_always() -> None:
    looks = [look(advised("a", f"mps{milli}")) for milli in (200, 210, 211)]
    assert [words(each) for each in told_by(*looks, after=1)[1:]] == [[], ["changed a share"]]
    kept = look(advised("a", "mig1g.10gb", kept=WHY))
    assert words(told_by(look(advised("a", "mig1g.10gb")), kept, after=1)[1]) == ["changed a keep"]
    otherwise = look(advised("a", "mig1g.10gb", kept=Reason("Otherwise", "it is otherwise")))
    assert words(told_by(kept, otherwise, after=1)[1]) == []


def test_the_total_is_told_beyond_the_threshold_and_without_prices_by_its_gpus() -> None:
    looks = [look(advised("a"), saving=saving) for saving in ("100", "104", "106", "106")]
    assert [words(each) for each in told_by(*looks)[1:]] == [[], [], ["total"]]
    unknown = look(advised("a"), saving=None)
    fewer = msgspec.structs.replace(unknown, total=msgspec.structs.replace(unknown.total, gpus_after=3))
    assert words(told_by(unknown, fewer, after=1)[1]) == ["total"]


def test_a_warning_is_told_at_once_and_gone_after_the_rounds() -> None:
    hole = Reason("hole", "nothing was scraped {count} times", {"count": 1})
    with_it, without = look(advised("a"), warnings=(hole,)), look(advised("a"))
    found = told_by(without, with_it, without, with_it, without, without)
    assert [words(each) for each in found[1:]] == [["warning hole"], [], [], [], ["gone hole"]]


def test_a_workload_that_left_the_days_asked_for_is_removed() -> None:
    before = look(advised("a"), advised("b"), ended={"a": DAY - MINUTE})
    midnight = look(advised("b"), start=DAY, end=3 * DAY)
    found = told_by(before, midnight, midnight)
    assert [words(each) for each in found[1:]] == [[], ["removed a LeftPeriod"]]
    assert found[2].doubts == () and "a" not in found[2].told.workloads


def test_a_pod_that_ended_at_midnight_has_left_though_its_time_ends_a_step_later() -> None:
    before = look(advised("a"), advised("b"), ended={"a": DAY + STEP})
    assert words(told_by(before, look(advised("b"), start=DAY, end=3 * DAY), after=1)[1]) == [
        "removed a LeftPeriod"
    ]


def test_all_workloads_gone_at_once_are_lost_and_stay_as_they_were_told() -> None:
    before = look(advised("a"), advised("b", "mig1g.10gb"))
    empty = look(end=2 * DAY + MINUTE, newest=DAY)
    after = look(advised("a"), advised("b", "mig1g.10gb"), end=2 * DAY + 2 * MINUTE)
    found = told_by(before, empty, empty, empty, after, after)
    assert words(found[1]) == ["warning answer-shorter", "warning workloads-lost"]
    assert found[1].doubts == ("answer-shorter", "workloads-lost")
    assert [words(each) for each in found[2:]] == [[], [], [], ["gone answer-shorter", "gone workloads-lost"]]
    [lost] = [
        each.reason
        for each in found[1].changes
        if isinstance(each, WarningChange) and each.reason.code == "workloads-lost"
    ]
    assert lost.values == {"things": 2, "names": "a, b"}


def test_a_lost_workload_is_removed_when_its_time_is_no_longer_asked_for() -> None:
    before = look(advised("a"), advised("b"), ended={"a": DAY + 10 * MINUTE})
    lost = look(advised("b"), end=2 * DAY + MINUTE)
    left = look(advised("b"), start=2 * DAY, end=3 * DAY)
    found = told_by(before, lost, left, left)
    assert words(found[1]) == ["warning workloads-lost"]
    assert words(found[2]) == []
    assert words(found[3]) == ["removed a LeftPeriod", "gone workloads-lost"]


def test_changes_of_a_shorter_answer_are_told_in_doubt() -> None:
    whole, mig = look(advised("a")), look(advised("a", "mig1g.10gb"), newest=DAY)
    found = told_by(whole, mig, mig)
    assert found[2].doubts == ("answer-shorter",) and words(found[2]) == ["changed a verdict"]


def test_a_clock_that_went_back_ends_no_workload() -> None:
    before = look(advised("a"), advised("b"), ended={"a": DAY})
    back = look(advised("a"), end=DAY, start=-DAY)
    again = look(advised("a"), advised("b"), end=2 * DAY + MINUTE)
    found = told_by(before, back, back, again)
    assert words(found[1]) == ["warning clock-set-back"] and found[1].doubts == ("clock-set-back",)
    assert [words(each) for each in found[2:]] == [[], ["gone clock-set-back"]]


def test_a_pod_that_found_its_owner_is_not_lost() -> None:
    before = look(advised("ns/pod"), pods={"ns/pod": "ns/pod"})
    after = look(advised("ns/chat"), pods={"ns/chat": "ns/pod"})
    found = told_by(before, after, after)
    assert [words(each) for each in found[1:]] == [[], ["added ns/chat", "removed ns/pod OtherOwner"]]


def test_a_partial_answer_makes_its_changes_doubtful() -> None:
    partial = Reason("answer-partial", "may lack something")
    found = told_by(look(advised("a")), look(advised("b"), advised("a"), warnings=(partial,)), after=1)
    assert words(found[1]) == ["warning answer-partial", "added b"]
    assert found[1].doubts == ("answer-partial",)

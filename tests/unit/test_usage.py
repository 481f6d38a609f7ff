"""Measured use: planned on the first part, judged on the rest, by exact arithmetic."""

from pathlib import Path

import pytest

from stellwerk.adapters.files import read_input
from stellwerk.adapters.usage import NOT_JUDGED, nearest_rank, usage_demand
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_S

MIB = 1 << 20
MINUTE_NS = 60 * NS_PER_S
HEADER = "pod,minute,duty_pct,mem_mib\n"
GENAI = Path(__file__).parents[3] / "shared" / "data" / "usage" / "genai_pod_gpu_1min.csv.xz"


def usage(rows: str, plan_minutes: int = 2):  # type: ignore[no-untyped-def]
    return usage_demand((HEADER + rows).encode(), "use.csv", plan_minutes)


def test_a_pod_is_planned_on_the_first_minutes_and_judged_on_the_others() -> None:
    demand = usage("7,0,10.0,1000\n7,1,20.01,1500.5\n7,2,5,1200\n7,3,8.5,1700\n")
    (job,) = demand.jobs
    assert (job.name, job.kind, job.gpus, job.pods) == ("pod-7", "inference", 1, 1)
    assert job.memory_bytes == 1500 * MIB + MIB // 2
    assert job.compute_milli == 201  # p95 of (100, 200.1) is the second, rounded up.
    assert job.used_milli == 67  # (50 + 85) / 2 = 67.5, rounded down.
    assert job.judged_memory_bytes == 1700 * MIB
    assert (job.arrival_ns, job.duration_ns) == (0, 2 * MINUTE_NS)
    assert demand.period_ns == 2 * MINUTE_NS


def test_a_pod_that_comes_later_has_unknown_needs_and_arrives_later() -> None:
    demand = usage("a,0,1,10\na,2,1,10\nb,4,3.5,20\nb,5,4.5,20\n")
    late = demand.jobs[1]
    assert late.name == "b" and late.arrival_ns == 2 * MINUTE_NS and late.duration_ns == 2 * MINUTE_NS
    assert late.memory_bytes is None and late.compute_milli is None
    assert (late.used_milli, late.judged_memory_bytes) == (40, 20 * MIB)
    assert any(note.startswith("1 pods have no reading to plan on") for note in demand.notes)


def test_a_pod_that_ended_before_the_judged_part_is_left_out_and_counted() -> None:
    demand = usage("a,0,1,10\na,2,1,10\nb,0,1,10\nb,1,1,10\n")
    assert [job.name for job in demand.jobs] == ["a"]
    assert [(item.count, item.text) for item in demand.left_out] == [(1, NOT_JUDGED)]


def test_a_missing_reading_is_unknown_not_zero() -> None:
    (job,) = usage("a,0,,10\na,1,,30\na,2,,20\na,3,2,\n").jobs
    assert (job.memory_bytes, job.compute_milli) == (30 * MIB, None)
    assert (job.used_milli, job.judged_memory_bytes) == (20, 20 * MIB)


def test_the_sum_is_exact_where_floats_are_not() -> None:
    rows = "a,0,0.1,1\n" + "".join(f"a,{minute},0.1,1\n" for minute in range(2, 12))
    assert (
        usage(rows).jobs[0].used_milli == 1
    )  # Ten times 0.1 as floats is less than 1, and rounds down to 0.


def test_the_order_of_rows_does_not_matter() -> None:
    rows = ["a,0,1,10\n", "a,3,2,15\n", "b,1,9,11\n", "b,2,7,13\n"]
    assert usage("".join(rows)) == usage("".join(reversed(rows)))


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (19, 19), (20, 19), (100, 95), (101, 96)])
def test_p95_is_the_nearest_rank(count: int, rank: int) -> None:
    assert nearest_rank(list(range(1, count + 1)), 95) == rank


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,x,1,1", "row 2, column minute"),
        ("a,-1,1,1", "row 2, column minute"),
        ("a,1e3,1,1", "row 2, column minute"),
        ("a,2,100.1,1", "row 2, column duty_pct"),
        ("a,2,nan,1", "row 2, column duty_pct"),
        ("a,2,1e-999999999,1", "row 2, column duty_pct"),
        ("a,2,1,-1", "row 2, column mem_mib"),
        ("a,2,1,1e300", "row 2, column mem_mib"),
        ("a,2,1,1\na,2,1,1", "row 3"),
        (",2,1,1", "has no name"),
        ("a,1,1,1", "no sample after minute 1"),
    ],
)
def test_a_wrong_row_is_named(row: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        usage(row + "\n")
    assert said in str(caught.value)
    assert caught.value.source == "use.csv" and caught.value.fix


@pytest.mark.skipif(not GENAI.exists(), reason="the study data of ../shared/data/usage is not here")
def test_the_measured_pods_of_the_study_are_read() -> None:
    demand = usage_demand(read_input(GENAI), GENAI.name)
    assert (len(demand.jobs), [item.count for item in demand.left_out]) == (132, [12])
    assert sum(job.memory_bytes is None for job in demand.jobs) == 21
    assert 20 < sum(job.used_milli or 0 for job in demand.jobs) / len(demand.jobs) < 80

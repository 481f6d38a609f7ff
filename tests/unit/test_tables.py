"""A user's own table: every column, every form of a value, and every way to get it wrong."""

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stellwerk.adapters.forms import read_demand, sniff
from stellwerk.adapters.tables import NO_GPU, jobs_demand
from stellwerk.adapters.traces import Window
from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_S, Job

HOUR_NS = 3600 * NS_PER_S
FULL = (
    "name,team,kind,arrival,duration,pods,gpus,gpu_memory,gpu_compute,gpu_compute_mean,whole_gpu,isolation\n"
    "llm,assist,inference,2026-11-02T08:00:00Z,3h30m,1,1,22Gi,85m,0.05,false,required\n"
    "tune,research,training,2026-11-03T12:00:00+02:00,7200,2,4,,,,true,\n"
)


def test_every_column_is_read() -> None:
    demand = jobs_demand(FULL.encode(), "jobs.csv")
    llm, tune = demand.jobs
    assert llm == Job(
        name="llm",
        team="assist",
        kind="inference",
        arrival_ns=8 * HOUR_NS,
        duration_ns=3 * HOUR_NS + HOUR_NS // 2,
        memory_bytes=22 * 2**30,
        compute_milli=85,
        used_milli=50,
        isolated=True,
    )
    assert (tune.pods, tune.gpus, tune.whole, tune.memory_bytes) == (2, 4, True, None)
    assert tune.arrival_ns == 34 * HOUR_NS and tune.duration_ns == 2 * HOUR_NS
    assert demand.start_ns == int(datetime(2026, 11, 2, tzinfo=UTC).timestamp()) * NS_PER_S
    assert demand.period_ns == 48 * HOUR_NS


@pytest.mark.parametrize("encode", [str.encode, lambda text: text.encode("utf-8-sig")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_semicolons_byte_order_marks_and_line_ends_change_nothing(encode, newline) -> None:  # type: ignore[no-untyped-def]
    text = FULL.replace(",", ";").replace("\n", newline)
    assert jobs_demand(encode(text), "jobs.csv") == jobs_demand(FULL.encode(), "jobs.csv")


def test_what_is_missing_has_the_documented_defaults() -> None:
    demand = jobs_demand(b"name,arrival,duration\na,90000.5,60\n", "jobs.csv")
    (job,) = demand.jobs
    assert job == Job(name="a", team="default", arrival_ns=90_000_500_000_000, duration_ns=60 * NS_PER_S)
    assert (demand.start_ns, demand.period_ns) == (0, 48 * HOUR_NS)
    assert any("1970-01-01" in note for note in demand.notes)


def test_jobs_without_gpu_are_left_out_and_columns_not_read_are_named() -> None:
    demand = jobs_demand(b"name,arrival,duration,gpus,owner\na,0,60,0,x\nb,0,60,1,x\n\n", "jobs.csv")
    assert [job.name for job in demand.jobs] == ["b"]
    assert [(item.count, item.text) for item in demand.left_out] == [(1, NO_GPU)]
    assert "These columns are not read: owner." in demand.notes


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("name", "", "no name of 1 to 253"),
        ("name", "b", "stands there twice"),
        ("arrival", "2026-11-02 08:00", "no RFC 3339 time"),
        ("arrival", "-5", "no RFC 3339 time"),
        ("arrival", "2026-11-02T08:00:00Z", "of another form"),
        ("arrival", "999999999999", "no RFC 3339 time"),
        ("duration", "0", "no duration above 0"),
        ("duration", "-1h", "no duration above 0"),
        ("duration", "soon", "no duration above 0"),
        ("duration", "9999999h", "no duration above 0"),
        ("kind", "game", "is none of training"),
        ("pods", "-1", "not a whole number"),
        ("pods", "1.5", "not a whole number"),
        ("gpus", "65", "not a whole number from 0 to 64"),
        ("gpu_memory", "22GB", "no amount of memory"),
        ("gpu_memory", "-1Gi", "no amount of memory"),
        ("gpu_memory", "2Ti", "no amount of memory"),
        ("gpu_compute", "1.1", "no share of one GPU"),
        ("gpu_compute", "-0.1", "no share of one GPU"),
        ("gpu_compute_mean", "85%", "no share of one GPU"),
        ("whole_gpu", "maybe", "is none of true"),
        ("isolation", "please", "is none of required"),
    ],
)
def test_a_wrong_value_is_named_with_row_and_column(column: str, value: str, said: str) -> None:
    row = {"name": "a", "arrival": "0", "duration": "60"}
    columns = list(dict.fromkeys([*row, column]))
    good = [{**row, "name": "b"}.get(name, "") for name in columns]
    bad = [{**row, column: value}[name] for name in columns]
    text = "\n".join(",".join(fields) for fields in (columns, good, bad))
    with pytest.raises(InvalidInput) as caught:
        jobs_demand(text.encode(), "jobs.csv")
    error = caught.value
    assert said in str(error)
    assert (error.source, error.path) == ("jobs.csv", f"row 3, column {column}")
    assert error.fix and "{" not in error.fix.format(**error.values)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no header"),
        (b"\n\n", "no header"),
        (b"name,arrival,name\n", "no header"),
        (b"name,,duration\n", "no header"),
        (b"name,arrival\na,0\n", "has no column duration"),
        (b"name,arrival,duration\n", "has no job with a GPU"),
        (b"name,arrival,duration\na,0\n", "has 2 fields, the header has 3"),
        (b'name,arrival,duration\n"a,0,1\n', "not a CSV file"),
        (b"name,arrival,duration\n\xff\xfe,0,1\n", "not UTF-8"),
        (b"name,arrival,duration\na,2000-01-01T00:00:00Z,1\nb,2026-01-01T00:00:00Z,1\n", "ten years"),
    ],
)
def test_a_wrong_file_is_named(content: bytes, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        jobs_demand(content, "jobs.csv")
    assert said in str(caught.value)
    assert caught.value.source == "jobs.csv" and caught.value.fix


def test_too_many_rows_are_refused() -> None:
    content = b"name,arrival,duration\n" + b"\n" * 1_000_001
    with pytest.raises(InvalidInput, match="more than 1000000 rows"):
        jobs_demand(content, "jobs.csv")


def parquet(columns: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def test_parquet_with_native_types_means_the_same_as_csv() -> None:
    content = parquet(
        {
            "name": ["llm", "tune"],
            "team": pa.array(["assist", "research"]).dictionary_encode(),
            "kind": ["inference", "training"],
            "arrival": [datetime(2026, 11, 2, 8, tzinfo=UTC), datetime(2026, 11, 3, 10, tzinfo=UTC)],
            "duration": [timedelta(hours=3, minutes=30), timedelta(hours=2)],
            "pods": [1, 2],
            "gpus": pa.array([1, 4], pa.uint8()),
            "gpu_memory": [22 * 2**30, None],
            "gpu_compute": [0.085, float("nan")],
            "gpu_compute_mean": [Decimal("0.05"), None],
            "whole_gpu": [False, True],
            "isolation": ["required", None],
        }
    )
    demand = read_demand(content, "jobs.parquet", Window())
    expected = jobs_demand(FULL.encode(), "jobs.parquet")
    assert demand == expected


def test_damaged_parquet_is_one_clear_error() -> None:
    whole = parquet({"name": ["a"], "arrival": [0], "duration": [60]})
    for content in (whole[:-10], whole[:4], whole[:4] + b"x" * 500 + whole[-40:], b"PAR1" * 50):
        with pytest.raises(InvalidInput):
            read_demand(content, "jobs.parquet", Window())


def test_parquet_errors_name_the_row_as_csv_does() -> None:
    content = parquet({"name": ["a", "b"], "arrival": [0, 5], "duration": ["1h", "x"]})
    with pytest.raises(InvalidInput, match="row 3, column duration"):
        read_demand(content, "jobs.parquet", Window())


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (("name", "arrival", "duration"), "jobs"),
        (("minute", "pod", "mem_mib", "duty_pct"), "usage"),
        (
            [
                "name",
                "cpu_milli",
                "memory_mib",
                "num_gpu",
                "gpu_milli",
                "gpu_spec",
                "qos",
                "pod_phase",
                "creation_time",
                "deletion_time",
                "scheduled_time",
            ],
            "openb",
        ),
    ],
)
def test_the_header_tells_the_form(header: list[str], form: str) -> None:
    assert sniff(tuple(header), "table.csv") == form


def test_an_unknown_header_is_answered_with_all_three() -> None:
    with pytest.raises(InvalidInput, match="no table that can be replayed") as caught:
        sniff(("id", "start", "end"), "table.csv")
    fix = caught.value.fix.format(**caught.value.values)
    assert all(column in fix for column in ("name,arrival,duration", "duty_pct", "scheduled_time"))

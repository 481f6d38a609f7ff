"""The demands that come with Stellwerk: equal seeds, equal bytes; as their docstrings tell; and as files."""

import datetime
import hashlib
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.stellwerk import Fleet
from stellwerk.api.manifests import load_manifests
from stellwerk.engine.demand import NS_PER_HOUR, Demand
from stellwerk.engine.money.fleet_cost import price_fleet
from stellwerk.sim.demand import demo, mittelstand
from stellwerk.sim.demand.builtin import BUILTIN, write_manifests
from stellwerk.sim.demand.load import DemandOptions, is_manifest_file, load_demand

GENERATED = ["demo", "mittelstand"]
GIB = 2**30


def loaded(name: str, seed: int = 1) -> Demand:
    return load_demand(name, seed).demand


@pytest.mark.parametrize("name", GENERATED)
def test_a_seed_gives_the_same_bytes_and_another_seed_others(name: str) -> None:
    first, again, other = (load_demand(name, seed).inputs[0].sha256 for seed in (1, 1, 2))
    assert first == again != other


def test_the_bytes_are_those_that_were_written_down() -> None:
    # The same on Python 3.11 to 3.13; a change of a generator changes every figure that was told about it.
    for module, digest in ((demo, DEMO_SHA256), (mittelstand, MITTELSTAND_SHA256)):
        assert hashlib.sha256(msgspec.json.encode(module.manifests(1))).hexdigest() == digest


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_demo_is_the_week_of_its_docstring(seed: int) -> None:
    demand = loaded("demo", seed)
    counts = Counter((job.team, job.kind) for job in demand.jobs)
    assert counts == {
        ("assistant", "inference"): 5,
        ("research", "notebook"): 10,
        ("vision", "batch"): 7,
        ("vision", "training"): 1,
    }
    assert demand.period_ns == 168 * NS_PER_HOUR
    assert demand.start_ns == 1_793_577_600 * 10**9  # 2026-11-02 00:00 UTC, a Monday.
    for job in demand.jobs:
        assert job.arrival_ns % (NS_PER_HOUR // 4) == 0 == job.duration_ns % (NS_PER_HOUR // 4)
    held = sum(job.duration_ns for job in demand.jobs if job.kind != "batch") // NS_PER_HOUR
    assert held == 5 * 12 + 10 * 9 + 14


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_demo_fits_on_one_shared_gpu_but_not_on_two_whole_ones(seed: int) -> None:
    demand = loaded("demo", seed)
    moments = sorted({job.arrival_ns for job in demand.jobs})
    most = 0
    for now in moments:
        live = [job for job in demand.jobs if job.arrival_ns <= now < job.arrival_ns + job.duration_ns]
        most = max(most, len(live))
        assert sum(job.memory_bytes or 0 for job in live) <= 46 * GIB or [job.whole for job in live] == [True]
        assert sum(job.compute_milli or 0 for job in live) <= 950
    assert most == 3


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_mittelstand_month_is_crowded_yet_finite(seed: int) -> None:
    demand = loaded("mittelstand", seed)
    assert 500 <= len(demand.jobs) <= 900
    assert demand.period_ns == 720 * NS_PER_HOUR
    asked = sum(job.duration_ns * job.gpus for job in demand.jobs) / NS_PER_HOUR
    assert 0.6 < asked / (4 * 720) < 0.9
    assert {job.team for job in demand.jobs} == set(mittelstand.TEAMS)
    assert {(job.whole, job.gpus) for job in demand.jobs if job.kind == "training"} >= {(True, 1), (True, 2)}
    shapes = {(job.memory_bytes, job.compute_milli, job.gpus, job.kind) for job in demand.jobs}
    assert len(shapes) < 20  # Few shapes: a replay asks once for each.


def test_only_services_and_large_tunings_are_there_at_weekends() -> None:
    # 2026-10-03 and 04 are the first Saturday and Sunday: days 2 and 3 of the month.
    day = 24 * NS_PER_HOUR
    assert datetime.date(2026, 10, 3).weekday() == 5
    arrivals = [job.name for job in loaded("mittelstand").jobs if 2 <= job.arrival_ns // day <= 3]
    assert arrivals == []


@pytest.mark.parametrize("name", GENERATED)
def test_the_files_hold_the_same_objects(name: str, tmp_path: Path) -> None:
    files = write_manifests(name, 3)
    assert all(text.startswith("# ") for _, text in files)
    read = [item.raw for file, text in files for item in load_manifests(text.encode(), file)]
    made = BUILTIN[name]
    assert made is not None
    by_name = sorted(map(msgspec.json.encode, made(3)))
    assert sorted(msgspec.json.encode(item) for item in read if item["kind"] != "Fleet") == by_name
    for file, text in files:
        (tmp_path / file).write_text(text)
    from_files, generated = load_demand(str(tmp_path)), load_demand(name, 3)
    assert from_files.demand.jobs == generated.demand.jobs
    assert [item.kind for item in from_files.fleet_manifests] == ["Fleet"]
    assert len(from_files.inputs) == len(files)


def test_a_trace_has_no_manifests_to_write() -> None:
    with pytest.raises(InvalidInput, match="no manifests to write"):
        write_manifests("openb")


@pytest.mark.parametrize(
    ("name", "gpus", "per_hour"),
    [
        ("demo", 2, "2.8665"),
        # 87,500 USD x 70 % / 26,280 h / 1.0411 = 2.2387; 2.55 kW x 1.63 x 0.178 = 0.7399;
        # 6,000 / 8,760 = 0.6849.
        ("mittelstand", 4, "3.6634"),
        ("openb", 64, "39.3449"),  # 40.962 USD / 1.0411.
    ],
)
def test_every_built_in_demand_has_a_fleet_with_a_known_price(name: str, gpus: int, per_hour: str) -> None:
    (manifest,) = load_demand(name).fleet_manifests
    assert isinstance(manifest.object, Fleet)
    fleet = price_fleet(manifest.object)
    assert fleet.gpus == gpus
    assert str(fleet.nodes[0].cost.per_hour)[: len(per_hour)] == per_hour


def test_a_file_is_read_by_its_name_and_header(tmp_path: Path) -> None:
    table = tmp_path / "jobs.csv"
    table.write_text("name,arrival,duration\na,0,60\n")
    found = load_demand(str(table))
    assert (found.demand.name, len(found.demand.jobs), found.manifests) == ("jobs.csv", 1, ())
    assert found.inputs[0].sha256 == hashlib.sha256(table.read_bytes()).hexdigest()
    usage = tmp_path / "use.csv"
    usage.write_text("pod,minute,duty_pct,mem_mib\na,0,1,1\na,5,1,1\n")
    assert load_demand(str(usage), options=DemandOptions(plan_minutes=3)).demand.jobs[0].kind == "inference"
    assert is_manifest_file("a.yaml.xz") and is_manifest_file("a.json") and not is_manifest_file("a.csv.gz")


def test_options_reach_the_trace() -> None:
    found = load_demand("openb", options=DemandOptions(days=2, gpu_memory_bytes=1000))
    assert found.demand.period_ns == 48 * NS_PER_HOUR
    assert all(job.memory_bytes == job.observed_share_milli for job in found.demand.jobs if not job.whole)


@pytest.mark.parametrize("argument", ["nowhere.csv", "demoo", "a\0b", "x" * 5000, ""])
def test_what_is_not_there_gets_the_built_in_names(argument: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_demand(argument)
    assert "neither a file or directory" in str(caught.value)
    assert "demo, mittelstand, openb" in caught.value.fix.format(**caught.value.values)


DEMO_SHA256 = "ca391dffae11528aee2f66c87f4d3e4b513e5df189d30cf43cd2dbbb5018e181"
MITTELSTAND_SHA256 = "4715164d3e8b5908a30134ecfb347bb940d9691b66c7130aa4f780020b21d6a4"

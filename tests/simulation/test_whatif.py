"""From simulated GPUs to metrics and back: jobs rebuilt, and the unchanged replay beside the truth."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from stellwerk.cli.main import main
from stellwerk.engine.demand import NS_PER_HOUR, NS_PER_S, Demand, Job
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.stays import stays_of, unknown_in_holes_ms
from stellwerk.ports.entropy import SeededEntropy
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.main_job import Arguments, prepare, run
from stellwerk.sim.observed.measured import agreement, load_measured
from stellwerk.sim.observed.scrape import Scrapes, exposition
from stellwerk.sim.replay import simulate
from stellwerk.sim.slowdown import Slowdown

from .scenarios import GIB, demand, fleet, node, scenario

MINUTE = 60 * NS_PER_S
START_NS = 1_793_577_600 * NS_PER_S
# Two restarts of the exporter (a minute each) and a hole of two hours.
HOLES = (
    (5 * NS_PER_HOUR, 5 * NS_PER_HOUR + MINUTE),
    (9 * NS_PER_HOUR, 11 * NS_PER_HOUR),
    (17 * NS_PER_HOUR, 17 * NS_PER_HOUR + MINUTE),
)


def the_day(seed: int, count: int = 120) -> tuple[Demand, Fleet]:
    """A day of 4 GPUs: services, batches, and jobs of 5 to 25 s, shorter than a scrape.

    120 jobs are more than the GPUs hold; 25 leave them free in between.
    """
    draw = SeededEntropy(seed)
    jobs: list[Job] = []
    for i in range(count):
        kind = draw.pick(("inference", "batch", "batch", "short"))
        lengths = {"inference": (120, 500), "batch": (5, 90), "short": (0, 0)}[kind]
        duration = draw.between(*lengths) * MINUTE + draw.between(5, 25) * NS_PER_S
        jobs.append(
            Job(
                name=f"{kind}-{i}",
                team=draw.pick(("a", "b")),
                kind="batch" if kind == "short" else kind,
                arrival_ns=draw.below(22 * NS_PER_HOUR),
                duration_ns=duration,
                memory_bytes=draw.between(4, 30) * GIB,
                compute_milli=draw.between(5, 40) * 10,
                used_milli=draw.between(1, 30) * 10,
            )
        )
    return demand(24, *jobs), fleet(node("one", 2, "5.00"), node("two", 2, "5.00"))


def measure(seed: int, path: Path, without: tuple[str, ...] = (), count: int = 120) -> Ledger:
    """Run the day on whole GPUs, and write what Prometheus would have seen of it; `without` these metrics."""
    wanted, gpus = the_day(seed, count)
    ledger = simulate(scenario(wanted, gpus), POLICIES[0], Slowdown())
    assert ledger is not None
    scrapes = Scrapes(start_ns=START_NS, period_ns=wanted.period_ns, holes=HOLES)
    lines = (line for line in exposition(ledger, gpus, scrapes) if not line.startswith(without))
    path.write_text("\n".join(lines) + "\n")
    return ledger


def test_a_pod_with_several_gpus_is_shown_once_in_a_scrape() -> None:
    gpus = fleet(node("one", 2), node("two", 2))
    pair = Job(name="pair", team="a", kind="batch", arrival_ns=0, duration_ns=NS_PER_HOUR, gpus=2)
    ledger = simulate(scenario(demand(8, pair), gpus), POLICIES[0], Slowdown())
    assert ledger is not None
    scrapes = Scrapes(start_ns=START_NS, period_ns=8 * NS_PER_HOUR, interval_ns=NS_PER_HOUR // 2)
    series = [line.rpartition(" ")[0].split("{")[0] for line in exposition(ledger, gpus, scrapes)]
    # 16 scrapes; it runs during 2, and Kubernetes keeps the finished pod for 3 h.
    assert Counter(series) == {
        "DCGM_FI_DEV_GPU_UTIL": 16 * 4,
        "DCGM_FI_DEV_FB_USED": 16 * 4,
        "kube_pod_labels": 2,
        "kube_pod_container_resource_requests": 2 + 6,
        "kube_pod_start_time": 2 + 6,
        "kube_pod_completion_time": 6,
    }


def held_s(ledger: Ledger) -> int:
    """GPU-seconds that were really held."""
    return sum(stay.held_milli_ns for stay in ledger.stays) // 1000 // NS_PER_S


@pytest.mark.parametrize("seed", range(1, 11))
def test_jobs_are_rebuilt_and_the_unchanged_replay_meets_the_invoice(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "day.prom"
    truth_s = held_s(measure(seed, path))
    found = load_measured(str(path), None)
    rebuilt_s = found.rebuilt.held_gpu_ms // 1000
    assert Decimal("0.95") <= Decimal(rebuilt_s) / truth_s <= Decimal("1.03"), (rebuilt_s, truth_s)
    assert found.usage.warnings, "a hole of two hours must be said"
    whole = Arguments(demand=str(path), metrics=True, policies=("whole",))
    replay = run(prepare(whole), lambda *progress: None)
    replayed_s = replay.outcomes[0].runs[0].gpu_hours.held * 3600
    assert abs(replayed_s - truth_s) / truth_s <= Decimal("0.03"), (replayed_s, truth_s)
    assert agreement(found, replay).off_percent <= 3


# Without these nothing but samples tells when a pod began and ended, and that there was one.
TIMES = ("kube_pod_start", "kube_pod_completion", "kube_pod_container")


@pytest.mark.parametrize("seed", range(1, 9))
def test_samples_alone_rebuild_a_full_day_within_three_percent(seed: int, tmp_path: Path) -> None:
    truth_s = held_s(measure(seed, tmp_path / "day.prom", TIMES))
    rebuilt_s = load_measured(str(tmp_path / "day.prom"), None).rebuilt.held_gpu_ms // 1000
    assert abs(rebuilt_s - truth_s) * 100 <= 3 * truth_s, (rebuilt_s, truth_s)


def test_samples_alone_are_off_by_less_than_the_holes_leave_open_and_by_little_on_average(
    tmp_path: Path,
) -> None:
    path, errors = tmp_path / "day.prom", []
    for seed in range(1, 13):
        truth_s = held_s(measure(seed, path, TIMES, count=25))
        found = load_measured(str(path), None)
        error_s = found.rebuilt.held_gpu_ms // 1000 - truth_s
        open_s = unknown_in_holes_ms(found.usage, stays_of(found.usage)) // 1000
        # Beside the holes each pod's ends are open by an interval.
        assert abs(error_s) <= open_s + 25 * 30, (seed, error_s, open_s)
        assert any(note.startswith("Holes leave") for note in found.rebuilt.demand.notes)
        assert any(note.startswith("No request for a GPU is known") for note in found.rebuilt.demand.notes)
        errors.append(Fraction(error_s, truth_s))
    assert abs(sum(errors)) / len(errors) <= Fraction(2, 100), "no side is preferred"


def test_the_command_shows_what_sharing_would_have_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANG", "C.UTF-8")
    measure(1, Path("day.prom"))
    with pytest.raises(SystemExit) as ended:
        main(["whatif", "day.prom", "--fleet", "4xscaleway/H100-1-80G"])
    out, err = capsys.readouterr()
    assert ended.value.code == 0 and "% off" in err
    assert "instead of 4 GPUs" in out.splitlines()[0]
    with pytest.raises(SystemExit) as ended:
        main(["verify", "receipt.json"])
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("same: ")


def test_a_fleet_that_cannot_run_the_jobs_as_they_ran_shows_no_saving(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    measure(1, Path("day.prom"))
    with pytest.raises(SystemExit) as ended:
        main(["whatif", "day.prom", "--fleet", "1xscaleway/H100-1-80G"])
    assert ended.value.code == 1 and capsys.readouterr().out == ""


def test_metrics_that_do_not_name_the_gpu_model_need_a_fleet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{pod},{minute},8.5,9000" for pod in "ab" for minute in range(300)]
    Path("use.csv").write_text("pod,minute,duty_pct,mem_mib\n" + "\n".join(rows) + "\n")
    with pytest.raises(SystemExit) as ended:
        main(["whatif", "use.csv"])
    assert ended.value.code == 2 and "--fleet" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["whatif", "use.csv", "--fleet", "2xscaleway/H100-1-80G"])
    assert ended.value.code == 0 and "on 2 GPUs" in capsys.readouterr().out

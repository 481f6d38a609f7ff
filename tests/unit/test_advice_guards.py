"""What a review found once: guards of advice that failed open, and a pod that moved between GPUs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from stellwerk.adapters.metrics.load import load_usage
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.rebuild import Judged, demand_from_usage
from stellwerk.engine.usage import Usage
from stellwerk.sim.advice import advise_usage

MINUTE = 60_000
DAY = 1_440
SHARES = {"mig", "mps", "time-slicing"}
Value = Callable[[int], object]


def lines(pod: str, metrics: dict[str, Value], step: int = 1, gpu: str = "0", **labels: str) -> list[str]:
    """A day of samples of one pod on one GPU; a value of None is a sample that is missing."""
    shown = {
        "gpu": gpu,
        "UUID": f"GPU-{gpu}",
        "modelName": "NVIDIA A100-SXM4-80GB",
        "Hostname": "n",
        "namespace": "a",
    }
    shown |= {"pod": pod, **labels}
    text = ",".join(f'{key}="{value}"' for key, value in shown.items())
    return [
        f"{metric}{{{text}}} {value(minute)} {1_772_323_200_000 + minute * MINUTE}"
        for minute in range(0, DAY, step)
        for metric, value in metrics.items()
        if value(minute) is not None
    ]


def usage_of(tmp_path: Path, *groups: list[str]) -> Usage:
    path = tmp_path / "series.prom"
    path.write_text("\n".join(line for group in groups for line in group) + "\n")
    return load_usage([str(path)]).usage


def choice(usage: Usage) -> str:
    verdicts = advise_usage(usage, None, Margins()).workloads
    assert len(verdicts) == 1
    return verdicts[0].verdict.choice


SM, DRAM, UTIL = "DCGM_FI_PROF_SM_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE", "DCGM_FI_DEV_GPU_UTIL"
FB = "DCGM_FI_DEV_FB_USED"
LOW: dict[str, Value] = {FB: lambda m: 6_000, SM: lambda m: 0.02, DRAM: lambda m: 0.01}


def test_a_small_steady_use_may_share(tmp_path: Path) -> None:
    assert choice(usage_of(tmp_path, lines("p", LOW))) in SHARES


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_an_hour_of_full_load_a_day_is_seen_at_every_scrape_interval(tmp_path: Path, step: int) -> None:
    hot: dict[str, Value] = {
        FB: lambda m: 6_000,
        SM: lambda m: 1.0 if 600 <= m < 660 else 0.02,
        DRAM: lambda m: 0.9 if 600 <= m < 660 else 0.01,
    }
    assert choice(usage_of(tmp_path, lines("p", hot, step))) not in SHARES


def test_a_counter_that_stopped_does_not_hide_the_one_that_went_on(tmp_path: Path) -> None:
    stopped: dict[str, Value] = {
        FB: lambda m: 6_000,
        SM: lambda m: 0.02 if m < 1_200 else None,
        UTIL: lambda m: 2 if m < 1_200 else 100,
    }
    assert choice(usage_of(tmp_path, lines("p", stopped))) not in SHARES


def test_pods_on_an_instance_and_on_a_whole_gpu_are_not_mixed(tmp_path: Path) -> None:
    small: dict[str, Value] = {FB: lambda m: 6_000, SM: lambda m: 0.3, DRAM: lambda m: 0.2}
    large: dict[str, Value] = {FB: lambda m: 6_000, SM: lambda m: 0.65, DRAM: lambda m: 0.6}
    owner = [
        f'kube_pod_owner{{namespace="a",pod="{pod}",owner_kind="ReplicaSet",owner_name="r"}} 1 1772323200000'
        for pod in "pq"
    ]
    cut = lines("p", small, gpu="1", GPU_I_PROFILE="1g.10gb", GPU_I_ID="7")
    assert choice(usage_of(tmp_path, cut, lines("q", large), owner)) not in SHARES


@pytest.mark.parametrize("value", ["true", "True", "yes", "TRUE"])
def test_a_guard_label_holds_in_every_spelling(tmp_path: Path, value: str) -> None:
    label = [
        f'kube_pod_labels{{namespace="a",pod="p",label_stellwerk_dev_whole_gpu="{value}"}} 1 1772323200000'
    ]
    assert choice(usage_of(tmp_path, lines("p", LOW), label)) not in SHARES


def test_a_pod_that_moved_holds_one_gpu_at_a_time(tmp_path: Path) -> None:
    first: dict[str, Value] = {
        FB: lambda m: 6_000 if m < 720 else None,
        SM: lambda m: 0.02 if m < 720 else None,
    }
    then: dict[str, Value] = {
        FB: lambda m: 6_000 if m >= 720 else None,
        SM: lambda m: 0.02 if m >= 720 else None,
    }
    usage = usage_of(tmp_path, lines("sts-0", first), lines("sts-0", then, gpu="1"))
    assert [len(pod.devices) for pod in usage.pods] == [1, 1]
    assert any(warning.code == "pod-moved" for warning in usage.warnings)
    rebuilt = demand_from_usage("x", usage, [Judged()] * len(usage.pods))
    assert rebuilt.held_gpu_ms == DAY * MINUTE


def test_ten_minutes_of_a_counter_are_no_evidence(tmp_path: Path) -> None:
    brief: dict[str, Value] = {
        FB: lambda m: 6_000,
        SM: lambda m: 0.3,
        DRAM: lambda m: 0.02 if m < 10 else None,
    }
    verdict = advise_usage(usage_of(tmp_path, lines("p", brief)), None, Margins()).workloads[0]
    assert verdict.profile.bandwidth is None


def test_gpu_models_of_one_workload_are_not_mixed(tmp_path: Path) -> None:
    owner = [
        f'kube_pod_owner{{namespace="a",pod="{pod}",owner_kind="ReplicaSet",owner_name="r"}} 1 1772323200000'
        for pod in "pq"
    ]
    other = lines("q", LOW, gpu="1", modelName="NVIDIA H100 PCIe")
    assert choice(usage_of(tmp_path, lines("p", LOW), other, owner)) not in SHARES


@pytest.mark.parametrize("value", ["required", "Required"])
def test_isolation_holds_in_every_spelling(tmp_path: Path, value: str) -> None:
    label = [
        f'kube_pod_labels{{namespace="a",pod="p",label_stellwerk_dev_isolation="{value}"}} 1 1772323200000'
    ]
    plain = lines("p", LOW, modelName="NVIDIA A10")
    assert choice(usage_of(tmp_path, plain, label)) not in SHARES

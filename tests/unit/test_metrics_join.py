"""Series become devices and pods: each value counted once, each doubt named."""

from array import array
from collections.abc import Mapping

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.joining.join import join_series
from stellwerk.engine.joining.series import Findings, Series
from stellwerk.engine.usage import FB_USED, POWER, UTIL, Hole, PodUse, Samples, Usage

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
GPU = {"gpu": "0", "UUID": "GPU-a", "Hostname": "n1", "modelName": "NVIDIA A100-SXM4-80GB"}
STEP = 30_000


def series(metric: str, values: Mapping[int, int], pod: str = "", **labels: str) -> Series:
    """A series of GPU-a at {step: value in whole units}, in the order given."""
    named = {"pod": pod, "namespace": "lab"} if pod else {}
    times = array("q", (step * STEP for step in values))
    return Series(
        metric, GPU | named | labels, times, array("q", (1000 * value for value in values.values()))
    )


def kube(metric: str, value: int = 1, **labels: str) -> Series:
    return Series(
        f"kube_{metric}", {"namespace": "lab", **labels}, array("q", [0]), array("q", [1000 * value])
    )


def join(*given: Series) -> Usage:
    return join_series(given, Findings(), "test")


def plain(samples: Samples | None) -> dict[int, int] | None:
    """{step: value in whole units}."""
    if samples is None:
        return None
    pairs = zip(samples.times_ms, samples.values_milli, strict=True)
    return {time // STEP: value // 1000 for time, value in pairs}


def pods(usage: Usage) -> dict[str, PodUse]:
    return {pod.pod: pod for pod in usage.pods}


def codes(usage: Usage) -> dict[str, str]:
    return {warning.code: str(warning) for warning in usage.warnings}


def test_a_value_repeated_on_sharing_pods_counts_once_and_is_nobodys() -> None:
    same = {0: 40, 1: 60}
    usage = join(*(series(metric, same, pod) for metric in (UTIL, FB_USED, POWER) for pod in "ab"))
    (device,) = usage.devices
    assert plain(device.series[UTIL]) == plain(device.series[FB_USED]) == plain(device.series[POWER]) == same
    for name, other in (("a", "lab/b"), ("b", "lab/a")):
        pod = pods(usage)[name]
        assert not pod.series and not pod.attributed and pod.shared_with == (other,)
    assert "2 pods share a GPU" in codes(usage)["shared-not-split"]


def test_the_label_vgpu_does_not_make_a_value_count_twice() -> None:
    usage = join(*(series(UTIL, {0: 40, 1: 40}, pod, vgpu=str(i)) for i, pod in enumerate("abc")))
    assert plain(usage.devices[0].series[UTIL]) == {0: 40, 1: 40}
    assert not any(pod.attributed for pod in usage.pods)


def test_values_of_a_pods_own_processes_are_the_pods_and_their_sum_the_devices() -> None:
    usage = join(
        series(UTIL, {0: 10, 1: 20}, "a"),
        series(UTIL, {0: 30, 1: 20}, "b"),
        series(FB_USED, {0: 1000, 1: 1000}, "a"),
        series(FB_USED, {0: 1000, 1: 1000}, "b"),
        series(POWER, {0: 300, 1: 310}, "a"),
        series(POWER, {0: 300, 1: 310}, "b"),
    )
    (device,) = usage.devices
    assert plain(device.series[UTIL]) == {0: 40, 1: 40}
    assert plain(device.series[FB_USED]) == {0: 2000, 1: 2000}, "utilization shows that memory is per pod too"
    assert plain(device.series[POWER]) == {0: 300, 1: 310}
    found = pods(usage)["a"]
    assert plain(found.series[UTIL]) == {0: 10, 1: 20} and plain(found.series[FB_USED]) == {0: 1000, 1: 1000}
    assert POWER not in found.series and found.attributed and found.shared_with == ("lab/b",)


def test_one_scrape_that_was_mixed_up_does_not_make_repeated_values_add_up() -> None:
    same = dict.fromkeys(range(40), 80)
    usage = join(series(UTIL, same, "a"), series(UTIL, same | {7: 79}, "b"))
    assert plain(usage.devices[0].series[UTIL]) == same
    assert codes(usage)["values-differ"].startswith("1 values") and not pods(usage)["a"].attributed


def test_processes_cannot_use_more_than_the_whole_gpu() -> None:
    usage = join(series(UTIL, {0: 70}, "a"), series(UTIL, {0: 60}, "b"))
    assert plain(usage.devices[0].series[UTIL]) == {0: 100}


def test_a_pod_of_a_split_device_that_is_missing_makes_the_sum_unknown() -> None:
    usage = join(
        series(UTIL, {0: 10, 1: 10}, "a"),
        series(UTIL, {0: 30}, "b"),
        series(FB_USED, {0: 5, 1: 5}, "a"),
        series(FB_USED, {0: 7, 1: 7}, "b"),
    )
    assert plain(usage.devices[0].series[UTIL]) == {0: 40}
    assert "sum-incomplete" in codes(usage)


def test_pods_one_after_another_share_nothing() -> None:
    usage = join(series(UTIL, {0: 10, 1: 20}, "a"), series(UTIL, {2: 30, 3: 40}, "b"), series(UTIL, {4: 0}))
    assert plain(usage.devices[0].series[UTIL]) == {0: 10, 1: 20, 2: 30, 3: 40, 4: 0}
    first, second = pods(usage)["a"], pods(usage)["b"]
    assert plain(first.series[UTIL]) == {0: 10, 1: 20} and first.attributed and not first.shared_with
    assert (first.start_ms, first.end_ms) == (0, 2 * STEP) and second.end_ms == 4 * STEP


def test_a_pod_is_alone_before_and_after_it_shares() -> None:
    usage = join(series(UTIL, {0: 10, 1: 50, 2: 20}, "a"), series(UTIL, {1: 50}, "b"))
    assert plain(pods(usage)["a"].series[UTIL]) == {0: 10, 2: 20}
    assert plain(usage.devices[0].series[UTIL]) == {0: 10, 1: 50, 2: 20}
    assert not pods(usage)["a"].attributed


def test_pods_that_are_seen_in_turn_share_the_device() -> None:
    usage = join(series(UTIL, {0: 10, 2: 20, 4: 30}, "a"), series(UTIL, {1: 40, 3: 50, 5: 60}, "b"))
    assert plain(usage.devices[0].series[UTIL]) == {0: 10, 1: 40, 2: 20, 3: 50, 4: 30, 5: 60}
    assert plain(pods(usage)["a"].series[UTIL]) == {0: 10} and plain(pods(usage)["b"].series[UTIL]) == {5: 60}
    assert pods(usage)["a"].shared_with == ("lab/b",) and not pods(usage)["a"].attributed
    assert codes(usage)["pods-in-turn"].endswith("lab/a, lab/b")


def test_a_scrape_that_misses_a_pod_does_not_give_its_part_to_the_other() -> None:
    usage = join(series(UTIL, {0: 10, 1: 20, 2: 10}, "a"), series(UTIL, {0: 30, 2: 30}, "b"))
    assert plain(usage.devices[0].series[UTIL]) == {0: 40, 2: 40}, "20 alone would be too little"
    assert plain(pods(usage)["a"].series[UTIL]) == {0: 10, 1: 20, 2: 10}
    assert "pods-in-turn" not in codes(usage)


def test_a_device_value_beside_those_of_processes_is_the_devices() -> None:
    usage = join(series(UTIL, {0: 45}), series(UTIL, {0: 10}, "a"), series(UTIL, {0: 30}, "b"))
    assert plain(usage.devices[0].series[UTIL]) == {0: 45}
    assert plain(pods(usage)["b"].series[UTIL]) == {0: 30}


def test_a_pod_alone_on_a_device_has_the_devices_values_also_where_the_exporter_sees_no_processes() -> None:
    """Without hostPID the exporter shows 0 for each pod (dcgm-exporter, deployment/values.yaml)."""
    usage = join(series(UTIL, {0: 90, 1: 80}), series(UTIL, {0: 0, 1: 0}, "a"))
    assert plain(usage.devices[0].series[UTIL]) == {0: 90, 1: 80}
    assert plain(pods(usage)["a"].series[UTIL]) == {0: 90, 1: 80}
    assert "values-conflict" not in codes(usage)


def test_two_scrapers_of_one_exporter_are_one_device_and_no_conflict() -> None:
    usage = join(series(UTIL, {0: 10, 1: 20}, "a", job="x"), series(UTIL, {0: 10, 1: 20}, "a", job="y"))
    assert plain(usage.devices[0].series[UTIL]) == {0: 10, 1: 20} and "values-conflict" not in codes(usage)


def test_two_scrapers_in_turn_do_not_halve_the_interval() -> None:
    times = [array("q", (at * STEP + offset for at in range(9))) for offset in (0, 10_000)]
    labels = [GPU | {"prometheus_replica": name} for name in "xy"]
    usage = join(
        *(Series(UTIL, each, at, array("q", [5000] * 9)) for each, at in zip(labels, times, strict=True))
    )
    assert usage.interval_ms == STEP and not usage.holes and len(usage.devices[0].series[UTIL].times_ms) == 18


def test_scrapes_in_files_of_their_own_have_the_interval_of_the_device() -> None:
    assert join(*(series(UTIL, {at: 1}) for at in (0, 2, 4, 6))).interval_ms == 2 * STEP


def test_a_sample_twice_with_another_value_keeps_the_last_and_says_so() -> None:
    twice = Series(UTIL, GPU, array("q", [0, STEP, STEP]), array("q", [1000, 2000, 3000]))
    usage = join(twice)
    assert plain(usage.devices[0].series[UTIL]) == {0: 1, 1: 3}
    assert codes(usage)["values-conflict"].startswith("1 samples") and "times-back" not in codes(usage)


def test_a_clock_that_goes_back_is_sorted_and_named() -> None:
    usage = join(series(UTIL, {0: 1, 1: 2, 5: 3, 2: 4, 3: 5}))
    assert list(usage.devices[0].series[UTIL].times_ms) == [0, STEP, 2 * STEP, 3 * STEP, 5 * STEP]
    assert codes(usage)["times-back"].startswith("the time went back 1 times")
    assert codes(usage)["times-back"].endswith("at n1: samples were sorted")


def test_a_hole_is_where_no_device_of_the_node_was_scraped() -> None:
    gap = {0: 1, 1: 1, 2: 1, 6: 1, 7: 1}
    whole = {**dict.fromkeys(range(8), 1)}
    usage = join(
        series(UTIL, gap),
        series(UTIL, whole, UUID="GPU-b", gpu="1"),
        series(UTIL, gap, UUID="GPU-c", Hostname="n2"),
    )
    assert usage.interval_ms == STEP
    assert usage.holes == (Hole("n2", 3 * STEP, 6 * STEP),)
    assert "1 times, 1 minutes in all, on: n2" in codes(usage)["hole"]
    assert codes(usage)["device-gap"] == "3 scrapes of a node lack one of its GPUs: GPU-a"


def test_a_hole_of_all_nodes_is_one_hole() -> None:
    gap = {0: 1, 1: 1, 2: 1, 6: 1, 7: 1}
    usage = join(series(UTIL, gap), series(UTIL, gap, UUID="GPU-b", Hostname="n2"))
    assert usage.holes == (Hole("", 3 * STEP, 6 * STEP),)


def test_a_pod_that_spans_a_hole_stays_one_pod() -> None:
    usage = join(series(UTIL, {0: 1, 1: 1, 2: 1, 9: 1}, "a"), series(UTIL, {0: 1, 1: 1}, "b", UUID="GPU-b"))
    assert (pods(usage)["a"].start_ms, pods(usage)["a"].end_ms) == (0, 10 * STEP)


def test_an_energy_counter_that_falls_names_the_node() -> None:
    usage = join(
        series(ENERGY, {0: 100, 1: 200, 2: 5, 3: 10, 4: 1}), series(UTIL, {0: 1, 1: 1, 2: 1, 3: 1, 4: 1})
    )
    assert codes(usage)["counter-reset"].startswith("the energy counter began anew 2 times")
    assert codes(usage)["counter-reset"].endswith("n1")


def test_a_pod_in_one_scrape_lasts_one_interval_and_is_named() -> None:
    usage = join(series(UTIL, {0: 1, 1: 1, 2: 1}), series(UTIL, {1: 1}, "quick"))
    quick = pods(usage)["quick"]
    assert (quick.start_ms, quick.end_ms) == (STEP, 2 * STEP)
    assert codes(usage)["pod-seen-once"].endswith("lab/quick")


def test_a_pod_in_one_scrape_whose_start_and_end_are_told_is_no_guess() -> None:
    usage = join(
        series(UTIL, {0: 1, 1: 1, 2: 1}),
        series(UTIL, {1: 1}, "quick"),
        kube("pod_start_time", 25, pod="quick"),
        kube("pod_completion_time", 30, pod="quick"),
    )
    quick = pods(usage)["quick"]
    assert (quick.start_ms, quick.end_ms, quick.start_told, quick.end_told) == (25_000, 30_000, True, True)
    assert "pod-seen-once" not in codes(usage)


def test_what_is_missing_is_named() -> None:
    usage = join(
        series(UTIL, {0: 1, 1: 1}, modelName="Odd GPU 9"), series(POWER, {0: 1}, UUID="GPU-b", modelName="")
    )
    found = codes(usage)
    assert found["memory-missing"].endswith("GPU-a, GPU-b") and found["compute-missing"].endswith(": GPU-b")
    assert found["power-missing"].endswith(": GPU-a") and found["model-unknown"].endswith("Odd GPU 9")
    assert found["model-missing"].endswith(": GPU-b")


def test_owners_requests_labels_and_times_come_from_kube_state_metrics() -> None:
    usage = join(
        series(UTIL, dict.fromkeys(range(2, 6), 1), "web-5d-x"),
        series(UTIL, dict.fromkeys(range(10), 1), UUID="GPU-b", gpu="1"),
        kube("pod_owner", pod="web-5d-x", owner_kind="ReplicaSet", owner_name="web-5d"),
        kube("replicaset_owner", replicaset="web-5d", owner_kind="Deployment", owner_name="web"),
        kube("pod_labels", pod="web-5d-x", label_stellwerk_dev_workload_kind="inference", label_app="web"),
        kube("pod_container_resource_requests", 1, pod="web-5d-x", container="a", resource="nvidia_com_gpu"),
        kube("pod_container_resource_requests", 8, pod="web-5d-x", container="a", resource="cpu"),
        kube("pod_start_time", 50, pod="web-5d-x"),
        kube("pod_completion_time", 190, pod="web-5d-x"),
    )
    pod = pods(usage)["web-5d-x"]
    assert (pod.owner_kind, pod.owner, pod.kind, pod.gpus_requested) == ("Deployment", "web", "inference", 1)
    assert pod.labels["app"] == "web" and pod.team == "lab"
    assert (pod.start_ms, pod.end_ms) == (50_000, 190_000)


def test_a_pod_that_no_scrape_shows_is_there_without_a_device_and_named() -> None:
    usage = join(
        series(UTIL, dict.fromkeys(range(10), 1)),
        kube("pod_container_resource_requests", 1, pod="p", container="a", resource="nvidia_com_gpu"),
        kube("pod_start_time", 95, pod="p"),
        kube("pod_completion_time", 110, pod="p"),
        kube("pod_container_resource_requests", 1, pod="pending", container="a", resource="nvidia_com_gpu"),
    )
    (pod,) = usage.pods
    assert (pod.pod, pod.devices, pod.start_ms, pod.end_ms) == ("p", (), 95_000, 110_000)
    assert codes(usage)["pod-not-scraped"].endswith("lab/p")


def test_the_exporters_own_pod_holds_no_gpu() -> None:
    own = {"pod": "nvidia-dcgm-exporter-x", "namespace": "gpu-operator"}
    usage = join(
        series(UTIL, {0: 1, 1: 1}, **own),
        series(UTIL, {0: 5, 1: 5}, UUID="GPU-b", exported_pod="p", exported_namespace="lab", **own),
    )
    assert [pod.name for pod in usage.pods] == ["lab/p"] and "exporter-pod" in codes(usage)


def test_scrapes_of_both_kinds_lose_no_pod_and_make_up_none() -> None:
    own = {"namespace": "gpus", "pod": "metrics-x7k2q"}
    usage = join(
        series(UTIL, {0: 1, 1: 1}, "web-0", UUID="GPU-a"),
        series(UTIL, {0: 5, 1: 5}, UUID="GPU-b", exported_pod="p", exported_namespace="lab", **own),
        # A free GPU: the exporter's name tells nothing, but its DaemonSet's other pod was scraped as well.
        series(UTIL, {0: 0, 1: 0}, UUID="GPU-c", namespace="gpus", pod="metrics-9zzpl"),
        # Only the pod's label was there twice.
        series(UTIL, {0: 7, 1: 7}, UUID="GPU-d", exported_pod="q", namespace="lab", pod="metrics-9zzpl"),
    )
    assert [pod.name for pod in usage.pods] == ["lab/p", "lab/q", "lab/web-0"]
    assert codes(usage)["exporter-pod"].endswith(": metrics-9zzpl")


def test_clusters_that_are_read_as_one_are_named() -> None:
    usage = join(
        series(UTIL, {0: 1, 1: 1}, "web-0", UUID="GPU-a", cluster="berlin"),
        series(UTIL, {0: 5, 1: 5}, "web-0", UUID="GPU-b", cluster="paris"),
    )
    assert codes(usage)["clusters-merged"].endswith(": berlin, paris")
    alone = join(series(UTIL, {0: 1, 1: 1}, "a", cluster="berlin"), series(UTIL, {0: 5, 1: 5}, UUID="GPU-b"))
    assert "clusters-merged" not in codes(alone)


def test_the_exporters_own_pod_holds_no_gpu_on_idle_nodes_either() -> None:
    usage = join(series(UTIL, {0: 1, 1: 1}, "nvidia-dcgm-exporter-x"))
    assert not usage.pods and "exporter-pod" in codes(usage)


def test_a_name_that_two_pods_bore_is_two_pods() -> None:
    usage = join(
        series(UTIL, {0: 10, 1: 20}, "db-0", pod_uid="u1"),
        series(UTIL, {5: 30, 6: 40}, "db-0", pod_uid="u2"),
        series(UTIL, dict.fromkeys(range(2, 5), 0)),
        series(UTIL, dict.fromkeys(range(7), 1), "one", UUID="GPU-b", pod_uid="u3"),
    )
    assert [(pod.pod, pod.start_ms // STEP, pod.end_ms // STEP) for pod in usage.pods] == [
        ("db-0", 0, 2),
        ("db-0", 5, 7),
        ("one", 0, 7),
    ]
    assert "pod-gap" not in codes(usage) and plain(usage.pods[1].series[UTIL]) == {5: 30, 6: 40}


def test_instances_of_a_gpu_are_devices_of_their_own() -> None:
    mig = {"GPU_I_PROFILE": "1g.10gb"}
    usage = join(*(series(FB_USED, {0: i, 1: i}, f"p{i}", GPU_I_ID=str(i), **mig) for i in (7, 8)))
    assert [(d.key, d.profile, d.instance) for d in usage.devices] == [
        ("GPU-a/1g.10gb/7", "1g.10gb", "7"),
        ("GPU-a/1g.10gb/8", "1g.10gb", "8"),
    ]
    assert not pods(usage)["p7"].shared_with and plain(pods(usage)["p8"].series[FB_USED]) == {0: 8, 1: 8}


def test_a_pods_gpus_give_the_fullest_memory_the_mean_utilization_and_the_summed_power() -> None:
    values = {UTIL: (10, 31), FB_USED: (500, 900), POWER: (100, 200)}
    usage = join(
        *(
            series(metric, {0: value, 1: value}, "p", UUID=f"GPU-{i}")
            for metric, pair in values.items()
            for i, value in enumerate(pair)
        )
    )
    (pod,) = usage.pods
    assert pod.devices == ("GPU-0", "GPU-1")
    assert list(pod.series[UTIL].values_milli) == [20_500, 20_500]
    assert plain(pod.series[FB_USED]) == {0: 900, 1: 900} and plain(pod.series[POWER]) == {0: 300, 1: 300}


def test_the_order_of_series_does_not_matter() -> None:
    given = [series(m, {0: i, 1: i + 1}, p, UUID=f"GPU-{i % 3}") for i, (m, p) in enumerate(
        (m, p) for m in (UTIL, FB_USED) for p in "abc")]  # fmt: skip
    assert join(*given) == join(*reversed(given))


def test_series_without_a_gpu_are_refused() -> None:
    with pytest.raises(InvalidInput, match="no reading of a GPU"):
        join(kube("pod_info", pod="p"))

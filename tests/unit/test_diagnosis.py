"""Facts in, findings out: each finding is found where it should be, and nowhere else."""

from typing import Any

import pytest
from msgspec.structs import replace

from stellwerk.catalog.dcgm import BLANK_INT64
from stellwerk.engine.diagnosis.cluster import SERIES
from stellwerk.engine.diagnosis.diagnose import Diagnosis, diagnose
from stellwerk.engine.diagnosis.exporter import ALERTED, COMPUTE, FIELDS
from stellwerk.engine.diagnosis.facts import (
    ClusterFacts,
    DatabaseFacts,
    Facts,
    HistoryFacts,
    RuleFacts,
    Series,
)
from stellwerk.engine.diagnosis.findings import KINDS, MISSING, OK, VERBS, WARNING
from stellwerk.report.diagnosis.table import diagnosis_table

DAY_MS = 86_400_000
NOW = 20_600 * DAY_MS + 7 * 3_600_000
UTIL, GR, FB = "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_DEV_FB_USED"
GPU = {"gpu": "0", "UUID": "GPU-1", "modelName": "NVIDIA L40S", "Hostname": "n1"}
POD = {"pod": "llm-0", "namespace": "web", "container": "main"}


def series(metric: str = FB, labels: dict[str, str] | None = None, values: str = "5 6 7") -> Series:
    """A sample every 30 s, the last one at NOW."""
    found = values.split()
    points = [(NOW - 30_000 * back, value) for back, value in enumerate(reversed(found))]
    return Series(metric=metric, labels=GPU | POD if labels is None else labels, points=tuple(points[::-1]))


def without(labels: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in names}


WHOLE = Facts(
    database=DatabaseFacts(
        product="Prometheus",
        version="3.5.0",
        answer_ms=4,
        clock_ahead_s=1,
        retention="90d",
        limits={"query.max-samples": "50000000", "query.timeout": "2m", "search.maxQueryDuration": "1m30s"},
        day_samples=25_920,
        count_ms=20,
    ),
    history=HistoryFacts(
        start_ms=20_570 * DAY_MS, now_ms=NOW, newest_ms=NOW, oldest_ms=20_560 * DAY_MS, future=False
    ),
    fields=dict.fromkeys((*COMPUTE, *(name for names in FIELDS.values() for name in names), *ALERTED), 1),
    samples=(series(), series(UTIL), series(GR)),
    cluster=ClusterFacts(
        series=dict.fromkeys(
            (*(name for names in SERIES.values() for name in names), "kueue_pending_workloads"), 2
        ),
        nodes=("n1",),
        running=("web/llm-0",),
        kinds=1,
    ),
    rules=RuleFacts(names=("stellwerk:gpu:pods",)),
    own={"stellwerk:gpu:pods": 1},
)
# What of WHOLE is fine, and said.
FINE = {
    "database-answers",
    "retention-known",
    "history-there",
    "gpus-measured",
    "pods-known",
    "queues-known",
    "rules-run",
}


def changed(part: str, **values: Any) -> Facts:
    """WHOLE with other values in one part of it, or (part "") at the top."""
    return replace(WHOLE, **({part: replace(getattr(WHOLE, part), **values)} if part else values))


def sampled(*samples: Series) -> Facts:
    return changed("", samples=samples)


def lacking(*metrics: str) -> Facts:
    return changed("", fields={name: 1 for name in WHOLE.fields if name not in metrics})


def unseen(*metrics: str) -> Facts:
    return changed("cluster", series={name: 1 for name in WHOLE.cluster.series if name not in metrics})


def of_two(first: str, second: str, metric: str = FB) -> Facts:
    """Two pods on one GPU at the same times."""
    other = GPU | POD | {"pod": "llm-1"}
    facts = sampled(series(metric, values=first), series(metric, other, second))
    return replace(facts, cluster=replace(facts.cluster, running=("web/llm-0", "web/llm-1")))


MIG = GPU | POD | {"GPU_I_ID": "3", "GPU_I_PROFILE": "1g.10gb"}
NOBODY = changed("history", newest_ms=None, oldest_ms=None)
# Code -> facts with which it is found; with WHOLE itself none but FINE is.
CASES: dict[str, Facts] = {
    **dict.fromkeys(FINE, WHOLE),
    "history-none": replace(NOBODY, samples=(), fields={}),
    "history-short": changed("history", oldest_ms=20_590 * DAY_MS),
    "samples-old": changed("history", newest_ms=NOW - 400_000),
    "samples-future": changed("history", future=True),
    "clock-differs": changed("database", clock_ahead_s=-31),
    "interval-long": sampled(
        Series(metric=FB, labels=GPU | POD, points=((NOW - 61_000, "1"), (NOW, "2"))),
    ),
    "limit-low": changed("database", limits={"query.timeout": "9s"}),
    "count-refused": changed("database", count_refused="too many samples"),
    "answers-partial": changed("database", doubts=("isPartial",)),
    "driver-known": sampled(series(labels=GPU | POD | {"DCGM_FI_DRIVER_VERSION": "550.54"})),
    "compute-missing": lacking(*COMPUTE),
    "memory-missing": lacking(FB),
    "profiling-missing": lacking(GR, "DCGM_FI_PROF_SM_ACTIVE"),
    "bandwidth-missing": lacking("DCGM_FI_PROF_DRAM_ACTIVE"),
    "tensor-missing": lacking("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"),
    "nvlink-missing": lacking("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL"),
    "power-missing": lacking("DCGM_FI_DEV_POWER_USAGE"),
    "energy-missing": lacking("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
    "alerts-missing": lacking("DCGM_FI_DEV_XID_ERRORS"),
    "pods-missing": sampled(series(labels=GPU)),
    "pods-unnamed": changed("cluster", running=("web/llm-0", "web/llm-1")),
    "pods-repeated": of_two("5 6 7", "5 6 7"),
    "pods-split": of_two("5 6 7", "5 6 8"),
    "pods-zero": sampled(series(UTIL, GPU, "0 90 80"), series(UTIL, values="0 0 0")),
    "labels-renamed": sampled(
        series(
            labels=GPU
            | {"pod": "nvidia-dcgm-exporter-x", "namespace": "gpu-operator"}
            | {"exported_pod": "llm-0", "exported_namespace": "web"}
        )
    ),
    "clusters-merged": sampled(
        series(labels=GPU | POD | {"cluster": "berlin"}),
        series(labels=GPU | POD | {"UUID": "GPU-2", "cluster": "paris"}),
    ),
    "hostname-mixed": sampled(
        series(), series(labels=without(GPU, "Hostname") | POD | {"hostname": "n1", "UUID": "GPU-2"})
    ),
    "node-unnamed": sampled(series(labels=without(GPU, "Hostname") | POD | {"instance": "n1:9400"})),
    "uuid-missing": sampled(series(labels=without(GPU, "UUID") | POD)),
    "model-missing": sampled(series(labels=without(GPU, "modelName") | POD)),
    "model-unknown": sampled(series(labels=GPU | POD | {"modelName": "NVIDIA Z9"})),
    "mig-compute": sampled(series(labels=MIG)),
    "values-blank": sampled(series(values=f"5 {BLANK_INT64} 7")),
    "kube-missing": changed("", cluster=ClusterFacts(series={"kueue_pending_workloads": 1})),
    "owner-missing": unseen("kube_pod_owner", "kube_pod_info"),
    "requests-missing": unseen("kube_pod_container_resource_requests"),
    "start-missing": unseen("kube_pod_start_time"),
    "end-missing": unseen("kube_pod_completion_time"),
    "pending-missing": unseen("kube_pod_status_phase"),
    "kind-missing": changed("cluster", kinds=0),
    "node-life-missing": unseen("kube_node_created"),
    "cordon-missing": unseen("kube_node_spec_unschedulable"),
    "node-unmatched": changed("cluster", nodes=("n1.example.org",)),
    "kueue-missing": unseen("kueue_pending_workloads"),
    "rules-none": changed("", rules=RuleFacts(), own={}),
    "rules-failing": changed(
        "rules", names=("stellwerk:gpu:pods",), failing=(("stellwerk:gpu:pods", "many-to-many"),)
    ),
}


def codes(diagnosis: Diagnosis) -> set[str]:
    return {each.code for layer in diagnosis.layers for each in layer.findings}


def test_every_finding_has_a_case() -> None:
    assert set(CASES) == set(KINDS)


@pytest.mark.parametrize("code", sorted(CASES))
def test_a_finding_is_found_and_is_the_only_one_that_is_not_fine(code: str) -> None:
    found = codes(diagnose(CASES[code]))
    assert code in found
    wrong = {each for each in found if KINDS[each].verdict != OK}
    assert wrong <= {code}


def test_with_all_of_it_every_layer_is_fine_and_every_verb_works() -> None:
    diagnosis = diagnose(WHOLE)
    assert codes(diagnosis) == FINE
    assert {layer.verdict for layer in diagnosis.layers} == {OK}
    assert diagnosis.works


@pytest.mark.parametrize(
    ("code", "stopped"),
    [
        ("history-none", set(VERBS)),
        ("pods-missing", set(VERBS)),
        ("compute-missing", {"advise"}),
        ("memory-missing", {"advise"}),
        ("kube-missing", set()),
        ("bandwidth-missing", set()),
    ],
)
def test_what_stops_a_verb_and_what_does_not(code: str, stopped: set[str]) -> None:
    diagnosis = diagnose(CASES[code])
    assert {verb for verb, by in diagnosis.stopped_by.items() if by == (code,)} == stopped
    assert diagnosis.works is not bool(stopped)


def test_a_layer_is_as_bad_as_its_worst_finding() -> None:
    facts = replace(lacking(FB, "DCGM_FI_DEV_POWER_USAGE"), cluster=CASES["kind-missing"].cluster)
    verdicts = {layer.name: layer.verdict for layer in diagnose(facts).layers}
    assert verdicts == {
        "database": OK,
        "exporter": MISSING,
        "kube-state-metrics": WARNING,
        "kueue": OK,
        "stellwerk": OK,
    }


def test_pods_one_after_the_other_share_nothing() -> None:
    early = replace(series(), points=((NOW - 60_000, "5"),))
    late = Series(metric=FB, labels=GPU | POD | {"pod": "llm-1"}, points=((NOW, "5"),))
    assert not {"pods-repeated", "pods-split"} & codes(diagnose(sampled(early, late)))


def test_two_pods_that_do_nothing_do_not_tell_whether_values_are_repeated() -> None:
    assert not {"pods-repeated", "pods-split"} & codes(diagnose(of_two("0 0 0", "0 0 0")))
    assert not {"pods-repeated", "pods-split"} & codes(diagnose(of_two("5 6 7", "5 6 7", metric=GR)))


@pytest.mark.parametrize(
    ("device", "pod"),
    [
        ("3 9 9", "0 0 0"),  # Hardly busy: shares of processes are rounded.
        ("90 90 90", "0 0 85"),  # The pod's first use is late.
        (str(1 << 47), "0"),  # DCGM's blank is no use.
        ("90 90 90", "90 90 90"),
    ],
)
def test_processes_that_are_seen_and_gpus_that_are_idle_are_no_finding(device: str, pod: str) -> None:
    assert "pods-zero" not in codes(diagnose(sampled(series(UTIL, GPU, device), series(UTIL, values=pod))))


def test_a_busy_gpu_without_a_pod_of_its_own_at_that_time_is_no_finding() -> None:
    held = Series(metric=UTIL, labels=GPU | POD, points=((NOW - 60_000, "0"),))
    free = Series(metric=UTIL, labels=GPU, points=((NOW, "90"),))
    assert "pods-zero" not in codes(diagnose(sampled(held, free)))


def test_a_cluster_in_which_nobody_has_a_gpu_misses_no_names() -> None:
    facts = sampled(series(labels=GPU))
    assert "pods-missing" not in codes(diagnose(replace(facts, cluster=replace(facts.cluster, running=()))))
    assert "pods-missing" in codes(diagnose(replace(facts, cluster=ClusterFacts())))


@pytest.mark.parametrize(
    ("name", "value", "low"),
    [
        ("query.max-samples", "999999", True),
        ("query.max-samples", "1000000", False),
        ("search.maxSamplesPerQuery", "0", False),
        ("search.maxQueryLen", "8192", True),
        ("query.timeout", "9500ms", True),
        ("search.maxQueryDuration", "1m0s", False),
        ("search.maxQueryDuration", "soon", False),
        ("search.maxSamplesPerQuery", "1e3", False),
    ],
)
def test_a_limit_is_low_by_its_number_or_duration(name: str, value: str, low: bool) -> None:
    assert ("limit-low" in codes(diagnose(changed("database", limits={name: value})))) is low


def test_days_are_counted_as_days_counts_them() -> None:
    [found] = [
        each
        for layer in diagnose(CASES["history-short"]).layers
        for each in layer.findings
        if each.code == "history-short"
    ]
    assert found.reason.values == {"since": "2026-05-17", "found": 10, "days": 30}


def test_names_that_a_terminal_would_obey_are_cleaned() -> None:
    facts = changed("cluster", running=("web/llm-0", "web/\x1b[31mred"))
    text = diagnosis_table(diagnose(facts), "en")
    assert "\x1b" not in text and "web/?[31mred" in text


def test_metrics_with_one_next_step_are_named_in_one() -> None:
    facts = lacking("DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_PROF_DRAM_ACTIVE")
    text = diagnosis_table(diagnose(facts), "en", 1000)
    assert text.count("Next:") == 1
    assert text.splitlines()[4].endswith("counters: DCGM_FI_PROF_DRAM_ACTIVE, DCGM_FI_DEV_POWER_USAGE")


def test_the_table_says_of_each_verb_what_stops_it() -> None:
    text = diagnosis_table(diagnose(CASES["memory-missing"]), "en")
    assert text.splitlines()[-3:] == [
        f"{'advise':<20}cannot work: memory-missing",
        f"{'bill':<20}can work",
        f"{'whatif':<20}can work",
    ]

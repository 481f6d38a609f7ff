"""Profiles from series, verdicts, packing, and what the verb prints and writes."""

import json
from array import array
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from stellwerk.api.manifests import load_manifests
from stellwerk.api.validation import validate
from stellwerk.cli.main import main
from stellwerk.engine.advice.classify import classify
from stellwerk.engine.advice.profiles import profiles_of
from stellwerk.engine.advice.rules import Margins
from stellwerk.engine.advice.verdict import advise
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.usage import FB_USED, GR_ENGINE, SM_ACTIVE, UTIL, DeviceUse, PodUse, Samples, Usage
from stellwerk.report.advice.brief import render_brief
from stellwerk.report.advice.manifests import advice_manifests
from stellwerk.report.advice.verdicts import advice_plain, render_advice
from stellwerk.report.partition.claims import object_name
from stellwerk.sim.advice import advise_usage
from stellwerk.sim.intake.fleets import named_fleet

MINUTE = 60_000
DAY = 24 * 60
H100 = "H100-PCIE-80GB"
REAL = Path(__file__).parents[3] / "shared/data/usage/genai_pod_gpu_1min.csv.xz"
Metrics = dict[str, list[int]]


def samples(values: list[int]) -> Samples:
    return Samples(array("q", [at * MINUTE for at in range(len(values))]), array("q", values))


def usage_of(pods: dict[str, Metrics], model: str = H100, profile: str = "", **fields: object) -> Usage:
    """One GPU and one pod a name; each metric one value a minute."""
    length = max(len(values) for metrics in pods.values() for values in metrics.values())
    made = [
        PodUse(
            namespace="team",
            pod=name,
            devices=(f"gpu-{name}",),
            start_ms=0,
            end_ms=length * MINUTE,
            series={metric: samples(values) for metric, values in metrics.items()},
            **fields,  # type: ignore[arg-type]
        )
        for name, metrics in pods.items()
    ]
    devices = [
        DeviceUse(key=f"gpu-{name}", node=f"n-{name}", uuid=name, index="0", model=model, profile=profile)
        for name in pods
    ]
    return Usage(
        start_ms=0, end_ms=length * MINUTE, interval_ms=MINUTE, devices=tuple(devices), pods=tuple(made)
    )


def light(length: int = DAY) -> Metrics:
    """10 % of the SMs, 8,000 MiB."""
    return {SM_ACTIVE: [100] * length, FB_USED: [8_000_000] * length}


def test_percentiles_are_nearest_rank_and_each_unit_becomes_ours() -> None:
    usage = usage_of({"a": {UTIL: [1000 * at for at in range(100)], FB_USED: [1_000_000] * 100}})
    [found] = profiles_of(usage)
    assert found.compute_metric == "UTIL" and found.compute is not None and found.memory is not None
    assert (found.compute.p50, found.compute.p95, found.compute.p99, found.compute.most) == (
        490,
        940,
        980,
        990,
    )
    assert found.memory.most == 1000 * 1024**2 and found.bandwidth is None and found.nvlink is None


def test_sm_active_goes_before_coarser_counters() -> None:
    [found] = profiles_of(usage_of({"a": {**light(), UTIL: [100_000] * DAY, GR_ENGINE: [1000] * DAY}}))
    assert found.compute_metric == "SM" and found.compute is not None and found.compute.p95 == 100


def test_pods_of_one_owner_are_one_workload() -> None:
    usage = usage_of({"a": light(), "b": light()}, owner_kind="Deployment", owner="web")
    [found] = profiles_of(usage)
    assert (found.name, found.pods, found.at_once) == ("team/web", 2, 2)
    assert found.memory is not None and found.memory.samples == 2 * DAY


def test_what_an_instance_used_counts_as_its_part_of_the_gpu() -> None:
    metrics = {GR_ENGINE: [700] * DAY, FB_USED: [5_000_000] * DAY}
    [found] = profiles_of(usage_of({"a": metrics}, profile="1g.10gb"))
    assert found.compute is not None and found.compute.p95 == 100 and not found.full_instance


@pytest.mark.parametrize(
    ("label", "value", "choice"),
    [
        ("stellwerk.dev/whole-gpu", "true", "whole"),
        ("stellwerk_dev_whole_gpu", "true", "whole"),
        ("stellwerk.dev/isolation", "required", "other-model"),
        ("stellwerk.dev/latency-objective", "100ms", "other-model"),
        ("stellwerk.dev/latency-objective", "soon", "other-model"),
        ("app", "x", "mps"),
    ],
)
def test_a_label_forbids_what_a_gpu_without_mig_cannot_keep(label: str, value: str, choice: str) -> None:
    [found] = profiles_of(usage_of({"a": light()}, model="L40S", labels={label: value}, kind="inference"))
    verdict = advise(found, gpu_facts("L40S"))
    assert verdict.choice in {choice, "whole"} and (choice == "mps") == (verdict.choice == "mps")


def test_a_kind_says_whether_a_label_or_behavior_gave_it() -> None:
    [labeled] = profiles_of(usage_of({"a": light()}, kind="batch"))
    assert (classify(labeled).kind, classify(labeled).by) == ("batch", "label")
    bursts = {SM_ACTIVE: ([0] * 8 + [200] * 2) * 144, FB_USED: [8_000_000] * DAY}
    [found] = profiles_of(usage_of({"a": bursts}))
    assert (classify(found).kind, classify(found).by) == ("inference", "behavior")
    steady = {SM_ACTIVE: [900] * DAY, FB_USED: [8_000_000] * DAY}
    [found] = profiles_of(usage_of({"a": steady}))
    assert (classify(found).kind, classify(found).by) == ("training", "behavior")


def test_more_head_room_takes_a_larger_instance_and_in_the_end_a_whole_gpu() -> None:
    [found] = profiles_of(usage_of({"a": light()}))
    choices = [advise(found, gpu_facts(H100), Margins(percent)) for percent in (10, 40, 200, 500)]
    assert [each.share.profile if each.share else "" for each in choices] == [
        "1g.10gb",
        "1g.20gb",
        "3g.40gb",
        "",
    ]


def test_a_half_measured_pod_is_not_advised_on() -> None:
    half = {SM_ACTIVE: [100] * DAY, FB_USED: [8_000_000] * (DAY // 2)}
    [found] = profiles_of(usage_of({"a": half}))
    verdict = advise(found, gpu_facts(H100))
    assert verdict.choice == "not-enough-data" and [each.code for each in verdict.reasons] == ["Holes"]


def test_eight_small_pods_take_two_gpus_with_seven_instances_each() -> None:
    advice = advise_usage(usage_of({f"p{at}": light() for at in range(8)}), None, Margins())
    [packed] = advice.packed
    assert (packed.seen, packed.before, packed.after) == (8, 8, 2)
    assert advice.saving_month is None and any("--fleet" in note for note in advice.notes)


def test_the_saving_is_the_gpus_less_at_the_price_of_the_fleet() -> None:
    fleet = named_fleet("8xscaleway/H100-1-80G", ()).fleet
    advice = advise_usage(usage_of({f"p{at}": light() for at in range(8)}), fleet, Margins())
    price = fleet.nodes[0].cost.per_hour
    assert price is not None and advice.saving_month is not None
    assert abs(advice.saving_month - 6 * 730 * price) < 1


def test_what_must_not_share_keeps_its_gpu() -> None:
    heavy = {SM_ACTIVE: [950] * DAY, FB_USED: [8_000_000] * DAY}
    advice = advise_usage(usage_of({"a": heavy, "b": light(), "c": light()}), None, Margins())
    assert (advice.gpus_before, advice.gpus_after) == (3, 2)


def test_a_manifest_says_why_what_it_saves_and_how_to_undo_and_is_valid() -> None:
    advice = advise_usage(usage_of({"a": light(), "b": light()}), None, Margins())
    (name, text), _ = advice_manifests(advice)
    lines = text.splitlines()
    assert name == "team-a.yaml"
    assert [line.split(":")[0] for line in lines[:3]] == ["# Why", "# Expected saving", "# Undo"]
    validate(load_manifests(text.encode(), name))
    assert (
        "1g.10gb"
        in yaml.safe_load(text)["spec"]["spec"]["devices"]["requests"][0]["exactly"]["selectors"][0]["cel"][
            "expression"
        ]
    )


def test_an_mps_share_is_one_claim_with_its_limits() -> None:
    pods = {"a": light(), "b": light()}
    advice = advise_usage(usage_of(pods, model="L40S", kind="batch"), None, Margins())
    (name, text), _ = advice_manifests(advice)
    validate(load_manifests(text.encode(), name))
    claim = yaml.safe_load(text)
    limits = claim["spec"]["devices"]["config"][0]["opaque"]["parameters"]["sharing"]["mpsConfig"]
    assert claim["kind"] == "ResourceClaim"
    assert limits == {"defaultActiveThreadPercentage": 11, "defaultPinnedDeviceMemoryLimit": "8800Mi"}


def test_what_may_share_but_saves_nothing_is_kept_and_gets_no_manifest() -> None:
    fleet = named_fleet("8xscaleway/H100-1-80G", ()).fleet
    advice = advise_usage(usage_of({"a": light()}), fleet, Margins())
    [alone] = advice.workloads
    assert alone.verdict.choice == "mig" and alone.kept is not None and alone.kept.code == "SavesNothing"
    assert (alone.held_before_milli, alone.held_after_milli, alone.saving_month) == (1000, 1000, 0)
    assert (advice.gpus_before, advice.gpus_after, advice.saving_month) == (1, 1, 0)
    assert not advice_manifests(advice)
    table = render_advice(advice, "en")
    assert table.startswith("Sharing saves nothing: 1 GPUs at the busiest time; keep all as it is.")
    assert "    keep it as it is: sharing saves nothing here" in table.splitlines()
    assert "Teilen spart hier nichts" in render_brief(advice, "de")
    [plain] = advice_plain(advice)["workloads"]
    assert plain["keep"]["code"] == "SavesNothing" and plain["savingMonth"] == "0.00"


def test_one_way_that_saves_nothing_does_not_hide_another_that_does() -> None:
    # Each method has GPUs of its own: the notebook alone would only move to another one.
    usage = usage_of({"a": light(), "b": light(), "n": light()}, model="L40S", kind="batch")
    pods = tuple(replace(pod, kind="notebook" if pod.pod == "n" else "batch") for pod in usage.pods)
    advice = advise_usage(replace(usage, pods=pods), None, Margins())
    found = {each.profile.name: (each.verdict.choice, each.kept is not None) for each in advice.workloads}
    assert found == {"team/a": ("mps", False), "team/b": ("mps", False), "team/n": ("time-slicing", True)}
    assert (advice.gpus_before, advice.gpus_after) == (3, 2) and len(advice_manifests(advice)) == 2


def test_a_larger_instance_than_it_has_costs_more_and_is_no_saving() -> None:
    large = {SM_ACTIVE: [100] * DAY, FB_USED: [9_500_000] * DAY}
    usage = usage_of({"a": large, "b": light()}, profile="1g.10gb")
    fleet = named_fleet("8xscaleway/H100-1-80G", ()).fleet
    for given, code, word in ((fleet, "CostsMore", "would cost "), (None, "TakesMore", "would take 1")):
        advice = advise_usage(usage, given, Margins(20))
        first = advice.workloads[0]
        assert first.verdict.share is not None and first.kept is not None, first.verdict
        assert first.kept.code == code and word in str(first.kept)
        assert not advice_manifests(advice) and advice.saving_month in (0, None)


def test_a_pod_that_no_scrape_saw_does_not_hide_what_others_save() -> None:
    usage = usage_of({"a": light(), "b": light()})
    unseen = replace(usage.pods[0], pod="unseen", devices=(), series={}, gpus_requested=1)
    fleet = named_fleet("8xscaleway/H100-1-80G", ()).fleet
    nodes = (*fleet.nodes, replace(fleet.nodes[0], name="other", gpu_model="L4"))
    found = advise_usage(replace(usage, pods=(*usage.pods, unseen)), replace(fleet, nodes=nodes), Margins())
    assert found.saving_month is not None and found.saving_month > 0
    assert [each.model for each in found.packed] == [H100]


def test_names_of_objects_are_dns_labels_and_stay_apart() -> None:
    names = ["team/web", "Team/web", "team/w_eb", "team/" + "x" * 90, "team/" + "x" * 91, "/", "a\nb"]
    made = [object_name(name) for name in names]
    assert len(set(made)) == len(names) and made[0] == "team-web"
    assert all(len(name) <= 63 and name.strip("-") == name for name in made)


def test_the_brief_is_one_page_in_two_languages_that_loads_nothing() -> None:
    advice = advise_usage(usage_of({"<b>x": light(), "b": light()}), None, Margins())
    english, german = render_brief(advice, "en"), render_brief(advice, "de")
    assert "May share: 2" in english and "Darf teilen: 2" in german
    assert "<b>x" not in english and "http" not in english and "<script" not in english
    assert "Urteil" in render_advice(advice, "de") and json.dumps(advice_plain(advice))


@pytest.mark.skipif(not REAL.exists(), reason="the real pods are not here: ../shared is missing")
def test_the_real_pods_get_verdicts_and_money_in_one_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    brief, folder = tmp_path / "brief.html", tmp_path / "manifests"
    arguments = ["advise", str(REAL), "--fleet", "112xscaleway/H100-1-80G", "-o", "json"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--brief", str(brief), "--manifests", str(folder), "--lang", "de"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["workloads"]) in (143, 144) and found["gpusAfter"] < found["gpusBefore"]
    assert float(found["savingMonth"]) > 0 and "GPU-Rat" in brief.read_text()
    shares = [each for each in found["workloads"] if each["share"]]
    assert len(list(folder.iterdir())) == len(shares) - sum(each["keep"] is not None for each in shares) > 20
    assert all(each["memoryHeadroomPercent"] >= 9 for each in shares)


@pytest.mark.parametrize(
    ("fleet", "words"),
    [((), "nothing can be advised without one"), (("--fleet", "fleet.json"), "the fleet has several: H100")],
)
def test_metrics_without_a_gpu_model_ask_for_a_fleet_of_one_model(
    fleet: tuple[str, ...],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("use.csv").write_text("pod,minute,duty_pct,mem_mib\n0,0,5,900\n0,1,5,900\n")
    nodes = [{"name": m.lower(), "gpuModel": m, "gpus": 1} for m in (H100, "L4")]
    manifest = {"apiVersion": "stellwerk.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "f"}}
    Path("fleet.json").write_text(json.dumps(manifest | {"spec": {"currency": "EUR", "nodes": nodes}}))
    with pytest.raises(SystemExit) as ended:
        main(["advise", "use.csv", *fleet, "--lang", "en"])
    err = capsys.readouterr().err
    assert ended.value.code == 2 and words in err and "Next: " in err and "--fleet 8x" in err


def test_a_head_room_out_of_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["advise", "x.csv", "--headroom", "-1", "--lang", "en"])
    assert ended.value.code == 2 and "--headroom -1 is not between" in capsys.readouterr().err


def test_an_hour_a_day_counts_although_p95_does_not_see_it() -> None:
    values = [20] * DAY
    values[120:180] = [900] * 60
    [found] = profiles_of(usage_of({"a": {SM_ACTIVE: values, FB_USED: [8_000_000] * DAY}}, kind="inference"))
    assert found.compute is not None and found.compute.p95 == 20 and found.pattern.sustained_compute == 900
    windows = [sum(values[at : at + 30]) // 30 for at in range(DAY - 29)]
    assert found.pattern.sustained_compute == max(windows)
    assert advise(found, gpu_facts(H100)).choice == "whole"


def test_what_behavior_suggests_loosens_no_rule() -> None:
    quiet = {SM_ACTIVE: ([0] * 700 + [100] * 20) * 2, FB_USED: [4_000_000] * DAY}
    [found] = profiles_of(usage_of({"a": quiet}, model="L4"))
    assert classify(found).kind == "notebook" and advise(found, gpu_facts("L4")).choice == "mps"
    [told] = profiles_of(usage_of({"a": quiet}, model="L4", kind="notebook"))
    assert advise(told, gpu_facts("L4")).choice == "time-slicing"

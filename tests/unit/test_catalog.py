"""The catalog: complete, typed, exact, equal to what was collected, with source and date at each fact."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog import data
from stellwerk.catalog.dcgm import dcgm_exporter, dcgm_metrics
from stellwerk.catalog.dra import dra_facts
from stellwerk.catalog.gpus import gpu_memory_bytes, gpu_model, gpu_models
from stellwerk.catalog.labels import label_facts
from stellwerk.catalog.mig import MigModel, MigProfile, left_sms, mig_model, mig_models
from stellwerk.catalog.node_types import find_node_types, node_type, node_types
from stellwerk.catalog.ownership import exchange_rate, ownership
from stellwerk.catalog.prices import Price
from stellwerk.catalog.published.interference import interference
from stellwerk.catalog.published.vram import vram_published
from stellwerk.catalog.series.kubernetes import kube_state_series, kueue_series
from stellwerk.catalog.sharing.cutting import cutting_note, cutting_times
from stellwerk.catalog.sharing.ways import sharing_ways

COLLECTED = Path(__file__).parents[3] / "shared" / "data" / "catalog"
FILES = [
    "gpus",
    "mig_profiles",
    "node_types",
    "dcgm_metrics",
    "dra",
    "labels_and_configs",
    "ownership",
    "interference",
    "vram_published",
]
SEARCH_IDS = re.compile(r" \(find_string ids? [0-9, ]+\)|, find_string ids? [0-9, ]+[0-9]")
RECOMPUTABLE = {"price_per_gpu_hour", "base_geometries"}  # hourly price / GPUs; an enumeration of placements


def lean(value: object) -> object:
    """Without nulls, what can be computed from the rest, and ids of the search that found a source."""
    if isinstance(value, dict):
        return {k: lean(v) for k, v in value.items() if v is not None and k not in RECOMPUTABLE}
    if isinstance(value, str):
        return SEARCH_IDS.sub("", value)
    return [lean(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", FILES)
def test_the_package_data_says_what_was_collected(name: str) -> None:
    if not COLLECTED.is_dir():
        pytest.skip("no shared/data/catalog beside this checkout: nothing to compare the package data with")
    collected = json.loads((COLLECTED / f"{name}.json").read_text(), parse_float=Decimal)
    ours = json.loads(data.read(f"{name}.json"), parse_float=Decimal)
    assert ours.pop("generated") == "2026-11-23"
    collected.pop("generated", None)
    assert lean(ours) == lean(collected)


def test_nothing_was_lost() -> None:
    assert (len(gpu_models()), len(node_types()), len(mig_models())) == (41, 601, 15)
    assert len(label_facts().mig_parted.default_config_names) == 81
    assert len(dcgm_metrics()) == 61
    assert len(interference()) == 2
    assert len(vram_published()) == 13
    assert len({gpu.id for gpu in gpu_models()}) == 41
    assert len({(row.provider, row.name, row.region) for row in node_types()}) == 601


def test_every_fact_has_source_and_date() -> None:
    for gpu in gpu_models():
        assert gpu.datasheet and gpu.confidence and gpu.date, gpu.id
    for model in mig_models():
        assert all(model.source) and model.source and model.date, model.name
    for row in node_types():
        assert row.source and row.licence, row.name
        assert row.price_date or row.price_hourly is None, row.name
    costs = ownership()
    figures = (*costs.electricity_germany_ct_per_kwh, *costs.pue, costs.power_8x_h100_air_cooled_kw)
    ranges = (costs.residual_value_after_36_months_pct, costs.colocation_8x_h100_3_years_usd)
    assert all(item.source and item.date for item in costs.purchase)
    assert all(figure.source and figure.date for figure in figures)
    assert all(item.source and item.date for item in ranges)
    assert all(row.source and row.date for row in interference())
    assert all(row.source and row.date for row in vram_published())
    assert "same" not in {figure.source for figure in vram_published()}
    assert dcgm_exporter().source and dra_facts().driver_repo and label_facts().mig_parted.source
    assert exchange_rate().date == "2025-02-28"
    for series in (kueue_series(), kube_state_series()):
        assert series.source and series.date and series.read and series.licence == "Apache-2.0"
        assert f"@{series.commit[:8]}" in series.source and len(series.commit) == 40


def test_a_series_of_others_has_the_name_and_labels_of_its_program() -> None:
    for begins, series in (("kueue_", kueue_series()), ("kube_pod_", kube_state_series())):
        names = [fact.name for fact in series.metrics]
        assert len(set(names)) == len(names) and all(name.startswith(begins) for name in names)
        for fact in series.metrics:
            assert (fact.kind == "counter") == fact.name.endswith("_total"), fact.name
            assert fact.labels and fact.meaning, fact.name
    assert all("replica_role" in fact.labels for fact in kueue_series().metrics)
    assert all({"namespace", "pod", "uid"} <= set(fact.labels) for fact in kube_state_series().metrics)


def test_every_node_type_and_mig_table_is_of_a_known_gpu_model() -> None:
    known = {gpu.id for gpu in gpu_models()}
    assert {row.gpu_model for row in node_types()} <= known
    assert {gpu for model in mig_models() for gpu in model.applies_to} <= known


def test_memory_is_what_nvml_reports_where_that_is_known() -> None:
    assert gpu_memory_bytes("H100-PCIE-80GB") == 81_559 * 1024**2 < 80 * 1024**3
    assert gpu_memory_bytes("GB300") == 288 * 10**9  # NVML's figure was not found: the product's decimal GB


def test_a_gpu_is_found_by_id_and_by_product_label_also_when_shared() -> None:
    for name in (
        "H100-PCIE-80GB",
        "NVIDIA-H100-PCIe",
        "NVIDIA-H100-PCIe-SHARED",
        "NVIDIA-H100-PCIe-MIG-1g.10gb",
    ):
        assert gpu_model(name).id == "H100-PCIE-80GB"


def test_an_unknown_gpu_is_refused_with_the_nearest_ids() -> None:
    with pytest.raises(InvalidInput) as refused:
        gpu_model("h100")
    assert str(refused.value) == "GPU model h100 is not in the catalog"
    assert "H100-PCIE-80GB" in refused.value.fix.format(**refused.value.values)
    with pytest.raises(InvalidInput):
        gpu_model("")


def test_the_device_plugin_caps_mps_replicas_by_compute_capability() -> None:
    assert gpu_model("V100-SXM2-16GB").mps_max_replicas == 16
    assert gpu_model("T4").mps_max_replicas == 48
    assert gpu_model("B200-SXM-180GB").mps_max_replicas == 48


def profile(gpu: str, name: str) -> MigProfile:
    model = mig_model(gpu)
    assert model is not None
    return next(item for item in model.profiles if item.name == name)


def test_a_mig_profile_of_an_h100_is_nvidias() -> None:
    model = mig_model("NVIDIA-H100-PCIe")
    assert model is not None
    assert (model.name, model.compute_slices, model.memory_slices) == ("H100-PCIE-80GB", 7, 8)
    third = profile("H100-PCIE-80GB", "3g.40gb")
    assert (third.compute_slices, third.memory_slices, third.sm_count, third.max_instances) == (3, 4, 46, 2)
    assert [(place.start, place.size) for place in third.placements] == [(0, 4), (4, 4)]
    assert third.memory_bytes == 40_448 * 1024**2


def test_media_and_double_memory_profiles_are_told_apart() -> None:
    model = mig_model("A100-SXM4-80GB")
    assert model is not None
    assert [p.name for p in model.profiles if p.me] == ["1g.10gb+me"]
    assert [p.name for p in model.profiles if p.double_memory] == ["1g.20gb"]
    blackwell = mig_model("RTX-PRO-6000-BSE")  # 12 memory slices: its 1g takes 3, and is not a double one.
    assert blackwell is not None and blackwell.memory_slices == 12
    assert not any(p.double_memory for p in blackwell.profiles)
    assert [p.name for p in blackwell.profiles if p.graphics] == ["1g.24gb+gfx", "2g.48gb+gfx", "4g.96gb+gfx"]
    assert not profile("RTX-PRO-6000-BSE", "1g.24gb-me").me


def test_a_gpu_without_a_mig_table_has_none() -> None:
    assert mig_model("L40S") is None
    assert mig_model("RTX-PRO-4500-BSE") is None  # MIG by the guide, but no table of profiles was found.


def test_sm_counts_of_another_chip_are_not_taken_over() -> None:
    assert profile("GH200-96GB", "7g.96gb").sm_count == 132
    assert profile("H20-96GB", "7g.96gb").sm_count is None  # An H20 has 78 SMs.


def maximal(profiles: list[MigProfile]) -> int:
    """How many sets of placements take no further instance: by trying them all."""
    places = [(p, place.start, place.size) for p in profiles for place in p.placements]

    def fits(chosen: list[int], new: int) -> bool:
        mine, start, size = places[new]
        others = [places[i] for i in chosen]
        apart = all(start + size <= s or s + n <= start for _, s, n in others)
        few = sum(p.name == mine.name for p, _, _ in others) < mine.max_instances
        return apart and few and not (mine.me and any(p.me for p, _, _ in others))

    def grow(chosen: list[int], first: int) -> Iterator[list[int]]:
        yield chosen
        for new in range(first, len(places)):
            if fits(chosen, new):
                yield from grow([*chosen, new], new + 1)

    every = range(len(places))
    return sum(not any(i not in chosen and fits(chosen, i) for i in every) for chosen in grow([], 0))


@pytest.mark.parametrize("model", [m for m in mig_models() if m.counts], ids=lambda m: m.name)
def test_the_placements_give_nvidias_number_of_geometries(model: MigModel) -> None:
    assert model.counts is not None
    base = [p for p in model.profiles if p.name in model.counts.base_profiles]
    assert maximal(base) == model.counts.base_maximal_placements
    double = [p for p in model.profiles if p in base or (p.double_memory and not p.me)]
    assert maximal(double) == model.counts.with_double_memory_1g_maximal_placements
    if model.name != "RTX-PRO-6000-96GB":  # Counted there without the profiles that have a suffix.
        assert maximal(list(model.profiles)) == model.counts.all_profiles_maximal_placements


def test_a_price_is_exact_with_currency_date_and_source() -> None:
    price = node_type("scaleway", "H100-1-80G", "fr-par-2/pl-waw-2").price()
    assert isinstance(price, Price)
    assert (price.amount, price.currency, price.date) == (Decimal("2.8665"), "EUR", "2026-08-28")
    assert "Scaleway API 2026-08-28" in price.source


def test_a_region_may_be_left_out_where_there_is_one_row_or_named_by_its_part() -> None:
    assert node_type("aws", "p5.48xlarge").price() == node_type("aws", "p5.48xlarge", "us-east-1").price()
    assert node_type("scaleway", "H100-1-80G", "fr-par-2").region == "fr-par-2/pl-waw-2"
    assert node_type("ovhcloud", "h100-380", "GRA").region == "GRA (EU)"


def test_a_missing_price_is_none_and_a_date_nobody_stated_stays_as_its_text() -> None:
    assert node_type("gcp", "a4-highgpu-8g").price() is None
    assert node_type("scaleway", "H100-1-80G").price("spot") is None
    assert node_type("scaleway", "H100-1-80G").price("reserved") is None
    undated = node_type("ovhcloud", "h100-380").price()
    assert undated is not None and undated.date == "2025-2026 (dump undated)"
    assert not [row.name for row in node_types() if row.price_hourly == 0 or row.spot_price_hourly == 0]


def test_a_part_of_a_gpu_has_no_whole_gpus() -> None:
    assert node_type("aws", "g6f.large").whole_gpus is None
    assert node_type("scaleway", "H100-2-80G").whole_gpus == 2


@pytest.mark.parametrize(
    ("provider", "name", "region", "problem", "fix"),
    [
        ("scaleway", "H100", None, "H100 of scaleway is not in the catalog", "H100-1-80G, H100-2-80G"),
        ("skynet", "t800", None, "Provider skynet", "aws, azure, gcp"),
        ("azure", "Standard_NC24ads_A100_v4", None, "each of several regions", "westeurope"),
        ("scaleway", "H100-1-80G", "mars-1", "no price for region mars-1", "fr-par-2/pl-waw-2"),
    ],
)
def test_a_node_type_that_is_not_one_is_refused_with_the_next_step(
    provider: str, name: str, region: str | None, problem: str, fix: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        node_type(provider, name, region)
    assert problem in str(refused.value)
    next_step = refused.value.fix.format(**refused.value.values)
    assert fix in next_step and "stellwerk catalog node-types" in next_step


def test_rows_are_found_by_name_alone() -> None:
    assert len(find_node_types("Standard_NC24ads_A100_v4", provider="azure")) == 12
    assert find_node_types("nothing-like-it") == ()


def test_lost_sms_are_those_of_no_instance() -> None:
    # H100 SXM: seven of 16 SMs are 112 of 132. A100: seven of 14 are 98 of 108.
    lost = {}
    for gpu in ("H100-SXM5-80GB", "A100-SXM4-80GB", "A30"):
        model = mig_model(gpu)
        assert model is not None
        lost[gpu] = left_sms(gpu, model.profiles[0])
    assert lost == {"H100-SXM5-80GB": 20, "A100-SXM4-80GB": 10, "A30": 0}
    unknown = mig_model("B300-SXM-288GB")
    assert unknown is not None and left_sms("B300-SXM-288GB", unknown.profiles[0]) is None


def test_no_model_has_more_sms_in_instances_than_on_the_gpu() -> None:
    for model in mig_models():
        for gpu in model.applies_to:
            for profile in mig_model(gpu).profiles:  # type: ignore[union-attr]
                left = left_sms(gpu, profile)
                assert left is None or left >= 0, f"{gpu} {profile.name}"


def test_each_way_of_sharing_has_its_limits_with_sources() -> None:
    ways = {way.name: way for way in sharing_ways()}
    names = {way: {limit.name for limit in ways[way].limits} for way in ("time-slicing", "mps", "mig")}
    assert names["mps"] == {"clients", "pinned memory limit", "active thread percentage"}
    assert {"cuts", "lost SMs", "peer-to-peer"} <= names["mig"]
    assert ways["time-slicing"].memory.answer == ways["time-slicing"].faults.answer == "no"
    assert ways["mig"].memory.answer == ways["mig"].faults.answer == "yes"
    assert ways["mig"].peer_to_peer.answer == "no"
    assert all("https://" in limit.source for way in ways.values() for limit in way.limits)


def test_a_time_of_cutting_is_published_or_missing_and_never_a_default() -> None:
    (found,) = cutting_times("NVIDIA-A100-SXM4-80GB")
    assert (found.step, found.least_seconds, found.most_seconds) == ("mode", 4, 5)
    assert found.source.startswith("https://") and found.date and found.conditions
    assert cutting_times("H100-SXM5-80GB") == () and "No figure for creating" in cutting_note()

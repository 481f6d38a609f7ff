"""The ways of sharing side by side: counted by hand, rules that say no, and what must hold for all inputs."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.prices import Price
from stellwerk.catalog.sharing.licences import licences
from stellwerk.catalog.sharing.ways import published, sharing_ways, vgpu_types
from stellwerk.cli.main import main
from stellwerk.engine.advice.compare import compare, most_instances
from stellwerk.engine.advice.comparison import Compared, Comparison, LicencePrice, Option, Setup
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.facts import gpu_facts
from stellwerk.engine.placement.place import Grant
from stellwerk.engine.snapshot import CostTerm, NodeCost
from stellwerk.report.advice.compare import render_comparison, to_document
from stellwerk.sim.intake.comparison import CompareArguments, parse_licence_price, run_comparison

GIB = 1 << 30
TWO_EUR = NodeCost(
    currency="EUR", terms=(CostTerm(name="rent", per_hour=Decimal(2), formula="2", date="", source="test"),)
)
SHARING = ("time-slicing", "mps", "mig", "vgpu")


def job(memory_gib: Fraction | int = 10, compute: int = 100, pods: int = 10, **more: object) -> Job:
    fields = {"name": "a/x", "team": "a", "arrival_ns": 0, "duration_ns": 1, "kind": "inference", **more}
    return Job(memory_bytes=int(memory_gib * GIB), compute_milli=compute, pods=pods, **fields)  # type: ignore[arg-type]


def setup(model: str = "H100-PCIE-80GB", **rules: object) -> Setup:
    return Setup(**{"facts": gpu_facts(model), "node": TWO_EUR, **rules})  # type: ignore[arg-type]


def same(_way: str, _job: Job, _grant: Grant, _tenants: int) -> tuple[Fraction, Fraction, str]:
    return Fraction(1), Fraction(1), "range"


def options(work: Job, rules: Setup | None = None) -> dict[str, Option]:
    compared = compare([work], rules or setup(), same).workloads[0]
    return {option.way: option for option in compared.options}


# (memory GiB, p95 milli, tenants) -> GPUs under whole, time-slicing (4 replicas), mps, mig, vgpu; None: no.
# An H100-80 has 79.6 GiB; its profiles: 1g.10gb 9.75, 1g.20gb and 2g.20gb 19.6, 3g and 4g.40gb 39.5.
BY_HAND = {
    # 10 GiB: 7 by memory; above 1g.10gb, so 1g.20gb, of which a GPU holds 4; vGPU 10C has 10 GB, so 16C: 5.
    (10, 100, 10): (10, 3, 2, 3, 2),
    # 9 GiB: 8 by memory; 1g.10gb: 7; vGPU 10C: 8.
    (9, 100, 16): (16, 4, 2, 3, 2),
    # 300 milli: 3 tenants by compute, also as vGPU 5C; more than 2 of 7 slices, so 3g.40gb: 2.
    (4, 300, 12): (12, 4, 4, 6, 4),
    # 45 GiB: no two on a GPU, above the largest slice (39.5 GiB), above vGPU 40C.
    (45, 100, 3): (3, None, None, None, None),
    # 500 milli: exactly two by compute; 4 of 7 slices, and 4g.40gb starts at 0 only: one, so no.
    (5, 500, 4): (4, 2, 2, None, 2),
    # 600 milli: no two by compute; above 4 of 7 slices.
    (5, 600, 4): (4, None, None, None, None),
    # 100 GiB: not even on a whole GPU.
    (100, 100, 1): (None, None, None, None, None),
}


@pytest.mark.parametrize(("case", "gpus"), BY_HAND.items(), ids=str)
def test_gpus_are_those_counted_by_hand(case: tuple[int, int, int], gpus: tuple[int | None, ...]) -> None:
    found = options(job(*case))
    assert tuple(found[way].gpus for way in ("whole", *SHARING)) == gpus


def test_a_month_is_gpus_times_price_times_730_hours_plus_licences() -> None:
    usd = LicencePrice("gpu", Price(amount=Decimal(1200), currency="EUR", date="", source=""))
    found = options(job(), setup(licence_prices=(usd,)))
    assert [found[way].cost.total for way in ("whole", "mps", "mig")] == [14600, 2920, 4380]  # type: ignore[union-attr]
    # Two GPUs: 2 x 2 x 730, and 2 x 1200 / 12.
    assert found["vgpu"].cost is not None and found["vgpu"].cost.total == 2920 + 200


def test_an_unknown_price_is_unknown_and_names_the_option() -> None:
    unknown = setup(node=NodeCost(currency="EUR", unknown="--fleet X"))
    for option in options(job(), unknown).values():
        assert option.cost is not None and option.cost.gpus is None and option.cost.total is None
        assert "--fleet X" in option.cost.unknown
    # The catalog's licence is in USD, and there is no rate: unknown as well, not 0.
    vgpu = options(job())["vgpu"]
    assert vgpu.cost is not None and vgpu.cost.total is None and vgpu.cost.licences is None
    assert vgpu.licence is not None and "--rate" in vgpu.licence.unknown
    # Virtual workstations have no published price at all.
    desktop = options(job(4), setup("L40S", use="vdi"))["vgpu"]
    assert desktop.licence is not None and desktop.licence.per_month is None
    assert desktop.licence.unit == "user" and desktop.licence.count == 10
    assert "--licence-price" in desktop.licence.unknown


RULES: dict[str, tuple[Job, dict[str, Any], tuple[str, ...]]] = {
    "NotMeasured": (Job(name="a", team="a", arrival_ns=0, duration_ns=1), {}, SHARING),
    "MustNotShare": (job(whole=True), {}, SHARING),
    "SeveralGpus": (job(gpus=2), {}, SHARING),
    "IsolationNeedsMig": (job(isolated=True), {}, ("time-slicing", "mps", "vgpu")),
    "LatencyAtRisk": (job(), {"latency": True}, ("time-slicing", "vgpu")),
    "MemoryAboveSlice": (job(45), {}, ("mig", "vgpu")),
    "ComputeAboveSlice": (job(5, 600), {}, ("mig",)),
    "Memory": (job(45), {}, ("time-slicing", "mps")),
    "Compute": (job(5, 600), {}, ("time-slicing", "mps", "vgpu")),
    "DesktopsAreVms": (job(), {"use": "vdi"}, ("time-slicing", "mps", "mig")),
    "NoDesktopLicence": (job(), {"use": "vdi"}, ("whole", "vgpu")),
    "MemoryAboveGpu": (job(100), {}, ("whole", *SHARING)),
}


@pytest.mark.parametrize("code", RULES)
def test_a_hard_rule_is_a_no_with_its_reason(code: str) -> None:
    work, rules, ways = RULES[code]
    found = options(work, setup(**rules))
    assert {way for way, option in found.items() if option.reason.code == code} == set(ways)
    for way in ways:
        assert found[way].fits == found[way].verdict == "no" and found[way].gpus is None
        assert str(found[way].because)


def test_isolation_without_mig_leaves_only_whole_gpus() -> None:
    found = options(job(4, isolated=True), setup("L40S"))
    assert [way for way, option in found.items() if option.fits == "yes"] == ["whole"]
    assert found["mig"].reason.code == "NoMig"
    assert found["whole"].because.code == "OnlyOne"


def test_vgpu_types_that_the_catalog_lacks_are_unknown_not_no() -> None:
    assert options(job(), setup("B200-SXM-180GB"))["vgpu"].fits == "unknown"


def test_the_cheapest_way_is_recommended_and_of_equals_the_one_that_isolates_most() -> None:
    found = options(job())
    assert [way for way, option in found.items() if option.verdict == "recommended"] == ["mps"]
    alone = options(job(pods=1))
    assert alone["whole"].verdict == "recommended"
    assert alone["mps"].because.code == "IsolatesLess"
    # 9 GiB, 7 tenants: one GPU by MPS, and one by MIG (7 x 1g.10gb), which isolates more.
    assert options(job(9, pods=7))["mig"].verdict == "recommended"


def test_without_a_gpu_price_a_licence_still_costs_more_than_none() -> None:
    unknown = setup(node=NodeCost(currency="USD", unknown="--fleet X"))
    found = options(job(), unknown)
    assert found["mps"].gpus == found["vgpu"].gpus == 2
    assert found["mps"].verdict == "recommended" and found["mps"].because.code == "FewestGpus"
    assert found["vgpu"].because.code == "CostsMore"


def test_instances_are_packed_as_many_as_a_gpu_holds() -> None:
    table = gpu_facts("H100-PCIE-80GB").mig
    assert table is not None
    by_name = {profile.name: profile for profile in table.profiles}
    assert most_instances([by_name["1g.10gb"]]) == ["1g.10gb"] * 7
    assert most_instances([by_name["2g.20gb"]]) == ["2g.20gb"] * 3
    # 1g.10gb may start at 0 to 6, and 1g.20gb at 6: seven, the last slice stays free.
    assert len(most_instances([by_name["1g.10gb"], by_name["1g.20gb"]])) == 7


def test_different_workloads_meet_on_a_gpu() -> None:
    big, small = job(50, 300, 2, name="a/big"), job(25, 300, 2, name="a/small")
    found = compare([big, small], setup(), same)
    together = {option.way: option for option in found.together}
    # 50 + 25 GiB on each of two GPUs; alone the big ones cannot share, so under MPS they are whole.
    assert together["whole"].gpus == 4
    assert together["mps"].gpus == 3 and together["mps"].whole == ("a/big",)
    mixed = [job(30, 300, 2, name="a/big"), job(15, 200, 4, name="a/small")]
    # Apart: 1 + 1 GPUs (2 x 30; 4 x 15 GiB). Together 120 GiB: also two.
    assert {o.way: o.gpus for o in compare(mixed, setup(), same).together}["mps"] == 2
    odd = [job(30, 100, 3, name="a/big"), job(18, 100, 5, name="a/small")]
    # Apart: 2 + 2 GPUs (2 x 30; 4 x 18 GiB). Together: 60 + 18, 30 + 2 x 18, 2 x 18: three.
    assert {o.way: o.gpus for o in compare(odd, setup(), same).together}["mps"] == 3


work = st.builds(
    job,
    memory_gib=st.fractions(min_value=Fraction(1, 4), max_value=90, max_denominator=8),
    compute=st.integers(0, 1000),
    pods=st.integers(1, 60),
    gpus=st.sampled_from([1, 1, 1, 2]),
    whole=st.sampled_from([False, False, False, True]),
    isolated=st.sampled_from([False, False, True]),
)
rules = st.builds(
    setup,
    model=st.sampled_from(["H100-PCIE-80GB", "A100-SXM4-40GB", "A30", "L40S", "T4", "B200-SXM-180GB"]),
    latency=st.booleans(),
    use=st.sampled_from(["containers", "containers", "vdi"]),
    replicas=st.integers(2, 48),
)


def needed(option: Option) -> float:
    return float("inf") if option.gpus is None else option.gpus


@settings(max_examples=150, deadline=None)
@given(work, rules)
def test_sharing_needs_no_more_gpus_than_whole_ones_and_every_no_has_a_reason(
    work: Job, rules: Setup
) -> None:
    found = options(work, rules)
    for option in found.values():
        assert option.gpus is None or option.gpus <= needed(found["whole"])
        assert (option.fits == "yes") == (option.gpus is not None)
        assert str(option.reason) and str(option.because)
    fitting = [option for option in found.values() if option.fits == "yes"]
    assert sum(option.verdict == "recommended" for option in found.values()) == bool(fitting)


@settings(max_examples=150, deadline=None)
@given(work, rules, st.integers(1, 20), st.integers(1, 20 * GIB))
def test_more_tenants_or_more_memory_never_need_fewer_gpus(
    work: Job, rules: Setup, tenants: int, memory: int
) -> None:
    from msgspec.structs import replace

    before = options(work, rules)
    larger = replace(work, memory_bytes=(work.memory_bytes or 0) + memory)
    for after in (options(replace(work, pods=work.pods + tenants), rules), options(larger, rules)):
        assert all(needed(after[way]) >= needed(before[way]) for way in before)


@settings(max_examples=60, deadline=None)
@given(st.lists(work, min_size=2, max_size=4), rules)
def test_together_needs_no_more_than_each_workload_apart(works: list[Job], rules: Setup) -> None:
    from msgspec.structs import replace

    named = [replace(each, name=f"a/{index}") for index, each in enumerate(works)]
    found = compare(named, rules, same)
    for option in found.together:
        apart = sum(_apart(each, option.way) for each in found.workloads)
        assert option.gpus is None or option.gpus <= apart


def _apart(each: Compared, way: str) -> float:
    by_way = {option.way: option for option in each.options}
    return min(needed(by_way[way]), needed(by_way["whole"]))


def test_every_fact_has_a_source() -> None:
    for way in sharing_ways():
        for answer in (way.memory, way.faults, way.performance, way.peer_to_peer, way.latency):
            assert answer.answer in ("yes", "no", "partly") and answer.why
            assert answer.source.startswith("https://")
    for licence in licences():
        assert "https://" in licence.source
        assert licence.price is None or (licence.price.amount > 0 and licence.price.date)
    assert [kind.most for kind in vgpu_types("H100-PCIE-80GB")] == [20, 16, 10, 8, 5, 4, 2, 1]


def test_a_published_measurement_is_cited_where_kind_and_model_match_only() -> None:
    assert [found.gpu for found in published("A100-SXM4-80GB", "mps", "inference")] == ["A100-80GB"]
    assert [found.gpu for found in published("A100-PCIE-40GB", "mig", "inference")] == ["A100"]
    assert not published("A100-PCIE-40GB", "mps", "inference")
    assert not published("A100-SXM4-80GB", "mps", "training")
    assert not published("H100-PCIE-80GB", "mps", "inference")


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: chat
  labels: {stellwerk.dev/workload-kind: inference}
  annotations:
    stellwerk.dev/gpu-memory: 10Gi
    stellwerk.dev/gpu-compute: 100m
    stellwerk.dev/gpu-compute-mean: 250m
spec:
  replicas: 10
  selector:
    matchLabels: {app: chat}
  template:
    spec:
      containers:
      - name: main
        image: example/chat:1
        resources: {limits: {nvidia.com/gpu: 1}}
"""


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    Path("w.yaml").write_text(MANIFEST)
    return "w.yaml"


def found_in(manifest: str, **more: object) -> Comparison:
    return run_comparison(CompareArguments(file=manifest, **more))  # type: ignore[arg-type]


def by_way(found: Comparison) -> dict[str, Option]:
    return {option.way: option for option in found.workloads[0].options}


def test_a_manifest_needs_no_times_and_the_default_price_is_the_catalogs(manifest: str) -> None:
    found = by_way(found_in(manifest))
    assert [found[way].gpus for way in ("whole", *SHARING)] == [10, 3, 2, 3, 2]
    # 2.8665 EUR x 730 h x 2.
    assert found["mps"].cost is not None and found["mps"].cost.total == Decimal("4185.09")
    # 4500 USD / 1.0411 x 2 / 12.
    assert found["vgpu"].cost is not None and found["vgpu"].cost.licences == Decimal("720.39")
    assert by_way(found_in(manifest, tenants=8))["mps"].gpus == 2
    assert by_way(found_in(manifest, tenants=7))["mps"].gpus == 1


def test_the_slowdown_lies_between_the_bounds_of_a_replay(manifest: str) -> None:
    found = by_way(found_in(manifest))
    slow = {way: option.slowdown for way, option in found.items()}
    # 7 tenants of 250 milli on average ask for 1.75 GPUs: that much at least; at worst each gets a seventh.
    assert slow["mps"] is not None and (slow["mps"].low, slow["mps"].high) == (Decimal("1.750"), Decimal(7))
    assert slow["whole"] is not None and (slow["whole"].low, slow["whole"].high) == (Decimal(1), Decimal(1))
    # 250 milli are more than a seventh: 1.75 times as long at least on one compute slice.
    assert slow["mig"] is not None and (slow["mig"].low, slow["mig"].high) == (Decimal("1.750"), Decimal(7))
    Path("s.yaml").write_text(
        "apiVersion: stellwerk.dev/v1alpha1\nkind: Interference\nmetadata: {name: m}\n"
        'spec: {factors: [{method: time-slicing, factor: "1.5", source: test}]}\n'
    )
    given_by_file = by_way(found_in(manifest, slowdown="s.yaml"))
    sliced, vgpu = given_by_file["time-slicing"].slowdown, given_by_file["vgpu"].slowdown
    assert sliced is not None and (sliced.low, sliced.high, sliced.basis) == (
        Decimal("1.5"),
        Decimal("1.5"),
        "given",
    )
    assert vgpu is not None and vgpu.basis == "range" and vgpu.high == 5


def test_a_fleet_gives_model_and_price_and_its_part_of_a_node(manifest: str) -> None:
    found = found_in(manifest, fleet="1xlambda/gpu_8x_h100_sxm5", rates=("EURUSD=1.00@2026-11-01",))
    assert found.setup.facts.model.startswith("H100-SXM5") and found.setup.node_gpus == 8
    whole, per_hour = by_way(found)["whole"], found.setup.node.per_hour
    assert whole.cost is not None and whole.cost.gpus is not None and per_hour is not None
    assert abs(whole.cost.gpus - per_hour * 10 * 730 / 8) < Decimal("0.01")
    assert by_way(found_in(manifest, gpu="A30"))["whole"].cost.total is None  # type: ignore[union-attr]


def test_licence_prices_are_read_for_a_year() -> None:
    found = parse_licence_price("100 EUR/gpu/month@2026-11-01")
    assert (found.unit, found.price.amount, found.price.currency) == ("gpu", Decimal(1200), "EUR")


BAD: dict[str, dict[str, Any]] = {
    "a wrong licence price": {"licence_prices": ("4500/gpu",)},
    "an unknown model": {"gpu": "H1000"},
    "a model that the fleet lacks": {"gpu": "A30", "fleet": "1xscaleway/H100-1-80G"},
    "no tenants": {"tenants": 0},
    "one replica": {"replicas": 1},
    "a rate without a day": {"rates": ("EURUSD=1",)},
    "a missing slowdown file": {"slowdown": "nowhere.yaml"},
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_with_the_next_step(what: str, manifest: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        found_in(manifest, **BAD[what])
    assert str(caught.value) and caught.value.fix


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_the_verb_prints_data_and_exits_by_the_answer(
    manifest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("compare", "-f", manifest, "-o", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["gpuModel"] == "H100-PCIE-80GB"
    chosen = [o for o in document["workloads"][0]["options"] if o["verdict"] == "recommended"]
    assert [(o["way"], o["gpus"], o["cost"]["total"]) for o in chosen] == [("mps", 2, "4185.09")]
    assert (
        call("compare", "-f", manifest, "--use", "vdi", "-o", "yaml") == 1
    )  # No workstation licence on H100.
    assert call("compare", "-f", "nowhere.yaml") == 2
    assert "nowhere.yaml" in capsys.readouterr().err
    Path("broken.yaml").write_text("kind: Pod\n  a: [")
    Path("empty.yaml").write_text("")
    for name in ("", "x" * 5000, "broken.yaml", "empty.yaml"):
        assert call("compare", "-f", name) == 2
        out, err = capsys.readouterr()
        assert not out and len(err.splitlines()) == 1 and "Next:" in err


def test_both_languages_show_every_way_and_no_place_is_left_open(manifest: str) -> None:
    found = found_in(manifest, latency=True)
    assert to_document(found)["latency"] is True
    for lang, word in (("en", "recommended"), ("de", "empfohlen")):
        text = render_comparison(found, lang, 100)  # type: ignore[arg-type]
        assert word in text and "{" not in text
        assert all(f"\n{way.name}" in text for way in sharing_ways())
    assert "Latenzziel: eine Anfrage wartet" in " ".join(render_comparison(found, "de", 100).split())

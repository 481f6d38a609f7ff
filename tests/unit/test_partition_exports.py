"""Exports of a plan: valid objects of Kubernetes and of NVIDIA's tools, the same bytes each time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from stellwerk.api.errors import InvalidInput
from stellwerk.api.groups.core import Node
from stellwerk.api.groups.resource import (
    DeviceClass,
    OpaqueDeviceConfiguration,
    ResourceClaim,
    ResourceClaimTemplate,
)
from stellwerk.api.manifests import Manifest, load_manifests
from stellwerk.api.validation import validate
from stellwerk.catalog.labels import label_facts
from stellwerk.engine.allocation.nvidia.opaque import Target, check_opaque
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, PartitionPlan, Tenant
from stellwerk.report.partition.claims import commented
from stellwerk.report.partition.device_plugin import device_plugin_files
from stellwerk.report.partition.dra import dra_files
from stellwerk.report.partition.mig_parted import has_choice, mig_parted_files
from stellwerk.report.partition.plan_file import plan_text
from stellwerk.report.partition.yaml_text import yaml_text
from tests.unit.partition_sample import GIB, H100, cut, gpu, mixed, plan, plugin_plan
from tests.unit.test_cli import call

VALID = Path(__file__).parent / "api_cases" / "valid"
Export = Callable[[PartitionPlan], list[tuple[str, str]]]


def on(node: str, *gpus: Gpu) -> PartitionPlan:
    return plan(*(replace(each, node=node) for each in gpus), executor="device-plugin")


EXPORTS: list[tuple[Export, PartitionPlan]] = [
    (mig_parted_files, mixed()),
    (mig_parted_files, plugin_plan()),
    (device_plugin_files, plugin_plan()),
    (dra_files, mixed()),
]


def objects(files: list[tuple[str, str]]) -> list[Manifest]:
    """Every Kubernetes object of an export, read and checked as Stellwerk reads any."""
    plain = ("config.yaml", "dra-helm-values.yaml")
    found = [
        each for name, text in files if name not in plain for each in load_manifests(text.encode(), name)
    ]
    validate(found)
    return found


@pytest.mark.parametrize(("export", "made"), EXPORTS)
def test_every_object_is_read_back_typed_and_nothing_is_unknown(export: Export, made: PartitionPlan) -> None:
    for manifest in objects(export(made)):
        if manifest.kind in ("ConfigMap", "ClusterPolicy", "GPUCluster"):
            assert set(manifest.raw) <= {"apiVersion", "kind", "metadata", "data", "spec"}
            assert all(isinstance(text, str) for text in manifest.raw.get("data", {}).values())
        else:
            assert isinstance(manifest.object, Node | DeviceClass | ResourceClaim | ResourceClaimTemplate)


@pytest.mark.parametrize(("export", "made"), EXPORTS)
def test_each_file_says_first_whom_it_is_for_and_how_to_apply_and_undo_it(
    export: Export, made: PartitionPlan
) -> None:
    for _, text in export(made):
        head = text.split("\n\n")[0].split("\n---")[0]
        first = text.splitlines()[0]
        assert ("GPUCluster (DRA); never" in first) == (made.executor == "dra")
        assert ("ClusterPolicy (device plugin); never" in first) == (made.executor == "device-plugin")
        assert "# Apply" in head and "# Undo: " in head


@pytest.mark.parametrize(("export", "made"), EXPORTS)
def test_a_second_export_has_no_diff_and_the_order_of_gpus_does_not_matter(
    export: Export, made: PartitionPlan
) -> None:
    assert export(made) == export(replace(made, gpus=made.gpus[::-1]))


def test_mig_parted_gets_counts_by_index_and_each_node_the_name_of_its_layout() -> None:
    twice = (cut(node, index) for node in ("a", "b") for index in (0, 1, 3))
    files = dict(mig_parted_files(plan(*twice, gpu("a", 2), gpu("b", 2), gpu("c", 0))))
    name = "gpu0-1.3.3g.40gb-2g.20gb-1g.10gb_gpu2.off"
    configs = yaml.safe_load(files["config.yaml"])["mig-configs"]
    counts = {"3g.40gb": 1, "2g.20gb": 1, "1g.10gb": 1}
    assert configs == {
        "all-disabled": [{"devices": "all", "mig-enabled": False}],
        name: [
            {"devices": [0, 1, 3], "mig-enabled": True, "mig-devices": counts},
            {"devices": [2], "mig-enabled": False},
        ],
    }
    nodes = yaml.safe_load_all(files["mig-parted-node-labels.yaml"])
    labels = {node["metadata"]["name"]: node["metadata"]["labels"] for node in nodes}
    assert {node: found["nvidia.com/mig.config"] for node, found in labels.items()} == {
        "a": name,
        "b": name,
        "c": "all-disabled",
    }
    inner = yaml.safe_load(files["mig-parted-config.yaml"])["data"]["config.yaml"]
    assert yaml.safe_load(inner) == yaml.safe_load(files["config.yaml"])


def test_a_node_of_several_models_gets_filters_and_one_that_cannot_be_cut_no_label() -> None:
    made = plan(
        cut("a", 0),
        cut("a", 1, (GpuInstance(profile="1g.5gb", start=6),), "A100-PCIE-40GB"),
        Gpu(node="a", index=2, model="L4"),
        Gpu(node="b", index=0, model="L4"),
    )
    files = dict(mig_parted_files(made))
    [name] = set(yaml.safe_load(files["config.yaml"])["mig-configs"]) - {"all-disabled"}
    first, second, third = yaml.safe_load(files["config.yaml"])["mig-configs"][name]
    assert first["device-filter"] == ["0x233110DE"] and second["device-filter"] == ["0x20F110DE"]
    assert third == {"devices": [2], "mig-enabled": False}
    labels = list(yaml.safe_load_all(files["mig-parted-node-labels.yaml"]))
    assert [node["metadata"]["name"] for node in labels] == ["a"]


def test_a_name_too_long_for_a_label_is_numbered_and_equal_names_stay_apart() -> None:
    layouts = [(GpuInstance(profile="1g.10gb", start=start),) for start in range(3)]
    odd = [cut("a", 2 * i, layouts[0]) if i % 2 else gpu("a", 2 * i) for i in range(24)]
    other = [cut("b", 2 * i, layouts[1]) if i % 3 else gpu("b", 2 * i) for i in range(24)]
    configs = yaml.safe_load(dict(mig_parted_files(plan(*odd, *other)))["config.yaml"])["mig-configs"]
    assert set(configs) == {"all-disabled", "layout-1", "layout-2"}
    twins = plan(
        cut("a", 0, layouts[0]),
        Gpu(node="a", index=1, model="L4"),
        cut("b", 0, layouts[0]),
        Gpu(node="b", index=1, model="T4"),
        cut("c", 0, layouts[0], "H100-SXM5-80GB"),
        Gpu(node="c", index=1, model="L4"),
    )
    configs = yaml.safe_load(dict(mig_parted_files(twins))["config.yaml"])["mig-configs"]
    assert set(configs) == {"all-disabled", "gpu0.1g.10gb_gpu1.off", "layout-1"}


def test_the_bare_file_says_where_the_driver_may_choose_other_placements() -> None:
    full = tuple(GpuInstance(profile="1g.10gb", start=start) for start in range(7))
    assert not has_choice(cut("a", 0, full)) and not has_choice(cut("a", 0, ()))
    assert has_choice(cut("a", 0)) and has_choice(cut("a", 0, full[:3]))
    text = dict(mig_parted_files(plan(cut("a", 0), cut("a", 1, full))))["config.yaml"]
    assert "# - a/0: 3g.40gb@0 2g.20gb@4 1g.10gb@6" in text and "a/1" not in text
    assert "placements" not in dict(mig_parted_files(plan(cut("a", 1, full))))["config.yaml"]


def test_the_device_plugin_gets_one_configuration_a_method_and_each_node_its_label() -> None:
    files = dict(device_plugin_files(plugin_plan()))
    data = yaml.safe_load(files["device-plugin-config.yaml"])["data"]
    shared = {"renameByDefault": False, "failRequestsGreaterThanOne": True}
    resources = [{"name": "nvidia.com/gpu", "replicas": 4}]
    assert yaml.safe_load(data["mps-4"]) == {
        "version": "v1",
        "flags": {"migStrategy": "none"},
        "sharing": {"mps": {**shared, "resources": resources}},
    }
    assert set(data) == {"mig", "mps-4", "time-slicing-3", "whole"}
    labels = list(yaml.safe_load_all(files["device-plugin-node-labels.yaml"]))
    names = [node["metadata"]["labels"]["nvidia.com/device-plugin.config"] for node in labels]
    assert names == ["mig", "mps-4", "time-slicing-3", "whole"]
    policy = yaml.safe_load(files["device-plugin-cluster-policy.yaml"])["spec"]
    assert policy["mig"] == {"strategy": "mixed"} and policy["devicePlugin"]["config"]["default"] == "whole"
    whole = dict(device_plugin_files(plan(gpu("a", 0, "whole", "x/0"), executor="device-plugin")))
    assert "mig" not in yaml.safe_load(whole["device-plugin-cluster-policy.yaml"])["spec"]


def test_whole_gpus_may_lie_beside_cut_ones_under_the_device_plugin() -> None:
    files = dict(device_plugin_files(on("n", cut("n", 0), gpu("n", 1, "whole", "x/0"), gpu("n", 2))))
    [node] = yaml.safe_load_all(files["device-plugin-node-labels.yaml"])
    assert node["metadata"]["labels"] == {"nvidia.com/device-plugin.config": "mig"}


def test_the_fields_are_those_of_the_catalog() -> None:
    known: Any = label_facts().device_plugin_config["sharing"]
    data = yaml.safe_load(dict(device_plugin_files(plugin_plan()))["device-plugin-config.yaml"])["data"]
    assert set(yaml.safe_load(data["time-slicing-3"])["sharing"]["timeSlicing"]) == set(known["timeSlicing"])
    assert {"nvidia.com/mig.config", "nvidia.com/device-plugin.config"} <= set(label_facts().operator)


LARGE = replace(gpu("n", 0, "mps", replicas=4), tenants=(Tenant(name="big", memory_bytes=30 * GIB),))
REFUSED: list[tuple[Export, PartitionPlan, str]] = [
    (device_plugin_files, mixed(), "with a method a GPU; the device plugin has one a node"),
    (dra_files, plugin_plan(), "ask for extended resources"),
    (
        device_plugin_files,
        on("n", cut("n", 0), gpu("n", 1, "mps", "a", replicas=2)),
        "several methods (mig, mps)",
    ),
    (device_plugin_files, on("n", gpu("n", 0, "mps", "a")), "one number of replicas from 2 up, not 1"),
    (
        device_plugin_files,
        on("n", gpu("n", 0, "mps", "a", replicas=2), gpu("n", 1, "mps", "b", replicas=4)),
        "one number of replicas from 2 up, not 2, 4",
    ),
    (
        device_plugin_files,
        on("n", gpu("n", 0, "mps", "a", "b", "c", replicas=2)),
        "do not hold its 3 tenants",
    ),
    (device_plugin_files, on("n", gpu("n", 0, "mps", "a", replicas=49)), "49 replicas do not hold"),
    (device_plugin_files, on("n", LARGE), "4 replicas do not hold its 1 tenants (big)"),
]


@pytest.mark.parametrize(("export", "made", "says"), REFUSED, ids=[case[2] for case in REFUSED])
def test_a_plan_for_another_executor_is_refused_with_the_way_out(
    export: Export, made: PartitionPlan, says: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        export(made)
    assert says in str(caught.value) and "stellwerk partition --executor" in caught.value.fix


def by_name(made: PartitionPlan) -> dict[str, Manifest]:
    return {each.raw["metadata"]["name"]: each for each in objects(dra_files(made))}


def parameters_of(manifest: Manifest) -> dict[str, Any]:
    [config] = manifest.raw["spec"]["devices"]["config"]
    assert config["opaque"]["driver"] == "gpu.nvidia.com" and config["requests"] == ["gpu"]
    found: dict[str, Any] = config["opaque"]["parameters"]
    return found


def test_pods_alone_get_a_template_and_pods_that_share_one_claim_with_its_config() -> None:
    found = by_name(mixed())
    assert {name: each.kind for name, each in found.items()} == {
        "gpu.nvidia.com": "DeviceClass",
        "mig.nvidia.com": "DeviceClass",
        "chat-2g-20gb": "ResourceClaimTemplate",
        "chat-3g-40gb": "ResourceClaimTemplate",
        "train-gpu": "ResourceClaimTemplate",
        "gpu-0-gpu-1": "ResourceClaim",
        "gpu-1-gpu-1": "ResourceClaim",
        "gpu-cluster": "GPUCluster",
    }
    mps, sliced = parameters_of(found["gpu-0-gpu-1"]), parameters_of(found["gpu-1-gpu-1"])
    target = Target(
        device="gpu",
        named=True,
        devices=1,
        gates=frozenset(gate for gate, on in gates(mixed()).items() if on),
    )
    for parameters in (mps, sliced):
        config = OpaqueDeviceConfiguration(driver="gpu.nvidia.com", parameters=parameters)
        assert check_opaque(config, target) == ()
    assert mps["sharing"]["mpsConfig"] == {
        "defaultActiveThreadPercentage": 25,
        "defaultPinnedDeviceMemoryLimit": "18432Mi",
    }
    assert sliced["sharing"]["timeSlicingConfig"] == {"interval": "Default"}
    [request] = found["chat-3g-40gb"].raw["spec"]["spec"]["devices"]["requests"]
    assert request["exactly"]["deviceClassName"] == "mig.nvidia.com"
    assert "profile == '3g.40gb'" in request["exactly"]["selectors"][0]["cel"]["expression"]


def gates(made: PartitionPlan) -> dict[str, bool]:
    files = dict(dra_files(made))
    cluster = yaml.safe_load(files["dra-gpu-cluster.yaml"])
    found: dict[str, bool] = cluster["spec"]["draDriver"]["featureGates"]
    assert yaml.safe_load(files["dra-helm-values.yaml"])["featureGates"] == found
    return found


def test_the_gates_are_those_that_the_plan_needs_and_mps_makes_mig_static() -> None:
    assert gates(mixed()) == {"DynamicMIG": False, "MPSSupport": True, "TimeSlicingSettings": True}
    assert gates(plan(cut("a", 0))) == {"DynamicMIG": True, "MPSSupport": False, "TimeSlicingSettings": False}
    both = dict(dra_files(mixed()))["dra-gpu-cluster.yaml"]
    assert "so MIG is static here" in both and "# Both on one node: gpu-0." in both
    apart = dict(dra_files(plan(cut("a", 0), gpu("b", 0, "mps", "x", "y"))))["dra-gpu-cluster.yaml"]
    assert "so MIG is static here" in apart and "Both on one node" not in apart
    assert "static" not in dict(dra_files(plan(cut("a", 0))))["dra-gpu-cluster.yaml"]


def test_a_claim_has_the_largest_limits_and_smaller_tenants_lower_their_own() -> None:
    tenants = (
        Tenant(name="x/0", memory_bytes=20 * GIB, compute_milli=301),
        Tenant(name="y/0", memory_bytes=10 * GIB + 1, compute_milli=100),
    )
    shared = Gpu(node="n", index=0, model=H100, method="mps", tenants=tenants)
    files = dict(dra_files(plan(shared)))["dra-claims.yaml"]
    assert (
        '# y/0: env CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: "10", CUDA_MPS_PINNED_DEVICE_MEM_LIMIT: "0=10241M"'
        in files
    )
    assert "# x/0: env" not in files and "defaultActiveThreadPercentage: 31" in files
    free = replace(shared, tenants=(*tenants, Tenant(name="z/0")))
    assert parameters_of(by_name(plan(free))["n-gpu-0"])["sharing"] == {"strategy": "MPS", "mpsConfig": {}}


def test_whole_gpus_of_one_pod_are_one_claim_and_models_are_told_apart() -> None:
    eight = [gpu("n", index, "whole", "train/0") for index in range(8)]
    assert by_name(plan(*eight))["train-8-gpus"].raw["spec"]["spec"]["devices"]["requests"][0]["exactly"] == {
        "deviceClassName": "gpu.nvidia.com",
        "count": 8,
    }
    small = Gpu(node="m", index=0, model="L4", method="whole", tenants=(Tenant(name="web/0"),))
    found = by_name(plan(*eight, small))
    [selector] = found["web-gpu-l4"].raw["spec"]["spec"]["devices"]["requests"][0]["exactly"]["selectors"]
    assert selector["cel"]["expression"].endswith(".productName.replace(' ', '-') in ['NVIDIA-L4']")


def test_any_name_of_a_pod_becomes_a_valid_object_and_no_comment_ends_early() -> None:
    odd = ("Team A/Pod_1", "ünïcode/3", "x\nkind: Pod", "-", "a" * 300)
    gpus = [gpu(f"node-{i}", 0, "whole", name) for i, name in enumerate(odd)]
    assert sum(each.kind == "ResourceClaimTemplate" for each in objects(dra_files(plan(*gpus)))) == len(odd)


def test_claims_go_where_their_pods_are_and_none_is_shared_across_namespaces() -> None:
    cuts = (GpuInstance(profile="3g.40gb", start=0, tenant="lab/chat/0"),)
    made = plan(
        cut("n", 0, cuts),
        gpu("n", 1, "mps", "lab/a/0", "lab/b"),
        gpu("n", 2, "mps", "lab/a/1", "web/c", "d/0"),
    )
    found = by_name(made)
    spaces = {name: each.raw["metadata"].get("namespace") for name, each in found.items()}
    assert (spaces["chat-3g-40gb"], spaces["n-gpu-1"], spaces["n-gpu-2"]) == ("lab", "lab", None)
    text = dict(dra_files(made))["dra-claims.yaml"]
    assert text.count("NOT POSSIBLE AS IT IS") == 1 and "namespaces (unknown, lab, web)" in text


def test_profiles_with_and_without_media_get_templates_of_their_own() -> None:
    rtx = "RTX-PRO-6000-BSE"
    cuts = (
        GpuInstance(profile="1g.24gb-me", start=0, tenant="a/0"),
        GpuInstance(profile="1g.24gb+me.all", start=1, tenant="a/1"),
    )
    names = set(by_name(plan(cut("n", 0, cuts, rtx))))
    assert {"a-1g-24gb-no-me", "a-1g-24gb-me-all"} <= names


def test_nobody_on_a_gpu_is_nothing_to_claim() -> None:
    files = dict(dra_files(plan(gpu("a", 0))))
    assert yaml.safe_load(files["dra-claims.yaml"]) is None and "nothing to apply" in files["dra-claims.yaml"]


def test_text_that_kubernetes_takes_for_something_else_is_quoted() -> None:
    words = ["y", "no", "1e3", "0x1f", "null", "", "2026-01-01", "text", "a: b", "two\nlines\n"]
    shared = {"same": ["x"]}
    text = yaml_text({"words": words, "twice": [shared, shared]})
    [manifest] = load_manifests(
        commented(["c"], {"apiVersion": "v1", "kind": "ConfigMap", "data": {"words": words}}).encode(), "x"
    )
    assert manifest.raw["data"]["words"] == words and "&id" not in text


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.mark.usefixtures("_elsewhere")
def test_the_verb_writes_and_leaves_alone_what_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    example = str(VALID / "partition-plan.yaml")
    assert call("export", "mig-parted", "-o", "out", "--plan", example) == 0
    assert capsys.readouterr().out.splitlines()[0] == "wrote out/config.yaml"
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    Path("out/mig-parted-config.yaml").write_text("changed by hand")
    assert call("export", "mig-parted", "-o", "out", "--plan", example) == 0
    assert capsys.readouterr().out.splitlines() == [
        "unchanged out/config.yaml",
        "wrote out/mig-parted-config.yaml",
        "unchanged out/mig-parted-node-labels.yaml",
    ]
    assert Path("out/config.yaml").stat().st_mtime_ns == before[Path("out/config.yaml")]


@pytest.mark.usefixtures("_elsewhere")
def test_the_verb_writes_nothing_for_a_plan_that_is_wrong_or_for_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("plan.yaml").write_text(plan_text(mixed(), "demo", "yaml").replace("3g.40gb", "3g.39gb"))
    Path("right.yaml").write_text(plan_text(mixed(), "demo", "yaml"))
    assert call("export", "dra", "-o", "out", "--plan", "plan.yaml") == 2
    assert capsys.readouterr().err.startswith(
        "plan.yaml, document 1, spec.gpus[0].instances[0].profile: H100-PCIE-80GB has no MIG profile 3g.39gb."
    )
    assert call("export", "device-plugin", "-o", "out", "--plan", "right.yaml", "--lang", "de") == 2
    assert capsys.readouterr().err.startswith("right.yaml, spec.executor: der Plan ist für dra")
    assert call("export", "vgpu", "-o", "out", "--plan", "right.yaml") == 2
    assert not Path("out").exists()

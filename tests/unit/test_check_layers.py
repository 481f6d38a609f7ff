"""Kueue, Karpenter, the GPU operator and NVIDIA's driver: what they do with a claim, and when."""

import time
from typing import Any

import pytest

from stellwerk.catalog.versions import (
    DRIVER,
    KARPENTER,
    KUEUE,
    OPERATOR,
    PROVIDER,
    component_version,
    components,
)
from stellwerk.engine.allocation.support.check import is_refused
from stellwerk.engine.allocation.support.row import API_SERVER, DEVICE_PLUGIN, LAYERS, SCHEDULER
from tests.unit.support_sample import claim, cluster, device_class, exactly, pod, rows, template, verdicts

SELECTOR = {"cel": {"expression": "device.driver == 'gpu.nvidia.com'"}}
FIRST = {"firstAvailable": [{"name": "x", "deviceClassName": "mig.nvidia.com"}]}
MPS = {
    "apiVersion": "resource.nvidia.com/v1beta1",
    "kind": "GpuConfig",
    "sharing": {"strategy": "MPS", "mpsConfig": {"defaultActiveThreadPercentage": 50}},
}
EXTENDED = {"nvidia.com/gpu": 1}


def configured(parameters: Any, *requests: dict[str, Any], names: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    config = {"requests": list(names), "opaque": {"driver": "gpu.nvidia.com", "parameters": parameters}}
    return template(*(requests or (exactly(),)), config=[config])


def kueue(version: str, *objects: dict[str, Any], **gates: bool) -> list[tuple[str, str, str]]:
    return verdicts(rows(*objects, of=cluster(kueue=component_version(KUEUE, version), **gates)), KUEUE)


def karpenter(version: str, *objects: dict[str, Any], provider: str = "aws") -> list[tuple[str, str, str]]:
    of = cluster(
        karpenter=component_version(KARPENTER, version),
        karpenter_dra=True,
        providers=(component_version(PROVIDER + provider),),
    )
    return verdicts(rows(*objects, of=of), KARPENTER)


FEATURES: list[tuple[dict[str, Any], str, str]] = [
    (template(FIRST), "no-first-available", "0.15"),
    (template(exactly(allocationMode="All")), "no-all", "0.15"),
    (template(exactly(selectors=[SELECTOR])), "no-selectors", "0.15 0.16 0.17"),
    (template(exactly(), constraints=[{"matchAttribute": "d.e/f"}]), "no-constraints", "0.15 0.16 0.17"),
    (
        template(exactly(), config=[{"opaque": {"driver": "d.e", "parameters": {}}}]),
        "no-config",
        "0.15 0.16 0.17",
    ),
    (template(exactly(adminAccess=True)), "no-admin", "0.15 0.16 0.17 0.18 0.19"),
]


@pytest.mark.parametrize(("asked", "code", "versions"), FEATURES)
def test_kueue_refuses_a_feature_in_the_versions_that_do(
    asked: dict[str, Any], code: str, versions: str
) -> None:
    known = [row.version for row in components(KUEUE)]
    span = versions.split() if " " in versions else known[known.index(versions) :]
    for version in known:
        gate = {"DynamicResourceAllocation": True} if version < "0.18" else {}
        found = [each for each in kueue(version, asked, **gate) if each[0] == "refuses"]
        assert [each[1] for each in found] == ([code] if version in span else []), version


def test_kueue_0_14_admits_what_it_does_not_count() -> None:
    on = {"DynamicResourceAllocation": True}
    assert ("ignores", "uncounted", "requests[0].firstAvailable") in kueue("0.14", template(FIRST), **on)
    all_ = kueue("0.14", template(exactly(allocationMode="All")), **on)
    assert ("ignores", "uncounted", "requests[0].exactly.allocationMode") in all_


def test_kueue_takes_templates_only() -> None:
    assert kueue("0.19", claim(exactly())) == [("refuses", "named-claim", "")]
    assert kueue("0.19", template(exactly())) == [("accepts", "counted", "")]
    assert verdicts(rows(claim(exactly()), of=cluster(kueue=None)), KUEUE) == []


def test_kueue_without_its_gate_counts_nothing_and_since_0_18_refuses() -> None:
    assert kueue("0.17", template(exactly())) == [("ignores", "kueue-off", "")]
    assert kueue("0.19", template(exactly()), KueueDRAIntegration=False) == [
        ("refuses", "kueue-off-refused", "")
    ]


def test_kueue_main_admits_admin_access_for_nothing() -> None:
    asked = template(exactly(adminAccess=True))
    assert ("ignores", "admin-free", "requests[0].exactly.adminAccess") in kueue("0.20", asked)


def test_karpenter_buys_nothing_for_a_claim_while_its_flag_is_on() -> None:
    [found] = [each for each in rows(template(exactly())) if each.layer == KARPENTER]
    assert (found.verdict, found.reason.code) == ("ignores", "flag")
    assert found.fix is not None and found.fix.values["providers"] == "aws, azure"
    gcp = cluster(providers=(component_version(PROVIDER + "gcp"),))
    [found] = [each for each in rows(template(exactly()), of=gcp) if each.layer == KARPENTER]
    assert found.fix is not None and found.fix.code == "flag-off"
    assert verdicts(rows(template(exactly()), of=cluster(karpenter=None)), KARPENTER) == []


def test_karpenter_allocates_since_1_14_and_no_provider_announces_devices() -> None:
    assert karpenter("1.13", template(exactly())) == [("ignores", "no-allocator", "")]
    for provider in ("aws", "azure", "gcp", "kwok"):
        assert karpenter("1.14", template(exactly()), provider=provider) == [
            ("ignores", "announces-none", "")
        ]


def test_karpenter_1_14_refuses_alternatives_and_distinct_attributes() -> None:
    distinct = template(exactly(), constraints=[{"distinctAttribute": "d.e/f"}])
    assert [code for _, code, _ in karpenter("1.14", template(FIRST))] == ["karpenter-first"]
    assert [code for _, code, _ in karpenter("1.14", distinct)] == ["karpenter-distinct"]
    assert [code for _, code, _ in karpenter("main", template(FIRST))] == ["announces-none"]
    assert [code for _, code, _ in karpenter("main", distinct)] == ["announces-none"]


def test_with_the_device_plugin_there_are_no_slices_of_nvidias_devices() -> None:
    plugin = cluster(operator_mode=DEVICE_PLUGIN)
    found = rows(template(exactly()), of=plugin)
    assert verdicts(found, OPERATOR) == [("pends", "device-plugin", "")]
    assert verdicts(found, DRIVER) == []
    assert verdicts(rows(template(exactly())), OPERATOR) == [("accepts", "publishes", "")]
    other = rows(template(exactly("dranet.net")), of=plugin)
    assert verdicts(other, OPERATOR) == [] and not is_refused(other)


def test_a_class_of_ones_own_is_known_by_its_selector() -> None:
    mine = device_class(
        selectors=[{"cel": {"expression": "device.attributes['gpu.nvidia.com'].type == 'mig'"}}]
    )
    found = rows(
        mine, configured({**MPS, "kind": "MigDeviceConfig"}, exactly("c")), of=cluster(MPSSupport=True)
    )
    assert verdicts(found, DRIVER) == [("accepts", "driver-takes", "")]
    found = rows(mine, configured(MPS, exactly("c")), of=cluster(MPSSupport=True))
    assert [code for _, code, _ in verdicts(found, DRIVER)] == ["other-device"]


def test_the_driver_refuses_a_configuration_without_its_gate_and_says_which() -> None:
    refused = ("refuses", "gate-off", "config[0].opaque.parameters.sharing.strategy")
    found = rows(configured(MPS))
    assert verdicts(found, DRIVER) == [refused]
    [fix] = [each.fix for each in found if each.layer == DRIVER]
    assert fix is not None and fix.values["gate"] == "MPSSupport"
    assert verdicts(rows(configured(MPS), of=cluster(MPSSupport=True)), DRIVER) == [
        ("accepts", "driver-takes", "")
    ]


def test_limits_by_index_are_held_to_the_count_of_the_requests() -> None:
    limits = {"defaultPerDevicePinnedMemoryLimit": {"1": "2Gi"}}
    parameters = {**MPS, "sharing": {"strategy": "MPS", "mpsConfig": limits}}
    on = cluster(MPSSupport=True)
    two = configured(parameters, exactly(count=2))
    assert verdicts(rows(two, of=on), DRIVER) == [("accepts", "driver-takes", "")]
    assert [code for _, code, _ in verdicts(rows(configured(parameters), of=on), DRIVER)] == ["no-index"]
    open_ = configured(parameters, exactly(allocationMode="All"))
    assert verdicts(rows(open_, of=on), DRIVER) == [("accepts", "driver-takes", "")]


def test_gates_of_the_driver_stand_together_and_with_kubernetes() -> None:
    both = verdicts(rows(template(exactly()), of=cluster(DynamicMIG=True, MPSSupport=True)), DRIVER)
    assert [code for _, code, _ in both] == ["gates-exclude"]
    old = verdicts(rows(template(exactly()), of=cluster("1.35", DynamicMIG=True)), DRIVER)
    assert [code for _, code, _ in old] == ["driver-needs-kubernetes"]
    assert [
        verdict for verdict, _, _ in verdicts(rows(template(exactly()), of=cluster(DynamicMIG=True)), DRIVER)
    ] == ["accepts"]


def test_vfio_devices_are_published_with_a_gate_only() -> None:
    asked = template(exactly("vfio.gpu.nvidia.com"))
    assert [code for _, code, _ in verdicts(rows(asked), DRIVER)] == ["not-published"]
    on = cluster(PassthroughSupport=True)
    assert [verdict for verdict, _, _ in verdicts(rows(asked, of=on), DRIVER)] == ["accepts"]
    vfio = {"apiVersion": MPS["apiVersion"], "kind": "VfioDeviceConfig"}
    found = verdicts(rows(configured(vfio, exactly("vfio.gpu.nvidia.com")), of=on), DRIVER)
    assert ("ignores", "not-in-webhook", "config[0].opaque.parameters.kind") in found


def test_the_configuration_of_a_class_is_checked_too() -> None:
    config = {"opaque": {"driver": "gpu.nvidia.com", "parameters": {**MPS, "typo": 1}}}
    assert [code for _, code, _ in verdicts(rows(device_class(config=[config])), DRIVER)] == ["unknown-field"]
    found = verdicts(
        rows(
            device_class(config=[{**config, "opaque": {**config["opaque"], "parameters": MPS}}]),
            of=cluster(MPSSupport=True),
        ),
        DRIVER,
    )
    assert found == []


def served(
    layer: str, resources: dict[str, int], *classes: dict[str, Any], **fields: Any
) -> list[tuple[str, str]]:
    found = rows(pod([], limits=resources), *classes, of=cluster(**fields))
    return [(verdict, code) for verdict, code, _ in verdicts(found, layer) if code not in ("valid",)]


def test_an_extended_resource_is_the_device_plugins() -> None:
    for name in ("nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"):
        assert served(OPERATOR, {name: 1}, operator_mode=DEVICE_PLUGIN) == [("accepts", "by-plugin")]
        assert served(SCHEDULER, {name: 1}) == [("pends", "no-class")]


def test_an_extended_resource_is_served_through_its_class_where_the_gate_is_on() -> None:
    mapped = device_class(extendedResourceName="nvidia.com/gpu")
    assert served(SCHEDULER, EXTENDED, mapped) == [("accepts", "by-class")]
    assert served(SCHEDULER, EXTENDED, mapped, kubernetes="1.35") == [("pends", "extended-gate-off")]
    assert served(SCHEDULER, EXTENDED, mapped, kubernetes="1.35", DRAExtendedResource=True) == [
        ("accepts", "by-class")
    ]


def test_every_class_has_an_implicit_resource() -> None:
    name = "deviceclass.resource.kubernetes.io/mig.nvidia.com"
    assert served(SCHEDULER, {name: 1}) == [("accepts", "by-class")]
    assert served(SCHEDULER, {name: 1}, kubernetes="1.34") == [("pends", "extended-gate-off")]
    assert served(KUEUE, {name: 1}) == [("accepts", "counted-by-name")]
    assert served(KARPENTER, {name: 1}) == [("ignores", "not-bought")]


def test_kueue_counts_a_mapped_resource_by_its_class_since_0_19() -> None:
    mapped = device_class(extendedResourceName="nvidia.com/gpu")
    assert served(KUEUE, EXTENDED, mapped) == [("accepts", "counted-by-class")]
    old = served(KUEUE, EXTENDED, mapped, kueue=component_version(KUEUE, "0.18"))
    assert old == [("accepts", "counted-by-name")]
    assert served(KARPENTER, EXTENDED, mapped) == [("accepts", "bought")]
    assert served(SCHEDULER, {"example.com/nic": 1}) == []


def test_rows_come_by_object_and_layer_and_name_versions_and_sources() -> None:
    found = rows(template(exactly()), device_class(), pod([], limits=EXTENDED))
    assert found[0].object == "ResourceClaimTemplate t"
    for name in {each.object for each in found}:
        layers = [LAYERS.index(each.layer) for each in found if each.object == name]
        assert layers == sorted(layers)
    for each in found:
        assert each.versions and "@" in each.source and str(each.reason)
        assert each.fix is None or str(each.fix)
    assert API_SERVER in {each.layer for each in found}


def test_a_claim_beyond_every_limit_is_answered_soon() -> None:
    requests = [exactly(selectors=[SELECTOR] * 40) for _ in range(1_000)]
    opaque = {"driver": "gpu.nvidia.com", "parameters": MPS}
    huge = template(*requests, config=[{"requests": ["a"] * 40, "opaque": opaque}] * 1_000)
    started = time.perf_counter()
    found = rows(huge)
    assert [code for verdict, code, _ in verdicts(found, API_SERVER)] == ["too-many", "too-many"]
    assert len(found) < 100
    assert time.perf_counter() - started < 20  # About one second, nearly all of it for reading the text.

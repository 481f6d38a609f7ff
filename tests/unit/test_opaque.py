"""NVIDIA's opaque configuration: what the driver takes, what its webhook and its kubelet plugin refuse."""

from decimal import Decimal
from typing import Any

import pytest

from stellwerk.api.groups.resource import OpaqueDeviceConfiguration
from stellwerk.catalog.dra import dra_facts
from stellwerk.engine.allocation.nvidia.opaque import Target, check_driver_gates, check_opaque
from stellwerk.engine.allocation.nvidia.schema import API_VERSION, FIELDS, KUBELET, WEBHOOK, Finding

BOTH_GATES = frozenset({"TimeSlicingSettings", "MPSSupport"})
DOMAIN = "compute-domain.nvidia.com"
UUID = "GPU-4cf8db2d-06c0-7d70-1a51-e59b25b2c16c"


def findings(
    kind: str, fields: dict[str, Any], target: Target | None = None, driver: str = "gpu.nvidia.com"
) -> tuple[Finding, ...]:
    parameters = {"apiVersion": API_VERSION, "kind": kind, **fields}
    config = OpaqueDeviceConfiguration(driver=driver, parameters=parameters)
    return check_opaque(config, target or Target(gates=BOTH_GATES, devices=2))


def codes(found: tuple[Finding, ...]) -> list[tuple[str, str]]:
    assert all(str(each.reason) for each in found)
    return [(each.path, each.reason.code) for each in found]


def sharing(strategy: str, **blocks: Any) -> dict[str, Any]:
    return {"sharing": {"strategy": strategy, **blocks}}


def mps(**fields: Any) -> dict[str, Any]:
    return sharing("MPS", mpsConfig=fields)


ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("GpuConfig", {}),
    ("GpuConfig", {"sharing": None}),
    ("GpuConfig", sharing("TimeSlicing")),
    ("GpuConfig", sharing("TimeSlicing", timeSlicingConfig={"interval": "Long"})),
    ("GpuConfig", sharing("TimeSlicing", timeSlicingConfig=None)),
    ("GpuConfig", sharing("MPS")),
    ("GpuConfig", mps()),
    ("GpuConfig", mps(defaultActiveThreadPercentage=0)),
    ("GpuConfig", mps(defaultActiveThreadPercentage=100)),
    ("GpuConfig", mps(defaultActiveThreadPercentage=Decimal("50.0"))),
    ("GpuConfig", mps(defaultActiveThreadPercentage=None)),
    ("GpuConfig", mps(multiUser=True)),
    ("GpuConfig", mps(defaultPinnedDeviceMemoryLimit="1Mi")),
    ("GpuConfig", mps(defaultPinnedDeviceMemoryLimit=1048576)),
    (
        "GpuConfig",
        mps(defaultPinnedDeviceMemoryLimit="10Gi", defaultPerDevicePinnedMemoryLimit={"0": "12Gi"}),
    ),
    ("GpuConfig", mps(defaultPerDevicePinnedMemoryLimit={"+1": "2Gi"})),
    ("GpuConfig", mps(defaultPerDevicePinnedMemoryLimit={UUID: "2Gi"})),
    ("MigDeviceConfig", sharing("TimeSlicing")),
    # A MIG device's time slice cannot be set, so that nothing looks at the block of the other strategy.
    ("MigDeviceConfig", sharing("TimeSlicing", mpsConfig={"defaultActiveThreadPercentage": 5})),
    ("MigDeviceConfig", mps(defaultActiveThreadPercentage=50)),
]

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("NicConfig", {}, "kind", "unknown-kind"),
    ("ComputeDomain", {}, "kind", "unknown-kind"),
    ("GpuConfig", {"metadata": {"name": "x"}}, "metadata", "unknown-field"),
    ("GpuConfig", {"Sharing": {}}, "Sharing", "unknown-field"),
    ("GpuConfig", {"sharing": []}, "sharing", "wrong-type"),
    ("GpuConfig", {"sharing": {}}, "sharing.strategy", "unknown-strategy"),
    ("GpuConfig", sharing("Fabric"), "sharing.strategy", "unknown-strategy"),
    ("GpuConfig", {"sharing": {"strategy": 5}}, "sharing.strategy", "wrong-type"),
    (
        "GpuConfig",
        sharing("TimeSlicing", timeSlicingConfig={"interval": "Tiny"}),
        "sharing.timeSlicingConfig.interval",
        "unknown-interval",
    ),
    (
        "GpuConfig",
        sharing("TimeSlicing", timeSlicingConfig={}),
        "sharing.timeSlicingConfig.interval",
        "no-interval",
    ),
    ("GpuConfig", sharing("TimeSlicing", mpsConfig={}), "sharing.mpsConfig", "other-block"),
    (
        "GpuConfig",
        sharing("MPS", timeSlicingConfig={"interval": "Short"}),
        "sharing.timeSlicingConfig",
        "other-block",
    ),
    (
        "GpuConfig",
        mps(defaultActiveThreadPercentage=101),
        "sharing.mpsConfig.defaultActiveThreadPercentage",
        "percentage",
    ),
    (
        "MigDeviceConfig",
        mps(defaultActiveThreadPercentage=-1),
        "sharing.mpsConfig.defaultActiveThreadPercentage",
        "percentage",
    ),
    (
        "GpuConfig",
        mps(defaultActiveThreadPercentage="50"),
        "sharing.mpsConfig.defaultActiveThreadPercentage",
        "wrong-type",
    ),
    (
        "GpuConfig",
        mps(defaultActiveThreadPercentage=Decimal("12.5")),
        "sharing.mpsConfig.defaultActiveThreadPercentage",
        "wrong-type",
    ),
    (
        "GpuConfig",
        mps(defaultActiveThreadPercentage=True),
        "sharing.mpsConfig.defaultActiveThreadPercentage",
        "wrong-type",
    ),
    ("GpuConfig", mps(activeThreads=5), "sharing.mpsConfig.activeThreads", "unknown-field"),
    (
        "GpuConfig",
        mps(defaultPinnedDeviceMemoryLimit="ten"),
        "sharing.mpsConfig.defaultPinnedDeviceMemoryLimit",
        "wrong-type",
    ),
    (
        "GpuConfig",
        mps(defaultPinnedDeviceMemoryLimit="1023Ki"),
        "sharing.mpsConfig.defaultPinnedDeviceMemoryLimit",
        "limit-too-low",
    ),
    (
        "GpuConfig",
        mps(defaultPerDevicePinnedMemoryLimit={"2": "2Gi"}),
        'sharing.mpsConfig.defaultPerDevicePinnedMemoryLimit["2"]',
        "no-index",
    ),
    (
        "GpuConfig",
        mps(defaultPerDevicePinnedMemoryLimit={"-1": "2Gi"}),
        'sharing.mpsConfig.defaultPerDevicePinnedMemoryLimit["-1"]',
        "no-index",
    ),
    (
        "GpuConfig",
        mps(defaultPerDevicePinnedMemoryLimit={"first": "2Gi"}),
        "sharing.mpsConfig.defaultPerDevicePinnedMemoryLimit.first",
        "no-device",
    ),
    (
        "GpuConfig",
        mps(defaultPerDevicePinnedMemoryLimit={"0": None}),
        'sharing.mpsConfig.defaultPerDevicePinnedMemoryLimit["0"]',
        "limit-too-low",
    ),
    (
        "MigDeviceConfig",
        sharing("TimeSlicing", timeSlicingConfig={"interval": "Long"}),
        "sharing.timeSlicingConfig",
        "unknown-field",
    ),
]


@pytest.mark.parametrize(("kind", "fields"), ACCEPTED)
def test_the_driver_takes_it(kind: str, fields: dict[str, Any]) -> None:
    assert codes(findings(kind, fields)) == []


@pytest.mark.parametrize(("kind", "fields", "path", "code"), REFUSED)
def test_the_driver_refuses_it(kind: str, fields: dict[str, Any], path: str, code: str) -> None:
    assert codes(findings(kind, fields)) == [(path, code)]


@pytest.mark.parametrize("strategy", ["TimeSlicing", "MPS"])
@pytest.mark.parametrize("kind", ["GpuConfig", "MigDeviceConfig"])
def test_each_strategy_needs_its_gate(kind: str, strategy: str) -> None:
    [found] = findings(kind, sharing(strategy), Target())
    assert (found.reason.code, found.where) == ("gate-off", (WEBHOOK, KUBELET))
    gate = {"TimeSlicing": "TimeSlicingSettings", "MPS": "MPSSupport"}[strategy]
    assert found.reason.values["gate"] == gate
    assert findings(kind, sharing(strategy), Target(gates=frozenset({gate}))) == ()


@pytest.mark.parametrize("gate", ["DynamicMIG", "ConsumableShares"])
def test_mps_is_refused_beside_these_gates_when_the_pod_is_prepared(gate: str) -> None:
    [found] = findings("GpuConfig", sharing("MPS"), Target(gates=BOTH_GATES | {gate}))
    assert (found.reason.code, found.where) == ("gate-conflict", (KUBELET,))
    assert findings("GpuConfig", sharing("TimeSlicing"), Target(gates=BOTH_GATES | {gate})) == ()


def test_the_webhook_does_not_see_what_is_checked_at_preparation_only() -> None:
    assert [each.where for each in findings("GpuConfig", sharing("TimeSlicing", mpsConfig={}))] == [
        (KUBELET,)
    ]
    assert [each.where for each in findings("GpuConfig", mps(defaultPinnedDeviceMemoryLimit="1"))] == [
        (KUBELET,)
    ]
    assert [each.where for each in findings("GpuConfig", mps(defaultActiveThreadPercentage=101))] == [
        (WEBHOOK, KUBELET)
    ]


def test_a_configuration_of_named_requests_must_be_for_their_type_of_device() -> None:
    mig = Target(device="mig", named=True)
    assert codes(findings("GpuConfig", {}, mig)) == [("kind", "other-device")]
    assert codes(findings("MigDeviceConfig", {}, mig)) == []
    assert codes(findings("GpuConfig", {}, Target(device="mig"))) == []
    assert codes(findings("GpuConfig", {}, Target(device=None, named=True))) == []


def test_vfio_is_known_to_the_kubelet_plugin_only() -> None:
    [found] = findings(
        "VfioDeviceConfig", {"iommu": {"backendPolicy": "PreferIommuFD", "enableAPIDevice": True}}
    )
    assert (found.reason.code, found.where) == ("not-in-webhook", (WEBHOOK,))
    assert ("iommu.backendPolicy", "unknown-policy") in codes(
        findings("VfioDeviceConfig", {"iommu": {"backendPolicy": "Newest"}})
    )
    assert codes(findings("VfioDeviceConfig", {"iommu": {"enableAPIDevice": "yes"}})) == [
        ("iommu.enableAPIDevice", "wrong-type")
    ]


def test_a_compute_domain_needs_its_id_and_its_own_driver() -> None:
    for kind in ("ComputeDomainChannelConfig", "ComputeDomainDaemonConfig"):
        assert codes(findings(kind, {"domainID": "a"}, driver=DOMAIN)) == []
        [found] = findings(kind, {}, driver=DOMAIN)
        assert (found.path, found.where) == ("domainID", (KUBELET,))
    assert codes(findings("ComputeDomainDaemonConfig", {"allocationMode": "All"}, driver=DOMAIN)) == [
        ("allocationMode", "unknown-field")
    ]
    assert codes(findings("GpuConfig", {}, driver=DOMAIN)) == [("kind", "other-driver")]
    named = Target(named=True)
    assert codes(findings("ComputeDomainChannelConfig", {"domainID": "a"}, named)) == [
        ("kind", "other-driver")
    ]
    assert codes(findings("ComputeDomainChannelConfig", {"domainID": "a"})) == []


def test_another_drivers_parameters_are_not_looked_at() -> None:
    assert check_opaque(OpaqueDeviceConfiguration(driver="dra.net", parameters=5), Target()) == ()
    [found] = check_opaque(OpaqueDeviceConfiguration(driver="gpu.nvidia.com", parameters=[]), Target())
    assert found.reason.code == "not-an-object"


def test_uuids_are_those_of_the_allocated_devices() -> None:
    allocated = Target(gates=BOTH_GATES, uuids=(UUID,))
    assert codes(findings("GpuConfig", mps(defaultPerDevicePinnedMemoryLimit={UUID: "2Gi"}), allocated)) == []
    other = mps(defaultPerDevicePinnedMemoryLimit={"GPU-other": "2Gi", "0": "2Gi", "1": "2Gi"})
    assert [code for _, code in codes(findings("GpuConfig", other, allocated))] == ["no-device", "no-index"]


def test_a_field_is_known_since_the_version_that_brought_it() -> None:
    assert findings("GpuConfig", mps(multiUser=True), Target(gates=BOTH_GATES, version="0.5")) == ()
    [found] = findings("GpuConfig", mps(multiUser=True), Target(gates=BOTH_GATES, version="0.4"))
    assert found.reason.code == "unknown-field"


def test_the_fields_are_those_of_the_catalog_and_multi_user() -> None:
    def flat(fields: Any, path: str = "") -> set[str]:
        if not isinstance(fields, dict):
            return {path.removeprefix(".")}
        return {leaf for name, child in fields.items() for leaf in flat(child, f"{path}.{name}")}

    opaque: Any = dra_facts().opaque_config
    about = ("validation", "defaults", "note")
    mps_fields = {field for field in opaque["GpuConfig"] if field.startswith("sharing.mpsConfig.")}
    for kind, fields in FIELDS.items():
        collected = {field for field in opaque[kind] if field not in about}
        if "sharing.mpsConfig" in collected:
            collected = collected - {"sharing.mpsConfig"} | mps_fields
        assert flat(fields) - {"sharing.mpsConfig.multiUser"} == collected, kind
    assert opaque["apiVersion"] == API_VERSION


def test_gates_that_exclude_or_need_each_other_keep_the_driver_from_starting() -> None:
    assert check_driver_gates(BOTH_GATES) == ()
    [conflict] = check_driver_gates(frozenset({"DynamicMIG", "MPSSupport"}))
    assert set(conflict.values.values()) == {"DynamicMIG", "MPSSupport"}
    [missing] = check_driver_gates(frozenset({"DeviceMetadata"}))
    assert missing.code == "gate-needs" and missing.values["other"] == "PassthroughSupport"

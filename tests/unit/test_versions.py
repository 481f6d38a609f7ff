"""The catalog's versions: which gate of DRA holds where, and who above Kubernetes does what with it."""

import re

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.catalog.versions import (
    KARPENTER,
    KUEUE,
    component_version,
    components,
    default_features,
    facts,
    gates,
    gates_by_release,
    providers,
    release,
    releases,
)

STAGES = ("alpha", "beta", "GA")


def test_the_releases_are_those_with_dra_at_ga() -> None:
    assert releases() == ("1.34", "1.35", "1.36", "1.37")
    for name in releases():
        assert gates(name)["DynamicResourceAllocation"].stage == "GA"
        assert "kube_features.go" in release(name).source and f"v{name}." in release(name).source


@pytest.mark.parametrize(
    ("gate", "states"),
    [
        ("DRAPrioritizedList", ["beta on", "beta on", "GA on", "GA on"]),
        ("DRAAdminAccess", ["beta on", "beta on", "GA on", "GA on"]),
        ("DRAPartitionableDevices", ["alpha off", "alpha off", "beta on", "beta on"]),
        ("DRAConsumableCapacity", ["alpha off", "alpha off", "beta on", "beta on"]),
        ("DRADeviceTaints", ["alpha off", "alpha off", "beta on", "GA on"]),
        ("DRADeviceTaintRules", ["-", "alpha off", "beta off", "GA on"]),
        ("DRAExtendedResource", ["alpha off", "alpha off", "beta on", "GA on"]),
        ("DRADeviceBindingConditions", ["alpha off", "alpha off", "beta on", "beta on"]),
        ("DRAListTypeAttributes", ["-", "-", "alpha off", "alpha off"]),
        ("DRADerivedAttributes", ["-", "-", "-", "alpha off"]),
        ("DRADeviceCompatibilityGroups", ["-", "-", "-", "alpha off"]),
        ("DRAOptionalNodeOperations", ["-", "-", "-", "alpha off"]),
        ("DRAFractionalCapacityRange", ["-", "-", "-", "beta on"]),
        ("DRANodeAllocatableResources", ["-", "-", "alpha off", "alpha off"]),
        ("DRAResourceClaimDeviceStatus", ["beta on", "beta on", "beta on", "GA on"]),
    ],
)
def test_a_gate_has_the_stage_and_default_of_kube_features_go(gate: str, states: list[str]) -> None:
    found = [gates(name).get(gate) for name in releases()]
    assert [f"{x.stage} {'on' if x.default else 'off'}" if x else "-" for x in found] == states


def test_a_gate_never_goes_back_a_stage_and_what_it_requires_is_there() -> None:
    assert len(gates_by_release()) > 20
    for gate, states in gates_by_release():
        stages = [STAGES.index(state.stage) for state in states if state]
        assert stages == sorted(stages), gate
        assert None not in states[len(states) - len(stages) :], f"{gate} vanishes in a later release"
    for name in releases():
        for gate, state in gates(name).items():
            assert set(state.requires) <= gates(name).keys(), (name, gate)
            if state.stage == "GA":
                assert state.default, (name, gate)


def test_the_default_features_stand_together() -> None:
    for name in releases():
        on = default_features(name)
        assert all(set(gates(name)[gate].requires) <= on for gate in on)


def test_a_release_is_found_by_its_patch_too_and_an_unknown_one_names_the_known() -> None:
    assert release("v1.36.1") == release("1.36")
    with pytest.raises(InvalidInput, match=r"1\.29") as error:
        release("1.29")
    assert error.value.values["known"] == "1.34, 1.35, 1.36, 1.37"


def test_every_component_names_a_commit_and_a_date_and_every_fact_a_file() -> None:
    assert len(components()) > 20
    for row in components():
        assert re.fullmatch(r"[0-9a-f]{40}", row.commit) and re.fullmatch(r"20\d\d-\d\d-\d\d", row.date)
        assert row.commit[:8] in row.source("x") and row.source("x").endswith(" x")
        assert all(fact.file and fact.text for fact in facts(row).values())
        assert row.gates or facts(row), row


def test_the_newest_released_version_is_meant_when_none_is_named() -> None:
    assert component_version(KUEUE).version == "0.19"
    assert component_version(KUEUE, "main").version == "0.20"
    assert component_version(KARPENTER, "v1.13.0").version == "1.13"
    with pytest.raises(InvalidInput, match=r"kueue 0\.1 is not known"):
        component_version(KUEUE, "0.1")


def test_facts_hold_in_their_versions_only() -> None:
    old, new = facts(component_version(KUEUE, "0.17")), facts(component_version(KUEUE, "0.19"))
    assert "refuses-selectors" in old and "refuses-selectors" not in new
    assert "refuses-first-available" in old and "refuses-first-available" in new
    assert "allocator" not in facts(component_version(KARPENTER, "1.13"))
    assert "allocator" in facts(component_version(KARPENTER, "1.14"))
    assert set(providers()) == {"aws", "azure", "gcp", "kwok"}

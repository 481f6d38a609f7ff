"""`stellwerk check` on the command line: the examples, options, exit codes, forms."""

import json
from pathlib import Path

import pytest
import yaml

from tests.unit.test_cli import call

VALID = Path(__file__).parent / "api_cases" / "valid"
NEIGHBOUR = Path(__file__).parent / "check_cases" / "dra-gpu40g-nvlink-neighbour-node.yaml"
GATES = ("--gate", "MPSSupport=true", "--gate", "TimeSlicingSettings=true")


def verdicts(capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, str], set[str]]:
    """Codes by (layer, verdict) of JSON that was printed."""
    document = json.loads(capsys.readouterr().out)
    found: dict[tuple[str, str], set[str]] = {}
    for row in document["rows"]:
        found.setdefault((row["layer"], row["verdict"]), set()).add(row["code"])
    assert document["refused"] == any(verdict in ("refuses", "pends") for _, verdict in found)
    return found


@pytest.mark.parametrize(
    ("name", "kueue_code", "driver_code"),
    [
        ("dra-claim-gpu-mps.yaml", "named-claim", "gate-off"),
        ("dra-claim-gpu-timeslicing.yaml", "named-claim", "gate-off"),
        ("dra-claim-mig-mps.yaml", "named-claim", "gate-off"),
        ("dra-claim-mig-or-gpu-fallback.yaml", "no-first-available", ""),
        ("dra-claim-mig-two-slices-same-gpu.yaml", "", ""),
        ("dra-gpu-nic-same-pcie-root.yaml", "", ""),
        ("deviceclasses-nvidia.yaml", "", ""),
    ],
)
def test_an_example_is_refused_by_those_who_refuse_it_today(
    name: str, kueue_code: str, driver_code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("check", "-f", str(VALID / name), "-o", "json") == int(bool(kueue_code or driver_code))
    found = verdicts(capsys)
    refused = {
        code for (_, verdict), codes in found.items() if verdict in ("refuses", "pends") for code in codes
    }
    assert refused == {kueue_code, driver_code} - {""}
    assert call("check", "-f", str(VALID / name), "--kueue", "none", *GATES) == 0
    assert capsys.readouterr().out.startswith("No layer refuses it.\n")


def test_the_neighbours_example_passes_and_its_pods_are_read_from_a_statefulset(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call("check", "-f", str(NEIGHBOUR)) == 0
    out = capsys.readouterr().out
    assert "ResourceClaimTemplate gpu-ge-40g" in out and "StatefulSet nvl-pair" in out


def test_an_older_release_drops_what_it_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(VALID / "deviceclasses-nvidia.yaml")
    assert call("check", "-f", name, "--kubernetes", "1.34", "-o", "json") == 0
    assert verdicts(capsys)[("kube-apiserver", "ignores")] == {"class-dropped"}
    assert (
        call("check", "-f", name, "--kubernetes", "1.34", "--gate", "DRAExtendedResource=true", "-o", "json")
        == 0
    )
    assert ("kube-apiserver", "ignores") not in verdicts(capsys)


def test_the_modes_and_versions_of_the_layers_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(VALID / "dra-claim-mig-two-slices-same-gpu.yaml")
    assert call("check", "-f", name, "--operator-mode", "device-plugin", "-o", "json") == 1
    assert verdicts(capsys)[("gpu-operator", "pends")] == {"device-plugin"}
    assert (
        call("check", "-f", name, "--kueue", "0.17", "--gate", "DynamicResourceAllocation=true", "-o", "json")
        == 1
    )
    assert verdicts(capsys)[("kueue", "refuses")] == {"no-selectors", "no-constraints"}
    assert call("check", "-f", name, "--karpenter", "1.13", "--karpenter-dra", "-o", "json") == 0
    assert verdicts(capsys)[("karpenter", "ignores")] == {"no-allocator"}
    assert call("check", "-f", name, "--karpenter-dra", "--provider", "gcp", "-o", "json") == 0
    assert verdicts(capsys)[("karpenter", "ignores")] == {"announces-none"}
    assert call("check", "-f", name, "--operator", "26.3", "--driver", "0.4", "--karpenter", "none") == 0


def test_yaml_and_json_say_the_same_and_german_is_for_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(VALID / "dra-claim-gpu-mps.yaml")
    assert call("check", "-f", name, "-o", "json", "--lang", "de") == 1
    as_json = json.loads(capsys.readouterr().out)
    assert call("check", "-f", name, "-o", "yaml") == 1
    assert yaml.safe_load(capsys.readouterr().out) == as_json
    assert as_json["cluster"]["kubernetes"] == "1.37" and as_json["cluster"]["operatorMode"] == "dra"
    assert call("check", "-f", name, "--lang", "de") == 1
    assert "lehnt ab" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--kubernetes", "1.33"], "1.33"),
        (["--kubernetes", "x"], "x"),
        (["--gate", "DRAAdminAcess=true"], "DRAAdminAccess"),
        (["--gate", "DRAAdminAccess"], "DRAAdminAccess"),
        (["--gate", "DRAAdminAccess=false"], "locked"),
        (["--kubernetes", "1.34", "--gate", "DRADerivedAttributes=true"], "DRADerivedAttributes"),
        (["--gate", "DRAConsumableCapacity=false"], "DRAFractionalCapacityRange"),
        (["--gate", "DRAPartitionableDevicesType=true"], "DRAResourcePoolStatus"),
        (["--kueue", "0.1"], "0.19"),
        (["--karpenter", "9"], "1.14"),
        (["--provider", "ibm"], "azure"),
        (["--operator", "1.0"], "26.7"),
        (["--driver", "1.0"], "0.5"),
        (["--operator-mode", "x"], "device-plugin"),
    ],
)
def test_a_wrong_option_names_what_is_known(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("check", "-f", str(VALID / "dra-claim-gpu-mps.yaml"), *arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and word in err and "Traceback" not in err


def test_a_file_without_anything_to_check_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("check", "-f", str(VALID / "queues.yaml")) == 2
    broken = tmp_path / "set.yaml"
    broken.write_text(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {template: {spec: 5}}\n"
    )
    assert call("check", "-f", str(broken)) == 2
    assert "kubectl explain StatefulSet.spec.template" in capsys.readouterr().err
    assert call("check") == 2


def test_files_are_checked_together(capsys: pytest.CaptureFixture[str]) -> None:
    name = str(VALID / "dra-claim-mig-two-slices-same-gpu.yaml")
    assert call("check", "-f", name, "-f", str(VALID / "deviceclasses-nvidia.yaml")) == 0
    assert call("check", "-f", name, "-f", name) == 2
    assert "twice" in capsys.readouterr().err

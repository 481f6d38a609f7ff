"""The examples of `stellwerk allocate` have answers beside them, NVIDIA's claims those of Kubernetes."""

import json
from pathlib import Path

import pytest
from msgspec import Struct

from stellwerk.cli.main import main

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "allocation"
CASES = Path(__file__).parent / "dra_examples"
PCIE, MIG = EXAMPLES / "gpu-nic-one-pcie-root", EXAMPLES / "mig-or-whole-gpu"
CLASSES = [MIG / "classes.yaml"]
FULL, NICS = [PCIE / "slice-gpus.json"], [PCIE / "slice-gpus.json", PCIE / "slice-nics.json"]
STATIC, DYNAMIC = [CASES / "resourceslice-static-mig.json"], [MIG / "slices-gpu-node-1.json"]
DRANET = """apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: dranet.net}
spec:
  selectors:
  - cel: {expression: "device.driver == 'dra.net'"}
"""


class Check(Struct, frozen=True):
    """Lines of ALLOCATION_CHECK.txt: pods of one template on slices, and what each has; "" where none can."""

    template: str
    slices: list[Path]
    pods: tuple[str, ...]


CHECKS = {
    "gpu-ge-40g": Check("gpu-ge-40g", FULL, ("gpu=gpu.nvidia.com/gpu-0",)),
    "gpu-nic-aligned": Check(
        "gpu-nic-aligned", NICS, ("gpu=gpu.nvidia.com/gpu-0 nic=dra.net/pci-0000-0a-00-0",)
    ),
    "two pods gpu-nic, three must fail": Check(
        "gpu-nic-aligned",
        NICS,
        (
            "gpu=gpu.nvidia.com/gpu-0 nic=dra.net/pci-0000-0a-00-0",
            "gpu=gpu.nvidia.com/gpu-1 nic=dra.net/pci-0000-12-00-0",
            "",
        ),
    ),
    "two-gpu-nic-pairs": Check(
        "two-gpu-nic-pairs",
        NICS,
        (
            "gpu0=gpu.nvidia.com/gpu-0 nic0=dra.net/pci-0000-0a-00-0 "
            "gpu1=gpu.nvidia.com/gpu-1 nic1=dra.net/pci-0000-12-00-0",
        ),
    ),
    "timeslicing": Check("timeslicing", FULL, ("gpu=gpu.nvidia.com/gpu-0",)),
    "mps": Check("mps", FULL, ("gpu=gpu.nvidia.com/gpu-0",)),
    "mig-mps static": Check("mig-mps", STATIC, ("mig=gpu.nvidia.com/gpu-0-mig-3g40gb-9-0",)),
    "mig 3g+2g static": Check(
        "mig-3g-plus-2g",
        STATIC,
        ("big=gpu.nvidia.com/gpu-0-mig-3g40gb-9-0 small=gpu.nvidia.com/gpu-0-mig-2g20gb-14-4",),
    ),
    "mig 3g+2g dynamic, x2 must fail": Check(
        "mig-3g-plus-2g",
        DYNAMIC,
        ("big=gpu.nvidia.com/gpu-0-mig-3g40gb-9-0 small=gpu.nvidia.com/gpu-0-mig-2g20gb-14-4", ""),
    ),
    "firstAvailable dynamic x4, x5 must fail": Check(
        "ge-19g",
        DYNAMIC,
        (
            "accel/mig=gpu.nvidia.com/gpu-0-mig-1g20gb-15-0",
            "accel/mig=gpu.nvidia.com/gpu-0-mig-1g20gb-15-2",
            "accel/mig=gpu.nvidia.com/gpu-0-mig-1g20gb-15-4",
            "accel/mig=gpu.nvidia.com/gpu-0-mig-1g20gb-15-6",
            "",
        ),
    ),
}
POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: pod-{number}}}
spec:
  resourceClaims: [{{name: devices, resourceClaimTemplateName: {template}}}]
  containers: [{{name: main, image: example/x:1}}]
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["allocate", "--lang", "en", *arguments])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int) and not err, err
    return ended.value.code, out


@pytest.mark.parametrize("case", sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()))
def test_an_example_has_its_expected_answer(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys, "-f", str(EXAMPLES / case), "-o", "yaml")
    assert code == 0
    assert out == (EXAMPLES / f"{case}.expected.yaml").read_text(encoding="utf-8")


def test_the_neighbors_share_a_clique_and_no_node(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = run(capsys, "-f", str(EXAMPLES / "nvlink-neighbour-node"), "-o", "json")
    answers = json.loads(out)["report"]["answers"]
    assert [(one["name"], one["node"]) for one in answers] == [("nvl-pair-0", "gb-0"), ("nvl-pair-1", "gb-2")]


@pytest.mark.parametrize("name", CHECKS)
def test_nvidias_claims_get_what_kubernetes_gives_them(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = CHECKS[name]
    pods = tmp_path / "pods.yaml"
    pods.write_text(
        DRANET + "".join(POD.format(number=i, template=check.template) for i in range(len(check.pods)))
    )
    files = [*CLASSES, *check.slices, CASES / "claims.yaml", pods]
    arguments = [word for file in files for word in ("-f", str(file))]
    gate = ("--kubernetes", "1.35", "--gate", "DRAPartitionableDevices=true")
    code, out = run(capsys, *arguments, *gate, "-o", "json")
    answers = json.loads(out)["report"]["answers"]
    got = tuple(
        " ".join(f"{one['request']}={one['driver']}/{one['device']}" for one in answer.get("devices", ()))
        for answer in answers
    )
    assert got == check.pods
    assert code == (1 if "" in check.pods else 0)

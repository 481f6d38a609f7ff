"""What is exported passes mig-parted's own parser and the device plugin's own types; what is broken does not.

Built once a run, in a temporary folder, from a copy of ../shared/cluster/nvidia (go.mod and go.sum).
"""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from msgspec import Struct

from stellwerk.engine.partition.inventory import Gpu, GpuInstance, PartitionPlan
from stellwerk.report.partition.device_plugin import MAP as PLUGIN_MAP
from stellwerk.report.partition.device_plugin import device_plugin_files
from stellwerk.report.partition.mig_parted import BARE, MAP, mig_parted_files
from tests.unit.partition_sample import cut, gpu, mixed, plan, plugin_plan

ROOT = Path(__file__).parents[2]
MODULES = ROOT.parent / "shared" / "cluster" / "nvidia"
MIG_PARTED, PLUGIN = "github.com/NVIDIA/mig-parted", "github.com/NVIDIA/k8s-device-plugin"


class Parsers(Struct, frozen=True):
    """The two programs, and a folder for their files."""

    mig_parted: str
    plugin: str
    folder: Path


def _run(*command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> Parsers:
    if not MODULES.is_dir() or not shutil.which("go") or not shutil.which("gcc"):
        pytest.skip("NVIDIA's parsers need Go, gcc and ../shared/cluster/nvidia")
    folder = tmp_path_factory.mktemp("nvidia")
    for name in ("go.mod", "go.sum"):
        (folder / name).write_bytes((MODULES / name).read_bytes())
    source = Path(__file__).with_name("nvidia") / "main.go.txt"
    (folder / "main.go").write_bytes(source.read_bytes())
    if _run("go", "mod", "download", MIG_PARTED, PLUGIN, folder=folder).returncode:
        pytest.skip("NVIDIA's parsers need their Go modules, which cannot be had here")
    for output, package in (("mig-parted", f"{MIG_PARTED}/cmd/nvidia-mig-parted"), ("plugin", ".")):
        built = _run("go", "build", "-mod=readonly", "-o", output, package, folder=folder)
        assert built.returncode == 0, built.stderr
    return Parsers(str(folder / "mig-parted"), str(folder / "plugin"), folder)


def many() -> PartitionPlan:
    """Every kind of profile name, several models on one node, and a node with nothing cut."""
    media = (GpuInstance(profile="1g.10gb+me", start=0), GpuInstance(profile="3g.40gb", start=4))
    graphics = (GpuInstance(profile="1g.24gb+gfx", start=0), GpuInstance(profile="2g.48gb+gfx", start=2))
    without = (GpuInstance(profile="1g.24gb-me", start=0), GpuInstance(profile="1g.24gb+me.all", start=1))
    rtx = "RTX-PRO-6000-BSE"
    return plan(
        cut("a", 0, media),
        cut("a", 1, (GpuInstance(profile="1g.5gb", start=0),), "A100-PCIE-40GB"),
        Gpu(node="a", index=2, model="L4"),
        cut("b", 0, graphics, rtx),
        cut("b", 1, without, rtx),
        cut("b", 2, ()),
        gpu("c", 0),
        executor="device-plugin",
    )


@pytest.mark.parametrize("made", [mixed(), many()], ids=["mixed", "many"])
def test_mig_parted_takes_every_configuration(parsers: Parsers, made: PartitionPlan) -> None:
    files = dict(mig_parted_files(made))
    inner = yaml.safe_load(files[MAP])["data"]["config.yaml"]
    for text in (files[BARE], inner):
        path = parsers.folder / "config.yaml"
        path.write_text(text, encoding="utf-8")
        names = list(yaml.safe_load(text)["mig-configs"])
        assert len(names) >= 2
        for name in names:
            found = _run(parsers.mig_parted, "assert", "--valid-config", "-f", str(path), "-c", name)
            assert found.returncode == 0 and "is valid" in found.stdout, found.stderr


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mig-enabled: true", "mig-enabled: false", "MIG devices included when 'mig-enabled' is false"),
        ("3g.40gb: 1", "3g.40g: 1", "invalid format"),
        ("  mig-devices:", "  mig-device:", "unexpected field"),
        ("version: v1", "version: v2", "unknown version"),
    ],
)
def test_mig_parted_refuses_what_is_broken(parsers: Parsers, old: str, new: str, says: str) -> None:
    text = dict(mig_parted_files(mixed()))[BARE]
    assert old in text
    path = parsers.folder / "broken.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    found = _run(parsers.mig_parted, "assert", "--valid-config", "-f", str(path), "-c", "all-disabled")
    assert found.returncode != 0 and says in found.stderr


def _plugin(parsers: Parsers, data: dict[str, str]) -> subprocess.CompletedProcess[str]:
    paths = [parsers.folder / f"{key}.yaml" for key in sorted(data)]
    for path in paths:
        path.write_text(data[path.stem], encoding="utf-8")
    return _run(parsers.plugin, *map(str, paths))


def test_the_device_plugin_reads_every_configuration_as_it_is_meant(parsers: Parsers) -> None:
    data = yaml.safe_load(dict(device_plugin_files(plugin_plan()))[PLUGIN_MAP])["data"]
    found = _plugin(parsers, data)
    assert found.returncode == 0, found.stderr
    assert dict(zip(sorted(data), found.stdout.splitlines(), strict=True)) == {
        "mig": "none 1 mixed",
        "mps-4": "mps 4 none",
        "time-slicing-3": "time-slicing 3 none",
        "whole": "none 1 none",
    }


@pytest.mark.parametrize(
    ("key", "old", "new", "says"),
    [
        ("mps-4", "replicas: 4", "replicas: 1", "must be >= 2"),
        ("mps-4", "replicas: 4", "replica: 4", "no replicas specified"),
        ("mps-4", "sharing:", "shared:", "unknown field"),
        ("mps-4", "name: nvidia.com/gpu", "name: nvidia.com/GPU", "incorrect format"),
        ("whole", "migStrategy", "migStrategie", "unknown field"),
        ("whole", "version: v1", "version: v2", "unknown version"),
    ],
)
def test_the_device_plugin_refuses_what_is_broken(
    parsers: Parsers, key: str, old: str, new: str, says: str
) -> None:
    text = yaml.safe_load(dict(device_plugin_files(plugin_plan()))[PLUGIN_MAP])["data"][key]
    assert old in text
    found = _plugin(parsers, {"broken": text.replace(old, new)})
    assert found.returncode != 0 and says in found.stderr

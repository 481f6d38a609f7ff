"""Broken inputs through the command: exit code 2, one line with place and next step, no traceback.

The wrong manifests of `api_cases/broken.yaml` come first; below them, what is wrong with files,
tables, fleets and receipts.
"""

import gzip
import lzma
import resource
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stellwerk.cli.main import main

CASES = sorted((Path(__file__).parent / "api_cases").glob("broken*.yaml"))
MANIFESTS = [
    (case["name"], case["text"]) for path in CASES for case in msgspec.yaml.decode(path.read_bytes())
]
JOBS = (
    "name,team,kind,arrival,duration,pods,gpus,gpu_memory,gpu_compute,gpu_compute_mean,whole_gpu,isolation\n"
)
PODS = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,"
    "creation_time,deletion_time,scheduled_time\n"
)
BOMB = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)
)
COHORTS = b"".join(
    b"---\napiVersion: kueue.x-k8s.io/v1beta2\nkind: Cohort\nmetadata: {name: %s}\nspec: {parentName: %s}\n"
    % pair
    for pair in ((b"a", b"b"), (b"b", b"c"), (b"c", b"a"))
)
JOB = b"""\
apiVersion: batch/v1
kind: Job
metadata:
  name: a
  annotations: {stellwerk.dev/arrival: '2026-11-02T09:00:00Z', stellwerk.dev/duration: 2h}
spec: {template: {spec: {containers: [{name: m, image: x, resources: {limits: {nvidia.com/gpu: %s}}}]}}}
"""
FLEET = b"apiVersion: stellwerk.dev/v1alpha1\nkind: Fleet\nmetadata: {name: f}\nspec: {nodes: [%s]}\n"

# File name -> content, a word of the message.
DEMANDS: list[tuple[str, bytes, str]] = [
    ("cut.csv.xz", lzma.compress(JOBS.encode() * 100)[:-30], "cut"),
    ("cut.yaml.xz", lzma.compress(b"a: b\n" * 1000)[:60], "cut"),
    ("not.csv.xz", b"this is no xz", "unpacked"),
    ("damaged.csv.gz", gzip.compress(JOBS.encode() * 100)[:-30], "cut"),
    ("bomb.csv.xz", lzma.compress(b"\0" * 300_000_000, preset=0), "256 MiB"),
    ("empty.yaml", b"", "no"),
    ("empty.csv", b"", "empty"),
    ("garbage.yaml", bytes(range(1, 256)) * 40_000, "binary"),
    ("garbage.csv", bytes(range(128, 256)) * 80_000, "UTF-8"),
    ("picture.yaml", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    ("bomb.yaml", BOMB, "alias"),
    ("deep.yaml", b"a: " + b"[" * 5_000, "deep"),
    ("tab.yaml", b"apiVersion: v1\n\tkind: Pod\n", "line 2"),
    ("half.json", b'{"apiVersion": "v1", "kind": "Pod"', "line 2"),
    ("kind.yaml", b"apiVersion: v1\nkind: Pud\nmetadata: {name: a}\n", "Pud"),
    ("type.yaml", JOB % b"[1]", "nvidia.com/gpu"),
    ("negative.yaml", JOB % b"-1", "nvidia.com/gpu"),
    ("fraction.yaml", JOB % b"500m", "nvidia.com/gpu"),
    ("twice.yaml", JOB % b"1" + b"---\n" + JOB % b"1", "twice"),
    ("cycle.yaml", COHORTS, "cycle"),
    ("nogpu.yaml", JOB % b"0", "nvidia.com/gpu"),
    ("header.csv", b"foo,bar\n1,2\n", "foo"),
    ("short.csv", JOBS.encode() + b"a,b\n", "row 2"),
    ("text.csv", JOBS.encode() + b"a,t,batch,x,1h,1,1,,,,,\n", "arrival"),
    ("minus.csv", JOBS.encode() + b"a,t,batch,0,-1h,1,1,,,,,\n", "duration"),
    ("kind.csv", JOBS.encode() + b"a,t,bacth,0,1h,1,1,,,,,\n", "bacth"),
    ("memory.csv", JOBS.encode() + b"a,t,batch,0,1h,1,1,-20Gi,0.5,,,\n", "gpu_memory"),
    ("names.csv", JOBS.encode() + b"a,t,batch,0,1h,1,1,,,,,\n" * 2, "a"),
    ("rows.csv", JOBS.encode(), "no"),
    ("pods.csv", PODS.encode() + b"p,1,1,1,1500,,LS,Running,0,10,0\n", "gpu_milli"),
    ("order.csv", PODS.encode() + b"p,1,1,1,500,,LS,Running,10,5,10\n", "deletion_time"),
    ("use.csv", b"pod,minute,duty_pct,mem_mib\na,0,x,1\n", "duty_pct"),
    ("half.parquet", b"PAR1 and no more", "Parquet"),
]
FLEETS: list[tuple[str, bytes, str]] = [
    ("nodes.yaml", FLEET % b"", "nodes"),
    ("model.yaml", FLEET % b"{name: a, gpuModel: H1000, gpus: 1}", "H1000"),
    ("count.yaml", FLEET % b"{name: a, count: 0, gpuModel: L4, gpus: 1}", "count"),
    ("many.yaml", FLEET % b"{name: a, count: 9999, gpuModel: L4, gpus: 1000}", "GPUs"),
    ("none.yaml", b"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n", "Fleet"),
]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert caught.value.code == 2 and out == "" and "Traceback" not in err, err
    assert len(err.splitlines()) == 1 and "Next: " in err and len(err) < 2_000, err
    return err


@pytest.mark.parametrize(("name", "text"), MANIFESTS, ids=[name for name, _ in MANIFESTS])
def test_a_wrong_manifest_is_refused(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    assert "wrong.yaml" in refused(["replay", str(path)], capsys)


@pytest.mark.parametrize(("name", "content", "said"), DEMANDS, ids=[name for name, _, _ in DEMANDS])
def test_a_wrong_file_is_refused(
    name: str, content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    line = refused(["replay", str(path)], capsys)
    assert name in line and said in line


@pytest.mark.parametrize(("name", "content", "said"), FLEETS, ids=[name for name, _, _ in FLEETS])
def test_a_wrong_fleet_is_refused(
    name: str, content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    line = refused(["replay", "demo", "--fleet", str(path)], capsys)
    assert name in line and said in line


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"kind": "Receipt"}', b"\0", b"{" * 10_000])
def test_a_wrong_receipt_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(content)
    assert "receipt.json" in refused(["verify", str(path)], capsys)


@pytest.mark.parametrize("name", ["garbage.yaml", "bomb.yaml", "bomb.csv.xz", "deep.yaml"])
def test_hostile_input_is_bounded_in_time_and_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(next(content for file, content, _ in DEMANDS if file == name))

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))

    command = [sys.executable, "-m", "stellwerk", "replay", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=limits, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr

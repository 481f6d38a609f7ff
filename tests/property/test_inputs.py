"""Whatever is done to a valid input, the main job runs or ends with one InvalidInput, in bounded time.

2,000 mutations of each form of input that a user can give: manifests, fleets, tables, traces, measured use,
slowdowns, receipts. The seed of a failure is in its message.
"""

import lzma
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stellwerk.api.errors import InvalidInput
from stellwerk.cli.main import main
from stellwerk.report.proof import arguments_of
from stellwerk.report.receipt import compare, plain_receipt, read_receipt
from stellwerk.report.text import error_text
from stellwerk.sim.main_job import Arguments, prepare, run

MUTATIONS = 2_000
RUN_EVERY = 10  # A mutant that is still valid is replayed, every tenth time.
LONGEST_S = 5

DEMAND = """\
apiVersion: v1
kind: List
items:
- apiVersion: batch/v1
  kind: Job
  metadata:
    name: eval
    namespace: lab
    labels: {stellwerk.dev/workload-kind: batch, kueue.x-k8s.io/queue-name: lab}
    annotations:
      stellwerk.dev/arrival: "2026-11-02T09:00:00Z"
      stellwerk.dev/duration: 2h30m
      stellwerk.dev/gpu-memory: 20Gi
      stellwerk.dev/gpu-compute: 400m
      stellwerk.dev/gpu-compute-mean: 300m
  spec:
    parallelism: 2
    template:
      spec:
        containers: [{name: main, image: "x:1", resources: {limits: {nvidia.com/gpu: 1}}}]
- apiVersion: v1
  kind: Pod
  metadata:
    name: tune
    namespace: lab
    creationTimestamp: "2026-11-02T10:00:00Z"
    annotations: {stellwerk.dev/duration: 4h, stellwerk.dev/whole-gpu: "true"}
  spec:
    containers: [{name: main, image: "x:1", resources: {limits: {nvidia.com/gpu: "1"}}}]
"""
FLEET = """\
apiVersion: stellwerk.dev/v1alpha1
kind: Fleet
metadata: {name: own}
spec:
  currency: EUR
  exchangeRates: [{base: EUR, quote: USD, rate: "1.08", date: "2026-11-01", source: bank}]
  nodes:
  - {name: rent, count: 2, instanceType: {provider: scaleway, name: H100-1-80G}}
  - {name: quote, gpuModel: A100-SXM4-80GB, gpus: 2, price: {amount: "4.10", currency: USD}}
  - name: own
    gpuModel: H100-PCIE-80GB
    gpus: 2
    owned:
      capex: {amount: "95000", currency: EUR}
      years: "4"
      residualPercent: "25"
      powerWatts: "2000"
      energyPrice: {amount: "0.183", currency: EUR}
      pue: "1.3"
  faults: {lossesPerNodeMonth: "0.5", repair: 1h}
"""
JOBS = """\
name,team,kind,arrival,duration,pods,gpus,gpu_memory,gpu_compute,gpu_compute_mean,whole_gpu,isolation
a,lab,batch,0,3600,1,1,20Gi,0.4,0.3,,
b,web,inference,60,2h,2,1,8Gi,100m,50m,,required
c,lab,training,120,4h,1,1,,,,true,
"""
PODS = """\
name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p0,12000,16384,1,1000,,LS,Running,0,12537,0
p1,6000,12288,1,460,V100M16|T4,BE,Succeeded,427,12902,430
p2,6000,12288,0,0,,BE,Pending,500,600,
"""
USE = "pod,minute,duty_pct,mem_mib\n" + "".join(
    f"{pod},{minute},{minute % 7}.5,{20_000 + minute}.0\n" for pod in "ab" for minute in range(0, 1441, 60)
)
SLOWDOWN = """\
apiVersion: stellwerk.dev/v1alpha1
kind: Interference
metadata: {name: measured}
spec:
  factors:
  - {method: mps, factor: "1.075", date: "2026-11-23", source: "a benchmark"}
  - {method: time-slicing, factor: "1.3", source: "another"}
"""
HOSTILE = [
    b"\x00",
    b"\xff\xfe",
    b"-",
    b"9" * 25,
    b"1e400",
    b"NaN",
    b"null",
    b"[",
    b"}",
    b"&a *a",
    b"\n",
    b",,",
    b"'",
]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """One to three changes: a flipped byte, a cut, a doubled line, a swapped word, or something hostile."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(data)) if data else 0
        match draw.randrange(6):
            case 0 if data:
                data[at] ^= 1 << draw.randrange(8)
            case 1:
                del data[at : at + draw.randint(1, 40)]
            case 2:
                data[at:at] = draw.choice(HOSTILE)
            case 3:
                lines = bytes(data).split(b"\n")
                spot = draw.randrange(len(lines))
                lines.insert(spot, lines[draw.randrange(len(lines))])
                data = bytearray(b"\n".join(lines))
            case 4:
                words = bytes(data).split(b" ")
                words[draw.randrange(len(words))] = draw.choice(HOSTILE + words)
                data = bytearray(b" ".join(words))
            case _:
                del data[at:]
    return bytes(data)


def as_demand(path: Path) -> Arguments:
    return Arguments(demand=str(path), fleet="3xscaleway/H100-1-80G")


def as_fleet(path: Path) -> Arguments:
    return Arguments(demand="demo", fleet=str(path))


def as_slowdown(path: Path) -> Arguments:
    return Arguments(demand="demo", slowdown=str(path))


FORMS: list[tuple[str, bytes, Callable[[Path], Arguments]]] = [
    ("demand.yaml", DEMAND.encode(), as_demand),
    ("fleet.yaml", FLEET.encode(), as_fleet),
    ("jobs.csv", JOBS.encode(), as_demand),
    ("pods.csv", PODS.encode(), as_demand),
    ("use.csv", USE.encode(), as_demand),
    ("jobs.csv.xz", lzma.compress(JOBS.encode()), as_demand),
    ("slowdown.yaml", SLOWDOWN.encode(), as_slowdown),
]


@pytest.mark.parametrize(("name", "content", "asked"), FORMS, ids=[name for name, _, _ in FORMS])
def test_the_example_itself_is_valid(
    name: str, content: bytes, asked: Callable[[Path], Arguments], tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    replay = run(prepare(asked(tmp_path / name)), lambda *progress: None)
    assert len(replay.outcomes) == 6


@pytest.mark.parametrize(("name", "content", "asked"), FORMS, ids=[name for name, _, _ in FORMS])
def test_a_mutant_runs_or_is_refused(
    name: str, content: bytes, asked: Callable[[Path], Arguments], tmp_path: Path
) -> None:
    refused = 0
    for seed in range(MUTATIONS):
        path = tmp_path / name
        path.write_bytes(mutated(content, random.Random(f"{name}/{seed}")))
        started = time.process_time()
        try:
            prepared = prepare(asked(path))
            if seed % RUN_EVERY == 0:
                run(prepared, lambda *progress: None)
        except InvalidInput as error:
            refused += 1
            line = error_text(error, "en")
            assert error.fix and "\n" not in line and len(line) < 2_000, f"seed {seed}: {line}"
        except Exception as error:
            pytest.fail(f"{name}, seed {seed}: {type(error).__name__}: {error}")
        assert time.process_time() - started < LONGEST_S, f"{name}, seed {seed} took too long"
    assert MUTATIONS // 10 < refused < MUTATIONS, "mutants should be refused, though not all"


def test_a_mutated_receipt_is_different_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "receipt.json"
    with pytest.raises(SystemExit):
        main(["replay", "demo", "--receipt", str(path)])
    content = path.read_bytes()
    honest = plain_receipt(read_receipt(content, "receipt.json"))
    for seed in range(MUTATIONS):
        mutant = mutated(content, random.Random(seed))
        if mutant.rstrip(b"\n") == content.rstrip(b"\n"):
            continue
        try:
            found = read_receipt(mutant, "receipt.json")
            arguments_of(found, "receipt.json", Arguments)
        except InvalidInput as error:
            assert error.fix
            continue
        same_result = plain_receipt(found) == honest
        assert same_result or compare(plain_receipt(found), honest), f"seed {seed}"

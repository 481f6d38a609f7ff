"""What reading a database costs: 200 GPUs for 30 days at 30 s, from VictoriaMetrics and Prometheus.

    python -m benchmarks.live_metrics [--gpus 200] [--days 30] [--kind victoriametrics] [--keep DIR]

Fills a database with made-up GPUs (eight a node, each held by another pod every day), then runs
`stellwerk advise` and `stellwerk bill` on it, once cold and then with the days kept. Prints wall and
CPU seconds and the most memory of each. The programs: `make servers`.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx

from tests.servers.databases import KINDS, PROMETHEUS, VICTORIAMETRICS, backfill, running

STEP_MS, DAY_MS = 30_000, 86_400_000
SERIES_PER_IMPORT = 200
METRICS = {"DCGM_FI_DEV_GPU_UTIL": 100, "DCGM_FI_DEV_FB_USED": 81_559, "DCGM_FI_DEV_POWER_USAGE": 700}
NODE_GPUS = 8


def series(gpus: int, days: int, end_ms: int) -> Iterator[tuple[str, dict[str, str], int, list[int]]]:
    """Metric, labels, the first time in ms, and a value for each step of a day."""
    draw = random.Random(1)
    shapes = {
        metric: [[draw.randrange(most) for _ in range(DAY_MS // STEP_MS)] for _ in range(20)]
        for metric, most in METRICS.items()
    }
    for day in range(days):
        start = end_ms - (days - day) * DAY_MS
        for gpu in range(gpus):
            device = {
                "gpu": str(gpu % NODE_GPUS),
                "UUID": f"GPU-{gpu:04d}",
                "modelName": "NVIDIA H100 80GB HBM3",
                "Hostname": f"node-{gpu // NODE_GPUS:03d}",
                "namespace": f"team-{gpu % 5}",
                "pod": f"train-{gpu:04d}-{day:02d}",
            }
            for metric, choices in shapes.items():
                yield metric, device, start, choices[draw.randrange(20)]
            pod = {"namespace": device["namespace"], "pod": device["pod"]}
            yield "kube_pod_start_time", pod, start, [start // 1000] * (DAY_MS // STEP_MS)
            asked = {**pod, "container": "main", "resource": "nvidia_com_gpu"}
            yield "kube_pod_container_resource_requests", asked, start, [1] * (DAY_MS // STEP_MS)
        for node in range(-(-gpus // NODE_GPUS)):
            named = {"node": f"node-{node:03d}"}
            created = (end_ms - (days + 1) * DAY_MS) // 1000
            yield "kube_node_created", named, start, [created] * (DAY_MS // STEP_MS)
            yield "kube_node_spec_unschedulable", named, start, [0] * (DAY_MS // STEP_MS)


def fill_victoriametrics(url: str, gpus: int, days: int, end_ms: int) -> int:
    """By its import API, a line a series and day."""
    count, lines = 0, []
    with httpx.Client(base_url=url, trust_env=False, timeout=300) as client:
        for metric, labels, start, values in series(gpus, days, end_ms):
            times = ",".join(map(str, range(start, start + DAY_MS, STEP_MS)))
            name = json.dumps({"__name__": metric, **labels})
            lines.append(f'{{"metric":{name},"values":{values},"timestamps":[{times}]}}')
            count += len(values)
            if len(lines) == SERIES_PER_IMPORT:
                client.post("/api/v1/import", content="\n".join(lines).encode()).raise_for_status()
                lines = []
        client.post("/api/v1/import", content="\n".join(lines).encode()).raise_for_status()
        client.get("/internal/force_flush").raise_for_status()
    return count


def exposition(gpus: int, days: int, end_ms: int) -> Iterator[str]:
    """The same for promtool, which wants each series' samples in order of time, and no more."""
    for metric, labels, start, values in series(gpus, days, end_ms):
        name = metric + "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"
        for at, value in enumerate(values):
            yield f"{name} {value} {start + at * STEP_MS}"


def measure(name: str, *arguments: str) -> None:
    """Run Stellwerk once; print what it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    command = ["/usr/bin/env", "time", "-f", "%M", sys.executable, "-m", "stellwerk", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    memory = int(done.stderr.split()[-1]) // 1024
    print(f"{name}: exit {done.returncode}, {wall:.0f} s, {cpu:.0f} CPU s, {memory} MiB", flush=True)
    if done.returncode:
        print(done.stderr[-2000:])


def main() -> None:
    """Fill, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--kind", choices=KINDS, default=VICTORIAMETRICS)
    parser.add_argument("--keep", help="Folder of the database, filled once and kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(asked.keep or temporary, asked.kind)
        filled = folder / "filled.json"
        end_ms = (
            json.loads(filled.read_text()) if filled.exists() else int(time.time()) * 1000 // DAY_MS * DAY_MS
        )
        if not filled.exists() and asked.kind == PROMETHEUS:
            print(
                backfill(PROMETHEUS, folder, exposition(asked.gpus, asked.days, end_ms)),
                "samples",
                flush=True,
            )
        with running(asked.kind, folder) as database:
            if not filled.exists() and asked.kind == VICTORIAMETRICS:
                count = fill_victoriametrics(database.url, asked.gpus, asked.days, end_ms)
                print(count, "samples", flush=True)
            filled.write_text(json.dumps(end_ms))
            live = ["--prometheus", database.url, "--save", f"{temporary}/kept"]
            until = [
                "--days",
                str(asked.days),
                "--until",
                f"{datetime.fromtimestamp(end_ms // 1000, UTC):%Y-%m-%dT00:00:00Z}",
            ]
            fleet = f"{asked.gpus // NODE_GPUS}xaws/p5.48xlarge"
            measure("advise, cold", "advise", *live, *until)
            measure("advise, days kept", "advise", *live, *until)
            measure("bill, days kept", "bill", *live, *until, "--fleet", fleet)


if __name__ == "__main__":
    main()

"""`plan` on a large cluster: `python -m tests.cluster.load` builds one through KWOK and measures the verb.

1,000 nodes of 8 GPUs, 10,000 pods that the real controllers and scheduler made and bound, 2,000 Workloads in
the real Kueue. It takes some 20 minutes, so no test runs it; docs/reference/plan.md has its figures.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.cluster.commands import ROOT
from tests.cluster.test_plan import POLICY
from tools.cluster.parts import start_kueue
from tools.cluster.stack import Stack

NODES, GPUS = 1_000, 8
SERVICES, REPLICAS = 60, 100  # 6,000 pods with a GPU each.
PLAIN = 40  # Deployments of 100 pods without one.
JOBS, TEAMS = 2_000, 20
BATCH = 500
_MOST_S = 2_400


def nodes() -> Iterator[dict[str, Any]]:
    """Nodes as NVIDIA's operator labels them."""
    for at in range(NODES):
        name = f"gpu-{at:04}"
        room = {"cpu": "192", "memory": "2Ti", "pods": "250", "nvidia.com/gpu": str(GPUS)}
        labels = {
            "kubernetes.io/hostname": name,
            "node.kubernetes.io/instance-type": "p5.48xlarge",
            "topology.kubernetes.io/region": "us-east-1",
            "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
            "nvidia.com/gpu.count": str(GPUS),
            "nvidia.com/mig.capable": "true",
        }
        yield {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
            "spec": {"providerID": f"aws:///us-east-1a/i-{at:04}"},
            "status": {"capacity": room, "allocatable": room},
        }


def deployment(name: str, gpus: int, notes: dict[str, str]) -> dict[str, Any]:
    """A service of REPLICAS pods."""
    asked = {"nvidia.com/gpu": str(gpus)} if gpus else {"cpu": "1"}
    container = {"name": "main", "image": "none", "resources": {"limits": asked, "requests": asked}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "load", "annotations": notes},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }


def queues() -> Iterator[dict[str, Any]]:
    """A ClusterQueue and a LocalQueue for each team, in one cohort."""
    api = "kueue.x-k8s.io/v1beta2"
    yield {"apiVersion": api, "kind": "ResourceFlavor", "metadata": {"name": "h100"}, "spec": {}}
    row = {"name": "nvidia.com/gpu", "nominalQuota": "50"}
    group = {"coveredResources": ["nvidia.com/gpu"], "flavors": [{"name": "h100", "resources": [row]}]}
    for team in range(TEAMS):
        spec = {"cohortName": "all", "namespaceSelector": {}, "resourceGroups": [group]}
        yield {"apiVersion": api, "kind": "ClusterQueue", "metadata": {"name": f"team-{team}"}, "spec": spec}
        metadata = {"name": f"team-{team}", "namespace": "load"}
        yield {
            "apiVersion": api,
            "kind": "LocalQueue",
            "metadata": metadata,
            "spec": {"clusterQueue": f"team-{team}"},
        }


def job(at: int) -> dict[str, Any]:
    """A Job of one pod with a GPU."""
    container = {"name": "main", "image": "none", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"job-{at:04}",
            "namespace": "load",
            "labels": {"kueue.x-k8s.io/queue-name": f"team-{at % TEAMS}"},
        },
        "spec": {
            "suspend": True,
            "template": {
                "metadata": {"annotations": {"stellwerk.dev/run-for": "24h"}},
                "spec": {"containers": [container], "restartPolicy": "Never"},
            },
        },
    }


def create(stack: Stack, objects: Sequence[dict[str, Any]]) -> None:
    """Objects in batches, with how far it is."""
    for at in range(0, len(objects), BATCH):
        began = time.monotonic()
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects[at : at + BATCH]})
        stack.kubectl("create", "-f", "-", stdin=text)
        print(f"{at + BATCH} of {len(objects)}: {time.monotonic() - began:.0f} s", flush=True)


def build(stack: Stack) -> None:
    """The cluster, and wait until its pods are bound and its Workloads are there."""
    stack.apply([POLICY, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "load"}}])
    stack.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/clusterpolicies.nvidia.com")
    policy = {"metadata": {"name": "cluster-policy"}, "spec": {"devicePlugin": {"enabled": True}}}
    stack.apply([{"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", **policy}])
    create(stack, [*nodes(), *queues()])
    create(stack, [job(at) for at in range(JOBS)])
    notes = {"stellwerk.dev/gpu-memory": "9Gi", "stellwerk.dev/gpu-compute": "120m"}
    services = [deployment(f"serve-{at}", 1, notes if at % 2 else {}) for at in range(SERVICES)]
    create(stack, [*services, *(deployment(f"web-{at}", 0, {}) for at in range(PLAIN))])
    wanted = (SERVICES + PLAIN) * REPLICAS
    until = time.monotonic() + _MOST_S
    while time.monotonic() < until:
        running = stack.kubectl(
            "get", "pods", "-n", "load", "--field-selector=status.phase=Running", "-o", "name"
        )
        made = stack.kubectl("get", "workloads", "-n", "load", "-o", "name")
        counts = running.count("\n"), made.count("\n")
        print(f"{counts[0]} pods run, {counts[1]} Workloads", flush=True)
        if counts[0] >= wanted and counts[1] >= JOBS:
            return
        time.sleep(15)
    raise SystemExit("the cluster did not come to rest")


def measure(stack: Stack, folder: Path) -> None:
    """The verb as a user runs it, three times: wall and CPU time, and the most memory."""
    words = ["plan", "--kubeconfig", str(stack.kubeconfig("admin")), "--manifests", str(folder), "-o", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "LC_ALL": "C.UTF-8"}
    for _ in range(3):
        began = time.monotonic()
        with (folder.parent / "plan.json").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "stellwerk", *words], stdout=out, env=environment
            )
            _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        if status:
            raise SystemExit("plan failed")
        plan = json.loads((folder.parent / "plan.json").read_bytes())
        print(
            f"plan: {wall:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s, {used.ru_maxrss // 1024} MiB; "
            f"GPUs {plan['gpusBefore']} -> {plan['gpusAfter']}, {len(plan['changes'])} changes",
            flush=True,
        )


def main() -> None:
    """Build and measure."""
    with tempfile.TemporaryDirectory(prefix="stellwerk-load-", ignore_cleanup_errors=True) as name:
        stack = Stack(Path(name))
        try:
            stack.start()
            start_kueue(stack)
            build(stack)
            measure(stack, Path(name) / "plan")
        finally:
            stack.stop()


if __name__ == "__main__":
    main()

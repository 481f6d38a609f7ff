"""`python -m benchmarks.assign_topology [PROGRAM]`: topology-aware scheduling of one Workload on 2,500 nodes.

The cluster and the request of Kueue's BenchmarkTASFlavorAssignment: racks of 16 nodes, blocks of 16 racks, 9
pods for each of a block's 256 nodes, rack preferred, balanced placement; then with a leader, without balanced
placement, and on nodes that are all different. CPU time of ours; cold: the first question about pods of this
shape. With PROGRAM, built from tests/differential/go_kueue/oracle_test.go, Kueue's wall time beside it, in the
same run, its first question included.
"""

import random
import sys
import time
from collections.abc import Callable
from typing import Any

from stellwerk.engine.topology.assignment.assign import Situation, assign_flavor
from tests.conformance.kueue_tas import gates_of, request_of, short_form, snapshot_of
from tests.differential.go_kueue_cases import answers

Json = dict[str, Any]
KEYS = ["example.com/block", "example.com/rack", "kubernetes.io/hostname"]
NODES, RACK, BLOCK = 2_500, 16, 16
SAMPLES, TIMES = 5, 10


def case(*, balanced: bool, leader: bool, mixed: bool) -> Json:
    """The benchmark as a case in the recorded format; `mixed`: nodes with 24 to 96 CPU instead of 96."""
    chance = random.Random(1)
    pod_sets: list[Json] = [
        {
            "name": "workers",
            "count": 9 * RACK * BLOCK if not mixed else 5 * RACK * BLOCK,
            "requestsPerPod": {"cpu": 8000},
            "topologyRequest": {"preferred": KEYS[1]},
            "podSetGroupName": "group",
        }
    ]
    if leader:
        pod_sets.append(
            {"name": "leader", "count": 1, "requestsPerPod": {"cpu": 72000}, "podSetGroupName": "group"}
        )
    return {
        "featureGates": {"TASBalancedPlacement": balanced},
        "objects": {"nodes": [node(i, 8 * chance.randint(3, 12) if mixed else 96) for i in range(NODES)]},
        "input": {"levels": KEYS, "podSets": pod_sets},
    }


def node(number: int, cpu: int) -> Json:
    """One node of the cluster."""
    rack = number // RACK
    values = (f"block-{rack // BLOCK}", f"rack-{rack}", f"node-{number}")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": values[2], "labels": dict(zip(KEYS, values, strict=True))},
        "status": {
            "allocatable": {"cpu": str(cpu), "memory": "384Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def least_ms(work: Callable[[], object], times: int, samples: int = SAMPLES) -> float:
    """The least CPU time of one call over some samples, in milliseconds."""
    best = float("inf")
    for _ in range(samples):
        started = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - started) / times)
    return best * 1000


def main(program: str = "") -> None:
    """All variants, a line each."""
    variants = {
        "balanced": case(balanced=True, leader=False, mixed=False),
        "balanced, with leader": case(balanced=True, leader=True, mixed=False),
        "balanced, mixed nodes": case(balanced=True, leader=False, mixed=True),
        "balanced, mixed nodes, with leader": case(balanced=True, leader=True, mixed=True),
        "best fit": case(balanced=False, leader=False, mixed=False),
        "best fit, mixed nodes, with leader": case(balanced=False, leader=True, mixed=True),
    }
    for name, one in variants.items():
        gates = gates_of(one["featureGates"])
        snapshot = snapshot_of(one, gates)
        requests, situation = [request_of(raw) for raw in one["input"]["podSets"]], Situation(gates=gates)
        cold = least_ms(lambda: assign_flavor(snapshot, requests, situation), 1, 1)  # noqa: B023
        warm = least_ms(lambda: assign_flavor(snapshot, requests, situation), TIMES)  # noqa: B023
        line = f"{name:36} cold {cold:6.1f} ms CPU, warm {warm:6.1f} ms CPU"
        if program:
            theirs = answers(program, [one] * 3)
            ours = assign_flavor(snapshot, requests, situation).outcomes["workers"]
            same = short_form(ours) == theirs[0]["podSets"]["workers"].get("topologyAssignment")  # type: ignore[arg-type]
            kueue = min(each["nanos"] for each in theirs) / 1e6
            line += f"; Kueue {kueue:6.1f} ms wall, {'the same answer' if same else 'ANOTHER ANSWER'}"
        print(line)


if __name__ == "__main__":
    main(*sys.argv[1:])

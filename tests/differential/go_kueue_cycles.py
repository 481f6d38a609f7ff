"""Random scheduling cycles with Kueue's own answers, in the recorded format.

`python -m tests.differential.go_kueue_cycles PROGRAM KIND SEED COUNT > FILE`; PROGRAM is built from
go_kueue/cycle_test.go, put into Kueue's pkg/scheduler (`go test -c`). It answers at 2026-01-01T00:00:00Z.
Under fair sharing Kueue decides trees of Cohorts in any order, which shows where they share nodes: each case
is asked twice, and left out if the answers differ.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stellwerk.api.groups.kueue_workload import TopologyAssignment
from stellwerk.engine.topology.assignment.wire import unpacked
from tests.conformance.kueue_objects import typed
from tests.differential.cycle_cases import random_cases

Json = dict[str, Any]
KEPT = ("name", "count", "flavors", "resourceUsage", "delayedTopologyRequest")


def answers(program: str, cases: Sequence[Json]) -> list[Json]:
    """What Kueue has after the cycle of each case: workloads, admissions, queues."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        lines = [{**case, "fair": "config" in case} for case in cases]
        asked.write_text("".join(json.dumps(line) + "\n" for line in lines))
        world = os.environ | {"CYCLE_IN": str(asked), "CYCLE_OUT": str(answered)}
        command = [program, "-test.run", "TestCycleOracle"]
        subprocess.run(command, env=world, check=True, capture_output=True)
        return [json.loads(line) for line in answered.read_text().splitlines()]


def recorded(case: Json, answer: Json) -> Json:
    """The case with `want`, as kueue.md of the recordings describes it."""
    before = {f"ns/{raw['metadata']['name']}": raw for raw in case["objects"]["workloads"]}
    after = {f"ns/{raw['metadata']['name']}": raw for raw in answer["workloads"]}

    def became(kind: str) -> list[str]:
        return sorted(
            key
            for key, raw in after.items()
            if _condition(raw, kind).get("status") == "True"
            and _condition(before[key], kind).get("status") != "True"
        )

    def reasons(kind: str) -> list[Json]:
        return [{"workload": key, "reason": _condition(after[key], kind)["reason"]} for key in became(kind)]

    pending = [
        {"workload": key, "reason": _condition(raw, "QuotaReserved")["reason"]}
        for key, raw in sorted(after.items())
        if _condition(raw, "QuotaReserved").get("status") == "False"
        and _condition(raw, "QuotaReserved") != _condition(before[key], "QuotaReserved")
    ]
    want = {
        "admissions": {key: _short(raw) for key, raw in (answer["admissions"] or {}).items()},
        "pendingInQueue": answer["pendingInQueue"] or {},
        "inadmissible": answer["inadmissible"] or {},
        "newlyReserved": became("QuotaReserved"),
        "newlyAdmitted": became("Admitted"),
        "evicted": reasons("Evicted"),
        "preempted": reasons("Preempted"),
        "pending": pending,
    }
    objects = {kind: found for kind, found in case["objects"].items() if found}
    return {**case, "objects": objects, "want": want}


def _condition(raw: Json, kind: str) -> Json:
    conditions = (raw.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one["type"] == kind), {})


def _short(raw: Json) -> Json:
    """The short form of an Admission."""
    pod_sets = []
    for one in raw.get("podSetAssignments") or ():
        short = {key: one[key] for key in KEPT if key in one}
        if "topologyAssignment" in one:
            found = unpacked(typed(one["topologyAssignment"], TopologyAssignment))
            domains = [{"values": [*each.values], "count": each.count} for each in found.domains]
            short["topologyAssignment"] = {"levels": [*found.levels], "domains": domains}
        pod_sets.append(short)
    return {"clusterQueue": raw["clusterQueue"], "podSets": pod_sets}


def main(program: str, kind: str, seed: int, count: int) -> None:
    """Print the cases that Kueue answers twice alike."""
    cases = list(random_cases(kind, seed, count))
    for case, one, other in zip(cases, answers(program, cases), answers(program, cases), strict=True):
        first, second = recorded(case, one), recorded(case, other)
        if first == second:
            sys.stdout.write(json.dumps(first) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

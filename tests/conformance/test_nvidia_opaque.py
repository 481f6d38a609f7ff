"""Opaque configurations as NVIDIA's driver judges them: recorded from its own code, on inputs of ours.

nvidia/opaque-configs.jsonl: `parameters` made at random, `gates` of the driver that were on, `uuids` of two
devices; `stage` is where sigs.k8s.io/dra-driver-nvidia-gpu at 95932046 (Apache-2.0) stopped: decode (its
strict decoder), kind (no configuration), validate (Normalize, then Validate), prepare (a block of the other
strategy), limits (Normalize of the pinned memory limits), panic, or ok. Of 20,000 cases 19 differed, by a
count written as 100.0: the driver refuses that text, but a client has made it 100 before.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stellwerk.api.documents import read_documents
from stellwerk.api.groups.resource import OpaqueDeviceConfiguration
from stellwerk.engine.allocation.nvidia.opaque import DRIVERS, GPU_DRIVER, Target, check_opaque
from stellwerk.engine.allocation.nvidia.schema import KUBELET, WEBHOOK, Finding

RECORDED = Path(__file__).parent / "nvidia" / "opaque-configs.jsonl"
CASES: list[dict[str, Any]] = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]


def judged(case: dict[str, Any]) -> tuple[Finding, ...]:
    [(_, parameters)] = read_documents(json.dumps(case["parameters"]).encode(), "case")
    driver = DRIVERS.get(case["parameters"]["kind"], GPU_DRIVER)
    target = Target(gates=frozenset(case["gates"]), uuids=tuple(case["uuids"]))
    return check_opaque(OpaqueDeviceConfiguration(driver=driver, parameters=parameters), target)


def test_every_stage_has_cases() -> None:
    counted = Counter(case["stage"] for case in CASES)
    assert counted["ok"] > 100 and min(counted.values()) >= 4
    assert set(counted) == {"ok", "decode", "kind", "validate", "prepare", "limits", "panic"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["stage"])
def test_the_driver_says_the_same(case: dict[str, Any]) -> None:
    found = judged(case)
    assert any(KUBELET in each.where for each in found) == (case["stage"] != "ok"), found
    if case["stage"] in ("prepare", "limits"):
        assert not any(WEBHOOK in each.where for each in found), found

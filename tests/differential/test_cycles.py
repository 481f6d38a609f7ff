"""Random scheduling cycles are decided as Kueue's own scheduler decides them.

kueue/cycle-random.jsonl.xz holds 300 cases of each kind (`plain` of seed 1, `tas` of 2, `crowded` of 3) with
Kueue's answers, less 2-61 and 2-64: asked twelve times, Kueue answers them in three and in two ways.
"""

from pathlib import Path

from tests.conformance.__main__ import judged, read_lines
from tests.differential.cycle_cases import random_case

CASES = read_lines(Path(__file__).parent / "kueue" / "cycle-random.jsonl.xz")
KINDS = {"1": "plain", "2": "tas", "3": "crowded"}


def test_every_random_cycle_is_decided_as_kueue_decides_it() -> None:
    assert len(CASES) >= 890
    wrong = [line for line in map(judged, CASES) if line is not None]
    assert not wrong, "\n".join(wrong[:10])


def test_the_cases_reach_every_way_a_cycle_ends() -> None:
    evicted = {one["reason"] for case in CASES for one in case["want"]["preempted"]}
    pending = {one["reason"] for case in CASES for one in case["want"]["pending"]}
    assert evicted == {
        "InClusterQueue",
        "InCohortReclamation",
        "InCohortReclaimWhileBorrowing",
        "InCohortFairSharing",
    }
    assert pending >= {
        "WaitingForQuota",
        "WaitingForPreemptedWorkloads",
        "ExceedsMaxQuota",
        "NoMatchingFlavor",
        "TopologyPlacementFailed",
    }


def test_the_recorded_cases_are_those_that_are_made() -> None:
    for case in CASES[::40]:
        seed, index = case["id"].removeprefix("cycle/").split("-")
        made = random_case(KINDS[seed], int(seed), int(index))
        objects = {kind: found for kind, found in made["objects"].items() if found}
        assert objects == case["objects"]
        assert made["featureGates"] == case["featureGates"]

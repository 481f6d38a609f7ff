"""Seeded scenarios: the real Kueue and scheduler decide as Stellwerk predicts, step by step.

More of them, from any seed: python -m tests.cluster.parity --seed N --count 100
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import to_builtins

from tests.cluster.fixtures import need_programs
from tests.cluster.parity.acceptance import FEATURES, Compared, compared, scenario_of, scenarios_of
from tests.cluster.parity.scenario import FAIR_SHARING, QUEUE, Json
from tests.cluster.parity.simulated import simulated
from tools.cluster.parts import start_kueue
from tools.cluster.stack import Stack

SEED, COUNT = 1, 2 * len(FEATURES)


@pytest.fixture(scope="module")
def fair_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A cluster whose Kueue shares fairly."""
    need_programs()
    started = Stack(Path(tmp_path_factory.mktemp("fair")))
    try:
        started.start()
        start_kueue(started, configuration=FAIR_SHARING)
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="module")
def outcomes(stack: Stack, fair_stack: Stack) -> dict[str, list[Compared]]:
    """What became of the scenarios, by feature."""
    found: dict[str, list[Compared]] = {feature: [] for feature in FEATURES}
    for each in compared(scenarios_of(SEED, COUNT), lambda fair: fair_stack if fair else stack):
        found[each.scenario.feature].append(each)
    return found


@pytest.mark.parametrize("feature", FEATURES)
def test_the_real_components_decide_as_predicted(outcomes: dict[str, list[Compared]], feature: str) -> None:
    assert len(outcomes[feature]) == COUNT // len(FEATURES)
    assert [line for each in outcomes[feature] for line in each.differences] == []


def test_the_scenarios_are_of_what_they_say() -> None:
    """Somebody waits in most of them, and where preemption is asked for, somebody is preempted in many."""
    waiting = preempted = 0
    for feature in FEATURES:
        for seed in range(100, 106):
            scenario = scenario_of(seed, feature)
            records = simulated(scenario)
            is_queue = scenario.kind == QUEUE
            waiting += any(_waits(each, is_queue) for record in records for each in record.values())
            preempted += any(each.get("evictions") for record in records for each in record.values())
    assert waiting >= 42 and preempted >= 8


def _waits(one: Json, is_queue: bool) -> bool:
    return not (one.get("admitted") or one.get("finished")) if is_queue else not one["node"]


def test_kinds_of_objects_and_steps_that_a_hundred_scenarios_have() -> None:
    """What the generator is said to draw is drawn."""
    text = json.dumps([to_builtins(each) for each in scenarios_of(1, 100)])
    for word in (
        "parentName", "borrowingLimit", "lendingLimit", "maxPriorityThreshold", "TryNextFlavor", "nodeTaints",
        "BorrowingOverPreemption", "job-min-parallelism", "podset-slice-size", "podset-preferred-topology",
        "DeviceTaintRule", "NoExecute", "resourceClaimTemplateName", "extendedResourceName", "allNodes",
        "adminAccess", "allocationMode", "firstAvailable", "matchAttribute", "distinctAttribute",
        "consumesCounters", "allowMultipleAllocations", "requestPolicy", "tolerations", "memory",
    ):  # fmt: skip
        assert word in text, word
    steps = [step for each in scenarios_of(1, 100) for step in each.steps]
    assert sum(bool(step.delete) for step in steps) > 40 and sum(bool(step.finish) for step in steps) > 40

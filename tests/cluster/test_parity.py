"""Seeded scenarios: the real Kueue and scheduler decide as Stellwerk predicts, step by step.

More of them, from any seed: python -m tests.cluster.parity --seed N --count 100
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.fixtures import need_programs
from tests.cluster.parity.acceptance import FEATURES, Compared, compared, scenario_of, scenarios_of
from tests.cluster.parity.scenario import FAIR_SHARING, QUEUE
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
    """Somebody waits in most of them, and where preemption is asked for, somebody is preempted in most."""
    waiting = preempted = 0
    for feature in FEATURES:
        for seed in range(100, 110):
            scenario = scenario_of(seed, feature)
            last = simulated(scenario)[-1].values()
            is_queue = scenario.kind == QUEUE
            waiting += any(not each["admitted" if is_queue else "node"] for each in last)
            preempted += feature in ("preemption", "fair-sharing") and any(each["evictions"] for each in last)
    assert waiting > 60 and preempted >= 10

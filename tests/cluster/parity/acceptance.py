"""The comparison of many scenarios: which are played, and how many agree."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from tests.cluster.parity import devices, queues
from tests.cluster.parity.live import Played, played
from tests.cluster.parity.record import differences, is_device
from tests.cluster.parity.scenario import Scenario
from tests.cluster.parity.simulated import other_orders, simulated
from tools.cluster.stack import Stack

FEATURES = (*queues.FEATURES, *devices.FEATURES)
AT_ONCE = 30  # Scenarios on one cluster.


class Compared(Struct, frozen=True, kw_only=True):
    """A scenario and its differences; none: it agrees.

    `order`: the simulation leads there too if the Jobs that are stopped at once stop in this order.
    """

    scenario: Scenario
    differences: tuple[str, ...]
    order: str = ""


def scenarios_of(seed: int, count: int, features: Sequence[str] = FEATURES) -> list[Scenario]:
    """`count` scenarios from a seed on, the features in turn."""
    return [scenario_of(seed + i, features[i % len(features)]) for i in range(count)]


def scenario_of(seed: int, feature: str) -> Scenario:
    """One scenario."""
    if feature in devices.FEATURES:
        return devices.device_scenario(seed, feature)
    return queues.queue_scenario(seed, feature)


def compared(scenarios: Sequence[Scenario], stack_of: Callable[[bool], Stack]) -> Iterator[Compared]:
    """Each scenario; `stack_of` gives a cluster whose Kueue has fairSharing, or not."""
    for fair in (False, True):
        mine = [each for each in scenarios if each.fair == fair]
        for at in range(0, len(mine), AT_ONCE):
            part = mine[at : at + AT_ONCE]
            real = played(stack_of(fair), part)
            for each in part:
                yield _compared(each, real[each.seed])


def _compared(scenario: Scenario, real: Played) -> Compared:
    ours = simulated(scenario, real)
    found = differences(scenario, real.records, ours)
    order = ""
    if found and not is_device(scenario):
        step = next(
            i for i, (there, here) in enumerate(zip(real.records, ours, strict=True)) if there != here
        )
        others = other_orders(scenario, real, ours)
        order = next((words for words, record in others if record == real.records[step]), "")
    return Compared(scenario=scenario, differences=tuple(found), order=order)


def report(found: Iterable[Compared]) -> str:
    """Agreement by feature and of all, then each difference."""
    done = list(found)
    lines = []
    for feature in FEATURES:
        mine = [each for each in done if each.scenario.feature == feature]
        if mine:
            lines.append(f"{feature:<18}{sum(not each.differences for each in mine):>4} of {len(mine)}")
    agree = sum(not each.differences for each in done)
    lines.append(f"{'all':<18}{agree:>4} of {len(done)}  {100 * agree / max(len(done), 1):.1f} %")
    for each in done:
        lines += each.differences
        if each.order:
            lines.append(f"    as simulated too, if the stopped Jobs' pods end thus: {each.order}")
    return "\n".join(lines) + "\n"

"""Faults by seed: when each node is lost. The same seed and fleet lose the same nodes at the same times."""

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.snapshot import Fleet
from stellwerk.ports.entropy import SeededEntropy

HOURS_PER_MONTH = 730


def node_losses(fleet: Fleet, period_ns: int, seed: int) -> list[tuple[int, int]]:
    """(time in ns, node position), sorted: each hour a node is lost with the fleet's monthly rate / 730."""
    rate = fleet.faults.losses_per_node_month_milli
    losses: list[tuple[int, int]] = []
    if not rate:
        return losses
    for position, node in enumerate(fleet.nodes):
        chance = SeededEntropy(seed).fork(f"loss/{node.name}")
        for hour in range(-(-period_ns // NS_PER_HOUR)):
            if chance.below(HOURS_PER_MONTH * 1000) < rate:
                at = hour * NS_PER_HOUR + chance.below(3600) * 1_000_000_000
                losses.append((at, position))
    return sorted(loss for loss in losses if loss[0] < period_ns)

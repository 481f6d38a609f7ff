"""Faults by seed: when each node is lost, and which cut of a GPU fails, and how.

The same seed and fleet lose the same nodes at the same times, and the n-th cut of a GPU ends the same way.
"""

from msgspec import Struct

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.placement.cuts import Cut, Layout
from stellwerk.engine.snapshot import Fleet, Reconfiguration
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


class CutOutcome(Struct, frozen=True):
    """How a cut goes: it takes `duration_ns`, then reports success or not; `done` is what it really did."""

    duration_ns: int
    success: bool
    done: Cut | None


class Cutting:
    """The law of cutting GPUs: how long it takes, and what goes wrong by seed.

    One of three kinds, equally likely: an error is reported, in half of them after the destroying; success is
    reported and nothing done (NVIDIA/mig-parted#18); no answer until the time-out.
    """

    def __init__(self, law: Reconfiguration, fleet: Fleet, seed: int, faults_until_ns: int = 2**63) -> None:
        """From `faults_until_ns` on nothing fails."""
        self._law, self._until = law, faults_until_ns
        names = [f"{node.name}/{index}" for node in fleet.nodes for index in range(node.gpus)]
        self._chances = [SeededEntropy(seed).fork(f"cut/{name}") for name in names]

    def outcome(self, gpu: int, layout: Layout, cut: Cut, now: int) -> CutOutcome:
        """What becomes of this cut, begun now; drawn for this GPU only."""
        law, chance = self._law, self._chances[gpu]
        takes = len(cut.create) * law.create_ns + len(cut.destroy) * law.destroy_ns
        takes += law.mode_ns if cut.mig != layout.mig else 0
        if now >= self._until or not chance.chance(law.failures_per_thousand, 1000):
            return CutOutcome(takes, True, cut)
        kind = chance.below(3)
        if kind == 0:
            destroyed = chance.chance(1, 2)
            return CutOutcome(takes, False, Cut(layout.mig, cut.destroy) if destroyed else None)
        return CutOutcome(takes, True, None) if kind == 1 else CutOutcome(law.timeout_ns, False, None)

"""From the stays of gangs to what they lost to their links: time, GPU-hours, money."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.snapshot import Fleet, FleetNode
from stellwerk.engine.topology.link import LEVELS
from stellwerk.sim.ledger import Stay
from stellwerk.sim.result import NetworkLevel, NetworkLoss


def network_loss(stays: Sequence[Stay], fleet: Fleet, share: Decimal) -> NetworkLoss:
    """Time, GPU-hours and money that gangs lost to their links, by level.

    A stay of so long under a factor f did the work of 1/f of it: the rest is lost, at the cost of the GPUs
    that it held.
    """
    prices = [price for node in fleet.nodes for price in [_gpu_hour(node)] * node.gpus]
    levels = tuple(_level(level, stays, prices) for level in LEVELS)
    found = tuple(level for level in levels if level.gangs)
    costs = [level.cost for level in found]
    return NetworkLoss(
        share=share,
        gangs=sum(level.gangs for level in found),
        unknown=len({stay.job.name for stay in stays if stay.link and not stay.link.level}),
        lost_ns=sum(level.lost_ns for level in found),
        gpu_hours=sum((level.gpu_hours for level in found), Decimal("0.000")),
        cost=None if None in prices else sum((cost for cost in costs if cost is not None), Decimal("0.00")),
        levels=found,
    )


def _level(level: str, stays: Sequence[Stay], prices: Sequence[Fraction | None]) -> NetworkLevel:
    lost = gpu_ns = money = Fraction(0)
    names: set[str] = set()
    for stay in stays:
        if stay.link is None or stay.link.level != level:
            continue
        names.add(stay.job.name)
        if stay.job.is_service:
            continue  # It ends by the clock: slower answers, the same hours.
        part = 1 - 1 / stay.link.factor
        lost += part * (stay.end_ns - stay.start_ns)
        gpu_ns += part * Fraction(stay.held_milli_ns, 1000)
        weights = sum(grant.held_milli for grant in stay.grants)
        for grant in stay.grants:
            held = Fraction(stay.held_milli_ns * grant.held_milli, 1000 * weights)
            money += part * held * (prices[grant.gpu] or 0)
    return NetworkLevel(
        level=level,
        gangs=len(names),
        lost_ns=round(lost),
        gpu_hours=rounded(gpu_ns / NS_PER_HOUR, 3),
        cost=None if None in prices else rounded(money / NS_PER_HOUR, 2),
    )


def _gpu_hour(node: FleetNode) -> Fraction | None:
    """What an hour of one of the node's GPUs costs."""
    per_hour = node.cost.per_hour
    return None if per_hour is None or not node.cost.terms else fraction(per_hour) / node.gpus

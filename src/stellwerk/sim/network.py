"""The network in a replay: which link each gang got, how much slower it is, and what that costs in the end."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct, UnsetType

from stellwerk.catalog.network import communication_share
from stellwerk.engine.demand import NS_PER_HOUR, Job
from stellwerk.engine.money.exact import fraction, rounded
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.placement.place import Grant, Site
from stellwerk.engine.snapshot import Fleet, FleetNode
from stellwerk.engine.topology.factor import best_link, communication_factor, measured_bandwidth
from stellwerk.engine.topology.link import LEVELS, Link, link_of
from stellwerk.sim.ledger import LinkUse, Stay
from stellwerk.sim.result import NetworkLevel, NetworkLoss

ALONE = Fraction(1)


class Network:
    """Answers for each placement of one replay; the best links are those of the fleet as declared."""

    def __init__(self, fleet: Fleet, declared: Fleet, share: Decimal) -> None:
        self._nodes, self._declared, self._share = fleet.nodes, declared.nodes, Fraction(share)
        self._best: dict[tuple[int, int], Link | None] = {}

    def use(self, job: Job, grants: Sequence[Grant], sites: Sequence[Site]) -> LinkUse | None:
        """What the job's link does to it; None for a job on one GPU. Level "" where the link is unknown."""
        devices = [(sites[grant.gpu].node, sites[grant.gpu].index) for grant in grants]
        link = link_of(self._nodes, devices, mig=grants[0].method == MIG)
        if link is None:
            return None
        shape = job.pods, job.gpus
        if shape not in self._best:
            self._best[shape] = best_link(self._declared, *shape)
        measured = measured_bandwidth(job, self._best[shape])
        if not isinstance(link, Link) or measured is None:
            return LinkUse("", ALONE)
        milli = job.communication_milli
        share = self._share if isinstance(milli, UnsetType) else Fraction(milli, 1000)
        return LinkUse(link.level, communication_factor(share, measured, link.bus_gb_s))


def network_of(fleet: Fleet, declared: Fleet, share: Decimal | None) -> Network | None:
    """The network of a fleet of which at least one node describes it; else None, and nothing is asked."""
    if all(isinstance(node.network, UnsetType) for node in fleet.nodes):
        return None
    return Network(fleet, declared, default_share(share))


def default_share(share: Decimal | None) -> Decimal:
    """The share of a step that waits for the network, of gangs that do not say it: as asked, else published."""
    return communication_share().value if share is None else share


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

"""Which link each gang of a replay got, and how much slower it is by it."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import UnsetType

from stellwerk.catalog.published.network import communication_share
from stellwerk.engine.demand import Job
from stellwerk.engine.partition.policy import MIG
from stellwerk.engine.placement.place import Grant, Site
from stellwerk.engine.snapshot import Fleet
from stellwerk.engine.topology.factor import best_link, communication_factor, measured_bandwidth
from stellwerk.engine.topology.link import Link, link_of
from stellwerk.sim.ledger import LinkUse

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
    """What of a step waits for the network in gangs that do not say it: as asked, else as published."""
    return communication_share().value if share is None else share

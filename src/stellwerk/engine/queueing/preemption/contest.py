"""One search for whom to preempt: who wants what, in which flavors and resources it lacks, on which usage."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.preemption.candidate import Order, preemptible
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.quota.ledger import Charges, Ledger
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Holding, Snapshot
from stellwerk.engine.queueing.standing import Standing

IN_CLUSTER_QUEUE = "InClusterQueue"
IN_COHORT_RECLAMATION = "InCohortReclamation"
IN_COHORT_FAIR_SHARING = "InCohortFairSharing"
IN_COHORT_RECLAIM_WHILE_BORROWING = "InCohortReclaimWhileBorrowing"


class Target(Struct, frozen=True):
    """A workload to preempt, with the reason that its Preempted condition will have."""

    holding: Holding
    reason: str


class Topology(Protocol):
    """The workload's place in topologies, tried on what is free while others are taken away."""

    def remove(self, info: WorkloadInfo) -> None:
        """As if this one held no place."""
        ...

    def add(self, info: WorkloadInfo) -> None:
        """As if it held its place again."""
        ...

    def fits(self) -> bool:
        """Whether all pods of the workload that is looked at have a place."""
        ...


class Contest(Struct, frozen=True, kw_only=True):
    """`charges`: what the workload would hold. `needed`: flavors and resources in which others give way."""

    snapshot: Snapshot
    ledger: Ledger
    info: WorkloadInfo
    standing: Standing
    queue: Queue
    charges: Charges
    needed: frozenset[FlavorResource]
    order: Order
    order_of_tournament: Order  # Of the heads of two queues with equal shares.
    topology: Topology | None = None
    by_rank: bool = False  # Whether `order` looks at nothing but evictions, queues and ranks.

    def cells(self, node: int) -> list[int]:
        """The needed cells at a node."""
        return [self.snapshot.tree.cell(node, one) for one in self.needed]

    def holdings(self, node: int) -> Iterable[Holding]:
        """Who holds quota of the ClusterQueue at a node."""
        return self.snapshot.held[self.snapshot.tree.names[node]].values()

    def preemptible(self, node: int, policy: str) -> list[Holding]:
        """Of these, whom the policy lets the workload preempt."""
        return preemptible(self.standing, self.holdings(node), self.needed, policy)

    def take(self, holding: Holding) -> None:
        """As if the workload were gone."""
        self.ledger.remove(holding.charges)
        if self.topology is not None:
            self.topology.remove(holding.info)

    def give_back(self, holding: Holding) -> None:
        """As if it were there again."""
        self.ledger.add(holding.charges)
        if self.topology is not None:
            self.topology.add(holding.info)

    def fits(self, allow_borrowing: bool) -> bool:
        """Whether the workload has quota now, and its place."""
        ledger = self.ledger
        for cell, amount in self.charges:
            if not allow_borrowing and ledger.exceeds(cell, amount):
                return False
            if amount > max(0, ledger.available(cell)):
                return False
        return self.topology is None or self.topology.fits()

    def fill_back(self, targets: list[Target], allow_borrowing: bool) -> list[Target]:
        """Without targets that turn out not to be needed, looked at from the last but one on."""
        for place in range(len(targets) - 2, -1, -1):
            self.give_back(targets[place].holding)
            if self.fits(allow_borrowing):
                targets[place] = targets[-1]
                targets.pop()
            else:
                self.take(targets[place].holding)
        return targets

    def restore(self, targets: Sequence[Target]) -> None:
        """Undo `take` for all of them."""
        for target in targets:
            self.give_back(target.holding)

"""What changes while a cycle is decided: usage of quota and of places, who is preempted."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from stellwerk.engine.queueing.cycle.backlog import Backlog, Waiting
from stellwerk.engine.queueing.cycle.decision import Admitted, Evicted
from stellwerk.engine.queueing.cycle.requeue import GENERIC, Why
from stellwerk.engine.queueing.flavors.assignment import Assignment, Cycle
from stellwerk.engine.queueing.flavors.places import Topologies
from stellwerk.engine.queueing.preemption.contest import Target
from stellwerk.engine.queueing.preemption.preempt import Preemptor, oracle_of
from stellwerk.engine.queueing.queue import Queue
from stellwerk.engine.queueing.quota.ledger import Charges, Ledger
from stellwerk.engine.queueing.requests.total import WorkloadInfo
from stellwerk.engine.queueing.snapshot import Holding, Snapshot
from stellwerk.engine.queueing.standing import Standing
from stellwerk.engine.topology.assignment.decision import DomainUsage

NOT_NOMINATED, SKIPPED, GATED, EVICTED, ASSUMED = "", "skipped", "preemptionGated", "evicted", "assumed"


class Usage(Struct, frozen=True):
    """What an entry would add: to quota, and by flavor to places."""

    charges: Charges
    places: Mapping[str, tuple[DomainUsage, ...]]


class Entry(Struct, kw_only=True):
    """A head while the cycle is decided; `preempting`: others are being preempted for it already."""

    waiting: Waiting
    info: WorkloadInfo
    queue: Queue | None
    preempting: bool = False
    second_pass: bool = False
    assignment: Assignment | None = None
    targets: tuple[Target, ...] = ()
    status: str = NOT_NOMINATED
    reason: str = ""
    message: str = ""
    why: Why = GENERIC
    nominated: Mapping[str, Mapping[str, str]] = {}
    starts_anew: bool = False

    def skip(self, reason: str, message: str, keep_progress: bool) -> None:
        """Given up in this cycle, because of others, not of the flavor."""
        self.status, self.reason, self.message = SKIPPED, reason, message
        self.starts_anew = self.starts_anew or not keep_progress


class World:
    """The moment of a cycle. `take` and `give_back` undo each other.

    `later`, `places_later`: quota and places as they are once all who are preempted in this cycle are gone.
    """

    __slots__ = (
        "_after",
        "admitted",
        "backlog",
        "evicted",
        "later",
        "ledger",
        "local_usage",
        "now",
        "places_later",
        "preempted",
        "recomputed",
        "skipped",
        "snapshot",
        "topologies",
    )

    def __init__(
        self, snapshot: Snapshot, backlog: Backlog, now: int, local_usage: Mapping[str, float]
    ) -> None:
        self.snapshot, self.backlog, self.now, self.local_usage = snapshot, backlog, now, local_usage
        self.ledger: Ledger = snapshot.ledger()
        self.topologies = Topologies(snapshot.places, snapshot.gates)
        self.later, self.places_later = self.ledger.copy(), self.topologies.copy()
        self.preempted: dict[str, Holding] = {}
        self._after: tuple[Snapshot, int] = (snapshot, 0)  # Without so many of them.
        self.admitted: list[Admitted] = []
        self.evicted: list[Evicted] = []
        self.skipped: dict[str, int] = {}
        self.recomputed: dict[str, dict[str, int]] = {}

    def preemptor(self, standing: Standing | None = None) -> Preemptor:
        """What searches for targets of a workload share now."""
        return Preemptor(
            snapshot=self.snapshot,
            ledger=self.ledger,
            now=self.now,
            local_usage=self.local_usage or None,
            standing=standing,
        )

    def question_cycle(self, preemptor: Preemptor) -> Cycle:
        """What the flavor assigner needs now."""
        return Cycle(
            snapshot=self.snapshot,
            ledger=self.ledger,
            oracle=oracle_of(preemptor),
            find_topology=self.topologies.find,
        )

    def take(self, holdings: Iterable[Holding]) -> None:
        """As if these were gone."""
        for holding in holdings:
            self.ledger.remove(holding.charges)
            if self.snapshot.places:
                self.topologies.remove(holding.info.topology_usage())

    def give_back(self, holdings: Iterable[Holding]) -> None:
        """As if they were there again."""
        for holding in holdings:
            self.ledger.add(holding.charges)
            if self.snapshot.places:
                self.topologies.add(holding.info.topology_usage())

    def use(self, usage: Usage) -> None:
        """What an entry takes for the rest of the cycle."""
        self.ledger.add(usage.charges)
        self.later.add(usage.charges)
        if usage.places:
            self.topologies.add(usage.places)
            self.places_later.add(usage.places)

    def preempt(self, targets: Iterable[Target]) -> None:
        """These are going, for an entry that was decided."""
        for target in targets:
            holding = target.holding
            if holding.info.key not in self.preempted:
                self.preempted[holding.info.key] = holding
                self._free(holding)

    def after_preemptions(self) -> tuple[Snapshot, Ledger, Topologies]:
        """The moment as it is once all who are preempted in this cycle are gone."""
        snapshot, count = self._after
        if count < len(self.preempted):
            snapshot = snapshot.changed(removed=list(self.preempted.values())[count:])
            self._after = snapshot, len(self.preempted)
        return snapshot, self.later, self.places_later

    def fits(self, usage: Usage, targets: Iterable[Target]) -> tuple[bool, bool]:
        """Whether it fits once these and all who are preempted are gone; and whether only a place lacks."""
        more = [one.holding for one in targets if one.holding.info.key not in self.preempted]
        for holding in more:
            self._free(holding)
        quota = self.later.fits(usage.charges)
        place = not usage.places or self.places_later.fits(usage.places)
        for holding in more:
            self.later.add(holding.charges)
            if self.snapshot.places:
                self.places_later.add(holding.info.topology_usage())
        return quota and place, quota and not place

    def _free(self, holding: Holding) -> None:
        self.later.remove(holding.charges)
        if self.snapshot.places:
            self.places_later.remove(holding.info.topology_usage())

    def overlaps(self, targets: Iterable[Target]) -> bool:
        """Whether another workload preempts one of them in this cycle."""
        return any(target.holding.info.key in self.preempted for target in targets)

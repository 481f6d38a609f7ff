"""From the books of a simulation to figures: of each ClusterQueue, each LocalQueue, and all together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct, field

from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.queueing.amounts import CPU, UNLIMITED, FlavorResource
from stellwerk.sim.figures import nearest_rank
from stellwerk.sim.queueing.ledger import EVICTED, FINISHED, RUNNING, Queued, QueueLedger, Stay
from stellwerk.sim.queueing.outcome.result import Hours, Jobs, NeverStarted, QueueFigures, Waits
from stellwerk.sim.queueing.outcome.use import Use, held_of, used_of

GPU = "nvidia.com/gpu"
GIB = 1 << 30
_MEMORY = frozenset({"memory", "ephemeral-storage"})
Quotas = Mapping[FlavorResource, int]


class Period(Struct, frozen=True):
    """The time that all courses of a comparison are judged over (ns since 1970)."""

    start_ns: int
    end_ns: int

    @property
    def length_ns(self) -> int:
        """How long it is."""
        return self.end_ns - self.start_ns


class Part(Struct, frozen=True, kw_only=True):
    """The Workloads of one queue, and their stays. `nominal`: its own quota; None: no ClusterQueue."""

    name: str
    cluster_queue: str = ""
    queued: list[Queued] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    nominal: Quotas | None = None


class Parts(Struct, frozen=True):
    """A ledger cut by queue, each sorted by name."""

    cluster_queues: tuple[Part, ...]
    local_queues: tuple[Part, ...]
    total: Part


def parts_of(ledger: QueueLedger, quotas: Mapping[str, Quotas], local_queues: Mapping[str, str]) -> Parts:
    """`quotas`: nominal ones by ClusterQueue; `local_queues`: namespace/name -> ClusterQueue. All are there.

    A stay belongs to the ClusterQueue that gave the quota.
    """
    by_queue = {name: Part(name=name, nominal=nominal) for name, nominal in quotas.items()}
    by_local = {name: Part(name=name, cluster_queue=queue) for name, queue in local_queues.items()}
    for one in ledger.queued.values():
        by_queue.setdefault(one.cluster_queue, Part(name=one.cluster_queue)).queued.append(one)
        local = local_name(one)
        by_local.setdefault(local, Part(name=local, cluster_queue=one.cluster_queue)).queued.append(one)
    for stay in ledger.stays:
        by_queue.setdefault(stay.cluster_queue, Part(name=stay.cluster_queue)).stays.append(stay)
        by_local[local_name(ledger.queued[stay.key])].stays.append(stay)
    total = Part(name="", queued=list(ledger.queued.values()), stays=ledger.stays)
    return Parts(_sorted(by_queue), _sorted(by_local), total)


def local_name(one: Queued) -> str:
    """namespace/name of its LocalQueue."""
    if "/" in one.local_queue:
        return one.local_queue
    return f"{one.key.partition('/')[0]}/{one.local_queue}"


def figures_of(part: Part, period: Period, whole: Mapping[FlavorResource, Use]) -> QueueFigures:
    """All figures of a part but its cost; `whole`: what everybody held."""
    stays: dict[str, list[Stay]] = defaultdict(list)
    for stay in sorted(part.stays, key=lambda stay: stay.start_ns):
        stays[stay.key].append(stay)
    evicted = [stay.reason for stay in part.stays if stay.ended == EVICTED]
    finishes = [stay.end_ns for stay in part.stays if stay.ended == FINISHED]
    return QueueFigures(
        name=part.name,
        cluster_queue=part.cluster_queue,
        jobs=_jobs(part.queued, stays),
        first=_waits([_first(one, stays, period) for one in part.queued]),
        last=_waits([_last(one, stays, period) for one in part.queued]),
        evictions=len(evicted),
        eviction_reasons=dict(sorted(Counter(evicted).items())),
        hours=_hours(part, period, whole),
        last_finish_ns=max(finishes, default=None),
    )


def never_started(ledger: QueueLedger) -> tuple[NeverStarted, ...]:
    """Who was never admitted, in the order of arrival."""
    started = {stay.key for stay in ledger.stays}
    return tuple(
        NeverStarted(
            workload=one.key,
            job=one.job,
            local_queue=local_name(one),
            cluster_queue=one.cluster_queue,
            answer=ledger.answers.get(one.key, ""),
        )
        for one in ledger.queued.values()
        if one.key not in started
    )


def shown_resource(resources: Iterable[str]) -> str:
    """The resource that tables show: GPUs, else another extended resource, else CPUs, else the first."""
    known = sorted(set(resources))
    extended = [name for name in known if "/" in name]
    for candidates in ([GPU] if GPU in known else [], extended, [CPU] if CPU in known else [], known):
        if candidates:
            return candidates[0]
    return GPU


def _sorted(parts: Mapping[str, Part]) -> tuple[Part, ...]:
    return tuple(parts[name] for name in sorted(parts))


def _jobs(queued: Sequence[Queued], stays: Mapping[str, Sequence[Stay]]) -> Jobs:
    ends = [stays[one.key][-1].ended if one.key in stays else "" for one in queued]
    finished, running = ends.count(FINISHED), ends.count(RUNNING)
    return Jobs(
        arrived=len(queued),
        started=len(queued) - ends.count(""),
        finished=finished,
        running=running,
        waiting=len(queued) - finished - running,
        never_started=ends.count(""),
    )


def _first(one: Queued, stays: Mapping[str, Sequence[Stay]], period: Period) -> int:
    at = stays[one.key][0].start_ns if one.key in stays else period.end_ns
    return max(0, at - one.created_ns)


def _last(one: Queued, stays: Mapping[str, Sequence[Stay]], period: Period) -> int:
    """Up to the admission after which it was not evicted any more."""
    its = stays.get(one.key, ())
    at = its[-1].start_ns if its and its[-1].ended != EVICTED else period.end_ns
    return max(0, at - one.created_ns)


def _waits(waits: Iterable[int]) -> Waits | None:
    ordered = sorted(waits)
    if not ordered:
        return None
    return Waits(
        mean_ns=round(Fraction(sum(ordered), len(ordered))),
        p50_ns=nearest_rank(ordered, 50),
        p95_ns=nearest_rank(ordered, 95),
        max_ns=nearest_rank(ordered, 100),
    )


def _hours(part: Part, period: Period, whole: Mapping[FlavorResource, Use]) -> dict[str, Hours]:
    """By resource, over all flavors."""
    nominal = part.nominal
    used = held_of(part.stays) if nominal is None else used_of(part.stays, nominal)
    resources = {of.resource for of in (*used, *whole, *(nominal or ()))}
    found = {}
    for resource in sorted(resources):
        its = [use for of, use in used.items() if of.resource == resource]
        all_held = sum(use.held for of, use in whole.items() if of.resource == resource)
        quota = None if nominal is None else _quota(nominal, resource, period)
        found[resource] = _hours_of(resource, its, (quota, all_held))
    return found


def _quota(nominal: Quotas, resource: str, period: Period) -> int | None:
    """What the quota would have given; None where it is not limited."""
    amounts = [amount for of, amount in nominal.items() if of.resource == resource]
    return None if UNLIMITED in amounts else sum(amounts) * period.length_ns


def _hours_of(resource: str, used: Sequence[Use], whole: tuple[int | None, int]) -> Hours:
    quota, all_held = whole
    held, own = sum(use.held for use in used), sum(use.own for use in used)
    hours = Hours(
        held=unit_hours(resource, held),
        lost=unit_hours(resource, sum(use.lost for use in used)),
        share=ratio(held, all_held),
    )
    if quota is None:
        return hours
    return Hours(
        held=hours.held,
        lost=hours.lost,
        share=hours.share,
        nominal=unit_hours(resource, quota),
        own=unit_hours(resource, own),
        borrowed=unit_hours(resource, held - own),
        of_nominal=ratio(held, quota),
        own_use=ratio(own, quota),
    )


def unit_hours(resource: str, amount_ns: int) -> Decimal:
    """Kueue's amounts times nanoseconds as units times hours, with three decimals, half to even."""
    unit = 1000 if resource == CPU else GIB if resource in _MEMORY else 1
    return rounded(Fraction(amount_ns, unit * NS_PER_HOUR), 3)


def ratio(part: int, whole: int) -> Decimal | None:
    """With four decimals; None of nothing."""
    return rounded(Fraction(part, whole), 4) if whole else None

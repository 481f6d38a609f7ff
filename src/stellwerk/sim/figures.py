"""From the ledger to the figures of a run: integers in, integers and exact decimals out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from msgspec import UNSET, UnsetType

from stellwerk.engine.demand import NS_PER_HOUR, Demand
from stellwerk.engine.money.bill import amount, bill, cost_per_gpu_hour, month_cost_cents, period_cost_cents
from stellwerk.engine.money.exact import rounded
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.ledger import Ledger
from stellwerk.sim.pictures import busiest, samples
from stellwerk.sim.result import Cost, GpuHours, Jobs, Overflow, Reconfigurations, Rejected, Run, Team, Waits

GIB = 1024**3


def run_figures(demand: Demand, fleet: Fleet, ledger: Ledger, slowdown: str) -> Run:
    """All figures of one run; the ledger is complete (the period has ended)."""
    period = demand.period_ns
    held = sum(stay.held_milli_ns for stay in ledger.stays)
    used = sum(stay.useful_milli_ns for stay in ledger.stays)
    teams, idle = _teams(demand, fleet, ledger)
    cents, month = period_cost_cents(fleet, period), month_cost_cents(fleet)
    return Run(
        slowdown=slowdown,
        jobs=_jobs(demand, ledger),
        waits=_waits(waits_ns(demand, ledger)),
        gpu_hours=GpuHours(
            paid=_hours(fleet.gpus * 1000 * period),
            held=_hours(held),
            used=_hours(used),
        ),
        overflow=Overflow(
            jobs=len(ledger.overflowed),
            gib_hours=rounded(Fraction(ledger.overflow_byte_ns, GIB * NS_PER_HOUR), 3),
        ),
        cost=Cost(
            currency=fleet.currency,
            month=None if month is None else amount(month),
            period=None if cents is None else amount(cents),
            useful_gpu_hour=None if cents is None else cost_per_gpu_hour(cents, used),
        ),
        idle_cost=idle,
        teams=teams,
        rejected=_rejected(ledger),
        samples=samples(ledger, period),
        busiest=busiest(ledger, fleet),
        reconfigurations=_reconfigurations(fleet, ledger),
    )


def _reconfigurations(fleet: Fleet, ledger: Ledger) -> Reconfigurations | UnsetType:
    if isinstance(fleet.reconfiguration, UnsetType):
        return UNSET
    return Reconfigurations(
        cuts=ledger.cuts,
        failed=ledger.cuts_failed,
        repairs=ledger.gpu_repairs,
        time_ns=ledger.cutting_ns,
    )


def waits_ns(demand: Demand, ledger: Ledger) -> dict[str, int]:
    """Each job's wait, up to its first start or the end of the period; rejected jobs have none."""
    return {
        job.name: ledger.first_start_ns.get(job.name, demand.period_ns) - job.arrival_ns
        for job in demand.jobs
        if job.name not in ledger.rejected
    }


def nearest_rank(ordered: Sequence[int], percent: int) -> int:
    """The nearest-rank percentile of a sorted sequence, the one at ceil(percent/100 * n); 0 of none."""
    return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else 0


def _waits(waits: Mapping[str, int]) -> Waits:
    ordered = sorted(waits.values())
    return Waits(
        p50_ns=nearest_rank(ordered, 50), p95_ns=nearest_rank(ordered, 95), max_ns=nearest_rank(ordered, 100)
    )


def _jobs(demand: Demand, ledger: Ledger) -> Jobs:
    arrived = len(demand.jobs)
    at_end = {stay.job.name for stay in ledger.stays if stay.end_ns == demand.period_ns}
    running = len(at_end - ledger.finished - ledger.waiting)
    return Jobs(
        arrived=arrived,
        finished=len(ledger.finished),
        running=running,
        waiting=len(ledger.waiting),
        rejected=len(ledger.rejected),
        interrupted=len(ledger.interrupted),
        shared=len(ledger.shared),
        slowed=len(ledger.slowed),
    )


def _teams(demand: Demand, fleet: Fleet, ledger: Ledger) -> tuple[tuple[Team, ...], Decimal | None]:
    """Each team's part of the bill, and the idle part: together the period's cost, to the cent."""
    names = sorted({job.team for job in demand.jobs})
    held, used = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    for stay in ledger.stays:
        held[stay.job.team] += stay.held_milli_ns
        used[stay.job.team] += stay.useful_milli_ns
    cents = period_cost_cents(fleet, demand.period_ns)
    billed = None if cents is None else bill(cents, held, fleet.gpus * 1000 * demand.period_ns)
    jobs = Counter(job.team for job in demand.jobs)
    waits = waits_ns(demand, ledger)
    by_team: dict[str, list[int]] = {name: [] for name in names}
    for job in demand.jobs:
        if job.name in waits:
            by_team[job.team].append(waits[job.name])
    teams = tuple(
        Team(
            team=name,
            jobs=jobs[name],
            wait_p95_ns=nearest_rank(sorted(by_team[name]), 95),
            held=_hours(held[name]),
            used=_hours(used[name]),
            cost=None if billed is None else amount(billed.teams[name]),
        )
        for name in names
    )
    return teams, None if billed is None else amount(billed.idle)


def _rejected(ledger: Ledger) -> tuple[Rejected, ...]:
    groups: dict[tuple[str, str], list[str]] = {}
    for job, reason in ledger.rejected.items():
        groups.setdefault((reason.code, str(reason)), []).append(job)
    return tuple(
        Rejected(code=code, text=text, jobs=len(jobs), example=min(jobs))
        for (code, text), jobs in sorted(groups.items())
    )


def _hours(milli_ns: int) -> Decimal:
    """milli-GPU-nanoseconds as GPU-hours with three decimals, half to even."""
    return rounded(Fraction(milli_ns, 1000 * NS_PER_HOUR), 3)

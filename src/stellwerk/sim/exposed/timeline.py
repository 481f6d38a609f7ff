"""A replay's ledger, indexed by time: who is on each GPU, who waits, who held how much until then.

Times are nanoseconds from the start of the period, GPU-time is milli-GPU-nanoseconds.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.demand import Demand, Job
from stellwerk.engine.partition.policy import TIME_SLICING, Policy
from stellwerk.engine.placement.place import Grant, Site
from stellwerk.engine.placement.sites import plan_sites
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.faults import node_losses
from stellwerk.sim.ledger import Ledger, Stay
from stellwerk.sim.replay import Scenario, simulate
from stellwerk.sim.result import Replay

_ROUNDS = re.compile(r"(-round-\d+)+$", re.ASCII)


class Moment(Struct, frozen=True, kw_only=True):
    """A moment of the demand, and of the clock on the wall that it is shown on.

    The demand is played `speed` times as fast as the wall's clock from `begun_ns` (UTC, since 1970) on, again
    and again; `round` (0 first) is how often it has ended.
    """

    at_ns: int
    round: int
    begun_ns: int
    speed: int
    period_ns: int

    def wall_ns(self, at_ns: int) -> int:
        """When the wall's clock shows that moment of this round, in ns since 1970."""
        return self.begun_ns + (self.round * self.period_ns + at_ns) // self.speed


def moment_of(begun_ns: int, elapsed_ns: int, speed: int, period_ns: int) -> Moment:
    """The moment after `elapsed_ns` of the wall's clock; at the end of the period the demand begins again."""
    turn, at = divmod(elapsed_ns * speed, period_ns)
    return Moment(at_ns=at, round=turn, begun_ns=begun_ns, speed=speed, period_ns=period_ns)


class Pod(Struct, frozen=True, kw_only=True):
    """A pod of a job in one stay; `finished`: it came to its end, and lost neither node nor period."""

    job: Job
    name: str
    start_ns: int
    end_ns: int
    grants: tuple[Grant, ...]
    finished: bool


class Tenant(Struct, frozen=True):
    """A pod on a GPU, and what it was given of it."""

    pod: Pod
    grant: Grant


class Course(Struct, frozen=True, kw_only=True):
    """One GPU over time: from `starts_ns[i]` on `tenants[i]`; until then teams had held `held[i]` of it."""

    starts_ns: tuple[int, ...]
    tenants: tuple[tuple[Tenant, ...], ...]
    held: tuple[Mapping[str, int], ...]

    def tenants_at(self, at_ns: int) -> tuple[Tenant, ...]:
        """Who is on the GPU, in order of coming."""
        return self.tenants[bisect_right(self.starts_ns, at_ns) - 1]

    def held_milli(self, at_ns: int) -> int:
        """What is held of the GPU, in thousandths of it."""
        tenants = self.tenants_at(at_ns)
        return sum(_part(tenant, tenants) for tenant in tenants)

    def held_until(self, at_ns: int) -> Counter[str]:
        """GPU-time that each team held of it from the start of the period on."""
        last = bisect_right(self.starts_ns, at_ns) - 1
        held = Counter(self.held[last])
        _hold(held, self.tenants[last], at_ns - self.starts_ns[last])
        return held


class Tally(Struct, frozen=True):
    """A sum that grows: from `times_ns[i]` on it is `sums[i]`."""

    times_ns: tuple[int, ...]
    sums: tuple[int, ...]

    def until(self, at_ns: int) -> int:
        """The sum of all that came at `at_ns` or before."""
        last = bisect_right(self.times_ns, at_ns)
        return self.sums[last - 1] if last else 0


class Queue(Struct, frozen=True, kw_only=True):
    """One team's jobs over time: those that began and ceased to wait, their GPUs, and what was decided."""

    waiting: tuple[Tally, Tally]
    waiting_gpus: tuple[Tally, Tally]
    started: Tally
    finished: Tally
    interrupted: Tally
    refused: Tally


class Timeline(Struct, frozen=True, kw_only=True):
    """One policy's replay over time; `ended` are its finished pods by their end, `down` by node position.

    `slowdown` is the assumption on what sharing costs, as in the run's figures.
    """

    demand: Demand
    fleet: Fleet
    policy: str
    slowdown: str
    sites: tuple[Site, ...]
    courses: tuple[Course, ...]
    ended: tuple[Pod, ...]
    down: Mapping[int, tuple[tuple[int, int], ...]]
    queues: Mapping[str, Queue]

    def is_up(self, node: int, at_ns: int) -> bool:
        """Whether the node at that position is there."""
        return not any(begin <= at_ns < end for begin, end in self.down.get(node, ()))

    def running(self, at_ns: int) -> Iterator[Pod]:
        """Every pod that has a GPU, once, in the order of the fleet."""
        seen: set[int] = set()
        for course in self.courses:
            for tenant in course.tenants_at(at_ns):
                if id(tenant.pod) not in seen:
                    seen.add(id(tenant.pod))
                    yield tenant.pod

    def held_until(self, at_ns: int) -> Counter[str]:
        """GPU-time that each team held from the start of the period on; at its end, what the bill weighs."""
        held = Counter(dict.fromkeys(self.queues, 0))
        for course in self.courses:
            held.update(course.held_until(at_ns))
        return held


def replayed(scenario: Scenario, policies: Sequence[Policy], replay: Replay, name: str) -> Timeline:
    """The policy of that name, run again under the harder assumption on slowdown that its figures have."""
    policy = next(policy for policy in policies if policy.name == name)
    outcome = next(outcome for outcome in replay.outcomes if outcome.policy == name)
    ledger = simulate(scenario, policy, scenario.slowdowns[len(outcome.runs) - 1])
    assert ledger is not None, "a replay that nobody watches runs to its end"
    return timeline_of(scenario, policy, outcome.worst.slowdown, ledger)


def timeline_of(scenario: Scenario, policy: Policy, slowdown: str, ledger: Ledger) -> Timeline:
    """Index the complete ledger of a run of the policy in that scenario."""
    demand, fleet = scenario.demand, scenario.fleet
    stays: dict[str, list[Stay]] = {job.name: [] for job in demand.jobs}
    for stay in ledger.stays:
        stays[stay.job.name].append(stay)
    for each in stays.values():
        each.sort(key=lambda stay: (stay.start_ns, stay.end_ns))
    names = _Names()
    pods = [pod for job in demand.jobs for pod in _pods(stays[job.name], job.name in ledger.finished, names)]
    sites = plan_sites(fleet, demand.jobs, policy).sites
    tenants: list[list[Tenant]] = [[] for _ in sites]
    for pod in pods:
        for grant in pod.grants:
            tenants[grant.gpu].append(Tenant(pod, grant))
    losses = node_losses(fleet, min(demand.period_ns, scenario.faults_until_ns), scenario.seed)
    return Timeline(
        demand=demand,
        fleet=fleet,
        policy=policy.name,
        slowdown=slowdown,
        sites=tuple(sites),
        courses=tuple(_course(each) for each in tenants),
        ended=tuple(sorted((pod for pod in pods if pod.finished), key=lambda pod: (pod.end_ns, pod.name))),
        down=_down(losses, fleet.faults.repair_ns),
        queues=_queues(demand, stays, ledger),
    )


class _Names:
    """Names of pods, each given once in a namespace.

    Jobs `a/b` and `a-b`, or a gang `train` and a job `train-0`, would have pods of one name: the one that
    comes later gets `-2`, `-3`, ... at its end. Later rounds add `-round-N`, so names that differ in that
    only count as one.
    """

    def __init__(self) -> None:
        self._given: set[tuple[str, str]] = set()

    def one(self, namespace: str, wanted: str) -> str:
        """The name itself, or with a number while another pod has it."""
        name, number = wanted, 1
        while (namespace, _ROUNDS.sub("", name)) in self._given:
            number += 1
            name = f"{wanted}-{number}"
        self._given.add((namespace, _ROUNDS.sub("", name)))
        return name


def _pods(stays: Sequence[Stay], finished: bool, names: _Names) -> Iterator[Pod]:
    """The pods of a job's stays: a gang's are numbered, and those of a later try have names of their own."""
    for attempt, stay in enumerate(stays):
        job, each = stay.job, len(stay.grants) // stay.job.pods
        name = job.name.replace("/", "-") + (f"-try-{attempt + 1}" if attempt else "")
        for index in range(job.pods):
            yield Pod(
                job=job,
                name=names.one(job.team, f"{name}-{index}" if job.pods > 1 else name),
                start_ns=stay.start_ns,
                end_ns=stay.end_ns,
                grants=stay.grants[index * each : (index + 1) * each],
                finished=finished and attempt == len(stays) - 1,
            )


def _course(tenants: Sequence[Tenant]) -> Course:
    """Who is on a GPU in each stretch between two changes."""
    coming = sorted(tenants, key=lambda tenant: (tenant.pod.start_ns, tenant.pod.name), reverse=True)
    edges = {time for tenant in tenants for time in (tenant.pod.start_ns, tenant.pod.end_ns)}
    starts: list[int] = []
    on_it: list[tuple[Tenant, ...]] = []
    held: list[Counter[str]] = []
    now: tuple[Tenant, ...] = ()
    sums: Counter[str] = Counter()
    last = 0
    for edge in sorted({0, *edges}):
        _hold(sums, now, edge - last)
        now, last = tuple(tenant for tenant in now if tenant.pod.end_ns > edge), edge
        while coming and coming[-1].pod.start_ns <= edge:
            tenant = coming.pop()
            now = (*now, tenant) if tenant.pod.end_ns > edge else now
        starts.append(edge)
        on_it.append(now)
        held.append(sums.copy())
    return Course(starts_ns=tuple(starts), tenants=tuple(on_it), held=tuple(held))


def _hold(held: Counter[str], tenants: Sequence[Tenant], length_ns: int) -> None:
    """Add what the tenants hold in so long."""
    for tenant in tenants:
        held[tenant.pod.job.team] += _part(tenant, tenants) * length_ns


def _part(tenant: Tenant, tenants: Sequence[Tenant]) -> int:
    """What a tenant holds of its GPU (milli); those of a time-sliced one hold equal parts of it."""
    return 1000 // len(tenants) if tenant.grant.method == TIME_SLICING else tenant.grant.held_milli


def _down(losses: Iterable[tuple[int, int]], repair_ns: int) -> dict[int, tuple[tuple[int, int], ...]]:
    """When each node is away; one that is away already is not lost again."""
    down: dict[int, tuple[tuple[int, int], ...]] = {}
    for at, node in losses:
        before = down.get(node, ())
        if not before or before[-1][1] <= at:
            down[node] = (*before, (at, at + repair_ns))
    return down


def _queues(demand: Demand, stays: Mapping[str, Sequence[Stay]], ledger: Ledger) -> dict[str, Queue]:
    teams: dict[str, list[Job]] = {}
    for job in sorted(demand.jobs, key=lambda job: job.team):
        teams.setdefault(job.team, []).append(job)
    return {team: _queue(jobs, stays, ledger, demand.period_ns) for team, jobs in teams.items()}


def _queue(jobs: Sequence[Job], stays: Mapping[str, Sequence[Stay]], ledger: Ledger, end_ns: int) -> Queue:
    waits: list[tuple[int, int, int]] = []
    started: list[int] = []
    finished: list[int] = []
    interrupted: list[int] = []
    for job in jobs:
        if job.name in ledger.rejected:
            continue
        since, gpus = job.arrival_ns, job.gpus * job.pods
        for stay in stays[job.name]:
            waits.append((since, stay.start_ns, gpus))
            started.append(stay.start_ns)
            since = stay.end_ns
            interrupted.append(since)
        if job.name in ledger.finished:
            finished.append(interrupted.pop())
        elif stays[job.name] and since == end_ns and job.name not in ledger.waiting:
            interrupted.pop()  # It runs on beyond the period.
        else:
            waits.append((since, end_ns, gpus))
    refused = [job.arrival_ns for job in jobs if job.name in ledger.rejected]
    ones = [(begin, end, 1) for begin, end, _ in waits]
    return Queue(
        waiting=_both_ends(ones),
        waiting_gpus=_both_ends(waits),
        started=_tally((time, 1) for time in started),
        finished=_tally((time, 1) for time in finished),
        interrupted=_tally((time, 1) for time in interrupted),
        refused=_tally((time, 1) for time in refused),
    )


def _both_ends(waits: Sequence[tuple[int, int, int]]) -> tuple[Tally, Tally]:
    return _tally((begin, one) for begin, _, one in waits), _tally((end, one) for _, end, one in waits)


def _tally(amounts: Iterable[tuple[int, int]]) -> Tally:
    times: list[int] = []
    sums: list[int] = []
    total = 0
    for time, amount in sorted(amounts):
        total += amount
        times.append(time)
        sums.append(total)
    return Tally(tuple(times), tuple(sums))

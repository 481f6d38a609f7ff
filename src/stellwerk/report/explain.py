"""`--explain FIGURE`: the formula of a figure with the numbers put in, and where each number comes from."""

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec import Struct, UnsetType

from stellwerk.api.errors import InvalidInput
from stellwerk.engine.demand import NS_PER_HOUR
from stellwerk.engine.snapshot import FleetNode
from stellwerk.report.choice import (
    Choice,
    baseline,
    choose,
    declared,
    is_sized,
    nodes_of,
    smallest,
    unknown_price,
)
from stellwerk.report.figures import gpus_text, money_or_unknown, slowdown_text, value_text
from stellwerk.report.sentence import saving_of
from stellwerk.report.tables import term_name
from stellwerk.report.text import Language, Translate, day, duration, money, number, say, translator
from stellwerk.sim.result import Replay, Run

HOURS_PER_MONTH = 730


class Case(Struct, frozen=True):
    """One figure of one run of one policy, to be explained in one language."""

    replay: Replay
    choice: Choice
    run: Run
    lang: Language

    @property
    def _(self) -> Translate:
        return translator(self.lang)

    @property
    def currency(self) -> str:
        return self.replay.fleet.currency

    @property
    def nodes(self) -> tuple[FleetNode, ...]:
        return nodes_of(self.replay, self.choice)

    def count(self, value: int) -> str:
        return number(value, self.lang)

    def hours(self, value: Decimal) -> str:
        return number(value, self.lang, 3)

    def money(self, value: Decimal | None, most: int = 2) -> str:
        return (
            value_text(None, "money", self.lang)
            if value is None
            else money(value, self.currency, self.lang, 2, most)
        )

    def wait(self, nanoseconds: int) -> str:
        return duration(nanoseconds, self.lang)


Explained = Callable[[Case], list[str]]


def _percentile(case: Case, percent: int, found: int) -> list[str]:
    jobs = case.run.jobs
    counted = jobs.arrived - jobs.rejected
    rank = max(1, -(-counted * percent // 100)) if counted else 0
    return [
        case._("wait = first start - arrival; a job that never started waits up to the end of the period"),
        case._(
            "{arrived} arrived - {rejected} rejected = {counted} jobs, sorted by wait",
            arrived=case.count(jobs.arrived),
            rejected=case.count(jobs.rejected),
            counted=case.count(counted),
        ),
        case._(
            "nearest rank: {percent} % of {counted}, rounded up = the wait at place {rank} = {wait}",
            percent=percent,
            counted=case.count(counted),
            rank=case.count(rank),
            wait=case.wait(found),
        ),
    ]


def _wait_p50(case: Case) -> list[str]:
    return _percentile(case, 50, case.run.waits.p50_ns)


def _wait_p95(case: Case) -> list[str]:
    return _percentile(case, 95, case.run.waits.p95_ns)


def _wait_max(case: Case) -> list[str]:
    return _percentile(case, 100, case.run.waits.max_ns)


def _jobs(case: Case) -> list[str]:
    jobs = case.run.jobs
    return [
        case._("arrived = finished + running + waiting + rejected, at the end of the period"),
        case._(
            "{arrived} = {finished} + {running} + {waiting} + {rejected}",
            arrived=case.count(jobs.arrived),
            finished=case.count(jobs.finished),
            running=case.count(jobs.running),
            waiting=case.count(jobs.waiting),
            rejected=case.count(jobs.rejected),
        ),
    ]


def _rejected(case: Case) -> list[str]:
    lines = [case._("jobs that even the empty fleet could not start")]
    for group in case.run.rejected:
        reason = say(group.text, case.lang)
        lines.append(
            case._(
                "{count}, such as {example}: {reason}",
                count=case.count(group.jobs),
                example=group.example,
                reason=reason,
            )
        )
    return [*lines, *_jobs(case)]


def _interrupted(case: Case) -> list[str]:
    faults = case.replay.fleet.faults
    return [
        case._("jobs that lost their node at least once; they start again from the beginning"),
        case._(
            "{losses} losses per node and month, repaired after {repair}, by seed {seed}: {count} jobs",
            losses=number(Decimal(faults.losses_per_node_month_milli) / 1000, case.lang, 1, 3),
            repair=case.wait(faults.repair_ns),
            seed=case.replay.seed,
            count=case.count(case.run.jobs.interrupted),
        ),
    ]


def _slowed(case: Case) -> list[str]:
    jobs = case.run.jobs
    return [
        case._("jobs that took longer than alone on their GPU"),
        case._(
            "{shared} of {arrived} jobs shared a GPU; with {slowdown}: {slowed} slowed",
            shared=case.count(jobs.shared),
            arrived=case.count(jobs.arrived),
            slowdown=slowdown_text(case.run.slowdown, case.lang),
            slowed=case.count(jobs.slowed),
        ),
    ]


def _overflow(case: Case) -> list[str]:
    overflow = case.run.overflow
    return [
        case._("memory that tenants of one GPU really took beyond what they were given, times how long"),
        case._("a real GPU would have ended a process there"),
        case._(
            "{count} jobs, {hours} GiB h",
            count=case.count(overflow.jobs),
            hours=case.hours(overflow.gib_hours),
        ),
    ]


def _paid(case: Case) -> list[str]:
    period = Decimal(case.replay.period_ns) / NS_PER_HOUR
    return [
        case._("GPUs of the fleet x hours of the period"),
        case._(
            "{gpus} GPUs x {period} h = {hours} GPU-h",
            gpus=case.count(case.choice.gpus),
            period=number(period, case.lang, 0, 3),
            hours=case.hours(case.run.gpu_hours.paid),
        ),
    ]


def _by_team(case: Case, field: str, total: Decimal) -> list[str]:
    parts = [
        case._("{team}: {hours} GPU-h", team=team.team, hours=case.hours(getattr(team, field)))
        for team in case.run.teams
    ]
    return [*parts, case._("together {hours} GPU-h", hours=case.hours(total))]


def _held(case: Case) -> list[str]:
    rule = case._("share of a GPU given to a job x how long, over all jobs, within the period")
    return [rule, *_by_team(case, "held", case.run.gpu_hours.held)]


def _used(case: Case) -> list[str]:
    rule = case._("measured use of the GPU x how long, over all jobs; unmeasured counts as held")
    return [rule, *_by_team(case, "used", case.run.gpu_hours.used)]


def _node_lines(case: Case) -> list[str]:
    """The cost of an hour: each group of equal nodes with its terms, and the sum."""
    groups: dict[tuple[object, ...], list[FleetNode]] = {}
    for node in case.nodes:
        groups.setdefault((node.gpu_model, node.gpus, node.cost), []).append(node)
    lines: list[str] = []
    for nodes in groups.values():
        first = nodes[0]
        for term in first.cost.terms:
            lines.append(
                case._(
                    "{count} x {node} ({gpus} x {model}), {term}: {price} an hour = {formula} "
                    "[as of {date}, {source}]",
                    count=case.count(len(nodes)),
                    node=first.name,
                    gpus=first.gpus,
                    model=first.gpu_model,
                    term=term_name(term.name, case.lang),
                    price=case.money(term.per_hour, 6),
                    formula=term.formula,
                    date=day(term.date, case.lang),
                    source=term.source,
                )
            )
    if option := unknown_price(case.replay.fleet):
        return [*lines, case._("price unknown (set it with {option})", option=option)]
    hour = sum((node.cost.per_hour or Decimal(0) for node in case.nodes), Decimal(0))
    return [
        *lines,
        case._(
            "all {count} nodes: {price} an hour", count=case.count(len(case.nodes)), price=case.money(hour, 6)
        ),
    ]


def _cost(case: Case, hours: Decimal, total: Decimal | None) -> list[str]:
    product = case._(
        "x {hours} h = {total}, rounded once to the cent",
        hours=number(hours, case.lang, 0, 3),
        total=case.money(total),
    )
    return [
        case._("sum of the nodes' costs of an hour x hours"),
        *_node_lines(case),
        *([product] if total is not None else []),
    ]


def _month(case: Case) -> list[str]:
    return _cost(case, Decimal(HOURS_PER_MONTH), case.run.cost.month)


def _period(case: Case) -> list[str]:
    return _cost(case, Decimal(case.replay.period_ns) / NS_PER_HOUR, case.run.cost.period)


def _useful(case: Case) -> list[str]:
    cost, used = case.run.cost, case.run.gpu_hours.used
    return [
        case._("cost of the period / GPU-hours used"),
        case._(
            "{cost} / {used} GPU-h = {result}",
            cost=case.money(cost.period),
            used=case.hours(used),
            result=case.money(cost.useful_gpu_hour),
        ),
        *_period(case),
    ]


def _teams(case: Case) -> list[str]:
    lines = [
        case._("cost of the period, shared out by the GPU-hours that a team held; what nobody held is idle"),
        case._(
            "{cost} / {paid} GPU-h paid",
            cost=case.money(case.run.cost.period),
            paid=case.hours(case.run.gpu_hours.paid),
        ),
    ]
    for team in case.run.teams:
        lines.append(
            case._(
                "{team}: {held} GPU-h held = {cost}",
                team=team.team,
                held=case.hours(team.held),
                cost=case.money(team.cost),
            )
        )
    idle = case.run.gpu_hours.paid - case.run.gpu_hours.held
    lines.append(
        case._("idle: {held} GPU-h = {cost}", held=case.hours(idle), cost=case.money(case.run.idle_cost))
    )
    lines.append(
        case._("sum: {cost}; odd cents go to the largest remainders", cost=case.money(case.run.cost.period))
    )
    return lines


def _gpus(case: Case) -> list[str]:
    lines = [
        case._("{node}: {gpus} x {model}", node=node.name, gpus=node.gpus, model=node.gpu_model)
        for node in case.nodes
    ]
    if case.choice.sized:
        limit = case.wait(baseline(case.replay).wait_p95_ns)
        lines.insert(
            0,
            case._(
                "the smallest fleet, nodes taken away from the end, "
                "whose p95 wait {wait} is not above {limit} (whole GPUs)",
                wait=case.wait(case.choice.wait_p95_ns),
                limit=limit,
            ),
        )
    return [*lines, case._("together {gpus}", gpus=gpus_text(case.choice.gpus, case.lang))]


def _saving(case: Case) -> list[str]:
    before = baseline(case.replay)
    saving = saving_of(case.replay, case.choice)
    return [
        case._("month of the declared fleet - month of the smallest fleet"),
        case._(
            "{before} ({declared} GPUs) - {after} ({gpus} GPUs) = {saving}",
            before=money_or_unknown(before.month, case.currency, case.lang),
            declared=case.count(before.gpus),
            after=money_or_unknown(case.choice.month, case.currency, case.lang),
            gpus=case.count(case.choice.gpus),
            saving=money_or_unknown(saving, case.currency, case.lang),
        ),
        *_node_lines(case),
    ]


def _network(case: Case) -> list[str]:
    loss = case.run.network
    if isinstance(loss, UnsetType):
        return [case._("the fleet describes no network: add network to a node group of the Fleet")]
    lines = [
        case._("run time of a gang x (1 - 1 / factor) x its GPUs, priced as an hour of them"),
        case._("factor = 1 - share + share x bandwidth where it was measured / bandwidth of its link"),
        case._(
            "share of a step that waits for other GPUs: {share}, where a gang does not say it",
            share=number(loss.share, case.lang, 0, 6),
        ),
    ]
    lines += [
        case._(
            "{level} (gangs: {gangs}): {time} lost, {hours} GPU-h = {cost}",
            level=level.level,
            gangs=case.count(level.gangs),
            time=case.wait(level.lost_ns),
            hours=case.hours(level.gpu_hours),
            cost=case.money(level.cost),
        )
        for level in loss.levels
    ]
    if loss.unknown:
        lines.append(
            case._("gangs on a link of which no bandwidth is known: {count}", count=case.count(loss.unknown))
        )
    total = case._(
        "together {time}, {hours} GPU-h = {cost}",
        time=case.wait(loss.lost_ns),
        hours=case.hours(loss.gpu_hours),
        cost=case.money(loss.cost),
    )
    return [*lines, total]


FIGURES: dict[str, Explained] = {
    "waitP50": _wait_p50,
    "waitP95": _wait_p95,
    "waitMax": _wait_max,
    "waiting": _jobs,
    "finished": _jobs,
    "rejected": _rejected,
    "interrupted": _interrupted,
    "slowed": _slowed,
    "overflow": _overflow,
    "overflowGibHours": _overflow,
    "gpuHoursPaid": _paid,
    "gpuHoursHeld": _held,
    "gpuHoursUsed": _used,
    "costMonth": _month,
    "costPeriod": _period,
    "usefulGpuHour": _useful,
    "teams": _teams,
    "idleCost": _teams,
    "networkGpuHours": _network,
    "networkCost": _network,
    "gpus": _gpus,
    "saving": _saving,
}
# What the sentence says about the smallest fleet; every other figure is of the declared fleet.
OF_THE_SMALLEST = frozenset({"gpus", "saving"})


def check_figure(figure: str) -> None:
    """Raise InvalidInput, with all known names, for a figure that there is not."""
    if figure not in FIGURES:
        raise InvalidInput(
            "there is no figure {figure}",
            fix="use --explain with one of: {known}",
            figure=figure,
            known=", ".join(sorted(FIGURES)),
        )


def check_policy(policy: str | None, names: Sequence[str]) -> None:
    """Raise InvalidInput for a policy that is not among those that are replayed."""
    if policy is not None and policy not in names:
        raise InvalidInput(
            "there is no policy {policy} in this replay",
            fix="use one of: {known}",
            policy=policy,
            known=", ".join(names),
        )


def explain(replay: Replay, figure: str, policy: str | None, lang: Language) -> str:
    """The figure's formula with the numbers of `policy` (None: the recommended one) put in."""
    check_figure(figure)
    choice = _choice(replay, figure, policy)
    blocks: dict[str, list[str]] = {}
    for run in choice.runs:
        lines = FIGURES[figure](Case(replay, choice, run, lang))
        blocks.setdefault("\n".join("  " + line for line in lines), []).append(
            slowdown_text(run.slowdown, lang)
        )
    _ = translator(lang)
    head = _("{figure}, policy {policy}", figure=figure, policy=choice.policy)
    if len(blocks) == 1:
        return f"{head}:\n{next(iter(blocks))}\n"
    return "".join(f"{head}, {', '.join(assumed)}:\n{text}\n" for text, assumed in blocks.items())


def _choice(replay: Replay, figure: str, policy: str | None) -> Choice:
    names = [outcome.policy for outcome in replay.outcomes]
    name = choose(replay).policy if policy is None else policy
    check_policy(name, names)
    outcome = replay.outcomes[names.index(name)]
    found = smallest(outcome) if figure in OF_THE_SMALLEST and is_sized(replay) else None
    return found or declared(replay, outcome)

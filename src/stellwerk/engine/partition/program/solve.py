"""Solve a problem: columns until none helps, the integer program, then the second objective."""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import MigProfile, MigTable
from stellwerk.engine.partition.policy import WHOLE
from stellwerk.engine.partition.program.node_methods import replicas_of
from stellwerk.engine.partition.program.packing import SEARCH_LIMIT, Packing, best_packing, worthy_packings
from stellwerk.engine.partition.program.problem import SHARED, Answer, Choice, Problem
from stellwerk.engine.partition.program.shapes import SHARED as SHARED_METHODS
from stellwerk.engine.partition.program.shapes import Pool, profiles_of
from stellwerk.engine.partition.program.solver import INFINITE, Program, Solution

MOST_PROVEN = 120  # Shapes of tenants up to which columns are generated.
MOST_SETTLED = 60  # Shapes of tenants up to which the second objective is worth its time.
PROOF_LIMIT = 600_000  # Steps of a search that is to prove that no column gains.
GAIN = 1e-6  # Below this a column gains nothing.
MOST_STEPS = 3_000_000  # Of all searches together; what is proven by then is the bound.


def solve(problem: Problem) -> Answer:
    """Columns until none helps, then the integer program, then the second objective at the same first one.

    Where more different tenants are asked than can be proven, the columns are those of GPUs filled one after
    another, and there is no bound.
    """
    program, node_limit = problem.program, problem.limits.node_limit
    tenants = sum(bool(SHARED_METHODS & set(shape.methods)) for shape in problem.shapes)
    if tenants > MOST_PROVEN:
        best = program.integral(1)
        return _answer(problem, best.values, round(best.objective), None)
    bound, relaxed = _generate(problem)
    best = program.integral(node_limit)
    complete = not any(choice.packing for choice in problem.choices.values())
    if not complete and _rounded_up(bound) < round(best.objective):
        # Only where no column that is missing gains anything do reduced costs bound a solution.
        converged = bound >= relaxed.objective - 1e-4
        slack = round(best.objective) - 1 - relaxed.objective
        complete = converged and _complete(problem, relaxed, slack)
        if complete:
            best = program.integral(node_limit, start=_padded(best.values, program))
    bound = max(bound, best.bound) if complete else bound
    total = round(best.objective)
    values = best.values if tenants > MOST_SETTLED else _settled(problem, total, best.values)
    return _answer(problem, values, total, min(total, _rounded_up(bound)))


def _settled(problem: Problem, total: int, known: Sequence[float]) -> Sequence[float]:
    """The best by the second objective among those as good by the first."""
    program = problem.program
    costs = list(program.costs)
    row = program.row(-INFINITE, total)
    for column, cost in enumerate(costs):
        if cost:
            program.entries[column][row] = cost
    settled = program.integral(problem.limits.node_limit, _second(problem), known)
    return settled.values if _value(costs, settled.values) == total else known


def _rounded_up(bound: float) -> int:
    """The first objective is a whole number, so a bound may be rounded up."""
    return -int(-(bound - 1e-6) // 1)


def _padded(values: Sequence[float], program: Program) -> list[float]:
    return [*values, *([0.0] * (len(program.costs) - len(values)))]


def _complete(problem: Problem, relaxed: Solution, slack: float) -> bool:
    """Add every column that a better solution could use; False where there are too many of them.

    A solution with a column whose reduced cost is above `slack` is no better than the one that is known.
    """
    worth = [relaxed.duals[row] for row in problem.demand_rows]
    complete = True
    for pool in problem.pools:
        fixed = (1 if pool.unused else 0) - relaxed.duals[problem.pool_rows[pool]]
        for method in problem.packed_methods(pool):
            capacity = problem.capacity(pool, method)
            sets = problem.item_sets(pool, method)
            found = [worthy_packings(items, worth, capacity, fixed - slack) for items in sets]
            complete = complete and None not in found
            for packing in (packing for each in found for packing in each or ()):
                problem.add(Choice(pool=pool, method=method, packing=packing))
    return complete


def _value(costs: Sequence[float], values: Sequence[float]) -> int:
    return round(sum(cost * value for cost, value in zip(costs, values, strict=True)))


def _second(problem: Problem) -> list[float]:
    costs = [0.0] * len(problem.program.costs)
    prices = dict(problem.limits.prices)
    for column, cost in problem.gangs.second().items():
        costs[column] = cost + prices.get(problem.gangs.gpus[column][0].model, 0)
    for column, choice in problem.choices.items():
        costs[column] = choice.second + choice.cost * prices.get(choice.pool.model, 0)
    for column, (at, model, seat) in problem.seats.items():
        table, offered = mig_table(model), profiles_of(problem.shapes[at], model)
        if replicas_of(seat):
            costs[column] = SHARED
        elif table is not None and offered:
            costs[column] = _beyond(table, offered[0], None if seat == WHOLE else table.profile(seat))
    return costs


def _beyond(table: MigTable, least: MigProfile, taken: MigProfile | None) -> int:
    """Slices of memory and of compute that a seat has beyond the smallest that would do; None: the GPU."""
    if taken is None:
        return table.memory_slices - least.size + table.compute_slices - least.compute_slices
    return taken.size - least.size + taken.compute_slices - least.compute_slices


def _generate(problem: Problem) -> tuple[float, Solution]:
    """Add columns while the relaxation gains by one; a bound for every column there is, and the last one."""
    best = -INFINITE
    pairs = [(pool, method) for pool in problem.pools for method in problem.packed_methods(pool)]
    limit, steps = SEARCH_LIMIT, 0
    while True:
        relaxed = problem.program.relaxed()
        priced = [(pair, _price(problem, relaxed, pair, limit)) for pair in pairs]
        gained = [
            problem.add(Choice(pool=pool, method=method, packing=found.packing))
            for (pool, method), columns in priced
            for found in columns
            if found.value > GAIN
        ]
        best = max(best, _bound(problem, relaxed, [(pool, columns[0]) for (pool, _), columns in priced]))
        steps += sum(found.steps for _, columns in priced for found in columns)
        if steps > MOST_STEPS:
            break
        if any(gained):
            limit = SEARCH_LIMIT
        elif limit == SEARCH_LIMIT and best < relaxed.objective - 1e-4:
            limit = PROOF_LIMIT  # A longer search finds a column, or that there is none.
        else:
            break
    return best, relaxed


def _bound(problem: Problem, relaxed: Solution, best: Sequence[tuple[Pool, "_Priced"]]) -> float:
    """What no solution goes below, although columns are missing: the better of two classic bounds.

    Lagrange: each GPU of a pool gains at most what the best missing column gains. Farley: with all duals
    scaled down until no missing column gains, they are feasible, so their value bounds (not where pods are
    drained, since a column may then cost less than nothing).
    """
    gains = [(problem.pools[pool], max(0.0, found.bound)) for pool, found in best]
    lagrange = relaxed.objective - sum(count * gain for count, gain in gains)
    if problem.limits.drain:
        return lagrange
    scale = 1.0
    for pool, found in best:
        cost = 1 if pool.unused else 0
        if found.bound > 1e-9:
            scale = min(scale, cost / (cost + found.bound))
    return max(lagrange, scale * relaxed.objective)


class _Priced(Struct, frozen=True):
    packing: Packing
    value: float  # By how much the relaxation gains a GPU of this packing.
    bound: float
    steps: int = 0


def _price(problem: Problem, relaxed: Solution, pair: tuple[Pool, str], limit: int) -> list[_Priced]:
    """The packing that gains most, then the best of the other shapes, and so on: many columns a round.

    The first of the list has the highest bound.
    """
    pool, method = pair
    capacity = problem.capacity(pool, method)
    worth = [relaxed.duals[row] for row in problem.demand_rows]
    fixed = (1 if pool.unused else 0) - relaxed.duals[problem.pool_rows[pool]]
    priced = [_Priced((), -fixed, -fixed)]
    for items in problem.item_sets(pool, method):
        while items:
            found = best_packing(items, worth, capacity, limit)
            priced.append(_Priced(found.packing, found.value - fixed, found.bound - fixed, found.steps))
            taken = {position for position, _ in found.packing}
            items = [item for item in items if item.position not in taken]
            if priced[-1].value <= GAIN:
                break
    return sorted(priced, key=lambda each: (-each.bound, each.packing))


def _answer(problem: Problem, values: Sequence[float], objective: int, bound: int | None) -> Answer:
    return Answer(
        tuple((choice, int(values[at])) for at, choice in problem.choices.items() if values[at] > 0.5),
        tuple((*node, int(values[at])) for at, node in problem.nodes.items() if values[at] > 0.5),
        tuple((*seat, int(values[at])) for at, seat in problem.seats.items() if values[at] > 0.5),
        tuple((*gang, int(values[at])) for at, gang in problem.gangs.pods.items() if values[at] > 0.5),
        tuple((*taken, int(values[at])) for at, taken in problem.gangs.gpus.items() if values[at] > 0.5),
        tuple((shape, int(values[at])) for at, shape in problem.slack.items() if values[at] > 0.5),
        objective,
        bound,
    )

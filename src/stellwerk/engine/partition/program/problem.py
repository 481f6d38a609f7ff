"""The integer program over patterns: which pattern each GPU gets, and which seat each pod.

Gilmore and Gomory's cutting-stock form: a column is all that one GPU of a pool gives (a maximal MIG pattern,
a whole GPU, a set of tenants), so that no placement is left to the solver. MIG patterns are enumerated; sets
of tenants are generated from the relaxation's duals. First objective: unserved pods (each weighs more than
all GPUs), then GPUs in use. Second: pods that move, weaker isolation, idle instances destroyed, slices beyond
need.
"""

from collections.abc import Sequence

from msgspec import Struct

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigTable
from stellwerk.engine.partition.inventory import Limits
from stellwerk.engine.partition.layouts import patterns
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.partition.program.node_methods import PLAIN, NodeClass, holds, replicas_of
from stellwerk.engine.partition.program.packing import (
    Capacity,
    Item,
    Packing,
    best_packing,
    first_fit,
    worthy_packings,
)
from stellwerk.engine.partition.program.shapes import Pool, Shape, capacity_of, profiles_of, takes_whole
from stellwerk.engine.partition.program.solver import INFINITE, Program, Solution

MOST_ROUNDS = 400  # Of column generation; each adds a column for every pool that gains by one.
MOVED, SHARED, DESTROYED = 1000, 10, 10  # Weights of the second objective.


class Choice(Struct, frozen=True, kw_only=True):
    """What one GPU of `pool` gives: `seats` are profiles (or "whole") with their count, `packing` tenants.

    `drained` are instances whose pods move away first. `node_method`: only on a node that is shared so.
    """

    pool: Pool
    method: str = ""
    seats: tuple[tuple[str, int], ...] = ()
    packing: Packing = ()
    drained: tuple[Instance, ...] = ()
    node_method: str = ""

    @property
    def cost(self) -> int:
        """GPUs in use more than today."""
        if self.pool.unused:
            return 1
        return -1 if not self.method and len(self.drained) == len(self.pool.kept) else 0

    @property
    def second(self) -> int:
        """What it costs beyond GPUs: pods moved, tenants without isolation, idle instances destroyed."""
        counts = dict(self.seats)
        idle: dict[str, int] = {}
        for instance in self.pool.idle:
            idle[instance.profile.name] = idle.get(instance.profile.name, 0) + 1
        destroyed = sum(max(0, count - counts.get(name, 0)) for name, count in idle.items())
        tenants = sum(count for _, count in self.packing)
        return MOVED * len(self.drained) + SHARED * tenants + DESTROYED * destroyed


class Answer(Struct, frozen=True):
    """Solved: GPUs by choice, nodes by (class, method), pods by (shape, model, seat), and bounds."""

    choices: tuple[tuple[Choice, int], ...]
    nodes: tuple[tuple[str, str, int], ...]
    seated: tuple[tuple[int, str, str, int], ...]
    unserved: tuple[tuple[int, int], ...]
    objective: int
    bound: int


class Problem:
    """Shapes with their number of pods, pools with their number of GPUs, and the program over both."""

    def __init__(
        self,
        shapes: dict[Shape, int],
        pools: dict[Pool, int],
        limits: Limits,
        classes: tuple[NodeClass, ...] = (),
    ) -> None:
        self.shapes, self.counts = list(shapes), list(shapes.values())
        self.pools, self.limits, self.classes = pools, limits, classes
        self.nodes: dict[int, tuple[str, str]] = {}
        self._node_rows: dict[tuple[Pool, str], int] = {}
        self.program = Program()
        self.choices: dict[int, Choice] = {}
        self.seats: dict[int, tuple[int, str, str]] = {}
        self.slack: dict[int, int] = {}
        self.weight = sum(pools.values()) + 1
        self._seat_rows: dict[tuple[str, str], int] = {}
        self._known: set[Choice] = set()
        self.demand_rows = [self.program.row(count, count) for count in self.counts]
        self.pool_rows = {pool: self.program.row(0, count) for pool, count in pools.items()}
        self._build()

    def _build(self) -> None:
        for at, shape in enumerate(self.shapes):
            if not shape.moved:  # Who runs now is not sent away for another one's sake.
                self.slack[self.program.column(self.weight, INFINITE, {self.demand_rows[at]: 1})] = at
        for each in self.classes:
            self._add_class(each)
        for pool in self.pools:
            for choice in self._fixed_choices(pool):
                self.add(choice)
        for model in sorted({pool.model for pool in self.pools}):
            for at, shape in enumerate(self.shapes):
                for seat in self._seats_of(shape, model):
                    if (model, seat) in self._seat_rows:
                        rows = {self.demand_rows[at]: 1.0, self._seat_rows[model, seat]: -1.0}
                        self.seats[self.program.column(0, self.counts[at] or INFINITE, rows)] = (
                            at,
                            model,
                            seat,
                        )
        for pool in self.pools:
            for method in self.packed_methods(pool):
                items, capacity = self.items(method), self.capacity(pool, method)
                packings = first_fit(items, capacity)
                packings += [((item.position, 1),) for item in items if _alone(item, capacity)]
                for packing in packings:
                    self.add(Choice(pool=pool, method=method, packing=packing))

    def _add_class(self, each: NodeClass) -> None:
        """One column for each method of the class: how many of its nodes have it."""
        row = self.program.row(0, len(each.nodes))
        for method in each.methods:
            rows: dict[int, float] = {row: 1}
            for pool, count in each.per_node:
                self._node_rows[pool, method] = self.program.row(-INFINITE, 0)
                rows[self._node_rows[pool, method]] = -count
            self.nodes[self.program.column(0, len(each.nodes), rows)] = each.name, method

    def _replicas(self, pool: Pool) -> list[Choice]:
        """The device plugin's replicas: each GPU of a node that is shared so has the same number."""
        found: list[Choice] = []
        for each in self.classes:
            for seat in each.methods if each.name == pool.node else ():
                named = replicas_of(seat)
                if named is None or pool.kept or pool.method not in ("", named[0]):
                    continue
                taken = pool.room.tenants if pool.method and pool.room else named[1]
                count = min(named[1], taken)
                if count:
                    found.append(Choice(pool=pool, method=named[0], seats=((seat, count),), node_method=seat))
        return found

    def _fixed_choices(self, pool: Pool) -> list[Choice]:
        """The columns that are known beforehand: the whole GPU, and each MIG pattern."""
        plain = PLAIN if self.classes else ""
        found: list[Choice] = self._replicas(pool)
        if pool.unused and any(takes_whole(shape, pool.model) for shape in self.shapes):
            found.append(Choice(pool=pool, method=WHOLE, seats=((WHOLE, 1),), node_method=plain))
        table = mig_table(pool.model)
        if table is None or pool.method:
            return found
        wanted = {p.name for shape in self.shapes for p in profiles_of(shape, pool.model)}
        found += [
            Choice(pool=pool, method=MIG, seats=seats, node_method=plain)
            for seats in _useful(table, pool.kept, wanted)
        ]
        for drained in _drains(pool) if self.limits.drain else ():
            kept = tuple(instance for instance in pool.kept if instance not in drained)
            for seats in _useful(table, kept, wanted):
                found.append(Choice(pool=pool, method=MIG, seats=seats, drained=drained, node_method=plain))
            if not kept:
                found.append(Choice(pool=pool, drained=drained, node_method=plain))
        return found

    def _seats_of(self, shape: Shape, model: str) -> list[str]:
        names = [profile.name for profile in profiles_of(shape, model)]
        names += [seat for on, seat in self._seat_rows if on == model and holds(seat, shape, model)]
        return [*names, WHOLE] if takes_whole(shape, model) and shape.gpus == 1 else names

    def add(self, choice: Choice) -> bool:
        """A column for the choice; False if it is there already."""
        if choice in self._known:
            return False
        self._known.add(choice)
        rows: dict[int, float] = {self.pool_rows[choice.pool]: 1}
        if choice.node_method:
            if (choice.pool, choice.node_method) not in self._node_rows:
                return False
            rows[self._node_rows[choice.pool, choice.node_method]] = 1
        for seat, count in choice.seats:
            key = (choice.pool.model, seat)
            if key not in self._seat_rows:
                self._seat_rows[key] = self.program.row(0, INFINITE)
            rows[self._seat_rows[key]] = count
        for at, count in choice.packing:
            rows[self.demand_rows[at]] = count
        for instance in choice.drained:
            row = self.demand_rows[self.shapes.index(moved_shape(instance))]
            rows[row] = rows.get(row, 0) - 1
        self.choices[self.program.column(choice.cost, self.pools[choice.pool], rows)] = choice
        return True

    def packed_methods(self, pool: Pool) -> tuple[str, ...]:
        """The methods by which tenants may be put together in this pool."""
        if self.classes:
            return ()  # Replicas are seats there.
        if pool.method:
            return (pool.method,)
        if pool.kept:
            return ()
        used = {method for shape in self.shapes for method in shape.methods}
        return tuple(method for method in (MPS, TIME_SLICING) if method in used)

    def items(self, method: str) -> list[Item]:
        """The shapes that this method may serve."""
        return [
            Item(at, shape.memory_bytes or 0, shape.compute_milli or 0, self.counts[at])
            for at, shape in enumerate(self.shapes)
            if method in shape.methods and shape.known and shape.gpus == 1 and self.counts[at]
        ]

    def capacity(self, pool: Pool, method: str) -> Capacity:
        """What a GPU of the pool offers to the method's tenants."""
        if pool.method and pool.room is not None:
            return pool.room
        return capacity_of(pool.model, method, self.limits.replicas)


def _useful(
    table: MigTable, kept: tuple[Instance, ...], wanted: set[str]
) -> list[tuple[tuple[str, int], ...]]:
    """The maximal patterns, cut down to the profiles that anybody could use; without doubles."""

    found = {tuple((name, n) for name, n in seats if name in wanted) for seats in patterns(table, kept)}
    return sorted(
        seats
        for seats in found
        if seats and not any(_covers(other, seats) for other in found if other != seats)
    )


def _covers(large: tuple[tuple[str, int], ...], small: tuple[tuple[str, int], ...]) -> bool:
    counts = dict(large)
    return all(count <= counts.get(name, 0) for name, count in small)


def _drains(pool: Pool) -> list[tuple[Instance, ...]]:
    """Which pods may be moved from a GPU: each alone, and all of them."""
    alone = [(instance,) for instance in pool.kept]
    return [*alone, pool.kept] if len(pool.kept) > 1 else list(alone)


def moved_shape(instance: Instance) -> Shape:
    """What a moved pod asks for: the profile that it has."""
    return Shape(profile=instance.profile.name, methods=(MIG,), moved=True)


def _alone(item: Item, capacity: Capacity) -> bool:
    return item.memory_bytes <= capacity.memory_bytes and item.compute_milli <= capacity.compute_milli


def solve(problem: Problem) -> Answer:
    """Columns until none helps, then the integer program, then the second objective at the same first one."""
    bound, relaxed = _generate(problem)
    program, node_limit = problem.program, problem.limits.node_limit
    best = program.integral(node_limit)
    complete = not any(choice.packing for choice in problem.choices.values())
    if not complete and _rounded_up(bound) < best.objective:
        complete = _complete(problem, relaxed, round(best.objective) - 1 - relaxed.objective)
        best = program.integral(node_limit, start=_padded(best.values, program))
    bound = max(bound, best.bound) if complete else bound
    total = round(best.objective)
    costs = list(program.costs)
    row = program.row(-INFINITE, total)
    for column, cost in enumerate(costs):
        if cost:
            program.entries[column][row] = cost
    settled = program.integral(node_limit, _second(problem), best.values)
    values = settled.values if _value(costs, settled.values) == total else best.values
    return _answer(problem, values, total, min(total, _rounded_up(bound)))


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
            items, capacity = problem.items(method), problem.capacity(pool, method)
            found = worthy_packings(items, worth, capacity, fixed - slack)
            complete = complete and found is not None
            for packing in found or ():
                problem.add(Choice(pool=pool, method=method, packing=packing))
    return complete


def _value(costs: Sequence[float], values: Sequence[float]) -> int:
    return round(sum(cost * value for cost, value in zip(costs, values, strict=True)))


def _second(problem: Problem) -> list[float]:
    costs = [0.0] * len(problem.program.costs)
    for column, choice in problem.choices.items():
        costs[column] = choice.second
    for column, (at, model, seat) in problem.seats.items():
        table, offered = mig_table(model), profiles_of(problem.shapes[at], model)
        if replicas_of(seat):
            costs[column] = SHARED
        elif table is not None and offered:
            size = table.memory_slices if seat == WHOLE else next(p.size for p in offered if p.name == seat)
            costs[column] = size - offered[0].size
    return costs


def _generate(problem: Problem) -> tuple[float, Solution]:
    """Add columns while the relaxation gains by one; a bound for every column there is, and the last one."""
    best = -INFINITE
    for _ in range(MOST_ROUNDS):
        relaxed = problem.program.relaxed()
        gained, slack = False, 0.0
        for pool, count in problem.pools.items():
            for method in problem.packed_methods(pool):
                priced = _price(problem, relaxed, pool, method)
                slack += count * max(0.0, priced[0].bound)
                for found in priced:
                    if found.value > 1e-6:
                        gained |= problem.add(Choice(pool=pool, method=method, packing=found.packing))
        # Lagrange: no column not yet there can gain more than `slack` in all.
        best = max(best, relaxed.bound - slack)
        if not gained:
            break
    return best, relaxed


class _Priced(Struct, frozen=True):
    packing: Packing
    value: float  # By how much the relaxation gains a GPU of this packing.
    bound: float


def _price(problem: Problem, relaxed: Solution, pool: Pool, method: str) -> list[_Priced]:
    """The packing that gains most, then the best of the other shapes, and so on: many columns a round."""
    items, capacity = problem.items(method), problem.capacity(pool, method)
    worth = [relaxed.duals[row] for row in problem.demand_rows]
    fixed = (1 if pool.unused else 0) - relaxed.duals[problem.pool_rows[pool]]
    priced: list[_Priced] = []
    while not priced or (items and priced[-1].value > 1e-6):
        found = best_packing(items, worth, capacity)
        priced.append(_Priced(found.packing, found.value - fixed, found.bound - fixed))
        taken = {position for position, _ in found.packing}
        items = [item for item in items if item.position not in taken]
    return priced


def _answer(problem: Problem, values: Sequence[float], objective: int, bound: int) -> Answer:
    return Answer(
        tuple((choice, int(values[at])) for at, choice in problem.choices.items() if values[at] > 0.5),
        tuple((*node, int(values[at])) for at, node in problem.nodes.items() if values[at] > 0.5),
        tuple((*seat, int(values[at])) for at, seat in problem.seats.items() if values[at] > 0.5),
        tuple((shape, int(values[at])) for at, shape in problem.slack.items() if values[at] > 0.5),
        objective,
        bound,
    )

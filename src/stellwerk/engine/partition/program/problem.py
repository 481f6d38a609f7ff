"""The integer program over patterns: which pattern each GPU gets, and which seat each pod.

Gilmore and Gomory's cutting-stock form: a column is all that one GPU of a pool gives (a maximal MIG pattern,
a whole GPU, a set of tenants), so that no placement is left to the solver. MIG patterns are enumerated; sets
of tenants are generated from the relaxation's duals. First objective: unserved pods (each weighs more than
all GPUs), then GPUs in use. Second: pods that move, weaker isolation, idle instances destroyed, slices beyond
need.
"""

from msgspec import Struct

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigTable
from stellwerk.engine.partition.inventory import Limits
from stellwerk.engine.partition.layouts import patterns
from stellwerk.engine.partition.policy import MIG, MPS, TIME_SLICING, WHOLE
from stellwerk.engine.partition.program.gangs import Gangs, Place, Room
from stellwerk.engine.partition.program.node_methods import PLAIN, NodeClass, holds, replicas_of
from stellwerk.engine.partition.program.packing import (
    Capacity,
    Item,
    Packing,
    filled,
)
from stellwerk.engine.partition.program.shapes import Pool, Shape, capacity_of, profiles_of, takes_whole
from stellwerk.engine.partition.program.solver import INFINITE, Program

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
    gangs: tuple[tuple[int, Place, int], ...]
    reserved: tuple[tuple[Place, Pool, int], ...]
    unserved: tuple[tuple[int, int], ...]
    objective: int
    bound: int | None  # None: too large to be proven.


class Problem:
    """Shapes with their number of pods, pools with their number of GPUs, and the program over both."""

    def __init__(
        self,
        shapes: dict[Shape, int],
        pools: dict[Pool, int],
        limits: Limits,
        classes: tuple[NodeClass, ...] = (),
        room: Room | None = None,
    ) -> None:
        self.shapes, self.counts = list(shapes), list(shapes.values())
        self.pools, self.limits, self.classes = pools, limits, classes
        self.nodes: dict[int, tuple[str, str]] = {}
        self.gangs = Gangs(room or {})
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
        self.gangs.build(self.program, self.shapes, self.demand_rows, self.pool_rows)
        for pool in self.pools:
            for choice in self._fixed_choices(pool):
                self.add(choice)
        for model in sorted({pool.model for pool in self.pools}):
            for at, shape in enumerate(self.shapes):
                self._add_seats(at, shape, model)
        for pool in self.pools:
            for method in self.packed_methods(pool):
                self._add_packings(pool, method)

    def _add_seats(self, at: int, shape: Shape, model: str) -> None:
        """A column for each seat of the model that the shape could take."""
        for seat in self._seats_of(shape, model):
            if (model, seat) in self._seat_rows:
                rows = {self.demand_rows[at]: 1.0, self._seat_rows[model, seat]: -1.0}
                column = self.program.column(0, self.counts[at] or INFINITE, rows)
                self.seats[column] = at, model, seat

    def _add_packings(self, pool: Pool, method: str) -> None:
        """The first sets of tenants: GPUs filled one after another, and each shape alone."""
        capacity = self.capacity(pool, method)
        for items in self.item_sets(pool, method):
            packings = filled(items, capacity)
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
                if pool.method and pool.replicas != named[1]:
                    continue
                count = named[1] - pool.taken
                if count > 0:
                    found.append(Choice(pool=pool, method=named[0], seats=((seat, count),), node_method=seat))
        return found

    def _fixed_choices(self, pool: Pool) -> list[Choice]:
        """The columns that are known beforehand: the whole GPU, and each MIG pattern."""
        plain = PLAIN if self.classes else ""
        found: list[Choice] = self._replicas(pool)
        if pool.unused and any(takes_whole(s, pool.model) and s.gpus == 1 for s in self.shapes):
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
                found.append(
                    Choice(pool=pool, method=WHOLE, seats=((WHOLE, 1),), drained=drained, node_method=plain)
                )
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
        # The pool's row bounds it: a bound of its own would hide what the column gains.
        self.choices[self.program.column(choice.cost, INFINITE, rows)] = choice
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

    def item_sets(self, pool: Pool, method: str) -> list[list[Item]]:
        """The shapes that may share a GPU of the pool by this method: those of each namespace."""
        found: dict[str, list[Item]] = {}
        for at, shape in enumerate(self.shapes):
            if method not in shape.methods or not shape.known or shape.gpus > 1 or not self.counts[at]:
                continue
            if pool.method and pool.namespace != shape.namespace:
                continue
            item = Item(at, shape.memory_bytes or 0, shape.compute_milli or 0, self.counts[at])
            found.setdefault(shape.namespace, []).append(item)
        return [found[namespace] for namespace in sorted(found)]

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

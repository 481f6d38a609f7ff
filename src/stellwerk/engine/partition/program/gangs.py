"""Pods with several GPUs in the program: whole GPUs of one node and one model, under DRA.

For each node a row ties what its gangs take to the GPUs that they take from its pools.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from stellwerk.engine.partition.inventory import Gpu
from stellwerk.engine.partition.program.shapes import Pool, Shape, takes_whole
from stellwerk.engine.partition.program.solver import Program

DESTROYED = 10  # The second objective's weight of an idle instance.


class Place(Struct, frozen=True):
    """GPUs of one model on one node."""

    node: str
    model: str


Room = Mapping[Place, Mapping[Pool, int]]  # Unused GPUs by place and pool.


def gang_room(gpus: Sequence[Gpu], pools: Mapping[Pool, Sequence[int]]) -> dict[Place, dict[Pool, int]]:
    """The GPUs with nobody on them, by node and model."""
    found: dict[Place, dict[Pool, int]] = {}
    for pool, positions in pools.items():
        for at in positions if pool.unused else ():
            counts = found.setdefault(Place(gpus[at].node, gpus[at].model), {})
            counts[pool] = counts.get(pool, 0) + 1
    return found


class Gangs:
    """The columns of gangs: how many pods of a shape at a place, and what that takes from each pool."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.pods: dict[int, tuple[int, Place]] = {}
        self.gpus: dict[int, tuple[Place, Pool]] = {}

    def build(
        self, program: Program, shapes: Sequence[Shape], rows: Sequence[int], pool_rows: Mapping[Pool, int]
    ) -> None:
        """Add them; `rows` are the shapes' demand rows."""
        gangs = [(at, shape) for at, shape in enumerate(shapes) if shape.gpus > 1]
        for place, counts in self.room.items() if gangs else ():
            fitting = [
                (at, shape)
                for at, shape in gangs
                if shape.gpus <= sum(counts.values()) and takes_whole(shape, place.model)
            ]
            if not fitting:
                continue
            taken = program.row(0, 0)
            for at, shape in fitting:
                most = sum(counts.values()) // shape.gpus
                self.pods[program.column(0, most, {rows[at]: 1, taken: shape.gpus})] = at, place
            for pool, count in counts.items():
                self.gpus[program.column(1, count, {taken: -1, pool_rows[pool]: 1})] = place, pool

    def second(self) -> dict[int, float]:
        """The second objective by column: idle instances of the GPUs taken are destroyed."""
        return {column: DESTROYED * len(pool.idle) for column, (_, pool) in self.gpus.items()}

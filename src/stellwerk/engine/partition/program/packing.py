"""Tenants that share one GPU's memory and compute (MPS, time-slicing): which sets of them fit.

Vector packing in two dimensions with a limit on tenants. A set is counted by shape: (position, count) pairs.
"""

from collections.abc import Sequence

from msgspec import Struct

Packing = tuple[tuple[int, int], ...]  # (position of the shape, how many of it), by position.
MOST_PACKINGS = 4_000
MEMORY_WEIGHTS = (1.0, 0.85, 0.7, 0.5, 0.3, 0.15, 0.0)  # Compute has the rest.
SEARCH_LIMIT = 30_000  # Steps of one search; past that its bound, not its optimum, is what counts.


class Capacity(Struct, frozen=True):
    """What a GPU has left for tenants: bytes, milli-GPU, and how many."""

    memory_bytes: int
    compute_milli: int
    tenants: int


class Item(Struct, frozen=True):
    """A shape of pods: what one takes, how many there are, and its place among the shapes."""

    position: int
    memory_bytes: int
    compute_milli: int
    count: int


class Found(Struct, frozen=True):
    """The best packing found, its value, what no packing exceeds, and how many steps it took."""

    packing: Packing
    value: float
    bound: float
    steps: int = 0


def filled(items: Sequence[Item], capacity: Capacity) -> list[Packing]:
    """Packings that together hold every pod that fits at all, one GPU filled after another.

    Next comes the pod that takes most of what there is most of: the dot product of need and room, each kind
    weighed by how much of it all pods want (Panigrahy et al., Heuristics for Vector Bin Packing, 2011).
    """
    counts = {item.position: item.count for item in items if _fits(item, _left(capacity))}
    known = {item.position: item for item in items}
    packings: list[Packing] = []
    while counts:
        memory = sum(known[at].memory_bytes * count for at, count in counts.items())
        compute = sum(known[at].compute_milli * count for at, count in counts.items())
        weights = memory / capacity.memory_bytes**3, compute / capacity.compute_milli**3
        left, held = _left(capacity), dict[int, int]()
        while fitting := [at for at in counts if _fits(known[at], left)]:
            by_memory, by_compute = weights[0] * left[0], weights[1] * left[1]
            best = max(
                fitting,
                key=lambda at, m=by_memory, c=by_compute: (  # type: ignore[misc]
                    known[at].memory_bytes * m + known[at].compute_milli * c,
                    -at,
                ),
            )
            left = _without(left, known[best], 1)
            held[best] = held.get(best, 0) + 1
            counts[best] -= 1
            if not counts[best]:
                del counts[best]
        packings.append(tuple(sorted(held.items())))
    return packings


def _fits(item: Item, left: Sequence[int]) -> bool:
    return item.memory_bytes <= left[0] and item.compute_milli <= left[1] and left[2] >= 1


def best_packing(
    items: Sequence[Item], worth: Sequence[float], capacity: Capacity, limit: int = SEARCH_LIMIT
) -> Found:
    """The packing of the highest worth (by the shape's position): branch and bound, densest shape first.

    Where the search runs into its `limit` of steps, `bound` is that of what was not searched.
    """
    search = _search(items, worth, capacity)
    search.limit = limit
    search.go(0, search.full, 0.0, ())
    return Found(search.best, search.value, max(search.value, search.unsearched), search.steps)


def worthy_packings(
    items: Sequence[Item], worth: Sequence[float], capacity: Capacity, floor: float
) -> list[Packing] | None:
    """Every packing worth at least `floor`; None where there are more than `MOST_PACKINGS`."""
    search = _search([item for item in items if item.count], worth, capacity)
    search.floor = floor
    search.go(0, search.full, 0.0, ())
    return None if search.overrun else search.found


def _search(items: Sequence[Item], worth: Sequence[float], capacity: Capacity) -> "_Search":
    """A search whose bound weighs memory and compute in the way that bounds best at its start.

    Any weights that add up to 1 give a bound: what fits in both fits in their mean.
    """
    fitting = [item for item in items if _fits(item, _left(capacity))]
    searches = [_Search(fitting, worth, capacity, memory) for memory in MEMORY_WEIGHTS]
    return min(searches, key=lambda search: search.bound(0, search.full))


def _left(capacity: Capacity) -> tuple[int, int, int]:
    return capacity.memory_bytes, capacity.compute_milli, capacity.tenants


class _Search:
    """The state of one search: the best so far, the steps taken, and the bound of what was cut short."""

    def __init__(
        self, items: Sequence[Item], worth: Sequence[float], capacity: Capacity, memory: float
    ) -> None:
        self.full = _left(capacity)
        self.by_memory = memory / max(1, capacity.memory_bytes)
        self.by_compute = (1 - memory) / max(1, capacity.compute_milli)
        weights = {
            i.position: i.memory_bytes * self.by_memory + i.compute_milli * self.by_compute for i in items
        }
        ordered = sorted(
            items, key=lambda i: (-worth[i.position] / (weights[i.position] or 1e-12), i.position)
        )
        self.items = ordered
        self.rows = [(weights[i.position], worth[i.position], i.count) for i in ordered]
        self.best: Packing = ()
        self.value = self.unsearched = 0.0
        self.steps, self.limit = 0, SEARCH_LIMIT
        self.floor: float | None = None  # Set: all packings worth that are wanted, not only the best.
        self.found: list[Packing] = []
        self.overrun = False

    def go(self, first: int, left: tuple[int, int, int], value: float, chosen: Packing) -> None:
        """Try every next shape from `first` on; what is passed over is not taken at all."""
        if self.floor is not None and value >= self.floor - 1e-9 and chosen:
            self.found.append(tuple(sorted(chosen)))
        if value > self.value + 1e-9:
            self.value, self.best = value, tuple(sorted(chosen))
        for at in range(first, len(self.items) if left[2] else 0):
            item, worth = self.items[at], self.rows[at][1]
            self.steps += 1
            most = _most(item, left)
            if not most or (self.floor is None and worth <= 1e-9):
                continue
            bound = value + self.bound(at, left)
            if bound <= self.value + 1e-9 if self.floor is None else bound < self.floor - 1e-9:
                return
            if self.steps > self.limit or len(self.found) > MOST_PACKINGS:
                self.unsearched, self.overrun = max(self.unsearched, bound), True
                return
            for count in range(most, 0, -1):
                more = (*chosen, (item.position, count))
                self.go(at + 1, _without(left, item, count), value + count * worth, more)

    def bound(self, at: int, left: tuple[int, int, int]) -> float:
        """The fractional knapsack's value: densest first until the weight, or the seats, are used up."""
        room, value, seats = left[0] * self.by_memory + left[1] * self.by_compute, 0.0, left[2]
        for weight, worth, count in self.rows[at:] if at else self.rows:
            if worth <= 0:
                break
            take = count if count < seats else seats
            if weight * take >= room:
                return value + (worth * room / weight if weight else 0.0)
            room -= weight * take
            value += worth * take
        return value


def _most(item: Item, left: tuple[int, int, int]) -> int:
    if item.memory_bytes > left[0] or item.compute_milli > left[1]:
        return 0
    most = item.count if item.count < left[2] else left[2]
    if item.memory_bytes:
        most = min(most, left[0] // item.memory_bytes)
    if item.compute_milli:
        most = min(most, left[1] // item.compute_milli)
    return most


def _without(left: tuple[int, int, int], item: Item, count: int) -> tuple[int, int, int]:
    return left[0] - count * item.memory_bytes, left[1] - count * item.compute_milli, left[2] - count

"""What the pictures show: use and queue over time, and the fleet's slices at the busiest moment."""

from collections.abc import Iterable

from stellwerk.engine.partition.policy import MIG, TIME_SLICING
from stellwerk.engine.placement.place import Grant
from stellwerk.engine.snapshot import Fleet
from stellwerk.sim.ledger import Ledger, Stay
from stellwerk.sim.result import Sample, Slice, SliceMap

BUCKETS = 240


def samples(ledger: Ledger, period_ns: int) -> tuple[Sample, ...]:
    """Averages over 240 equal stretches of the period (fewer when it has fewer nanoseconds)."""
    count = min(BUCKETS, period_ns)
    edges = [period_ns * i // count for i in range(count + 1)]
    held = _spread(((s.start_ns, s.end_ns, s.held_milli_ns) for s in ledger.stays), edges)
    used = _spread(((s.start_ns, s.end_ns, s.useful_milli_ns) for s in ledger.stays), edges)
    waiting = _spread(((start, end, 1000 * (end - start)) for start, end in ledger.waits), edges)
    return tuple(
        Sample(
            start_ns=edges[i],
            held_milli=held[i] // (edges[i + 1] - edges[i]),
            used_milli=used[i] // (edges[i + 1] - edges[i]),
            waiting_milli=waiting[i] // (edges[i + 1] - edges[i]),
        )
        for i in range(count)
    )


def _spread(stretches: Iterable[tuple[int, int, int]], edges: list[int]) -> list[int]:
    """Deal each stretch's amount (start, end, amount) evenly over the buckets that it touches."""
    count, period = len(edges) - 1, edges[-1]
    sums = [0] * count
    for start, end, amount in stretches:
        if end == start:
            continue
        bucket = start * count // period
        while bucket and edges[bucket] > start:
            bucket -= 1
        while edges[bucket + 1] <= start:
            bucket += 1
        while bucket < count and edges[bucket] < end:
            overlap = min(end, edges[bucket + 1]) - max(start, edges[bucket])
            sums[bucket] += amount * overlap // (end - start)
            bucket += 1
    return sums


def busiest(ledger: Ledger, fleet: Fleet) -> SliceMap:
    """The slices at the first moment at which most jobs held GPUs."""
    changes = [(stay.start_ns, 1) for stay in ledger.stays if stay.end_ns > stay.start_ns]
    changes += [(stay.end_ns, -1) for stay in ledger.stays if stay.end_ns > stay.start_ns]
    at = most = running = 0
    for time, change in sorted(changes):
        running += change
        if running > most:
            at, most = time, running
    now = [stay for stay in ledger.stays if stay.start_ns <= at < stay.end_ns]
    return SliceMap(at_ns=at, slices=tuple(_slices(now, fleet)))


def _slices(stays: list[Stay], fleet: Fleet) -> Iterable[Slice]:
    """Tenants of each GPU side by side, in order of coming; a MIG instance lies where it was cut."""
    places = [(node.name, index) for node in fleet.nodes for index in range(node.gpus)]
    tenants: dict[int, list[tuple[Stay, Grant]]] = {}
    for stay in sorted(stays, key=lambda stay: (stay.start_ns, stay.job.name)):
        for grant in stay.grants:
            tenants.setdefault(grant.gpu, []).append((stay, grant))
    for gpu in sorted(tenants):
        filled = 0
        for stay, grant in tenants[gpu]:
            size = 1000 // len(tenants[gpu]) if grant.method == TIME_SLICING else grant.held_milli
            start = grant.start_milli if grant.method == MIG else filled
            filled += size
            node, index = places[gpu]
            yield Slice(
                node=node,
                gpu=index,
                start_milli=start,
                size_milli=size,
                method=grant.method,
                label=grant.profile.name if grant.profile else "",
                job=stay.job.name,
                team=stay.job.team,
            )

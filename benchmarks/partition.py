"""`python -m benchmarks.partition [--picture FILE.svg]`: partitions beside the optimum and first fit.

1. Online: MIG instances asked one after another, never moved. Ours (`online_place`) beside first fit, as
   Kubernetes' DRA allocator does it, and, where nobody leaves, beside the proven optimum of all at once.
2. openb: the trace's pods as MIG profiles (GPU share -> compute slices and memory), with arrivals and
   ends: the most GPUs in use at once, over all 149 days.
3. 1,000 GPUs, half of them with instances in use at random placements, 4,000 requests: time to a proven
   optimum.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from msgspec.structs import replace

from stellwerk.engine.partition.facts import mig_table
from stellwerk.engine.partition.geometry import Instance, MigProfile, MigTable, slice_mask
from stellwerk.engine.partition.inventory import Gpu, GpuInstance, PartitionRequest
from stellwerk.engine.partition.layouts import Room
from stellwerk.engine.partition.online import OnlinePlace, first_fit, online_place
from stellwerk.engine.partition.plan import plan_partition
from stellwerk.sim.demand.load import DemandOptions, load_demand

MODEL = "H100-SXM5-80GB"
DEMANDS = 1_000
PLACES: dict[str, OnlinePlace] = {"first fit": first_fit, "stellwerk": online_place}


@cache
def plain() -> MigTable:
    """The profiles without media engines."""
    table = mig_table(MODEL)
    assert table is not None
    return replace(table, profiles=tuple(profile for profile in table.profiles if not profile.variant))


def demand_of(seed: int) -> list[MigProfile]:
    """20 to 200 instances of a random mix."""
    rng = random.Random(seed)
    weights = [rng.random() for _ in plain().profiles]
    return rng.choices(plain().profiles, weights, k=rng.randint(20, 200))


def most_in_use(place: OnlinePlace, events: Sequence[tuple[int, int, int, MigProfile]]) -> int:
    """The most GPUs in use at once, from (time, 0 end | 1 begin, who, profile)."""
    used: list[int] = []
    where: dict[int, tuple[int, int]] = {}
    most = 0
    for _, begins, who, profile in sorted(events, key=lambda event: event[:3]):
        if not begins:
            gpu, mask = where.pop(who)
            used[gpu] &= ~mask
            continue
        found = place(plain(), used, profile)
        if found is None:
            used.append(0)
            found = place(plain(), used, profile)
        assert found is not None, "an empty GPU has room for every profile"
        mask = slice_mask(found[1], profile.size)
        used[found[0]] |= mask
        where[who] = found[0], mask
        most = max(most, sum(1 for gpu in used if gpu))
    return most


def staying(seed: int) -> list[tuple[int, int, int, MigProfile]]:
    """The demand as events; nobody leaves."""
    return [(at, 1, at, profile) for at, profile in enumerate(demand_of(seed))]


def coming_and_going(seed: int) -> list[tuple[int, int, int, MigProfile]]:
    """The same, each for 20 to 150 arrivals."""
    rng, events = random.Random(seed), staying(seed)
    return events + [(at + rng.randint(20, 150), 0, who, profile) for at, _, who, profile in events]


def optimum(profiles: Sequence[MigProfile]) -> int:
    """The fewest GPUs for all of them at once, proven."""
    counts = Counter(profile.name for profile in profiles)
    requests = [
        PartitionRequest(name=name, pods=count, profile=name) for name, count in sorted(counts.items())
    ]
    plan = plan_partition(
        [Gpu(node="n", index=index, model=MODEL) for index in range(len(profiles))], requests
    )
    assert plan.gap == 0 and not plan.unserved, "the optimum is proven"
    return plan.gpus_used


def openb_events() -> list[tuple[int, int, int, MigProfile]]:
    """openb's pods of one GPU or a part of it: the smallest profile with the share of memory and compute."""
    table, events = plain(), []
    for who, job in enumerate(load_demand("openb", options=DemandOptions(days=149)).demand.jobs):
        if job.gpus > 1 or job.pods > 1:
            continue
        share = 1000 if job.whole or job.compute_milli is None else job.compute_milli
        fitting = [
            profile
            for profile in table.profiles
            if profile.compute_slices * 1000 >= share * table.compute_slices
            or profile.size == table.memory_slices
        ]
        end = job.arrival_ns + job.duration_ns
        events += [(job.arrival_ns, 1, who, fitting[0]), (end, 0, who, fitting[0])]
    return events


def table_of_gpus() -> dict[str, dict[str, int]]:
    """GPUs needed, summed over the demands, by case and method."""
    rows: dict[str, dict[str, int]] = {}
    for case, make in (("nobody leaves", staying), ("coming and going", coming_and_going)):
        rows[case] = {
            name: sum(most_in_use(place, make(seed)) for seed in range(DEMANDS))
            for name, place in PLACES.items()
        }
    rows["nobody leaves"]["optimum"] = sum(optimum(demand_of(seed)) for seed in range(DEMANDS))
    rows["openb"] = {name: most_in_use(place, openb_events()) for name, place in PLACES.items()}
    return rows


# Requests in 100, by profile: one mix that 1,000 GPUs can serve, and one that is more than they have.
FITS = {"1g.10gb": 80, "1g.20gb": 8, "2g.20gb": 10, "3g.40gb": 1, "4g.40gb": 0.5, "7g.80gb": 0.5}
TOO_MUCH = {"1g.10gb": 50, "1g.20gb": 10, "2g.20gb": 25, "3g.40gb": 10, "4g.40gb": 4, "7g.80gb": 1}


def large_fleet(seed: int, weights: Mapping[str, float]) -> tuple[list[Gpu], list[PartitionRequest]]:
    """1,000 GPUs, every other one with up to four instances in use, and 4,000 requests."""
    rng, gpus = random.Random(seed), []
    for index in range(1000):
        room, found = Room(plain()), []
        for _ in range(rng.randint(1, 4) if index % 2 else 0):
            options = [
                Instance(profile, start)
                for profile in plain().profiles[:-1]
                for start in profile.starts
                if room.holds(Instance(profile, start))
            ]
            if options:
                room.take(chosen := rng.choice(options))
                tenant = f"old-{index}-{chosen.start}"
                found.append(GpuInstance(profile=chosen.profile.name, start=chosen.start, tenant=tenant))
        instances = tuple(sorted(found, key=lambda item: item.start))
        method = "mig" if instances else ""
        gpus.append(
            Gpu(node=f"n{index // 8}", index=index % 8, model=MODEL, method=method, instances=instances)
        )
    counts = Counter(rng.choices(list(weights), list(weights.values()), k=4000))
    requests = [
        PartitionRequest(name=name, pods=count, profile=name) for name, count in sorted(counts.items())
    ]
    return gpus, requests


def draw(rows: dict[str, dict[str, int]], path: str) -> None:
    """GPUs needed as bars, first fit = 100 %."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "stellwerk"
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axis = figure.subplots()
    names = ["first fit", "stellwerk", "optimum"]
    for position, found in enumerate(rows.values()):
        for offset, name in enumerate(names):
            if name in found:
                part = 100 * found[name] / found["first fit"]
                axis.barh(
                    position + offset * 0.27 - 0.27,
                    part,
                    0.25,
                    color=("#9AA0A6", "#0072B2", "#009E73")[offset],
                )
                axis.text(
                    part + 0.2,
                    position + offset * 0.27 - 0.27,
                    f"{name}: {found[name]:,}",
                    va="center",
                    fontsize=8,
                )
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_xlim(80, 106)
    axis.invert_yaxis()
    axis.set_xlabel("GPUs needed, first fit = 100 %")
    figure.savefig(path, metadata={"Date": None} if path.endswith(".svg") else None)


def main() -> None:
    """Print the tables; draw where asked."""
    rows = table_of_gpus()
    for case, found in rows.items():
        first = found["first fit"]
        parts = [
            f"{name} {count:,} ({100 * (count - first) / first:+.1f} %)" for name, count in found.items()
        ]
        print(f"{case}: " + ", ".join(parts))
    for seed, weights in ((0, FITS), (1, FITS), (0, TOO_MUCH), (1, TOO_MUCH)):
        gpus, requests = large_fleet(seed, weights)
        started = time.process_time()
        plan = plan_partition(gpus, requests)
        spent = time.process_time() - started
        left = sum(item.pods for item in plan.unserved)
        print(
            f"1,000 GPUs, 4,000 requests, seed {seed}: {spent:.1f} s CPU, {plan.gpus_used} GPUs, "
            f"{left} pods without a place, gap {plan.gap}"
        )
    if "--picture" in sys.argv:
        draw(rows, sys.argv[sys.argv.index("--picture") + 1])


if __name__ == "__main__":
    main()

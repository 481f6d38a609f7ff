"""`make bench`: what a replay costs, beside SimPy doing the bare queue of the same demand.

SimPy is the model of a Python event loop. Its side of the comparison is the least that a replay must do: one
process a job that takes GPUs from a container, first come, first served: no nodes, no sharing, no memory, no
figures. Ratios below 1 mean that Stellwerk is faster.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import simpy

from stellwerk.engine.demand import Demand
from stellwerk.engine.partition.policy import POLICIES
from stellwerk.sim.main_job import Arguments, prepare, run
from stellwerk.sim.replay import Scenario, simulate
from stellwerk.sim.slowdown import Slowdown

RUNS = 5


def cpu_s(work: Callable[[], object]) -> float:
    """The median CPU time of five runs, in seconds."""
    taken = []
    for _ in range(RUNS):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return sorted(taken)[RUNS // 2]


def bare_queue(demand: Demand, gpus: int) -> int:
    """The same jobs through SimPy: how many have started by the end of the period."""
    world = simpy.Environment()
    pool = simpy.Container(world, capacity=gpus, init=gpus)
    started = 0

    def process(arrival: int, duration: int, asked: int):  # type: ignore[no-untyped-def]
        nonlocal started
        yield world.timeout(arrival)
        yield pool.get(asked)
        started += 1
        yield world.timeout(duration)
        yield pool.put(asked)

    for job in demand.jobs:
        world.process(process(job.arrival_ns, job.duration_ns, job.gpus * job.pods))
    world.run(until=demand.period_ns)
    return started


def compare(name: str) -> None:
    """One policy of ours against the bare queue, on a built-in demand."""
    scenario: Scenario = prepare(Arguments(demand=name)).scenario
    demand, gpus = scenario.demand, scenario.fleet.gpus
    peer = cpu_s(lambda: bare_queue(demand, gpus))
    print(f"{name}: {len(demand.jobs)} jobs, {gpus} GPUs; SimPy's bare queue {peer * 1000:.0f} ms CPU")
    for policy in POLICIES:
        ours = cpu_s(lambda policy=policy: simulate(scenario, policy, Slowdown(rest="proportional")))  # type: ignore[misc]
        per_job = ours / len(demand.jobs) * 1e6
        print(
            f"  {policy.name:13} {ours * 1000:6.0f} ms CPU, {per_job:5.0f} us a job, ratio {ours / peer:5.2f}"
        )


def whole(arguments: list[str]) -> None:
    """One command as a process of its own: CPU time and peak memory."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "stellwerk", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"stellwerk {' '.join(arguments)}: {spent:.2f} s CPU, peak so far {after.ru_maxrss // 1024} MiB")


def main() -> None:
    """All figures, one after another."""
    for name in ("demo", "mittelstand", "openb"):
        compare(name)
    started = time.process_time()
    run(prepare(Arguments(demand="openb", size=True)), lambda *progress: None)
    print(f"openb, all policies and --size, in this process: {time.process_time() - started:.2f} s CPU")
    receipt = ["--receipt", "build/bench-receipt.json"]
    for arguments in (["--help"], ["replay", "mittelstand", *receipt], ["replay", "openb", *receipt]):
        whole(arguments)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.queueing_heads [QUEUES]`: CPU time of a head in a cycle, beside Kueue's.

The cycle of shared/conformance/kueue.md (BenchmarkCycle there): in each of so many queues of the baseline
scenario (1,000 if nothing is said) a head of 5 CPUs and priority 200, beside 10 Workloads of 1 CPU and
priority 50 that run (it fits) or 20 (it must preempt), without and with fair sharing. Measured is what is
done of all heads up to their nomination, the least of five runs; Kueue's is CPU time of another machine.
"""

import sys
import time
from collections.abc import Iterable

from msgspec.structs import replace

from benchmarks.queueing import SCENARIOS, START, Kind, objects_of, workload_of
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.engine.queueing.course.state import decide, state_of
from stellwerk.engine.queueing.cycle.admit import nominated
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.engine.queueing.flavors.mode import NAMES, shown
from stellwerk.engine.queueing.snapshot import Configuration, snapshot_of

RUNS = 5
FAIR = ("LessThanOrEqualToFinalShare", "LessThanInitialShare")
# Microseconds a head, by queues: fits, preempts, preempts under fair sharing.
KUEUE = {30: (43, 177, 205), 1000: (27, 248, 463)}
GOAL = (2, 1, 1)  # Times Kueue's.


def cpu_us(queues: int, running: int, fair: bool) -> float:
    """CPU time of one head, in microseconds."""
    scenario = replace(SCENARIOS["large-scale"], cohorts=max(5, queues // 100), queues=min(100, queues // 5))
    configuration = Configuration(fair_sharing=FAIR if fair else None)
    objects = objects_of(scenario)
    names = [str(queue.metadata.name) for queue in objects.cluster_queues]
    small, large = Kind("small", 0, 0, 0, 50, 1000), Kind("large", 0, 0, 0, 200, 5000)
    state = state_of(snapshot_of(objects, configuration), _of(names, small, running), START)
    while decide(state, START).admitted:
        pass
    state = state_of(state.snapshot, _of(names, large, 1), START)
    taken = []
    for _ in range(RUNS):
        started = time.process_time()
        entries = nominated(state.snapshot, state.backlog, START)
        taken.append(time.process_time() - started)
    wanted = "Fit" if running < 20 else "Preempt"
    assert len(entries) == len(names)
    assert all(one.assignment is not None and NAMES[shown(one.assignment.mode)] == wanted for one in entries)
    assert all(bool(one.targets) == (wanted == "Preempt") for one in entries)
    return min(taken) / len(names) * 1e6


def _of(names: Iterable[str], kind: Kind, count: int) -> list[Workload]:
    made = workload_of(kind)
    found = []
    for queue in names:
        for number in range(count):
            name = f"{kind.name}-{number}"
            metadata = replace(
                made.metadata, name=name, namespace=queue, uid=name, creation_timestamp=time_text(START)
            )
            spec = replace(made.spec, queue_name=queue)
            found.append(replace(made, metadata=metadata, spec=spec))
    return found


def main() -> None:
    """The three kinds of heads."""
    queues = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    asked = (("fits", 10, False), ("preempts", 20, False), ("preempts, fair sharing", 20, True))
    for place, (what, running, fair) in enumerate(asked):
        ours = cpu_us(queues, running, fair)
        theirs = KUEUE.get(queues, (0, 0, 0))[place]
        ratio = f", {ours / theirs:.1f} times Kueue's {theirs} us (goal {GOAL[place]})" if theirs else ""
        print(f"{queues} queues, {what}: {ours:.0f} us a head{ratio}")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.queueing [baseline|large-scale|tas]... [--held MS]`: Kueue's performance scenarios.

In virtual time, with the parameters of Kueue's test/performance/scheduler/configs (ff69552e) and its way to
measure: Workloads are made in a steady rhythm, run for the time of their class once they are admitted, begin
anew when they are preempted, and then finish. Kueue's figures are the averages of its CI, where the answers
of a real API server take their time, and quota is held meanwhile: that counts as usage there. `--held`: here
too, each Workload holds its quota up to so many ms longer, by a seeded chance; without it not at all.
CPU time is that of one core, everything counted, the making of the objects too.
"""

import argparse
import random
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from stellwerk.api.groups.core import Namespace, Node
from stellwerk.api.groups.kueue import ClusterQueue, LocalQueue, ResourceFlavor, Topology
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.mismatch import decode_hook
from stellwerk.control.queueing.queues import Queues
from stellwerk.engine.queueing.cycle.status import time_text
from stellwerk.engine.queueing.requests.total import workload_key
from stellwerk.engine.queueing.snapshot import Configuration, Objects, snapshot_of
from stellwerk.runtime.agenda import Agenda

MILLISECOND = 1_000_000
QUOTA = 20  # CPUs of each ClusterQueue.
START = 1_767_225_600_000_000_000
RACK = "cloud.provider.com/topology-rack"
LEVELS = ("cloud.provider.com/topology-block", RACK, "kubernetes.io/hostname")
Json = dict[str, Any]


class Kind(Struct, frozen=True):
    """One set of Workloads of each queue: `cpu_m` of each of `pods`; `topology` of its PodSet."""

    name: str
    count: int
    every_ms: int
    runs_ms: int
    priority: int
    cpu_m: int
    pods: int = 1
    topology: Json = {}


class Scenario(Struct, frozen=True, kw_only=True):
    """`kueue`: seconds of wall time, queue usage in %, average ms to admission by class, from its CI."""

    cohorts: int
    queues: int
    kinds: tuple[Kind, ...]
    goal_s: float
    kueue: tuple[float, float, dict[str, int]]
    racks: int = 0
    nodes_of_rack: int = 0


def _placed(size: str, counts: tuple[int, int, int], rest: tuple[int, ...], slice_size: int) -> list[Kind]:
    """A third each must be in one rack, should be, and is in slices of one rack each."""
    asked: dict[str, Json] = {
        "required": {"required": RACK},
        "preferred": {"preferred": RACK},
        "balanced": {"podSetSliceRequiredTopology": RACK, "podSetSliceSize": slice_size},
    }
    return [
        Kind(f"{size}-{how}", count, *rest, topology=topology)  # type: ignore[arg-type]
        for (how, topology), count in zip(asked.items(), counts, strict=True)
    ]


SCENARIOS = {
    "baseline": Scenario(
        cohorts=5,
        queues=6,
        kinds=(
            Kind("small", 350, 100, 200, 50, 1000),
            Kind("medium", 100, 500, 500, 100, 5000),
            Kind("large", 50, 1200, 1000, 200, 20000),
        ),
        goal_s=20,
        kueue=(351.1, 55.9, {"large": 16_501, "medium": 76_768, "small": 215_468}),
    ),
    "large-scale": Scenario(
        cohorts=10,
        queues=100,
        kinds=(
            Kind("small", 35, 60, 150, 50, 1000),
            Kind("medium", 11, 300, 350, 100, 5000),
            Kind("large", 4, 700, 700, 200, 20000),
        ),
        goal_s=90,
        kueue=(1179.4, 38.64, {"large": 105_604, "medium": 256_413, "small": 700_379}),
    ),
    "tas": Scenario(
        cohorts=5,
        queues=6,
        kinds=(
            *_placed("small", (120, 120, 110), (100, 200, 50, 500, 2), 1),
            *_placed("medium", (34, 33, 33), (500, 500, 100, 1250, 4), 2),
            *_placed("large", (17, 17, 16), (1200, 1000, 200, 2500, 8), 4),
        ),
        goal_s=60,
        kueue=(
            401.5,
            62.41,
            {
                "large-balanced": 37_862,
                "large-preferred": 39_573,
                "large-required": 39_625,
                "medium-balanced": 106_303,
                "medium-preferred": 106_324,
                "medium-required": 107_071,
                "small-balanced": 237_846,
                "small-preferred": 246_090,
                "small-required": 246_755,
            },
        ),
        racks=10,
        nodes_of_rack=64,
    ),
}


class Replay(Struct):
    """A scenario while it runs. `admitted`: by key when (ns) it was last admitted, and how often it was."""

    queues: Queues
    agenda: Agenda[tuple[str, Any]]
    kinds: dict[str, Kind]
    created: dict[str, int] = field(default_factory=dict)
    admitted: dict[str, tuple[int, int]] = field(default_factory=dict)
    finished: int = 0
    evictions: int = 0
    cycles: int = 0
    cpu_ns: int = 0  # Thousandths of CPUs in use, times nanoseconds.
    now: int = START
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    held_ms: int = 0


def run(scenario: Scenario, held_ms: int = 0) -> Replay:
    """All of its Workloads, until they have finished."""
    snapshot = snapshot_of(objects_of(scenario), Configuration())
    replay = Replay(Queues(snapshot, (), START), Agenda(), {}, held_ms=held_ms)
    for at, kind, queue, number in _arrivals(scenario):
        replay.agenda.post(at, ("create", (kind, queue, number)))
    made = {kind.name: workload_of(kind) for kind in scenario.kinds}
    while (now := _next(replay)) is not None:
        replay.now, done = now, []
        while replay.agenda.due() == now:
            what, subject = replay.agenda.pop()
            if what == "create":
                kind, queue, number = subject
                _create(replay, kind, made[kind.name], (queue, number))
            else:
                done += _finished(replay, *subject)
        if done:
            replay.queues.leave(done, now)
        _work(replay)
    return replay


def _create(replay: Replay, kind: Kind, made: Workload, named: tuple[str, int]) -> None:
    queue, number = named
    name = f"{kind.name}-{number}"
    uid, created = f"{queue}/{name}", time_text(replay.now)
    metadata = replace(made.metadata, name=name, namespace=queue, uid=uid, creation_timestamp=created)
    workload = replace(made, metadata=metadata, spec=replace(made.spec, queue_name=queue))
    key = workload_key(workload)
    replay.kinds[key], replay.created[key] = kind, replay.now
    replay.queues.create(workload, replay.now)


def _next(replay: Replay) -> int | None:
    """When something happens next: to Workloads, or in the queues."""
    times = [at for at in (replay.agenda.due(), replay.queues.due()) if at is not None]
    return max(replay.now, min(times)) if times else None


def _finished(replay: Replay, key: str, times: int) -> list[str]:
    """The Workload, unless it was preempted since it was admitted for the so many-th time."""
    if replay.admitted.get(key, (0, 0))[1] != times:
        return []
    kind = replay.kinds[key]
    replay.cpu_ns += kind.cpu_m * kind.pods * (replay.now - replay.admitted[key][0])
    replay.finished += 1
    return [key]


def _work(replay: Replay) -> None:
    decision = replay.queues.work(replay.now)
    if decision is None:
        return
    replay.cycles += 1
    for one in decision.admitted:
        times = abs(replay.admitted.get(one.key, (0, 0))[1]) + 1
        replay.admitted[one.key] = replay.now, times
        held = replay.chance.randrange(replay.held_ms * MILLISECOND + 1)
        finish = replay.now + replay.kinds[one.key].runs_ms * MILLISECOND + held
        replay.agenda.post(finish, ("finish", (one.key, times)))
    stopped = [one.key for one in decision.evicted if not one.ongoing]
    for key in stopped:
        since, times = replay.admitted[key]
        kind = replay.kinds[key]
        replay.cpu_ns += kind.cpu_m * kind.pods * (replay.now - since)
        replay.admitted[key] = since, -times
    replay.evictions += len(stopped)
    if stopped:
        replay.queues.release(stopped, replay.now)


def _arrivals(scenario: Scenario) -> Iterator[tuple[int, Kind, str, int]]:
    for queue in _names(scenario):
        for kind in scenario.kinds:
            for number in range(kind.count):
                yield START + (number + 1) * kind.every_ms * MILLISECOND, kind, queue, number


def _names(scenario: Scenario) -> list[str]:
    return [f"cq-{cohort}-{queue}" for cohort in range(scenario.cohorts) for queue in range(scenario.queues)]


def workload_of(kind: Kind) -> Workload:
    """One of its kind, without name and queue."""
    requests = {"cpu": f"{kind.cpu_m}m"}
    pod_set: Json = {
        "name": "main",
        "count": kind.pods,
        "template": {"spec": {"containers": [{"name": "c", "resources": {"requests": requests}}]}},
    }
    if kind.topology:
        pod_set["topologyRequest"] = kind.topology
    return _typed("Workload", "", {"priority": kind.priority, "podSets": [pod_set]}, Workload)


def objects_of(scenario: Scenario) -> Objects:
    """Its queues, and nodes."""
    quota = {"name": "cpu", "nominalQuota": str(QUOTA), "borrowingLimit": "100"}
    group = {"coveredResources": ["cpu"], "flavors": [{"name": "flavor", "resources": [quota]}]}
    spec = {
        "resourceGroups": [group],
        "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
        "namespaceSelector": {},
        "queueingStrategy": "BestEffortFIFO",
    }
    names = _names(scenario)
    flavor: Json = {}
    if scenario.racks:
        flavor = {"nodeLabels": {"tas-node-group": "tas"}, "topologyName": "topology"}
    levels = {"levels": [{"nodeLabel": level} for level in LEVELS]}
    return Objects(
        flavors=[_typed("ResourceFlavor", "flavor", flavor, ResourceFlavor)],
        topologies=[_typed("Topology", "topology", levels, Topology)] if scenario.racks else [],
        cluster_queues=[
            _typed("ClusterQueue", name, {**spec, "cohortName": name.rsplit("-", 1)[0]}, ClusterQueue)
            for name in names
        ],
        local_queues=[_typed("LocalQueue", name, {"clusterQueue": name}, LocalQueue) for name in names],
        namespaces=[_convert(_namespace(name), Namespace) for name in names],
        nodes=[
            _convert(_node(rack, number), Node)
            for rack in range(scenario.racks)
            for number in range(scenario.nodes_of_rack)
        ],
    )


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _node(rack: int, number: int) -> Json:
    values = ("block-0", f"rack-{rack}", f"node-{rack}-{number}")
    labels = {"tas-node-group": "tas", **dict(zip(LEVELS, values, strict=True))}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": values[2], "labels": labels},
        "status": {
            "allocatable": {"cpu": "96", "memory": "256Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def _typed(kind: str, name: str, spec: Json, of: Any) -> Any:
    metadata = {"name": name, "namespace": name}
    item = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata, "spec": spec}
    return _convert(item, of)


def _convert(item: Json, of: Any) -> Any:
    return msgspec.convert(item, of, dec_hook=decode_hook)


def report(name: str, scenario: Scenario, cpu_s: float, replay: Replay) -> None:
    """Ours beside Kueue's. Usage is quota held, of all quota and the whole time; Kueue prints it likewise."""
    wall_s, usage, waits = scenario.kueue
    queues = len(_names(scenario))
    total = queues * sum(kind.count for kind in scenario.kinds)
    work_s = sum(kind.count * kind.cpu_m * kind.pods * kind.runs_ms for kind in scenario.kinds) / 1e6
    span_s = (replay.now - START) / 1e9
    print(
        f"{name}: {replay.finished} of {total} Workloads admitted and finished, {replay.cycles} cycles, "
        f"{replay.evictions} evictions"
    )
    print(f"  CPU of the replay    {cpu_s:8.1f} s   (goal {scenario.goal_s:.0f}; Kueue took {wall_s:.0f} s)")
    print(f"  simulated time       {span_s:8.1f} s")
    held = replay.cpu_ns / (span_s * 1e9 * QUOTA * 1000 * queues)
    print(f"  quota held           {100 * held:8.1f} %   (Kueue {usage})")
    print(f"  quota at work        {work_s / QUOTA / span_s:8.1%}    (Kueue {work_s / QUOTA / wall_s:.1%})")
    by_kind: dict[str, list[int]] = {}
    for key, (at, _) in replay.admitted.items():
        by_kind.setdefault(replay.kinds[key].name, []).append(at - replay.created[key])
    for kind, found in by_kind.items():
        average = sum(found) / len(found) / MILLISECOND
        print(f"  to admission, {kind:16} {average:8.0f} ms  (Kueue {waits[kind]})")


def main() -> None:
    """The named scenarios, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--held", type=int, default=0, metavar="MS")
    asked = parser.parse_args()
    for name in asked.scenarios:
        if name not in SCENARIOS:
            parser.error(f"there is no scenario {name}: {', '.join(SCENARIOS)}")
        started = time.process_time()
        replay = run(SCENARIOS[name], asked.held)
        report(name, SCENARIOS[name], time.process_time() - started, replay)


if __name__ == "__main__":
    main()

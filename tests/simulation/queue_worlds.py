"""Small clusters with queues, drawn from a seed: quota, Jobs, and what somebody else does meanwhile."""

from typing import Any

from msgspec import Struct

from stellwerk.ports.entropy import SeededEntropy
from stellwerk.sim.queueing.demand import Planned, QueueDemand

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_767_225_600 * SECOND
Json = dict[str, Any]


class QueueWorld(Struct, frozen=True):
    """`deeds`: at which time (ns) somebody else writes something, and which deed."""

    seed: int
    demand: QueueDemand
    deeds: tuple[tuple[int, str], ...]
    grace: bool


def kueue(kind: str, name: str, spec: Json | None = None, namespace: str = "", **rest: Any) -> Json:
    metadata: Json = {"name": name, **({"namespace": namespace} if namespace else {})}
    item = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": kind, "metadata": metadata}
    return {**item, **({} if spec is None else {"spec": spec}), **rest}


def job(name: str, namespace: str, **fields: Any) -> Json:
    """`cpu`, `pods`, `least` (minimum of pods), `completions`, `priority`, `queue`, `grace_s`."""
    labels = {"kueue.x-k8s.io/queue-name": fields.get("queue", "main")}
    if fields.get("priority"):
        labels["kueue.x-k8s.io/priority-class"] = fields["priority"]
    notes = {"kueue.x-k8s.io/job-min-parallelism": str(fields["least"])} if fields.get("least") else {}
    container = {
        "name": "main",
        "image": "example/train:1",
        "env": [{"name": "UNKNOWN_TO_US", "value": "1"}],
        "resources": {"requests": {"cpu": fields.get("cpu", 1)}},
    }
    pod: Json = {"restartPolicy": "Never", "containers": [container]}
    if "grace_s" in fields:
        pod["terminationGracePeriodSeconds"] = fields["grace_s"]
    spec: Json = {"parallelism": fields.get("pods", 1), "suspend": True, "template": {"spec": pod}}
    if fields.get("completions"):
        spec["completions"] = fields["completions"]
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": notes}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def cluster_queue(name: str, quotas: dict[str, tuple[int, int | None]], **spec: Any) -> Json:
    """`quotas`: by flavor the nominal quota of cpu and the borrowing limit."""
    flavors = []
    for flavor, (nominal, limit) in quotas.items():
        quota: Json = {"name": "cpu", "nominalQuota": nominal}
        if limit is not None:
            quota["borrowingLimit"] = limit
        flavors.append({"name": flavor, "resources": [quota]})
    groups = [{"coveredResources": ["cpu"], "flavors": flavors}]
    return kueue("ClusterQueue", name, {"namespaceSelector": {}, "resourceGroups": groups, **spec})


def local_queue(namespace: str, queue: str, name: str = "main") -> Json:
    return kueue("LocalQueue", name, {"clusterQueue": queue}, namespace)


def namespace(name: str) -> Json:
    labels = {"kubernetes.io/metadata.name": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def admission_check(name: str) -> Json:
    status = {"conditions": [{"type": "Active", "status": "True", "reason": "Active"}]}
    return kueue("AdmissionCheck", name, {"controllerName": "example.com/check"}, status=status)


def demand_of(objects: list[Json], jobs: list[tuple[Json, int, int]]) -> QueueDemand:
    """`jobs`: with arrival and duration in minutes."""
    planned = [
        Planned(object=item, arrival_ns=START + at * MINUTE, duration_ns=minutes * MINUTE, is_queued=True)
        for item, at, minutes in jobs
    ]
    ordered = sorted(planned, key=lambda one: (one.arrival_ns, one.name))
    return QueueDemand(start_ns=START, end_ns=None, jobs=tuple(ordered), objects=tuple(objects))


DEEDS = (
    "touch workload",
    "touch job",
    "touch workload",
    "touch job",
    "delete workload",
    "delete job",
    "change queue",
    "change priority",
    "deactivate",
    "hold",
    "drain",
    "hold local",
    "more quota",
)


def drawn(seed: int) -> QueueWorld:
    """The world of a seed: up to three ClusterQueues, twelve Jobs, and ten deeds of somebody else."""
    chance = SeededEntropy(seed).fork("world")
    count = chance.between(1, 3)
    cohort = chance.chance(2, 3)
    flavors = ["small", "big"][: chance.between(1, 2)]
    checks = chance.chance(1, 3)
    objects = [kueue("ResourceFlavor", name, {"nodeLabels": {"size": name}}) for name in flavors]
    objects += [
        kueue("WorkloadPriorityClass", "low", value=10),
        kueue("WorkloadPriorityClass", "high", value=100),
    ]
    if checks:
        objects.append(admission_check("prepared"))
    names = [f"q{number}" for number in range(count)]
    for name in names:
        quotas = {one: (chance.between(4, 6), chance.pick([None, 0, 3])) for one in flavors}
        within = chance.pick(["Never", "LowerPriority"])
        reclaim = chance.pick(["Never", "Any", "LowerPriority"]) if cohort else "Never"
        spec: Json = {
            "queueingStrategy": chance.pick(["BestEffortFIFO", "StrictFIFO"]),
            "preemption": {"withinClusterQueue": within, "reclaimWithinCohort": reclaim},
        }
        if cohort:
            spec["cohortName"] = "all"
        else:
            quotas = {one: (nominal, None) for one, (nominal, _) in quotas.items()}
        if checks and chance.chance(1, 2):
            spec["admissionChecksStrategy"] = {"admissionChecks": [{"name": "prepared"}]}
        objects += [namespace(name), cluster_queue(name, quotas, **spec), local_queue(name, name)]
        objects.append(local_queue(name, name, "other"))
    jobs = []
    for number in range(chance.between(3, 12)):
        pods = chance.between(1, 4)
        item = job(
            f"job-{number}",
            chance.pick(names),
            cpu=1,
            pods=pods,
            least=chance.pick([0, 0, 1]) if pods > 1 else 0,
            completions=chance.pick([0, 0, pods, 2 * pods, 2 * pods + 1]),
            priority=chance.pick(["", "low", "high"]),
            grace_s=chance.pick([0, 5, 90]),
        )
        jobs.append((item, chance.between(0, 40), chance.between(1, 30)))
    deeds = [
        (START + chance.below(90 * 60) * SECOND + chance.below(SECOND), chance.pick(DEEDS))
        for _ in range(chance.between(0, 10))
    ]
    return QueueWorld(seed, demand_of(objects, jobs), tuple(sorted(deeds)), chance.chance(1, 2))

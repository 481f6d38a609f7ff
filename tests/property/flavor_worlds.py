"""Random ClusterQueues with flavors, usage on them, and a workload to assign flavors to."""

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Struct

from stellwerk.api.groups.kueue import ClusterQueue, ResourceFlavor
from stellwerk.api.groups.kueue_workload import Workload
from stellwerk.api.mismatch import decode_hook
from stellwerk.engine.queueing.amounts import FlavorResource
from stellwerk.engine.queueing.flavors.assignment import Cycle, Question
from stellwerk.engine.queueing.flavors.mode import PREEMPT, Offer
from stellwerk.engine.queueing.flavors.places import Topologies
from stellwerk.engine.queueing.requests.total import workload_info
from stellwerk.engine.queueing.snapshot import Configuration, Objects, snapshot_of

API = "kueue.x-k8s.io/v1beta2"
FLAVORS = ("a", "b", "c")
RESOURCES = ("cpu", "gpu")


class FlavorWorld(Struct, frozen=True):
    """A cycle, and the question for queue `q0` in it."""

    cycle: Cycle
    question: Question


def typed(raw: dict[str, Any], wanted: Any) -> Any:
    """The raw JSON as our type."""
    return msgspec.convert({"apiVersion": API, "kind": wanted.__name__, **raw}, wanted, dec_hook=decode_hook)


@st.composite
def flavor_worlds(draw: st.DrawFn, plain: bool = False) -> FlavorWorld:
    """One to three queues, in a Cohort or not, over the same flavors, one of which is tainted.

    `plain`: flavors without label or taint, and one PodSet.
    """
    queues = [_queue(draw, index) for index in range(draw(st.integers(1, 3)))]
    flavors: list[dict[str, Any]] = [
        {"metadata": {"name": name}, "spec": {"nodeLabels": {"kind": name}}} for name in FLAVORS
    ]
    flavors[1]["spec"]["nodeTaints"] = [{"key": "spot", "effect": "NoSchedule"}]
    if plain:
        flavors = [{"metadata": {"name": name}, "spec": {}} for name in FLAVORS]
    configuration = Configuration(fair_sharing=draw(st.sampled_from([None, ("LessThanInitialShare",)])))
    snapshot = snapshot_of(
        Objects(
            cluster_queues=[typed(queue, ClusterQueue) for queue in queues],
            flavors=[typed(flavor, ResourceFlavor) for flavor in flavors],
        ),
        configuration,
    )
    ledger = snapshot.ledger()
    for queue in snapshot.queues:
        usage = {
            FlavorResource(flavor, resource): draw(st.integers(0, 8)) * (1000 if resource == "cpu" else 1)
            for flavor in draw(st.lists(st.sampled_from(FLAVORS), unique=True, max_size=2))
            for resource in RESOURCES
        }
        ledger.add(snapshot.charges(queue, usage))
    workload = typed(_workload(draw, 1 if plain else 2), Workload)
    cycle = Cycle(
        snapshot=snapshot,
        ledger=ledger,
        oracle=lambda queue, info, wanted, amount: Offer(PREEMPT),
        find_topology=Topologies(snapshot.places, snapshot.gates).find,
    )
    return FlavorWorld(cycle, Question(info=workload_info(workload, configuration.counting, "q0")))


def _queue(draw: st.DrawFn, index: int) -> dict[str, Any]:
    names = draw(st.permutations(FLAVORS))
    flavors = [
        {"name": name, "resources": [_quota(draw, resource) for resource in RESOURCES]} for name in names
    ]
    one_group = [{"coveredResources": [*RESOURCES], "flavors": flavors}]
    policy = st.sampled_from(["MayStopSearch", "TryNextFlavor"])
    return {
        "metadata": {"name": f"q{index}"},
        "spec": {
            "cohortName": draw(st.sampled_from(["", "c"])),
            "resourceGroups": one_group,
            "flavorFungibility": {"whenCanBorrow": draw(policy), "whenCanPreempt": draw(policy)},
            "preemption": {"reclaimWithinCohort": draw(st.sampled_from(["Never", "Any"]))},
        },
    }


def _quota(draw: st.DrawFn, resource: str) -> dict[str, Any]:
    quota = {"name": resource, "nominalQuota": str(draw(st.integers(0, 10)))}
    for limit in ("borrowingLimit", "lendingLimit"):
        if draw(st.booleans()):
            quota[limit] = str(draw(st.integers(0, 5)))
    return quota


def _workload(draw: st.DrawFn, most: int) -> dict[str, Any]:
    def pod_set(index: int) -> dict[str, Any]:
        asked = draw(st.dictionaries(st.sampled_from(RESOURCES), st.integers(0, 6), min_size=1))
        spec: dict[str, Any] = {
            "containers": [
                {
                    "name": "c",
                    "resources": {"requests": {name: str(amount) for name, amount in asked.items()}},
                }
            ]
        }
        if draw(st.booleans()):
            spec["tolerations"] = [{"operator": "Exists"}]
        if draw(st.integers(0, 3)) == 0:
            spec["nodeSelector"] = {"kind": draw(st.sampled_from(FLAVORS)), "other": "x"}
        return {"name": f"p{index}", "count": draw(st.integers(1, 2)), "template": {"spec": spec}}

    pod_sets = [pod_set(index) for index in range(draw(st.integers(1, most)))]
    return {"metadata": {"name": "w", "namespace": "ns"}, "spec": {"podSets": pod_sets}}
